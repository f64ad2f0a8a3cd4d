//! The metrics that alert rules compare with thresholds.

use elias_names::{ServiceId, TenantId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricScope {
    /// Each service of a tenant has its own alert.
    Service,
    /// The tenant has one alert.
    Tenant,
    /// The hosts have one alert. Only rules of the tenant `system` can use it.
    Host,
}

/// Defines [`MetricName`] from the one table of metrics.
macro_rules! metrics {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $scope:ident,)*) => {
        /// A metric that alert rules can look at. The unit is in the name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "kebab-case")]
        // The metrics of series have this name too, and a schema's name is its type's.
        #[schema(as = AlertMetricName)]
        pub enum MetricName {
            $($(#[$doc])* $variant,)*
        }

        impl MetricName {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it is about.
            #[must_use]
            pub fn scope(self) -> MetricScope {
                match self { $(Self::$variant => MetricScope::$scope,)* }
            }
        }
    };
}

metrics! {
    /// Share of the executions in the window that failed, in percent; no value without executions.
    ErrorPercent = "error-percent": Service,
    /// Executions that ended in the window.
    Executions = "executions": Service,
    /// Executions in the window that exceeded their deadline.
    Timeouts = "timeouts": Service,
    /// The same, less those in the window before.
    TimeoutsIncrease = "timeouts-increase": Service,
    /// Mean duration of the executions in the window, in milliseconds.
    DurationMs = "duration-ms": Service,
    /// The same, less the mean duration in the hour before the window, or with fewer than 20 executions then, in the 24
    /// hours before the present one; no value with fewer than 20 executions in the window or in both.
    DurationAboveBaselineMs = "duration-above-baseline-ms": Service,
    /// Largest memory of an execution in the window, in percent of the memory limit.
    MemoryPercent = "memory-percent": Service,
    /// Recorded executions in the window whose log contains the rule's `pattern`.
    LogMatches = "log-matches": Service,
    /// Rollouts that were rolled back in the window.
    Rollbacks = "rollbacks": Service,
    /// Time since when the oldest job that is ready to run has been ready, in seconds.
    QueueAgeSeconds = "queue-age-seconds": Tenant,
    /// Jobs and deliveries that became dead in the window.
    DeadLetters = "dead-letters": Tenant,
    /// Schedules whose tick was due a minute ago or longer and did not run.
    LateSchedules = "late-schedules": Tenant,
    /// Schedules whose last three runs or more did not succeed.
    FailingSchedules = "failing-schedules": Tenant,
    /// Instances that exist, in percent of the maximum, idle ones left out; of the host with the most.
    InstancesPercent = "instances-percent": Host,
    /// Database connections in use, in percent of the maximum; of the database server and host with the most.
    ConnectionsPercent = "connections-percent": Host,
    /// Space that is used on the disk of the data directory, in percent; of the host with the most.
    DiskPercent = "disk-percent": Host,
    /// Days until the first TLS certificate of a host expires; no value without certificates.
    CertificateDays = "certificate-days": Host,
    /// Time since a host could last make and check the checkpoint of the transparency log, in seconds.
    CheckpointAgeSeconds = "checkpoint-age-seconds": Host,
    /// Time since the alert rules were evaluated last, in seconds.
    EvaluationAgeSeconds = "evaluation-age-seconds": Host,
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MetricName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|metric| metric.as_str() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|metric| metric.as_str()).collect();
            format!("a metric must be one of {}", names.join(", "))
        })
    }
}

/// A metric, as a rule asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric<'a> {
    /// Which one.
    pub name: MetricName,
    /// The text that lines of the log contain, for [`MetricName::LogMatches`].
    pub pattern: Option<&'a str>,
}

/// The values of metrics at one moment.
pub trait Readings {
    /// The value of a metric over the last `window`; `None` if there is none. `service` is given for the metrics of
    /// services.
    fn value(
        &self,
        metric: Metric<'_>,
        tenant: &TenantId,
        service: Option<&ServiceId>,
        window: Duration,
    ) -> Option<f64>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_json_and_on_the_command_line() {
        for metric in MetricName::ALL {
            let json = serde_json::to_value(metric).expect("JSON");
            assert_eq!(json.as_str(), Some(metric.as_str()));
            assert_eq!(metric.as_str().parse(), Ok(*metric));
        }
        assert!("errors".parse::<MetricName>().expect_err("no metric").contains("error-percent"));
    }
}
