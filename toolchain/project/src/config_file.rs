//! elias.toml: all of its tables.

use crate::build_table::{BuildTable, build_table};
use crate::error::ProjectError;
use crate::settings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The configuration's file name.
pub const CONFIG_FILE: &str = "elias.toml";

/// The capabilities that components can be granted.
pub const CAPABILITIES: [&str; 11] =
    ["cache", "config", "crypto", "db", "events", "flags", "http", "jobs", "log", "workers", "workflow"];

/// The content of an elias.toml.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigFile {
    /// `listen`: address and port of the server.
    pub listen: Option<String>,
    /// `[build]`: how the component is built.
    pub build: BuildTable,
    /// `[limits]`: [`settings::SETTINGS`] by name, in the units that their names say.
    pub limits: BTreeMap<String, u64>,
    /// `[capabilities.NAME]`: what the component is granted, an object for each capability.
    pub capabilities: BTreeMap<String, Value>,
    /// `[gateway]`: routes and their rules, an object. Some rules need a platform, as do the three tables that follow.
    pub gateway: Option<Value>,
    /// `[supervision]`: circuit breaker, bulkhead and retries, an object.
    pub supervision: Option<Value>,
    /// `[triggers]`: schedules, subscriptions to events and kinds of jobs, an object.
    pub triggers: Option<Value>,
    /// `[workers]`: how service workers run, an object. Also for `elias dev` and `elias serve FILE`.
    pub workers: Option<Value>,
    /// `[smoke]`: the request that a version must serve correctly before it gets traffic, an object.
    pub smoke: Option<Value>,
    /// `[nats]`: what connects a platform with a NATS server, an object. In the file of the platform's own host.
    pub nats: Option<Value>,
}

impl ConfigFile {
    /// Reads the file; without one everything has its default.
    ///
    /// # Errors
    /// [`ProjectError::Io`] if it cannot be read, [`ProjectError::Config`] for a file that is not TOML, an unknown key,
    /// or a value of the wrong type or out of range.
    pub fn read(path: Option<&Path>) -> Result<Self, ProjectError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| ProjectError::Io { path: path.to_owned(), error })?;
        parse(&text).map_err(|(span, message)| {
            let file = path.display().to_string();
            ProjectError::Config { file, text, span, message }
        })
    }
}

/// The defect, and the bytes at which it is.
type Refusal = (Range<usize>, String);

fn parse(text: &str) -> Result<ConfigFile, Refusal> {
    let mut file = ConfigFile::default();
    let table = DeTable::parse(text).map_err(|error| (error.span().unwrap_or(0..0), error.message().to_owned()))?;
    for (key, value) in table.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("listen", DeValue::String(listen)) => file.listen = Some(listen.to_string()),
            ("limits", DeValue::Table(table)) => file.limits = limits(table)?,
            ("capabilities", DeValue::Table(tables)) => file.capabilities = capabilities(tables)?,
            ("build", DeValue::Table(table)) => file.build = build_table(table)?,
            ("gateway", table @ DeValue::Table(_)) => file.gateway = Some(json(table)),
            ("supervision", table @ DeValue::Table(_)) => file.supervision = Some(json(table)),
            ("triggers", table @ DeValue::Table(_)) => file.triggers = Some(json(table)),
            ("workers", table @ DeValue::Table(_)) => file.workers = Some(json(table)),
            ("smoke", table @ DeValue::Table(_)) => file.smoke = Some(json(table)),
            ("nats", table @ DeValue::Table(_)) => file.nats = Some(json(table)),
            (name @ ("gateway" | "supervision" | "triggers" | "workers" | "smoke" | "nats"), _) => {
                return Err((value.span(), format!("it must be a table: [{name}]")));
            }
            ("listen", _) => {
                return Err((value.span(), "listen must be a string such as \"127.0.0.1:8787\"".to_owned()));
            }
            (key_name, _) => {
                let message = format!(
                    "the key `{key_name}` does not exist here; the keys are `listen` and the tables `[build]`, \
                     `[limits]`, `[capabilities.NAME]`, `[gateway]`, `[supervision]`, `[triggers]`, `[workers]`, \
                     `[smoke]` and `[nats]`"
                );
                return Err((key.span(), message));
            }
        }
    }
    Ok(file)
}

