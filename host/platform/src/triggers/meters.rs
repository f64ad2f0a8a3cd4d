//! The counters of the runner for the metrics.

use crate::histogram::Histogram;
use elias_names::{ServiceId, TenantId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};

/// Ends of the buckets of latencies, in milliseconds.
const BUCKETS_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000, 300_000, 3_600_000];
/// Tenants that are told apart; those that come later are counted together.
const TENANTS_MAX: usize = 200;
/// Services of which the queues are counted between two looks; those of further ones are not.
const SERVICES_MAX: usize = 10_000;

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
    /// The queues of services since the last look.
    queues: Mutex<HashMap<ServiceId, QueueCounts>>,
}

/// The counts of a service's queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct QueueCounts {
    /// Jobs that became dead.
    pub(crate) dead: u64,
    /// The longest time for which a job was ready without being run, in milliseconds.
    pub(crate) age_max_ms: u64,
}

impl Default for TriggerMeters {
    fn default() -> Self {
        let latencies = || Histogram::new(&BUCKETS_MS, 1e3);
        Self {
            schedule: latencies(),
            start: latencies(),
            delivery: latencies(),
            dead: Mutex::default(),
            queues: Mutex::default(),
        }
    }
}

impl TriggerMeters {
    /// A latency in milliseconds was seen; below 0, which two clocks may come to, it counts as 0.
    pub(super) fn record(&self, kind: LatencyKind, ms: i64) {
        self.of(kind).record(u64::try_from(ms).unwrap_or_default());
    }

    /// A job is ready for so many milliseconds.
    pub(super) fn queue_age(&self, service: ServiceId, ms: i64) {
        let ms = u64::try_from(ms).unwrap_or_default();
        self.count_queue(service, |counts| counts.age_max_ms = counts.age_max_ms.max(ms));
    }

    fn count_queue(&self, service: ServiceId, count: impl FnOnce(&mut QueueCounts)) {
        let mut queues = self.queues.lock(); // the map is whole after every operation
        if queues.len() < SERVICES_MAX || queues.contains_key(&service) {
            count(queues.entry(service).or_default());
        }
    }

    /// The counts of services since the last call.
    pub(crate) fn take_queues(&self) -> HashMap<ServiceId, QueueCounts> {
        std::mem::take(&mut *self.queues.lock())
    }

    /// A job of a service is dead.
    pub(super) fn dead(&self, service: &ServiceId) {
        let tenant = &service.tenant;
        self.count_queue(service.clone(), |counts| counts.dead += 1);
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
    use elias_names::Environment;

    fn service(tenant: &str, component: &str) -> ServiceId {
        let (tenant, component) = (tenant.parse().expect("a name"), component.parse().expect("a name"));
        ServiceId { tenant, component, environment: Environment::Production }
    }

    #[test]
    fn queues_are_counted_by_service_and_each_look_begins_anew() {
        let meters = TriggerMeters::default();
        let (shop, blog) = (service("acme", "shop"), service("acme", "blog"));
        for ms in [30, 700, -5] {
            meters.queue_age(shop.clone(), ms);
        }
        meters.dead(&shop);
        meters.dead(&blog);
        let counts = |dead, age_max_ms| QueueCounts { dead, age_max_ms };
        assert_eq!(meters.take_queues(), HashMap::from([(shop, counts(1, 700)), (blog, counts(1, 0))]));
        assert!(meters.take_queues().is_empty());
    }

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
            meters.dead(&service(&format!("t{number}"), "shop"));
        }
        let dead = meters.dead_jobs();
        assert_eq!((dead.len(), dead[0].clone()), (TENANTS_MAX + 1, (None, 100)));
    }
}
