//! The trait of logs of events. The program that runs the host implements it.

use super::contract::Error;
use crate::trigger::Origin;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// An event to publish, within the bounds of the component's grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The type: parts of letters, digits, `-` and `_`, separated by dots; from 1 to 256 bytes.
    pub event_type: String,
    /// A JSON text.
    pub data: String,
    /// The subject; from 1 to 256 bytes.
    pub subject: Option<String>,
    /// An idempotency key, from 1 to 256 bytes: there is no second event with it, and the first one's id is given.
    pub key: Option<String>,
    /// How long until it is published.
    pub delay: Duration,
}

impl NewEvent {
    /// An event of this type that is published at once, without a subject and a key.
    #[must_use]
    pub fn new(event_type: impl Into<String>, data: &Value) -> Self {
        let (event_type, data) = (event_type.into(), data.to_string());
        Self { event_type, data, subject: None, key: None, delay: Duration::ZERO }
    }
}

/// A log of events.
///
/// Each request is done in a task of its own, to its end, also when the execution that asked ends before.
pub trait EventLog: Send + Sync + 'static {
    /// Publishes an event and gives its id; for an idempotency key that is taken, that of the event that has it.
    fn publish(&self, origin: Arc<Origin>, event: NewEvent) -> BoxFuture<'static, Result<String, Error>>;

    /// Publishes an event that was given its id in a component's outbox. If an event was handed over with this id
    /// before, nothing is done: the id is given again. An event whose key another one has is dropped likewise.
    fn publish_once(
        &self,
        origin: Arc<Origin>,
        id: String,
        event: NewEvent,
    ) -> BoxFuture<'static, Result<String, Error>>;
}
