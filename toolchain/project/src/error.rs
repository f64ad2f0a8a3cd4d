//! The error for a project that cannot be read.

use std::ops::Range;
use std::path::PathBuf;

/// Why a project, or a file of it, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },
    /// A file is not of its format, or says something that does not exist or is out of range.
    #[error("{file}:{}: {message}", line(.text, .span))]
    Config {
        /// The file's name, as it is shown.
        file: String,
        /// The file's text.
        text: String,
        /// The bytes of the text in question.
        span: Range<usize>,
        /// The defect.
        message: String,
    },
    /// No entry module is named, and none of the usual ones exists.
    #[error("{} has no entry module", .root.display())]
    NoEntry {
        /// The project's root.
        root: PathBuf,
    },
}

impl ProjectError {
    /// The stable name, in kebab case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "io",
            Self::Config { .. } => "config",
            Self::NoEntry { .. } => "entry-not-found",
        }
    }

    /// The remedy, where it is known.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NoEntry { .. } => Some(
                "write src/index.ts or src/index.js, or name another file: as an argument, or in elias.toml by \
                 `[build]` and under it `entry = \"FILE\"`",
            ),
            Self::Io { .. } | Self::Config { .. } => None,
        }
    }
}

/// The line of a span's first byte, from 1.
fn line(text: &str, span: &Range<usize>) -> usize {
    text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}
