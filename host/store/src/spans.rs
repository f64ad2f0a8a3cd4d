//! The spans of executions.

use super::{
    AllowedServices, HostScope, TenantScope, before_id, get, json, number, placeholders, signed, text, to_json,
};
use crate::error::Result;
use elias_api::{ExecutionTrace, TraceFilter, TraceSummary};
use elias_names::Environment;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

/// Rows of one INSERT.
const ROWS_PER_INSERT: usize = 500;
const COLUMNS: usize = 12;
const NAMES: &str =
    "tenant, id, trace, component, environment, version, name, started_us, duration_us, failed, left_out, spans";

/// Looks up the oldest row of each tenant that is not kept, and deletes from there on, by the primary key.
pub(super) const PRUNE_SPANS: &str = "WITH last AS MATERIALIZED (SELECT t.tenant AS tenant, \
    (SELECT s.id FROM spans s WHERE s.tenant = t.tenant ORDER BY s.id DESC LIMIT 1 OFFSET $1) AS id \
    FROM tenants t) DELETE FROM spans WHERE (tenant, id) IN (SELECT s.tenant, s.id FROM last \
    JOIN spans s ON s.tenant = last.tenant AND s.id <= last.id WHERE last.id IS NOT NULL)";

/// The statement that lists at most `$9` traces of the tenant `$1` whose newest execution is before the id `$2`, the
/// newest first: those with an execution of the component `$3` and the environment `$4`, each empty for all, that
/// failed (`$5`: 1), did not (0) or either (-1), took `$6` microseconds at least and began from `$7` to before `$8`.
/// `allowed` is the condition of `$10`. It reads all rows of the tenant, of which a bounded number is kept.
fn list_traces(allowed: &str) -> String {
    format!(
        "WITH found AS (SELECT trace, max(id) AS last FROM spans WHERE tenant = $1 \
         AND ($3 = '' OR component = $3) AND ($4 = '' OR environment = $4) AND ($5 < 0 OR failed = $5) \
         AND duration_us >= $6 AND started_us >= $7 AND started_us < $8 {allowed} \
         GROUP BY trace HAVING max(id) < $2 ORDER BY last DESC LIMIT $9), \
         whole AS (SELECT trace, min(id) AS first, count(*) AS executions, \
         CAST(sum(failed) AS BIGINT) AS failures, min(started_us) AS began, max(started_us + duration_us) AS ended \
         FROM spans WHERE tenant = $1 AND trace IN (SELECT trace FROM found) {allowed} GROUP BY trace) \
         SELECT found.trace AS trace, found.last AS last, whole.executions AS executions, whole.failures AS failures, \
         whole.began AS began, whole.ended AS ended, s.name AS name, s.component AS component, \
         s.environment AS environment FROM found JOIN whole ON whole.trace = found.trace \
         JOIN spans s ON s.tenant = $1 AND s.id = whole.first ORDER BY found.last DESC"
    )
}

/// Bytes of spans as JSON that a trace is shown with; the execution with which they are exceeded is the last. Whoever
/// sends requests says of which trace they are, so that one may have as much as a tenant keeps.
pub(super) const TRACE_BYTES_MAX: usize = 4 << 20;

/// The statement that reads at most `$3` executions of the trace `$2` of the tenant `$1`, and says as `found` how many
/// there are, up to one more. `allowed` is the condition of `$4`.
fn show_trace(allowed: &str) -> String {
    format!(
        "WITH sized AS (SELECT id, LENGTH(spans) AS bytes FROM spans WHERE tenant = $1 AND trace = $2 {allowed} \
         ORDER BY id LIMIT $3 + 1), \
         summed AS (SELECT id, SUM(bytes) OVER (ORDER BY id) - bytes AS bytes_before FROM sized) \
         SELECT s.*, (SELECT COUNT(*) FROM sized) AS found FROM summed JOIN spans s ON s.tenant = $1 \
         AND s.id = summed.id WHERE summed.bytes_before < {TRACE_BYTES_MAX} ORDER BY s.id LIMIT $3"
    )
}

fn execution(row: &AnyRow) -> Result<ExecutionTrace> {
    Ok(ExecutionTrace {
        tenant: text(row, "tenant")?,
        trace: get(row, "trace")?,
        execution: get(row, "id")?,
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        version: number(row, "version")?,
        name: get(row, "name")?,
        started_us: number(row, "started_us")?,
        duration_us: number(row, "duration_us")?,
        failed: get::<i64>(row, "failed")? != 0,
        left_out: number(row, "left_out")?,
        spans: json(row, "spans")?,
    })
}

