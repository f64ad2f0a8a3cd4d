//! Delivers events to subscriptions: the host that moves a subscription's cursor enqueues the deliveries, in the same
//! transaction.

use super::Runner;
use super::meters::LatencyKind;
use super::run::{ServedTriggers, TRANSFORM_ERROR};
use super::waits;
use elias_api::{Code, Error, EventRecord, JobTrigger, QueueId, Quotas, Result};
use elias_names::{Environment, ServiceId};
use elias_store::{JobOrder, JobStart, NewJob, PendingSubscription, SubscriptionId, now_ms};
use elias_triggers::config::{SubscriptionConfig, WebhookConfig};
use elias_triggers::event::{Event, EventData, ExtensionValue, Filter, Order, Transform, TypePattern};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Events that one transaction matches against a subscription.
const EVENTS_MAX: u32 = 200;
/// How long it may match them: transformations that are slow must not keep the subscriptions of others waiting.
const MATCH_MAX: Duration = Duration::from_millis(500);
/// Subscriptions that are kept compiled.
const COMPILED_MAX: usize = 10_000;
/// The last millisecond of the year 9999: RFC 3339 has no later time.
const TIME_MS_MAX: u64 = 253_402_300_799_999;
/// Characters of the reason for which an event could not be transformed.
const REASON_CHARS_MAX: usize = 500;

/// Subscriptions by their identity, with the revision that they were compiled of; none for one that cannot be.
pub(super) type CompiledSubscriptions = HashMap<SubscriptionId, (u64, Option<Arc<Compiled>>)>;

/// A subscription that is ready to be matched.
pub(super) struct Compiled {
    /// Whether its handler gets the events, or a URL.
    trigger: JobTrigger,
    pattern: TypePattern,
    filter: Filter,
    transform: Option<Transform>,
    order: Order,
}

impl Compiled {
    pub(super) fn new(config: &Value) -> Result<Self, String> {
        let (trigger, config) = if WebhookConfig::is_webhook(config) {
            let webhook = WebhookConfig::deserialize(config).map_err(|error| error.to_string())?;
            (JobTrigger::Webhook, webhook.subscription())
        } else {
            (JobTrigger::Event, SubscriptionConfig::deserialize(config).map_err(|error| error.to_string())?)
        };
        Ok(Self {
            trigger,
            pattern: config.pattern().map_err(|error| error.to_string())?,
            filter: config.filter().map_err(|error| error.to_string())?,
            transform: config.transform().map_err(|error| error.to_string())?,
            order: config.order,
        })
    }

    /// The job that delivers an event to the subscription `id`; none if it does not match.
    pub(super) fn delivery(&self, id: &SubscriptionId, record: &EventRecord) -> Option<NewJob> {
        let ServiceId { component, environment, .. } = id.service.clone();
        let event = self.deliver(record, environment)?;
        Some(NewJob {
            id: ulid::Ulid::new().to_string(),
            queue: QueueId { component, environment, trigger: self.trigger, name: id.name.clone() },
            input: event.to_json().to_string(),
            priority: 0,
            head_start_ms: 0,
            start: JobStart::Now,
            key: None,
            order: self.order_of(&event).map(|key| JobOrder { key, position: record.position }),
            concurrency_key: None,
            after: Vec::new(),
            cause: record.cause.clone(),
            hops: record.hops,
            replayed_by: None,
            version: None,
        })
    }

    /// The event as it is delivered; none if it is not. One that cannot be transformed says why.
    fn deliver(&self, record: &EventRecord, environment: Environment) -> Option<Event> {
        let is_others = environment_of(&record.source).is_some_and(|other| other != environment);
        if is_others || !self.pattern.matches(&record.event_type) {
            return None;
        }
        let mut event = cloud_event(record);
        if !self.filter.matches(&event) {
            return None;
        }
        match self.transform.as_ref().map(|transform| transform.run(&event)) {
            None => {}
            Some(Ok(Some(data))) => event.data = EventData::Json(data),
            Some(Ok(None)) => return None,
            Some(Err(error)) => {
                let reason = error.to_string().chars().take(REASON_CHARS_MAX).collect();
                event.extensions.insert(TRANSFORM_ERROR.to_owned(), ExtensionValue::Text(reason));
            }
        }
        Some(event)
    }

    /// The key of the turn of an event that is delivered.
    fn order_of(&self, event: &Event) -> Option<String> {
        self.order.key(event).map(str::to_owned)
    }
}

/// The source of a service's events. It names the environment, whose subscriptions alone get them.
pub(crate) fn source_of(service: &ServiceId) -> String {
    format!("/{}/{}", service.component, service.environment)
}

