//! Tests of grants, of what an event may be, and of the log in memory.

use super::backend::{EventLog, NewEvent};
use super::context::EventsContext;
use super::contract::{Error, ErrorCode, PublishRequest};
use super::grant::{AMOUNTS, EventsGrant};
use super::memory::{EventReceiver, MemoryLog};
use crate::trigger::{Clock, Origin, Submit};
use crate::turn::TurnJournal;
use elias_host::capability::CallMeter;
use futures::FutureExt;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn grant(table: Value) -> EventsGrant {
    EventsGrant::read(Some(&table)).expect("a grant")
}

/// A log in memory whose time tests move.
fn memory() -> (MemoryLog, EventReceiver, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(1_000));
    let told = Arc::clone(&time);
    let (log, receiver) = MemoryLog::new(Clock::new(move || told.load(Ordering::Relaxed)));
    (log, receiver, time)
}

fn request(event_type: &str) -> PublishRequest {
    let (event_type, data) = (event_type.to_owned(), "{}".to_owned());
    PublishRequest { event_type, data, subject: None, key: None, delay_ms: None }
}

#[test]
fn a_grant_has_defaults_and_bounds() {
    let all = grant(json!({}));
    assert_eq!((all.publishes, all.payload_bytes, all.allows("any.thing")), (100, 128 << 10, true));
    let some = grant(json!({ "types": ["order.*", "report"] }));
    assert!(some.allows("order.paid") && some.allows("report") && !some.allows("user.made"));
    assert!(!grant(json!({ "types": [] })).allows("order.paid"));
    for amount in AMOUNTS {
        grant(json!({ amount.key: amount.ceiling }));
        let refused = EventsGrant::read(Some(&json!({ amount.key: 0 }))).expect_err("it is none");
        assert!(refused.to_string().starts_with(amount.key), "{refused}");
    }
    for wrong in [json!({ "types": ["a b"] }), json!({ "types": "order.*" }), json!({ "payload-bytes": 2 << 20 })] {
        assert!(EventsGrant::read(Some(&wrong)).is_err(), "{wrong}");
    }
    assert!(EventsGrant::read(None).is_err());
}

#[test]
fn what_an_event_may_be_is_bounded() {
    let grant = grant(json!({ "types": ["order.**"], "payload-bytes": 10, "publishes": 2 }));
    let (log, mut receiver, _) = memory();
    let origin = Arc::new(Origin { component: "shop".to_owned(), ..Origin::default() });
    let mut context = EventsContext::new(Arc::new(log), Arc::new(grant), origin, CallMeter::default());
    let mut code = |change: &dyn Fn(&mut PublishRequest)| {
        let mut changed = request("order.paid");
        change(&mut changed);
        context.check(changed).map_err(|error| error.code).err()
    };
    assert_eq!(code(&|event| event.event_type = String::new()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.event_type = "order..paid".to_owned()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.event_type = "user.made".to_owned()), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.event_type = format!("order.{}", "a".repeat(256))), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.subject = Some(String::new())), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.subject = Some("s".repeat(257))), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.key = Some("k".repeat(257))), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.key = Some("k\0".to_owned())), Some(ErrorCode::Invalid));
    assert_eq!(code(&|event| event.data = "1".repeat(11)), Some(ErrorCode::TooLarge));
    // A refused event does not count.
    assert_eq!(code(&|_| ()), None);
    let event = context.check(request("order.paid")).expect("it is within the bounds");
    let id = context.submit(event).take().expect("it was not taken").expect("it is there").expect("it is published");
    assert_eq!(receiver.try_next().expect("it is there").id, id);
    let refused = context.check(request("order.paid")).expect_err("it is one too many");
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
}

fn event(event_type: &str) -> NewEvent {
    request(event_type).into()
}

fn publish(log: &MemoryLog, event: NewEvent) -> Result<String, Error> {
    let origin = Arc::new(Origin { component: "shop".to_owned(), ..Origin::default() });
    log.publish(origin, event).now_or_never().expect("it is immediate")
}

#[tokio::test]
async fn events_come_in_their_order_and_after_their_delays() {
    let (log, mut receiver, time) = memory();
    publish(&log, NewEvent { delay: Duration::from_millis(50), ..event("late") }).expect("published");
    publish(&log, event("first")).expect("published");
    publish(&log, event("second")).expect("published");
    let first = receiver.next().await;
    assert_eq!(
        (first.event.event_type.as_str(), first.time, first.origin.component.as_str()),
        ("first", 1_000, "shop")
    );
    assert_eq!(receiver.next().await.event.event_type, "second");
    assert!(receiver.try_next().is_none());
    time.store(1_050, Ordering::Relaxed);
    assert_eq!(receiver.next().await.event.event_type, "late");
    let waiting = tokio::spawn(async move { receiver.next().await.event.event_type });
    tokio::task::yield_now().await;
    publish(&log, event("third")).expect("published");
    assert_eq!(waiting.await.expect("it has not panicked"), "third");
}

#[test]
fn a_key_publishes_once() {
    let (log, mut receiver, _) = memory();
    let keyed = |event_type: &str| NewEvent { key: Some("k".to_owned()), ..event(event_type) };
    let id = publish(&log, keyed("order.paid")).expect("published");
    assert_eq!(publish(&log, keyed("order.paid")), Ok(id));
    assert_eq!(publish(&log, keyed("order.sent")).map_err(|error| error.code), Err(ErrorCode::Conflict));
    assert!(receiver.try_next().is_some());
    assert!(receiver.try_next().is_none());
}

#[test]
fn the_log_in_memory_is_bounded() {
    let (log, mut receiver, _) = memory();
    let large = NewEvent { data: format!("\"{}\"", "a".repeat(1 << 20)), ..event("large") };
    let refused = (0..100).find_map(|_| publish(&log, large.clone()).err()).expect("it is full");
    assert_eq!(refused.code, ErrorCode::QuotaExceeded);
    assert!(receiver.try_next().is_some());
    publish(&log, large).expect("there is room again");
    let (log, _receiver, _) = memory();
    let published = (0..10_001).take_while(|_| publish(&log, event("small")).is_ok()).count();
    assert_eq!(published, 10_000);
}

#[test]
fn each_attempt_of_a_turn_publishes_the_same_event_once() {
    let (log, mut receiver, _) = memory();
    let log: Arc<dyn EventLog> = Arc::new(log);
    let journal = TurnJournal::new(vec!["turn".to_owned()], |_| true);
    let attempt = || {
        let origin = Arc::new(Origin { component: "shop".to_owned(), ..Origin::default() });
        let context = EventsContext::new(Arc::clone(&log), Arc::new(grant(json!({}))), origin, CallMeter::default());
        let mut context = context.in_turn(Some(journal.attempt()));
        ["order.paid", "order.paid", "order.sent"].map(|event_type| {
            let mut event = context.check(request(event_type)).expect("it is within the bounds");
            context.turn_call(&mut event).expect("it is in a turn");
            context.submit(event).take().expect("it was not taken").expect("it is there").expect("it is published")
        })
    };
    let first = attempt();
    assert_eq!(attempt(), first);
    let ids: Vec<String> = std::iter::from_fn(|| receiver.try_next()).map(|event| event.id).collect();
    assert_eq!(ids, first);
}
