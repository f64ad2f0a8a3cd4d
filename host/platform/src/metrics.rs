//! The host's metrics for Prometheus, in the OpenMetrics text format. Each request reads them from counters that exist
//! anyway.

mod workers;
mod writer;

use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::{
    CircuitKind, ExecutionOutcome, IdempotencyOutcome, QuotaCounts, QuotaDecision, QuotaKind, ServiceMeter,
};
use crate::session::Session;
use crate::triggers::{FAILING_RUNS, LATE, LatencyKind};
use elias_api::{Code, Error, Result};
use elias_delivery::supervision::{Health, Resource};
use elias_host::capability::pricing::CallTimes;
use elias_host::{CpuLoad, InstanceCounts};
use elias_names::{ServiceId, TenantId};
use elias_store::{ScheduleCounts, StoredUse, TriggerUse, WorkerUse};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use workers::WorkerFigures;
use writer::{counter, gauge};

/// The label of all services, or tenants, without a label of their own. No name can be like it.
const OTHER: &str = "_other";
const HEALTH: [(Health, &str); 5] = [
    (Health::Healthy, "healthy"),
    (Health::Degraded, "degraded"),
    (Health::Open, "open"),
    (Health::HalfOpen, "half-open"),
    (Health::Stopped, "stopped"),
];

/// The media type of [`Platform::metrics`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Platform {
    /// The metrics of this host. The first 200 services and the first 200 tenants have labels of their own. The others
    /// share the label `_other`.
    ///
    /// # Errors
    /// `forbidden` for all but platform operators.
    pub async fn metrics(&self, session: &Session) -> Result<String> {
        session.require(Permission::Read, &TenantId::system(), None)?;
        let (mut stored, mut used, mut schedules) = (None, HashMap::new(), HashMap::new());
        let mut workers = HashMap::new();
        if let Ok(mut scope) = self.store().host_read().await {
            stored = scope.stored_use().await.ok();
            used = scope.trigger_use_by_tenant().await.unwrap_or_default();
            let late_ms = u64::try_from(LATE.as_millis()).unwrap_or(u64::MAX);
            schedules = scope.schedule_counts(FAILING_RUNS, late_ms).await.unwrap_or_default();
            workers = scope.worker_use_by_tenant().await.unwrap_or_default();
        }
        let mut registry = Registry::with_prefix("elias");
        registry.register_collector(Box::new(MetricsSnapshot::read(self, stored, &used, &schedules, &workers)));
        let mut out = String::new();
        text::encode(&mut out, &registry)
            .map_err(|error| Error::new(Code::Internal, format!("writing the metrics: {error}")))?;
        Ok(out)
    }
}

