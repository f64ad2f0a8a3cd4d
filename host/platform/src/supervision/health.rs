//! What an operator is told of a component's condition.

use serde::Serialize;
use utoipa::ToSchema;

/// A component's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It answers.
    Healthy,
    /// It answers, but is half way to being taken out.
    Degraded,
    /// Its requests are refused for a while.
    Open,
    /// A few requests are let through to try it.
    HalfOpen,
    /// Its requests are refused until someone resumes it or deploys.
    Stopped,
}

/// A condition with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HealthState {
    /// The condition.
    pub state: Health,
    /// Why it is so, as a sentence; empty for a component that never was otherwise.
    pub reason: String,
    /// Since when, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
}
