//! The context of one instance: its budget, and how it publishes.

use super::backend::{EventLog, NewEvent};
use super::contract::{Error, ErrorCode, PublishReply, PublishRequest};
use super::grant::{EventsGrant, TEXT_BYTES_MAX, is_type};
use super::outbox;
use crate::outbox::new_id;
use crate::trigger::{Clock, MakeRow, Origin, Pending, Submit, check_text};
use crate::turn::{TurnCall, TurnCalls};
use elias_host::capability::{CallMeter, HostCall};
use elias_triggers::event::{HOPS_MAX, TooManyHops};
use std::sync::Arc;

/// The state of one instance for the log of events.
pub struct EventsContext {
    log: Arc<dyn EventLog>,
    grant: Arc<EventsGrant>,
    origin: Arc<Origin>,
    /// The events that the execution has published.
    published: u64,
    calls: CallMeter,
    /// The turn of a service worker that the execution is.
    turn: Option<TurnCalls>,
}

impl EventsContext {
    pub(super) fn new(log: Arc<dyn EventLog>, grant: Arc<EventsGrant>, origin: Arc<Origin>, calls: CallMeter) -> Self {
        Self { log, grant, origin, published: 0, calls, turn: None }
    }

    /// The same, where the execution is a turn of a service worker.
    pub(super) fn in_turn(self, turn: Option<TurnCalls>) -> Self {
        Self { turn, ..self }
    }
}

impl Submit for EventsContext {
    type Request = PublishRequest;
    type Item = NewEvent;
    type Error = Error;

    fn check(&mut self, request: PublishRequest) -> Result<NewEvent, Error> {
        let event = check(&self.grant, NewEvent::from(request))?;
        if self.published >= self.grant.publishes {
            let message = format!("one execution may publish {} events (publishes)", self.grant.publishes);
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        self.published += 1;
        Ok(event)
    }

    fn payload(event: &mut NewEvent) -> &mut String {
        &mut event.data
    }

    fn turn_call(&self, event: &mut NewEvent) -> Option<TurnCall> {
        let NewEvent { event_type, data, subject, key, .. } = &*event;
        let texts = [Some(event_type), Some(data), subject.as_ref(), key.as_ref()];
        let arguments = texts.map(|text| text.map_or(&[][..], String::as_bytes));
        let call = self.turn.as_ref()?.begin(&self.origin.component, "events.publish", &arguments);
        event.key.get_or_insert_with(|| call.key().to_owned());
        Some(call)
    }

    fn not_json(why: &str) -> Error {
        Error::invalid(format!("the data are not JSON: {why}"))
    }

    fn submit(&self, event: NewEvent) -> Pending<PublishReply> {
        let mut call = self.calls.begin().named("publish");
        call.text("messaging.destination.name", &event.event_type);
        Pending::start(call, self.log.publish(Arc::clone(&self.origin), event))
    }

    fn row(&self, event: NewEvent) -> Result<MakeRow<Error>, Error> {
        // Nobody is told when a row is handed over, so an event that too many others have led to is refused here.
        if self.origin.cause.hops > u32::from(HOPS_MAX) {
            return Err(Error::invalid(format!("{}: {}", TooManyHops.code(), TooManyHops)));
        }
        let (id, origin, now) = (new_id(), Arc::clone(&self.origin), Clock::system().now());
        Ok(Box::new(move || {
            let row = outbox::row(id, event, &origin, now);
            row.map_err(|why| Error::invalid(format!("the event cannot be written as JSON: {why}")))
        }))
    }

    fn begin_call(&self) -> HostCall {
        self.calls.begin().named("publish")
    }
}

/// Checks all of an event that a component publishes, but that its data are JSON.
pub(super) fn check(grant: &EventsGrant, event: NewEvent) -> Result<NewEvent, Error> {
    check_text("the event's type", &event.event_type, TEXT_BYTES_MAX).map_err(Error::invalid)?;
    if !is_type(&event.event_type) {
        let message = "an event's type must have parts of letters, digits, - and _, separated by dots: order.paid";
        return Err(Error::invalid(message));
    }
    if !grant.allows(&event.event_type) {
        let message = "events of this type are not among those that the component was granted (types)";
        return Err(Error::invalid(message));
    }
    for (what, text) in [("the subject", &event.subject), ("the key", &event.key)] {
        if let Some(text) = text {
            check_text(what, text, TEXT_BYTES_MAX).map_err(Error::invalid)?;
        }
    }
    if event.data.len() as u64 > grant.payload_bytes {
        let (bytes, most) = (event.data.len(), grant.payload_bytes);
        return Err(Error::new(ErrorCode::TooLarge, format!("the data have {bytes} bytes; payload-bytes is {most}")));
    }
    Ok(event)
}
