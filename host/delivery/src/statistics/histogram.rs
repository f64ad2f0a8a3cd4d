//! A histogram that many threads count in.

use std::sync::atomic::{AtomicU32, Ordering};

/// Buckets in each power of two: a bucket is at most 1/16 of its values wide.
const STEPS: u64 = 16;
const STEP_BITS: u32 = 4;
/// Values of 2^40 or more count as the largest: 12 days in microseconds.
const VALUE_BITS: u32 = 40;
const BUCKETS: usize = ((VALUE_BITS - STEP_BITS + 1) as u64 * STEPS) as usize;

/// Counts of whole numbers in logarithmic buckets, each a power of two in sixteen equal steps. Recording is one relaxed
/// addition; the size is 2.4 KB, whatever is recorded.
#[derive(Debug)]
pub struct Histogram {
    buckets: Box<[AtomicU32]>,
}

/// The counts of a [`Histogram`], or those between two looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HistogramSnapshot {
    buckets: Vec<u32>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU32::new(0)).collect() }
    }
}

impl Histogram {
    /// Counts a value.
    pub fn record(&self, value: u64) {
        if let Some(bucket) = self.buckets.get(index(value)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The present counts. Those of other threads may or may not be among them.
    #[must_use]
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot { buckets: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect() }
    }
}

impl HistogramSnapshot {
    /// The counts since `earlier`. Correct also across the wrap of a bucket at 2^32, as long as fewer than that came.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let earlier = earlier.buckets.iter().chain(std::iter::repeat(&0));
        Self { buckets: self.buckets.iter().zip(earlier).map(|(now, then)| now.wrapping_sub(*then)).collect() }
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| u64::from(*count)).sum()
    }

    /// A value that at least the share `quantile` of the values do not exceed: the end of the bucket, up to 1/16 too
    /// high. `None` if there are no values.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<u64> {
        let count = self.count();
        let rank = ((count as f64 * quantile).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0;
        let bucket = self.buckets.iter().position(|here| {
            below += u64::from(*here);
            below >= rank
        })?;
        Some(start(bucket + 1) - 1)
    }

    /// How many values are certain to exceed `value`: those of the buckets that begin above it.
    #[must_use]
    pub fn count_above(&self, value: u64) -> u64 {
        let counts = self.buckets.get(index(value) + 1..).unwrap_or_default();
        counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The standard deviation, with each value at the middle of its bucket; 0 for fewer than two.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let count = self.count() as f64;
        if count < 2.0 {
            return 0.0;
        }
        let filled = || self.buckets.iter().enumerate().filter(|(_, here)| **here > 0);
        let middle = |bucket: usize| f64::midpoint(start(bucket) as f64, (start(bucket + 1) - 1) as f64);
        let mean = filled().map(|(bucket, here)| f64::from(*here) * middle(bucket)).sum::<f64>() / count;
        let squares = filled().map(|(bucket, here)| f64::from(*here) * (middle(bucket) - mean).powi(2)).sum::<f64>();
        (squares / (count - 1.0)).sqrt()
    }
}

fn index(value: u64) -> usize {
    let value = value.min((1 << VALUE_BITS) - 1);
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    (u64::from(shift) * STEPS + (value >> shift)) as usize
}

/// The lowest value of a bucket.
fn start(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    (STEPS + bucket % STEPS) << (bucket / STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> HistogramSnapshot {
        let histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.record(value));
        histogram.snapshot()
    }

    #[test]
    fn every_value_has_a_bucket_that_is_narrow() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) + 1, (1u64 << bits) - 1, u64::MAX >> bits] {
                let bucket = index(value);
                assert!(bucket < BUCKETS, "{value}");
                if value < 1 << VALUE_BITS {
                    assert!((start(bucket)..start(bucket + 1)).contains(&value), "{value}");
                    assert!(start(bucket + 1) - start(bucket) <= value / 16 + 1, "{value}");
                }
            }
        }
    }

    #[test]
    fn quantiles_are_right_within_a_sixteenth() {
        let all = of(1..=10_000);
        for (quantile, exact) in [(0.0, 1), (0.5, 5_000), (0.99, 9_900), (1.0, 10_000)] {
            let found = all.quantile(quantile).unwrap();
            assert!((exact..=exact + exact / 16).contains(&found), "{quantile}: {found}");
        }
        assert_eq!(of([]).quantile(0.99), None);
        assert_eq!(HistogramSnapshot::default().quantile(0.99), None);
        assert!((all.deviation() - 2_886.9).abs() < 20.0);
    }

    #[test]
    fn what_exceeds_is_never_overstated() {
        let all = of(0..1_000);
        for value in 0..1_000 {
            let exact = 999 - value;
            let found = all.count_above(value);
            assert!(found <= exact && exact <= found + value / 16 + 1, "{value}: {found}");
        }
        assert_eq!(all.count_above(u64::MAX), 0);
    }

    #[test]
    fn a_difference_has_what_came_in_between() {
        let histogram = Histogram::default();
        histogram.record(5);
        let before = histogram.snapshot();
        histogram.record(5);
        histogram.record(900);
        let since = histogram.snapshot().since(&before);
        assert_eq!((since.count(), since.count_above(5)), (2, 1));
        assert_eq!(histogram.snapshot().since(&HistogramSnapshot::default()).count(), 3);
    }
}
