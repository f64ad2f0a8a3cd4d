//! The table `[triggers]` of elias.toml.

mod batch;
mod error;
mod handlers;
mod job;
mod retry;
mod schedule;
mod subscription;
mod webhook;
mod worker;

#[cfg(test)]
mod tests;

pub use batch::BatchConfig;
pub use error::InvalidTrigger;
pub use job::JobConfig;
pub use retry::RetryConfig;
pub use schedule::ScheduleConfig;
pub use subscription::SubscriptionConfig;
pub use webhook::WebhookConfig;
pub use worker::{WorkerMessage, WorkerTarget};

use elias_names::TriggerName;
use error::Table;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Schedules, subscriptions, webhooks and kinds of jobs of a component, of each.
pub const TRIGGERS_MAX: usize = 100;

/// The triggers of a component: everything that starts it beside requests and calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TriggersConfig {
    /// The schedules: at most 100, each with a name of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<ScheduleConfig>,
    /// The subscriptions to events: at most 100, each with a name of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event: Vec<SubscriptionConfig>,
    /// The webhooks: at most 100, each with a name that no subscription has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub webhook: Vec<WebhookConfig>,
    /// The kinds of jobs with settings other than the defaults: at most 100.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jobs: BTreeMap<String, JobConfig>,
}

impl TriggersConfig {
    /// Whether there is neither a schedule nor a subscription nor a webhook nor a kind of jobs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.schedule.is_empty() && self.event.is_empty() && self.webhook.is_empty() && self.jobs.is_empty()
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidTrigger`] for the first setting that cannot be used.
    pub fn check(&self) -> Result<(), InvalidTrigger> {
        let triggers = Table("triggers");
        for (key, count) in [
            ("schedule", self.schedule.len()),
            ("event", self.event.len()),
            ("webhook", self.webhook.len()),
            ("jobs", self.jobs.len()),
        ] {
            if count > TRIGGERS_MAX {
                return Err(triggers.error(key, format!("has {count} entries; there must be at most {TRIGGERS_MAX}")));
            }
        }
        let mut names = BTreeSet::new();
        for (position, schedule) in self.schedule.iter().enumerate() {
            let path = format!("triggers.schedule[{position}]");
            schedule.check(Table(&path))?;
            check_unique(&mut names, Table(&path), &schedule.name)?;
        }
        let mut names = BTreeSet::new();
        for (position, subscription) in self.event.iter().enumerate() {
            let path = format!("triggers.event[{position}]");
            subscription.check(Table(&path))?;
            check_unique(&mut names, Table(&path), &subscription.name())?;
        }
        for (position, webhook) in self.webhook.iter().enumerate() {
            let path = format!("triggers.webhook[{position}]");
            webhook.check(Table(&path))?;
            check_unique(&mut names, Table(&path), &webhook.name())?;
        }
        for (name, job) in &self.jobs {
            let shown: String = name.chars().take(elias_names::NAME_BYTES_MAX).collect();
            let path = format!("triggers.jobs.{}", shown.escape_debug());
            check_name(name).map_err(|what| InvalidTrigger::new(path.clone(), what))?;
            job.check(Table(&path))?;
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), elias_names::InvalidName> {
    name.parse::<TriggerName>().map(|_| ())
}

fn check_unique(names: &mut BTreeSet<String>, table: Table<'_>, name: &str) -> Result<(), InvalidTrigger> {
    if names.insert(name.to_owned()) {
        return Ok(());
    }
    Err(table.error("name", format!("is `{name}`, as that of another one: give it a name of its own")))
}
