//! The state of a rate limiter: a cell for each caller, and a clock.

use super::sync::{AtomicU64, Mutex, Ordering, PoisonError};
use crate::bounded::BoundedMap;
use crate::clock::Now;
use governor::clock::Clock;
use governor::nanos::Nanos;
use governor::state::StateStore;

/// The most callers whose cells a limiter holds.
pub const MAX_CELLS: usize = SHARDS * 2 * HALF_SHARD;

const SHARDS: usize = 16;
const HALF_SHARD: usize = 2048;

/// A clock that only moves when it is given a later time.
#[derive(Debug, Default)]
pub(super) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(super) fn advance_to(&self, now: Now) {
        let nanos = Nanos::from(now.monotonic).as_u64();
        if self.0.load(Ordering::Relaxed) < nanos {
            self.0.fetch_max(nanos, Ordering::Relaxed);
        }
    }
}

impl Clock for ManualClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// The cells, in shards that are locked each on its own.
#[derive(Debug)]
pub(super) struct Cells([Mutex<BoundedMap<u128, Nanos>>; SHARDS]);

impl Cells {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(BoundedMap::new(HALF_SHARD))))
    }

    /// How many callers are known.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

impl StateStore for Cells {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shard = usize::try_from(key % SHARDS as u128).unwrap_or(0);
        let mut cells = self.0[shard].lock().unwrap_or_else(PoisonError::into_inner);
        match cells.get(key) {
            Some(cell) => {
                let (outcome, next) = measure(Some(*cell))?;
                *cell = next;
                Ok(outcome)
            }
            None => {
                let (outcome, next) = measure(None)?;
                cells.insert(*key, next);
                Ok(outcome)
            }
        }
    }
}
