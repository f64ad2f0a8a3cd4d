//! elias.toml.

use crate::failure::Failure;
use crate::serve::CAPABILITIES;
use crate::settings::Settings;
use elias_build::config::build_table;
use serde_json::Value;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The defaults, and over them what the file says, if there is one.
///
/// # Errors
/// See [`apply`].
pub(crate) fn read(path: Option<&Path>) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    if let Some(path) = path {
        apply(path, &mut settings)?;
    }
    Ok(settings)
}

/// Lets the file's keys override what `settings` say.
///
/// # Errors
/// `config` with file and line for a file that is not TOML, a key that is unknown or a value that is out of range.
fn apply(path: &Path, settings: &mut Settings) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new("io", format_args!("cannot read {}: {error}", path.display())))?;
    let fail = |span: Option<Range<usize>>, message: &str| {
        let line = span.map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Failure::new("config", format_args!("{}:{line}: {message}", path.display()))
    };
    let table = DeTable::parse(&text).map_err(|error| fail(error.span(), error.message()))?;
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("listen", DeValue::String(listen)) => settings.server.listen = listen.to_string(),
            ("limits", DeValue::Table(limits)) => {
                for (key, value) in limits {
                    let name = key.get_ref().as_ref();
                    let number = match value.get_ref() {
                        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
                        _ => None,
                    };
                    let number = number.ok_or_else(|| {
                        fail(Some(value.span()), &format!("{name} must be a number that is not negative"))
                    })?;
                    settings.set(name, number).map_err(|message| fail(Some(key.span()), &message))?;
                    settings.service.limits.insert(name.to_owned(), number);
                }
            }
            ("capabilities", DeValue::Table(tables)) => {
                for (key, value) in tables {
                    let name = key.get_ref().as_ref();
                    if !CAPABILITIES.contains(&name) {
                        let message = format!(
                            "the capability `{name}` does not exist; the capabilities are {}",
                            CAPABILITIES.join(", ")
                        );
                        return Err(fail(Some(key.span()), &message));
                    }
                    let DeValue::Table(_) = value.get_ref() else {
                        return Err(fail(Some(value.span()), &format!("it must be a table: [capabilities.{name}]")));
                    };
                    settings.grants = std::mem::take(&mut settings.grants).with(name, json(value.get_ref()));
                }
            }
            ("gateway", table @ DeValue::Table(_)) => settings.service.gateway = Some(json(table)),
            ("supervision", table @ DeValue::Table(_)) => settings.service.supervision = Some(json(table)),
            ("smoke", table @ DeValue::Table(_)) => settings.service.smoke = Some(json(table)),
            // What it says is read when a source is built; see `origin`.
            ("build", DeValue::Table(table)) => {
                build_table(table).map_err(|(span, message)| fail(Some(span), &message))?;
            }
            (name @ ("gateway" | "supervision" | "smoke"), _) => {
                return Err(fail(Some(value.span()), &format!("it must be a table: [{name}]")));
            }
            ("listen", _) => {
                return Err(fail(Some(value.span()), "listen must be a string such as \"127.0.0.1:8787\""));
            }
            (key_name, _) => {
                let message = format!(
                    "the key `{key_name}` does not exist here; the keys are `listen` and the tables `[build]`, \
                     `[limits]`, `[capabilities.NAME]`, `[gateway]`, `[supervision]` and `[smoke]`"
                );
                return Err(fail(Some(key.span()), &message));
            }
        }
    }
    Ok(())
}

/// A value of TOML in JSON's terms; dates are strings.
fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(boolean) => Value::from(*boolean),
        DeValue::Datetime(datetime) => Value::from(datetime.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
    }
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
    fn reads_grants() {
        let settings =
            check("[capabilities.http]\nallow = [\"https://a.example\"]\nredirects = 3\n").expect("it is right");
        let wanted = serde_json::json!({ "allow": ["https://a.example"], "redirects": 3 });
        assert_eq!(settings.grants.get("http"), Some(&wanted));
    }

    #[test]
    fn keeps_what_is_for_a_platform() {
        let text = "[limits]\nfuel = 5\nconnections = 7\n[gateway.cors]\norigins = [\"*\"]\n[supervision]\nretries = 1\n[smoke]\npath = \"/up\"\n";
        let service = check(text).expect("it is right").service;
        assert_eq!(service.gateway, Some(serde_json::json!({ "cors": { "origins": ["*"] } })));
        assert_eq!(service.supervision, Some(serde_json::json!({ "retries": 1 })));
        assert_eq!(service.smoke, Some(serde_json::json!({ "path": "/up" })));
        assert_eq!(
            service.limits.into_iter().collect::<Vec<_>>(),
            [("connections".to_owned(), 7), ("fuel".to_owned(), 5)]
        );
    }

    #[test]
    fn names_the_line_of_what_is_wrong() {
        for (text, wanted) in [
            ("[limits]\nfule = 5\n", "elias.toml:2: the setting `fule` does not exist; did you mean `fuel`?"),
            ("[limits]\n\nfuel = -5\n", "elias.toml:3: fuel must be a number"),
            ("\n\n= 5\n", "elias.toml:3:"),
            ("workers = 5\n", "elias.toml:1: the key `workers` does not exist here"),
            ("[build]\nevil = true\n", "elias.toml:2: the key `evil` does not exist in [build]"),
            ("listen = 5\n", "elias.toml:1: listen must be a string"),
            ("gateway = 5\n", "elias.toml:1: it must be a table: [gateway]"),
            ("[capabilities.cash]\n", "elias.toml:1: the capability `cash` does not exist"),
        ] {
            let error = check(text).map(|_| ()).expect_err(text);
            assert!(error.contains(wanted), "{error}");
        }
    }
}
