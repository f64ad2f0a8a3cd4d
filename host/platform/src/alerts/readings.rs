//! The values of metrics for an evaluation: from the points of all hosts, and from the store.

use super::baselines::Baselines;
use elias_names::{ServiceId, TenantId};
use elias_store::ScheduleCounts;
use elias_telemetry::alert::{Metric, MetricName, PointWindow, Readings};
use std::collections::HashMap;
use std::time::Duration;

/// A question about logs: the service, the text, and the window in seconds.
pub(super) type LogQuestion = (ServiceId, String, u64);

/// What was read for an evaluation.
pub(super) struct StoredReadings<'a> {
    /// The time of the database's clock, in milliseconds since 1970.
    pub(super) now_ms: i64,
    pub(super) points: &'a PointWindow,
    pub(super) baselines: &'a Baselines,
    /// Rollouts that were rolled back, and when.
    pub(super) rollbacks: Vec<(ServiceId, i64)>,
    /// Since when the oldest ready job of each tenant is ready.
    pub(super) ready_since: HashMap<TenantId, i64>,
    pub(super) schedules: HashMap<TenantId, ScheduleCounts>,
    /// The executions whose log has a text.
    pub(super) log_matches: HashMap<LogQuestion, u64>,
    /// How long ago the rules were evaluated, in milliseconds; none at the first time.
    pub(super) evaluation_age_ms: Option<i64>,
}

impl Readings for StoredReadings<'_> {
    fn value(
        &self,
        metric: Metric<'_>,
        tenant: &TenantId,
        service: Option<&ServiceId>,
        window: Duration,
    ) -> Option<f64> {
        let window_ms = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
        match metric.name {
            MetricName::LogMatches => {
                let question = (service?.clone(), metric.pattern?.to_owned(), window.as_secs());
                self.log_matches.get(&question).map(|count| *count as f64)
            }
            MetricName::Rollbacks => {
                let (service, from) = (service?, self.now_ms.saturating_sub(window_ms));
                let of_service = self.rollbacks.iter().filter(|(id, at)| id == service && *at > from);
                Some(of_service.count() as f64)
            }
            MetricName::QueueAgeSeconds => {
                let since = self.ready_since.get(tenant);
                Some(since.map_or(0.0, |since| self.now_ms.saturating_sub(*since).max(0) as f64 / 1e3))
            }
            MetricName::DeadLetters => Some(self.points.dead_letters(tenant, window, self.now_ms)),
            MetricName::LateSchedules => Some(self.schedules.get(tenant).map_or(0, |counts| counts.late) as f64),
            MetricName::FailingSchedules => Some(self.schedules.get(tenant).map_or(0, |counts| counts.failing) as f64),
            MetricName::EvaluationAgeSeconds => self.evaluation_age_ms.map(|age| age as f64 / 1e3),
            MetricName::InstancesPercent
            | MetricName::ConnectionsPercent
            | MetricName::DiskPercent
            | MetricName::CertificateDays
            | MetricName::CheckpointAgeSeconds => self.points.host_value(metric.name, self.now_ms),
            MetricName::DurationAboveBaselineMs => {
                let service = service?;
                let of_day = || {
                    let mean_ms = self.points.comparable_mean_ms(service, window, self.now_ms)?;
                    Some(mean_ms - self.baselines.mean_ms(service)?)
                };
                self.points.service_value(metric.name, service, window, self.now_ms).or_else(of_day)
            }
            MetricName::ErrorPercent
            | MetricName::Executions
            | MetricName::Timeouts
            | MetricName::TimeoutsIncrease
            | MetricName::DurationMs
            | MetricName::MemoryPercent => self.points.service_value(metric.name, service?, window, self.now_ms),
        }
    }
}
