//! Making the many changes of a heap one.

use super::{IS_WORKER, TurnPages, WorkerRef, worker_ref};
use crate::error::Result;
use crate::triggers::{signed, statement};
use crate::{Dialect, HostScope, TenantScope, get, number};
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
