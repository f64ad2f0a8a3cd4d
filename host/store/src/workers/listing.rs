//! Lists of workers. None reads a record or a heap.

use super::{IS_WORKER, key, optional_number, stored};
use crate::error::Result;
use crate::host::service_id;
use crate::triggers::statement;
use crate::{Dialect, HostScope, TenantScope, get, number};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use sqlx::any::AnyRow;

/// A worker of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerRef {
    /// The service.
    pub service: ServiceId,
    /// Which worker of it.
    pub key: WorkerKey,
}

/// Which workers of a service a list has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerFilter {
    /// Those of this class.
    pub class: Option<String>,
    /// Those whose names begin with this.
    pub prefix: Option<String>,
}

impl WorkerFilter {
    fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref().filter(|prefix| !prefix.is_empty())
    }
}

/// What a list says of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSummaryRow {
    /// Which worker.
    pub key: WorkerKey,
    /// The process that owns it. Its lease may have ended.
    pub owner: Option<String>,
    /// Its last committed turn.
    pub turns: u64,
    /// Whether a handler waits.
    pub is_waiting: bool,
    /// Where a handler waits: the turn of before it; none if that was the first.
    pub restorable_turn: Option<u64>,
    /// When its next timer or alarm is due, in milliseconds since 1970.
    pub next_due: Option<u64>,
    /// Whether it has calls without an answer.
    pub has_calls: bool,
    /// Bytes of its heap.
    pub heap_bytes: u64,
    /// The first turn of the history that is kept: the heap of each turn from here on can be given.
    pub kept_from: u64,
    /// The version of the component that its heap belongs to.
    pub version: u32,
    /// Bytes of its record and of its history.
    pub bytes: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_at: i64,
    /// When it was last committed, in milliseconds since 1970.
    pub updated_at: i64,
}

/// The columns of [`WorkerSummaryRow`].
const SUMMARY: &str = "class, name, owner, turns, is_waiting, restorable_turn, next_due, has_calls, heap_bytes, \
                       kept_from, version, bytes, created_at, updated_at";

impl TenantScope {
    /// Workers of a service by class and name, after this one, at most so many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn workers(
        &mut self,
        service: &ServiceId,
        filter: &WorkerFilter,
        after: Option<&WorkerKey>,
        limit: u32,
    ) -> Result<Vec<WorkerSummaryRow>> {
        let (class, name) = match (&filter.class, after) {
            (Some(class), Some(after)) if after.class > *class => return Ok(Vec::new()),
            (Some(class), Some(after)) if after.class == *class => (class.as_str(), after.name.as_str()),
            (Some(class), _) => (class.as_str(), ""),
            (None, after) => after.map_or(("", ""), |after| (after.class.as_str(), after.name.as_str())),
        };
        let query = self.query_of_text(list_workers(filter), service).bind(stored(class)).bind(stored(name));
        let mut query = query.bind(i64::from(limit));
        if let Some(prefix) = filter.prefix() {
            query = query.bind(stored(prefix)).bind(end_of_prefix(prefix));
        }
        self.rows(query).await?.iter().map(summary).collect()
    }

    /// A worker, if it was ever committed.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn worker(&mut self, service: &ServiceId, key: &WorkerKey) -> Result<Option<WorkerSummaryRow>> {
        let select = format!("SELECT {SUMMARY} FROM workers WHERE {IS_WORKER} AND record IS NOT NULL");
        let query = self.query_of_worker(select, service, key);
        self.row(query).await?.as_ref().map(summary).transpose()
    }

    /// Workers of a service that have to go on without a message, by class and name, after this one: those that `owner`
    /// owns, and those that no process owns. Those of others are theirs.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn pending_workers(
        &mut self,
        service: &ServiceId,
        owner: &str,
        after: Option<&WorkerKey>,
        limit: u32,
    ) -> Result<Vec<WorkerSummaryRow>> {
        let (class, name) = after.map_or(("", ""), |after| (after.class.as_str(), after.name.as_str()));
        let query = self.query_of_text(pending_workers(self.dialect), service).bind(stored(class)).bind(stored(name));
        let query = query.bind(i64::from(limit)).bind(owner.to_owned());
        self.rows(query).await?.iter().map(summary).collect()
    }
}

