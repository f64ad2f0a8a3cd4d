//! Deleting what is not kept: histories that are too long or too old, and workers.

use super::acquire::is_live;
use super::usage::count_workers;
use super::{IS_WORKER, optional_number};
use crate::error::Result;
use crate::triggers::statement;
use crate::{Dialect, HostScope, TenantScope, get, signed, to_json};
use elias_names::{ComponentName, ServiceId};
use elias_workers::WorkerKey;
use serde_json::json;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// Workers whose histories are looked at in one step.
const SWEPT_WORKERS: u32 = 50;
/// For how long a worker that was acquired and never committed is left, and the lease of a process that is gone.
const LEFT_MS: i64 = 3_600_000;

/// What a step of [`HostScope::sweep_worker_turns`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerSweep {
    /// Commits that were deleted.
    pub deleted: u64,
    /// Whether nothing is left to do now.
    pub is_done: bool,
}

/// A worker whose history is looked at.
struct SweptWorker {
    tenant: String,
    id: String,
    restorable_turn: Option<i64>,
    upgraded_from_turn: Option<i64>,
    history_turns: i64,
    history_ms: i64,
}

impl HostScope {
    /// Deletes at most `most` commits that are not kept any more: those before the last so many, and those that are too
    /// old, as the last commit of the worker said. The last commit stays, the restorable one, that of before an upgrade
    /// by a rollout, and those whose pages are part of a heap that is kept.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn sweep_worker_turns(&mut self, most: u32) -> Result<WorkerSweep> {
        let query = statement(sweepable_workers(self.dialect)).bind(i64::from(SWEPT_WORKERS));
        let rows = query.fetch_all(&mut *self.tx).await?;
        let mut left = i64::from(most);
        let mut freed: BTreeMap<String, i64> = BTreeMap::new();
        for row in &rows {
            if left == 0 {
                break;
            }
            let worker = SweptWorker {
                tenant: get(row, "tenant")?,
                id: get(row, "id")?,
                restorable_turn: optional_number(row, "restorable_turn")?,
                upgraded_from_turn: optional_number(row, "upgraded_from_turn")?,
                history_turns: get(row, "history_turns")?,
                history_ms: get(row, "history_ms")?,
            };
            let (deleted, bytes) = self.sweep_worker(&worker, left).await?;
            left -= deleted;
            *freed.entry(worker.tenant).or_default() += bytes;
        }
        for (tenant, bytes) in freed {
            count_workers(&mut self.tx, self.dialect, tenant, 0, -bytes).await?;
        }
        let is_done = left > 0 && rows.len() < SWEPT_WORKERS as usize;
        Ok(WorkerSweep { deleted: u64::from(most) - left.unsigned_abs(), is_done })
    }

    /// Deletes at most `most` commits of a worker; says how many, and how many bytes they had.
    async fn sweep_worker(&mut self, worker: &SweptWorker, most: i64) -> Result<(i64, i64)> {
        let of_worker = |sql: String| statement(sql).bind(worker.tenant.clone()).bind(worker.id.clone());
        let query = of_worker(kept_turns(self.dialect)).bind(worker.history_turns - 1);
        let row = query.bind(worker.history_ms).fetch_one(&mut *self.tx).await?;
        let turn = |column| get::<Option<i64>>(&row, column);
        let last = turn("last")?.unwrap_or_default();
        let kept_from = turn("by_count")?.unwrap_or_default().max(turn("by_age")?.unwrap_or(last));
        let query = of_worker(delete_turns()).bind(kept_from).bind(worker.restorable_turn).bind(most);
        let query = query.bind(worker.upgraded_from_turn);
        let mut bytes = 0;
        let rows = query.fetch_all(&mut *self.tx).await?;
        for row in &rows {
            bytes += get::<i64>(row, "bytes")?;
        }
        let deleted = rows.len() as i64;
        let sweep_at = if deleted == most {
            Some(0)
        } else {
            // Of those that are kept, the first one is the next to go, but never the last one.
            let select = "SELECT at FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn >= $3 AND turn < $4 \
                          ORDER BY turn LIMIT 1";
            let query = of_worker(select.to_owned()).bind(kept_from).bind(last);
            let first = query.fetch_optional(&mut *self.tx).await?;
            let at = first.map(|row| get::<i64>(&row, "at")).transpose()?;
            at.map(|at| at.saturating_add(worker.history_ms).saturating_add(1))
        };
        let update = "UPDATE workers SET kept_turns = kept_turns - $3, bytes = bytes - $4, \
                      kept_from = CASE WHEN kept_from < $5 THEN $5 ELSE kept_from END, sweep_at = $6 \
                      WHERE tenant = $1 AND id = $2";
        let query = of_worker(update.to_owned()).bind(deleted).bind(bytes).bind(kept_from).bind(sweep_at);
        query.execute(&mut *self.tx).await?;
        Ok((deleted, bytes))
    }

    /// Deletes at most `most` workers of tenants that were deleted, and as many that were acquired and never committed
    /// by processes that are gone; says how many. It also forgets the leases of such processes.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_workers(&mut self, most: u32) -> Result<u64> {
        let (now, dialect) = (self.dialect.now(), self.dialect);
        let delete = format!("DELETE FROM leases WHERE substr(name, 1, 8) = 'workers/' AND until < {now} - $1");
        statement(delete).bind(LEFT_MS).execute(&mut *self.tx).await?;
        // Workers and bytes by tenant. They are counted in one order, and last: others wait for these rows.
        let mut gone: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        let query = statement(delete_uncommitted(dialect)).bind(LEFT_MS).bind(i64::from(most));
        for row in &query.fetch_all(&mut *self.tx).await? {
            gone.entry(get(row, "tenant")?).or_default().0 += 1;
        }
        let select = "SELECT t.tenant AS tenant FROM tenants t WHERE t.deleted_at IS NOT NULL \
                      AND EXISTS (SELECT 1 FROM workers w WHERE w.tenant = t.tenant) LIMIT 1";
        if let Some(row) = sqlx::query(select).fetch_optional(&mut *self.tx).await? {
            let tenant: String = get(&row, "tenant")?;
            let query = statement(workers_of(dialect, "")).bind(tenant.clone()).bind(i64::from(most));
            let rows = query.fetch_all(&mut *self.tx).await?;
            let (workers, bytes) = delete_workers(&mut self.tx, dialect, &tenant, &rows).await?;
            let of_tenant = gone.entry(tenant).or_default();
            *of_tenant = (of_tenant.0 + workers, of_tenant.1 + bytes);
        }
        let mut deleted = 0;
        for (tenant, (workers, bytes)) in gone {
            count_workers(&mut self.tx, dialect, tenant, -workers, -bytes).await?;
            deleted += workers.unsigned_abs();
        }
        Ok(deleted)
    }
}

