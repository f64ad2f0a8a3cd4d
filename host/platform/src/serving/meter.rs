//! The counters of the metrics. A request adds to them by a few relaxed operations; a scrape reads them.

use elias_delivery::supervision::ResourceUsage;
use elias_names::{ServiceId, TenantId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Services and tenants that are told apart; those that come later are counted together. Each is some dozens of time
/// series.
pub(crate) const TOLD_APART_MAX: usize = 200;
/// Ends of the buckets of durations, in microseconds.
pub(crate) const BUCKETS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 30_000_000,
];

/// The outcome of an execution, as it is counted and recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExecutionOutcome {
    Completed,
    Failed,
    Cancelled,
}

impl ExecutionOutcome {
    pub(crate) const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::Cancelled];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The outcome of a request with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdempotencyOutcome {
    /// It ran.
    Executed,
    /// It got the response to the first one.
    Replayed,
    /// The first one runs, or its response was not stored.
    Conflict,
    /// The first one was another request.
    Mismatch,
}

impl IdempotencyOutcome {
    pub(crate) const ALL: [Self; 4] = [Self::Executed, Self::Replayed, Self::Conflict, Self::Mismatch];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Replayed => "replayed",
            Self::Conflict => "conflict",
            Self::Mismatch => "mismatch",
        }
    }
}

/// The counters of a service's executions, over all its releases.
#[derive(Default)]
pub(crate) struct ServiceMeter {
    ended: [AtomicU64; 3],
    idempotency: [AtomicU64; IdempotencyOutcome::ALL.len()],
    /// The last has those that took longer than all ends.
    durations: [AtomicU64; BUCKETS_US.len() + 1],
    duration_us: AtomicU64,
    /// Executions that exceeded their deadline.
    timeouts: AtomicU64,
    /// The largest memory of an execution since it was last taken, in hundredths of a percent of the limit.
    memory_peak: AtomicU64,
}

impl ServiceMeter {
    pub(crate) fn record(&self, ended: ExecutionOutcome, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.ended[ended as usize].fetch_add(1, Ordering::Relaxed);
        self.durations[BUCKETS_US.partition_point(|end| *end < us)].fetch_add(1, Ordering::Relaxed);
        self.duration_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Counts what alert rules look at beside outcome and duration.
    pub(crate) fn record_limits(&self, timed_out: bool, memory_bytes: u64, memory_limit_bytes: u64) {
        if timed_out {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        let share = memory_bytes.saturating_mul(10_000) / memory_limit_bytes.max(1);
        // Mostly it is no new peak: then nothing is written, and no other core has to fetch the line.
        if share > self.memory_peak.load(Ordering::Relaxed) {
            self.memory_peak.fetch_max(share, Ordering::Relaxed);
        }
    }

    /// Executions that exceeded their deadline.
    pub(crate) fn timeouts(&self) -> u64 {
        self.timeouts.load(Ordering::Relaxed)
    }

    /// The largest memory of an execution since the last call, in percent of the limit.
    pub(crate) fn take_memory_percent(&self) -> f64 {
        self.memory_peak.swap(0, Ordering::Relaxed) as f64 / 100.0
    }

    /// The time of all executions together, in microseconds.
    pub(crate) fn duration_us(&self) -> u64 {
        self.duration_us.load(Ordering::Relaxed)
    }

    pub(crate) fn ended(&self, ended: ExecutionOutcome) -> u64 {
        self.ended[ended as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn count_idempotency(&self, outcome: IdempotencyOutcome) {
        self.idempotency[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The number of requests with an idempotency key, by outcome.
    pub(crate) fn idempotency(&self, outcome: IdempotencyOutcome) -> u64 {
        self.idempotency[outcome as usize].load(Ordering::Relaxed)
    }

    /// Seconds of all together, and how many there are in each bucket.
    pub(crate) fn durations(&self) -> (f64, Vec<(f64, u64)>) {
        let ends = BUCKETS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.durations.iter().map(|count| count.load(Ordering::Relaxed));
        (self.duration_us.load(Ordering::Relaxed) as f64 / 1e6, ends.zip(counts).collect())
    }
}

/// A quota of a tenant's executions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaKind {
    ExecutionsPerMinute,
    ConcurrentExecutions,
    FuelPerHour,
    EgressBytesPerHour,
}

impl QuotaKind {
    pub(crate) const ALL: [Self; 4] =
        [Self::ExecutionsPerMinute, Self::ConcurrentExecutions, Self::FuelPerHour, Self::EgressBytesPerHour];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ExecutionsPerMinute => "executions-per-minute",
            Self::ConcurrentExecutions => "concurrent-executions",
            Self::FuelPerHour => "fuel-per-hour",
            Self::EgressBytesPerHour => "egress-bytes-per-hour",
        }
    }
}

/// The decision about a request over a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuotaDecision {
    Rejected,
    Queued,
    Throttled,
}

impl QuotaDecision {
    pub(crate) const ALL: [Self; 3] = [Self::Rejected, Self::Queued, Self::Throttled];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Queued => "queued",
            Self::Throttled => "throttled",
        }
    }
}

