//! Which executions' spans are kept.
//!
//! At the beginning of an execution (head) a share of all traces is chosen by their ids, so that every host and every
//! service chooses the same, and those that a caller has chosen. At its end (tail) executions that failed or were slow
//! are kept too. All of it is bounded for each tenant: whoever sends requests chooses the trace's id and its flag, and
//! may lie. Traces that callers have chosen have a bound of their own, so that they displace no others, and failures
//! have another.

use crate::span::{TraceContext, TraceId};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The share of traces that are kept, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleRate {
    /// Traces whose random number is lower are not kept.
    threshold: u64,
}

/// The random numbers of traces are lower: the last seven bytes of their ids, as W3C Trace Context level 2 and
/// OpenTelemetry have it.
const RANDOM_MAX: u64 = 1 << 56;

impl SampleRate {
    /// A share. One below 0 or NaN counts as 0, one above 1 as 1.
    #[must_use]
    pub fn new(share: f64) -> Self {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        // 2^56 is a double, and so is its product with a share: rounded to a whole number, within the range.
        Self { threshold: RANDOM_MAX - (share * RANDOM_MAX as f64) as u64 }
    }

    /// Whether the trace is one of them.
    #[must_use]
    pub fn keeps(self, trace: TraceId) -> bool {
        let mut bytes = [0; 8];
        bytes[1..].copy_from_slice(&trace.0[9..]);
        u64::from_be_bytes(bytes) >= self.threshold
    }
}

/// What of a tenant is kept a second on one host: executions, and bytes of their calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceBounds {
    /// Whose traces were chosen by the rate.
    pub chosen_per_second: u32,
    /// Whose traces callers have chosen.
    pub asked_per_second: u32,
    /// That failed or were slow.
    pub tail_per_second: u32,
    /// Bytes of the calls and spans within executions. Those of an execution that has more are left out: a component
    /// decides how many it makes, and the store has to hold what all tenants keep.
    pub call_bytes_per_second: u32,
}

impl Default for TraceBounds {
    fn default() -> Self {
        Self { chosen_per_second: 20, asked_per_second: 20, tail_per_second: 20, call_bytes_per_second: 256 << 10 }
    }
}

/// The use of a tenant's bounds.
#[derive(Debug, Default)]
pub struct TraceUse {
    second: AtomicU64,
    chosen: AtomicU32,
    asked: AtomicU32,
    tail: AtomicU32,
    call_bytes: AtomicU32,
}

impl TraceUse {
    /// Whether the spans of an execution that begins are kept, however it ends. `from_outside` says that its context is
    /// a caller's, whose word for it this is.
    #[must_use]
    pub fn keeps_from_start(
        &self,
        context: &TraceContext,
        from_outside: bool,
        rate: SampleRate,
        bounds: &TraceBounds,
        now_ms: u64,
    ) -> bool {
        if !context.sampled && !rate.keeps(context.trace) {
            return false;
        }
        if from_outside {
            self.is_within(&self.asked, 1, bounds.asked_per_second, now_ms)
        } else {
            self.is_within(&self.chosen, 1, bounds.chosen_per_second, now_ms)
        }
    }

    /// Whether the spans of an execution that failed or was slow are kept.
    #[must_use]
    pub fn keeps_at_end(&self, bounds: &TraceBounds, now_ms: u64) -> bool {
        self.is_within(&self.tail, 1, bounds.tail_per_second, now_ms)
    }

    /// Whether the calls of an execution that is kept are kept too, which are so many bytes.
    #[must_use]
    pub fn keeps_calls(&self, bytes: usize, bounds: &TraceBounds, now_ms: u64) -> bool {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.is_within(&self.call_bytes, bytes, bounds.call_bytes_per_second, now_ms)
    }

