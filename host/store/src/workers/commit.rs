//! Committing turns: several workers' in one transaction.

use super::{IS_WORKER, WORKER_PAGES_INLINE_MAX, WorkerRef, WorkerRetention, stored, worker_ref};
use crate::error::{Error, Result};
use crate::triggers::{by_powers_of_two, span};
use crate::{Dialect, Query, TenantScope, get, number, signed};
use elias_api::Code;
use elias_names::{Digest, ServiceId};
use elias_workers::WorkerKey;
use std::collections::{HashMap, HashSet};

/// Workers of one statement, at most: 19 parameters each, and up to 64 KiB of pages.
const ROWS_MAX: usize = 256;

/// One commit of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommitRow {
    /// The service, one of the scope's tenant.
    pub service: ServiceId,
    /// Which worker of the service.
    pub key: WorkerKey,
    /// From the acquisition.
    pub epoch: u64,
    /// The last turn that is committed with this: higher than that of the commit before, unless the heap is
    /// [unchanged](HeapCommitRow::Unchanged).
    pub turns: u64,
    /// All that is kept of the worker beside its heap.
    pub record: Vec<u8>,
    /// Whether a handler waits.
    pub is_waiting: bool,
    /// When its next timer or alarm is due, in milliseconds since 1970.
    pub next_due: Option<u64>,
    /// Whether it has calls without an answer.
    pub has_calls: bool,
    /// A former turn whose heap has to be kept until a commit without it: that of before a handler that waits.
    pub restorable_turn: Option<u64>,
    /// A former turn whose heap has to be kept likewise: that of before a rollout moved the worker to another version.
    pub upgraded_from_turn: Option<u64>,
    /// Bytes of the whole heap at this turn, as it would be kept.
    pub heap_bytes: u64,
    /// The version of the component that the heap belongs to.
    pub version: u32,
    /// The component that the heap belongs to; its artifact is kept for as long as the worker is there.
    pub component_digest: Digest,
    /// The heap.
    pub heap: HeapCommitRow,
}

/// What a commit says of the heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapCommitRow {
    /// It is that of the commit before.
    Unchanged,
    /// The pages in which it differs from that of the commit before.
    Change(TurnPages),
    /// All of it. The first commit of a worker has to be one.
    Whole(TurnPages),
    /// It is that of this former turn: a kept one of the history, the restorable one, or that of before an upgrade.
    BackTo(u64),
}

/// The pages of a commit, as the caller writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnPages {
    /// In the row: at most [`WORKER_PAGES_INLINE_MAX`] bytes.
    Inline(Vec<u8>),
    /// In an artifact, which is stored before the commit.
    Artifact {
        /// Of the artifact.
        digest: Digest,
        /// Its size.
        bytes: u64,
    },
}

/// What became of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is part of the transaction.
    Committed,
    /// The worker has another owner by now, or is not there. Nothing has changed.
    NotOwner,
    /// The owner has committed this turn, or a later one, before: this is an attempt again after a lost response.
    /// Nothing has changed.
    AlreadyCommitted,
    /// A change where nothing was committed before, or a return to a turn that is not kept. Nothing has changed.
    NoSuchTurn,
}

impl TurnPages {
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Inline(pages) => pages.len() as u64,
            Self::Artifact { bytes, .. } => *bytes,
        }
    }

    /// Refuses pages that are too large for a row.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Inline(pages) if pages.len() > WORKER_PAGES_INLINE_MAX => {
                let message = format!(
                    "{} bytes of a worker's pages are too many for a row, which takes {WORKER_PAGES_INLINE_MAX}: \
                     store them as an artifact",
                    pages.len()
                );
                Err(Error::new(Code::TooLarge, message))
            }
            _ => Ok(()),
        }
    }

    /// Binds the values of the columns `pages`, `digest` and `bytes`.
    pub(super) fn bind(&self, query: Query) -> Query {
        let (pages, digest) = match self {
            Self::Inline(pages) => (Some(pages.clone()), None),
            Self::Artifact { digest, .. } => (None, Some(digest.as_str().to_owned())),
        };
        query.bind(pages).bind(digest).bind(signed(self.bytes()))
    }
}

