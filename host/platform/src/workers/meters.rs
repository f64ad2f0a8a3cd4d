//! The counters of service workers for the metrics.

use crate::histogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Ends of the buckets of times, in microseconds, and of sizes of transactions.
const TIMES_US: [u64; 12] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000, 10_000_000];
const SIZES: [u64; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// The counts.
#[derive(Debug)]
pub(crate) struct WorkerMeters {
    turns: AtomicU64,
    wakes: AtomicU64,
    /// Seconds of transactions that commit turns.
    pub(crate) commit_times: Histogram,
    /// Commits of a transaction.
    pub(crate) batch_sizes: Histogram,
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
