//! The usage of tenants by hours, and what the webhook for billing was told of it.

use super::{AnyRow, HostScope, Query, TenantScope, get, number, placeholders, signed, text};
use crate::error::Result;
use elias_names::TenantId;
use sqlx::AssertSqlSafe;

/// Rows of one INSERT: PostgreSQL takes 65,535 parameters, SQLite 32,766.
const ROWS_PER_INSERT: usize = 1_000;

/// The usage of a tenant in an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageHour {
    /// The tenant.
    pub tenant: TenantId,
    /// The beginning of the hour, in milliseconds since 1970.
    pub hour_at: i64,
    /// Executions.
    pub executions: u64,
    /// Units of fuel.
    pub fuel: u64,
    /// Bytes of bodies of requests.
    pub bytes_in: u64,
    /// Bytes of bodies of responses, and of requests to other servers.
    pub bytes_out: u64,
    /// The most bytes that were stored.
    pub storage_bytes: u64,
}

/// The usage as one run of a host counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The usage so far.
    pub usage: UsageHour,
    /// The run of a host; empty for the bytes that are stored, which all hosts see alike.
    pub source: String,
}

/// A message about an hour to the webhook for billing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageNotice {
    /// The usage, which takes the place of that of earlier messages about the hour.
    pub usage: UsageHour,
    /// The number of the message about the hour, from 1.
    pub revision: u64,
}

/// Notices are found by their tenants, in the primary key: there is no index of their age.
pub(super) const PRUNE_USAGE: [&str; 2] = [
    "DELETE FROM usage_hours WHERE hour_at < $1",
    "DELETE FROM usage_notices WHERE tenant IN (SELECT tenant FROM tenants) AND hour_at < $1",
];

/// The columns of sums over all runs of hosts.
const SUMS: &str = "tenant, hour_at, CAST(SUM(executions) AS BIGINT) AS executions, CAST(SUM(fuel) AS BIGINT) AS fuel, \
    CAST(SUM(bytes_in) AS BIGINT) AS bytes_in, CAST(SUM(bytes_out) AS BIGINT) AS bytes_out, \
    MAX(storage_bytes) AS storage_bytes";

/// The columns of an hour, as they are bound.
const COLUMNS: usize = 8;

fn usage(row: &AnyRow) -> Result<UsageHour> {
    Ok(UsageHour {
        tenant: text(row, "tenant")?,
        hour_at: get(row, "hour_at")?,
        executions: number(row, "executions")?,
        fuel: number(row, "fuel")?,
        bytes_in: number(row, "bytes_in")?,
        bytes_out: number(row, "bytes_out")?,
        storage_bytes: number(row, "storage_bytes")?,
    })
}

/// Binds the tenant, the hour, a further value, and the amounts.
fn bind(query: Query, usage: &UsageHour, further: impl FnOnce(Query) -> Query) -> Query {
    let query = further(query.bind(usage.tenant.as_str().to_owned()).bind(usage.hour_at));
    let query = query.bind(signed(usage.executions)).bind(signed(usage.fuel));
    query.bind(signed(usage.bytes_in)).bind(signed(usage.bytes_out)).bind(signed(usage.storage_bytes))
}

