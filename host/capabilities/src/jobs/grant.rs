//! The table `[capabilities.jobs]` of elias.toml.

use crate::trigger::PAYLOAD_BYTES_MAX;
use elias_host::capability::{Amount, ConfigureError};
use serde::Deserialize;
use serde_json::Value;

const ENQUEUES: u64 = 100;
const PAYLOAD_BYTES: u64 = 128 << 10;

/// The amounts of the host that a component may take, and the most that tenants of a platform may ask for unless its
/// operator says otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "enqueues", default: ENQUEUES, ceiling: 10_000 },
    Amount { key: "payload-bytes", default: PAYLOAD_BYTES, ceiling: PAYLOAD_BYTES_MAX },
];

/// The most that `enqueues` can say.
const ENQUEUES_MAX: u64 = 1_000_000;
/// The most targets.
const TARGETS_MAX: usize = 1_000;

/// The grant of the capability `jobs`. Keys are in kebab-case; every one has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobsGrant {
    /// Jobs that one execution may enqueue or cancel.
    pub enqueues: u64,
    /// Bytes of an input.
    pub payload_bytes: u64,
    /// The other components whose jobs it may enqueue.
    pub targets: Vec<String>,
}

impl Default for JobsGrant {
    fn default() -> Self {
        Self { enqueues: ENQUEUES, payload_bytes: PAYLOAD_BYTES, targets: Vec::new() }
    }
}

impl JobsGrant {
    /// Reads a grant.
    ///
    /// # Errors
    /// [`ConfigureError::NotGranted`] for none; [`ConfigureError::Invalid`] for what is wrong, with the key.
    pub(super) fn read(granted: Option<&Value>) -> Result<Self, ConfigureError> {
        let grant: Self = elias_host::grants::parse(granted)?;
        let invalid = |message: String| Err(ConfigureError::Invalid(message));
        if !(1..=ENQUEUES_MAX).contains(&grant.enqueues) {
            return invalid(format!("enqueues: must be between 1 and {ENQUEUES_MAX}"));
        }
        if !(1..=PAYLOAD_BYTES_MAX).contains(&grant.payload_bytes) {
            return invalid(format!("payload-bytes: must be between 1 and {PAYLOAD_BYTES_MAX}"));
        }
        if grant.targets.len() > TARGETS_MAX {
            return invalid(format!("targets: at most {TARGETS_MAX} are allowed"));
        }
        if grant.targets.iter().any(String::is_empty) {
            return invalid("targets: must be the names of components".to_owned());
        }
        Ok(grant)
    }
}
