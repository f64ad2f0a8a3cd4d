//! The table `[build]` of elias.toml. The rest of the file is for whoever serves the component.

use crate::diagnostic::{BuildError, Details, Place};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The configuration's file name.
pub const CONFIG_FILE: &str = "elias.toml";

/// What `[build]` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BuildTable {
    /// `eval`: whether strings can be compiled as code. It is off unless the file says otherwise.
    pub eval: bool,
}

/// The configuration of a project: `given`, or else elias.toml in the project's root, or else in the current folder.
#[must_use]
pub fn find(given: Option<&Path>, project: &Path) -> Option<PathBuf> {
    let found = || [project.join(CONFIG_FILE), CONFIG_FILE.into()].into_iter().find(|file| file.is_file());
    given.map(Path::to_owned).or_else(found)
}

/// Reads `[build]` of the file that [`find`] finds; the defaults if there is none.
///
/// # Errors
/// [`BuildError::Io`] if it cannot be read, [`BuildError::Config`] if it is not TOML or the table is wrong.
pub fn read(given: Option<&Path>, project: &Path) -> Result<BuildTable, BuildError> {
    let Some(path) = find(given, project) else { return Ok(BuildTable::default()) };
    let text = std::fs::read_to_string(&path)
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
            ("eval", DeValue::Boolean(eval)) => build.eval = *eval,
            ("eval", _) => return Err((value.span(), "eval must be true or false".to_owned())),
            (name, _) => {
                return Err((key.span(), format!("there is no key `{name}` in [build]; there is `eval`")));
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
        assert_eq!(parse(""), Ok(BuildTable { eval: false }));
        assert_eq!(parse("[limits]\nfuel = 1\n[build]\neval = true\n"), Ok(BuildTable { eval: true }));
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