impl TenantScope {
    /// Commits turns of several workers, each whole or not at all; one that is refused does not keep others from being
    /// committed. The outcomes are in the order of the rows. A worker is in it once.
    ///
    /// The history of each is kept as `retention` says until the next commit of that worker.
    ///
    /// It counts the bytes of the tenant at its end, in a row that others wait for: it is best the last statement of
    /// its transaction, which is one of [`Store::worker_write`](crate::Store::worker_write).
    ///
    /// # Errors
    /// `too-large` for more pages than a row takes; `store-unavailable`. Nothing is committed then.
    pub async fn commit_workers(
        &mut self,
        rows: &[WorkerCommitRow],
        retention: &WorkerRetention,
    ) -> Result<Vec<CommitOutcome>> {
        let mut workers = HashSet::new();
        for row in rows {
            row.heap.pages().map_or(Ok(()), TurnPages::check)?;
            if !workers.insert(row.worker()) {
                return Err(Error::new(Code::Internal, format!("the worker {} is committed twice at once", row.key)));
            }
        }
        let (mut ids, mut growth) = (HashMap::new(), 0);
        for batch in by_powers_of_two(rows, ROWS_MAX) {
            growth += self.commit_records(batch, retention, &mut ids).await?;
        }
        let id = |row: &WorkerCommitRow| ids.get(&row.worker());
        let with_heaps = rows.iter().filter(|row| row.heap != HeapCommitRow::Unchanged);
        let turns: Vec<_> = with_heaps.filter_map(|row| Some((row, id(row)?.as_str()))).collect();
        for batch in by_powers_of_two(&turns, ROWS_MAX) {
            let insert = self.query_text(insert_turns(self.dialect, batch.len()));
            self.run(batch.iter().fold(insert, |query, (row, id)| row.bind_turn(query, id))).await?;
        }
        let mut outcomes = Vec::with_capacity(rows.len());
        for row in rows {
            let is_committed = id(row).is_some();
            outcomes.push(if is_committed { CommitOutcome::Committed } else { self.refusal(row).await? });
        }
        self.count_workers(0, growth).await?;
        Ok(outcomes)
    }

    /// Commits what is kept of workers beside their heaps; adds the ids of those that were committed, and says by how
    /// many bytes they have grown.
    async fn commit_records(
        &mut self,
        rows: &[WorkerCommitRow],
        retention: &WorkerRetention,
        ids: &mut HashMap<WorkerRef, String>,
    ) -> Result<i64> {
        let query = self.query_text(commit_workers(self.dialect, rows.len()));
        let query = query.bind(i64::from(retention.chain_changes)).bind(signed(retention.chain_bytes));
        let query = query.bind(retention.rows_max()).bind(span(retention.history_ms));
        let query = query.bind(i64::from(retention.history_turns.max(1)));
        let mut growth = 0;
        for row in &self.rows(rows.iter().fold(query, |query, row| row.bind_record(query))).await? {
            ids.insert(worker_ref(row)?, get(row, "id")?);
            growth += get::<i64>(row, "growth")?;
        }
        Ok(growth)
    }

    /// Why a commit was refused.
    async fn refusal(&mut self, row: &WorkerCommitRow) -> Result<CommitOutcome> {
        let select = format!("SELECT turns FROM workers WHERE {IS_WORKER} AND epoch = $6");
        let query = self.query_of_worker(select, &row.service, &row.key).bind(signed(row.epoch));
        let Some(found) = self.row(query).await? else { return Ok(CommitOutcome::NotOwner) };
        let is_behind = row.turns <= number::<u64>(&found, "turns")?;
        Ok(if is_behind { CommitOutcome::AlreadyCommitted } else { CommitOutcome::NoSuchTurn })
    }
}

