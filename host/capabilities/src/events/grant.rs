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
/// Bytes of a type, of a subject and of a key.
pub(super) const TEXT_BYTES_MAX: usize = 256;
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

    /// Reads the table as a platform has it, for events that it publishes in the component's name.
    ///
    /// # Errors
    /// [`ConfigureError::Invalid`] for what is wrong, with the key.
    pub fn parse(table: &Value) -> Result<Self, ConfigureError> {
        Self::read(Some(table))
    }

    /// Whether an event of this name is one that the component may publish: a type, and among those that were granted.
    #[must_use]
    pub fn allows_name(&self, name: &str) -> bool {
        name.len() <= TEXT_BYTES_MAX && is_type(name) && self.allows(name)
    }

    /// Checks how many events one execution publishes, and the bytes of their data.
    ///
    /// # Errors
    /// A message with the key of the amount that is exceeded.
    pub fn check_amounts(&self, bytes: impl IntoIterator<Item = usize>) -> Result<(), String> {
        for (bytes, number) in bytes.into_iter().zip(1..) {
            if number > self.publishes {
                return Err(format!("one execution may publish {} events (publishes)", self.publishes));
            }
            if bytes as u64 > self.payload_bytes {
                return Err(format!("the data have {bytes} bytes; payload-bytes is {}", self.payload_bytes));
            }
        }
        Ok(())
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
    fn what_a_platform_publishes_for_a_component_keeps_to_the_grant() {
        let table = serde_json::json!({ "types": ["order.*"], "publishes": 2, "payload-bytes": 10 });
        let grant = EventsGrant::parse(&table).expect("a grant");
        assert!(grant.allows_name("order.paid"));
        let long = format!("order.{}", "x".repeat(TEXT_BYTES_MAX));
        assert!(!["", "order", "order.paid twice", "cart.paid", &long].into_iter().any(|name| grant.allows_name(name)));
        assert_eq!(grant.check_amounts([10, 10]), Ok(()));
        assert!(grant.check_amounts([11]).is_err_and(|error| error.contains("payload-bytes is 10")));
        assert!(grant.check_amounts([1, 1, 1]).is_err_and(|error| error.contains("2 events (publishes)")));
        assert!(EventsGrant::parse(&serde_json::json!({ "publishes": 0 })).is_err());
    }

    #[test]
    fn a_type_is_parts_and_dots() {
        assert!(["order", "order.paid", "a-b.c_d.9"].into_iter().all(is_type));
        assert!(!["", ".", "a..b", "a.*", "ö", "a b", "a\n"].into_iter().any(is_type));
    }
}