/// The values of all metrics at one moment.
struct MetricsSnapshot {
    store_up: bool,
    services: Vec<([String; 3], Arc<ServiceMeter>)>,
    /// The circuits of services that are told apart, and how many of all are in each state.
    circuits: Vec<([String; 3], CircuitKind, Health)>,
    states: [i64; HEALTH.len()],
    loaded: i64,
    in_flight: i64,
    /// Host functions of which calls were measured.
    host_calls: Vec<(String, CallTimes)>,
    cpu: CpuLoad,
    instances: InstanceCounts,
    /// Of connections, requests, bytes that wait for clients, and executions that do.
    in_use: [(Resource, u64); 4],
    recorded: u64,
    dropped: u64,
    /// Executions that were more than are recorded: of requests, and of triggers.
    unrecorded: [u64; 2],
    tenants: Vec<(String, Arc<QuotaCounts>)>,
    /// Tenant, quota, how much is used if that is known, and how much there is.
    levels: Vec<(String, &'static str, Option<u64>, u64)>,
    jobs: JobFigures,
    workers: WorkerFigures,
}

/// The upper bounds of a histogram's buckets in seconds, each with its count.
type LatencyBuckets = Vec<(f64, u64)>;

/// The counts of triggers.
struct JobFigures {
    /// Jobs of each tenant that are not finished, over all hosts; that run here; and that became dead here.
    unfinished: BTreeMap<String, u64>,
    running: BTreeMap<String, u64>,
    dead: BTreeMap<String, u64>,
    /// Schedules of each tenant whose last runs failed, and that should have run already.
    failing: BTreeMap<String, u64>,
    late: BTreeMap<String, u64>,
    /// Events of connectors, by the connection and what became of them.
    connector_events: BTreeMap<(String, &'static str), u64>,
    /// Seconds of all together, and how many there are in each bucket.
    latencies: Vec<(LatencyKind, f64, LatencyBuckets)>,
}

impl JobFigures {
    /// `named` are the tenants that are told apart.
    fn read(
        platform: &Platform,
        triggers: &HashMap<TenantId, TriggerUse>,
        schedules: &HashMap<TenantId, ScheduleCounts>,
        named: &[(TenantId, Arc<QuotaCounts>)],
    ) -> Self {
        let by_name = |counts: &mut dyn Iterator<Item = (Option<TenantId>, u64)>| {
            let mut named_counts = BTreeMap::new();
            for (tenant, count) in counts {
                let tenant = tenant.filter(|tenant| named.iter().any(|(named, _)| named == tenant));
                let name = tenant.map_or_else(|| OTHER.to_owned(), |tenant| tenant.to_string());
                *named_counts.entry(name).or_default() += count;
            }
            named_counts
        };
        let (runner, meters) = (platform.runner(), platform.runner().meters());
        let latency = |kind: LatencyKind| {
            let (seconds, buckets) = meters.of(kind).read();
            (kind, seconds, buckets)
        };
        Self {
            unfinished: by_name(&mut triggers.iter().map(|(id, used)| (Some(id.clone()), used.unfinished_jobs))),
            running: by_name(&mut runner.running_jobs().into_iter().map(|(tenant, count)| (Some(tenant), count))),
            dead: by_name(&mut meters.dead_jobs().into_iter()),
            failing: by_name(&mut schedules.iter().map(|(tenant, counts)| (Some(tenant.clone()), counts.failing))),
            late: by_name(&mut schedules.iter().map(|(tenant, counts)| (Some(tenant.clone()), counts.late))),
            connector_events: platform.connectors().counts(),
            latencies: [LatencyKind::Schedule, LatencyKind::Start, LatencyKind::Delivery].map(latency).to_vec(),
        }
    }
}

impl MetricsSnapshot {
    fn read(
        platform: &Platform,
        stored: Option<StoredUse>,
        triggers: &HashMap<TenantId, TriggerUse>,
        schedules: &HashMap<TenantId, ScheduleCounts>,
        workers: &HashMap<TenantId, WorkerUse>,
    ) -> Self {
        let serving = platform.serving();
        let now = serving.clock.now();
        let (named, others) = serving.meters.services.all();
        let (mut circuits, mut states) = (Vec::new(), [0; HEALTH.len()]);
        let (mut loaded, mut in_flight) = (0, 0);
        let table = serving.table();
        for service in table.services.values() {
            let state = service.state();
            let health = state.release.breaker(CircuitKind::Requests).health(now).state;
            if let Some(at) = HEALTH.iter().position(|(one, _)| *one == health) {
                states[at] += 1;
            }
            loaded += state.releases().filter(|release| release.idle_since_ms().is_some()).count() as i64;
            in_flight += service.running_count() as i64;
            if !Arc::ptr_eq(&service.meter, &others) {
                for circuit in CircuitKind::ALL {
                    circuits.push((labels(&service.id), circuit, state.release.breaker(circuit).health(now).state));
                }
            }
        }
        let mut services: Vec<_> = named.into_iter().map(|(id, meter)| (labels(&id), meter)).collect();
        services.sort_by(|a, b| a.0.cmp(&b.0));
        services.push((std::array::from_fn(|_| OTHER.to_owned()), others));
        circuits.sort_by(|a, b| a.0.cmp(&b.0));

        let (named, others) = serving.meters.tenants.all();
        let mut levels = Vec::new();
        for (tenant, used) in serving.tenants_in_use() {
            if Arc::ptr_eq(&used.counts, &others) {
                continue;
            }
            let name = tenant.to_string();
            let served = used.levels(now.unix_ms()).into_iter();
            levels.extend(served.map(|(kind, used, most)| (name.clone(), kind.as_str(), Some(used), most)));
            let quotas = used.quotas();
            let stored = stored.as_ref().map(|stored| stored.get(&tenant).copied().unwrap_or_default());
            levels.push((name.clone(), "components", stored.map(|stored| stored.0), quotas.components.into()));
            levels.push((name.clone(), "storage-bytes", stored.map(|stored| stored.1), quotas.storage_bytes));
            let triggers = stored.map(|_| triggers.get(&tenant).copied().unwrap_or_default());
            levels.push((name.clone(), "jobs", triggers.map(|used| used.unfinished_jobs), quotas.jobs));
            levels.push((name.clone(), "trigger-bytes", triggers.map(|used| used.bytes), quotas.trigger_bytes));
            levels.push((name.clone(), "events-per-day", None, quotas.events_per_day));
            let workers = stored.map(|_| workers.get(&tenant).copied().unwrap_or_default());
            levels.push((name.clone(), "workers", workers.map(|used| used.workers), quotas.workers));
            levels.push((name.clone(), "worker-bytes", workers.map(|used| used.bytes), quotas.worker_bytes));
            levels.push((name.clone(), "awake-workers", None, quotas.awake_workers.into()));
            levels.push((name.clone(), "worker-timers", None, quotas.worker_timers.into()));
            levels.push((name, "memory-bytes", None, quotas.memory_bytes));
        }
        levels.retain(|(.., most)| *most > 0);
        levels.sort();
        let jobs = JobFigures::read(platform, triggers, schedules, &named);
        let workers = WorkerFigures::read(platform.workers(), &named);
        let mut tenants: Vec<_> = named.into_iter().map(|(tenant, counts)| (tenant.to_string(), counts)).collect();
        tenants.sort_by(|a, b| a.0.cmp(&b.0));
        tenants.push((OTHER.to_owned(), others));
        let (recorded, dropped) = (serving.recorder.recorded(), serving.recorder.dropped());
        let unrecorded = serving.recorder.unrecorded();
        let store_up = stored.is_some();
        let cpu = serving.loader.host.cpu_load();
        let instances = serving.loader.host.instance_counts();
        let functions = serving.loader.host.functions().iter();
        let measured = functions.map(|function| (function.name().to_owned(), function.times()));
        let host_calls = measured.filter(|(_, times)| times.count() > 0).collect();
        let in_use = [Resource::Connections, Resource::Requests, Resource::BufferedBytes, Resource::StalledExecutions];
        let in_use = in_use.map(|resource| (resource, serving.usage().of(resource)));
        Self {
            store_up,
            services,
            circuits,
            states,
            loaded,
            in_flight,
            host_calls,
            cpu,
            instances,
            in_use,
            recorded,
            dropped,
            unrecorded,
            tenants,
            levels,
            jobs,
            workers,
        }
    }

