//! The settings of a kind of jobs: `[triggers.jobs.NAME]`.

use super::error::{InvalidTrigger, Table};
use super::retry::RetryConfig;
use crate::duration::DurationText;
use crate::queue::{Limit, Priority, Rate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The settings of a kind of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct JobConfig {
    /// The maximum number of concurrent jobs of this kind: 1 to 1,000; 10 by default.
    pub concurrency: u32,
    /// The maximum rate of starts, over all hosts: a number and a unit, such as `10/s`, `100/m`, `1000/h` or `5000/d`;
    /// none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// The maximum time of one attempt: 1s to 1 day; 5m by default.
    pub timeout: DurationText,
    /// The priority of jobs that name none: -100 to 100, higher first; 0 by default.
    pub priority: i32,
    /// The maximum number of concurrent jobs with the same concurrency key: 1 to 1,000; any number by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_concurrency: Option<u32>,
    /// When a job that failed is retried.
    pub retry: RetryConfig,
    /// How long the result of a job is kept: 1m to 90 days; 7 days by default.
    pub retention: DurationText,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self {
            concurrency: 10,
            rate: None,
            timeout: DurationText::from_secs(300),
            priority: 0,
            key_concurrency: None,
            retry: RetryConfig::default(),
            retention: DurationText::from_secs(7 * 86_400),
        }
    }
}

impl JobConfig {
    /// The limit of this kind of jobs; a rate that is none is no limit ([`super::TriggersConfig::check`] refuses it).
    #[must_use]
    pub fn limit(&self) -> Limit {
        let rate = self.rate.as_deref().and_then(|rate| rate.parse().ok());
        Limit { concurrency: Some(self.concurrency), rate }
    }

    /// The limit of the jobs with the same concurrency key.
    #[must_use]
    pub fn key_limit(&self) -> Limit {
        Limit { concurrency: self.key_concurrency, rate: None }
    }

    pub(super) fn check(&self, table: Table<'_>) -> Result<(), InvalidTrigger> {
        table.within("concurrency", self.concurrency, 1..=1_000)?;
        if let Some(rate) = &self.rate {
            rate.parse::<Rate>().map_err(|error| table.error("rate", format!("cannot be used: {error}")))?;
        }
        let day = DurationText::from_secs(86_400);
        table.within("timeout", self.timeout, DurationText::from_secs(1)..=day)?;
        Priority::new(self.priority).map_err(|error| table.error("priority", error))?;
        if let Some(concurrency) = self.key_concurrency {
            table.within("key-concurrency", concurrency, 1..=1_000)?;
        }
        self.retry.check(table)?;
        table.within("retention", self.retention, DurationText::from_secs(60)..=DurationText::from_secs(90 * 86_400))
    }
}