    fn is_within(&self, count: &AtomicU32, more: u32, maximum: u32, now_ms: u64) -> bool {
        let second = now_ms / 1_000;
        // Threads race at the turn of a second, after which some more may be kept: a lock would cost every execution.
        if self.second.swap(second, Ordering::Relaxed) != second {
            for count in [&self.chosen, &self.asked, &self.tail, &self.call_bytes] {
                count.store(0, Ordering::Relaxed);
            }
        }
        let fits = |count: u32| count.saturating_add(more) <= maximum;
        fits(count.load(Ordering::Relaxed)) && fits(count.fetch_add(more, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::SpanId;

    /// A trace with this random number.
    fn trace(random: u64) -> TraceId {
        let mut id = [7; 16];
        id[8..].copy_from_slice(&random.to_be_bytes());
        id[8] = 7;
        TraceId(id)
    }

    fn context(random: u64, sampled: bool) -> TraceContext {
        TraceContext { trace: trace(random), span: SpanId([1; 8]), sampled }
    }

    #[test]
    fn a_rate_keeps_its_share_of_traces() {
        let share = |rate: f64| {
            let rate = SampleRate::new(rate);
            (0..1_000).filter(|part| rate.keeps(trace(part * (RANDOM_MAX / 1_000)))).count()
        };
        for (rate, kept) in [(0.0, 0), (1.0, 1_000), (0.25, 250), (0.01, 10), (-1.0, 0), (7.0, 1_000), (f64::NAN, 0)] {
            assert!(share(rate).abs_diff(kept) <= 1, "{rate}: {}", share(rate));
        }
        assert!(!SampleRate::new(0.0).keeps(trace(RANDOM_MAX - 1)), "none is none");
        assert!(SampleRate::new(1.0).keeps(trace(0)), "all are all");
    }

    #[test]
    fn a_caller_that_has_all_traces_kept_displaces_neither_others_nor_failures() {
        let (used, bounds) = (TraceUse::default(), TraceBounds::default());
        let none = SampleRate::new(0.0);
        let asked =
            |now| (0..1_000).filter(|_| used.keeps_from_start(&context(0, true), true, none, &bounds, now)).count();
        assert_eq!((asked(5_000), asked(5_999), asked(6_000)), (20, 0, 20));
        // By its ids as well: they are the caller's.
        let half = SampleRate::new(0.5);
        let lying = context(RANDOM_MAX - 1, false);
        assert!(!used.keeps_from_start(&lying, true, half, &bounds, 6_500));
        assert!(used.keeps_from_start(&lying, false, half, &bounds, 6_500), "one of the host's own");
        assert!(used.keeps_at_end(&bounds, 6_500));
    }

    #[test]
    fn failures_are_bounded() {
        let (used, bounds) = (TraceUse::default(), TraceBounds { tail_per_second: 3, ..TraceBounds::default() });
        let kept = |now| (0..100).filter(|_| used.keeps_at_end(&bounds, now)).count();
        assert_eq!((kept(1_000), kept(1_999), kept(2_000)), (3, 0, 3));
    }

    #[test]
    fn calls_are_bounded_in_bytes() {
        let bounds = TraceBounds { call_bytes_per_second: 1_000, ..TraceBounds::default() };
        let used = TraceUse::default();
        let keeps = |bytes, now| used.keeps_calls(bytes, &bounds, now);
        assert_eq!(
            [keeps(600, 5_000), keeps(600, 5_100), keeps(400, 5_200), keeps(1, 5_300)],
            [true, false, true, false]
        );
        assert!(keeps(1_000, 6_000) && !keeps(usize::MAX, 7_000) && keeps(1_000, 7_000));
    }

    #[test]
    fn what_nobody_chose_costs_no_place() {
        let (used, bounds) = (TraceUse::default(), TraceBounds::default());
        assert!(!used.keeps_from_start(&context(0, false), false, SampleRate::new(0.5), &bounds, 1_000));
        assert_eq!(used.chosen.load(Ordering::Relaxed), 0);
    }
}