impl HostScope {
    /// Stores what runs of hosts have counted so far, in the place of what they had counted before. No two rows have
    /// the same tenant, hour and source.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_usage(&mut self, rows: &[UsageRow]) -> Result<()> {
        for rows in rows.chunks(ROWS_PER_INSERT) {
            let upsert = format!(
                "INSERT INTO usage_hours (tenant, hour_at, source, executions, fuel, bytes_in, bytes_out, \
                 storage_bytes) VALUES {} ON CONFLICT (tenant, hour_at, source) DO UPDATE SET \
                 executions = excluded.executions, fuel = excluded.fuel, bytes_in = excluded.bytes_in, \
                 bytes_out = excluded.bytes_out, storage_bytes = CASE \
                 WHEN excluded.storage_bytes > usage_hours.storage_bytes THEN excluded.storage_bytes \
                 ELSE usage_hours.storage_bytes END",
                placeholders(rows.len(), COLUMNS)
            );
            let upsert: Query = sqlx::query(AssertSqlSafe(upsert));
            let query =
                rows.iter().fold(upsert, |query, row| bind(query, &row.usage, |query| query.bind(row.source.clone())));
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// The usage of all tenants in the hours from `from` to before `to`, after the hour and the tenant `after`, in the
    /// order of hours and tenants.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn usage_of_all(
        &mut self,
        (from, to): (i64, i64),
        (after_hour, after_tenant): (i64, &str),
        limit: u32,
    ) -> Result<Vec<UsageHour>> {
        let select = format!(
            "SELECT {SUMS} FROM usage_hours WHERE hour_at >= $1 AND hour_at < $2 \
             AND (hour_at > $3 OR (hour_at = $3 AND tenant > $4)) GROUP BY tenant, hour_at \
             ORDER BY hour_at, tenant LIMIT $5"
        );
        let query: Query = sqlx::query(AssertSqlSafe(select));
        let query = query.bind(from).bind(to).bind(after_hour).bind(after_tenant.to_owned()).bind(i64::from(limit));
        query.fetch_all(&mut *self.tx).await?.iter().map(usage).collect()
    }

    /// The hours from `from` to before `to` of which the webhook for billing was not told, or told something else; the
    /// oldest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn untold_usage(&mut self, (from, to): (i64, i64), limit: u32) -> Result<Vec<UsageNotice>> {
        let select = format!(
            "SELECT u.*, COALESCE(n.revision, 0) + 1 AS next_revision FROM \
             (SELECT {SUMS} FROM usage_hours WHERE hour_at >= $1 AND hour_at < $2 GROUP BY tenant, hour_at) AS u \
             LEFT JOIN usage_notices n ON n.tenant = u.tenant AND n.hour_at = u.hour_at \
             WHERE n.tenant IS NULL OR n.executions <> u.executions OR n.fuel <> u.fuel \
             OR n.bytes_in <> u.bytes_in OR n.bytes_out <> u.bytes_out OR n.storage_bytes <> u.storage_bytes \
             ORDER BY u.hour_at, u.tenant LIMIT $3"
        );
        let query: Query = sqlx::query(AssertSqlSafe(select));
        let rows = query.bind(from).bind(to).bind(i64::from(limit)).fetch_all(&mut *self.tx).await?;
        rows.iter().map(|row| Ok(UsageNotice { usage: usage(row)?, revision: number(row, "next_revision")? })).collect()
    }

    /// Notes that the webhook for billing has taken a message.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn usage_told(&mut self, notice: &UsageNotice, now_ms: i64) -> Result<()> {
        let upsert = "INSERT INTO usage_notices (tenant, hour_at, revision, executions, fuel, bytes_in, bytes_out, \
            storage_bytes, sent_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (tenant, hour_at) \
            DO UPDATE SET revision = excluded.revision, executions = excluded.executions, fuel = excluded.fuel, \
            bytes_in = excluded.bytes_in, bytes_out = excluded.bytes_out, storage_bytes = excluded.storage_bytes, \
            sent_at = excluded.sent_at";
        let revision = signed(notice.revision);
        let query = bind(sqlx::query(upsert), &notice.usage, |query| query.bind(revision)).bind(now_ms);
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Deletes the usage of hours before `before`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_usage(&mut self, before: i64) -> Result<()> {
        for delete in PRUNE_USAGE {
            sqlx::query(delete).bind(before).execute(&mut *self.tx).await?;
        }
        Ok(())
    }
}

impl TenantScope {
    /// The tenant's usage in the hours from `from` to before `to`, in their order.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn usage(&mut self, (from, to): (i64, i64), limit: u32) -> Result<Vec<UsageHour>> {
        let select = format!(
            "SELECT {SUMS} FROM usage_hours WHERE tenant = $1 AND hour_at >= $2 AND hour_at < $3 \
             GROUP BY tenant, hour_at ORDER BY hour_at LIMIT $4"
        );
        let query = self.query_text(select).bind(from).bind(to).bind(i64::from(limit));
        self.rows(query).await?.iter().map(usage).collect()
    }
}
