//! `retry` of subscriptions and kinds of jobs.

use super::error::{InvalidTrigger, Table};
use crate::duration::DurationText;
use crate::queue::RetryPolicy;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When a run that failed is retried.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RetryConfig {
    /// The maximum number of attempts, with the first: 1 to 100; 8 by default.
    pub attempts: u32,
    /// The maximum delay before the second attempt: 100ms to 1 day; 1s by default.
    pub first: DurationText,
    /// The factor of the maximum delay for each further attempt: 1 to 10; 2 by default.
    pub factor: f64,
    /// The maximum delay before any attempt: `first` to 7 days; 1h by default.
    pub max: DurationText,
    /// Whether the delay is drawn at random, from nothing to the maximum (full jitter); `true` by default.
    pub jitter: bool,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 8,
            first: DurationText::from_secs(1),
            factor: 2.0,
            max: DurationText::from_secs(3_600),
            jitter: true,
        }
    }
}

impl RetryConfig {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            attempts: self.attempts,
            first: self.first.get(),
            factor: self.factor,
            max: self.max.get(),
            jitter: self.jitter,
        }
    }

    pub(super) fn check(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        table.within("retry.attempts", self.attempts, 1..=100)?;
        table.within("retry.first", self.first, DurationText::from_millis(100)..=DurationText::from_secs(86_400))?;
        table.within("retry.factor", self.factor, 1.0..=10.0)?;
        table.within("retry.max", self.max, self.first..=DurationText::from_secs(7 * 86_400))
    }
}
