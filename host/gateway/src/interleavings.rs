//! The rate limiter's cells and clock in interleavings of threads that `shuttle` chooses, some thousand.

use crate::clock::Now;
use cells::{Cells, ManualClock};
use governor::middleware::StateInformationMiddleware;
use governor::{Quota, RateLimiter};
use shuttle::sync::Arc;
use shuttle::thread;
use std::num::NonZeroU32;
use std::time::Duration;

/// The names that the file below imports from `super`.
mod sync {
    pub(crate) use shuttle::sync::Mutex;
    pub(crate) use shuttle::sync::atomic::{AtomicU64, Ordering};
    pub(crate) use std::sync::PoisonError;
}

#[path = "rate_limit/cells.rs"]
#[allow(dead_code, unreachable_pub, clippy::duplicate_mod)]
mod cells;

type Cellular = RateLimiter<u128, Cells, ManualClock, StateInformationMiddleware>;

const INTERLEAVINGS: usize = 1_000;
const BURST: u32 = 3;
/// Seconds for which a request counts.
const INTERVAL: u64 = 1_200;

fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), unix_seconds: 0 }
}

#[test]
fn a_burst_is_admitted_once_however_the_requests_come() {
    shuttle::check_random(
        || {
            let quota = Quota::with_period(Duration::from_secs(INTERVAL)).expect("not zero");
            let quota = quota.allow_burst(NonZeroU32::new(BURST).expect("not zero"));
            let limiter = Arc::new(Cellular::new(quota, Cells::new(), ManualClock::default()));
            // As `Limiter::check` has it. Some have looked at the time before others, and come after them.
            let check = |limiter: &Cellular, seconds| {
                limiter.clock().advance_to(at(seconds));
                limiter.check_key(&7).is_ok()
            };
            let requests: Vec<_> = [10, 11, 10, 9, 11]
                .map(|seconds| {
                    let limiter = Arc::clone(&limiter);
                    thread::spawn(move || check(&limiter, seconds))
                })
                .into();
            let admitted = requests.into_iter().map(|one| one.join().expect("it ends")).filter(|one| *one).count();
            // One that has looked at the time before others, and comes after them, may find no room that there is now.
            let late = (0..BURST).filter(|_| check(&limiter, 11)).count();
            assert_eq!(admitted + late, BURST as usize);
            assert!(check(&limiter, 11 + INTERVAL), "one is back after a third of the time");
            assert!(!check(&limiter, 11 + INTERVAL), "and no more");
        },
        INTERLEAVINGS,
    );
}
