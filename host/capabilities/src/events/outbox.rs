//! An event as a row of an outbox, and back.

use super::backend::NewEvent;
use crate::outbox::{OutboxRow, RowKind};
use crate::trigger::Origin;
use serde::{Deserialize, Serialize};

/// An event in an outbox, with what its origin was. The component's name is not in it: it is that of the database.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct EventBody {
    #[serde(rename = "type")]
    event_type: String,
    /// A JSON text.
    data: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Milliseconds since 1970. A delay counts from when the event was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    #[serde(default)]
    version: String,
    #[serde(default)]
    execution: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default)]
    hops: u32,
}

/// The row of an event that was checked.
///
/// # Errors
/// If it cannot be written as JSON.
pub(super) fn row(id: String, event: NewEvent, origin: &Origin, now_ms: u64) -> serde_json::Result<OutboxRow> {
    let NewEvent { event_type, data, subject, key, delay } = event;
    let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
    let at_ms = (delay_ms > 0).then(|| now_ms.saturating_add(delay_ms));
    let (version, execution) = (origin.version.clone(), origin.execution.clone());
    let (traceparent, hops) = (origin.cause.traceparent.clone(), origin.cause.hops);
    let body = EventBody { event_type, data, subject, key, at_ms, version, execution, traceparent, hops };
    Ok(OutboxRow { id, kind: RowKind::Event, body: serde_json::to_string(&body)? })
}

/// Handing rows over: reading them is apart, since it takes long and does not wait.
#[cfg(all(feature = "db", feature = "jobs"))]
pub(crate) mod hand_over {
    use super::super::backend::{EventLog, NewEvent};
    use super::super::context;
    use super::super::contract::{Error, ErrorCode};
    use super::super::grant::EventsGrant;
    use super::EventBody;
    use crate::outbox::{HandOverOutcome, traceparent};
    use crate::trigger::{Cause, Clock, Origin, read_json};
    use std::sync::Arc;
    use std::time::Duration;

    /// An event that was read from a row.
    pub(crate) struct ReadEvent {
        origin: Origin,
        event: NewEvent,
    }

    /// Reads a row, if it is what the component could have published. Takes milliseconds for a large one.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn read(grant: &EventsGrant, component: &str, body: &str) -> Result<ReadEvent, String> {
        let body: EventBody = serde_json::from_str(body).map_err(|error| format!("it is not an event: {error}"))?;
        let EventBody { event_type, data, subject, key, at_ms, version, execution, .. } = body;
        let cause = Cause { traceparent: traceparent(body.traceparent), hops: body.hops };
        let origin = Origin { component: component.to_owned(), version, execution, cause };
        let delay = at_ms.map_or(0, |at| at.saturating_sub(Clock::system().now()));
        let event = NewEvent { event_type, data, subject, key, delay: Duration::from_millis(delay) };
        let mut event = context::check(grant, event).map_err(|error| error.message)?;
        event.data = read_json(event.data).map_err(|why| format!("the data are not JSON: {why}"))?;
        Ok(ReadEvent { origin, event })
    }

    /// Hands an event over to the log.
    pub(crate) async fn publish(log: &dyn EventLog, id: String, read: ReadEvent) -> HandOverOutcome {
        match log.publish_once(Arc::new(read.origin), id, read.event).await {
            Ok(_) => HandOverOutcome::Done,
            Err(Error { code: ErrorCode::QuotaExceeded | ErrorCode::Unavailable, message }) => {
                HandOverOutcome::Later(message)
            }
            Err(Error { message, .. }) => HandOverOutcome::Refused(message),
        }
    }
}
