//! The heap of a worker at a turn, and the history of its turns.

use super::{IS_WORKER, TurnPages};
use crate::error::Result;
use crate::triggers::signed;
use crate::{Dialect, TenantScope, damaged, get, number};
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
    /// Bytes of its pages as they are kept.
    pub bytes: u64,
    /// The version of the component that ran it.
    pub version: u32,
}
