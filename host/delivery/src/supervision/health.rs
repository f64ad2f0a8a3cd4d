//! A component's condition, for operators.

use serde::Serialize;
use utoipa::ToSchema;

/// The health of a version, for requests or for triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Requests are served.
    Healthy,
    /// Requests are served, but failures have reached half of what opens the circuit.
    Degraded,
    /// The circuit is open: requests are refused until the backoff is over.
    Open,
    /// The circuit is half-open: a few trial requests are admitted.
    HalfOpen,
    /// Requests are refused until the service is started or deployed again.
    Stopped,
}

/// The health of a version with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthState {
    /// The health.
    pub state: Health,
    /// The reason of the last change, as a sentence; empty if the health never changed.
    pub reason: String,
    /// The time of the last change, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
}
