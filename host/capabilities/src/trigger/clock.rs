//! The clock of the backends in memory.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How long a clock is not looked at at most while somebody waits: it may have been set.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// A clock in milliseconds since 1970: that of the system, or one that a program moves ([`ManualClock`]). Cloning it is
/// cheap.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Function(Arc<dyn Fn() -> u64 + Send + Sync>),
    Manual(ManualClock),
}

impl Clock {
    /// The clock of the system.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// A clock that reads the time from `now`. Waiting for a time reads it when that much time has passed, and every
    /// ten seconds.
    #[must_use]
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Source::Function(Arc::new(now)))
    }

    /// The time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        match &self.0 {
            Source::Function(now) => now(),
            Source::Manual(clock) => clock.now(),
        }
    }

    /// Waits until it is this time, in milliseconds since 1970.
    pub async fn sleep_until(&self, time: u64) {
        match &self.0 {
            Source::Function(now) => loop {
                let left = Duration::from_millis(time.saturating_sub(now()));
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_INTERVAL)).await;
            },
            Source::Manual(clock) => {
                let mut moves = clock.0.subscribe();
                // It cannot end, for this has a sender.
                drop(moves.wait_for(|now| *now >= time).await);
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// A clock for tests that stands still until it is moved, which wakes those whose time has come. Clones are the same
/// clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<u64>>);

impl ManualClock {
    /// A clock that stands at this time, in milliseconds since 1970.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    /// The time, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        *self.0.borrow()
    }

    /// Sets the time, in milliseconds since 1970; it may be before the one it stands at.
    pub fn set(&self, now: u64) {
        self.0.send_replace(now);
    }

    /// Moves the time on, by whole milliseconds.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.send_modify(|now| *now = now.saturating_add(by));
    }

    /// This clock, as the backends take it.
    #[must_use]
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(self.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_manual_clock_wakes_those_who_wait_for_a_time_that_has_come() {
        let manual = ManualClock::new(1_000);
        let clock = manual.clock();
        assert_eq!(clock.sleep_until(1_000).now_or_never(), Some(()));
        let mut waiting = Box::pin(clock.sleep_until(2_000));
        assert_eq!((&mut waiting).now_or_never(), None);
        manual.advance(Duration::from_millis(999));
        assert_eq!((&mut waiting).now_or_never(), None);
        manual.advance(Duration::from_millis(1));
        assert_eq!((waiting.now_or_never(), clock.now()), (Some(()), 2_000));
        manual.set(500);
        assert_eq!(clock.now(), 500);
    }
}