impl HostScope {
    /// Workers that have to go on without a message by the time `due_before`, in milliseconds since 1970, and that no
    /// process owns, at most so many after the first `passed`. Those of services that are stopped wait. It takes time
    /// by the number of processes that own workers, and by `passed`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn orphaned_workers(&mut self, due_before: i64, most: u32, passed: u32) -> Result<Vec<WorkerRef>> {
        let query = statement(orphaned_workers(self.dialect)).bind(due_before).bind(i64::from(most));
        let query = query.bind(i64::from(passed));
        worker_refs(&query.fetch_all(&mut *self.tx).await?)
    }
}

pub(super) fn worker_ref(row: &AnyRow) -> Result<WorkerRef> {
    Ok(WorkerRef { service: service_id(row)?, key: key(row)? })
}

pub(super) fn worker_refs(rows: &[AnyRow]) -> Result<Vec<WorkerRef>> {
    rows.iter().map(worker_ref).collect()
}

fn summary(row: &AnyRow) -> Result<WorkerSummaryRow> {
    Ok(WorkerSummaryRow {
        key: key(row)?,
        owner: Some(get::<String>(row, "owner")?).filter(|owner| !owner.is_empty()),
        turns: number(row, "turns")?,
        is_waiting: get::<i64>(row, "is_waiting")? != 0,
        restorable_turn: optional_number(row, "restorable_turn")?,
        next_due: optional_number(row, "next_due")?,
        has_calls: get::<i64>(row, "has_calls")? != 0,
        heap_bytes: number(row, "heap_bytes")?,
        kept_from: number(row, "kept_from")?,
        version: number(row, "version")?,
        bytes: number(row, "bytes")?,
        created_at: get(row, "created_at")?,
        updated_at: get(row, "updated_at")?,
    })
}

/// The first bytes that sort after all texts with this prefix.
fn end_of_prefix(prefix: &str) -> Vec<u8> {
    let mut end = stored(prefix);
    if let Some(last) = end.last_mut() {
        *last += 1; // no byte of UTF-8 is the highest one
    }
    end
}

/// The statement that lists at most `$6` workers after the class `$4` and the name `$5`, with names from `$7` and
/// before `$8`.
pub(super) fn list_workers(filter: &WorkerFilter) -> String {
    let after = if filter.class.is_some() { "class = $4 AND name > $5" } else { "(class, name) > ($4, $5)" };
    let prefix = filter.prefix().map_or("", |_| "AND name >= $7 AND name < $8");
    format!(
        "SELECT {SUMMARY} FROM workers WHERE tenant = $1 AND component = $2 AND environment = $3 AND {after} {prefix} \
         AND record IS NOT NULL ORDER BY class, name LIMIT $6"
    )
}

pub(super) fn pending_workers(dialect: Dialect) -> String {
    let is_live = super::acquire::is_live(dialect, "workers.owner");
    format!(
        "SELECT {SUMMARY} FROM workers WHERE tenant = $1 AND component = $2 AND environment = $3 \
         AND (class, name) > ($4, $5) AND wake_at IS NOT NULL AND (owner = $7 OR NOT {is_live}) \
         ORDER BY class, name LIMIT $6"
    )
}

/// The statement that reads `$2` workers without an owner that go on by the time `$1`: the owners one by one, each by
/// one look into the index, and the workers of those that have no lease.
pub(super) fn orphaned_workers(dialect: Dialect) -> String {
    let is_live = super::acquire::is_live(dialect, "owners.owner");
    format!(
        "WITH RECURSIVE owners (owner) AS ( \
             SELECT (SELECT MIN(w.owner) FROM workers w WHERE w.wake_at IS NOT NULL) \
             UNION ALL SELECT (SELECT MIN(w.owner) FROM workers w WHERE w.wake_at IS NOT NULL \
                 AND w.owner > owners.owner) FROM owners WHERE owners.owner IS NOT NULL) \
         SELECT w.tenant AS tenant, w.component AS component, w.environment AS environment, w.class AS class, \
         w.name AS name FROM owners JOIN workers w ON w.owner = owners.owner AND w.wake_at IS NOT NULL \
         AND w.wake_at <= $1 WHERE owners.owner IS NOT NULL AND NOT {is_live} AND EXISTS (SELECT 1 FROM services s \
             WHERE s.tenant = w.tenant AND s.component = w.component AND s.environment = w.environment \
             AND s.stopped = 0) LIMIT $2 OFFSET $3"
    )
}
