//! The records of executions.

use super::{
    AllowedServices, HostScope, TenantScope, before_id, get, number, optional_json, placeholders, signed, storable,
    text, to_json,
};
use crate::error::Result;
use elias_api::{ExecutionFilter, ExecutionRecord};
use elias_names::Environment;
use sqlx::AssertSqlSafe;

fn execution(row: &sqlx::any::AnyRow) -> Result<ExecutionRecord> {
    Ok(ExecutionRecord {
        tenant: text(row, "tenant")?,
        id: get(row, "id")?,
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        version: number(row, "version")?,
        source: get(row, "source")?,
        run: optional_json(row, "run")?,
        trace: get(row, "trace")?,
        started_at: get(row, "started_at")?,
        duration_us: number(row, "duration_us")?,
        fuel: number(row, "fuel")?,
        memory_bytes: number(row, "memory_bytes")?,
        status: number(row, "status")?,
        outcome: get(row, "outcome")?,
        code: get(row, "code")?,
        error: get(row, "error")?,
        lines: optional_json(row, "lines")?,
        host_calls: optional_json(row, "host_calls")?.unwrap_or_default(),
        flags: optional_json(row, "flags")?.unwrap_or_default(),
    })
}

/// Rows of one INSERT: PostgreSQL takes 65,535 parameters, SQLite 32,766.
const ROWS_PER_INSERT: usize = 1_000;
const COLUMNS: usize = 19;
const NAMES: &str = "tenant, id, component, environment, version, source, started_at, duration_us, fuel, memory_bytes, \
    status, outcome, code, error, lines, host_calls, run, trace, flags";

/// Looks up the oldest execution of each tenant that is not kept, and deletes from there on, by the primary key.
pub(super) const PRUNE_EXECUTIONS: &str = "WITH last AS MATERIALIZED (SELECT t.tenant AS tenant, \
    (SELECT e.id FROM executions e WHERE e.tenant = t.tenant ORDER BY e.id DESC LIMIT 1 OFFSET $1) AS id \
    FROM tenants t) DELETE FROM executions WHERE (tenant, id) IN (SELECT e.tenant, e.id FROM last \
    JOIN executions e ON e.tenant = last.tenant AND e.id <= last.id WHERE last.id IS NOT NULL)";

/// The statement that lists at most `$6` executions of the tenant `$1` before the id `$2`, the newest first: of the
/// component `$3`, the environment `$4` and the job `$7`, each empty for all, those that failed (`$5`: 1), did not (0)
/// or both (-1), and of the trace `$8`, which is empty without one. `allowed` is the condition of `$9`.
pub(super) fn list_executions(by_trace: bool, allowed: &str) -> String {
    // A condition of its own, since those that may be empty use no index.
    let trace = if by_trace { "trace = $8" } else { "$8 = ''" };
    // A run's JSON begins with the job. There is no index for it: of each tenant only the newest are kept.
    format!(
        "SELECT * FROM executions WHERE tenant = $1 AND id < $2 AND ($3 = '' OR component = $3) \
         AND ($4 = '' OR environment = $4) AND ($5 < 0 OR (outcome = 'failed') = ($5 = 1)) \
         AND ($7 = '' OR substr(run, 1, length($7) + 9) = '{{\"job\":\"' || $7 || '\"') AND {trace} {allowed} \
         ORDER BY id DESC LIMIT $6"
    )
}

impl HostScope {
    /// Stores a batch of executions of whatever tenants; says how many were not there.
    pub async fn insert_executions(&mut self, batch: &[ExecutionRecord]) -> Result<u64> {
        let mut inserted = 0;
        for rows in batch.chunks(ROWS_PER_INSERT) {
            let values = placeholders(rows.len(), COLUMNS);
            let insert = format!("INSERT INTO executions ({NAMES}) VALUES {values} ON CONFLICT DO NOTHING");
            let mut query = sqlx::query(AssertSqlSafe(insert));
            for row in rows {
                query = query.bind(row.tenant.as_str().to_owned()).bind(row.id.clone());
                query = query.bind(row.component.as_str().to_owned()).bind(row.environment.as_str());
                query = query.bind(i64::from(row.version)).bind(row.source.clone()).bind(row.started_at);
                query = query.bind(signed(row.duration_us)).bind(signed(row.fuel)).bind(signed(row.memory_bytes));
                query = query.bind(i64::from(row.status)).bind(row.outcome.clone()).bind(row.code.clone());
                query = query.bind(row.error.as_deref().map(storable));
                query = query.bind(row.lines.as_ref().map(to_json).transpose()?);
                query = query.bind((!row.host_calls.is_empty()).then(|| to_json(&row.host_calls)).transpose()?);
                query = query.bind(row.run.as_ref().map(to_json).transpose()?).bind(row.trace.clone());
                query = query.bind((!row.flags.is_empty()).then(|| to_json(&row.flags)).transpose()?);
            }
            inserted += query.execute(&mut *self.tx).await?.rows_affected();
        }
        Ok(inserted)
    }

    /// Deletes executions that began before `before_ms`, and of each tenant all but the newest `keep`; says how many.
    pub async fn prune_executions(&mut self, before_ms: i64, keep: u32) -> Result<u64> {
        let old = sqlx::query("DELETE FROM executions WHERE started_at < $1").bind(before_ms);
        let old = old.execute(&mut *self.tx).await?.rows_affected();
        let many = sqlx::query(PRUNE_EXECUTIONS).bind(i64::from(keep)).execute(&mut *self.tx).await?.rows_affected();
        Ok(old + many)
    }
}

impl TenantScope {
    /// The tenant's executions, newest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn executions(
        &mut self,
        filter: &ExecutionFilter,
        allowed: &AllowedServices,
        limit: u32,
    ) -> Result<Vec<ExecutionRecord>> {
        let select = list_executions(filter.trace.is_some(), &allowed.condition(self.dialect, 9));
        let query = self.query_text(select).bind(before_id(filter.before.as_deref()));
        let query = query.bind(filter.component.as_ref().map_or_else(String::new, ToString::to_string));
        let query = query.bind(filter.environment.map_or("", Environment::as_str));
        let query = query.bind(filter.failed.map_or(-1, i64::from)).bind(i64::from(limit));
        let query = query.bind(filter.job.clone().unwrap_or_default()).bind(filter.trace.clone().unwrap_or_default());
        self.rows(allowed.bind(query)?).await?.iter().map(execution).collect()
    }

    /// One execution, if it was recorded and is kept.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn execution(&mut self, id: &str) -> Result<Option<ExecutionRecord>> {
        let query = self.query("SELECT * FROM executions WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        self.row(query).await?.as_ref().map(execution).transpose()
    }
}
