//! Making the many changes of a heap one.

use super::{IS_WORKER, TurnPages, WorkerRef, worker_ref};
use crate::error::Result;
use crate::triggers::statement;
use crate::{Dialect, HostScope, TenantScope, get, number, signed};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use sqlx::any::AnyRow;

/// A worker whose heap is made of many changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactableWorker {
    /// Which worker.
    pub worker: WorkerRef,
    /// Its last commit: the heap of this turn is to be made whole.
    pub turn: u64,
    /// Changes since the last whole heap.
    pub changes: u64,
    /// Bytes of these changes.
    pub bytes: u64,
}

impl HostScope {
    /// Workers that have many changes since their last whole heap, at most so many after the first `passed`: those that
    /// `owner` owns, and those that no process owns.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn compactable_workers(&mut self, owner: &str, most: u32, passed: u32) -> Result<Vec<CompactableWorker>> {
        let query = statement(compactable_workers(self.dialect)).bind(owner.to_owned()).bind(i64::from(most));
        let query = query.bind(i64::from(passed));
        let row = |row: &AnyRow| {
            let [changes, bytes] = [number(row, "chain_changes")?, number(row, "chain_bytes")?];
            Ok(CompactableWorker { worker: worker_ref(row)?, turn: number(row, "turn")?, changes, bytes })
        };
        query.fetch_all(&mut *self.tx).await?.iter().map(row).collect()
    }
}

impl TenantScope {
    /// Puts all of a heap in the place of the changes of a commit, which has the same heap as before: it takes no
    /// ownership. `false` if that commit is not kept any more, or is whole.
    ///
    /// # Errors
    /// `too-large` for more pages than a row takes; `store-unavailable`.
    pub async fn compact_worker(
        &mut self,
        service: &ServiceId,
        key: &WorkerKey,
        turn: u64,
        whole: &TurnPages,
    ) -> Result<bool> {
        whole.check()?;
        let lock = format!("SELECT id FROM workers WHERE {IS_WORKER} {}", self.dialect.locked());
        let query = self.query_of_worker(lock, service, key);
        let Some(row) = self.row(query).await? else { return Ok(false) };
        let id: String = get(&row, "id")?;
        let select = "SELECT bytes FROM worker_turns WHERE tenant = $1 AND worker = $2 AND turn = $3 \
                      AND kind <> 'whole'";
        let query = self.query(select).bind(id.clone()).bind(signed(turn));
        let Some(row) = self.row(query).await? else { return Ok(false) };
        let growth = signed(whole.bytes()) - get::<i64>(&row, "bytes")?;
        let update = "UPDATE worker_turns SET kind = 'whole', previous = NULL, pages = $4, digest = $5, bytes = $6 \
                      WHERE tenant = $1 AND worker = $2 AND turn = $3";
        let query = whole.bind(self.query(update).bind(id.clone()).bind(signed(turn)));
        self.run(query).await?;
        // What was before it may be needed no more.
        let update = "UPDATE workers SET is_compactable = 0, sweep_at = 0, bytes = bytes + $4, \
            chain_changes = (SELECT COUNT(*) FROM worker_turns t WHERE t.tenant = $1 AND t.worker = $2 \
                AND t.turn > $3 AND t.kind = 'change'), \
            chain_bytes = (SELECT CAST(COALESCE(SUM(t.bytes), 0) AS BIGINT) FROM worker_turns t \
                WHERE t.tenant = $1 AND t.worker = $2 AND t.turn > $3) WHERE tenant = $1 AND id = $2";
        let query = self.query(update).bind(id).bind(signed(turn)).bind(growth);
        self.run(query).await?;
        self.count_workers(0, growth).await?;
        Ok(true)
    }

    /// Leaves a worker that cannot be compacted until its next change.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn skip_compaction(&mut self, service: &ServiceId, key: &WorkerKey) -> Result<()> {
        let update = format!("UPDATE workers SET is_compactable = 0 WHERE {IS_WORKER}");
        let query = self.query_of_worker(update, service, key);
        self.run(query).await.map(drop)
    }
}

pub(super) fn compactable_workers(dialect: Dialect) -> String {
    let is_live = super::acquire::is_live(dialect, "w.owner");
    format!(
        "SELECT w.tenant, w.component, w.environment, w.class, w.name, w.chain_changes, w.chain_bytes, \
         (SELECT MAX(t.turn) FROM worker_turns t WHERE t.tenant = w.tenant AND t.worker = w.id) AS turn \
         FROM workers w WHERE w.is_compactable = 1 AND (w.owner = $1 OR NOT {is_live}) LIMIT $2 OFFSET $3"
    )
}