fn summary(row: &AnyRow) -> Result<TraceSummary> {
    let (began, ended): (u64, u64) = (number(row, "began")?, number(row, "ended")?);
    Ok(TraceSummary {
        trace: get(row, "trace")?,
        name: get(row, "name")?,
        component: text(row, "component")?,
        environment: text(row, "environment")?,
        started_us: began,
        duration_us: ended.saturating_sub(began),
        executions: number(row, "executions")?,
        failed: number(row, "failures")?,
        last: get(row, "last")?,
    })
}

impl HostScope {
    /// Stores the spans of executions of whatever tenants.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn insert_spans(&mut self, batch: &[ExecutionTrace]) -> Result<()> {
        for rows in batch.chunks(ROWS_PER_INSERT) {
            let values = placeholders(rows.len(), COLUMNS);
            let insert = format!("INSERT INTO spans ({NAMES}) VALUES {values} ON CONFLICT DO NOTHING");
            let mut query = sqlx::query(AssertSqlSafe(insert));
            for row in rows {
                query = query.bind(row.tenant.as_str().to_owned()).bind(row.execution.clone());
                query = query.bind(row.trace.clone()).bind(row.component.as_str().to_owned());
                query = query.bind(row.environment.as_str()).bind(i64::from(row.version)).bind(row.name.clone());
                query = query.bind(signed(row.started_us)).bind(signed(row.duration_us));
                query = query.bind(i64::from(row.failed)).bind(i64::from(row.left_out)).bind(to_json(&row.spans)?);
            }
            query.execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Deletes the spans of executions that began before `before_ms`, and of each tenant all but those of the newest
    /// `keep` executions; says of how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_spans(&mut self, before_ms: i64, keep: u32) -> Result<u64> {
        let before_us = before_ms.saturating_mul(1_000);
        let old = sqlx::query("DELETE FROM spans WHERE started_us < $1").bind(before_us);
        let old = old.execute(&mut *self.tx).await?.rows_affected();
        let many = sqlx::query(PRUNE_SPANS).bind(i64::from(keep)).execute(&mut *self.tx).await?.rows_affected();
        Ok(old + many)
    }
}

impl TenantScope {
    /// The tenant's traces, the newest first, whose newest execution is before the one with the id `before`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn traces(
        &mut self,
        filter: &TraceFilter,
        before: Option<&str>,
        allowed: &AllowedServices,
        limit: u32,
    ) -> Result<Vec<TraceSummary>> {
        let query = self.query_text(list_traces(&allowed.condition(self.dialect, 10)));
        let query = query.bind(before_id(before));
        let query = query.bind(filter.component.as_ref().map_or_else(String::new, ToString::to_string));
        let query = query.bind(filter.environment.map_or("", Environment::as_str));
        let query = query.bind(filter.failed.map_or(-1, i64::from));
        let query = query.bind(i64::from(filter.min_duration_ms.unwrap_or(0)) * 1_000);
        let query = query.bind(filter.since.unwrap_or(0).saturating_mul(1_000));
        let query = query.bind(filter.until.unwrap_or(i64::MAX).saturating_mul(1_000)).bind(i64::from(limit));
        self.rows(allowed.bind(query)?).await?.iter().map(summary).collect()
    }

    /// The spans of the trace's executions, the earliest first, of at most `limit` executions and as long as they are
    /// few bytes; and whether there are more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn trace(
        &mut self,
        trace: &str,
        allowed: &AllowedServices,
        limit: u32,
    ) -> Result<(Vec<ExecutionTrace>, bool)> {
        let query = self.query_text(show_trace(&allowed.condition(self.dialect, 4)));
        let query = query.bind(trace.to_owned()).bind(i64::from(limit));
        let rows = self.rows(allowed.bind(query)?).await?;
        let found = rows.first().map_or(Ok(0), |row| number::<u64>(row, "found"))?;
        let executions: Vec<_> = rows.iter().map(execution).collect::<Result<_>>()?;
        let is_cut = found > executions.len() as u64;
        Ok((executions, is_cut))
    }
}
