//! Measures the CPU time that host functions take of the threads on which guests run.
//!
//! A price is what a function should take; this is what it does take. Reading a thread's CPU clock is a system call,
//! 200 to 800 ns, which would be more than most calls cost. So what is measured are all calls whose price is
//! [`MEASURED_UNITS`] or more, and of the others one in [`SAMPLED_ONE_IN`].

use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Units of fuel from which every call is measured: 100 us, of which two looks at the clock are a hundredth.
const MEASURED_UNITS: u64 = 1_000_000;

/// One in this many calls of a thread that cost less than 100 us is measured. A prime, so that guests which call the
/// host in a rhythm are not measured at the same function over and over.
pub const SAMPLED_ONE_IN: u32 = 127;

/// The upper bounds of the histogram's buckets, in microseconds.
const BOUNDS_US: [u64; 9] = [5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000];

/// The times of one function's measured calls.
#[derive(Debug, Default)]
pub(super) struct Times {
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    nanoseconds: AtomicU64,
    longest: AtomicU64,
}

/// CPU time that measured calls of a host function took of their guests' threads, from when the price was paid to the
/// result. Copying arguments and results is not in it, and neither is what was done aside. A call that waits is counted
/// once, with all that it took.
#[derive(Debug, Clone, PartialEq)]
pub struct CallTimes {
    /// Of all together, in seconds.
    pub seconds: f64,
    /// Calls by how long they took: upper bounds of the buckets, in seconds, and how many are in each of them alone.
    pub buckets: Vec<(f64, u64)>,
    /// The longest.
    pub longest: Duration,
}

impl CallTimes {
    /// The number of measured calls.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

impl Times {
    pub(super) fn record(&self, time: Duration) {
        let microseconds = u64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[BOUNDS_US.partition_point(|bound| *bound < microseconds)].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        self.longest.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> CallTimes {
        let bounds = BOUNDS_US.iter().map(|bound| Duration::from_micros(*bound).as_secs_f64()).chain([f64::INFINITY]);
        CallTimes {
            seconds: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
            buckets: bounds.zip(self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))).collect(),
            longest: Duration::from_nanos(self.longest.load(Ordering::Relaxed)),
        }
    }
}

/// Whether a call of this price is measured.
pub(super) fn is_measured(units: u64) -> bool {
    thread_local! {
        static CALLS: Cell<u32> = const { Cell::new(0) };
    }
    units >= MEASURED_UNITS
        || CALLS.with(|calls| {
            let count = calls.get() + 1;
            calls.set(if count == SAMPLED_ONE_IN { 0 } else { count });
            count == SAMPLED_ONE_IN
        })
}

/// Does a call that is done in one go, and records what it took if it is measured.
pub(super) fn measure<R>(times: Option<&Times>, call: impl FnOnce() -> R) -> R {
    let Some(times) = times else { return call() };
    let began = thread_time();
    let result = call();
    times.record(thread_time().saturating_sub(began));
    result
}

/// The CPU time of this thread.
pub(super) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    Duration::new(seconds, nanoseconds)
}

/// A call that can wait, and records what its polls took, on whatever thread each was.
pub(super) struct MeasuredCall<'a, F> {
    call: F,
    /// None if it is not measured.
    times: Option<&'a Times>,
    taken: Duration,
}

impl<'a, F> MeasuredCall<'a, F> {
    pub(super) fn new(call: F, times: Option<&'a Times>) -> Self {
        Self { call, times, taken: Duration::ZERO }
    }
}

impl<F: Future + Unpin> Future for MeasuredCall<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(_) = self.times else { return Pin::new(&mut self.call).poll(cx) };
        let began = thread_time();
        let polled = Pin::new(&mut self.call).poll(cx);
        self.taken += thread_time().saturating_sub(began);
        polled
    }
}

impl<F> Drop for MeasuredCall<'_, F> {
    fn drop(&mut self) {
        if let Some(times) = self.times {
            times.record(self.taken);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_bucket_that_ends_with_it() {
        let times = Times::default();
        for nanoseconds in [0, 5_000, 5_001, 50_000_000, 50_000_001] {
            times.record(Duration::from_nanos(nanoseconds));
        }
        let read = times.read();
        let filled: Vec<_> = read.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(5e-6, 2), (1e-5, 1), (0.05, 1), (f64::INFINITY, 1)]);
        assert_eq!((read.count(), read.longest), (5, Duration::from_nanos(50_000_001)));
        assert!((read.seconds - 0.100_010_002).abs() < 1e-9, "{}", read.seconds);
    }

    #[test]
    fn dear_calls_are_all_measured_and_cheap_ones_now_and_then() {
        std::thread::spawn(|| {
            assert!((0..1_000).all(|_| is_measured(MEASURED_UNITS)));
            let sampled = (0..10 * SAMPLED_ONE_IN).filter(|_| is_measured(1)).count();
            assert_eq!(sampled, 10);
        })
        .join()
        .expect("a thread of its own");
    }
}
