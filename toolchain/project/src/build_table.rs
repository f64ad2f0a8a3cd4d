//! The table `[build]` of elias.toml. The rest of the file is for whoever serves the component.

use crate::error::ProjectError;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The keys of `[build]`.
const KEYS: [&str; 7] = ["`capabilities`", "`entry`", "`env`", "`eval`", "`locales`", "`random`", "`roots`"];

/// The required form of `capabilities`.
const CAPABILITIES: &str = "capabilities must be a list of WIT files or folders, such as [\"wit/geo.wit\"]";

/// The table `[build]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildTable {
    /// `entry`: the entry module, relative to the file.
    pub entry: Option<PathBuf>,
    /// `eval`: whether strings can be compiled as code. It is off unless the file says otherwise.
    pub eval: bool,
    /// `capabilities`: WIT packages of capabilities that an embedder adds, files or folders, relative to the file.
    pub capabilities: Vec<PathBuf>,
    /// `roots`: folders outside of the project whose files may be bundled, relative to the file.
    pub roots: Vec<PathBuf>,
    /// `env`: names of environment variables whose values the component has from the build. They are not secrets.
    pub env: Vec<String>,
    /// `random = "per-build"`: whether the top level may draw random values, which every instance of the build then
    /// shares.
    pub random_per_build: bool,
    /// `locales`: BCP 47 tags of the locales beside English that Intl has in the component, such as `de` and `pt-PT`.
    pub locales: Vec<String>,
}

/// Reads `[build]` of a configuration, and none of its other tables.
///
/// # Errors
/// [`ProjectError::Io`] if it cannot be read, [`ProjectError::Config`] if it is not TOML or the table is wrong.
pub fn read(path: &Path) -> Result<BuildTable, ProjectError> {
    let text = std::fs::read_to_string(path).map_err(|error| ProjectError::Io { path: path.to_owned(), error })?;
    parse(&text).map_err(|(span, message)| {
        let file = path.display().to_string();
        ProjectError::Config { file, text, span, message }
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
/// The location and the reason, for an unknown key or a value that is not of its kind.
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
            ("roots", DeValue::Array(items)) => {
                build.roots = texts(items, "roots must be a list of folders, such as [\"../shared\"]")?;
            }
            ("roots", _) => {
                return Err((value.span(), "roots must be a list of folders, such as [\"../shared\"]".to_owned()));
            }
            ("capabilities", DeValue::Array(items)) => build.capabilities = texts(items, CAPABILITIES)?,
            ("capabilities", _) => return Err((value.span(), CAPABILITIES.to_owned())),
            ("env", DeValue::Array(items)) => {
                build.env = texts(items, "env must be a list of names, such as [\"API_URL\"]")?;
            }
            ("env", _) => {
                return Err((value.span(), "env must be a list of names, such as [\"API_URL\"]".to_owned()));
            }
            ("locales", DeValue::Array(items)) => {
                build.locales = texts(items, "locales must be a list of tags, such as [\"de\", \"pt-PT\"]")?;
            }
            ("locales", _) => {
                return Err((value.span(), "locales must be a list of tags, such as [\"de\", \"pt-PT\"]".to_owned()));
            }
            ("random", DeValue::String(when)) if when == "per-build" => build.random_per_build = true,
            ("random", _) => {
                let message =
                    "random must be \"per-build\": the top level may draw random values, which all instances share";
                return Err((value.span(), message.to_owned()));
            }
            (name, _) => {
                let message = format!("the key `{name}` does not exist in [build]; the keys are {}", KEYS.join(", "));
                return Err((key.span(), message));
            }
        }
    }
    Ok(build)
}

/// The texts of a list; one that is empty or of another kind is refused with `message`.
fn texts<T: for<'t> From<&'t str>>(
    items: &[toml::Spanned<DeValue<'_>>],
    message: &str,
) -> Result<Vec<T>, (Range<usize>, String)> {
    let text = |item: &toml::Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) if !text.is_empty() => Ok(T::from(text.as_ref())),
        _ => Err((item.span(), message.to_owned())),
    };
    items.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_table() {
        assert_eq!(parse(""), Ok(BuildTable::default()));
        assert_eq!(
            parse("[limits]\nfuel = 1\n[build]\neval = true\n"),
            Ok(BuildTable { eval: true, ..BuildTable::default() })
        );
        assert_eq!(
            parse("[build]\ncapabilities = [\"wit/geo.wit\"]\n").map(|build| build.capabilities),
            Ok(vec!["wit/geo.wit".into()])
        );
        assert_eq!(
            parse(
                "[build]\nroots = [\"../shared\"]\nenv = [\"API_URL\"]\nrandom = \"per-build\"\nlocales = [\"de\"]\n"
            ),
            Ok(BuildTable {
                roots: vec!["../shared".into()],
                env: vec!["API_URL".to_owned()],
                random_per_build: true,
                locales: vec!["de".to_owned()],
                ..BuildTable::default()
            })
        );
        for (text, at, wanted) in [
            ("[build]\nevil = true", 8..12, "the key `evil` does not exist"),
            ("[build]\neval = 1", 15..16, "true or false"),
            ("build = 1", 8..9, "must be a table"),
            ("[build]\nroots = 1", 16..17, "list of folders"),
            ("[build]\ncapabilities = \"geo.wit\"", 23..32, "list of WIT files"),
            ("[build]\nenv = [1]", 15..16, "list of names"),
            ("[build]\nrandom = true", 17..21, "per-build"),
            ("[build]\nlocales = \"de\"", 18..22, "list of tags"),
            ("[build", 6..6, ""),
        ] {
            let (span, message) = parse(text).expect_err(text);
            assert_eq!(span, at, "{text}");
            assert!(message.contains(wanted), "{message}");
        }
    }
}
