//! The types of `elias:events/events`, and their conversion into those of [`EventLog`](super::EventLog).
//!
//! `tests/contract.rs` compares them with the WIT.

use super::backend::NewEvent;
use crate::trigger::{Reply, interface_error};
use elias_host::capability::pricing::Payload;
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use std::time::Duration;

/// Why an event could not be published.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum ErrorCode {
    /// A value is not one that an event can have, or its type is none that was granted.
    #[component(name = "invalid")]
    Invalid,
    /// The data, the subject or the key is too large.
    #[component(name = "too-large")]
    TooLarge,
    /// The component's grant or its tenant's quota is used up.
    #[component(name = "quota-exceeded")]
    QuotaExceeded,
    /// The idempotency key belongs to another event.
    #[component(name = "conflict")]
    Conflict,
    /// The log cannot be reached.
    #[component(name = "unavailable")]
    Unavailable,
}

interface_error!(outbox);

/// An event that is to be published.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct PublishRequest {
    #[component(name = "event-type")]
    pub(super) event_type: String,
    pub(super) data: String,
    pub(super) subject: Option<String>,
    pub(super) key: Option<String>,
    #[component(name = "delay-ms")]
    pub(super) delay_ms: Option<u64>,
}

impl From<PublishRequest> for NewEvent {
    fn from(request: PublishRequest) -> Self {
        let PublishRequest { event_type, data, subject, key, delay_ms } = request;
        Self { event_type, data, subject, key, delay: Duration::from_millis(delay_ms.unwrap_or(0)) }
    }
}

/// The result of `publish`: the event's id.
pub(super) type PublishReply = Result<String, Error>;

impl Reply for PublishReply {
    fn abandoned() -> Self {
        Err(Error::new(ErrorCode::Unavailable, "the log did not answer; whether the event was published is unknown"))
    }
}

impl Payload for PublishRequest {
    fn units(&self) -> u64 {
        let Self { event_type, data, subject, key, delay_ms: _ } = self;
        event_type.units() + data.units() + subject.units() + key.units()
    }
}
