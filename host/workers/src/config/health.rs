//! `[workers.health]`: when workers are asked whether they are well.

use elias_delivery::duration::DurationText;
use elias_delivery::setting::{InvalidSetting, within};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When workers that are in memory are asked whether they are well: `onHealth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HealthConfig {
    /// The least time from one check of a worker to the next: 1s to 1h; 30s by default.
    pub interval: DurationText,
    /// How long a check may take before it counts as failed: 10ms to `interval`; by default 5s, or `interval` if that
    /// is less.
    pub timeout: Option<DurationText>,
    /// The number of checks that fail one after another before the worker counts as unhealthy: 1 to 100; 3 by default.
    pub threshold: u32,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { interval: DurationText::from_secs(30), timeout: None, threshold: 3 }
    }
}

impl HealthConfig {
    /// How long a check may take.
    #[must_use]
    pub fn timeout(&self) -> DurationText {
        self.timeout.unwrap_or_else(|| DurationText::from_secs(5).min(self.interval))
    }

    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let Self { interval, timeout: _, threshold } = self;
        within("workers.health.interval", *interval, DurationText::from_secs(1)..=DurationText::from_secs(3_600))?;
        within("workers.health.timeout", self.timeout(), DurationText::from_millis(10)..=*interval)?;
        within("workers.health.threshold", *threshold, 1..=100)
    }
}
