//! The table `[build]` of elias.toml. The rest of the file is for whoever serves the component.

use crate::diagnostic::{BuildError, Details, Place};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The configuration's file name.
pub const CONFIG_FILE: &str = "elias.toml";

/// What `[build]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildTable {
    /// `entry`: the entry module, relative to the file.
    pub entry: Option<PathBuf>,
    /// `eval`: whether strings can be compiled as code. It is off unless the file says otherwise.
    pub eval: bool,
}

/// Reads `[build]` of a configuration.
///
/// # Errors
/// [`BuildError::Io`] if it cannot be read, [`BuildError::Config`] if it is not TOML or the table is wrong.
pub(crate) fn read(path: &Path) -> Result<BuildTable, BuildError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| BuildError::io(format_args!("read {}", path.display()), &error))?;
    parse(&text).map_err(|(span, message)| {
        let place = Place::new(path.display().to_string(), text.as_str(), span.start, span.len());
        BuildError::Config(Box::new(Details::new(message).at(place)))
    })
}

fn parse(text: &str) -> Result<BuildTable, (Range<usize>, String)> {
    let whole = || 0..0;
    let table =
        DeTable::parse(text).map_err(|error| (error.span().unwrap_or_else(whole), error.message().to_owned()))?;
    match table.get_ref().get("build") {
        None => Ok(BuildTable::default()),
        Some(value) => match value.get_ref() {
            DeValue::Table(table) => build_table(table),
            _ => Err((value.span(), "build must be a table: [build]".to_owned())),
        },
    }
}

/// Reads the table `[build]`.
///
/// # Errors
/// The place and the reason, for an unknown key or a value that is not of its kind.
pub fn build_table(table: &DeTable<'_>) -> Result<BuildTable, (Range<usize>, String)> {
    let mut build = BuildTable::default();
    for (key, value) in table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("entry", DeValue::String(entry)) if !entry.is_empty() => build.entry = Some(entry.as_ref().into()),
            ("entry", _) => {
                return Err((value.span(), "entry must be a file's name, such as \"src/main.ts\"".to_owned()));
            }
            ("eval", DeValue::Boolean(eval)) => build.eval = *eval,
            ("eval", _) => return Err((value.span(), "eval must be true or false".to_owned())),
            (name, _) => {
                return Err((key.span(), format!("there is no key `{name}` in [build]; there are `entry` and `eval`")));
            }
        }
    }
    Ok(build)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_table() {
        assert_eq!(parse(""), Ok(BuildTable::default()));
        assert_eq!(parse("[limits]\nfuel = 1\n[build]\neval = true\n"), Ok(BuildTable { entry: None, eval: true }));
        for (text, at, wanted) in [
            ("[build]\nevil = true", 8..12, "no key `evil`"),
            ("[build]\neval = 1", 15..16, "true or false"),
            ("build = 1", 8..9, "must be a table"),
            ("[build", 6..6, ""),
        ] {
            let (span, message) = parse(text).expect_err(text);
            assert_eq!(span, at, "{text}");
            assert!(message.contains(wanted), "{message}");
        }
    }
}
