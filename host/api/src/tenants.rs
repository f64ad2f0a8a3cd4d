//! Tenants, what they may do, and ceilings for their versions.

use crate::error::{Code, Error, Result};
use elias_advisories::PackagePolicy;
use elias_names::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A tenant.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Tenant {
    /// The name.
    pub tenant: TenantId,
    /// The settings.
    pub settings: TenantSettings,
    /// The revision. It increases with each change and is the `ETag`.
    pub revision: u64,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
}

/// The settings of a tenant: its permissions and quotas. Only the platform operators can change them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TenantSettings {
    /// The host names that the tenant's routes may use besides its own subdomains, such as `shop.example.com` or
    /// `*.example.com`; at most 1,000, none by default.
    pub hosts: Vec<String>,
    /// The names of the capabilities that its components may be granted; `cache`, `config`, `crypto`, `db`, `events`,
    /// `http`, `jobs`, `log`, `workers` and `workflow` by default.
    pub capabilities: Vec<String>,
    /// Whether its grants may refer to servers, addresses and files of the host's network, such as the URL of a
    /// database or private networks; false by default.
    pub trusted: bool,
    /// Whether each version must be signed with a signing key of the tenant; false by default.
    pub require_signature: bool,
    /// The SHA-256 digests of the engines that its components may use; empty, the default, for all engines that the
    /// host knows or that components contain.
    pub engines: Vec<String>,
    /// The policy of the platform operators for npm packages in its versions.
    pub packages: PackagePolicy,
    /// The tenant's own policy for npm packages. A version must comply with both.
    pub own_packages: PackagePolicy,
    /// Ceilings for settings of its versions, which replace those of the host: a map from the key in elias.toml, such
    /// as `capabilities.db.connections`, to the maximum.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ceilings: BTreeMap<String, u64>,
    /// The URL of an OpenTelemetry collector that the spans of its executions are sent to by OTLP over HTTP, without
    /// its path `/v1/traces`, such as `https://otlp.example.com`; none by default. Its address must be public, or in a
    /// private network that the platform operators named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<String>,
    /// The DSN of a server that speaks Sentry's protocol, such as `https://KEY@sentry.example.com/1`, which gets the
    /// tenant's failures; none if absent. It may be in a private network only if the tenant is trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentry_dsn: Option<String>,
    /// The quotas.
    pub quotas: Quotas,
}

/// The weight of a tenant whose quotas name none, for sharing the CPU.
pub const CPU_WEIGHT_DEFAULT: u32 = 100;
/// The largest weight; the smallest is 1.
pub const CPU_WEIGHT_MAX: u32 = 10_000;

/// For how many days the events of a tenant are kept whose quotas name no number.
pub const EVENT_RETENTION_DEFAULT: u32 = 7;
/// For how many days events are kept at most; at least for 1.
pub const EVENT_RETENTION_MAX: u32 = 30;

/// The quotas of a tenant. 0 means no quota, except for `event-retention`, `cpu-weight` and `wait-ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quotas {
    /// The maximum number of components; 1,000 by default.
    pub components: u32,
    /// The maximum number of versions per component; 1,000 by default.
    pub versions: u32,
    /// The maximum total size of its artifacts in bytes; 10,737,418,240 (10 GiB) by default.
    pub storage_bytes: u64,
    /// The maximum number of executions started per minute; 0 by default.
    pub executions_per_minute: u32,
    /// The maximum number of executions at the same time; 0 by default.
    pub concurrent_executions: u32,
    /// The maximum fuel used per hour, in units of fuel; 0 by default.
    pub fuel_per_hour: u64,
    /// The maximum number of bytes sent per hour in bodies of responses and of requests to other servers; 0 by default.
    pub egress_bytes_per_hour: u64,
    /// The maximum memory of an instance in bytes; 0 by default.
    pub memory_bytes: u64,
    /// The maximum number of unfinished jobs, with deliveries of events and ticks of schedules; 1,000,000 by default.
    pub jobs: u64,
    /// The maximum number of events that its components and users publish in a day (UTC); 1,000,000 by default.
    pub events_per_day: u64,
    /// The maximum number of bytes of the inputs of jobs, of the results and errors of jobs that have ended and are
    /// kept, and of the data of the events that are kept, together; 1,073,741,824 (1 GiB) by default.
    pub trigger_bytes: u64,
    /// The maximum number of service workers; 100,000 by default.
    pub workers: u64,
    /// The maximum number of bytes that the states of its service workers have, former ones included, as they are
    /// stored; 10,737,418,240 (10 GiB) by default.
    pub worker_bytes: u64,
    /// The maximum number of its service workers that are in memory at the same time on each host; 0 by default: its
    /// share of what the host has room for.
    pub awake_workers: u32,
    /// The maximum number of timers and alarms that each of its service workers may have set; 0 by default: what
    /// `timers` of `[workers.limits]` says.
    pub worker_timers: u32,
    /// The number of days for which events are kept: 1 to 30; 7 by default.
    pub event_retention: u32,
    /// The weight for sharing the CPU with other tenants when it is busy: 1 to 10,000; 100 by default.
    pub cpu_weight: u32,
    /// The action for a request over one of the four rate and concurrency quotas, unless that quota has its own action;
    /// `reject` by default.
    pub action: QuotaAction,
    /// The action for a request over `executions-per-minute`; `action` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executions_per_minute_action: Option<QuotaAction>,
    /// The action for a request over `concurrent-executions`; `action` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_executions_action: Option<QuotaAction>,
    /// The action for a request over `fuel-per-hour`; `action` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel_per_hour_action: Option<QuotaAction>,
    /// The action for a request over `egress-bytes-per-hour`; `action` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_bytes_per_hour_action: Option<QuotaAction>,
    /// The maximum time in milliseconds that `queue` and `throttle` may delay a request: 0 to 60,000; 1,000 by default.
    pub wait_ms: u32,
}

