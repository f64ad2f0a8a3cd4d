//! Time as the state machines are given it.

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
