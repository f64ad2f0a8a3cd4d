//! The counters of services, within a budget of series for each tenant.

use super::meter::{ExecutionOutcome, IdempotencyOutcome, TOLD_APART_MAX};
use super::release::CircuitKind;
use crate::spans::microseconds;
use elias_names::{ServiceId, TenantId};
use elias_telemetry::series::{BUCKETS, LATENCY_ENDS_US, Latencies, Point};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Services of a tenant that have series of their own. Further ones of it share one: a tenant with many services takes
/// nothing from others.
pub(crate) const SERVICES_PER_TENANT_MAX: usize = 50;
/// Services of all tenants that have series of their own.
pub(crate) const SERVICES_MAX: usize = 1_000;

/// An execution that has ended, as it is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndedExecution {
    pub(crate) kind: CircuitKind,
    pub(crate) outcome: ExecutionOutcome,
    pub(crate) duration: Duration,
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: u64,
}

/// A recorded execution whose latency is in a bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exemplar {
    /// The id of its trace.
    pub(crate) trace: String,
    pub(crate) seconds: f64,
    /// When it ended, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}

/// The counters of a service's executions, over all its releases.
#[derive(Default)]
pub(crate) struct ServiceMeter {
    ended: [AtomicU64; ExecutionOutcome::ALL.len()],
    kinds: [AtomicU64; CircuitKind::ALL.len()],
    idempotency: [AtomicU64; IdempotencyOutcome::ALL.len()],
    /// The last has those that took longer than all ends.
    durations: [AtomicU64; BUCKETS],
    duration_us: AtomicU64,
    fuel: AtomicU64,
    dead_letters: AtomicU64,
    waits: AtomicU64,
    wait_us: AtomicU64,
    /// The maxima since they were last read.
    memory_max_bytes: AtomicU64,
    queue_age_max_ms: AtomicU64,
    wait_max_us: AtomicU64,
    /// Executions that exceeded their deadline.
    timeouts: AtomicU64,
    /// The largest memory of an execution since it was last taken, in hundredths of a percent of the limit.
    memory_peak: AtomicU64,
    /// The services that share it beyond their tenant's budget of series.
    left_out: AtomicU64,
    /// The last recorded execution of each bucket.
    exemplars: Mutex<[Option<Exemplar>; BUCKETS]>,
}

