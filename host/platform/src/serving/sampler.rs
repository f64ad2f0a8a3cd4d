//! Decides which executions are recorded: a bounded number a second of each service, and more of those that failed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Requests to a service that went well and are recorded, a second.
const COMPLETED_PER_SECOND: u32 = 20;
/// Requests to a service that failed and are recorded, a second.
const FAILED_PER_SECOND: u32 = 500;

/// The decision for one service.
#[derive(Default)]
pub(crate) struct Sampler {
    second: AtomicU64,
    completed: AtomicU32,
    failed: AtomicU32,
    runs: AtomicU32,
}

impl Sampler {
    /// Whether to record the execution of a request that ended now; if so, it is counted.
    pub(crate) fn should_record(&self, failed: bool, now_ms: u64) -> bool {
        let (count, maximum) =
            if failed { (&self.failed, FAILED_PER_SECOND) } else { (&self.completed, COMPLETED_PER_SECOND) };
        self.is_within(count, maximum, now_ms)
    }

    /// Whether to record a run of a trigger that went well and ended now, of which `maximum` a second are recorded; if
    /// so, it is counted.
    pub(crate) fn should_record_run(&self, maximum: u32, now_ms: u64) -> bool {
        self.is_within(&self.runs, maximum, now_ms)
    }

    fn is_within(&self, count: &AtomicU32, maximum: u32, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        // Threads race here: another may count between the swap and the resets, and one that took its time before the
        // second began swaps it back, after which the counts are reset once more. Then some executions more are
        // recorded than the bound, which is no harm; a lock would cost every execution.
        if self.second.swap(second, Ordering::Relaxed) != second {
            for count in [&self.completed, &self.failed, &self.runs] {
                count.store(0, Ordering::Relaxed);
            }
        }
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

    #[test]
    fn runs_of_triggers_have_a_bound_of_their_own() {
        let sampler = Sampler::default();
        let runs = |maximum, now| (0..1_000).filter(|_| sampler.should_record_run(maximum, now)).count();
        assert_eq!((runs(100, 5_000), runs(100, 5_999), runs(100, 6_000)), (100, 0, 100));
        assert!(sampler.should_record(false, 6_000), "they take nothing from requests");
        assert_eq!(runs(0, 7_000), 0);
    }
}
