//! Service workers: who owns which, their records, and the history of their heaps.
//!
//! A worker has one owner, a process, for as long as that process renews its lease ([`worker_lease_name`]). Each
//! acquisition gives it a higher epoch, and whatever an owner writes names its epoch: what a former owner writes late
//! is refused by the statement itself.
//!
//! A heap is kept as what each commit changed in it. The statements know neither records nor pages: both are bytes as
//! the owner writes them. Times are milliseconds since 1970, by the database's clock where the store reads one.
//!
//! A worker lies in `workers`, and each commit of its heap in `worker_turns`. `acquire` says who owns a worker;
//! `commit` commits turns of several; `heaps` reads the heap of a turn and the history; `compact` puts a whole heap in
//! the place of many changes; `sweep` deletes what is not kept; `listing` has lists, `usage` the counts of a tenant.
//! Hosts run the background work: [`crate::HostScope::orphaned_workers`], [`crate::HostScope::compactable_workers`],
//! [`crate::HostScope::sweep_worker_turns`] and [`crate::HostScope::prune_workers`].

mod acquire;
mod commit;
mod compact;
mod heaps;
mod listing;
#[cfg(test)]
pub(crate) mod plans;
mod sweep;
mod usage;

pub use acquire::{AcquiredWorker, WorkerAcquisition, worker_lease_name};
pub use commit::{CommitOutcome, HeapCommitRow, TurnPages, WorkerCommitRow};
pub use compact::CompactableWorker;
pub use heaps::{PartKind, TurnPart, WorkerTurnRow};
pub use listing::{WorkerFilter, WorkerRef, WorkerSummaryRow};
pub use sweep::WorkerSweep;
pub use usage::WorkerUse;

use crate::error::Result;
use crate::{Query, TenantScope, get};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use listing::{worker_ref, worker_refs};
use sqlx::any::AnyRow;

/// How many bytes of pages a commit may have in the row itself. More are an artifact, which the row names.
pub const WORKER_PAGES_INLINE_MAX: usize = 64 * 1024;

/// How much of the history of a worker's heap is kept, and after how much of it the changes are made one heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerRetention {
    /// The last commits of a worker whose heaps can be given: at least 1.
    pub history_turns: u32,
    /// For how many milliseconds they can be, the last one for longer.
    pub history_ms: u64,
    /// Changes after which a worker is [compactable](crate::HostScope::compactable_workers).
    pub chain_changes: u32,
    /// Bytes of changes after which it is.
    pub chain_bytes: u64,
}

impl Default for WorkerRetention {
    fn default() -> Self {
        Self { history_turns: 100, history_ms: 7 * 86_400_000, chain_changes: 64, chain_bytes: 1 << 20 }
    }
}

impl WorkerRetention {
    /// Rows of a worker's history that are too many. Some more than are kept, so that they are deleted by many at once;
    /// and those along which the oldest heap is read are there in any case.
    fn rows_max(&self) -> i64 {
        i64::from(self.history_turns) + i64::from(self.history_turns / 4) + i64::from(self.chain_changes)
    }
}

impl TenantScope {
    /// A statement about a worker: `$1` to `$5` are the tenant, the component and the environment of the service, and
    /// the worker's class and name.
    fn query_of_worker(&self, sql: String, service: &ServiceId, key: &WorkerKey) -> Query {
        self.query_of_text(sql, service).bind(stored(&key.class)).bind(stored(&key.name))
    }
}

/// The condition that a row of `workers` is the one that [`TenantScope::query_of_worker`] binds.
const IS_WORKER: &str = "tenant = $1 AND component = $2 AND environment = $3 AND class = $4 AND name = $5";

/// A class or a name as a column has it.
fn stored(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// The worker in the columns `class` and `name`.
fn key(row: &AnyRow) -> Result<WorkerKey> {
    let read = |column: &str| String::from_utf8(get(row, column)?).map_err(|_| crate::damaged(column));
    Ok(WorkerKey { class: read("class")?, name: read("name")? })
}

/// A column that holds a number that is not negative, or nothing.
fn optional_number<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> Result<Option<T>> {
    get::<Option<i64>>(row, column)?.map(|number| T::try_from(number).map_err(|_| crate::damaged(column))).transpose()
}
