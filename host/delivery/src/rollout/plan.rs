//! The plan of a rollout: its steps, and how much worse a canary may be.

use super::assign::Sticky;
use crate::setting::{InvalidSetting, WEEK_MS, within};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The plan of a canary rollout: its steps and its tolerances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RolloutPlan {
    /// The percentage of requests, and of service workers, for the canary in each step: 1 to 20 increasing values from
    /// 0.01 to 100; 10, 25, 50 and 100 by default. After the last step the canary is promoted, even if that step is
    /// below 100.
    pub steps: Vec<f64>,
    /// The minimum duration of a step in milliseconds: 1,000 to 604,800,000 (seven days); 120,000 by default.
    pub every_ms: u64,
    /// The minimum number of requests that the canary must have served in a step: 1 to 1,000,000; 50 by default.
    pub requests: u64,
    /// The tolerated difference between the error rates of the canary and the base version: 0 to 1; 0.01, one failure
    /// more per hundred requests, by default.
    pub error_rate: f64,
    /// The tolerated ratio of the canary's p99 latency to the base version's: 1 to 1,000; 1.5 by default.
    pub p99_ratio: f64,
    /// The tolerated ratio of the canary's fuel per request to the base version's: 1 to 1,000; 1.5 by default.
    pub fuel_ratio: f64,
    /// The attribute of a request by which a client always gets the same version; `none` by default.
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
