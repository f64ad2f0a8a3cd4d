//! Committing turns: several workers' in one transaction.

use super::{IS_WORKER, WORKER_PAGES_INLINE_MAX, WorkerRetention, key, stored};
use crate::error::{Error, Result};
use crate::triggers::{signed, span, statement};
use crate::{Dialect, Query, TenantScope, get, number};
use elias_api::Code;
use elias_names::{Digest, ServiceId};
use elias_workers::WorkerKey;
use sqlx::any::AnyRow;
use std::collections::{HashMap, HashSet};

/// Workers of one statement, at most: 18 parameters each, and up to 64 KiB of pages.
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
    /// It is that of this former turn: a kept one of the history, or the restorable one.
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
