//! What the service workers of a project emit, and what becomes of them, as events for its subscriptions.

use elias_capabilities::events::{EventLog, EventsGrant, MemoryLog, NewEvent};
use elias_capabilities::trigger::Origin;
use elias_host::EmittedEvent;
use elias_local_workers::{Cause, TurnEvents, WorkerChange, WorkerKey, WorkerLifecycle};
use elias_server::AppSource;
use elias_triggers::event::{HOPS_MAX, TooManyHops};
use elias_workers::value::to_json;
use futures::FutureExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;

/// Publishes the events of workers in the log of the project's triggers, in memory.
pub(crate) struct WorkerEvents {
    log: MemoryLog,
    /// The component that is served: events are published in its name.
    source: AppSource,
    /// What the component may publish now; nothing that its workers emit without it.
    grant: Mutex<Option<Arc<EventsGrant>>>,
}

impl WorkerEvents {
    /// Events of the workers of what `source` serves.
    pub(crate) fn new(log: MemoryLog, source: AppSource) -> Self {
        Self { log, source, grant: Mutex::default() }
    }

    /// Publishes by another grant of the capability `events` from now on. With one that is wrong the component is not
    /// loaded, and nothing is published.
    pub(crate) fn set_grant(&self, table: Option<&Value>) {
        *self.grant.lock() = table.and_then(|table| EventsGrant::parse(table).ok()).map(Arc::new);
    }

    fn grant(&self) -> Option<Arc<EventsGrant>> {
        self.grant.lock().clone()
    }

    /// Refuses what a turn emits, if it is more or larger than the component may publish, or too many events have led
    /// to it.
    ///
    /// # Errors
    /// The message that the turn fails with.
    pub(crate) fn check(&self, events: &[EmittedEvent], cause: &Cause) -> Result<(), String> {
        let Some(grant) = self.grant() else { return Ok(()) };
        let mut published = events.iter().filter(|event| grant.allows_name(&event.event)).peekable();
        if published.peek().is_some() && cause.hops > u32::from(HOPS_MAX) {
            return Err(format!("{}: {}", TooManyHops.code(), TooManyHops));
        }
        grant.check_amounts(published.map(|event| event.value.len()))
    }

    /// Publishes what a worker has emitted in a turn that was committed. Events without a name that the component may
    /// publish stay the worker's own.
    pub(crate) fn emitted(&self, key: &WorkerKey, turn: &TurnEvents) {
        let Some(grant) = self.grant() else { return };
        for EmittedEvent { event, value } in &turn.events {
            // The engine has written the value; another one's that cannot be read is no event.
            if grant.allows_name(event)
                && let Ok(data) = to_json(value)
            {
                self.publish(key, event, &data, turn.cause.clone());
            }
        }
    }

    /// Publishes that a worker was started, stopped or moved.
    pub(crate) fn changed(&self, key: &WorkerKey, change: WorkerLifecycle) {
        let (event, members) = match change {
            WorkerLifecycle::Started => ("worker.started", json!({ "version": self.version() })),
            WorkerLifecycle::Stopped => ("worker.stopped", json!({})),
            WorkerLifecycle::Upgraded { from, to } => ("worker.upgraded", json!({ "from": from, "version": to })),
        };
        self.publish_change(key, event, members);
    }

    /// Publishes what became of a worker by its checks and its supervision.
    pub(crate) fn supervised(&self, key: &WorkerKey, change: WorkerChange) {
        let (event, members) = match change {
            WorkerChange::Failed { reason } => ("worker.failed", json!({ "reason": reason })),
            WorkerChange::GivenUp { tree, reason } => ("worker.failed", json!({ "reason": reason, "tree": tree })),
            WorkerChange::Restarted { tree, reason } => ("worker.restarted", json!({ "reason": reason, "tree": tree })),
        };
        self.publish_change(key, event, members);
    }

    fn publish_change(&self, key: &WorkerKey, event: &str, mut data: Value) {
        data["class"] = key.class.clone().into();
        data["name"] = key.name.clone().into();
        self.publish(key, event, &data, Cause::default());
    }

    /// The version that is served.
    fn version(&self) -> String {
        self.source.current().map(|app| app.version().to_owned()).unwrap_or_default()
    }

    fn publish(&self, key: &WorkerKey, event: &str, data: &Value, cause: Cause) {
        let Some(app) = self.source.current() else { return };
        let (component, version) = (app.name().to_owned(), app.version().to_owned());
        let event = NewEvent { subject: Some(format!("{component}/{key}")), ..NewEvent::new(event, data) };
        let origin = Origin { component, version, cause, ..Origin::default() };
        // The log in memory answers at once.
        if let Some(Err(error)) = self.log.publish(Arc::new(origin), event).now_or_never() {
            tracing::warn!(worker = %key, "an event of the worker is lost: {}", error.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_capabilities::trigger::Clock;

    fn emitted(event: &str, value: &str) -> EmittedEvent {
        EmittedEvent { event: event.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn a_turn_may_emit_what_the_component_may_publish_and_anything_that_is_the_workers_own() {
        let events = WorkerEvents::new(MemoryLog::new(Clock::system()).0, AppSource::empty());
        let paid = emitted("cart.paid", "[1,1]");
        let far = Cause { hops: u32::from(HOPS_MAX) + 1, traceparent: None };
        assert_eq!(events.check(&[paid.clone(), paid.clone()], &far), Ok(()), "nothing is granted");
        events.set_grant(Some(&json!({ "types": ["cart.*"], "publishes": 1 })));
        assert_eq!(events.check(&[paid.clone(), emitted("seen", "[1,1]")], &Cause::default()), Ok(()));
        let refused = events.check(&[paid.clone(), paid.clone()], &Cause::default());
        assert!(refused.is_err_and(|error| error.contains("publishes")));
        assert!(events.check(&[paid], &far).is_err_and(|error| error.starts_with(TooManyHops.code())));
    }
}