impl ServiceMeter {
    /// Counts an execution.
    pub(crate) fn record(&self, ended: &EndedExecution) {
        let us = microseconds(ended.duration);
        self.ended[ended.outcome as usize].fetch_add(1, Ordering::Relaxed);
        self.kinds[ended.kind as usize].fetch_add(1, Ordering::Relaxed);
        self.durations[Latencies::bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.duration_us.fetch_add(us, Ordering::Relaxed);
        self.fuel.fetch_add(ended.fuel, Ordering::Relaxed);
        // A look first: most executions are no maximum, and a look leaves the line to other threads.
        if self.memory_max_bytes.load(Ordering::Relaxed) < ended.memory_bytes {
            self.memory_max_bytes.fetch_max(ended.memory_bytes, Ordering::Relaxed);
        }
    }

    /// Counts what alert rules look at beside outcome and duration.
    pub(crate) fn record_limits(&self, timed_out: bool, memory_bytes: u64, memory_limit_bytes: u64) {
        if timed_out {
            self.timeouts.fetch_add(1, Ordering::Relaxed);
        }
        let share = memory_bytes.saturating_mul(10_000) / memory_limit_bytes.max(1);
        // As above.
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

    /// Counts the wait of an execution for its slots.
    pub(crate) fn record_wait(&self, wait: Duration) {
        let us = microseconds(wait);
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.wait_us.fetch_add(us, Ordering::Relaxed);
        if self.wait_max_us.load(Ordering::Relaxed) < us {
            self.wait_max_us.fetch_max(us, Ordering::Relaxed);
        }
    }

    /// Counts jobs that failed for good, and notes how long a job has been ready.
    pub(crate) fn record_queue(&self, dead_letters: u64, age_ms: u64) {
        self.dead_letters.fetch_add(dead_letters, Ordering::Relaxed);
        self.queue_age_max_ms.fetch_max(age_ms, Ordering::Relaxed);
    }

    /// Notes a recorded execution of this duration.
    pub(crate) fn set_exemplar(&self, duration: Duration, trace: &str, at_ms: u64) {
        let us = microseconds(duration);
        // Of what is counted, which is within its bucket.
        let exemplar = Exemplar { trace: trace.to_owned(), seconds: us as f64 / 1e6, at_ms };
        self.exemplars.lock()[Latencies::bucket(us)] = Some(exemplar);
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
        let ends = LATENCY_ENDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let counts = self.durations.iter().map(|count| count.load(Ordering::Relaxed));
        (self.duration_us.load(Ordering::Relaxed) as f64 / 1e6, ends.zip(counts).collect())
    }

    /// The last recorded execution of each bucket, in the order of [`durations`](Self::durations).
    pub(crate) fn exemplars(&self) -> [Option<Exemplar>; BUCKETS] {
        self.exemplars.lock().clone()
    }

    /// All counters, and the maxima since the last call. To be called by one task alone.
    pub(crate) fn totals(&self) -> Point {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let kind = |kind: CircuitKind| read(&self.kinds[kind as usize]);
        Point {
            requests: kind(CircuitKind::Requests),
            runs: kind(CircuitKind::Triggers),
            turns: kind(CircuitKind::Workers),
            errors: self.ended(ExecutionOutcome::Failed),
            latency: Latencies {
                counts: std::array::from_fn(|bucket| read(&self.durations[bucket])),
                sum_us: read(&self.duration_us),
            },
            fuel: read(&self.fuel),
            memory_max_bytes: self.memory_max_bytes.swap(0, Ordering::Relaxed),
            queue_age_max_ms: self.queue_age_max_ms.swap(0, Ordering::Relaxed),
            dead_letters: read(&self.dead_letters),
            pool_waits: read(&self.waits),
            pool_wait_us: read(&self.wait_us),
            pool_wait_max_us: self.wait_max_us.swap(0, Ordering::Relaxed),
            left_out: self.left_out(),
        }
    }

    /// The services that share it beyond their tenant's budget of series; 0 for the counters of one service.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

/// The counters of all services.
#[derive(Default)]
pub(crate) struct ServiceMeters {
    tenants: Mutex<BTreeMap<TenantId, TenantServices>>,
    /// Of the services of tenants that are not told apart.
    others: Arc<ServiceMeter>,
}

/// The counters of a tenant's services.
#[derive(Default)]
struct TenantServices {
    named: BTreeMap<ServiceId, Weak<ServiceMeter>>,
    /// Those that are beyond the budget, and stay there, so that no count ever falls.
    left_out: BTreeSet<ServiceId>,
    others: Arc<ServiceMeter>,
}

/// The series of a meter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SeriesKey {
    /// A service.
    Service(ServiceId),
    /// The services of a tenant that are beyond its budget.
    RestOf(TenantId),
    /// The services of all tenants that are not told apart.
    Others,
}

impl SeriesKey {
    /// The tenant, if it is one tenant's.
    pub(crate) fn tenant(&self) -> Option<&TenantId> {
        match self {
            Self::Service(id) => Some(&id.tenant),
            Self::RestOf(tenant) => Some(tenant),
            Self::Others => None,
        }
    }
}

impl ServiceMeters {
    /// The counters of a service: those that are there, new ones, or those that it shares.
    pub(crate) fn of(&self, id: &ServiceId) -> Arc<ServiceMeter> {
        let mut tenants = self.tenants.lock(); // the maps are whole after every operation
        tenants.retain(|_, services| {
            services.named.retain(|_, meter| meter.strong_count() > 0);
            // One that has nothing left leaves its place to a new one.
            !services.named.is_empty() || !services.left_out.is_empty()
        });
        let total: usize = tenants.values().map(|services| services.named.len()).sum();
        if !tenants.contains_key(&id.tenant) && tenants.len() >= TOLD_APART_MAX {
            return Arc::clone(&self.others);
        }
        let services = tenants.entry(id.tenant.clone()).or_default();
        if let Some(meter) = services.named.get(id).and_then(Weak::upgrade) {
            return meter;
        }
        let is_full = services.named.len() >= SERVICES_PER_TENANT_MAX || total >= SERVICES_MAX;
        if is_full || services.left_out.contains(id) {
            services.left_out.insert(id.clone());
            services.others.left_out.store(services.left_out.len() as u64, Ordering::Relaxed);
            return Arc::clone(&services.others);
        }
        let meter = Arc::<ServiceMeter>::default();
        services.named.insert(id.clone(), Arc::downgrade(&meter));
        meter
    }

    /// The counters of all series, in the order of their keys.
    pub(crate) fn all(&self) -> Vec<(SeriesKey, Arc<ServiceMeter>)> {
        let tenants = self.tenants.lock();
        let mut all = Vec::new();
        for services in tenants.values() {
            let named = services.named.iter();
            all.extend(named.filter_map(|(id, meter)| Some((SeriesKey::Service(id.clone()), meter.upgrade()?))));
        }
        for (tenant, services) in tenants.iter().filter(|(_, services)| !services.left_out.is_empty()) {
            all.push((SeriesKey::RestOf(tenant.clone()), Arc::clone(&services.others)));
        }
        all.push((SeriesKey::Others, Arc::clone(&self.others)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    fn service(tenant: &str, number: usize) -> ServiceId {
        let (tenant, component) = (tenant.parse().expect("a name"), format!("c{number}").parse().expect("a name"));
        ServiceId { tenant, component, environment: Environment::Production }
    }

    fn ended(kind: CircuitKind, outcome: ExecutionOutcome, us: u64) -> EndedExecution {
        EndedExecution { kind, outcome, duration: Duration::from_micros(us), fuel: 10, memory_bytes: us }
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
    fn a_tenant_with_many_services_takes_no_series_from_another() {
        let meters = ServiceMeters::default();
        let held: Vec<_> = (0..SERVICES_PER_TENANT_MAX + 3).map(|at| meters.of(&service("many", at))).collect();
        let other = meters.of(&service("other", 0));
        let all = meters.all();
        let key = |wanted: &Arc<ServiceMeter>| {
            let found = all.iter().find(|(_, meter)| Arc::ptr_eq(meter, wanted));
            found.map(|(key, _)| key.clone()).expect("it has a series")
        };
        assert_eq!(key(&other), SeriesKey::Service(service("other", 0)));
        assert_eq!(key(&held[0]), SeriesKey::Service(service("many", 0)));
        let shared = &held[SERVICES_PER_TENANT_MAX];
        assert_eq!(key(shared), SeriesKey::RestOf("many".parse().expect("a name")));
        assert_eq!((shared.left_out(), held[0].left_out(), all.len()), (3, 0, SERVICES_PER_TENANT_MAX + 3));
    }

    #[test]
    fn a_service_that_is_gone_leaves_its_series_to_a_new_one_and_not_to_one_that_shares() {
        let meters = ServiceMeters::default();
        let mut held: Vec<_> = (0..SERVICES_PER_TENANT_MAX).map(|at| meters.of(&service("a", at))).collect();
        let late = meters.of(&service("a", 999));
        held.swap_remove(3);
        assert!(Arc::ptr_eq(&late, &meters.of(&service("a", 999))), "no count falls");
        let new = meters.of(&service("a", 1_000));
        assert!(
            meters
                .all()
                .iter()
                .any(|(key, meter)| { *key == SeriesKey::Service(service("a", 1_000)) && Arc::ptr_eq(meter, &new) })
        );
    }

    #[test]
    fn tenants_and_services_of_all_together_are_bounded() {
        let meters = ServiceMeters::default();
        let names: Vec<_> = (0..TOLD_APART_MAX + 1).map(|at| format!("t{at}")).collect();
        let mut held = Vec::new();
        for name in &names {
            held.extend((0..SERVICES_PER_TENANT_MAX).map(|at| meters.of(&service(name, at))));
        }
        let all = meters.all();
        let services = all.iter().filter(|(key, _)| matches!(key, SeriesKey::Service(_))).count();
        assert_eq!(services, SERVICES_MAX);
        let rests = all.iter().filter(|(key, _)| matches!(key, SeriesKey::RestOf(..))).count();
        assert_eq!(rests, TOLD_APART_MAX - SERVICES_MAX / SERVICES_PER_TENANT_MAX);
        assert!(Arc::ptr_eq(&held[held.len() - 1], &all[all.len() - 1].1), "the last tenant is among the others");
    }

    #[test]
    fn a_tenant_that_is_gone_leaves_its_series_to_a_new_one() {
        let meters = ServiceMeters::default();
        let mut held: Vec<_> = (0..TOLD_APART_MAX).map(|at| meters.of(&service(&format!("t{at}"), 0))).collect();
        assert!(Arc::ptr_eq(&meters.of(&service("late", 0)), &meters.others), "there is no place for more");
        held.swap_remove(3);
        let new = meters.of(&service("new", 0));
        assert!(!Arc::ptr_eq(&new, &meters.others));
        assert!(Arc::ptr_eq(&new, &meters.of(&service("new", 0))));
    }

    #[test]
    fn a_duration_counts_in_the_bucket_that_ends_with_it() {
        let meter = ServiceMeter::default();
        for us in [0, 1_000, 1_001, 30_000_000, 30_000_001] {
            meter.record(&ended(CircuitKind::Requests, ExecutionOutcome::Completed, us));
        }
        let (seconds, buckets) = meter.durations();
        assert!((seconds - 60.002_002).abs() < 1e-9, "{seconds}");
        let filled: Vec<_> = buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
        assert_eq!(filled, [(0.001, 2), (0.0025, 1), (30.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(meter.ended(ExecutionOutcome::Completed), 5);
    }

    #[test]
    fn totals_are_by_kind_and_maxima_are_those_since_the_last_look() {
        let meter = ServiceMeter::default();
        meter.record(&ended(CircuitKind::Requests, ExecutionOutcome::Completed, 7));
        meter.record(&ended(CircuitKind::Triggers, ExecutionOutcome::Failed, 5));
        meter.record(&ended(CircuitKind::Workers, ExecutionOutcome::Cancelled, 3));
        meter.record_wait(Duration::from_micros(9));
        meter.record_queue(2, 400);
        let first = meter.totals();
        assert_eq!((first.requests, first.runs, first.turns, first.errors, first.fuel), (1, 1, 1, 1, 30));
        assert_eq!((first.latency.count(), first.latency.sum_us), (3, 15));
        assert_eq!((first.memory_max_bytes, first.queue_age_max_ms, first.dead_letters), (7, 400, 2));
        assert_eq!((first.pool_waits, first.pool_wait_us, first.pool_wait_max_us), (1, 9, 9));
        let second = meter.totals();
        assert_eq!((second.memory_max_bytes, second.queue_age_max_ms, second.pool_wait_max_us), (0, 0, 0));
        assert_eq!((second.requests, second.dead_letters), (1, 2));
    }

    #[test]
    fn a_bucket_has_its_last_recorded_execution() {
        let meter = ServiceMeter::default();
        meter.set_exemplar(Duration::from_millis(1), "aa", 1);
        meter.set_exemplar(Duration::from_micros(900), "bb", 2);
        meter.set_exemplar(Duration::from_secs(60), "cc", 3);
        meter.set_exemplar(Duration::from_nanos(2_500_900), "dd", 4);
        let exemplars = meter.exemplars();
        assert_eq!(exemplars[1].as_ref().map(|exemplar| exemplar.seconds), Some(0.0025), "the end of its bucket");
        let traces: Vec<_> = exemplars.iter().flatten().map(|exemplar| exemplar.trace.as_str()).collect();
        assert_eq!(traces, ["bb", "dd", "cc"]);
        assert!(exemplars[0].is_some() && exemplars[BUCKETS - 1].is_some());
    }
}
