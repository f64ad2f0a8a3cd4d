//! The source of a log's files, for the audit.

use std::io::Read;
use std::path::PathBuf;

/// Why a file of a log cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is not there.
    #[error("it is not there")]
    NotFound,
    /// It is larger than such a file can be.
    #[error("it is larger than such a file can be")]
    TooLarge,
    /// It could not be read.
    #[error("{0}")]
    Failed(String),
}

/// Where a log's files come from. What they hold need not be trusted.
pub trait Fetch {
    /// The file at `path` below the log's prefix, such as `checkpoint` or `tile/0/x001/234.p/5`, if it has at most
    /// `limit` bytes.
    ///
    /// # Errors
    /// See [`FetchError`]; that a file is not there must be told from other failures.
    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError>;
}

/// A folder with a copy of a log's files.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// The folder that has the file `checkpoint`.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }
}

impl Fetch for Directory {
    fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FetchError::NotFound,
            _ => FetchError::Failed(error.to_string()),
        };
        let file = std::fs::File::open(self.0.join(path)).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > limit { Err(FetchError::TooLarge) } else { Ok(bytes) }
    }
}
