//! The state of a rollout, and the changes that led to it.

use super::stats::VersionMetrics;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RolloutState {
    /// The rollout is at a step and continues with the next one when the step has passed.
    Running {
        /// The index of the step in the plan, from 0.
        step: usize,
    },
    /// The rollout was paused at a step by an operator. The health of the canary is still watched.
    Paused {
        /// The index of the step in the plan, from 0.
        step: usize,
    },
    /// The canary has replaced the base version.
    Promoted,
    /// The rollout was aborted by an operator: the base version gets all requests.
    Aborted,
    /// The canary failed a check and was rolled back automatically: the base version gets all requests.
    RolledBack,
}

impl RolloutState {
    /// The step, of a rollout that is under way.
    #[must_use]
    pub fn step(self) -> Option<usize> {
        match self {
            Self::Running { step } | Self::Paused { step } => Some(step),
            Self::Promoted | Self::Aborted | Self::RolledBack => None,
        }
    }

    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.step().is_none()
    }
}

/// A transition of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutEvent {
    /// The time, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The state before; null for the first transition.
    pub from: Option<RolloutState>,
    /// The state after.
    pub to: RolloutState,
    /// The reason, a sentence of at most 500 characters.
    pub reason: String,
}

/// The progress of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RolloutStatus {
    /// The id of the rollout: that of its deployment.
    pub id: String,
    /// The state.
    #[serde(flatten)]
    pub state: RolloutState,
    /// The percentage of requests that the canary gets now.
    pub percent: f64,
    /// The percentage of requests for the canary in each step of the plan.
    pub steps: Vec<f64>,
    /// The time of the last transition, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
    /// The reason of the last transition.
    pub reason: String,
    /// The condition that the next step waits for; empty if no step follows.
    pub waiting: String,
    /// The measurements of the canary in the current round of the comparison.
    pub canary: VersionMetrics,
    /// The measurements of the base version in the current round of the comparison, or of an earlier one if the current
    /// one has too few requests; null if there are none.
    pub base: Option<VersionMetrics>,
}

/// An action that the present state of a rollout does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RolloutError {
    /// It has ended.
    #[error("the rollout has ended; deploy to start another")]
    Finished,
    /// To pause: it is paused already.
    #[error("the rollout is paused already; resume, promote or abort it")]
    AlreadyPaused,
    /// To resume: it is not paused.
    #[error("the rollout is not paused; it goes on by itself")]
    NotPaused,
}
