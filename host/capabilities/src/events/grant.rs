//! The table `[capabilities.events]` of elias.toml.

use crate::trigger::PAYLOAD_BYTES_MAX;
use elias_host::capability::{Amount, ConfigureError};
use elias_triggers::event::TypePattern;
use serde::Deserialize;
use serde_json::Value;

const PUBLISHES: u64 = 100;
const PAYLOAD_BYTES: u64 = 128 << 10;

/// The amounts of the host that a component may take, and the most that tenants of a platform may ask for unless its
/// operator says otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "publishes", default: PUBLISHES, ceiling: 10_000 },
    Amount { key: "payload-bytes", default: PAYLOAD_BYTES, ceiling: PAYLOAD_BYTES_MAX },
];

/// The most that `publishes` can say.
const PUBLISHES_MAX: u64 = 1_000_000;
/// The most patterns of types.
const TYPES_MAX: usize = 100;

/// The table as it is written. Keys are in kebab-case; every one has a default.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    publishes: u64,
    payload_bytes: u64,
    types: Vec<String>,
}

impl Default for Table {
    fn default() -> Self {
        Self { publishes: PUBLISHES, payload_bytes: PAYLOAD_BYTES, types: vec!["**".to_owned()] }
    }
}

/// The grant of the capability `events`.
#[derive(Debug, Clone)]
pub struct EventsGrant {
    /// Events that one execution may publish.
    pub(super) publishes: u64,
    /// Bytes of an event's data.
    pub(super) payload_bytes: u64,
    types: Vec<TypePattern>,
}

impl EventsGrant {
    /// Reads a grant.
    ///
    /// # Errors
    /// [`ConfigureError::NotGranted`] for none; [`ConfigureError::Invalid`] for what is wrong, with the key.
    pub(super) fn read(granted: Option<&Value>) -> Result<Self, ConfigureError> {
        let Table { publishes, payload_bytes, types } = elias_host::grants::parse(granted)?;
        let invalid = |message: String| Err(ConfigureError::Invalid(message));
        if !(1..=PUBLISHES_MAX).contains(&publishes) {
            return invalid(format!("publishes: must be between 1 and {PUBLISHES_MAX}"));
        }
        if !(1..=PAYLOAD_BYTES_MAX).contains(&payload_bytes) {
            return invalid(format!("payload-bytes: must be between 1 and {PAYLOAD_BYTES_MAX}"));
        }
        if types.len() > TYPES_MAX {
            return invalid(format!("types: at most {TYPES_MAX} are allowed"));
        }
        // One that fits nothing which can be published is a mistake.
        let can_fit = |text: &str| text.split('.').all(|part| part == "*" || part == "**" || is_part(part));
        let parse = |text: &String| text.parse::<TypePattern>().ok().filter(|_| can_fit(text));
        match types.iter().map(parse).collect() {
            Some(types) => Ok(Self { publishes, payload_bytes, types }),
            None => invalid("types: must be patterns such as \"order.paid\", \"order.*\" or \"order.**\"".to_owned()),
        }
    }

    /// Whether events of this type may be published.
    pub(super) fn allows(&self, event_type: &str) -> bool {
        self.types.iter().any(|pattern| pattern.matches(event_type))
    }
}

/// Whether this is a type: parts of letters, digits, `-` and `_`, separated by dots.
pub(super) fn is_type(text: &str) -> bool {
    text.split('.').all(is_part)
}

fn is_part(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_parts_and_dots() {
        assert!(["order", "order.paid", "a-b.c_d.9"].into_iter().all(is_type));
        assert!(!["", ".", "a..b", "a.*", "ö", "a b", "a\n"].into_iter().any(is_type));
    }
}