fn environment_of(source: &str) -> Option<Environment> {
    let (_, environment) = source.strip_prefix('/')?.split_once('/')?;
    environment.parse().ok()
}

/// An event of the log, as CloudEvents have it.
pub(crate) fn cloud_event(record: &EventRecord) -> Event {
    let since = Duration::from_millis(u64::try_from(record.time).unwrap_or_default().min(TIME_MS_MAX));
    let time = UNIX_EPOCH.checked_add(since).map(|time| humantime::format_rfc3339_millis(time).to_string());
    let data = serde_json::from_str(&record.data).map_or(EventData::None, EventData::Json);
    Event {
        subject: record.subject.clone(),
        time,
        datacontenttype: Some("application/json".to_owned()),
        data,
        ..Event::new(record.id.clone(), record.event_type.clone(), record.source.clone())
    }
}

/// Delivers what was published; says whether there may be more.
pub(super) async fn round(runner: &Arc<Runner>) -> Result<bool> {
    if runner.is_stopping() {
        return Ok(false);
    }
    let pending = runner.store.host_read().await?.pending_subscriptions().await?;
    let (mut more, mut full) = (false, None);
    for pending in pending {
        let PendingSubscription { tenant, subscription, last } = pending;
        let (component, environment) = (subscription.component.clone(), subscription.environment);
        let service = ServiceId { tenant, component, environment };
        // One of a service that is not here is another host's; one over its tenant's quota waits.
        let Some(served) = runner.services.find(&service) else { continue };
        if full.as_ref() == Some(&service.tenant) {
            continue;
        }
        let id = SubscriptionId { service, name: subscription.name.clone() };
        let read = Read { id, revision: subscription.revision, cursor: subscription.cursor, last };
        match runner.deliver(&read, &subscription.config, &served).await {
            Ok(moved) => more |= moved,
            Err(error) if error.code() == Code::QuotaExceeded => {
                tracing::debug!(tenant = %read.id.service.tenant, %error, "events wait for their delivery");
                full = Some(read.id.service.tenant);
            }
            // Of this subscription alone: it must not keep those of other tenants waiting.
            Err(error) if error.code() == Code::Internal => {
                let SubscriptionId { service, name } = &read.id;
                tracing::error!(%service, subscription = %name, %error, "events cannot be delivered; trying again");
            }
            Err(error) => return Err(error),
        }
    }
    waits::wake(runner).await?;
    Ok(more)
}

/// How far a subscription has been read.
struct Read {
    id: SubscriptionId,
    revision: u64,
    cursor: u64,
    last: u64,
}

/// The deliveries of some events.
#[derive(Default)]
struct Matched {
    jobs: Vec<NewJob>,
    /// When each of their events was published.
    published: Vec<i64>,
    /// The position of the last event that was looked at, if there was no time for all.
    cut_at: Option<u64>,
}

/// Matches events against a subscription for as long as `time`, one at least.
fn match_events(compiled: &Compiled, id: &SubscriptionId, events: &[EventRecord], time: Duration) -> Matched {
    let (began, mut last, mut matched) = (Instant::now(), None, Matched::default());
    for record in events {
        if last.is_some() && began.elapsed() >= time {
            matched.cut_at = last;
            break;
        }
        last = Some(record.position);
        if let Some(job) = compiled.delivery(id, record) {
            matched.jobs.push(job);
            matched.published.push(record.published_at);
        }
    }
    matched
}

impl Runner {
    fn compiled(&self, read: &Read, config: &Value) -> Option<Arc<Compiled>> {
        if let Some((revision, compiled)) = self.compiled.lock().get(&read.id)
            && *revision == read.revision
        {
            return compiled.clone();
        }
        let compiled = match Compiled::new(config) {
            Ok(compiled) => Some(Arc::new(compiled)),
            Err(error) => {
                let SubscriptionId { service, name } = &read.id;
                tracing::error!(%service, subscription = %name, %error, "a subscription cannot be used: it waits");
                None
            }
        };
        let mut all = self.compiled.lock(); // the map is whole after every operation
        if all.len() >= COMPILED_MAX {
            all.clear();
        }
        all.insert(read.id.clone(), (read.revision, compiled.clone()));
        compiled
    }

