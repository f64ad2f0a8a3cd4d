//! The counters of service workers for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Ends of the buckets of times, in microseconds, and of sizes of transactions.
const TIMES_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];
const SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// How many values there were in each bucket. The last has those that were beyond all ends.
#[derive(Debug)]
pub(crate) struct Histogram<const BUCKETS: usize> {
    ends: &'static [u64],
    /// By how much a value is divided where it is read.
    unit: f64,
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl<const BUCKETS: usize> Histogram<BUCKETS> {
    fn new(ends: &'static [u64], unit: f64) -> Self {
        Self { ends, unit, buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum: AtomicU64::new(0) }
    }

    fn record(&self, value: u64) {
        let at = self.ends.partition_point(|end| *end < value).min(BUCKETS - 1);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// All values together, and how many there are in each bucket, by its end.
    pub(crate) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let ends = self.ends.iter().map(|end| *end as f64 / self.unit).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        (self.sum.load(Ordering::Relaxed) as f64 / self.unit, ends.zip(counts).collect())
    }
}

/// The counts.
#[derive(Debug)]
pub(crate) struct WorkerMeters {
    turns: AtomicU64,
    wakes: AtomicU64,
    /// Seconds of transactions that commit turns.
    pub(crate) commit_times: Histogram<{ TIMES_US.len() + 1 }>,
    /// Commits of a transaction.
    pub(crate) batch_sizes: Histogram<{ SIZES.len() + 1 }>,
}

impl Default for WorkerMeters {
    fn default() -> Self {
        Self {
            turns: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
            commit_times: Histogram::new(&TIMES_US, 1e6),
            batch_sizes: Histogram::new(&SIZES, 1.0),
        }
    }
}

impl WorkerMeters {
    /// A turn was run.
    pub(crate) fn turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
    }

    /// A worker came into memory.
    pub(super) fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
    }

    /// A transaction has committed so many workers.
    pub(super) fn committed(&self, workers: usize, time: Duration) {
        self.batch_sizes.record(workers as u64);
        self.commit_times.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Turns that were run on this host.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.load(Ordering::Relaxed)
    }

    /// Heaps that were read to bring a worker into memory.
    pub(crate) fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_fall_into_buckets_by_size_and_time() {
        let meters = WorkerMeters::default();
        meters.committed(1, Duration::from_micros(250));
        meters.committed(3, Duration::from_secs(60));
        let filled = |buckets: Vec<(f64, u64)>| buckets.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        let (seconds, times) = meters.commit_times.read();
        assert!((seconds - 60.000_25).abs() < 1e-9, "{seconds}");
        assert_eq!(filled(times), [(0.000_25, 1), (f64::INFINITY, 1)]);
        let (workers, sizes) = meters.batch_sizes.read();
        assert!((workers - 4.0).abs() < 1e-9, "{workers}");
        assert_eq!(filled(sizes), [(1.0, 1), (4.0, 1)]);
    }
}
