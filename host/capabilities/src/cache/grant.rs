//! The table `[capabilities.cache]` of elias.toml.

use super::contract::Caps;
use super::memory::ENTRY_OVERHEAD_BYTES;
use super::redis;
use elias_host::capability::ConfigureError;
use serde::Deserialize;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The table as it is written. Values are read by hand: serde's messages would quote them, and one may be a URL with a
/// password under the wrong key.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[derive(Default)]
struct Table {
    backend: Value,
    url: Value,
    key_bytes: Value,
    value_bytes: Value,
    keys_per_call: Value,
    total_bytes: Value,
    operations: Value,
    timeout_ms: Value,
}

/// What a component was granted, checked.
pub(super) struct Settings {
    pub(super) place: Place,
    pub(super) caps: Caps,
    /// Operations that one instance may have under way at a time.
    pub(super) operations: u32,
}

/// Where values are kept.
pub(super) enum Place {
    /// In the memory of the host.
    Memory {
        /// Bytes of all keys and values, each entry with its overhead.
        total_bytes: u64,
    },
    /// In Redis.
    Redis {
        /// Knows where; not connected.
        client: ::redis::Client,
        /// How long an operation may take.
        timeout: Duration,
    },
}

/// Reads a grant.
///
/// # Errors
/// [`ConfigureError::NotGranted`] for none; [`ConfigureError::Invalid`] for what is wrong, with the key and without the
/// value.
pub(super) fn read(granted: Option<&Value>) -> Result<Settings, ConfigureError> {
    let table: Table = elias_host::grants::parse(granted)?;
    let key_bytes = number("key-bytes", &table.key_bytes, 512, 1..=64 << 10)?;
    let value_bytes = number("value-bytes", &table.value_bytes, 1 << 20, 1..=512 << 20)?;
    let keys_per_call = number("keys-per-call", &table.keys_per_call, 100, 1..=10_000)?;
    let total_bytes = number("total-bytes", &table.total_bytes, 64 << 20, 1..=1 << 40)?;
    let operations = number("operations", &table.operations, 64, 1..=10_000)?;
    let timeout_ms = number("timeout-ms", &table.timeout_ms, 1000, 1..=60_000)?;
    let place = match &table.backend {
        Value::Null => Place::Memory { total_bytes },
        Value::String(backend) if backend == "memory" => Place::Memory { total_bytes },
        Value::String(backend) if backend == "redis" => {
            let url = url(&table.url)?;
            let client = redis::open(&url)
                .ok_or_else(|| invalid("url", "is no URL of a Redis, as redis://host:6379/0; TLS is not supported"))?;
            Place::Redis { client, timeout: Duration::from_millis(timeout_ms) }
        }
        _ => return Err(invalid("backend", "is neither \"memory\" nor \"redis\"")),
    };
    let largest = key_bytes + value_bytes + ENTRY_OVERHEAD_BYTES;
    if matches!(place, Place::Memory { .. }) && total_bytes < largest {
        let what =
            format!("is less than the largest entry takes, {largest}: key-bytes and value-bytes and an overhead");
        return Err(invalid("total-bytes", &what));
    }
    let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let caps =
        Caps { key_bytes: narrow(key_bytes), value_bytes: narrow(value_bytes), keys_per_call: narrow(keys_per_call) };
    Ok(Settings { place, caps, operations: u32::try_from(operations).unwrap_or(u32::MAX) })
}

fn number(key: &str, value: &Value, default: u64, range: RangeInclusive<u64>) -> Result<u64, ConfigureError> {
    if value.is_null() {
        return Ok(default);
    }
    value
        .as_u64()
        .filter(|number| range.contains(number))
        .ok_or_else(|| invalid(key, &format!("is no whole number between {} and {}", range.start(), range.end())))
}

/// `"redis://..."`, or `{ env = "NAME" }` for what an environment variable of the host says.
fn url(value: &Value) -> Result<String, ConfigureError> {
    match value {
        Value::String(url) => Ok(url.clone()),
        Value::Null => Err(invalid("url", "is needed by the backend \"redis\"")),
        Value::Object(table) => match (table.len(), table.get("env")) {
            (1, Some(Value::String(name))) => std::env::var(name)
                .map_err(|_| invalid("url", &format!("names the environment variable {name:?}, which is not set"))),
            _ => Err(invalid("url", "as a table has the key env alone, the name of an environment variable")),
        },
        _ => Err(invalid("url", "is neither text nor a table with the key env")),
    }
}

fn invalid(key: &str, what: &str) -> ConfigureError {
    ConfigureError::Invalid(format!("{key} {what}"))
}
