//! Time as the state machines are given it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The clock of a process: the time of day when it started, and what a monotonic clock has counted since.
#[derive(Debug, Clone)]
pub struct Clock {
    start_ms: u64,
    started: Instant,
}

impl Clock {
    /// Starts at the present time of day.
    #[must_use]
    pub fn start() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start_ms: u64::try_from(start.as_millis()).unwrap_or_default(), started: Instant::now() }
    }

    /// This moment.
    #[must_use]
    pub fn now(&self) -> Now {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or_default();
        Now::from_unix_ms(self.start_ms.saturating_add(since))
    }

    /// The time since the process started, by a monotonic clock.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A moment: milliseconds since 1970-01-01 00:00 UTC.
///
/// State machines never read a clock. Whoever calls them should give the time of day at the start of the process plus
/// what a monotonic clock has counted since, which does not jump. With a clock that does jump a rollout still goes no
/// step further for it, and a breaker's wait may end early but never lasts longer than it would have from the new time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now(u64);

impl Now {
    /// The moment that is `milliseconds` after 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn from_unix_ms(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        self.0
    }
}
