//! `elias:cache/cache` as types: what components say and hear, and the caps on what they say.

use super::lease::Lease;
use super::operation::Operation;
use elias_host::capability::pricing::{List, Payload, Size, size};
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower, Resource};
use std::fmt;
use std::sync::Arc;

/// A value. Shared, so that what is kept in memory is copied once on its way to a component: into that component's memory.
pub(super) type Value = Arc<[u8]>;

/// The longest time to live, in milliseconds: 100 years. Longer ones are cut to it; clocks and Redis reckon with it safely.
pub(super) const TTL_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// Units of fuel of a command, and of each key of it: in the host's memory it is done at once, and for Redis it is written out.
pub(super) const COMMAND: u64 = 10_000;
pub(super) const KEY: u64 = 900;

/// Keys that are taken from a component at once; as many as `keys-per-call` can allow.
pub(super) const KEYS_MAX: usize = 10_000;

/// The keys of a command, as a size by which it is paid.
pub(super) fn keys<P: 'static>(command: fn(&P) -> &Command) -> Size<P> {
    let keys = move |arguments: &P| match command(arguments) {
        Command::GetMany(keys) => keys.0.len() as u64,
        _ => 1,
    };
    size("keys", keys).at_most(KEYS_MAX as u64)
}

/// What the first byte of a value that JavaScript has set is: it says whether that is text, bytes or JSON.
pub(super) const TAGS: std::ops::RangeInclusive<u8> = 1..=3;

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

/// A failure. Its message is seen by the component: it has no addresses, no credentials and nothing of a backend's own words.
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

/// Sets the time to live of what is there.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(super) struct Expiry {
    pub(super) key: String,
    #[component(name = "ttl-ms")]
    pub(super) ttl_ms: Option<u64>,
}

/// What can be done.
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

/// What a command gave; `L` is the lease itself on the host, and the handle to it for the component.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Answer<L = Lease> {
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

/// What `start` gave.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum Started {
    #[component(name = "done")]
    Done(Result<Answer<Resource<Lease>>, Error>),
    #[component(name = "pending")]
    Pending(Resource<Operation>),
}

impl<L> fmt::Debug for Answer<L> {
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

impl<L> Payload for Answer<L> {
    fn units(&self) -> u64 {
        match self {
            Self::Value(value) => value.units(),
            Self::Values(values) => values.units(),
            Self::Changed(_) | Self::Number(_) | Self::Leased(_) => 0,
        }
    }
}

impl Payload for Started {
    fn units(&self) -> u64 {
        match self {
            Self::Done(outcome) => outcome.units(),
            Self::Pending(_) => 0,
        }
    }
}

/// The caps on one command.
#[derive(Debug, Clone)]
pub(super) struct Caps {
    /// Bytes of a key.
    pub(super) key_bytes: usize,
    /// Bytes of a value.
    pub(super) value_bytes: usize,
    /// Keys that a command names.
    pub(super) keys_per_call: usize,
}

impl Caps {
    /// Refuses what is over the caps, and brings times to live between 1 ms and [`TTL_MS_MAX`].
    pub(super) fn check(&self, mut command: Command) -> Result<Command, Error> {
        match &mut command {
            Command::Get(key) | Command::Delete(key) | Command::Lease(key) => self.key(key)?,
            Command::GetMany(List(keys)) => {
                if keys.len() > self.keys_per_call {
                    let message = format!("{} keys at once; keys-per-call is {}", keys.len(), self.keys_per_call);
                    return Err(Error::new(ErrorCode::TooLarge, message));
                }
                keys.iter().try_for_each(|key| self.key(key))?;
            }
            Command::Set(entry) | Command::SetIfAbsent(entry) => self.entry(entry)?,
            Command::CompareAndSwap(swap) => {
                self.entry(&mut swap.entry)?;
                swap.expected.as_ref().map_or(Ok(()), |expected| self.value(expected))?;
            }
            Command::Increment(increment) => {
                self.key(&increment.key)?;
                clamp(&mut increment.ttl_ms);
            }
            Command::Expire(expiry) => {
                self.key(&expiry.key)?;
                clamp(&mut expiry.ttl_ms);
            }
        }
        Ok(command)
    }

    fn entry(&self, entry: &mut Entry) -> Result<(), Error> {
        clamp(&mut entry.ttl_ms);
        self.key(&entry.key)?;
        self.value(&entry.value)
    }

    fn key(&self, key: &str) -> Result<(), Error> {
        let message = match key.len() {
            0 => "the key is empty".to_owned(),
            length if length > self.key_bytes => {
                format!("the key has {length} bytes; key-bytes is {}", self.key_bytes)
            }
            _ => return Ok(()),
        };
        Err(Error::new(ErrorCode::InvalidKey, message))
    }

    fn value(&self, value: &Value) -> Result<(), Error> {
        // The byte by which JavaScript's values tell what they are is not the component's.
        let length = value.len() - usize::from(value.first().is_some_and(|first| TAGS.contains(first)));
        if length <= self.value_bytes {
            return Ok(());
        }
        let message = format!("the value has {length} bytes; value-bytes is {}", self.value_bytes);
        Err(Error::new(ErrorCode::TooLarge, message))
    }
}

/// No time at all would be no valid time to Redis: what is to expire at once lives for the shortest time there is.
fn clamp(ttl_ms: &mut Option<u64>) {
    *ttl_ms = ttl_ms.map(|ttl| ttl.clamp(1, TTL_MS_MAX));
}