impl HeapCommitRow {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unchanged => "none",
            Self::Change(_) => "change",
            Self::Whole(_) => "whole",
            Self::BackTo(_) => "back",
        }
    }

    fn pages(&self) -> Option<&TurnPages> {
        match self {
            Self::Change(pages) | Self::Whole(pages) => Some(pages),
            Self::Unchanged | Self::BackTo(_) => None,
        }
    }

    fn bytes(&self) -> i64 {
        self.pages().map_or(0, |pages| signed(pages.bytes()))
    }
}

/// The columns of a commit, in the order in which [`WorkerCommitRow::bind_record`] binds them.
const COMMIT_COLUMNS: [&str; 19] = [
    "component",
    "environment",
    "class",
    "name",
    "epoch",
    "turns",
    "record",
    "is_waiting",
    "next_due",
    "has_calls",
    "wake_at",
    "restorable_turn",
    "upgraded_from_turn",
    "heap_bytes",
    "version",
    "component_digest",
    "kind",
    "back_to",
    "page_bytes",
];

impl WorkerCommitRow {
    fn worker(&self) -> WorkerRef {
        WorkerRef { service: self.service.clone(), key: self.key.clone() }
    }

    fn bind_record(&self, query: Query) -> Query {
        let next_due = self.next_due.map(signed);
        let wake_at = if self.has_calls { Some(0) } else { next_due };
        let back_to = if let HeapCommitRow::BackTo(turn) = self.heap { Some(signed(turn)) } else { None };
        let query = query.bind(self.service.component.to_string()).bind(self.service.environment.as_str());
        let query = query.bind(stored(&self.key.class)).bind(stored(&self.key.name));
        let query = query.bind(signed(self.epoch)).bind(signed(self.turns)).bind(self.record.clone());
        let query = query.bind(i64::from(self.is_waiting)).bind(next_due).bind(i64::from(self.has_calls));
        let query = query.bind(wake_at).bind(self.restorable_turn.map(signed));
        let query = query.bind(self.upgraded_from_turn.map(signed)).bind(signed(self.heap_bytes));
        let query = query.bind(i64::from(self.version)).bind(self.component_digest.as_str().to_owned());
        query.bind(self.heap.kind()).bind(back_to).bind(self.heap.bytes())
    }

    fn bind_turn(&self, query: Query, id: &str) -> Query {
        let at_most = match self.heap {
            HeapCommitRow::Change(_) => Some(signed(self.turns) - 1),
            HeapCommitRow::BackTo(turn) => Some(signed(turn)),
            HeapCommitRow::Unchanged | HeapCommitRow::Whole(_) => None,
        };
        let query = query.bind(id.to_owned()).bind(signed(self.turns)).bind(self.heap.kind()).bind(at_most);
        let query = match self.heap.pages() {
            Some(pages) => pages.bind(query),
            None => query.bind(None::<Vec<u8>>).bind(None::<String>).bind(0_i64),
        };
        query.bind(i64::from(self.version)).bind(i64::from(self.is_waiting))
    }
}

