//! The types of `elias:cache/cache`.
//!
//! They are written by hand: types that wasmtime generates from the WIT would copy a value once more on its way to a
//! component, and lift all keys of `get-many` before their number is known. `tests/contract.rs` compares them with the
//! WIT.

use elias_host::capability::pricing::{List, Payload};
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use std::fmt;
use std::sync::Arc;

/// A value. It is shared, so that a value in the host's memory is copied once on its way to a component: into that
/// component's memory.
pub(super) type Value = Arc<[u8]>;

/// Keys that are taken from a component at once; as many as `keys-per-call` can allow.
pub(super) const KEYS_MAX: usize = 10_000;

/// Why an operation failed.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub(super) enum ErrorCode {
    #[component(name = "invalid-key")]
    InvalidKey,
    #[component(name = "too-large")]
    TooLarge,
    #[component(name = "not-a-number")]
    NotANumber,
    #[component(name = "too-many-operations")]
    TooManyOperations,
    #[component(name = "unavailable")]
    Unavailable,
}

/// A failure. Its message is seen by the component: it has no addresses, no credentials and nothing of a backend's own
/// words.
#[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
#[component(record)]
pub(super) struct Error {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

impl Error {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The value is not a number, or would not be one any more.
    pub(super) fn not_a_number() -> Self {
        Self::new(ErrorCode::NotANumber, "the value must be an integer, and the sum must fit into 64 bits")
    }
}

/// Stores a value.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: Value,
    #[component(name = "ttl-ms")]
    pub(super) ttl_ms: Option<u64>,
}

/// Stores a value in place of another.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(super) struct Swap {
    pub(super) entry: Entry,
    pub(super) expected: Option<Value>,
}

/// Adds to a number.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(super) struct Increment {
    pub(super) key: String,
    pub(super) by: i64,
    #[component(name = "ttl-ms")]
    pub(super) ttl_ms: Option<u64>,
}

/// Sets the time to live of an existing value.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(super) struct Expiry {
    pub(super) key: String,
    #[component(name = "ttl-ms")]
    pub(super) ttl_ms: Option<u64>,
}

/// The commands.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(variant)]
pub(super) enum Command {
    #[component(name = "get")]
    Get(String),
    #[component(name = "get-many")]
    GetMany(List<String, KEYS_MAX>),
    #[component(name = "set")]
    Set(Entry),
    #[component(name = "set-if-absent")]
    SetIfAbsent(Entry),
    #[component(name = "compare-and-swap")]
    CompareAndSwap(Swap),
    #[component(name = "delete")]
    Delete(String),
    #[component(name = "increment")]
    Increment(Increment),
    #[component(name = "expire")]
    Expire(Expiry),
    #[component(name = "lease")]
    Lease(String),
}

impl Command {
    /// The name of the operation.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::GetMany(_) => "get-many",
            Self::Set(_) => "set",
            Self::SetIfAbsent(_) => "set-if-absent",
            Self::CompareAndSwap(_) => "compare-and-swap",
            Self::Delete(_) => "delete",
            Self::Increment(_) => "increment",
            Self::Expire(_) => "expire",
            Self::Lease(_) => "lease",
        }
    }
}

/// The result of a command. `L` is the handle to a lease for the component, the lease itself on the host, and nothing
/// for backends, which have none.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum CommandOutput<L> {
    #[component(name = "value")]
    Value(Option<Value>),
    #[component(name = "values")]
    Values(Vec<Option<Value>>),
    #[component(name = "changed")]
    Changed(bool),
    #[component(name = "number")]
    Number(i64),
    #[component(name = "leased")]
    Leased(L),
}

impl<L> CommandOutput<L> {
    /// The same output with another type of lease.
    ///
    /// # Errors
    /// That of `lease`.
    pub(super) fn map_lease<M, E>(self, lease: impl FnOnce(L) -> Result<M, E>) -> Result<CommandOutput<M>, E> {
        Ok(match self {
            Self::Value(value) => CommandOutput::Value(value),
            Self::Values(values) => CommandOutput::Values(values),
            Self::Changed(changed) => CommandOutput::Changed(changed),
            Self::Number(number) => CommandOutput::Number(number),
            Self::Leased(held) => CommandOutput::Leased(lease(held)?),
        })
    }
}

impl<L> fmt::Debug for CommandOutput<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.debug_tuple("Value").field(value).finish(),
            Self::Values(values) => f.debug_tuple("Values").field(values).finish(),
            Self::Changed(changed) => f.debug_tuple("Changed").field(changed).finish(),
            Self::Number(number) => f.debug_tuple("Number").field(number).finish(),
            Self::Leased(_) => f.write_str("Leased"),
        }
    }
}

impl Payload for Entry {
    fn units(&self) -> u64 {
        self.key.units() + self.value.units()
    }
}

impl Payload for Command {
    fn units(&self) -> u64 {
        match self {
            Self::Get(key) | Self::Delete(key) | Self::Lease(key) => key.units(),
            Self::GetMany(keys) => keys.units(),
            Self::Set(entry) | Self::SetIfAbsent(entry) => entry.units(),
            Self::CompareAndSwap(Swap { entry, expected }) => entry.units() + expected.units(),
            Self::Increment(Increment { key, .. }) | Self::Expire(Expiry { key, .. }) => key.units(),
        }
    }
}

impl Payload for Error {
    fn units(&self) -> u64 {
        self.message.units()
    }
}

impl<L> Payload for CommandOutput<L> {
    fn units(&self) -> u64 {
        match self {
            Self::Value(value) => value.units(),
            Self::Values(values) => values.units(),
            Self::Changed(_) | Self::Number(_) | Self::Leased(_) => 0,
        }
    }
}
