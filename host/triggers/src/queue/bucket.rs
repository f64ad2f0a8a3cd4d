//! The token bucket of a rate that several hosts keep together.

use super::Rate;
use elias_delivery::clock::Now;
use std::time::Duration;

const NS_PER_MS: u64 = 1_000_000;

/// A bucket that holds the starts of one period, and gets them back evenly. Its state is one number, so that hosts can
/// share it as a column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenBucket {
    capacity: u64,
    /// How long a token takes to come back, in nanoseconds; rounded up, so that the rate is never exceeded.
    interval_ns: u64,
    full_at_ns: u64,
}

impl TokenBucket {
    /// The bucket of a rate that is full at `full_at_ns`, in nanoseconds since 1970; 0 for one that was never used.
    ///
    /// A time that is further away than an empty bucket takes to be full is of a slower rate before, or of a clock that
    /// was set back: the bucket is then empty.
    #[must_use]
    pub fn new(rate: Rate, full_at_ns: u64, now: Now) -> Self {
        let capacity = u64::from(rate.units().max(1));
        let period_ns = u64::try_from(rate.period().as_nanos()).unwrap_or(u64::MAX);
        let interval_ns = period_ns.div_ceil(capacity);
        let empty_ns = nanoseconds(now).saturating_add(interval_ns.saturating_mul(capacity));
        Self { capacity, interval_ns, full_at_ns: full_at_ns.min(empty_ns) }
    }

    /// How many tokens there are.
    #[must_use]
    pub fn available(&self, now: Now) -> u32 {
        let missing = self.full_at_ns.saturating_sub(nanoseconds(now)).div_ceil(self.interval_ns);
        u32::try_from(self.capacity.saturating_sub(missing)).unwrap_or(u32::MAX)
    }

    /// Takes tokens, which must be [available](Self::available).
    pub fn take(&mut self, tokens: u32, now: Now) {
        let taken_ns = self.interval_ns.saturating_mul(u64::from(tokens));
        self.full_at_ns = self.full_at_ns.max(nanoseconds(now)).saturating_add(taken_ns);
    }

    /// How long to wait until there is a token; rounded up to milliseconds.
    #[must_use]
    pub fn wait(&self, now: Now) -> Duration {
        let capacity_ns = self.interval_ns.saturating_mul(self.capacity);
        let next_ns = self.full_at_ns.saturating_add(self.interval_ns).saturating_sub(capacity_ns);
        Duration::from_millis(next_ns.saturating_sub(nanoseconds(now)).div_ceil(NS_PER_MS))
    }

    /// When it is full, in nanoseconds since 1970.
    #[must_use]
    pub fn full_at_ns(&self) -> u64 {
        self.full_at_ns
    }
}

fn nanoseconds(now: Now) -> u64 {
    now.unix_ms().saturating_mul(NS_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn at(after_ms: u64) -> Now {
        Now::from_unix_ms(NOW + after_ms)
    }

    fn bucket(rate: &str, full_at_ns: u64) -> TokenBucket {
        TokenBucket::new(rate.parse().expect("a rate"), full_at_ns, at(0))
    }

    #[test]
    fn a_bucket_holds_a_period_and_fills_evenly() {
        let mut bucket = bucket("10/s", 0);
        assert_eq!((bucket.available(at(0)), bucket.wait(at(0))), (10, Duration::ZERO));
        bucket.take(10, at(0));
        assert_eq!((bucket.available(at(0)), bucket.wait(at(0))), (0, Duration::from_millis(100)));
        assert_eq!((bucket.available(at(99)), bucket.wait(at(99))), (0, Duration::from_millis(1)));
        assert_eq!((bucket.available(at(100)), bucket.wait(at(100))), (1, Duration::ZERO));
        assert_eq!((bucket.available(at(550)), bucket.available(at(60_000))), (5, 10));
    }

    #[test]
    fn hosts_that_share_its_state_share_its_tokens() {
        let mut one = bucket("7/s", 0);
        one.take(4, at(0));
        let mut other = bucket("7/s", one.full_at_ns());
        assert_eq!(other.available(at(0)), 3);
        other.take(3, at(0));
        assert_eq!(bucket("7/s", other.full_at_ns()).available(at(0)), 0);
        assert_eq!(bucket("1000000/s", 0).available(at(0)), 1_000_000);
    }

    #[test]
    fn no_rate_is_exceeded_in_the_long_run() {
        for rate in ["7/s", "999999/s", "11/m", "1000/h", "3/d"] {
            let parsed: Rate = rate.parse().expect("a rate");
            let period_ms = u64::try_from(parsed.period().as_millis()).expect("small");
            let (mut bucket, mut taken) = (bucket(rate, 0), 0);
            for step in 0..=1_000 {
                let now = at(step * period_ms / 100);
                let available = bucket.available(now);
                bucket.take(available, now);
                taken += u64::from(available);
            }
            let most = u64::from(parsed.units()) * 11;
            assert!(taken <= most && taken * 100 >= most * 99 - 100, "{rate}: {taken} of {most}");
        }
    }

    #[test]
    fn a_bucket_of_a_slower_rate_or_of_a_later_clock_is_empty_and_not_in_debt() {
        let mut day = bucket("1/d", 0);
        day.take(1, at(0));
        let second = bucket("10/s", day.full_at_ns());
        assert_eq!((second.available(at(0)), second.wait(at(0))), (0, Duration::from_millis(100)));
    }
}
