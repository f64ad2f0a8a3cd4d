//! Which executions are recorded: of a busy component some, of failures many more.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Executions of a service that went well and are recorded, a second.
const COMPLETED_PER_SECOND: u32 = 20;
/// Executions of a service that failed and are recorded, a second.
const FAILED_PER_SECOND: u32 = 500;

/// Decides for one service.
#[derive(Default)]
pub(crate) struct Sampler {
    second: AtomicU64,
    completed: AtomicU32,
    failed: AtomicU32,
}

impl Sampler {
    /// Whether an execution that ended now is recorded.
    pub(crate) fn takes(&self, failed: bool, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        // Two requests that begin a second at once may both reset the counts: one more is recorded, no harm.
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.completed.store(0, Ordering::Relaxed);
            self.failed.store(0, Ordering::Relaxed);
        }
        let (count, most) =
            if failed { (&self.failed, FAILED_PER_SECOND) } else { (&self.completed, COMPLETED_PER_SECOND) };
        count.load(Ordering::Relaxed) < most && count.fetch_add(1, Ordering::Relaxed) < most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_kept_when_successes_are_too_many() {
        let sampler = Sampler::default();
        let taken = |failed, now| (0..1_000).filter(|_| sampler.takes(failed, now)).count();
        assert_eq!(taken(false, 5_000), COMPLETED_PER_SECOND as usize);
        assert_eq!(taken(true, 5_500), FAILED_PER_SECOND as usize, "successes take nothing from them");
        assert_eq!(taken(false, 5_999), 0);
        assert_eq!(taken(false, 6_000), COMPLETED_PER_SECOND as usize, "the next second");
    }
}
