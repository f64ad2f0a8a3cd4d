//! The table `[capabilities.workflow]` of elias.toml.

use elias_host::capability::{Amount, ConfigureError};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of the longest outcome that a table can allow.
pub(super) const OUTCOME_BYTES_MAX: u64 = 1 << 20;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const STEPS: u64 = 1_000;
const OUTCOME_BYTES: u64 = 128 << 10;
const WAIT_MS: u64 = 30 * DAY_MS;

/// The amounts of the host that a component may take, and the most that tenants of a platform may ask for unless its
/// operator says otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "steps", default: STEPS, ceiling: 10_000 },
    Amount { key: "outcome-bytes", default: OUTCOME_BYTES, ceiling: OUTCOME_BYTES_MAX },
    Amount { key: "wait-ms", default: WAIT_MS, ceiling: 366 * DAY_MS },
];

/// The grant of the capability `workflow`. Keys are in kebab-case; every one has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkflowGrant {
    /// Steps of a job, sleeps and waits included.
    pub steps: u64,
    /// Bytes of an outcome.
    pub outcome_bytes: u64,
    /// Milliseconds of a sleep, or of a wait's timeout.
    pub wait_ms: u64,
}

impl Default for WorkflowGrant {
    fn default() -> Self {
        Self { steps: STEPS, outcome_bytes: OUTCOME_BYTES, wait_ms: WAIT_MS }
    }
}

impl WorkflowGrant {
    /// Reads a grant.
    ///
    /// # Errors
    /// [`ConfigureError::NotGranted`] for none; [`ConfigureError::Invalid`] for what is wrong, with the key.
    pub(super) fn read(granted: Option<&Value>) -> Result<Self, ConfigureError> {
        let grant: Self = elias_host::grants::parse(granted)?;
        let bounds = [
            ("steps", grant.steps, 100_000),
            ("outcome-bytes", grant.outcome_bytes, OUTCOME_BYTES_MAX),
            ("wait-ms", grant.wait_ms, 3_660 * DAY_MS),
        ];
        for (key, value, most) in bounds {
            if value == 0 || value > most {
                return Err(ConfigureError::Invalid(format!("{key}: must be between 1 and {most}")));
            }
        }
        Ok(grant)
    }
}
