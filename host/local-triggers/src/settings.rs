//! The table `[triggers]`, as it is run by.

use elias_triggers::config::{JobConfig, ScheduleConfig, SubscriptionConfig, TriggersConfig};
use elias_triggers::event::{Event, Filter, Transform, TypePattern};
use elias_triggers::schedule::Schedule;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Settings that cannot be used; the message has the setting's path, such as `triggers.schedule[0].cron`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSettings(String);

/// The settings that hold now.
pub(crate) type CurrentSettings = watch::Receiver<Arc<TriggerSettings>>;

/// The triggers of a component.
pub(crate) struct TriggerSettings {
    pub(crate) schedules: Vec<ScheduleSettings>,
    pub(crate) subscriptions: Vec<Arc<SubscriptionSettings>>,
    pub(crate) config: TriggersConfig,
}

/// A schedule.
pub(crate) struct ScheduleSettings {
    pub(crate) config: ScheduleConfig,
    pub(crate) schedule: Schedule,
}

/// A subscription.
pub(crate) struct SubscriptionSettings {
    pub(crate) name: String,
    pub(crate) config: SubscriptionConfig,
    /// Limits how many of its deliveries run at a time.
    pub(crate) slots: Arc<Semaphore>,
    pattern: TypePattern,
    filter: Filter,
    pub(crate) transform: Option<Transform>,
}

impl TriggerSettings {
    /// Checks and compiles the settings.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn new(config: TriggersConfig) -> Result<Self, InvalidSettings> {
        config.check().map_err(|error| InvalidSettings(error.to_string()))?;
        Self::compile(config).map_err(InvalidSettings)
    }

    fn compile(config: TriggersConfig) -> Result<Self, String> {
        let schedules = config.schedule.iter().cloned().map(|config| {
            let schedule = config.schedule().map_err(|error| format!("schedule {}: {}", config.name, error.what()))?;
            Ok::<_, String>(ScheduleSettings { config, schedule })
        });
        let subscriptions = config.event.iter().cloned().map(|config| {
            let name = config.name();
            let slots = Arc::new(Semaphore::new(usize::try_from(config.concurrency).unwrap_or(1)));
            let pattern = config.pattern().map_err(|error| format!("subscription {name}: {error}"))?;
            let filter = config.filter().map_err(|error| format!("subscription {name}: {error}"))?;
            let transform = config.transform().map_err(|error| format!("subscription {name}: {error}"))?;
            Ok::<_, String>(Arc::new(SubscriptionSettings { name, config, slots, pattern, filter, transform }))
        });
        Ok(Self {
            schedules: schedules.collect::<Result<_, _>>()?,
            subscriptions: subscriptions.collect::<Result<_, _>>()?,
            config,
        })
    }

    /// The settings of the jobs with this name.
    pub(crate) fn job(&self, name: &str) -> JobConfig {
        self.config.jobs.get(name).cloned().unwrap_or_default()
    }
}

impl SubscriptionSettings {
    /// Whether an event is for it.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.pattern.matches(&event.event_type) && self.filter.matches(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn settings(table: Value) -> Result<TriggerSettings, InvalidSettings> {
        TriggerSettings::new(serde_json::from_value(table).expect("the table's shape is right"))
    }

    #[test]
    fn the_table_is_compiled_and_what_is_wrong_is_named() {
        let table = json!({
            "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }],
            "event": [{ "type": "order.*" }],
            "jobs": { "resize": { "concurrency": 2 } },
        });
        let read = settings(table).expect("it is right");
        assert_eq!((read.schedules.len(), read.subscriptions[0].name.as_str()), (1, "order-any"));
        assert_eq!((read.job("resize").concurrency, read.job("other").concurrency), (2, 10));
        let wrong = settings(json!({ "schedule": [{ "name": "a", "cron": "* *" }] }));
        let error = wrong.map(|_| ()).expect_err("it is wrong").to_string();
        assert!(error.contains("triggers.schedule[0].cron"), "{error}");
    }
}
