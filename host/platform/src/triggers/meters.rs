//! The counters of the runner for the metrics.

use crate::histogram::Histogram;
use elias_names::TenantId;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Ends of the buckets of latencies, in milliseconds.
const BUCKETS_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000, 300_000, 3_600_000];
/// Tenants that are told apart; those that come later are counted together.
const TENANTS_MAX: usize = 200;

/// A latency that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LatencyKind {
    /// From the due time of a tick to its job.
    Schedule,
    /// From when a job is ready to its start.
    Start,
    /// From the publication of an event to its delivery's job.
    Delivery,
}

/// The counts.
#[derive(Debug)]
pub(crate) struct TriggerMeters {
    schedule: Histogram,
    start: Histogram,
    delivery: Histogram,
    /// Jobs that became dead here, by tenant; `None` are those of the tenants that are not told apart.
    dead: Mutex<BTreeMap<Option<TenantId>, u64>>,
}

impl Default for TriggerMeters {
    fn default() -> Self {
        let latencies = || Histogram::new(&BUCKETS_MS, 1e3);
        Self { schedule: latencies(), start: latencies(), delivery: latencies(), dead: Mutex::default() }
    }
}

impl TriggerMeters {
    /// A latency in milliseconds was seen; below 0, which two clocks may come to, it counts as 0.
    pub(super) fn record(&self, kind: LatencyKind, ms: i64) {
        self.of(kind).record(u64::try_from(ms).unwrap_or_default());
    }

    /// A job is dead.
    pub(super) fn dead(&self, tenant: &TenantId) {
        let mut dead = self.dead.lock(); // the map is whole after every operation
        let told_apart = dead.len() < TENANTS_MAX || dead.contains_key(&Some(tenant.clone()));
        *dead.entry(told_apart.then(|| tenant.clone())).or_default() += 1;
    }

    /// The latencies of a kind.
    pub(crate) fn of(&self, kind: LatencyKind) -> &Histogram {
        match kind {
            LatencyKind::Schedule => &self.schedule,
            LatencyKind::Start => &self.start,
            LatencyKind::Delivery => &self.delivery,
        }
    }

    /// Jobs that became dead on this host since it started, by tenant; without one those of all others.
    pub(crate) fn dead_jobs(&self) -> Vec<(Option<TenantId>, u64)> {
        self.dead.lock().iter().map(|(tenant, count)| (tenant.clone(), *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_fall_into_buckets_and_tenants_are_bounded() {
        let meters = TriggerMeters::default();
        for ms in [-5, 1, 2, 4_000_000] {
            meters.record(LatencyKind::Start, ms);
        }
        let (seconds, buckets) = meters.of(LatencyKind::Start).read();
        assert!((seconds - 4_000.003).abs() < 1e-9, "{seconds}");
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.001, 2), (0.002, 1), (f64::INFINITY, 1)]);
        for number in 0..300 {
            meters.dead(&format!("t{number}").parse().expect("a name"));
        }
        let dead = meters.dead_jobs();
        assert_eq!((dead.len(), dead[0].clone()), (TENANTS_MAX + 1, (None, 100)));
    }
}
