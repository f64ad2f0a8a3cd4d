//! The table `[capabilities.workers]` of elias.toml.

use elias_host::capability::{Amount, ConfigureError};
use serde::Deserialize;
use serde_json::Value;

/// The default of `calls`. Three numbers bound that key: a grant without it has this default; a tenant of a platform may
/// ask for as much as the ceiling in [`AMOUNTS`], unless an operator sets another; no grant at all, a tenant's or an
/// embedder's, may have more than [`CALLS_MAX`].
const CALLS: u64 = 100;

/// Bytes of a message or of arguments at most. JavaScript bounds their characters by the same number, of which each has
/// a byte or more.
pub(super) const PAYLOAD_BYTES_MAX: u64 = 1 << 20;

/// The amounts of the host that a component may take, and the most that tenants of a platform may ask for unless its
/// operator says otherwise.
pub(super) const AMOUNTS: &[Amount] = &[
    Amount { key: "calls", default: CALLS, ceiling: 10_000 },
    Amount { key: "payload-bytes", default: PAYLOAD_BYTES_MAX, ceiling: PAYLOAD_BYTES_MAX },
];

/// The most that `calls` can say.
const CALLS_MAX: u64 = 1_000_000;

/// The grant of the capability `workers`. Keys are in kebab-case; every one has a default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkersGrant {
    /// Calls and messages of one execution.
    pub calls: u64,
    /// Bytes of a message, or of the arguments of a call.
    pub payload_bytes: u64,
}

impl Default for WorkersGrant {
    fn default() -> Self {
        Self { calls: CALLS, payload_bytes: PAYLOAD_BYTES_MAX }
    }
}

impl WorkersGrant {
    /// Reads a grant.
    ///
    /// # Errors
    /// [`ConfigureError::NotGranted`] for none; [`ConfigureError::Invalid`] for what is wrong, with the key.
    pub(super) fn read(granted: Option<&Value>) -> Result<Self, ConfigureError> {
        let grant: Self = elias_host::grants::parse(granted)?;
        if !(1..=CALLS_MAX).contains(&grant.calls) {
            return Err(ConfigureError::Invalid(format!("calls: must be between 1 and {CALLS_MAX}")));
        }
        if !(1..=PAYLOAD_BYTES_MAX).contains(&grant.payload_bytes) {
            let message = format!("payload-bytes: must be between 1 and {PAYLOAD_BYTES_MAX}");
            return Err(ConfigureError::Invalid(message));
        }
        Ok(grant)
    }
}
