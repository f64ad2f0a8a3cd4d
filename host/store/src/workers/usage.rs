//! How many workers tenants have, and how many bytes these: counted along the way, in rows that are written to anyway.

use crate::error::Result;
use crate::triggers::statement;
use crate::{Dialect, HostScope, TenantScope, get, text};
use elias_names::TenantId;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// The workers of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerUse {
    /// How many.
    pub workers: u64,
    /// Bytes of their records and of their histories, also of what is in artifacts.
    pub bytes: u64,
}

impl WorkerUse {
    /// The use that was counted. What is less than none, since the count is off, is none.
    fn of(workers: i64, bytes: i64) -> Self {
        let [workers, bytes] = [workers, bytes].map(|count| u64::try_from(count).unwrap_or_default());
        Self { workers, bytes }
    }
}

impl TenantScope {
    /// The workers of the tenant. It takes no time, however many there are.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn worker_use(&mut self) -> Result<WorkerUse> {
        let select = "SELECT CAST(COALESCE(SUM(workers), 0) AS BIGINT) AS workers, \
                      CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM worker_counts WHERE tenant = $1";
        let query = self.query(select);
        let row = self.row(query).await?;
        row.map_or(Ok(WorkerUse::default()), |row| Ok(WorkerUse::of(get(&row, "workers")?, get(&row, "bytes")?)))
    }

    /// Counts workers and bytes up or down.
    pub(super) async fn count_workers(&mut self, workers: i64, bytes: i64) -> Result<()> {
        let tenant = self.tenant.as_str().to_owned();
        count_workers(&mut self.tx, self.dialect, tenant, workers, bytes).await
    }
}

impl HostScope {
    /// The workers of each tenant that ever had one. It takes time by the number of tenants.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn worker_use_by_tenant(&mut self) -> Result<HashMap<TenantId, WorkerUse>> {
        let select = "SELECT tenant, CAST(SUM(workers) AS BIGINT) AS workers, CAST(SUM(bytes) AS BIGINT) AS bytes \
                      FROM worker_counts GROUP BY tenant";
        let entry = |row: &AnyRow| Ok((text(row, "tenant")?, WorkerUse::of(get(row, "workers")?, get(row, "bytes")?)));
        sqlx::query(select).fetch_all(&mut *self.tx).await?.iter().map(entry).collect()
    }

    /// Whether the workers of a tenant and their bytes are what was counted along the way. It takes time by their
    /// number.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn are_workers_counted(&mut self, tenant: &TenantId) -> Result<bool> {
        Ok(self.worker_count_drift(tenant).await? == (0, 0))
    }

    /// Corrects the counts of a tenant by its workers; says whether they were off. One host at a time may do so: two
    /// would correct them twice. Others commit workers meanwhile.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn recount_workers(&mut self, tenant: &TenantId) -> Result<bool> {
        let (workers, bytes) = self.worker_count_drift(tenant).await?;
        count_workers(&mut self.tx, self.dialect, tenant.as_str().to_owned(), workers, bytes).await?;
        Ok((workers, bytes) != (0, 0))
    }

    /// By how much the counts of a tenant have to change to be those of its workers. All of it is one statement: a
    /// transaction that changes workers also counts them, and the statement sees both or neither.
    async fn worker_count_drift(&mut self, tenant: &TenantId) -> Result<(i64, i64)> {
        let query = sqlx::query(WORKER_COUNT_DRIFT).bind(tenant.as_str().to_owned());
        let row = query.fetch_one(&mut *self.tx).await?;
        Ok((get(&row, "workers")?, get(&row, "bytes")?))
    }
}

const WORKER_COUNT_DRIFT: &str = "SELECT CAST(SUM(part.workers) AS BIGINT) AS workers, \
    CAST(SUM(part.bytes) AS BIGINT) AS bytes FROM \
    (SELECT COUNT(*) AS workers, COALESCE(SUM(bytes), 0) AS bytes FROM workers WHERE tenant = $1 \
    UNION ALL SELECT -COALESCE(SUM(workers), 0), -COALESCE(SUM(bytes), 0) FROM worker_counts WHERE tenant = $1) \
    AS part";

/// Counts workers and bytes of a tenant up or down. A transaction does so last: it holds the row until its end.
pub(super) async fn count_workers(
    connection: &mut AnyConnection,
    dialect: Dialect,
    tenant: String,
    workers: i64,
    bytes: i64,
) -> Result<()> {
    if workers == 0 && bytes == 0 {
        return Ok(());
    }
    let upsert = format!(
        "INSERT INTO worker_counts (tenant, slot, workers, bytes) VALUES ($1, {}, $2, $3) \
         ON CONFLICT (tenant, slot) DO UPDATE SET workers = worker_counts.workers + excluded.workers, \
         bytes = worker_counts.bytes + excluded.bytes",
        dialect.count_slot()
    );
    let query = statement(upsert).bind(tenant).bind(workers).bind(bytes);
    query.execute(connection).await?;
    Ok(())
}
