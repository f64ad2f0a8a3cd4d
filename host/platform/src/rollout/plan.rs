//! How a rollout goes.

use super::assign::Sticky;
use crate::setting::{InvalidSetting, WEEK_MS, within};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The steps of a rollout and what is tolerated. Every key has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RolloutPlan {
    /// Percent of the requests that go to the canary, step by step, each more than the one before: from 0.01 to 100, at
    /// most 20 steps. When the last one has held, the canary is promoted, also if it is less than 100.
    pub steps: Vec<f64>,
    /// How long a step holds at least, in milliseconds. From one second to seven days.
    pub every_ms: u64,
    /// Requests that the canary must have answered in a step at least. From 1 to 1,000,000.
    pub requests: u64,
    /// By how much the share of the canary's requests that fail may exceed the base's: 0.01 is one in a hundred. From 0
    /// to 1.
    pub error_rate: f64,
    /// How many times the base's p99 latency the canary's may be. From 1 to 1,000.
    pub p99_ratio: f64,
    /// How many times the base's fuel per request the canary's may be. From 1 to 1,000.
    pub fuel_ratio: f64,
    /// What keeps a client with the version it was given.
    pub sticky: Sticky,
}

impl Default for RolloutPlan {
    fn default() -> Self {
        Self {
            steps: vec![10.0, 25.0, 50.0, 100.0],
            every_ms: 120_000,
            requests: 50,
            error_rate: 0.01,
            p99_ratio: 1.5,
            fuel_ratio: 1.5,
            sticky: Sticky::None,
        }
    }
}

const STEPS_MAX: usize = 20;

impl RolloutPlan {
    /// Checks every key.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first key that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            let what = format!("has {} steps; it must have between 1 and {STEPS_MAX}", self.steps.len());
            return Err(InvalidSetting::new("rollout.steps", what));
        }
        for step in &self.steps {
            within("rollout.steps", *step, 0.01..=100.0)?;
        }
        if let Some([before, after]) = self.steps.array_windows().find(|[before, after]| before >= after) {
            let what = format!("has {after} after {before}; each step must be more than the one before");
            return Err(InvalidSetting::new("rollout.steps", what));
        }
        within("rollout.every-ms", self.every_ms, 1_000..=WEEK_MS)?;
        within("rollout.requests", self.requests, 1..=1_000_000)?;
        within("rollout.error-rate", self.error_rate, 0.0..=1.0)?;
        within("rollout.p99-ratio", self.p99_ratio, 1.0..=1_000.0)?;
        within("rollout.fuel-ratio", self.fuel_ratio, 1.0..=1_000.0)?;
        self.sticky.check()
    }
}
