//! Which executions are recorded: a bounded number a second of each service, and more of those that failed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Executions of a service that went well and are recorded, a second.
const COMPLETED_PER_SECOND: u32 = 20;
/// Executions of a service that failed and are recorded, a second.
const FAILED_PER_SECOND: u32 = 500;

/// The decision for one service.
#[derive(Default)]
pub(crate) struct Sampler {
    second: AtomicU64,
    completed: AtomicU32,
    failed: AtomicU32,
}

impl Sampler {
    /// Whether to record an execution that ended now; if so, it is counted.
    pub(crate) fn should_record(&self, failed: bool, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        // Threads race here: another may count between the swap and the resets, and one that took its time before the
        // second began swaps it back, after which the counts are reset once more. Then some executions more are
        // recorded than the bound, which is no harm; a lock would cost every execution.
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.completed.store(0, Ordering::Relaxed);
            self.failed.store(0, Ordering::Relaxed);
        }
        let (count, maximum) =
            if failed { (&self.failed, FAILED_PER_SECOND) } else { (&self.completed, COMPLETED_PER_SECOND) };
        count.load(Ordering::Relaxed) < maximum && count.fetch_add(1, Ordering::Relaxed) < maximum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_kept_when_successes_are_too_many() {
        let sampler = Sampler::default();
        let recorded = |failed, now| (0..1_000).filter(|_| sampler.should_record(failed, now)).count();
        assert_eq!(recorded(false, 5_000), COMPLETED_PER_SECOND as usize);
        assert_eq!(recorded(true, 5_500), FAILED_PER_SECOND as usize, "successes take nothing from them");
        assert_eq!(recorded(false, 5_999), 0);
        assert_eq!(recorded(false, 6_000), COMPLETED_PER_SECOND as usize, "the next second");
    }
}
