//! The host's metrics for Prometheus, in the OpenMetrics text format. Each request reads them from counters that exist
//! anyway.

mod alerts;
mod services;
mod telemetry;
mod workers;
mod writer;

use crate::access::Permission;
use crate::platform::Platform;
use crate::serving::{QuotaCounts, QuotaDecision, QuotaKind};
use crate::session::Session;
use crate::triggers::{FAILING_RUNS, LATE, LatencyKind};
use alerts::AlertFigures;
use elias_api::{Code, Error, Result};
use elias_delivery::supervision::Resource;
use elias_host::capability::pricing::CallTimes;
use elias_host::{CpuLoad, InstanceCounts};
use elias_names::TenantId;
use elias_store::{ScheduleCounts, StoredUse, TriggerUse, WorkerUse};
use elias_telemetry::usage::UsageAmounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use services::{ServiceFigures, add_exemplars};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use telemetry::TelemetryFigures;
use workers::WorkerFigures;
use writer::{counter, gauge};

/// The label of all services, or tenants, without a label of their own. No name can be like it.
const OTHER: &str = "_other";

/// The media type of [`Platform::metrics`].
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Platform {
    /// The metrics of this host. The first 200 tenants have labels of their own, and so have the first 50 services of
    /// each, 1,000 of all. The others share the label `_other`. Durations have exemplars with the ids of traces.
    ///
    /// # Errors
    /// `forbidden` for all but platform operators.
    pub async fn metrics(&self, session: &Session) -> Result<String> {
        session.require(Permission::Read, &TenantId::system(), None)?;
        let (mut stored, mut used, mut schedules) = (None, HashMap::new(), HashMap::new());
        let (mut workers, mut evaluation_age_ms) = (HashMap::new(), None);
        if let Ok(mut scope) = self.store().host_read().await {
            stored = scope.stored_use().await.ok();
            used = scope.trigger_use_by_tenant().await.unwrap_or_default();
            let late_ms = u64::try_from(LATE.as_millis()).unwrap_or(u64::MAX);
            schedules = scope.schedule_counts(FAILING_RUNS, late_ms).await.unwrap_or_default();
            workers = scope.worker_use_by_tenant().await.unwrap_or_default();
            evaluation_age_ms = scope.alert_evaluation_age_ms().await.ok().flatten();
        }
        let mut registry = Registry::with_prefix("elias");
        let alerts = AlertFigures { evaluation_age_ms, notifications: self.notification_meters().counts() };
        let snapshot = MetricsSnapshot::read(self, stored, &used, &schedules, &workers, alerts);
        let exemplars = snapshot.services.exemplars();
        registry.register_collector(Box::new(snapshot));
        let mut out = String::new();
        text::encode(&mut out, &registry)
            .map_err(|error| Error::new(Code::Internal, format!("writing the metrics: {error}")))?;
        Ok(add_exemplars(&out, &exemplars))
    }
}

/// The values of all metrics at one moment.
struct MetricsSnapshot {
    store_up: bool,
    services: ServiceFigures,
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
    telemetry: TelemetryFigures,
    /// Usage that could not be counted by tenant.
    unassigned_usage: UsageAmounts,
    /// Points of the metrics of services that were not stored.
    dropped_points: u64,
    /// Failures that servers for errors took, and that none took.
    reported: [u64; 2],
    tenants: Vec<(String, Arc<QuotaCounts>)>,
    /// Tenant, quota, how much is used if that is known, and how much there is.
    levels: Vec<(String, &'static str, Option<u64>, u64)>,
    jobs: JobFigures,
    workers: WorkerFigures,
    alerts: AlertFigures,
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
        alerts: AlertFigures,
    ) -> Self {
        let serving = platform.serving();
        let now = serving.clock.now();
        let services = ServiceFigures::read(serving, now);
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
            unassigned_usage: serving.usage_journal.unassigned(),
            dropped_points: platform.series().dropped(),
            host_calls,
            cpu,
            instances,
            in_use,
            recorded,
            dropped,
            unrecorded,
            telemetry: TelemetryFigures::read(&serving.recorder, platform.config()),
            reported: [platform.reports().counts().sent(), platform.reports().counts().lost()],
            tenants,
            levels,
            jobs,
            workers,
            alerts,
        }
    }

    fn encode_host(&self, out: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauge(out, "store_up", "1 if the store is available, otherwise 0")?.one(i64::from(self.store_up))?;
        gauge(out, "components_loaded", "Number of components that are loaded in memory")?.one(self.services.loaded)?;
        gauge(out, "executions_in_flight", "Number of executions that have started and not ended")?
            .one(self.services.in_flight)?;
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
        let text = "Number of executions whose usage could not be counted for their tenant";
        counter(out, "usage_unassigned_executions", text, None)?.one(self.unassigned_usage.executions)?;
        let text = "Number of points of the metrics of services that were not stored because the store was away";
        counter(out, "series_dropped_points", text, None)?.one(self.dropped_points)?;
        let text = "Number of failures for servers that speak Sentry's protocol, by outcome";
        let mut reported = counter(out, "sentry_events", text, None)?;
        for (outcome, count) in ["sent", "lost"].into_iter().zip(self.reported) {
            reported.labelled([("outcome", outcome)], count)?;
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
        self.services.encode(&mut encoder)?;
        self.encode_tenants(&mut encoder)?;
        self.jobs.encode(&mut encoder)?;
        self.telemetry.encode(&mut encoder)?;
        self.alerts.encode(&mut encoder)?;
        self.workers.encode(&mut encoder)
    }
}