    fn encode_host(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauge(out, "store_up", "1 if the store is available, otherwise 0")?.one(i64::from(self.store_up))?;
        gauge(out, "components_loaded", "Number of components that are loaded in memory")?.one(self.loaded)?;
        gauge(out, "executions_in_flight", "Number of executions that have started and not ended")?
            .one(self.in_flight)?;
        gauge(out, "cpu_cores", "Maximum number of executions that use a CPU at the same time")?
            .one(self.cpu.cores.into())?;
        gauge(out, "executions_running", "Number of executions that use a CPU now")?.one(self.cpu.running.into())?;
        let text = "Number of executions that are ready to run and wait for a CPU";
        gauge(out, "executions_runnable", text)?.one(self.cpu.waiting.into())?;
        for (resource, used) in self.in_use {
            let (name, text) = match resource {
                Resource::Connections => ("connections", "Number of open client connections"),
                Resource::Requests => ("requests_in_flight", "Number of requests whose response is not fully sent yet"),
                Resource::BufferedBytes => {
                    ("response_buffered_bytes", "Bytes of responses that are buffered in memory for slow clients")
                }
                Resource::StalledExecutions => {
                    ("executions_stalled", "Number of executions that wait for slow clients")
                }
            };
            gauge(out, name, text)?.one(i64::try_from(used).unwrap_or(i64::MAX))?;
        }
        let text = "Number of executions that were recorded in the store";
        counter(out, "executions_recorded", text, None)?.one(self.recorded)?;
        let text = "Number of executions that were not recorded because the store was too slow";
        counter(out, "executions_dropped", text, None)?.one(self.dropped)?;
        let text = "Number of executions that were not recorded because their service had too many in the same second";
        let mut unrecorded = counter(out, "executions_unrecorded", text, None)?;
        for (source, count) in ["request", "trigger"].into_iter().zip(self.unrecorded) {
            unrecorded.labelled([("source", source)], count)?;
        }
        let mut services =
            gauge(out, "services", "Number of services by the state of the circuit breaker of their requests")?;
        for ((_, name), count) in HEALTH.iter().zip(self.states) {
            services.labelled([("state", *name)], count)?;
        }
        Ok(())
    }

