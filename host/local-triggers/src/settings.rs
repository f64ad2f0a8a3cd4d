//! The table `[triggers]`, as it is run by.

use crate::open_batch::OpenBatch;
use crate::webhook::{Webhook, WebhookSender};
use elias_triggers::config::{JobConfig, ScheduleConfig, SubscriptionConfig, TriggersConfig, WebhookConfig};
use elias_triggers::event::{Event, Filter, Transform, TypePattern};
use elias_triggers::schedule::Schedule;
use parking_lot::Mutex;
use std::collections::HashMap;
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
    /// The batch that waits for more events, if it has batches that do.
    pub(crate) open_batch: Mutex<OpenBatch>,
    /// The URL that gets its events; none: the handler `event`.
    pub(crate) webhook: Option<Webhook>,
}

impl TriggerSettings {
    /// Checks and compiles the settings; `sender` sends the webhooks, which cannot be used without.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn new(
        config: TriggersConfig,
        sender: Option<&Arc<dyn WebhookSender>>,
    ) -> Result<Self, InvalidSettings> {
        config.check().map_err(|error| InvalidSettings(error.to_string()))?;
        Self::compile(config, sender).map_err(InvalidSettings)
    }

    fn compile(config: TriggersConfig, sender: Option<&Arc<dyn WebhookSender>>) -> Result<Self, String> {
        let schedules = config.schedule.iter().cloned().map(|config| {
            let schedule = config.schedule().map_err(|error| format!("schedule {}: {}", config.name, error.what()))?;
            Ok::<_, String>(ScheduleSettings { config, schedule })
        });
        let mut subscriptions = Vec::new();
        for config in &config.event {
            subscriptions.push(Arc::new(SubscriptionSettings::new(config.clone(), None)?));
        }
        for config in &config.webhook {
            let Some(sender) = sender else {
                return Err("triggers.webhook needs `LocalTriggersBuilder::webhooks`, which sends them".to_owned());
            };
            let WebhookConfig { url, secret, .. } = config.clone();
            let webhook = Webhook { url, secret, sender: Arc::clone(sender) };
            subscriptions.push(Arc::new(SubscriptionSettings::new(config.subscription(), Some(webhook))?));
        }
        Ok(Self { schedules: schedules.collect::<Result<_, _>>()?, subscriptions, config })
    }

    /// The settings of the jobs with this name.
    pub(crate) fn job(&self, name: &str) -> JobConfig {
        self.config.jobs.get(name).cloned().unwrap_or_default()
    }

    /// The priorities of jobs that are enqueued without one, by their names.
    pub(crate) fn priorities(&self) -> HashMap<String, i32> {
        self.config.jobs.iter().map(|(name, config)| (name.clone(), config.priority)).collect()
    }
}

impl SubscriptionSettings {
    fn new(config: SubscriptionConfig, webhook: Option<Webhook>) -> Result<Self, String> {
        let name = config.name();
        let slots = Arc::new(Semaphore::new(usize::try_from(config.concurrency).unwrap_or(1)));
        let pattern = config.pattern().map_err(|error| format!("subscription {name}: {error}"))?;
        let filter = config.filter().map_err(|error| format!("subscription {name}: {error}"))?;
        let transform = config.transform().map_err(|error| format!("subscription {name}: {error}"))?;
        Ok(Self { name, config, slots, pattern, filter, transform, open_batch: Mutex::default(), webhook })
    }

    /// Whether an event is for it.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.pattern.matches(&event.event_type) && self.filter.matches(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_triggers::webhook_delivery::{WebhookRequest, WebhookResponse};
    use futures::FutureExt;
    use futures::future::{BoxFuture, ready};
    use serde_json::{Value, json};

    struct Nowhere;

    impl WebhookSender for Nowhere {
        fn send<'a>(&'a self, _: &'a str, _: WebhookRequest) -> BoxFuture<'a, Result<WebhookResponse, String>> {
            ready(Ok(WebhookResponse::default())).boxed()
        }
    }

    fn settings(table: Value, sender: Option<&Arc<dyn WebhookSender>>) -> Result<TriggerSettings, InvalidSettings> {
        TriggerSettings::new(serde_json::from_value(table).expect("the table's shape is right"), sender)
    }

    #[test]
    fn the_table_is_compiled_and_what_is_wrong_is_named() {
        let table = json!({
            "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }],
            "event": [{ "type": "order.*" }],
            "jobs": { "resize": { "concurrency": 2, "priority": 7 } },
        });
        let read = settings(table, None).expect("it is right");
        assert_eq!((read.schedules.len(), read.subscriptions[0].name.as_str()), (1, "order-any"));
        assert_eq!((read.job("resize").concurrency, read.job("other").concurrency), (2, 10));
        assert_eq!(read.priorities(), HashMap::from([("resize".to_owned(), 7)]));
        let wrong = settings(json!({ "schedule": [{ "name": "a", "cron": "* *" }] }), None);
        let error = wrong.map(|_| ()).expect_err("it is wrong").to_string();
        assert!(error.contains("triggers.schedule[0].cron"), "{error}");
    }

    #[test]
    fn a_webhook_is_a_subscription_and_needs_a_sender() {
        let webhook = json!({ "name": "partner", "type": "a", "url": "https://example.com/a", "secret": "SECRET" });
        let table = json!({ "event": [{ "type": "order.*" }], "webhook": [webhook] });
        let sender: Arc<dyn WebhookSender> = Arc::new(Nowhere);
        let read = settings(table.clone(), Some(&sender)).expect("it is right");
        let is_webhook = |subscription: &Arc<SubscriptionSettings>| subscription.webhook.is_some();
        assert_eq!(read.subscriptions.iter().map(is_webhook).collect::<Vec<_>>(), [false, true]);
        let error = settings(table, None).map(|_| ()).expect_err("nothing sends it").to_string();
        assert!(error.contains("triggers.webhook"), "{error}");
    }
}
