//! Events that service workers emit themselves, in the tenant's log of events.
//!
//! They are events of the component, as its handlers publish them by `elias/events`: so its grant `events` says which
//! may be published, and a subscription does not distinguish who has published. The name of an event is its type, the
//! source is the component's, and the subject is the worker. They are written in the transaction that commits the turn.

use crate::platform::Inner;
use crate::triggers::source_of;
use elias_capabilities::Cause;
use elias_capabilities::events::EventsGrant;
use elias_host::EmittedEvent;
use elias_local_workers::TurnEvents;
use elias_names::ServiceId;
use elias_store::{NewEvent, now_ms};
use elias_triggers::event::{HOPS_MAX, TooManyHops};
use elias_workers::WorkerKey;
use elias_workers::value::to_json;
use std::sync::Arc;

/// The grant of the version that serves; none without one.
fn grant(platform: &Inner, id: &ServiceId) -> Option<Arc<EventsGrant>> {
    platform.serving.service(id)?.state().events.clone()
}

/// Refuses the events of a turn, if they are more or larger than the component may publish, or too many events have led
/// to them.
///
/// # Errors
/// The message that the turn fails with.
pub(crate) fn check(platform: &Inner, id: &ServiceId, events: &[EmittedEvent], cause: &Cause) -> Result<(), String> {
    grant(platform, id).map_or(Ok(()), |grant| check_granted(&grant, events, cause))
}

fn check_granted(grant: &EventsGrant, events: &[EmittedEvent], cause: &Cause) -> Result<(), String> {
    let mut published = events.iter().filter(|event| grant.allows_name(&event.event)).peekable();
    if published.peek().is_some() && cause.hops > u32::from(HOPS_MAX) {
        return Err(format!("{}: {}", TooManyHops.code(), TooManyHops));
    }
    grant.check_amounts(published.map(|event| event.value.len()))
}

/// What is published of the events of a worker, in their order. Events without a name that the component may publish
/// stay the worker's own.
pub(crate) fn new_events(platform: &Inner, id: &ServiceId, key: &WorkerKey, turns: &[TurnEvents]) -> Vec<NewEvent> {
    grant(platform, id).map_or_else(Vec::new, |grant| granted_events(&grant, id, key, turns))
}

fn granted_events(grant: &EventsGrant, id: &ServiceId, key: &WorkerKey, turns: &[TurnEvents]) -> Vec<NewEvent> {
    let (source, subject, time) = (source_of(id), subject_of(id, key), now_ms());
    let event = |EmittedEvent { event, value }: &EmittedEvent, cause: &Cause| {
        // The engine has written it; another one's that cannot be read is no event.
        let data = to_json(value).ok()?;
        Some(NewEvent {
            id: ulid::Ulid::new().to_string(),
            event_type: event.clone(),
            source: source.clone(),
            subject: Some(subject.clone()),
            data: data.to_string(),
            time,
            key: None,
            hops: cause.hops,
            cause: cause.traceparent.clone(),
        })
    };
    let emitted = turns.iter().flat_map(|turn| turn.events.iter().map(|event| (event, &turn.cause)));
    let granted = emitted.filter(|(emitted, _)| grant.allows_name(&emitted.event));
    granted.filter_map(|(emitted, cause)| event(emitted, cause)).collect()
}

/// The subject of the events about a worker, and of those that it emits.
pub(crate) fn subject_of(id: &ServiceId, key: &WorkerKey) -> String {
    format!("{}/{key}", id.subject())
}

/// Publishes events of a turn that no store has: they are lost with the host, as the worker is.
pub(crate) fn publish_later(platform: &Inner, id: &ServiceId, events: Vec<NewEvent>) {
    let (runner, id) = (Arc::clone(&platform.runner), id.clone());
    tokio::spawn(async move {
        if let Err(error) = runner.publish_all(&id.tenant, events).await {
            tracing::warn!(service = %id, %error, "events of a worker were not published");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;
    use serde_json::json;

    fn emitted(event: &str, value: &str) -> EmittedEvent {
        EmittedEvent { event: event.to_owned(), value: value.to_owned() }
    }

    fn grant() -> EventsGrant {
        EventsGrant::parse(&json!({ "types": ["cart.*"], "publishes": 2, "payload-bytes": 20 })).expect("a grant")
    }

    #[test]
    fn what_the_grant_allows_is_published_as_the_component_and_about_the_worker() {
        let id = ServiceId {
            tenant: "acme".parse().expect("a name"),
            component: "shop".parse().expect("a name"),
            environment: Environment::Staging,
        };
        let key = WorkerKey::new("Cart", "ada");
        let cause = Cause { traceparent: Some("00-1-2-3".to_owned()), hops: 2 };
        let events = vec![
            emitted("cart.paid", r#"[1,[2],{"sum":7}]"#),
            emitted("order.paid", "[1,1]"),
            emitted("paid in full", "[1,1]"),
            emitted("cart.gone", r#"[1,["undefined"]]"#),
        ];
        let published = granted_events(&grant(), &id, &key, &[TurnEvents { events, cause }]);
        let shown: Vec<_> =
            published.iter().map(|event| (event.event_type.as_str(), event.data.as_str(), event.hops)).collect();
        assert_eq!(shown, [("cart.paid", r#"{"sum":7}"#, 2), ("cart.gone", "null", 2)]);
        assert_eq!((published[0].source.as_str(), published[0].cause.as_deref()), ("/shop/staging", Some("00-1-2-3")));
        assert_eq!(published[0].subject, Some(subject_of(&id, &key)));
        assert_ne!(published[0].id, published[1].id);
    }

    #[test]
    fn a_turn_that_publishes_too_much_or_in_a_circle_is_refused() {
        let (cause, paid) = (Cause::default(), emitted("cart.paid", "[1,1]"));
        let others = vec![emitted("seen", "[1,1]"); 100];
        assert_eq!(check_granted(&grant(), &others, &cause), Ok(()), "they are not published");
        assert_eq!(check_granted(&grant(), &[paid.clone(), paid.clone()], &cause), Ok(()));
        let many = vec![paid.clone(); 3];
        assert!(check_granted(&grant(), &many, &cause).is_err_and(|error| error.contains("publishes")));
        let large = [emitted("cart.paid", &format!("[1,{:?}]", "x".repeat(20)))];
        assert!(check_granted(&grant(), &large, &cause).is_err_and(|error| error.contains("payload-bytes")));
        let circle = |hops: u8| Cause { hops: hops.into(), traceparent: None };
        assert_eq!(check_granted(&grant(), std::slice::from_ref(&paid), &circle(HOPS_MAX)), Ok(()));
        let refused = check_granted(&grant(), &[paid], &circle(HOPS_MAX.saturating_add(1)));
        assert!(refused.is_err_and(|error| error.starts_with(TooManyHops.code())));
        assert_eq!(check_granted(&grant(), &others, &circle(HOPS_MAX.saturating_add(1))), Ok(()));
    }
}