fn limits(table: &DeTable<'_>) -> Result<BTreeMap<String, u64>, Refusal> {
    let mut limits = BTreeMap::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| (value.span(), format!("{name} must be a number that is not negative")))?;
        settings::check(name, number).map_err(|message| (key.span(), message))?;
        limits.insert(name.to_owned(), number);
    }
    Ok(limits)
}

fn capabilities(tables: &DeTable<'_>) -> Result<BTreeMap<String, Value>, Refusal> {
    let mut capabilities = BTreeMap::new();
    for (key, value) in tables {
        let name = key.get_ref().as_ref();
        if !CAPABILITIES.contains(&name) {
            let known = CAPABILITIES.join(", ");
            return Err((key.span(), format!("the capability `{name}` does not exist; the capabilities are {known}")));
        }
        let DeValue::Table(_) = value.get_ref() else {
            return Err((value.span(), format!("it must be a table: [capabilities.{name}]")));
        };
        capabilities.insert(name.to_owned(), json(value.get_ref()));
    }
    Ok(capabilities)
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

    fn check(text: &str) -> Result<ConfigFile, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("elias.toml");
        std::fs::write(&file, text).expect("writing");
        ConfigFile::read(Some(&file)).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_limits() {
        let file = check("listen = \"127.0.0.1:9\"\n[limits]\nfuel = 5\ndeadline-ms = 7\n").expect("it is right");
        assert_eq!(file.limits, BTreeMap::from([("fuel".to_owned(), 5), ("deadline-ms".to_owned(), 7)]));
        assert_eq!(file.listen.as_deref(), Some("127.0.0.1:9"));
    }

    #[test]
    fn reads_grants() {
        let file = check("[capabilities.http]\nallow = [\"https://a.example\"]\nredirects = 3\n").expect("it is right");
        let wanted = serde_json::json!({ "allow": ["https://a.example"], "redirects": 3 });
        assert_eq!(file.capabilities.get("http"), Some(&wanted));
        // Those that every component has may have a table too, which says no more than that.
        for free in ["crypto", "log"] {
            let file = check(&format!("[capabilities.{free}]\n")).expect("it is right");
            assert_eq!(file.capabilities.get(free), Some(&serde_json::json!({})), "{free}");
        }
    }

    #[test]
    fn keeps_what_is_for_a_platform() {
        let text = "[gateway.cors]\norigins = [\"*\"]\n[supervision]\nretries = 1\n[smoke]\npath = \"/up\"\n\
                    [[triggers.schedule]]\nname = \"nightly\"\ncron = \"0 3 * * *\"\n[workers]\nidle = \"5s\"\n";
        let file = check(text).expect("it is right");
        assert_eq!(file.gateway, Some(serde_json::json!({ "cors": { "origins": ["*"] } })));
        assert_eq!(file.supervision, Some(serde_json::json!({ "retries": 1 })));
        assert_eq!(file.smoke, Some(serde_json::json!({ "path": "/up" })));
        let schedule = serde_json::json!({ "name": "nightly", "cron": "0 3 * * *" });
        assert_eq!(file.triggers, Some(serde_json::json!({ "schedule": [schedule] })));
        assert_eq!(file.workers, Some(serde_json::json!({ "idle": "5s" })));
    }

    #[test]
    fn names_the_line_of_what_is_wrong() {
        for (text, wanted) in [
            ("[limits]\nfule = 5\n", "elias.toml:2: the setting `fule` does not exist; did you mean `fuel`?"),
            ("[limits]\n\nfuel = -5\n", "elias.toml:3: fuel must be a number"),
            ("\n\n= 5\n", "elias.toml:3:"),
            ("worker = 5\n", "elias.toml:1: the key `worker` does not exist here"),
            ("workers = 5\n", "elias.toml:1: it must be a table: [workers]"),
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
