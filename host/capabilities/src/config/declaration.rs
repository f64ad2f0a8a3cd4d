//! One key of `[capabilities.config]`: a value, or where to find it.

use super::bindings::elias::config::config::Value as ConfigValue;
use elias_host::capability::ConfigureError;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of a value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The declaration of a key in elias.toml.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Declaration {
    /// The value itself: `greeting = "hello"`.
    Value(Scalar),
    /// Where it is: `port = { env = "PORT", type = "number", default = 80 }`.
    Source(Source),
}

/// A value without parts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Boolean(bool),
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// A variable of the host's environment.
    env: Option<String>,
    /// The value itself, for a host that keeps its components' secrets: what it gives to `load_with`, not what an
    /// author writes.
    value: Option<String>,
    /// A file, relative to the configuration's folder. A newline at its end does not count.
    file: Option<PathBuf>,
    /// The type as which the text is read.
    #[serde(default, rename = "type")]
    ty: Type,
    /// The value where nothing is found; without it the key is required.
    default: Option<Scalar>,
    /// Whether it may go without a value.
    #[serde(default)]
    optional: bool,
    /// Whether it is kept out of everything that is shown, and cleared from memory.
    #[serde(default)]
    secret: bool,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum Type {
    #[default]
    Text,
    Number,
    Boolean,
}

/// A key's value.
pub(super) enum ConfigEntry {
    Plain(ConfigValue),
    Secret(Zeroizing<String>),
}

impl Declaration {
    /// The value; none for an optional key that nothing is found for.
    pub(super) fn read(self, key: &str, folder: &Path) -> Result<Option<ConfigEntry>, ConfigureError> {
        let source = match self {
            Self::Value(value) => return value.into_value(key).map(ConfigEntry::Plain).map(Some),
            Self::Source(source) => source,
        };
        let invalid = |why: String| ConfigureError::Invalid(format!("{key}: {why}"));
        let text = match (&source.env, &source.file) {
            (None, None) if source.value.is_some() => source.value.clone().map(Zeroizing::new),
            (Some(_), Some(_)) => return Err(invalid("it has both `env` and `file`; say one of them".into())),
            (Some(name), None) => match std::env::var(name) {
                Ok(text) => Some(Zeroizing::new(text)),
                Err(std::env::VarError::NotPresent) => None,
                Err(_) => return Err(invalid(format!("the environment's {name} is not UTF-8"))),
            },
            (None, Some(path)) => read_file(&folder.join(path)).map_err(invalid)?,
            (None, None) if source.default.is_some() => None,
            (None, None) => return Err(invalid("it needs `env`, `file` or `default`".into())),
        };
        let Some(text) = text else {
            return match source.default {
                Some(_) if source.secret => Err(invalid("a secret cannot have a default".into())),
                Some(value) => value.into_value(key).map(ConfigEntry::Plain).map(Some),
                None if source.optional => Ok(None),
                None => Err(invalid(match (&source.env, &source.file) {
                    (Some(name), _) if source.secret => format!("set {name} in the host's environment"),
                    (_, Some(path)) if source.secret => {
                        format!("the file {} does not exist; create it", path.display())
                    }
                    (Some(name), _) => format!("set {name} in the host's environment, or give it a `default`"),
                    (_, Some(path)) => {
                        format!("the file {} does not exist; create it, or set a `default`", path.display())
                    }
                    _ => "it must have a value".to_owned(),
                })),
            };
        };
        if text.len() > VALUE_BYTES_MAX {
            return Err(invalid(format!("it has {} bytes; at most {VALUE_BYTES_MAX} are allowed", text.len())));
        }
        // The text itself is not shown: it may be a secret that was not declared as one.
        let value = match source.ty {
            Type::Text if source.secret => return Ok(Some(ConfigEntry::Secret(text))),
            _ if source.secret => return Err(invalid("a secret is always text".into())),
            Type::Text => ConfigValue::Text(text.to_string()),
            Type::Number => {
                let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                ConfigValue::Number(number.ok_or_else(|| invalid("the value must be a number".into()))?)
            }
            Type::Boolean => match text.trim() {
                "true" | "1" => ConfigValue::Boolean(true),
                "false" | "0" => ConfigValue::Boolean(false),
                _ => return Err(invalid("the value must be `true` or `false`".into())),
            },
        };
        Ok(Some(ConfigEntry::Plain(value)))
    }
}

impl Scalar {
    fn into_value(self, key: &str) -> Result<ConfigValue, ConfigureError> {
        Ok(match self {
            Self::Boolean(boolean) => ConfigValue::Boolean(boolean),
            Self::Number(number) => ConfigValue::Number(number),
            Self::Text(text) if text.len() <= VALUE_BYTES_MAX => ConfigValue::Text(text),
            Self::Text(_) => {
                let message = format!("{key}: it has more than {VALUE_BYTES_MAX} bytes");
                return Err(ConfigureError::Invalid(message));
            }
        })
    }
}

/// The file's text without a newline at its end; none if there is no such file.
fn read_file(path: &Path) -> Result<Option<Zeroizing<String>>, String> {
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) if text.ends_with('\n') => Ok(Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("the file cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: serde_json::Value, folder: &Path) -> Result<Option<ConfigEntry>, String> {
        let declaration: Declaration = serde_json::from_value(toml).map_err(|error| error.to_string())?;
        declaration.read("key", folder).map_err(|error| error.to_string())
    }

    #[test]
    fn finds_values_where_they_are() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "s3cret\n").expect("writing");
        std::fs::write(folder.path().join("port"), "8080").expect("writing");
        let plain = |json| match read(json, folder.path()) {
            Ok(Some(ConfigEntry::Plain(value))) => value,
            _ => panic!("it is plain"),
        };
        assert_eq!(plain("a".into()), ConfigValue::Text("a".into()));
        assert_eq!(plain(7.into()), ConfigValue::Number(7.0));
        assert_eq!(plain(serde_json::json!({ "file": "port", "type": "number" })), ConfigValue::Number(8080.0));
        assert_eq!(plain(serde_json::json!({ "file": "none", "default": true })), ConfigValue::Boolean(true));
        let secret = read(serde_json::json!({ "file": "token", "secret": true }), folder.path());
        assert!(matches!(secret, Ok(Some(ConfigEntry::Secret(text))) if *text == "s3cret"));
        assert!(matches!(read(serde_json::json!({ "file": "none", "optional": true }), folder.path()), Ok(None)));
    }

    #[test]
    fn says_what_is_missing_and_shows_no_value() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "s3cret").expect("writing");
        for (json, wanted) in [
            (serde_json::json!({ "env": "ELIAS_NO_SUCH_VARIABLE" }), "set ELIAS_NO_SUCH_VARIABLE"),
            (serde_json::json!({ "file": "none" }), "the file none does not exist"),
            (serde_json::json!({ "file": "token", "type": "number" }), "must be a number"),
            (serde_json::json!({ "file": "token", "type": "number", "secret": true }), "always text"),
            (serde_json::json!({ "default": "x", "secret": true }), "cannot have a default"),
            (serde_json::json!({}), "needs `env`"),
        ] {
            let error = read(json, folder.path()).map(|_| ()).expect_err(wanted);
            assert!(error.contains(wanted) && !error.contains("s3cret"), "{error}");
        }
    }
}
