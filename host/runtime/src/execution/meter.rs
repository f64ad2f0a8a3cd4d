//! The resource usage of an execution, and the measurement of its calls to capabilities.

use super::{Execution, HostCalls, Outcome};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The resource usage of an execution so far, readable after its instance is gone.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    fuel: AtomicU64,
    memory_peak_bytes: AtomicU64,
    /// The cap that the guest reached; 0 if it did not.
    reached_memory_cap: AtomicU64,
    request_too_large: AtomicBool,
    host_calls: Mutex<Vec<HostCalls>>,
    sent_bytes: AtomicU64,
    /// Units of fuel for work that is not charged yet.
    work: AtomicU64,
}

impl Meter {
    fn host_calls(&self) -> MutexGuard<'_, Vec<HostCalls>> {
        self.host_calls.lock() // whole after every operation
    }

    /// A call to a capability has ended.
    pub(crate) fn host_call(&self, capability: &'static str, time: Duration) {
        let mut all = self.host_calls();
        match all.iter_mut().find(|calls| calls.capability == capability) {
            Some(calls) => {
                calls.calls = calls.calls.saturating_add(1);
                calls.time = calls.time.saturating_add(time);
            }
            None => all.push(HostCalls { capability, calls: 1, time }),
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
        Execution {
            id: id.to_owned(),
            duration,
            fuel: self.fuel.load(Ordering::Relaxed),
            memory_peak_bytes: self.memory_peak_bytes.load(Ordering::Relaxed),
            host_calls: std::mem::take(&mut *self.host_calls()),
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
        HostCall { meter: self.clone(), began: Instant::now() }
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

/// A call to a capability, which is under way until this is dropped.
#[derive(Debug)]
pub struct HostCall {
    meter: CallMeter,
    began: Instant,
}

impl Drop for HostCall {
    fn drop(&mut self) {
        self.meter.meter.host_call(self.meter.capability, self.began.elapsed());
    }
}