    /// Matches the next events against a subscription; says whether it did, and there are more.
    async fn deliver(&self, read: &Read, config: &Value, served: &ServedTriggers) -> Result<bool> {
        let Some(compiled) = self.compiled(read, config) else { return Ok(false) };
        let tenant = &read.id.service.tenant;
        let events = self.store.host_read().await?.events(tenant, read.cursor, EVENTS_MAX).await?;
        // The last positions may be those of events that were deleted since, or that had others' keys.
        let is_whole = u32::try_from(events.len()).is_ok_and(|count| count < EVENTS_MAX);
        let to = if is_whole { read.last } else { events.last().map_or(read.last, |event| event.position) };
        let to = to.max(events.last().map_or(0, |event| event.position));
        let id = read.id.clone();
        // A transformation may take some hundred milliseconds.
        let matched = tokio::task::spawn_blocking(move || match_events(&compiled, &id, &events, MATCH_MAX));
        let matched = matched.await.map_err(|panic| Error::new(Code::Internal, format!("matching events: {panic}")))?;
        let Matched { jobs, published, cut_at } = matched;
        let to = cut_at.unwrap_or(to);
        let mut scope = self.store.queue_write().await?;
        if !scope.advance_cursor(&read.id, read.revision, read.cursor, to).await? {
            // Another host was faster, or the subscription has changed: dropped, this has not happened.
            return Ok(true);
        }
        // A log that has used up `trigger-bytes` is delivered nevertheless: it would else become older than it is kept.
        let quotas = Quotas { trigger_bytes: 0, ..served.quotas };
        scope.enqueue_jobs(tenant, &jobs, Some(&quotas)).await?;
        scope.commit().await?;
        let now = now_ms();
        for at in published {
            self.meters.record(LatencyKind::Delivery, now.saturating_sub(at));
        }
        if !jobs.is_empty() {
            self.queue_changed.notify_one();
        }
        Ok(to < read.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(source: &str) -> EventRecord {
        EventRecord {
            position: 3,
            id: "1".to_owned(),
            event_type: "order.paid".to_owned(),
            source: source.to_owned(),
            subject: Some("42".to_owned()),
            data: "{\"total\":5}".to_owned(),
            time: 1_774_785_600_000,
            key: None,
            hops: 0,
            cause: None,
            published_at: 0,
        }
    }

    fn delivered(config: &Value, source: &str) -> Option<Value> {
        let compiled = Compiled::new(config).expect("a subscription");
        compiled.deliver(&record(source), Environment::Production).map(|event| event.to_json())
    }

    #[test]
    fn events_are_matched_and_transformed() {
        let event = delivered(&json!({ "type": "order.*" }), "/shop/production").expect("it is delivered");
        assert_eq!((&event["subject"], &event["data"]["total"]), (&json!("42"), &json!(5)));
        assert_eq!(event["time"], "2026-03-29T12:00:00.000Z");
        assert_eq!(delivered(&json!({ "type": "user.*" }), "/shop/production"), None);
        assert_eq!(delivered(&json!({ "type": "**", "where": { "data.total": 6 } }), "/shop/production"), None);
        let made = delivered(&json!({ "type": "**", "transform": ".data.total + 1" }), "/elias").expect("delivered");
        assert_eq!(made["data"], 6);
        let failed =
            delivered(&json!({ "type": "**", "transform": ".data.total.x" }), "/elias").expect("a dead letter");
        assert!(failed[TRANSFORM_ERROR].as_str().is_some_and(|reason| !reason.is_empty()), "{failed}");
    }

    #[test]
    fn events_for_which_there_is_no_time_are_for_the_next_round() {
        let service = ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
        };
        let id = SubscriptionId { service, name: "orders".to_owned() };
        let compiled = Compiled::new(&json!({ "type": "order.*" })).expect("a subscription");
        let events = [1, 2, 3].map(|position| EventRecord { position, ..record("/shop/production") });
        let matched = match_events(&compiled, &id, &events, Duration::ZERO);
        assert_eq!((matched.jobs.len(), matched.cut_at), (1, Some(1)), "one at least");
        let matched = match_events(&compiled, &id, &events, Duration::from_secs(600));
        assert_eq!((matched.jobs.len(), matched.published.len(), matched.cut_at), (3, 3, None));
    }

    #[test]
    fn a_subscription_with_a_url_is_a_webhook() {
        let webhook = json!({ "type": "order.*", "url": "https://example.com", "secret": "A" });
        let trigger = |config| Compiled::new(config).map(|compiled| compiled.trigger);
        assert_eq!(trigger(&webhook), Ok(JobTrigger::Webhook));
        assert_eq!(trigger(&json!({ "type": "order.*" })), Ok(JobTrigger::Event));
        assert!(delivered(&webhook, "/shop/production").is_some());
    }

    #[test]
    fn an_environment_gets_no_other_ones_events() {
        let all = json!({ "type": "**" });
        assert!(delivered(&all, "/shop/staging").is_none());
        for source in ["/elias", "https://example.com/staging", "/shop/production", "/a/b/c"] {
            assert!(delivered(&all, source).is_some(), "{source}");
        }
    }
}
