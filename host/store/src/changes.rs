//! Changes of what serves, for the hosts that share a store. Changes are numbered in the order in which they
//! are committed: who makes one holds the counter's row until then.

use super::{HostScope, Store, TargetFilter, TenantScope, get, text};
use crate::error::Result;
use elias_names::{ServiceId, TenantId};
use std::collections::HashSet;

impl TenantScope {
    /// Tells the other hosts on this store that a service has changed, or its secrets have.
    pub async fn service_changed(&mut self, service: &ServiceId) -> Result<()> {
        self.count_change().await?;
        let update = "UPDATE services SET change = (SELECT value FROM counters WHERE name = 'changes') \
                      WHERE tenant = $1 AND component = $2 AND environment = $3";
        let query = self.query_of(update, service);
        self.run(query).await?;
        Ok(())
    }

    /// Tells them that what the tenant may do has changed, or that it is gone.
    pub async fn tenant_changed(&mut self) -> Result<()> {
        self.count_change().await?;
        let update =
            "UPDATE tenants SET change = (SELECT value FROM counters WHERE name = 'changes') WHERE tenant = $1";
        let query = self.query(update);
        self.run(query).await?;
        Ok(())
    }

    pub(super) async fn count_change(&mut self) -> Result<()> {
        // `$1` is the tenant in every statement of a scope; this one has no use for it.
        let query = self.query("UPDATE counters SET value = value + 1 WHERE name = 'changes' AND $1 <> ''");
        self.run(query).await?;
        Ok(())
    }
}

impl HostScope {
    /// Of the tenants whose services are wanted those that were deleted. Nothing else ends a service for good.
    pub async fn deleted_tenants(&mut self, wanted: TargetFilter<'_>) -> Result<HashSet<TenantId>> {
        let query = match wanted {
            TargetFilter::All => sqlx::query("SELECT tenant FROM tenants WHERE deleted_at IS NOT NULL"),
            TargetFilter::ChangedAfter(change) => {
                sqlx::query("SELECT tenant FROM tenants WHERE deleted_at IS NOT NULL AND change > $1").bind(change)
            }
            TargetFilter::OfTenant(tenant) | TargetFilter::Of(ServiceId { tenant, .. }) => {
                let select = "SELECT tenant FROM tenants WHERE deleted_at IS NOT NULL AND tenant = $1";
                sqlx::query(select).bind(tenant.as_str().to_owned())
            }
        };
        query.fetch_all(&mut *self.tx).await?.iter().map(|row| text(row, "tenant")).collect()
    }

    /// The number of the latest change that is written beside what it changed. Lower than the latest of all, something
    /// has changed of which it is not known what: a host of an earlier release does not say so.
    pub async fn latest_known_change(&mut self) -> Result<i64> {
        let select = "SELECT max(change) AS change FROM \
                      (SELECT max(change) AS change FROM services UNION ALL SELECT max(change) AS change FROM tenants \
                      UNION ALL SELECT max(change) AS change FROM flags) AS latest";
        Ok(get::<Option<i64>>(&sqlx::query(select).fetch_one(&mut *self.tx).await?, "change")?.unwrap_or_default())
    }
}

impl Store {
    /// The number of the latest change.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn changes(&self) -> Result<i64> {
        let select = sqlx::query("SELECT value FROM counters WHERE name = 'changes'");
        let row = select.fetch_one(self.ready().await?).await.map_err(|error| self.explain(error))?;
        get(&row, "value")
    }
}
