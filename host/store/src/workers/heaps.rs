//! The heap of a worker at a turn, and the history of its turns.

use super::{IS_WORKER, TurnPages};
use crate::error::Result;
use crate::{TenantScope, damaged, get, number, signed};
use elias_names::{Digest, ServiceId};
use elias_workers::WorkerKey;
use sqlx::any::AnyRow;

/// A part of a heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnPart {
    /// The turn that it was committed with: of a compacted heap the turn that was made whole.
    pub turn: u64,
    /// What it is.
    pub kind: PartKind,
    /// Its pages.
    pub pages: TurnPages,
}

/// What a part of a heap is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// All of the heap.
    Whole,
    /// What changed in the heap that the parts before it make.
    Change,
}

/// A commit in the history of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerTurnRow {
    /// The last turn of the commit.
    pub turn: u64,
    /// When it was committed, in milliseconds since 1970.
    pub at: i64,
    /// The former turn of which it has the heap, if it went back to one.
    pub back_to: Option<u64>,
    /// Whether a handler waited after it, which its heap waits with. Not known, and `false`, of commits of before a
    /// store kept it.
    pub is_waiting: bool,
    /// Bytes of its pages as they are kept.
    pub bytes: u64,
    /// The version of the component that ran it.
    pub version: u32,
}

impl TenantScope {
    /// The parts of a worker's heap as of a committed turn: a whole heap and the changes since, in the order in which
    /// they are applied. None if the heap of that turn is not kept, or the worker has not come so far.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn heap_parts(
        &mut self,
        service: &ServiceId,
        key: &WorkerKey,
        turn: u64,
    ) -> Result<Option<Vec<TurnPart>>> {
        let query = self.query_of_worker(heap_parts(), service, key).bind(signed(turn));
        let parts = self.rows(query).await?.iter().map(part).collect::<Result<Vec<_>>>()?;
        match parts.first() {
            None => Ok(None),
            Some(first) if first.kind == PartKind::Whole => Ok(Some(parts)),
            Some(_) => Err(damaged("previous")),
        }
    }

    /// The commits of a worker before a turn whose heaps are kept, the newest first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn worker_history(
        &mut self,
        service: &ServiceId,
        key: &WorkerKey,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<WorkerTurnRow>> {
        let query = self.query_of_worker(worker_history(), service, key);
        let query = query.bind(before.map_or(i64::MAX, signed)).bind(i64::from(limit));
        let row = |row: &AnyRow| {
            let is_back = get::<String>(row, "kind")? == "back";
            Ok(WorkerTurnRow {
                turn: number(row, "turn")?,
                at: get(row, "at")?,
                back_to: is_back.then(|| number(row, "previous")).transpose()?,
                is_waiting: get::<i64>(row, "is_waiting")? != 0,
                bytes: number(row, "bytes")?,
                version: number(row, "version")?,
            })
        };
        self.rows(query).await?.iter().map(row).collect()
    }
}

fn part(row: &AnyRow) -> Result<TurnPart> {
    let kind = match get::<String>(row, "kind")?.as_str() {
        "whole" => PartKind::Whole,
        "change" => PartKind::Change,
        _ => return Err(damaged("kind")),
    };
    let pages = match get::<Option<String>>(row, "digest")? {
        Some(digest) => {
            let digest = Digest::try_from(digest).map_err(|_| damaged("digest"))?;
            TurnPages::Artifact { digest, bytes: number(row, "bytes")? }
        }
        None => TurnPages::Inline(get(row, "pages")?),
    };
    Ok(TurnPart { turn: number(row, "turn")?, kind, pages })
}

/// The statement that reads the parts of the heap of turn `$6`: from the last commit up to it, along `previous`.
pub(super) fn heap_parts() -> String {
    format!(
        "WITH RECURSIVE worker (id) AS (SELECT id FROM workers WHERE {IS_WORKER} AND record IS NOT NULL \
         AND turns >= $6 AND (kept_from <= $6 OR restorable_turn = $6 OR upgraded_from_turn = $6)), \
         chain (turn, previous) AS (SELECT t.turn, t.previous FROM worker_turns t WHERE t.tenant = $1 \
         AND t.worker = (SELECT worker.id FROM worker) AND t.turn = (SELECT MAX(n.turn) FROM worker_turns n \
             WHERE n.tenant = $1 AND n.worker = (SELECT worker.id FROM worker) AND n.turn <= $6) \
         UNION ALL SELECT t.turn, t.previous FROM chain JOIN worker_turns t ON t.tenant = $1 \
             AND t.worker = (SELECT worker.id FROM worker) AND t.turn = chain.previous) \
         SELECT t.turn AS turn, t.kind AS kind, t.pages AS pages, t.digest AS digest, t.bytes AS bytes FROM chain \
         JOIN worker_turns t ON t.tenant = $1 AND t.worker = (SELECT worker.id FROM worker) AND t.turn = chain.turn \
         WHERE t.kind <> 'back' ORDER BY t.turn"
    )
}

/// The statement that reads the `$7` last commits of a worker before turn `$6`.
pub(super) fn worker_history() -> String {
    let of_worker = |column: &str| format!("(SELECT workers.{column} FROM workers WHERE {IS_WORKER})");
    let (id, kept_from) = (of_worker("id"), of_worker("kept_from"));
    format!(
        "SELECT t.turn AS turn, t.at AS at, t.kind AS kind, t.previous AS previous, t.bytes AS bytes, \
         t.version AS version, t.is_waiting AS is_waiting FROM worker_turns t \
         WHERE t.tenant = $1 AND t.worker = {id} AND t.turn < $6 \
         AND t.turn >= {kept_from} ORDER BY t.turn DESC LIMIT $7"
    )
}
