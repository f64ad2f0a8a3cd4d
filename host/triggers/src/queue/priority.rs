//! Priorities with bounded ageing.

use elias_delivery::clock::Now;

/// Milliseconds that one point of priority is worth. A job waits at most 200 times as long (ten minutes) for jobs of
/// higher priority that came after it.
const POINT_MS: i64 = 3_000;

/// A priority out of its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is {0}; it must be between -100 and 100")]
pub struct InvalidPriority(pub i32);

/// The priority of a job: -100 to 100, higher first; 0 by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(i32);

impl Priority {
    /// A priority.
    ///
    /// # Errors
    /// A number that is not between -100 and 100.
    pub fn new(priority: i32) -> Result<Self, InvalidPriority> {
        if (-100..=100).contains(&priority) { Ok(Self(priority)) } else { Err(InvalidPriority(priority)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The place of a job among those that are ready, lowest first: it is as if the job had become ready three seconds
    /// earlier for each point. It does not change while the job waits, so an index can be ordered by it, and a job with
    /// the lowest priority still comes before all that became ready ten minutes after it.
    #[must_use]
    pub fn rank(self, ready_at: Now) -> i64 {
        i64::try_from(ready_at.unix_ms()).unwrap_or(i64::MAX).saturating_sub(i64::from(self.0) * POINT_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_priorities_come_first_and_nothing_waits_for_ever() {
        let rank = |priority, ready_s: u64| {
            Priority::new(priority).expect("a priority").rank(Now::from_unix_ms(1_800_000_000_000 + ready_s * 1_000))
        };
        assert!(rank(5, 0) < rank(0, 0) && rank(0, 0) < rank(-5, 0));
        assert!(rank(0, 0) < rank(0, 1), "in the order in which they became ready");
        assert!(rank(5, 14) < rank(0, 0), "even if it came later");
        assert!(rank(-100, 0) < rank(100, 601), "but not by more than ten minutes");
    }

    #[test]
    fn priorities_are_bounded() {
        assert_eq!(Priority::new(101), Err(InvalidPriority(101)));
        assert_eq!(Priority::new(-100).map(Priority::get), Ok(-100));
    }
}