/// The action for a request over a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuotaAction {
    /// Respond with 429 at once.
    Reject,
    /// Let the request wait; respond with 429 if it would wait longer than `wait-ms`.
    Queue,
    /// Delay requests to the rate of the quota; respond with 429 if one would wait longer than `wait-ms`. It works like
    /// `queue` but is counted separately in the metrics.
    Throttle,
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            capabilities: [
                "cache", "config", "crypto", "db", "events", "flags", "http", "jobs", "log", "workers", "workflow",
            ]
            .map(str::to_owned)
            .to_vec(),
            trusted: false,
            require_signature: false,
            engines: Vec::new(),
            packages: PackagePolicy::default(),
            own_packages: PackagePolicy::default(),
            ceilings: BTreeMap::new(),
            otlp_endpoint: None,
            sentry_dsn: None,
            quotas: Quotas::default(),
        }
    }
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            components: 1_000,
            versions: 1_000,
            storage_bytes: 10 << 30,
            executions_per_minute: 0,
            concurrent_executions: 0,
            fuel_per_hour: 0,
            egress_bytes_per_hour: 0,
            memory_bytes: 0,
            jobs: 1_000_000,
            events_per_day: 1_000_000,
            trigger_bytes: 1 << 30,
            workers: 100_000,
            worker_bytes: 10 << 30,
            awake_workers: 0,
            worker_timers: 0,
            event_retention: EVENT_RETENTION_DEFAULT,
            cpu_weight: CPU_WEIGHT_DEFAULT,
            action: QuotaAction::Reject,
            executions_per_minute_action: None,
            concurrent_executions_action: None,
            fuel_per_hour_action: None,
            egress_bytes_per_hour_action: None,
            wait_ms: 1_000,
        }
    }
}

/// Entries that a list in a tenant's settings may have.
const LIST_MAX: usize = 1_000;

/// Bytes of the URL of a collector.
const ENDPOINT_BYTES_MAX: usize = 1_024;

/// Whether a text is the URL of a collector, as far as can be said without looking up its host.
fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', ':']));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\\\"<>".contains(&byte));
    has_host && is_plain && !text.ends_with('/') && text.len() <= ENDPOINT_BYTES_MAX
}

impl TenantSettings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// `bad-input`, with the key.
    pub fn check(&self) -> Result<()> {
        let bad = |message: String| Err(Error::new(Code::BadInput, message));
        if self.hosts.len() > LIST_MAX || self.engines.len() > LIST_MAX || self.capabilities.len() > LIST_MAX {
            return bad(format!("hosts, engines and capabilities have at most {LIST_MAX} entries"));
        }
        for host in &self.hosts {
            let name = host.strip_prefix("*.").unwrap_or(host);
            let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
            if name.is_empty() || name.len() > 253 || !name.bytes().all(good) {
                return bad(format!("hosts: `{}` must be a host name in lower case", host.escape_debug()));
            }
        }
        for engine in &self.engines {
            engine.parse::<Digest>()?;
        }
        if let Some(endpoint) = &self.otlp_endpoint
            && !is_endpoint(endpoint)
        {
            return bad(
                "otlp-endpoint must be a URL with http:// or https:// and a host, without a user, a query and \
                a slash at the end; at most 1,024 bytes"
                    .to_owned(),
            );
        }
        self.packages.check()?;
        self.own_packages.check()?;
        if !(1..=CPU_WEIGHT_MAX).contains(&self.quotas.cpu_weight) {
            return bad(format!(
                "quotas.cpu-weight must be from 1 to {}, not {}",
                CPU_WEIGHT_MAX, self.quotas.cpu_weight
            ));
        }
        if !(1..=EVENT_RETENTION_MAX).contains(&self.quotas.event_retention) {
            return bad(format!(
                "quotas.event-retention must be from 1 to {} days, not {}",
                EVENT_RETENTION_MAX, self.quotas.event_retention
            ));
        }
        if self.quotas.wait_ms > 60_000 {
            return bad("quotas.wait-ms: at most 60000".to_owned());
        }
        Ok(())
    }

    /// Whether a route of the tenant may name this host.
    #[must_use]
    pub fn allows_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(_) => allowed == host || host.strip_suffix(&allowed[1..]).is_some_and(|label| !label.is_empty()),
            None => allowed == host,
        })
    }
}

/// The ceiling of a setting of elias.toml for a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Ceiling {
    /// The key in elias.toml with its tables, such as `capabilities.db.connections` or `limits.fuel`. The unit is in
    /// the key's name.
    pub key: String,
    /// The maximum that a version may ask for; null if only the limits of the host apply.
    pub ceiling: Option<u64>,
    /// The value for a version that does not set the key, before the ceiling is applied; null if the host does not know
    /// it.
    pub default: Option<u64>,
    /// Whether the ceiling was set for this tenant; false if it is the one of the host.
    pub own: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_of_a_collector_is_a_plain_url() {
        let check = |endpoint: &str| {
            TenantSettings { otlp_endpoint: Some(endpoint.to_owned()), ..TenantSettings::default() }.check()
        };
        for good in ["https://otlp.example.com", "http://127.0.0.1:4318", "https://[::1]:4318/otlp/team"] {
            assert!(check(good).is_ok(), "{good}");
        }
        let long = format!("https://{}", "a".repeat(ENDPOINT_BYTES_MAX));
        for wrong in [
            "",
            "otlp.example.com",
            "ftp://a",
            "https://",
            "https:///x",
            "https://a/",
            "https://user@a",
            "https://a?x",
            "https://a\u{1b}[2J",
            "https://ä",
            &long,
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
