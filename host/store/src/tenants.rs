//! The statements about tenants: their settings, their use, and their deletion.

use super::audit::NOTHING;
use super::{HostScope, TenantScope, get, json, now_ms, number, to_json};
use crate::error::{Error, Result};
use elias_api::{Actor, Code, Quotas, Tenant, TenantSettings};
use elias_names::TenantId;
use std::collections::HashMap;

/// The use of the store by tenant: number of components, and bytes of artifacts.
pub type StoredUse = HashMap<TenantId, (u64, u64)>;

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
    pub async fn stored_use(&mut self) -> Result<StoredUse> {
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
    pub async fn ensure_tenant(&mut self, tenant: &TenantId) -> Result<()> {
        let insert = "INSERT INTO tenants (tenant, settings, revision, created_at) VALUES ($1, $2, 1, $3) ON CONFLICT \
            DO NOTHING";
        let query = sqlx::query(insert).bind(tenant.as_str().to_owned());
        let query = query.bind(to_json(&TenantSettings::default())?).bind(now_ms());
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// The quotas of a tenant.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn quotas(&mut self, tenant: &TenantId) -> Result<Quotas> {
        let select = "SELECT settings FROM tenants WHERE tenant = $1 AND deleted_at IS NULL";
        let row = sqlx::query(select).bind(tenant.as_str().to_owned()).fetch_optional(&mut *self.tx).await?;
        let row = row.ok_or_else(|| Error::not_found(format_args!("tenant `{tenant}`")))?;
        Ok(json::<TenantSettings>(&row, "settings")?.quotas)
    }

    /// All tenants after the name `after`, by name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn tenants(&mut self, after: &str, limit: u32) -> Result<Vec<Tenant>> {
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
        let insert = "INSERT INTO tenants (tenant, settings, revision, created_at) VALUES ($1, $2, 1, $3) ON CONFLICT \
            DO NOTHING";
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
        let update = "UPDATE tenants SET settings = $2, revision = revision + 1 WHERE tenant = $1 AND revision = $3 \
            AND deleted_at IS NULL";
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
            return Err(Error::new(Code::WrongState, "the tenant `system` belongs to the host and cannot be deleted"));
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