/// The statement that commits the records of so many workers. `$2` and `$3` are the changes and their bytes after which
/// a worker is compactable, `$4` the rows of its history that are too many, `$5` the milliseconds for which it is kept,
/// `$6` its length.
pub(super) fn commit_workers(dialect: Dialect, count: usize) -> String {
    let (now, columns) = (dialect.now(), COMMIT_COLUMNS.join(", "));
    let rows = (0..count).map(|row| {
        let first = 7 + row * COMMIT_COLUMNS.len();
        let places: Vec<_> = (first..first + COMMIT_COLUMNS.len()).map(|place| format!("${place}")).collect();
        format!("({})", places.join(", "))
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    let is_named = |worker: &str| {
        let names = ["component", "environment", "class", "name"];
        names.map(|column| format!("{worker}.{column} = c.{column}")).join(" AND ")
    };
    let (locked, source, is_committed) = match dialect {
        Dialect::Sqlite => (String::new(), "c", is_named("workers")),
        // A former owner may commit the same workers at the same time, in vain: all lock them in one order.
        Dialect::Postgres => {
            let select = "SELECT w.id AS id, c.* FROM c JOIN workers w ON w.tenant = $1";
            let is_named = is_named("w");
            let locked = format!(
                ", mine AS MATERIALIZED ({select} AND {is_named} WHERE w.epoch = c.epoch ORDER BY w.id FOR UPDATE OF w)"
            );
            (locked, "mine AS c", "workers.id = c.id".to_owned())
        }
    };
    let growth = "(octet_length(c.record) - COALESCE(octet_length(workers.record), 0) + c.page_bytes)";
    format!(
        "WITH c ({columns}) AS (VALUES {rows}){locked} UPDATE workers SET turns = c.turns, record = c.record, \
         is_waiting = c.is_waiting, next_due = c.next_due, has_calls = c.has_calls, wake_at = c.wake_at, \
         restorable_turn = c.restorable_turn, upgraded_from_turn = c.upgraded_from_turn, heap_bytes = c.heap_bytes, \
         version = c.version, component_digest = c.component_digest, \
         chain_changes = CASE c.kind WHEN 'whole' THEN 0 WHEN 'change' THEN workers.chain_changes + 1 \
             ELSE workers.chain_changes END, \
         chain_bytes = CASE c.kind WHEN 'whole' THEN 0 ELSE workers.chain_bytes + c.page_bytes END, \
         is_compactable = CASE WHEN c.kind = 'whole' THEN 0 WHEN c.kind = 'change' AND \
             (workers.chain_changes + 1 >= $2 OR workers.chain_bytes + c.page_bytes >= $3) THEN 1 \
             ELSE workers.is_compactable END, \
         history_turns = $6, history_ms = $5, \
         kept_turns = workers.kept_turns + CASE c.kind WHEN 'none' THEN 0 ELSE 1 END, \
         kept_from = CASE WHEN workers.record IS NULL THEN c.turns ELSE workers.kept_from END, \
         sweep_at = CASE WHEN c.kind = 'none' THEN workers.sweep_at WHEN workers.kept_turns >= $4 THEN 0 \
             ELSE COALESCE(workers.sweep_at, {now} + $5) END, \
         bytes = workers.bytes + {growth}, growth = {growth}, updated_at = {now} \
         FROM {source} WHERE workers.tenant = $1 AND {is_committed} AND workers.epoch = c.epoch \
         AND (c.kind = 'whole' OR workers.record IS NOT NULL) \
         AND (workers.turns < c.turns OR workers.record IS NULL OR (c.kind = 'none' AND workers.turns = c.turns)) \
         AND (c.kind <> 'back' OR (c.back_to <= workers.turns AND (c.back_to >= workers.kept_from \
             OR c.back_to = workers.restorable_turn OR c.back_to = workers.upgraded_from_turn))) \
         RETURNING workers.tenant AS tenant, workers.component AS component, workers.environment AS environment, \
         workers.class AS class, workers.name AS name, workers.id AS id, workers.growth AS growth"
    )
}

/// The statement that inserts the heaps of so many commits, as [`WorkerCommitRow::bind_turn`] binds them. Each goes on
/// from the last commit up to a turn.
pub(super) fn insert_turns(dialect: Dialect, count: usize) -> String {
    let now = dialect.now();
    let rows = (0..count).map(|row| {
        let place = |column: usize| 2 + row * 9 + column;
        let (worker, turn, kind, at_most) = (place(0), place(1), place(2), place(3));
        let (pages, digest, bytes, version, is_waiting) = (place(4), place(5), place(6), place(7), place(8));
        format!(
            "($1, ${worker}, ${turn}, {now}, ${kind}, (SELECT MAX(t.turn) FROM worker_turns t WHERE t.tenant = $1 \
             AND t.worker = ${worker} AND t.turn <= ${at_most}), ${pages}, ${digest}, ${bytes}, ${version}, \
             ${is_waiting})"
        )
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO worker_turns (tenant, worker, turn, at, kind, previous, pages, digest, bytes, version, \
         is_waiting) VALUES {rows}"
    )
}
