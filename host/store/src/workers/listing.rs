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
