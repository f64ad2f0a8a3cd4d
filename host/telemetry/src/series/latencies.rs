//! Latencies as a histogram: counts by buckets, from which quantiles are estimated.

use serde::{Deserialize, Serialize};

/// Ends of the buckets of latencies in microseconds; each bucket has the values up to its end. A last bucket has those
/// beyond all ends.
pub const LATENCY_ENDS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// The number of buckets.
pub const BUCKETS: usize = LATENCY_ENDS_US.len() + 1;

/// How many latencies there were in each bucket, and all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latencies {
    /// Latencies by bucket.
    pub counts: [u64; BUCKETS],
    /// Microseconds of all together.
    pub sum_us: u64,
}

impl Latencies {
    /// The bucket of a latency in microseconds.
    #[must_use]
    pub fn bucket(us: u64) -> usize {
        LATENCY_ENDS_US.partition_point(|end| *end < us)
    }

    /// Counts a latency in microseconds.
    pub fn record(&mut self, us: u64) {
        self.counts[Self::bucket(us)] += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// The number of latencies.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Adds those of another host, or of another time.
    pub fn add(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(other);
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }

    /// Those that came after `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            counts: std::array::from_fn(|at| self.counts[at].saturating_sub(before.counts[at])),
            sum_us: self.sum_us.saturating_sub(before.sum_us),
        }
    }

    /// The mean in seconds; none without a latency.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum_us as f64 / count as f64 / 1e6)
    }

    /// An estimate of the quantile `q` (0 to 1) in seconds, as `histogram_quantile` of Prometheus makes it: linear in
    /// the bucket, and the last end for what is beyond it. None without a latency.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = q.clamp(0.0, 1.0) * count as f64;
        let (mut below, mut start_us) = (0_u64, 0_u64);
        for (in_bucket, end_us) in self.counts.iter().zip(LATENCY_ENDS_US) {
            let upto = below.saturating_add(*in_bucket);
            if *in_bucket > 0 && upto as f64 >= rank {
                let share = (rank - below as f64).max(0.0) / *in_bucket as f64;
                return Some((start_us as f64 + (end_us - start_us) as f64 * share) / 1e6);
            }
            (below, start_us) = (upto, end_us);
        }
        Some(start_us as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_the_bucket_that_has_them() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile(0.5), latencies.mean()), (None, None));
        for _ in 0..90 {
            latencies.record(2_000);
        }
        for _ in 0..10 {
            latencies.record(200_000);
        }
        let quantile = |q| latencies.quantile(q).expect("there are some");
        assert!((0.001..=0.0025).contains(&quantile(0.5)), "{}", quantile(0.5));
        assert!((0.001..=0.0025).contains(&quantile(0.9)), "{}", quantile(0.9));
        assert!((0.1..=0.25).contains(&quantile(0.95)), "{}", quantile(0.95));
        assert!(quantile(0.95) < quantile(0.99));
        assert!((latencies.mean().expect("a mean") - 0.0218).abs() < 1e-9);
    }

    #[test]
    fn what_is_beyond_all_ends_is_the_last_end() {
        let mut latencies = Latencies::default();
        latencies.record(u64::MAX);
        assert_eq!(latencies.quantile(0.99), Some(30.0));
    }

    #[test]
    fn those_of_hosts_add_up_and_those_of_before_are_taken_off() {
        let (mut one, mut two) = (Latencies::default(), Latencies::default());
        one.record(1_000);
        two.record(1_001);
        let before = one;
        one.add(&two);
        assert_eq!((one.count(), one.since(&before)), (2, two));
    }
}
