//! Histograms of what the runners measure, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many values there were in each bucket.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Ends of the buckets, each its bucket's largest value.
    ends: &'static [u64],
    /// By how much a value is divided where it is read.
    unit: f64,
    /// The last has those that were beyond all ends.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    pub(crate) fn new(ends: &'static [u64], unit: f64) -> Self {
        Self { ends, unit, buckets: (0..=ends.len()).map(|_| AtomicU64::new(0)).collect(), sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub(crate) fn record(&self, value: u64) {
        self.buckets[self.ends.partition_point(|end| *end < value)].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// All values together, and how many there are in each bucket, by its end.
    pub(crate) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let ends = self.ends.iter().map(|end| *end as f64 / self.unit).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        (self.sum.load(Ordering::Relaxed) as f64 / self.unit, ends.zip(counts).collect())
    }
}