impl TenantScope {
    /// Forgets a worker and its history. `false` if the epoch is not the worker's any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn remove_worker(&mut self, service: &ServiceId, key: &WorkerKey, epoch: u64) -> Result<bool> {
        let locked = self.dialect.locked();
        let select = format!("SELECT id, bytes FROM workers WHERE {IS_WORKER} AND epoch = $6 {locked}");
        let query = self.query_of_worker(select, service, key).bind(signed(epoch));
        let rows = self.rows(query).await?;
        self.delete_rows(&rows).await.map(|deleted| deleted > 0)
    }

    /// Deletes at most `most` workers of a service, whoever owns them, with their histories; says how many. What their
    /// owners commit afterwards is refused.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn delete_workers(&mut self, service: &ServiceId, most: u32) -> Result<u64> {
        let select = workers_of(self.dialect, "AND component = $3 AND environment = $4");
        let query = self.query_text(select).bind(i64::from(most)).bind(service.component.as_str().to_owned());
        let rows = self.rows(query.bind(service.environment.as_str())).await?;
        self.delete_rows(&rows).await
    }

    /// Deletes the workers of a component that is deleted.
    pub(crate) async fn delete_workers_of(&mut self, component: &ComponentName) -> Result<()> {
        let select = workers_of(self.dialect, "AND component = $3");
        let query = self.query_text(select).bind(i64::MAX).bind(component.as_str().to_owned());
        let rows = self.rows(query).await?;
        self.delete_rows(&rows).await.map(drop)
    }

    async fn delete_rows(&mut self, rows: &[AnyRow]) -> Result<u64> {
        let tenant = self.tenant.as_str().to_owned();
        let (workers, bytes) = delete_workers(&mut self.tx, self.dialect, &tenant, rows).await?;
        self.count_workers(-workers, -bytes).await?;
        Ok(workers.unsigned_abs())
    }
}

