//! A rate limiter by the generic cell rate algorithm (GCRA): so many units in a period, which come back evenly.

use super::sync::{AtomicU64, Ordering};
use std::time::Duration;

const NS_PER_MS: u64 = 1_000_000;

/// A limit of so many units in a period. When none is used, all of them may be taken at once. Unlike the rate limiters
/// of the crate `governor` it can be in debt, since some costs are known only afterwards, and says how much is used.
pub struct GcraLimiter {
    units: u64,
    period_ns: u64,
    /// When nothing of it is used any more, in nanoseconds since 1970.
    whole_again_ns: AtomicU64,
}

impl GcraLimiter {
    /// `units` in `period`; none for 0 units, which is not a limit.
    #[must_use]
    pub fn new(units: u64, period: Duration) -> Option<Self> {
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        (units > 0).then(|| Self { units, period_ns, whole_again_ns: AtomicU64::new(0) })
    }

    /// How many units are used at a moment; more than there are if it is in debt.
    #[must_use]
    pub fn used(&self, now_ms: u64) -> u64 {
        let left_ns = self.whole_again_ns.load(Ordering::Relaxed).saturating_sub(now_ms.saturating_mul(NS_PER_MS));
        scale(left_ns, self.units, self.period_ns)
    }

    /// Takes the next unit that is free, if that is so within `wait_max`: says how long to wait for it. Else takes
    /// nothing, and says how long it would have been.
    ///
    /// # Errors
    /// The wait, if it is longer than `wait_max`.
    pub fn reserve(&self, now_ms: u64, wait_max: Duration) -> Result<Duration, Duration> {
        let (now, cost) = (now_ms.saturating_mul(NS_PER_MS), self.cost_ns(1));
        let next = |whole_again: u64| whole_again.max(now).saturating_add(cost);
        let wait = |whole_again| Duration::from_nanos((next(whole_again) - now).saturating_sub(self.period_ns));
        let reserved = self.whole_again_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |whole_again| {
            (wait(whole_again) <= wait_max).then(|| next(whole_again))
        });
        reserved.map(wait).map_err(wait)
    }

    /// Whether anything is left of it, else how long to wait for that.
    ///
    /// # Errors
    /// The wait.
    pub fn check(&self, now_ms: u64) -> Result<(), Duration> {
        let now = now_ms.saturating_mul(NS_PER_MS);
        let used_ns = self.whole_again_ns.load(Ordering::Relaxed).saturating_sub(now);
        if used_ns < self.period_ns {
            return Ok(());
        }
        Err(Duration::from_nanos((used_ns - self.period_ns).saturating_add(self.cost_ns(1)).max(NS_PER_MS)))
    }

    /// Uses units, whether they are left or not.
    pub fn spend(&self, units: u64, now_ms: u64) {
        let (now, cost) = (now_ms.saturating_mul(NS_PER_MS), self.cost_ns(units));
        let spend = |whole_again: u64| Some(whole_again.max(now).saturating_add(cost));
        let _ = self.whole_again_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend); // it always has a next
    }

    fn cost_ns(&self, units: u64) -> u64 {
        scale(units, self.period_ns, self.units)
    }
}

/// `amount * times / parts`, where the product may be large.
fn scale(amount: u64, times: u64, parts: u64) -> u64 {
    u64::try_from(u128::from(amount) * u128::from(times) / u128::from(parts)).unwrap_or(u64::MAX)
}
