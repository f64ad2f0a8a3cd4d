//! The table `[capabilities.cache]` of elias.toml.

use super::caps::Caps;
use super::memory::ENTRY_OVERHEAD_BYTES;
use super::redis;
use elias_host::capability::{Amount, ConfigureError};
use serde::Deserialize;
use serde_json::Value;
use std::io::Read;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The amounts that a component may have, and the most that tenants of a platform may ask for unless its operator says
/// otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "key-bytes", default: 512, ceiling: 4 << 10 },
    Amount { key: "value-bytes", default: 1 << 20, ceiling: 16 << 20 },
    Amount { key: "keys-per-call", default: 100, ceiling: 1_000 },
    Amount { key: "total-bytes", default: 64 << 20, ceiling: 256 << 20 },
    Amount { key: "operations", default: 64, ceiling: 256 },
    Amount { key: "timeout-ms", default: 1_000, ceiling: 10_000 },
];

/// The table as it is written. Values are read by hand: serde's messages would quote them, and one may be a URL with a
/// password under the wrong key.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[derive(Default)]
struct Table {
    backend: Value,
    url: Value,
    root_certificate: Value,
    key_bytes: Value,
    value_bytes: Value,
    keys_per_call: Value,
    total_bytes: Value,
    operations: Value,
    timeout_ms: Value,
}

/// The checked grant of a component.
pub(super) struct Settings {
    pub(super) backend: BackendConfig,
    pub(super) caps: Caps,
    /// Operations that one instance may have under way at a time.
    pub(super) operations: u32,
}

/// The backend that stores the values.
pub(super) enum BackendConfig {
    /// The memory of the host.
    Memory {
        /// Bytes of all keys and values, each entry with its overhead.
        total_bytes: u64,
    },
    /// Redis.
    Redis {
        /// Has the address; not connected.
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
    let key_bytes = number("key-bytes", &table.key_bytes, 1..=64 << 10)?;
    let value_bytes = number("value-bytes", &table.value_bytes, 1..=512 << 20)?;
    let keys_per_call = number("keys-per-call", &table.keys_per_call, 1..=10_000)?;
    let total_bytes = number("total-bytes", &table.total_bytes, 1..=1 << 40)?;
    let operations = number("operations", &table.operations, 1..=10_000)?;
    let timeout_ms = number("timeout-ms", &table.timeout_ms, 1..=60_000)?;
    let backend = match &table.backend {
        Value::Null => BackendConfig::Memory { total_bytes },
        Value::String(name) if name == "memory" => BackendConfig::Memory { total_bytes },
        Value::String(name) if name == "redis" => {
            let url = url(&table.url)?;
            let roots = root_certificate(&table.root_certificate, &url)?;
            let client = redis::open(&url, roots).ok_or_else(|| {
                invalid("url", "must be one of a Redis, as redis://host:6379/0 or, for TLS, rediss://host:6379/0")
            })?;
            BackendConfig::Redis { client, timeout: Duration::from_millis(timeout_ms) }
        }
        _ => return Err(invalid("backend", "must be \"memory\" or \"redis\"")),
    };
    let largest = key_bytes + value_bytes + ENTRY_OVERHEAD_BYTES;
    if matches!(backend, BackendConfig::Memory { .. }) && total_bytes < largest {
        let what =
            format!("is less than the largest entry takes, {largest}: key-bytes and value-bytes and an overhead");
        return Err(invalid("total-bytes", &what));
    }
    let narrow = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let caps =
        Caps { key_bytes: narrow(key_bytes), value_bytes: narrow(value_bytes), keys_per_call: narrow(keys_per_call) };
    Ok(Settings { backend, caps, operations: u32::try_from(operations).unwrap_or(u32::MAX) })
}

fn number(key: &str, value: &Value, range: RangeInclusive<u64>) -> Result<u64, ConfigureError> {
    if value.is_null() {
        return Ok(AMOUNTS.iter().find(|amount| amount.key == key).map_or(*range.end(), |amount| amount.default));
    }
    value
        .as_u64()
        .filter(|number| range.contains(number))
        .ok_or_else(|| invalid(key, &format!("must be an integer from {} to {}", range.start(), range.end())))
}

/// `"redis://..."`, or `{ env = "NAME" }` for what an environment variable of the host says.
fn url(value: &Value) -> Result<String, ConfigureError> {
    match value {
        Value::String(url) => Ok(url.clone()),
        Value::Null => Err(invalid("url", "is needed by the backend \"redis\"")),
        Value::Object(table) => match (table.len(), table.get("env")) {
            (1, Some(Value::String(name))) => std::env::var(name)
                .map_err(|_| invalid("url", &format!("names the environment variable {name:?}, which is not set"))),
            _ => {
                Err(invalid("url", "must have only the key `env` as a table, with the name of an environment variable"))
            }
        },
        _ => Err(invalid("url", "must be text, or a table with the key `env`")),
    }
}

/// Bytes of a file with certificates.
const CERTIFICATE_BYTES: u64 = 1 << 20;

/// The certificate of the authority that a Redis' is of: a file of the host, or the text of one (PEM).
fn root_certificate(value: &Value, url: &str) -> Result<Option<Vec<u8>>, ConfigureError> {
    let key = "root-certificate";
    let Value::String(given) = value else {
        return if value.is_null() { Ok(None) } else { Err(invalid(key, "must be a file, or the text of one (PEM)")) };
    };
    if !url.starts_with("rediss://") {
        return Err(invalid(key, "is looked at with a url that begins with rediss:// alone"));
    }
    if given.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(Some(given.clone().into_bytes()));
    }
    // A file, and nothing that has no end.
    let read = || -> Option<Vec<u8>> {
        let mut pem = Vec::new();
        let file = std::fs::metadata(given).ok().filter(std::fs::Metadata::is_file).map(|_| std::fs::File::open(given));
        file?.ok()?.take(CERTIFICATE_BYTES).read_to_end(&mut pem).ok()?;
        Some(pem)
    };
    let pem = read().filter(|pem| pem.starts_with(b"-----BEGIN") || pem.windows(11).any(|w| w == b"\n-----BEGIN"));
    pem.map(Some).ok_or_else(|| invalid(key, "must be a readable file with PEM certificates, or their text"))
}

fn invalid(key: &str, what: &str) -> ConfigureError {
    ConfigureError::Invalid(format!("{key} {what}"))
}
