//! The types of `elias:workers/workers`. `tests/contract.rs` compares them with the WIT.

use super::backend::WorkerCall;
use crate::trigger::Reply;
use elias_host::capability::pricing::Payload;
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use std::fmt;

/// Bytes of a UUID as it is written.
const UUID_BYTES: usize = 36;

/// Why a call has no answer.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum ErrorCode {
    /// The worker's handler threw.
    #[component(name = "exception")]
    Exception,
    /// A value is not one that a call can have.
    #[component(name = "invalid")]
    Invalid,
    /// The value is too large.
    #[component(name = "too-large")]
    TooLarge,
    /// The component's grant is used up.
    #[component(name = "quota-exceeded")]
    QuotaExceeded,
    /// The component has no such class.
    #[component(name = "not-found")]
    NotFound,
    /// The worker's mailbox is full.
    #[component(name = "mailbox-full")]
    MailboxFull,
    /// The worker was ended in this call, or stopped.
    #[component(name = "failed")]
    Failed,
    /// No workers run here, or they are being stopped.
    #[component(name = "unavailable")]
    Unavailable,
}

/// A failure. The component sees its message: it has no addresses and no credentials.
#[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub struct Error {
    /// The kind of failure.
    pub code: ErrorCode,
    /// The class of the exception that the worker's handler threw; else `Error`.
    pub name: String,
    /// For people: what happened, and what to do.
    pub message: String,
}

impl Error {
    /// A failure with this code and message, which no handler threw.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, name: "Error".to_owned(), message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for Error {}

impl Payload for Error {
    fn units(&self) -> u64 {
        self.name.units() + self.message.units()
    }
}

/// A call, as a component gives it.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(super) struct CallRequest {
    pub(super) class: String,
    pub(super) name: String,
    pub(super) method: Option<String>,
    pub(super) value: String,
    pub(super) id: Option<String>,
}

impl Payload for CallRequest {
    fn units(&self) -> u64 {
        self.class.units() + self.name.units() + self.method.units() + self.value.units() + self.id.units()
    }
}

impl From<CallRequest> for WorkerCall {
    fn from(CallRequest { class, name, method, value, id }: CallRequest) -> Self {
        Self { class, name, method, value, id: id.filter(|id| id.len() == UUID_BYTES) }
    }
}

/// The result of a call: the answer.
pub(super) type CallReply = Result<String, Error>;

impl Reply for CallReply {
    fn abandoned() -> Self {
        Err(Error::new(ErrorCode::Unavailable, "the worker did not answer; whether it did its work is unknown"))
    }
}