    fn encode_instances(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.instances;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        gauge(out, "instances", "Number of component instances, idle ones included")?.one(number(counts.instances))?;
        gauge(out, "instances_max", "Maximum number of component instances")?.one(number(counts.instances_max))?;
        gauge(out, "instances_idle", "Number of idle component instances")?.one(number(counts.idle))?;
        let text = "Private memory of idle component instances in bytes";
        gauge(out, "instances_idle_bytes", text)?.one(number(counts.idle_bytes))?;
        let mut starts = counter(
            out,
            "instance_starts",
            "Number of executions by the kind of instance: recycled or newly created",
            None,
        )?;
        for (instance, count) in [("recycled", counts.recycled), ("created", counts.created)] {
            starts.labelled([("instance", instance)], count)?;
        }
        let mut drops =
            counter(out, "instance_drops", "Number of component instances that were not reused, by reason", None)?;
        for (reason, count) in [
            ("failed", counts.dropped_failed),
            ("handles", counts.dropped_handles),
            ("grown", counts.dropped_grown),
            ("written", counts.dropped_written),
            ("idle", counts.dropped_idle),
        ] {
            drops.labelled([("reason", reason)], count)?;
        }
        let text = "Number of checks that the memory of a recycled instance was restored correctly, by result";
        let mut checks = counter(out, "instance_checks", text, None)?;
        for (result, count) in [("equal", counts.checked - counts.differed), ("different", counts.differed)] {
            checks.labelled([("result", result)], count)?;
        }
        Ok(())
    }

