//! The resource usage of an execution, and the measurement of its calls to capabilities.

use super::timeline::{CallDetails, SpanId, TimedCalls, cut};
use super::{EvaluatedFlag, Execution, HostCalls, Outcome};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The resource usage of an execution so far, readable after its instance is gone.
#[derive(Debug)]
pub(crate) struct Meter {
    started: Instant,
    fuel: AtomicU64,
    memory_peak_bytes: AtomicU64,
    /// The cap that the guest reached; 0 if it did not.
    reached_memory_cap: AtomicU64,
    request_too_large: AtomicBool,
    calls: Mutex<Calls>,
    /// Whether the next call has a place on the timeline, so that most calls do not make texts that are left out.
    has_place: AtomicBool,
    sent_bytes: AtomicU64,
    /// Units of fuel for work that is not charged yet.
    work: AtomicU64,
}

/// The calls to capabilities: in sum, and each.
#[derive(Debug)]
struct Calls {
    totals: Vec<HostCalls>,
    timed: TimedCalls,
    flags: Vec<EvaluatedFlag>,
}

/// Feature flags of an execution whose variants are recorded.
const FLAGS_MAX: usize = 32;

/// Bytes that are kept of the name of a flag, and of a variant.
const FLAG_BYTES_MAX: usize = 128;

impl Default for Meter {
    fn default() -> Self {
        Self::new(Instant::now(), 0)
    }
}

impl Meter {
    /// The meter of an execution that began at `started` and keeps the times of `calls_max` calls.
    pub(crate) fn new(started: Instant, calls_max: u32) -> Self {
        Self {
            started,
            fuel: AtomicU64::new(0),
            memory_peak_bytes: AtomicU64::new(0),
            reached_memory_cap: AtomicU64::new(0),
            request_too_large: AtomicBool::new(false),
            calls: Mutex::new(Calls { totals: Vec::new(), timed: TimedCalls::new(calls_max), flags: Vec::new() }),
            has_place: AtomicBool::new(calls_max > 0),
            sent_bytes: AtomicU64::new(0),
            work: AtomicU64::new(0),
        }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock() // whole after every operation
    }

    /// A call to a capability, which began at `began`, has ended now.
    fn host_call(&self, capability: &'static str, began: Instant, details: CallDetails) {
        let time = began.elapsed();
        let offset = began.saturating_duration_since(self.started);
        let mut all = self.calls();
        match all.totals.iter_mut().find(|calls| calls.capability == capability) {
            Some(calls) => {
                calls.calls = calls.calls.saturating_add(1);
                calls.time = calls.time.saturating_add(time);
            }
            None => all.totals.push(HostCalls { capability, calls: 1, time }),
        }
        if !all.timed.add(capability, offset, time, details) {
            self.has_place.store(false, Ordering::Relaxed);
        }
    }

    /// A span of the guest's begins now, as a part of the span `parent`, which is 0 for none; gives its number, which
    /// is 0 if it has no place.
    pub(crate) fn begin_span(&self, name: &str, parent: u32) -> u32 {
        let offset = self.started.elapsed();
        self.calls().timed.begin_span(name, parent, offset)
    }

    /// A span of the guest's ends now.
    pub(crate) fn end_span(&self, number: u32, failed: bool) {
        if number > 0 {
            let offset = self.started.elapsed();
            self.calls().timed.end_span(number, offset, failed);
        }
    }

    /// A feature flag was evaluated. Of several evaluations of one the last counts, and of flags the first
    /// [`FLAGS_MAX`].
    pub(crate) fn flag_evaluated(&self, name: &str, variant: &str) {
        let (name, variant) = (cut(name, FLAG_BYTES_MAX), cut(variant, FLAG_BYTES_MAX));
        let mut calls = self.calls();
        let flags = &mut calls.flags;
        let known = flags.iter().position(|flag| *flag.name == *name);
        match known {
            Some(at) if *flags[at].variant == *variant => {}
            Some(at) => flags[at].variant = variant.into(),
            None if flags.len() < FLAGS_MAX => {
                flags.push(EvaluatedFlag { name: name.into(), variant: variant.into() });
            }
            None => {}
        }
    }

    /// Work was done that is to be charged.
    pub(crate) fn works(&self, units: u64) {
        self.work.fetch_add(units, Ordering::Relaxed);
    }

    /// Takes the units of work that were done and not charged yet; the caller charges them.
    pub(crate) fn take_work(&self) -> u64 {
        // A look first: most calls find nothing, and a look is cheaper than an exchange.
        if self.work.load(Ordering::Relaxed) == 0 { 0 } else { self.work.swap(0, Ordering::Relaxed) }
    }

