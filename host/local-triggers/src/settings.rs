//! The table `[triggers]`, as it is run by.

use crate::open_batch::OpenBatch;
use crate::webhook::{Webhook, WebhookSender};
use crate::worker::{Worker, WorkerSender};
use elias_triggers::config::{
    JobConfig, ScheduleConfig, SubscriptionConfig, TriggersConfig, WebhookConfig, WorkerTarget,
};
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

/// What sends the events and ticks that are not for a handler.
#[derive(Clone, Default)]
pub(crate) struct Senders {
    pub(crate) webhooks: Option<Arc<dyn WebhookSender>>,
    pub(crate) workers: Option<Arc<dyn WorkerSender>>,
}

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
    /// The service worker that gets its ticks; none: the handler `scheduled`.
    pub(crate) worker: Option<Worker>,
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
    /// The URL that gets its events.
    pub(crate) webhook: Option<Webhook>,
    /// The service worker that gets its events; where there is no URL either: the handler `event`.
    pub(crate) worker: Option<Worker>,
}

impl TriggerSettings {
    /// Checks and compiles the settings. Webhooks and workers cannot be used without what sends to them.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn new(config: TriggersConfig, senders: &Senders) -> Result<Self, InvalidSettings> {
        config.check().map_err(|error| InvalidSettings(error.to_string()))?;
        Self::compile(config, senders).map_err(InvalidSettings)
    }

    fn compile(config: TriggersConfig, senders: &Senders) -> Result<Self, String> {
        let schedules = config.schedule.iter().cloned().map(|config| {
            let schedule = config.schedule().map_err(|error| format!("schedule {}: {}", config.name, error.what()))?;
            let worker = senders.worker(config.worker.as_ref())?;
            Ok::<_, String>(ScheduleSettings { config, schedule, worker })
        });
        let mut subscriptions = Vec::new();
        for config in &config.event {
            let worker = senders.worker(config.worker.as_ref())?;
            subscriptions.push(Arc::new(SubscriptionSettings::new(config.clone(), None, worker)?));
        }
        for config in &config.webhook {
            let Some(sender) = &senders.webhooks else {
                return Err("triggers.webhook needs `LocalTriggersBuilder::webhooks`, which sends them".to_owned());
            };
            let WebhookConfig { url, secret, .. } = config.clone();
            let webhook = Webhook { url, secret, sender: Arc::clone(sender) };
            subscriptions.push(Arc::new(SubscriptionSettings::new(config.subscription(), Some(webhook), None)?));
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

impl Senders {
    /// The service worker of a schedule or a subscription.
    fn worker(&self, target: Option<&WorkerTarget>) -> Result<Option<Worker>, String> {
        let Some(target) = target.cloned() else { return Ok(None) };
        match &self.workers {
            Some(sender) => Ok(Some(Worker { target, sender: Arc::clone(sender) })),
            None => Err("`worker` of triggers needs `LocalTriggersBuilder::workers`, which sends to them".to_owned()),
        }
    }
}

impl SubscriptionSettings {
    fn new(config: SubscriptionConfig, webhook: Option<Webhook>, worker: Option<Worker>) -> Result<Self, String> {
        let name = config.name();
        let slots = Arc::new(Semaphore::new(usize::try_from(config.concurrency).unwrap_or(1)));
        let pattern = config.pattern().map_err(|error| format!("subscription {name}: {error}"))?;
        let filter = config.filter().map_err(|error| format!("subscription {name}: {error}"))?;
        let transform = config.transform().map_err(|error| format!("subscription {name}: {error}"))?;
        Ok(Self { name, config, slots, pattern, filter, transform, open_batch: Mutex::default(), webhook, worker })
    }

    /// Whether an event is for it.
    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.pattern.matches(&event.event_type) && self.filter.matches(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_capabilities::trigger::Cause;
    use elias_triggers::config::WorkerMessage;
    use elias_triggers::queue::AttemptResult;
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

    impl WorkerSender for Nowhere {
        fn send(&self, _: String, _: WorkerMessage, _: Cause) -> BoxFuture<'static, AttemptResult> {
            ready(AttemptResult::Returned("null".to_owned())).boxed()
        }
    }

    fn settings(table: Value, senders: &Senders) -> Result<TriggerSettings, InvalidSettings> {
        TriggerSettings::new(serde_json::from_value(table).expect("the table's shape is right"), senders)
    }

    fn senders() -> Senders {
        Senders { webhooks: Some(Arc::new(Nowhere)), workers: Some(Arc::new(Nowhere)) }
    }

    #[test]
    fn the_table_is_compiled_and_what_is_wrong_is_named() {
        let table = json!({
            "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }],
            "event": [{ "type": "order.*" }],
            "jobs": { "resize": { "concurrency": 2, "priority": 7 } },
        });
        let read = settings(table, &Senders::default()).expect("it is right");
        assert_eq!((read.schedules.len(), read.subscriptions[0].name.as_str()), (1, "order-any"));
        assert_eq!((read.job("resize").concurrency, read.job("other").concurrency), (2, 10));
        assert_eq!(read.priorities(), HashMap::from([("resize".to_owned(), 7)]));
        let wrong = settings(json!({ "schedule": [{ "name": "a", "cron": "* *" }] }), &senders());
        let error = wrong.map(|_| ()).expect_err("it is wrong").to_string();
        assert!(error.contains("triggers.schedule[0].cron"), "{error}");
    }

    #[test]
    fn a_webhook_is_a_subscription_and_needs_a_sender() {
        let webhook = json!({ "name": "partner", "type": "a", "url": "https://example.com/a", "secret": "SECRET" });
        let table = json!({ "event": [{ "type": "order.*" }], "webhook": [webhook] });
        let read = settings(table.clone(), &senders()).expect("it is right");
        let is_webhook = |subscription: &Arc<SubscriptionSettings>| subscription.webhook.is_some();
        assert_eq!(read.subscriptions.iter().map(is_webhook).collect::<Vec<_>>(), [false, true]);
        let error = settings(table, &Senders::default()).map(|_| ()).expect_err("nothing sends it").to_string();
        assert!(error.contains("triggers.webhook"), "{error}");
    }

    #[test]
    fn a_worker_is_in_the_place_of_a_handler_and_needs_a_sender() {
        let worker = json!({ "class": "Cart", "name": "a" });
        let schedules = json!([{ "name": "a", "every": "1m", "worker": worker }, { "name": "b", "every": "1m" }]);
        let events = json!([{ "type": "order.*" }, { "type": "cart.*", "worker": worker }]);
        let read = settings(json!({ "schedule": schedules, "event": events }), &senders()).expect("it is right");
        assert_eq!(read.schedules.iter().map(|one| one.worker.is_some()).collect::<Vec<_>>(), [true, false]);
        assert_eq!(read.subscriptions.iter().map(|one| one.worker.is_some()).collect::<Vec<_>>(), [false, true]);
        for table in [json!({ "schedule": schedules }), json!({ "event": events })] {
            let error = settings(table, &Senders::default()).map(|_| ()).expect_err("nothing sends it").to_string();
            assert!(error.contains("LocalTriggersBuilder::workers"), "{error}");
        }
    }
}
