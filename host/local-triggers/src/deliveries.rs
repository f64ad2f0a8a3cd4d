//! Events, and their deliveries to the subscriptions that they match.

use crate::batches;
use crate::history::{Again, PastRun, RunKind};
use crate::open_batch::WaitingEvent;
use crate::report::Reporter;
use crate::run::{Message, RunOptions, Runner, TaskEnd, WebhookMessage};
use crate::settings::SubscriptionSettings;
use crate::worker::new_id;
use elias_capabilities::events::{EventReceiver, PublishedEvent};
use elias_host::{EventBatch, EventMessage, ExecutionHandle};
use elias_triggers::event::{Event, EventData, HOPS_MAX};
use elias_triggers::queue::Outcome;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// Ordered deliveries that are remembered before those that are over are forgotten.
const ORDERED_MAX: usize = 1_000;

/// The last delivery of a subscription and an ordering key.
type LastDeliveries = HashMap<(String, String), TaskEnd>;

/// Delivers the events of a log.
pub(crate) async fn run_all(runner: Arc<Runner>, mut events: EventReceiver) {
    let mut last = LastDeliveries::new();
    loop {
        let published = events.next().await;
        let reporter = runner.reporters.lock().remove(&published.id);
        runner.history.publish(&published);
        let event = cloud_event(&published);
        runner.wake_those_who_wait_for(&event);
        let hops = published.origin.cause.hops;
        if hops > u32::from(HOPS_MAX) {
            tracing::error!(id = event.id, "the event {} is not delivered: too many led to it", event.event_type);
            continue;
        }
        for subscription in runner.settings().subscriptions.iter().filter(|subscription| subscription.matches(&event)) {
            if let Some(event) = transform(subscription, &event) {
                deliver(&runner, &mut last, subscription, event, hops + 1, reporter.clone());
            }
        }
        if last.len() > ORDERED_MAX {
            last.retain(|_, delivery| !delivery.is_over());
        }
    }
}

/// A published event, as an event of CloudEvents 1.0.
fn cloud_event(published: &PublishedEvent) -> Event {
    let component = &published.origin.component;
    let mut event = Event::new(&published.id, &published.event.event_type, format!("/components/{component}"));
    event.subject.clone_from(&published.event.subject);
    // A time after the year 9999 has no such text.
    let time = UNIX_EPOCH + Duration::from_millis(published.time.min(253_402_300_799_000));
    event.time = Some(humantime::format_rfc3339_millis(time).to_string());
    event.datacontenttype = Some("application/json".to_owned());
    event.data = serde_json::from_str(&published.event.data).map_or(EventData::None, EventData::Json);
    event
}

/// The event as a subscription is given it; none if its transformation leaves it out or fails.
fn transform(subscription: &SubscriptionSettings, event: &Event) -> Option<Event> {
    let Some(transform) = &subscription.transform else { return Some(event.clone()) };
    match transform.run(event) {
        Ok(Some(data)) => Some(Event { data: EventData::Json(data), ..event.clone() }),
        Ok(None) => None,
        Err(error) => {
            tracing::error!(
                id = event.id,
                "the transformation of the subscription {} failed: {error}",
                subscription.name
            );
            None
        }
    }
}

/// Delivers an event once more, beside any order.
pub(crate) fn deliver_again(runner: &Arc<Runner>, subscription: &Arc<SubscriptionSettings>, event: Event, hops: u32) {
    let (own, subscription) = (Arc::clone(runner), Arc::clone(subscription));
    drop(runner.spawn(async move { run(&own, &subscription, &event, hops, None).await }));
}