    /// Counts bytes that the execution sends to another server.
    pub(crate) fn sends(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Memory now has this many bytes. It never shrinks.
    pub(crate) fn memory(&self, bytes: u64) {
        self.memory_peak_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The guest asked for more memory than its cap, in bytes.
    pub(crate) fn deny_memory(&self, cap: u64) {
        self.reached_memory_cap.store(cap.max(1), Ordering::Relaxed);
    }

    /// The cap, if it did.
    pub(crate) fn reached_memory_cap(&self) -> Option<u64> {
        Some(self.reached_memory_cap.load(Ordering::Relaxed)).filter(|&cap| cap > 0)
    }

    /// The request's body went over its limit.
    pub(crate) fn refuse_request(&self) {
        self.request_too_large.store(true, Ordering::Relaxed);
    }

    /// Whether the request's body went over its limit.
    pub(crate) fn is_request_too_large(&self) -> bool {
        self.request_too_large.load(Ordering::Relaxed)
    }

    /// Records the units of fuel that the execution used.
    pub(crate) fn set_fuel(&self, units: u64) {
        self.fuel.store(units, Ordering::Relaxed);
    }

    /// The record of the execution, which is over. It takes the calls to capabilities out of the meter.
    pub(crate) fn take_record(&self, id: &str, duration: Duration, outcome: Outcome) -> Execution {
        let (host_calls, timeline, flags) = {
            let mut calls = self.calls();
            let timeline = calls.timed.take(duration);
            (std::mem::take(&mut calls.totals), timeline, std::mem::take(&mut calls.flags))
        };
        Execution {
            id: id.to_owned(),
            started: self.started,
            duration,
            fuel: self.fuel.load(Ordering::Relaxed),
            memory_peak_bytes: self.memory_peak_bytes.load(Ordering::Relaxed),
            host_calls,
            timeline: timeline.map(Arc::new),
            flags,
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            outcome,
        }
    }
}

/// Measures an instance's calls to a capability; a cheap handle. The default measures no instance, for tests of a
/// capability.
#[derive(Debug, Clone, Default)]
pub struct CallMeter {
    meter: Arc<Meter>,
    capability: &'static str,
}

impl CallMeter {
    pub(crate) fn new(meter: &Arc<Meter>, capability: &'static str) -> Self {
        Self { meter: Arc::clone(meter), capability }
    }

    /// A call begins now, and ends when what is given is dropped.
    #[must_use]
    pub fn begin(&self) -> HostCall {
        let details = CallDetails::new(self.meter.has_place.load(Ordering::Relaxed));
        HostCall { meter: self.clone(), began: Instant::now(), details }
    }

    /// Charges units of fuel for work that has no price in advance, such as decoding the bytes that the instance reads.
    /// They are charged with its next host call. Such work is done in small parts, on the guest's demand.
    pub fn works(&self, units: u64) {
        self.meter.works(units);
    }

    /// Counts bytes from the component that go to another server.
    pub fn sends(&self, bytes: u64) {
        self.meter.sends(bytes);
    }
}

/// A call to a capability, which is under way until this is dropped. What is told of it is on the timeline of the
/// execution, if that has a place for it.
#[derive(Debug)]
pub struct HostCall {
    meter: CallMeter,
    began: Instant,
    details: CallDetails,
}

impl HostCall {
    /// Whether details are kept: whoever would make a text for one asks first.
    #[must_use]
    pub fn keeps_details(&self) -> bool {
        self.details.is_kept
    }

    /// What the call does, such as `get`.
    #[must_use]
    pub fn named(mut self, operation: &'static str) -> Self {
        self.details.operation = operation;
        self
    }

    /// A text about the call under the name of the field's conventions, such as `db.query.text`. It is cut to
    /// [`DETAIL_BYTES_MAX`](super::DETAIL_BYTES_MAX) bytes. Nothing of what users sent may be in it.
    pub fn text(&mut self, name: &'static str, value: &str) {
        self.details.text(name, value);
    }

    /// A text about the call that is the same for many, such as the kind of a database.
    pub fn label(&mut self, name: &'static str, value: &'static str) {
        self.details.label(name, value);
    }

    /// A number about the call, such as the status of its response.
    pub fn number(&mut self, name: &'static str, value: i64) {
        self.details.number(name, value);
    }

    /// The call has failed.
    pub fn fail(&mut self) {
        self.details.failed = true;
    }

    /// The call has this id in its trace, which the other server was told.
    pub fn span(&mut self, id: SpanId) {
        self.details.span = Some(id);
    }
}

impl Drop for HostCall {
    fn drop(&mut self) {
        let details = std::mem::take(&mut self.details);
        self.meter.meter.host_call(self.meter.capability, self.began, details);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_keeps_the_times_of_some_calls_and_counts_all() {
        let meter = Arc::new(Meter::new(Instant::now(), 2));
        let calls = CallMeter::new(&meter, "db");
        for _ in 0..2 {
            let mut call = calls.begin().named("query");
            assert!(call.keeps_details());
            call.text("db.query.text", "SELECT 1");
        }
        let third = calls.begin();
        assert!(third.keeps_details(), "nobody knows yet that it has no place");
        drop(third);
        assert!(!calls.begin().keeps_details());
        let record = meter.take_record("x", Duration::from_secs(1), Outcome::Completed);
        assert_eq!(record.host_calls[0].calls, 4);
        let timeline = record.timeline.expect("calls were kept");
        assert_eq!((timeline.calls.len(), timeline.left_out), (2, 2));
        assert_eq!((timeline.calls[0].operation, timeline.calls[0].texts.len()), ("query", 1));
    }

    #[test]
    fn evaluated_flags_are_bounded_and_the_last_variant_of_each_counts() {
        let meter = Meter::default();
        for number in 0..1_000 {
            meter.flag_evaluated(&format!("f{number}"), "on");
        }
        meter.flag_evaluated("f0", &"x".repeat(1_000));
        let record = meter.take_record("x", Duration::from_secs(1), Outcome::Completed);
        assert_eq!(record.flags.len(), FLAGS_MAX);
        assert_eq!((&*record.flags[0].name, record.flags[0].variant.len()), ("f0", FLAG_BYTES_MAX));
        assert_eq!((&*record.flags[1].name, &*record.flags[1].variant), ("f1", "on"));
    }

    #[test]
    fn a_meter_that_keeps_no_times_has_no_timeline() {
        let meter = Arc::new(Meter::default());
        let call = CallMeter::new(&meter, "db").begin();
        assert!(!call.keeps_details());
        drop(call);
        assert_eq!(meter.begin_span("a", 0), 0);
        let record = meter.take_record("x", Duration::from_secs(1), Outcome::Completed);
        assert!(record.timeline.is_none());
        assert_eq!(record.host_calls[0].calls, 1);
    }
}
