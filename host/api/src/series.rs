//! The metrics of services over time.

use elias_names::{ComponentName, Environment};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Defines [`MetricName`] from the table of metrics.
macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $unit:literal;)*) => {
        /// A metric of a service.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum MetricName {
            $($(#[$doc])* $name,)*
        }

        impl MetricName {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The unit of its values: `1` for counts and ratios, `s`, `By` or `fuel`.
            #[must_use]
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)* }
            }
        }
    };
}

metrics! {
    /// Executions of requests.
    #[default]
    Requests = "requests", "1";
    /// Runs of triggers.
    Runs = "runs", "1";
    /// Turns of service workers.
    WorkerTurns = "worker-turns", "1";
    /// Executions that failed.
    Errors = "errors", "1";
    /// The share of executions that failed, from 0 to 1.
    ErrorRate = "error-rate", "1";
    /// The latency that half of the executions did not exceed, estimated from a histogram.
    LatencyP50 = "latency-p50", "s";
    /// The latency that 95 % of the executions did not exceed.
    LatencyP95 = "latency-p95", "s";
    /// The latency that 99 % of the executions did not exceed.
    LatencyP99 = "latency-p99", "s";
    /// The mean latency.
    LatencyMean = "latency-mean", "s";
    /// Units of fuel.
    Fuel = "fuel", "fuel";
    /// The most memory that an execution had.
    MemoryMax = "memory-max", "By";
    /// The longest time that a job which started was ready before.
    QueueAge = "queue-age", "s";
    /// Jobs that failed for good: dead jobs and dead letters.
    DeadLetters = "dead-letters", "1";
    /// The mean time that executions waited for a slot of their component and their tenant.
    PoolWait = "pool-wait", "s";
    /// The longest such time.
    PoolWaitMax = "pool-wait-max", "s";
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
            format!("must be one of {}", names.join(", "))
        })
    }
}

/// Which metric to show, of which services, and when.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct MetricQuery {
    /// The metric; `requests` by default.
    pub metric: MetricName,
    /// Only services of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only services in this environment; absent for all.
    pub environment: Option<Environment>,
    /// The beginning, in milliseconds since 1970-01-01 UTC; an hour ago by default. Points of the last 24 hours are
    /// kept by the minute, those of the last 7 days by the hour.
    pub from: Option<i64>,
    /// The end, in milliseconds since 1970-01-01 UTC; now by default.
    pub to: Option<i64>,
    /// The length of a step in milliseconds: a multiple of 60000, and of 3600000 if `from` is more than 24 hours ago;
    /// the shortest by default. A response has at most 1,500 steps.
    pub step: Option<u64>,
}

/// A metric of services over time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MetricSeries {
    /// The metric.
    pub metric: MetricName,
    /// The unit of the values: `1` for counts and ratios, `s`, `By` or `fuel`.
    pub unit: String,
    /// The beginning of the first step, in milliseconds since 1970-01-01 UTC.
    pub from: i64,
    /// The length of a step in milliseconds.
    pub step: u64,
    /// The series, one a service in which something happened.
    pub items: Vec<ServiceSeries>,
    /// The number of services of the tenant that are beyond the budget of series and share one.
    pub left_out: u64,
}

/// The values of a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ServiceSeries {
    /// The component; null for the services that share a series.
    pub component: Option<ComponentName>,
    /// The environment; null likewise.
    pub environment: Option<Environment>,
    /// A value for each step; null where there is none, such as the latency of no execution.
    pub values: Vec<Option<f64>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_the_names_that_json_has() {
        for metric in MetricName::ALL {
            assert_eq!(serde_json::to_value(metric).expect("JSON"), metric.as_str());
            assert_eq!(metric.as_str().parse(), Ok(*metric));
        }
        assert!("latency".parse::<MetricName>().expect_err("none").contains("latency-p99"));
    }
}
