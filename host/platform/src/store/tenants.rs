//! Tenants and what they may do.

use super::audit::NOTHING;
use super::{Actor, HostScope, TenantScope, get, json, now_ms, number, to_json};
use crate::error::{Code, Error, Result};
use crate::metrics::StoredUse;
use crate::name::TenantId;
use crate::packages::PackagePolicy;
use elias_host::CpuShare;
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
    /// The names of the capabilities that its components may be granted; `cache`, `config`, `crypto`, `db`, `http` and
    /// `log` by default.
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
    /// The quotas.
    pub quotas: Quotas,
}

/// The quotas of a tenant. 0 means no quota, except for `cpu-weight` and `wait-ms`.
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
            capabilities: ["cache", "config", "crypto", "db", "http", "log"].map(str::to_owned).to_vec(),
            trusted: false,
            require_signature: false,
            engines: Vec::new(),
            packages: PackagePolicy::default(),
            own_packages: PackagePolicy::default(),
            ceilings: BTreeMap::new(),
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
            cpu_weight: CpuShare::WEIGHT_DEFAULT,
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
            engine.parse::<crate::name::Digest>()?;
        }
        self.packages.check()?;
        self.own_packages.check()?;
        if !(1..=CpuShare::WEIGHT_MAX).contains(&self.quotas.cpu_weight) {
            return bad(format!(
                "quotas.cpu-weight must be from 1 to {}, not {}",
                CpuShare::WEIGHT_MAX,
                self.quotas.cpu_weight
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

fn tenant(row: &sqlx::any::AnyRow) -> Result<Tenant> {
    Ok(Tenant {
        tenant: super::text(row, "tenant")?,
        settings: json(row, "settings")?,
        revision: number(row, "revision")?,
        created_at: get(row, "created_at")?,
    })
}

impl HostScope {
    /// How many components each tenant has, and how many bytes of artifacts; who is not there has none.
    pub(crate) async fn stored_use(&mut self) -> Result<StoredUse> {
        let bytes = "SELECT tenant, CAST(SUM(bytes) AS BIGINT) AS amount FROM artifacts GROUP BY tenant";
        let components = "SELECT tenant, COUNT(*) AS amount FROM components WHERE deleted_at IS NULL GROUP BY tenant";
        let mut used = StoredUse::new();
        for (select, is_bytes) in [(components, false), (bytes, true)] {
            for row in &sqlx::query(select).fetch_all(&mut *self.tx).await? {
                let of_tenant = used.entry(super::text(row, "tenant")?).or_default();
                *(if is_bytes { &mut of_tenant.1 } else { &mut of_tenant.0 }) = number(row, "amount")?;
            }
        }
        Ok(used)
    }

    /// Makes the tenant if it is not there.
    pub(crate) async fn ensure_tenant(&mut self, tenant: &TenantId) -> Result<()> {
        let insert = "INSERT INTO tenants (tenant, settings, revision, created_at) VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING";
        let query = sqlx::query(insert).bind(tenant.as_str().to_owned());
        let query = query.bind(to_json(&TenantSettings::default())?).bind(now_ms());
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// All tenants after the name `after`, by name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn tenants(&mut self, after: &str, limit: u32) -> Result<Vec<Tenant>> {
        let select = "SELECT * FROM tenants WHERE tenant > $1 AND deleted_at IS NULL ORDER BY tenant LIMIT $2";
        let rows = sqlx::query(select).bind(after.to_owned()).bind(i64::from(limit)).fetch_all(&mut *self.tx).await?;
        rows.iter().map(tenant).collect()
    }
}

impl TenantScope {
    /// The tenant itself.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn this_tenant(&mut self) -> Result<Tenant> {
        let query = self.query("SELECT * FROM tenants WHERE tenant = $1 AND deleted_at IS NULL");
        let row = self.row(query).await?.ok_or_else(|| Error::not_found(format_args!("tenant `{}`", self.tenant)))?;
        tenant(&row)
    }

    /// Makes the tenant.
    ///
    /// # Errors
    /// `already-there`, also for one that was deleted: its name stays taken, so that nobody inherits its data.
    pub async fn create_tenant(&mut self, settings: &TenantSettings, actor: &Actor) -> Result<Tenant> {
        settings.check()?;
        let insert = "INSERT INTO tenants (tenant, settings, revision, created_at) VALUES ($1, $2, 1, $3) ON CONFLICT DO NOTHING";
        let query = self.query(insert).bind(to_json(settings)?).bind(now_ms());
        if self.run(query).await? == 0 {
            let message = format!("the name {} is taken; tenants that were deleted keep theirs", self.tenant);
            return Err(Error::new(Code::AlreadyThere, message));
        }
        self.audit(actor, "tenant.create", self.tenant.to_string(), NOTHING, Some(settings)).await?;
        self.this_tenant().await
    }

    /// Changes what the tenant may do, if it is still at `revision`.
    ///
    /// # Errors
    /// `not-found`, `stale`, `bad-input`.
    pub async fn set_tenant(
        &mut self,
        settings: &TenantSettings,
        revision: Option<u64>,
        actor: &Actor,
    ) -> Result<Tenant> {
        settings.check()?;
        let before = self.this_tenant().await?;
        if revision.is_some_and(|revision| revision != before.revision) {
            return Err(Error::new(
                Code::Stale,
                format!("tenant {} was changed meanwhile: read it again", self.tenant),
            ));
        }
        let update = "UPDATE tenants SET settings = $2, revision = revision + 1 WHERE tenant = $1 AND revision = $3 AND deleted_at IS NULL";
        let query = self.query(update).bind(to_json(settings)?);
        let query = query.bind(i64::try_from(before.revision).unwrap_or(i64::MAX));
        if self.run(query).await? == 0 {
            return Err(Error::new(
                Code::Stale,
                format!("tenant {} was changed meanwhile: read it again", self.tenant),
            ));
        }
        self.tenant_changed().await?;
        self.audit(actor, "tenant.update", self.tenant.to_string(), Some(&before.settings), Some(settings)).await?;
        self.this_tenant().await
    }

    /// Deletes the tenant. Its rows stay; nothing of it serves any more.
    ///
    /// # Errors
    /// `not-found`; `wrong-state` for the host's own.
    pub async fn delete_tenant(&mut self, actor: &Actor) -> Result<()> {
        if self.tenant.is_system() {
            return Err(Error::new(Code::WrongState, "the tenant `system` is the host's own"));
        }
        let before = self.this_tenant().await?;
        let query = self.query("UPDATE tenants SET deleted_at = $2 WHERE tenant = $1").bind(now_ms());
        self.run(query).await?;
        let query = self.query("DELETE FROM services WHERE tenant = $1");
        self.run(query).await?;
        self.tenant_changed().await?;
        self.audit(actor, "tenant.delete", self.tenant.to_string(), Some(&before.settings), NOTHING).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_allowed_by_name_or_by_domain() {
        let settings =
            TenantSettings { hosts: vec!["a.example".into(), "*.b.example".into()], ..TenantSettings::default() };
        for (host, allowed) in [
            ("a.example", true),
            ("x.a.example", false),
            ("x.b.example", true),
            ("*.b.example", true),
            ("b.example", false),
            (".b.example", false),
            ("xb.example", false),
        ] {
            assert_eq!(settings.allows_host(host), allowed, "{host}");
        }
    }
}