/// The counters of a tenant's quotas, over all their changes.
#[derive(Default)]
pub(crate) struct QuotaCounts {
    verdicts: [[AtomicU64; QuotaDecision::ALL.len()]; QuotaKind::ALL.len()],
    bytes: AtomicU64,
}

impl QuotaCounts {
    pub(crate) fn count(&self, kind: QuotaKind, verdict: QuotaDecision) {
        self.verdicts[kind as usize][verdict as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self, kind: QuotaKind, verdict: QuotaDecision) -> u64 {
        self.verdicts[kind as usize][verdict as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that were sent.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Counts by name, for a bounded number of names. Later names share the `others`, and keep doing so, so that no count
/// ever falls.
pub(crate) struct Meters<K, M> {
    named: Mutex<HashMap<K, Weak<M>>>,
    others: Arc<M>,
}

/// The counts of the host.
#[derive(Default)]
pub(crate) struct HostMeters {
    pub(crate) services: Meters<ServiceId, ServiceMeter>,
    pub(crate) tenants: Meters<TenantId, QuotaCounts>,
    /// The usage of the servers in front.
    pub(crate) usage: Arc<ResourceUsage>,
}

impl<K, M: Default> Default for Meters<K, M> {
    fn default() -> Self {
        Self { named: Mutex::default(), others: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash, M: Default> Meters<K, M> {
    /// The counts of `key`: those that are there, new ones, or those of the others.
    pub(crate) fn of(&self, key: &K) -> Arc<M> {
        let mut named = self.named.lock(); // the map is whole after every operation
        if let Some(meter) = named.get(key).and_then(Weak::upgrade) {
            return meter;
        }
        named.retain(|_, meter| meter.strong_count() > 0);
        if named.len() >= TOLD_APART_MAX {
            return Arc::clone(&self.others);
        }
        let meter = Arc::<M>::default();
        named.insert(key.clone(), Arc::downgrade(&meter));
        meter
    }

    /// The counts of those that are told apart, and of the others.
    pub(crate) fn all(&self) -> (Vec<(K, Arc<M>)>, Arc<M>) {
        let named = self.named.lock();
        let named = named.iter().filter_map(|(key, meter)| Some((key.clone(), meter.upgrade()?))).collect();
        (named, Arc::clone(&self.others))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_told_apart_and_who_is_gone_leaves_a_place() {
        let meters: Meters<usize, QuotaCounts> = Meters::default();
        let mut held: Vec<_> = (0..TOLD_APART_MAX).map(|key| meters.of(&key)).collect();
        let late = meters.of(&TOLD_APART_MAX);
        late.sent(7);
        meters.of(&3).sent(2);
        let (named, others) = meters.all();
        assert_eq!((named.len(), others.bytes(), held[3].bytes()), (TOLD_APART_MAX, 7, 2));
        drop(named);
        held.swap_remove(3);
        meters.of(&9_999).sent(1);
        assert_eq!(meters.all().1.bytes(), 7, "who came later has a place of its own");
        assert!(Arc::ptr_eq(&late, &others), "and who was among the others stays there");
    }

    #[test]
    fn the_peak_of_memory_is_taken_once_and_timeouts_are_counted() {
        let meter = ServiceMeter::default();
        meter.record_limits(false, 50, 100);
        meter.record_limits(true, 81, 100);
        meter.record_limits(false, 10, 0);
        assert_eq!((meter.timeouts(), meter.take_memory_percent()), (1, 1_000.0), "a limit of nothing divides nothing");
        assert_eq!((meter.timeouts(), meter.take_memory_percent()), (1, 0.0));
    }

    #[test]
    fn a_duration_counts_in_the_bucket_that_ends_with_it() {
        let meter = ServiceMeter::default();
        for us in [0, 1_000, 1_001, 30_000_000, 30_000_001] {
            meter.record(ExecutionOutcome::Completed, Duration::from_micros(us));
        }
        let (seconds, buckets) = meter.durations();
        assert!((seconds - 60.002_002).abs() < 1e-9, "{seconds}");
        let filled: Vec<_> = buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.001, 2), (0.0025, 1), (30.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(meter.ended(ExecutionOutcome::Completed), 5);
    }
}
