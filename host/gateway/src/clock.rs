//! The time of a request, an argument of every function that needs it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When a request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time since some point before, the same for all requests, by a clock that never goes back. Rate limits count
    /// by it.
    pub monotonic: Duration,
    /// The seconds since 1970, by the clock on the wall. Tokens expire by it.
    pub unix_seconds: u64,
}

impl Now {
    /// Reads the system's clocks. `start` is the same with each call.
    #[must_use]
    pub fn read(start: Instant) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: start.elapsed(), unix_seconds: since_epoch.as_secs() }
    }
}