    fn encode_host_calls(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let text = "CPU time of measured host function calls on the threads that run components";
        let seconds = Some(&Unit::Seconds);
        let mut times = out.encode_descriptor("host_call_cpu", text, seconds, MetricType::Histogram)?;
        for (function, measured) in &self.host_calls {
            let labels = [("function", &**function)];
            let mut metric = times.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(measured.seconds, measured.count(), &measured.buckets, None)?;
        }
        let text = "CPU time of the longest measured call of each host function since the start";
        let mut longest = out.encode_descriptor("host_call_cpu_longest", text, seconds, MetricType::Gauge)?;
        for (function, measured) in &self.host_calls {
            let value = ConstGauge::new(measured.longest.as_secs_f64());
            let labels = [("function", &**function)];
            value.encode(longest.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn encode_services(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut executions = counter(out, "executions", "Number of executions that have ended, by outcome", None)?;
        for (service, meter) in &self.services {
            let [tenant, component, environment] = of_service(service);
            for ended in ExecutionOutcome::ALL {
                let labels = [tenant, component, environment, ("outcome", ended.as_str())];
                executions.labelled(labels, meter.ended(ended))?;
            }
        }
        let text = "Number of requests with an idempotency key, by outcome";
        let mut idempotent = counter(out, "idempotent_requests", text, None)?;
        for (service, meter) in &self.services {
            let [tenant, component, environment] = of_service(service);
            for outcome in IdempotencyOutcome::ALL {
                let labels = [tenant, component, environment, ("outcome", outcome.as_str())];
                idempotent.labelled(labels, meter.idempotency(outcome))?;
            }
        }
        let text = "Wall-clock time from the request to the end of all work of the component, waitUntil included";
        let mut durations =
            out.encode_descriptor("execution_duration", text, Some(&Unit::Seconds), MetricType::Histogram)?;
        for (service, meter) in &self.services {
            let (seconds, buckets) = meter.durations();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = of_service(service);
            let mut metric = durations.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)?;
        }
        let mut circuits = gauge(
            out,
            "circuit_state",
            "1 for the current state of a circuit breaker of a service, 0 for its other states",
        )?;
        for (service, circuit, health) in &self.circuits {
            let [tenant, component, environment] = of_service(service);
            for (state, name) in HEALTH {
                let labels = [tenant, component, environment, ("circuit", circuit.as_str()), ("state", name)];
                circuits.labelled(labels, i64::from(state == *health))?;
            }
        }
        Ok(())
    }

    fn encode_tenants(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        let mut limits = gauge(out, "quota_limit", "Quota of a tenant, in the unit of the quota")?;
        for (tenant, quota, _, most) in &self.levels {
            limits.labelled([("tenant", &**tenant), ("quota", *quota)], bytes(*most))?;
        }
        let mut used = gauge(out, "quota_used", "Current use of a quota by a tenant, in the unit of the quota")?;
        for (tenant, quota, level, _) in &self.levels {
            if let Some(level) = level {
                used.labelled([("tenant", &**tenant), ("quota", *quota)], bytes(*level))?;
            }
        }
        let mut decisions = counter(
            out,
            "quota_decisions",
            "Number of requests over a quota, by decision: rejected, queued or throttled",
            None,
        )?;
        for (tenant, counts) in &self.tenants {
            for kind in QuotaKind::ALL {
                for verdict in QuotaDecision::ALL {
                    let labels = [("tenant", &**tenant), ("quota", kind.as_str()), ("decision", verdict.as_str())];
                    decisions.labelled(labels, counts.get(kind, verdict))?;
                }
            }
        }
        let mut egress = counter(
            out,
            "egress",
            "Bytes sent in bodies of responses and of requests to other servers",
            Some(&Unit::Bytes),
        )?;
        for (tenant, counts) in &self.tenants {
            egress.labelled([("tenant", &**tenant)], counts.bytes())?;
        }
        Ok(())
    }
}

impl JobFigures {
    fn encode(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let text = "Number of jobs that are not finished, deliveries and ticks included, on all hosts together";
        let mut unfinished = gauge(out, "jobs_unfinished", text)?;
        for (tenant, count) in &self.unfinished {
            unfinished.labelled([("tenant", &**tenant)], number(*count))?;
        }
        let mut running = gauge(out, "jobs_running", "Number of jobs that run on this host")?;
        for (tenant, count) in &self.running {
            running.labelled([("tenant", &**tenant)], number(*count))?;
        }
        let text = "Number of jobs that failed for good on this host: dead jobs and dead letters";
        let mut dead = counter(out, "jobs_dead", text, None)?;
        for (tenant, count) in &self.dead {
            dead.labelled([("tenant", &**tenant)], *count)?;
        }
        let text = "Number of schedules whose last three runs or more did not succeed, without paused ones";
        let mut failing = gauge(out, "schedules_failing", text)?;
        for (tenant, count) in &self.failing {
            failing.labelled([("tenant", &**tenant)], number(*count))?;
        }
        let text = "Number of schedules whose tick was due a minute ago or longer and did not run, without paused ones";
        let mut late = gauge(out, "schedules_late", text)?;
        for (tenant, count) in &self.late {
            late.labelled([("tenant", &**tenant)], number(*count))?;
        }
        let text = "Number of events and messages of connectors on this host, by what became of them";
        let mut connector_events = counter(out, "connector_events", text, None)?;
        for ((connection, outcome), count) in &self.connector_events {
            connector_events.labelled([("connection", &**connection), ("outcome", *outcome)], *count)?;
        }
        for (kind, seconds, buckets) in &self.latencies {
            let (name, text) = match kind {
                LatencyKind::Schedule => {
                    ("schedule_lateness", "Time from when a tick of a schedule was due to its job")
                }
                LatencyKind::Start => ("job_start_latency", "Time from when a job was ready to the start of its run"),
                LatencyKind::Delivery => {
                    ("event_delivery_lag", "Time from when an event was published to when its delivery was enqueued")
                }
            };
            let mut histogram = out.encode_descriptor(name, text, Some(&Unit::Seconds), MetricType::Histogram)?;
            let count = buckets.iter().map(|(_, count)| count).sum();
            histogram.encode_histogram::<NoLabelSet>(*seconds, count, buckets, None)?;
        }
        Ok(())
    }
}

impl fmt::Debug for MetricsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsSnapshot").finish_non_exhaustive()
    }
}

impl Collector for MetricsSnapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_host(&mut encoder)?;
        self.encode_instances(&mut encoder)?;
        self.encode_host_calls(&mut encoder)?;
        self.encode_services(&mut encoder)?;
        self.encode_tenants(&mut encoder)?;
        self.jobs.encode(&mut encoder)?;
        self.workers.encode(&mut encoder)
    }
}

fn labels(id: &ServiceId) -> [String; 3] {
    [id.tenant.to_string(), id.component.to_string(), id.environment.to_string()]
}

fn of_service([tenant, component, environment]: &[String; 3]) -> [(&'static str, &str); 3] {
    [("tenant", tenant), ("component", component), ("environment", environment)]
}
