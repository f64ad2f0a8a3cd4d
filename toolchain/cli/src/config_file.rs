//! elias.toml.

use crate::failure::Failure;
use crate::settings::Settings;
use std::path::Path;
use toml::{Table, Value};

/// Lets the file's keys override what `settings` say.
///
/// # Errors
/// `config` with file and line for a file that is not TOML, a key that is unknown or a value that is out of range.
pub(crate) fn apply(path: &Path, settings: &mut Settings) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new("io", format_args!("cannot read {}: {error}", path.display())))?;
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        Failure::new("config", format_args!("{}:{line}: {}", path.display(), error.message()))
    })?;
    let fail = |key: &str, message: String| {
        let line = text.lines().position(|line| line.trim_start().starts_with(key)).map_or(1, |index| index + 1);
        Failure::new("config", format_args!("{}:{line}: {message}", path.display()))
    };
    for (key, value) in &table {
        match (key.as_str(), value) {
            ("listen", Value::String(listen)) => settings.server.listen.clone_from(listen),
            ("limits", Value::Table(limits)) => {
                for (key, value) in limits {
                    let number = value.as_integer().and_then(|number| u64::try_from(number).ok());
                    let number = number.ok_or_else(|| fail(key, format!("{key} must be a number that is not negative")))?;
                    settings.set(key, number).map_err(|message| fail(key, message))?;
                }
            }
            ("listen", _) => return Err(fail(key, "listen must be a string such as \"127.0.0.1:8787\"".into())),
            _ => {
                return Err(fail(key, format!("there is no key `{key}` here; there are `listen` and the table `[limits]`")));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Settings, String> {
        let folder = std::env::temp_dir().join(format!("elias-config-{}-{}", std::process::id(), text.len()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let file = folder.join("elias.toml");
        std::fs::write(&file, text).expect("writing");
        let mut settings = Settings::default();
        let applied = apply(&file, &mut settings);
        std::fs::remove_dir_all(&folder).expect("removing");
        applied.map(|()| settings).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn reads_limits() {
        let settings = check("listen = \"127.0.0.1:9\"\n[limits]\nfuel = 5\ndeadline-ms = 7\n").expect("it is right");
        assert_eq!((settings.limits.fuel, settings.limits.deadline_ms), (5, 7));
        assert_eq!(settings.server.listen, "127.0.0.1:9");
    }

    #[test]
    fn names_the_line_of_what_is_wrong() {
        for (text, wanted) in [
            ("[limits]\nfule = 5\n", "elias.toml:2: there is no setting `fule`; did you mean `fuel`?"),
            ("[limits]\n\nfuel = -5\n", "elias.toml:3: fuel must be a number"),
            ("\n\n= 5\n", "elias.toml:3:"),
            ("workers = 5\n", "elias.toml:1: there is no key `workers` here"),
            ("listen = 5\n", "elias.toml:1: listen must be a string"),
        ] {
            let error = check(text).map(|_| ()).expect_err(text);
            assert!(error.contains(wanted), "{error}");
        }
    }
}
