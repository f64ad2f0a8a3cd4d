//! What this host counts for alert rules, in points of ten seconds: the differences of counters that exist anyway.

use crate::platform::Platform;
use crate::serving::{ExecutionOutcome, SeriesKey, ServiceMeter};
use elias_names::{ServiceId, TenantId};
use elias_store::now_ms;
use elias_telemetry::alert::{HostPoint, MetricName, ServicePoint, certificate_expiry_ms};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How often the checkpoint of the transparency log is made and checked, and certificates are read.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Milliseconds of a day.
const DAY_MS: f64 = 86_400_000.0;

/// The counters of a service at the end of the last point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    executions: u64,
    failed: u64,
    timeouts: u64,
    duration_us: u64,
}

impl Totals {
    fn of(meter: &ServiceMeter) -> Self {
        Self {
            executions: ExecutionOutcome::ALL.into_iter().map(|outcome| meter.ended(outcome)).sum(),
            failed: meter.ended(ExecutionOutcome::Failed),
            timeouts: meter.timeouts(),
            duration_us: meter.duration_us(),
        }
    }

    /// What was counted since `before`; everything if the counters began anew meanwhile.
    fn since(self, before: Self) -> Self {
        if self.executions < before.executions {
            return self;
        }
        Self {
            executions: self.executions - before.executions,
            failed: self.failed.saturating_sub(before.failed),
            timeouts: self.timeouts.saturating_sub(before.timeouts),
            duration_us: self.duration_us.saturating_sub(before.duration_us),
        }
    }
}

/// The counters at the end of the last point.
#[derive(Debug)]
pub(super) struct HostCounts {
    services: HashMap<ServiceId, Totals>,
    dead: HashMap<TenantId, u64>,
    /// What was counted and could not be stored.
    unstored: Option<HostPoint>,
    /// When the checkpoint of the log and the certificates were last looked at.
    looked_at: Option<Instant>,
    /// When the checkpoint last was good.
    checkpoint_good_at: Instant,
    /// When the first certificate expires, in milliseconds since 1970.
    certificate_expiry_ms: Option<i64>,
}

impl HostCounts {
    pub(super) fn new() -> Self {
        Self {
            services: HashMap::new(),
            dead: HashMap::new(),
            unstored: None,
            looked_at: None,
            checkpoint_good_at: Instant::now(),
            certificate_expiry_ms: None,
        }
    }

    /// The point since the last call. Services that the metrics do not tell apart are not in it.
    pub(super) async fn take(&mut self, platform: &Platform) -> HostPoint {
        let meters = platform.serving().meters.services.all();
        let mut totals = HashMap::with_capacity(meters.len());
        let mut services = Vec::new();
        for (key, meter) in meters {
            let SeriesKey::Service(id) = key else { continue };
            let now = Totals::of(&meter);
            let since = now.since(self.services.get(&id).copied().unwrap_or_default());
            if since.executions > 0 {
                let ServiceId { tenant, component, environment } = id.clone();
                services.push(ServicePoint {
                    tenant,
                    component,
                    environment,
                    executions: since.executions,
                    failed: since.failed,
                    timeouts: since.timeouts,
                    duration_us: since.duration_us,
                    memory_percent: meter.take_memory_percent(),
                });
            }
            totals.insert(id, now);
        }
        self.services = totals;
        let mut dead = BTreeMap::new();
        for (tenant, count) in platform.runner().meters().dead_jobs() {
            let Some(tenant) = tenant else { continue };
            let before = self.dead.insert(tenant.clone(), count).unwrap_or(0);
            if count > before {
                dead.insert(tenant, count - before);
            }
        }
        let mut host = BTreeMap::new();
        let instances = platform.serving().loader.host.instance_counts();
        if instances.instances_max > 0 {
            let used = instances.instances.saturating_sub(instances.idle);
            host.insert(MetricName::InstancesPercent, 100.0 * used as f64 / instances.instances_max as f64);
        }
        if let Some(read) = &platform.config().connections_percent
            && let Some(percent) = read()
        {
            host.insert(MetricName::ConnectionsPercent, percent);
        }
        host.extend(disk_percent(platform).map(|percent| (MetricName::DiskPercent, percent)));
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.looked_at = Some(Instant::now());
            self.look(platform).await;
        }
        host.insert(MetricName::CheckpointAgeSeconds, self.checkpoint_good_at.elapsed().as_secs_f64());
        if let Some(expiry) = self.certificate_expiry_ms {
            let days = expiry.saturating_sub(now_ms()) as f64 / DAY_MS;
            host.insert(MetricName::CertificateDays, days);
        }
        let mut point = HostPoint { services, dead, host };
        if let Some(earlier) = self.unstored.take() {
            point.add_earlier(earlier);
        }
        point
    }

    /// Takes a point back that could not be stored: the next one has it too.
    pub(super) fn put_back(&mut self, point: HostPoint) {
        self.unstored = Some(point);
    }

    /// Looks at what changes rarely.
    async fn look(&mut self, platform: &Platform) {
        match platform.log_checkpoint().await {
            Ok(_) => self.checkpoint_good_at = Instant::now(),
            Err(error) => tracing::warn!(%error, "the checkpoint of the transparency log cannot be made"),
        }
        let mut expiries = Vec::new();
        for file in &platform.config().certificates {
            let expiry = tokio::fs::read_to_string(file).await.ok().and_then(|pem| certificate_expiry_ms(&pem));
            if expiry.is_none() {
                tracing::warn!(file = %file.display(), "the end of a certificate cannot be read");
            }
            expiries.extend(expiry);
        }
        self.certificate_expiry_ms = expiries.into_iter().min();
    }
}

/// The space that is used on the disk of the data directory, in percent.
fn disk_percent(platform: &Platform) -> Option<f64> {
    let disk = rustix::fs::statvfs(&platform.config().data_dir).ok()?;
    // As `df` reckons it: what is reserved for root is neither used nor free.
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    let usable = used.saturating_add(disk.f_bavail);
    (usable > 0).then(|| 100.0 * used as f64 / usable as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serving::{CircuitKind, EndedExecution};

    #[test]
    fn a_point_has_what_was_counted_since_the_last_one() {
        let meter = ServiceMeter::default();
        let ended = |outcome, ms| {
            let duration = Duration::from_millis(ms);
            meter.record(&EndedExecution { kind: CircuitKind::Requests, outcome, duration, fuel: 0, memory_bytes: 0 });
        };
        ended(ExecutionOutcome::Completed, 2);
        let first = Totals::of(&meter);
        ended(ExecutionOutcome::Failed, 3);
        ended(ExecutionOutcome::Cancelled, 4);
        meter.record_limits(true, 0, 1);
        let since = Totals::of(&meter).since(first);
        assert_eq!(since, Totals { executions: 2, failed: 1, timeouts: 1, duration_us: 7_000 });
        // The service was unloaded and came back: its counters began anew.
        assert_eq!(first.since(Totals::of(&meter)), first);
    }
}
