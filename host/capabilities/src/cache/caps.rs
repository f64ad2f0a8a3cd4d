//! Limits of one command: on its keys, values and times to live.

use super::contract::{Command, Entry, Error, ErrorCode, Value};
use elias_host::capability::pricing::List;

/// The longest time to live, in milliseconds: 100 years. Longer ones are cut to it; clocks and Redis reckon with it
/// safely.
pub(super) const TTL_MS_MAX: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// The first byte of a value that JavaScript has set: it says whether the value is text, bytes or JSON.
const TAGS: std::ops::RangeInclusive<u8> = 1..=3;

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
