//! Which components' outboxes may have rows, and what was handed over from them.

use super::{Database, JobRef, inserts, refs, span, statement};
use crate::error::Result;
use crate::{HostScope, Query, TenantScope, get, text};
use elias_names::{ServiceId, TenantId};
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashSet};

/// For how many milliseconds it is remembered what was handed over.
const RECEIPTS_KEPT_MS: u64 = 7 * 86_400_000;
/// After how many milliseconds without use an empty outbox is forgotten. Far longer than a host relies on its having
/// been remembered.
const UNUSED_MS: u64 = 3_600_000;

/// An outbox that a host is to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueOutbox {
    /// The service that has the outbox.
    pub service: ServiceId,
    /// When it was last used, in milliseconds since 1970.
    pub used_at: i64,
    /// Whether that is so long ago that it can be forgotten if it is empty.
    pub is_unused: bool,
}

fn due(row: &AnyRow) -> Result<DueOutbox> {
    let (tenant, component) = (text(row, "tenant")?, text(row, "component")?);
    let service = ServiceId { tenant, component, environment: text(row, "environment")? };
    let is_unused = get::<i64>(row, "is_unused")? != 0;
    Ok(DueOutbox { service, used_at: get(row, "used_at")?, is_unused })
}

impl TenantScope {
    /// Remembers that the outbox of a service may have rows.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn use_outbox(&mut self, service: &ServiceId) -> Result<()> {
        let now = self.dialect.now();
        let upsert = format!(
            "INSERT INTO outboxes (tenant, component, environment, used_at, looked_at) VALUES ($1, $2, $3, {now}, 0) \
             ON CONFLICT (tenant, component, environment) DO UPDATE SET used_at = excluded.used_at"
        );
        let query = statement(upsert).bind(self.tenant.as_str().to_owned());
        let query = query.bind(service.component.as_str().to_owned()).bind(service.environment.as_str());
        self.database().run(query).await?;
        Ok(())
    }
}

impl HostScope {
    /// Takes at most `most` outboxes into which no host has looked for `pause_ms` milliseconds. Those are then the
    /// caller's to look into.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn take_outboxes(&mut self, pause_ms: u64, most: u32) -> Result<Vec<DueOutbox>> {
        let mut database = self.database();
        let (now, lock) = (database.dialect.now(), database.dialect.locked_if_free());
        // PostgreSQL may evaluate a subquery with LIMIT more than once, but not this.
        let update = format!(
            "WITH due AS MATERIALIZED (SELECT tenant, component, environment FROM outboxes \
             WHERE looked_at <= {now} - $1 ORDER BY looked_at LIMIT $2 {lock}) \
             UPDATE outboxes SET looked_at = {now} WHERE (tenant, component, environment) IN \
             (SELECT due.tenant, due.component, due.environment FROM due) \
             RETURNING tenant, component, environment, used_at, \
             CAST(CASE WHEN used_at < {now} - $3 THEN 1 ELSE 0 END AS BIGINT) AS is_unused"
        );
        let query = statement(update).bind(span(pause_ms)).bind(i64::from(most)).bind(span(UNUSED_MS));
        database.rows(query).await?.iter().map(due).collect()
    }

    /// Forgets an outbox that is empty, unless it was used since `used_at`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn forget_outbox(&mut self, outbox: &DueOutbox) -> Result<()> {
        let DueOutbox { service, used_at, .. } = outbox;
        let delete = "DELETE FROM outboxes WHERE tenant = $1 AND component = $2 AND environment = $3 AND used_at = $4";
        let query = sqlx::query(delete).bind(service.tenant.as_str().to_owned());
        let query = query.bind(service.component.as_str().to_owned()).bind(service.environment.as_str());
        self.database().run(query.bind(*used_at)).await?;
        Ok(())
    }

    /// Notes what a tenant's outboxes hand over, by the ids that it has there; says of each whether it comes for the
    /// first time. What has the id of a job that is there already does not.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn take_receipts(&mut self, tenant: &TenantId, ids: &[String]) -> Result<Vec<bool>> {
        let mut new = self.database().new_receipts(tenant, ids).await?;
        Ok(ids.iter().map(|id| new.remove(id)).collect())
    }

    /// Deletes at most `most` notes of what was handed over that are not kept any more; says how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_receipts(&mut self, most: u32) -> Result<u64> {
        let mut database = self.database();
        let now = database.dialect.now();
        let delete = format!(
            "DELETE FROM outbox_receipts WHERE (tenant, id) IN \
             (SELECT tenant, id FROM outbox_receipts WHERE until <= {now} ORDER BY until LIMIT $1)"
        );
        database.run(statement(delete).bind(i64::from(most))).await
    }
}

impl Database<'_> {
    async fn new_receipts(&mut self, tenant: &TenantId, ids: &[String]) -> Result<HashSet<String>> {
        let until = self.now().await?.saturating_add(span(RECEIPTS_KEPT_MS));
        let mut wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect(); // all insert them in this order
        let jobs: Vec<_> = wanted.iter().map(|id| JobRef::of(tenant, id)).collect();
        for table in ["jobs", "waiting_jobs", "finished_jobs"] {
            let is_one = self.is_one_of(1);
            let query = statement(format!("SELECT id FROM {table} WHERE {is_one}")).bind(refs(&jobs)?);
            for row in &self.rows(query).await? {
                wanted.remove(get::<String>(row, "id")?.as_str());
            }
        }
        let wanted: Vec<&str> = wanted.into_iter().collect();
        let bind = |query: Query, id: &&str| query.bind(tenant.as_str().to_owned()).bind((*id).to_owned()).bind(until);
        let end = "ON CONFLICT (tenant, id) DO NOTHING RETURNING id";
        let mut new = HashSet::new();
        for query in inserts("outbox_receipts", "tenant, id, until", end, &wanted, bind) {
            for row in &self.rows(query).await? {
                new.insert(get::<String>(row, "id")?);
            }
        }
        Ok(new)
    }
}
