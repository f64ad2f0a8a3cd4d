//! Where a rollout is, and how it got there.

use super::stats::Figures;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a rollout is. Steps count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RolloutState {
    /// At a step, to go on to the next when it has held.
    Running {
        /// The step.
        step: usize,
    },
    /// Held at a step by hand. Health is still watched.
    Paused {
        /// The step.
        step: usize,
    },
    /// The canary has replaced the base.
    Promoted,
    /// Given up by hand: the base has everything.
    Aborted,
    /// Given up for the canary's health: the base has everything.
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

/// A transition, to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolloutEvent {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: u64,
    /// The state before; none for the first.
    pub from: Option<RolloutState>,
    /// The state after.
    pub to: RolloutState,
    /// Why, as a sentence of at most 500 characters.
    pub reason: String,
}

/// What an operator is told of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RolloutStatus {
    /// The rollout's id.
    pub id: String,
    /// Where it is.
    #[serde(flatten)]
    pub state: RolloutState,
    /// Percent of the requests that go to the canary now.
    pub percent: f64,
    /// Percent, step by step.
    pub steps: Vec<f64>,
    /// Since when it is there, in milliseconds since 1970-01-01 UTC.
    pub since_ms: u64,
    /// Why it is there.
    pub reason: String,
    /// What the next step waits for; empty when nothing follows.
    pub waiting: String,
    /// What the canary did in this round.
    pub canary: Figures,
    /// What the base did in this round, or before if it has hardly any requests in it; none if nothing is known.
    pub base: Option<Figures>,
}

/// What cannot be done with a rollout in its present state.
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

impl RolloutError {
    /// The error's stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Finished => "rollout-finished",
            Self::AlreadyPaused => "rollout-already-paused",
            Self::NotPaused => "rollout-not-paused",
        }
    }
}
