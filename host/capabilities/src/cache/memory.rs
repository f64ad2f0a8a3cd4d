//! The backend in the memory of the host.

use super::backend::{Backend, BackendOutput};
use super::clock::Clock;
use super::contract::{Command, CommandOutput, Error, Value};
use futures::future::{BoxFuture, FutureExt, ready};
use moka::Entry;
use moka::notification::RemovalCause;
use moka::ops::compute::{CompResult, Op};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes that an entry is reckoned to take beside its key and its value.
pub(super) const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// One component's values.
pub(super) struct Memory {
    cache: Cache<String, StoredValue>,
    clock: Clock,
    total_bytes: u64,
    /// Bytes written since evictions were last seen to.
    unsettled: AtomicU64,
}

#[derive(Clone)]
struct StoredValue {
    value: Value,
    expires: Option<Instant>,
}

/// When moka frees an entry. Whether it is still valid is not left to moka, which has a clock of its own.
struct Expiry(Clock);

impl Expiry {
    fn left(&self, stored: &StoredValue) -> Option<Duration> {
        stored.expires.map(|expires| expires.saturating_duration_since(self.0.now()))
    }
}

impl moka::Expiry<String, StoredValue> for Expiry {
    fn expire_after_create(&self, _: &String, stored: &StoredValue, _: Instant) -> Option<Duration> {
        self.left(stored)
    }

    fn expire_after_update(
        &self,
        _: &String,
        stored: &StoredValue,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.left(stored)
    }
}

fn weigh(key: &str, value: &Value) -> u64 {
    key.len() as u64 + value.len() as u64 + ENTRY_OVERHEAD_BYTES
}

impl Memory {
    /// Keeps up to `total_bytes`; what has to go for it is counted in `evictions`. Times to live are measured by
    /// `clock`.
    pub(super) fn new(component: &str, total_bytes: u64, evictions: Arc<AtomicU64>, clock: Clock) -> Self {
        let component: Arc<str> = component.into();
        let cache = Cache::builder()
            .max_capacity(total_bytes)
            .weigher(|key: &String, stored: &StoredValue| u32::try_from(weigh(key, &stored.value)).unwrap_or(u32::MAX))
            // Under the default policy a new entry may be refused in favour of popular ones: a value just made would
            // not be found by those who waited for it.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Expiry(clock.clone()))
            .eviction_listener(move |_, stored: StoredValue, cause| {
                if cause == RemovalCause::Size {
                    let evictions = evictions.fetch_add(1, Ordering::Relaxed) + 1;
                    tracing::debug!(%component, bytes = stored.value.len(), evictions, "a cached value was evicted");
                }
            })
            .build();
        Self { cache, clock, total_bytes, unsettled: AtomicU64::new(0) }
    }

    /// The capacity, in bytes.
    pub(super) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    fn get(&self, key: &str) -> Option<Value> {
        self.cache.get(key).filter(|stored| self.is_valid(stored)).map(|stored| stored.value)
    }

    fn is_valid(&self, stored: &StoredValue) -> bool {
        stored.expires.is_none_or(|expires| self.clock.now() < expires)
    }

    /// When a value is over that is set now.
    fn expires(&self, ttl_ms: Option<u64>) -> Option<Instant> {
        // A clock that does not reach so far does not see that time either.
        self.clock.now().checked_add(Duration::from_millis(ttl_ms?))
    }

    /// Changes what is under a key, alone: every change goes through here, so that none gets in between another's look
    /// and its write. Tells whether there was a change.
    fn change(
        &self,
        key: String,
        change: impl FnOnce(Option<StoredValue>) -> Result<Op<StoredValue>, Error>,
    ) -> Result<bool, Error> {
        let changed = self.cache.entry(key).and_try_compute_with(|entry| {
            change(entry.map(Entry::into_value).filter(|stored| self.is_valid(stored)))
        })?;
        match changed {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) => {
                self.settle(weigh(entry.key(), &entry.value().value));
                Ok(true)
            }
            CompResult::Removed(_) => Ok(true),
            CompResult::StillNone(_) | CompResult::Unchanged(_) => Ok(false),
        }
    }

    /// Evictions lag behind by some writes, whatever their size. Seeing to them after every sixteenth of the capacity
    /// bounds by how much it is exceeded.
    fn settle(&self, written: u64) {
        let unsettled = self.unsettled.fetch_add(written, Ordering::Relaxed) + written;
        if unsettled > self.total_bytes / 16 {
            self.unsettled.store(0, Ordering::Relaxed);
            self.cache.run_pending_tasks();
        }
    }

    fn execute(&self, command: Command) -> Result<BackendOutput, Error> {
        Ok(match command {
            Command::Get(key) | Command::Lease(key) => CommandOutput::Value(self.get(&key)),
            Command::GetMany(keys) => CommandOutput::Values(keys.iter().map(|key| self.get(key)).collect()),
            Command::Set(entry) => {
                let stored = StoredValue { value: entry.value, expires: self.expires(entry.ttl_ms) };
                CommandOutput::Changed(self.change(entry.key, |_| Ok(Op::Put(stored)))?)
            }
            Command::SetIfAbsent(entry) => {
                let stored = StoredValue { value: entry.value, expires: self.expires(entry.ttl_ms) };
                let put = |old: Option<StoredValue>| Ok(if old.is_none() { Op::Put(stored) } else { Op::Nop });
                CommandOutput::Changed(self.change(entry.key, put)?)
            }
            Command::CompareAndSwap(swap) => {
                let stored = StoredValue { value: swap.entry.value, expires: self.expires(swap.entry.ttl_ms) };
                let put = |old: Option<StoredValue>| {
                    let same = old.map(|old| old.value) == swap.expected;
                    Ok(if same { Op::Put(stored) } else { Op::Nop })
                };
                CommandOutput::Changed(self.change(swap.entry.key, put)?)
            }
            Command::Delete(key) => {
                let remove = |old: Option<StoredValue>| Ok(if old.is_some() { Op::Remove } else { Op::Nop });
                CommandOutput::Changed(self.change(key, remove)?)
            }
            Command::Increment(increment) => {
                let mut sum = increment.by;
                self.change(increment.key, |old| {
                    let expires = old.as_ref().map_or_else(|| self.expires(increment.ttl_ms), |old| old.expires);
                    if let Some(old) = old {
                        sum = number(&old.value)
                            .and_then(|number| number.checked_add(increment.by))
                            .ok_or_else(Error::not_a_number)?;
                    }
                    Ok(Op::Put(StoredValue { value: sum.to_string().into_bytes().into(), expires }))
                })?;
                CommandOutput::Number(sum)
            }
            Command::Expire(expiry) => {
                let expires = self.expires(expiry.ttl_ms);
                let put =
                    |old: Option<StoredValue>| Ok(old.map_or(Op::Nop, |old| Op::Put(StoredValue { expires, ..old })));
                CommandOutput::Changed(self.change(expiry.key, put)?)
            }
        })
    }
}

impl Backend for Memory {
    fn immediate(&self) -> bool {
        true
    }

    fn run(&self, command: Command) -> BoxFuture<'static, Result<BackendOutput, Error>> {
        ready(self.execute(command)).boxed()
    }
}

/// Reads decimal text as Redis does: without blanks, plus signs and leading zeros.
fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