/// Delivers an event in a task of its own, after the delivery before it where there is an order.
fn deliver(
    runner: &Arc<Runner>,
    last: &mut LastDeliveries,
    subscription: &Arc<SubscriptionSettings>,
    event: Event,
    hops: u32,
    reporter: Option<Reporter>,
) {
    let key = subscription.config.order.key(&event).map(|key| (subscription.name.clone(), key.to_owned()));
    let before = key.as_ref().and_then(|key| last.remove(key));
    let subscription = Arc::clone(subscription);
    let delivery = {
        let runner = Arc::clone(runner);
        async move {
            if let Some(before) = before {
                before.wait().await;
            }
            run(&runner, &subscription, &event, hops, reporter).await;
        }
    };
    let delivery = runner.spawn(delivery);
    if let Some(key) = key {
        last.insert(key, delivery);
    }
}

async fn run(
    runner: &Arc<Runner>,
    subscription: &Arc<SubscriptionSettings>,
    event: &Event,
    hops: u32,
    mut reporter: Option<Reporter>,
) {
    let id = format!("{} {}", event.id, subscription.name);
    let journal = runner.journal(&id, None);
    let message_id = new_id();
    let mut attempt = 1;
    let past_id = format!("{}:{}", event.id, subscription.name);
    runner.history.add(|| {
        let past = past(&past_id, subscription, event, runner.now().unix_ms());
        (past, Again::Delivery(Box::new(event.clone()), hops))
    });
    loop {
        let outcome = match message(subscription, event, &message_id, attempt) {
            Message::Events(batch) if subscription.config.batch.wait.is_some() => {
                let Some(event) = batch.events.into_iter().next() else { break };
                let bytes = Value::Object(event.event.clone()).to_string().len();
                let waiting = WaitingEvent { event, bytes, hops, reporter: reporter.take() };
                batches::run(runner, subscription, waiting).await
            }
            message => {
                let Ok(slot) = subscription.slots.acquire().await else { break };
                let options = RunOptions {
                    running: ExecutionHandle::new(),
                    deadline: None,
                    journal: Some(&*journal).filter(|_| subscription.config.batch.size == 1),
                    hops,
                    policy: subscription.config.retry.policy(),
                };
                let outcome = runner.execute(message, options, reporter.take().as_ref()).await;
                drop(slot);
                outcome
            }
        };
        match outcome {
            Outcome::Retry { at, attempt: next, .. } => {
                attempt = next;
                runner.clock.sleep_until(at.unix_ms()).await;
            }
            Outcome::Suspended => journal.wait(&runner.clock).await,
            Outcome::Done { .. } | Outcome::Dead { .. } | Outcome::Cancelled => {
                runner.history.end(&past_id, attempt, runner.now().unix_ms(), &outcome);
                break;
            }
        }
    }
    runner.forget_journal(&id);
}

/// A delivery that begins.
fn past(id: &str, subscription: &SubscriptionSettings, event: &Event, at: u64) -> PastRun {
    PastRun {
        id: id.to_owned(),
        kind: if subscription.webhook.is_some() { RunKind::Webhook } else { RunKind::Event },
        name: subscription.name.clone(),
        input: event.to_json().to_string(),
        key: None,
        concurrency_key: None,
        attempt: 1,
        enqueued_at: at,
        end: None,
    }
}

/// The kind of an attempt: a run of the handler, a request to the URL of a webhook, or a message with this id to a
/// worker.
fn message(subscription: &SubscriptionSettings, event: &Event, message_id: &str, attempt: u32) -> Message {
    let json = event.to_json();
    if let Some(webhook) = &subscription.webhook {
        return Message::Webhook(WebhookMessage {
            name: subscription.name.clone(),
            webhook: webhook.clone(),
            id: event.id.clone(),
            event: json.to_string(),
            attempt,
        });
    }
    let members = if let Value::Object(members) = json { members } else { Map::new() };
    if let Some(worker) = &subscription.worker {
        let message = worker.target.message_of_event(&members);
        return Message::Worker(worker.run(format!("event {}", event.event_type), message_id, message, attempt));
    }
    let event = EventMessage { event: members, attempt };
    match subscription.config.batch.size {
        1 => Message::Event(event),
        _ => Message::Events(EventBatch { subscription: subscription.name.clone(), events: vec![event] }),
    }
}
