//! The counters of the metrics. A request adds to them by a few relaxed operations; a scrape reads them.

use super::service_meter::ServiceMeters;
use elias_delivery::supervision::ResourceUsage;
use elias_names::TenantId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Tenants that are told apart; those that come later are counted together. Each is some dozens of time series.
pub(crate) const TOLD_APART_MAX: usize = 200;

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
    pub(crate) services: ServiceMeters,
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
}