/// Deletes the workers of a tenant in these rows, which are locked; says how many, and how many bytes they had.
async fn delete_workers(
    connection: &mut AnyConnection,
    dialect: Dialect,
    tenant: &str,
    rows: &[AnyRow],
) -> Result<(i64, i64)> {
    let (mut ids, mut bytes) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        ids.push(json!({ "id": get::<String>(row, "id")? }));
        bytes += get::<i64>(row, "bytes")?;
    }
    if ids.is_empty() {
        return Ok((0, 0));
    }
    let ids = to_json(&ids)?;
    for delete in delete_by_id(dialect) {
        statement(delete).bind(tenant.to_owned()).bind(ids.clone()).execute(&mut *connection).await?;
    }
    Ok((rows.len() as i64, bytes))
}

/// The statements that delete the histories of the workers of `$1` in the JSON array `$2`, and these workers.
pub(super) fn delete_by_id(dialect: Dialect) -> [String; 2] {
    let ids = format!("(SELECT item.value->>'id' FROM {})", dialect.each(2));
    [
        format!("DELETE FROM worker_turns WHERE tenant = $1 AND worker IN {ids}"),
        format!("DELETE FROM workers WHERE tenant = $1 AND id IN {ids}"),
    ]
}

/// The statement that locks `$2` workers of the tenant `$1` which are about to be deleted.
pub(super) fn workers_of(dialect: Dialect, condition: &str) -> String {
    let locked = dialect.locked();
    format!("SELECT id, bytes FROM workers WHERE tenant = $1 {condition} ORDER BY id LIMIT $2 {locked}")
}

/// The statement that locks `$1` workers of whose histories something may have to be deleted.
pub(super) fn sweepable_workers(dialect: Dialect) -> String {
    let (now, locked) = (dialect.now(), dialect.locked_if_free());
    format!(
        "SELECT tenant, id, restorable_turn, upgraded_from_turn, history_turns, history_ms FROM workers \
         WHERE sweep_at IS NOT NULL AND sweep_at <= {now} ORDER BY sweep_at LIMIT $1 {locked}"
    )
}

/// The statement that gives of the worker `$2` of the tenant `$1` the last commit, the first one of those that are kept
/// by their number (`$3` before the last one), and the first one of those that are kept by their age (`$4`).
pub(super) fn kept_turns(dialect: Dialect) -> String {
    let (of_worker, now) = ("FROM worker_turns t WHERE t.tenant = $1 AND t.worker = $2", dialect.now());
    format!(
        "SELECT (SELECT MAX(t.turn) {of_worker}) AS last, \
         (SELECT t.turn {of_worker} ORDER BY t.turn DESC LIMIT 1 OFFSET $3) AS by_count, \
         (SELECT MIN(t.turn) {of_worker} AND t.at >= {now} - $4) AS by_age"
    )
}

/// The statement that deletes `$5` commits of the worker `$2` of the tenant `$1` before turn `$3`, without those along
/// which the heaps of `$3` and later, of the restorable turn `$4`, and of the turn before an upgrade `$6` are read.
pub(super) fn delete_turns() -> String {
    "WITH RECURSIVE needed (turn) AS ( \
         SELECT previous FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn >= $3 AND previous < $3 \
         UNION SELECT MAX(turn) FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn <= $4 \
         UNION SELECT MAX(turn) FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn <= $6 \
         UNION SELECT t.previous FROM needed JOIN worker_turns t ON t.tenant = $1 AND t.worker = $2 \
             AND t.turn = needed.turn WHERE t.previous IS NOT NULL) \
     DELETE FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn IN ( \
         SELECT turn FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn < $3 \
         AND turn NOT IN (SELECT needed.turn FROM needed WHERE needed.turn IS NOT NULL) ORDER BY turn LIMIT $5) \
     RETURNING bytes"
        .to_owned()
}

/// The statement that deletes `$2` workers that were never committed and are older than `$1` milliseconds.
pub(super) fn delete_uncommitted(dialect: Dialect) -> String {
    let (now, is_live, locked) = (dialect.now(), is_live(dialect, "workers.owner"), dialect.locked_if_free());
    format!(
        "WITH gone AS MATERIALIZED (SELECT tenant, id FROM workers WHERE record IS NULL AND created_at < {now} - $1 \
         AND NOT {is_live} LIMIT $2 {locked}) \
         DELETE FROM workers WHERE (tenant, id) IN (SELECT gone.tenant, gone.id FROM gone) RETURNING tenant"
    )
}
