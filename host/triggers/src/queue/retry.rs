//! When a failed job runs again.

use std::time::Duration;

/// The longest delay before a retry: seven days.
pub(super) const DELAY_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Exponential backoff: the delay before attempt `n + 1` is drawn from 0 to `first * factor^(n - 1)`, at most `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// How many attempts there are, with the first: 1 means no retry.
    pub attempts: u32,
    /// The delay after the first attempt, at most.
    pub first: Duration,
    /// The factor of the delay for each further attempt; at least 1.
    pub factor: f64,
    /// The longest delay.
    pub max: Duration,
    /// Whether the delay is drawn at random (full jitter), so that jobs that failed together do not come back together.
    /// Otherwise it is the longest of its range.
    pub jitter: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 8, first: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(3_600), jitter: true }
    }
}

impl RetryPolicy {
    /// The longest delay after a number of attempts (from 1).
    #[must_use]
    pub fn longest_delay(&self, attempt: u32) -> Duration {
        let max = self.max.min(DELAY_MAX);
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        // Infinite after many attempts, which no duration is.
        if seconds < max.as_secs_f64() { Duration::from_secs_f64(seconds) } else { max }
    }

    /// The delay before the next attempt after a number of attempts (from 1), by a random number from 0 to 1; none if
    /// there is no further attempt.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: f64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let longest = self.longest_delay(attempt);
        Some(if self.jitter { longest.mul_f64(random.clamp(0.0, 1.0)) } else { longest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delays_double_up_to_the_longest_and_end_after_the_last_attempt() {
        let policy = RetryPolicy { jitter: false, attempts: 14, ..RetryPolicy::default() };
        let seconds = |attempt| policy.delay(attempt, 0.3).map(|delay| delay.as_secs());
        assert_eq!([seconds(1), seconds(2), seconds(3), seconds(12)], [Some(1), Some(2), Some(4), Some(2_048)]);
        assert_eq!((seconds(13), seconds(14)), (Some(3_600), None));
        assert_eq!(RetryPolicy { attempts: 1, ..policy }.delay(1, 0.5), None, "no retry");
    }

    #[test]
    fn jitter_spreads_over_the_whole_range() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.delay(3, 0.0), Some(Duration::ZERO));
        assert_eq!(policy.delay(3, 0.5), Some(Duration::from_secs(2)));
        assert_eq!(policy.delay(3, 1.0), Some(Duration::from_secs(4)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn delays_are_within_their_bounds(
            first in 100u64..86_400_000, factor in 1.0f64..10.0, max in 100u64..1_000_000_000, attempt in 1u32..200,
            random in 0.0f64..=1.0,
        ) {
            let (first, max) = (Duration::from_millis(first), Duration::from_millis(max));
            let policy = RetryPolicy { attempts: 100, first, factor, max, jitter: true };
            match policy.delay(attempt, random) {
                Some(delay) => prop_assert!(attempt < 100 && delay <= max.min(DELAY_MAX)),
                None => prop_assert!(attempt >= 100),
            }
            prop_assert!(policy.longest_delay(attempt) <= policy.longest_delay(attempt + 1));
            prop_assert!(policy.longest_delay(attempt) >= first.min(max).min(DELAY_MAX));
        }
    }
}
