//! The usage of tenants by hours, and the adoption of the platform by weeks.

use elias_names::TenantId;
use serde::{Deserialize, Serialize};

/// The usage of a tenant in an hour, on all hosts together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsageRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// The beginning of the hour, in milliseconds since 1970-01-01 UTC.
    pub hour_at: i64,
    /// Executions: requests, runs of triggers and turns of service workers. An execution counts in the hour in which it
    /// began to respond.
    pub executions: u64,
    /// Units of fuel of the executions that ended in the hour.
    pub fuel: u64,
    /// Bytes of the bodies of requests.
    pub bytes_in: u64,
    /// Bytes of the bodies of responses, files, messages of WebSockets, webhooks and requests to other servers.
    pub bytes_out: u64,
    /// The most bytes that the tenant had stored in the hour: artifacts, jobs, events and service workers.
    pub storage_bytes: u64,
    /// Whether the hour has ended on all hosts that run. Only a host that was killed in the hour and has not started
    /// again can still add to it.
    pub is_closed: bool,
}

impl UsageRecord {
    /// The columns of [`to_csv`](Self::to_csv), as the first line of a file has them.
    pub const CSV_HEADER: &'static str =
        "tenant,hour_at,executions,fuel,bytes_in,bytes_out,storage_bytes,is_closed\r\n";

    /// A line of a CSV file (RFC 4180). No value needs quotes.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let Self { tenant, hour_at, executions, fuel, bytes_in, bytes_out, storage_bytes, is_closed } = self;
        format!("{tenant},{hour_at},{executions},{fuel},{bytes_in},{bytes_out},{storage_bytes},{is_closed}\r\n")
    }
}

/// The hours of which to show the usage.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct UsageFilter {
    /// Only hours that begin at this time or later, in milliseconds since 1970-01-01 UTC; 24 hours ago by default.
    pub from: Option<i64>,
    /// Only hours that begin before this time, in milliseconds since 1970-01-01 UTC; absent for all.
    pub to: Option<i64>,
}

/// The adoption of the platform by a tenant in a week.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdoptionWeek {
    /// The beginning of the week, a Monday, in milliseconds since 1970-01-01 UTC.
    pub week_at: i64,
    /// Components of which something ran.
    pub active_components: u64,
    /// Identities that uploaded or deployed a version.
    pub authors: u64,
    /// Deployments.
    pub deployments: u64,
    /// The components that were deployed, by the release of the toolchain that built them.
    pub sdk_versions: Vec<SdkVersion>,
}

/// A release of the toolchain, and how many components it built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SdkVersion {
    /// The program and its version, such as `elias-build 0.1.0`; empty for components of other toolchains.
    pub builder: String,
    /// The number of components.
    pub components: u64,
}

/// The weeks of which to show the adoption.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AdoptionFilter {
    /// The number of weeks, the present one included: 1 to 52; 8 by default.
    #[param(minimum = 1, maximum = 52)]
    pub weeks: u32,
}

impl Default for AdoptionFilter {
    fn default() -> Self {
        Self { weeks: 8 }
    }
}
