//! Stores of workers.
//!
//! - here: what a store is. `record`: what is kept of a worker beside its heap.
//! - `chain`: a heap as a whole one and changes of it.
//! - `memory`: workers in the memory of this process. `folder`: workers in a folder, by a journal and snapshots.

mod chain;
mod folder;
mod memory;
mod record;

pub use chain::merge as merge_heap;
pub use folder::FolderStore;
pub use memory::MemoryStore;
pub use record::{SwappedCode, WorkerRecord};

pub(crate) use record::{BeforeUpgrade, HandledMessages, OutgoingCall, WaitingHandler, bytes_of_call};

use elias_capabilities::Cause;
use elias_host::EmittedEvent;
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Why a store does not do something. For the host's log, and but for [`Self::QuotaExceeded`] and
/// [`Self::MemoryFull`] not for components.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// What is kept of a worker is damaged, and so is the state before, or there is none.
    #[error("{0}")]
    Damaged(String),
    /// The heaps would have more bytes than the store takes.
    #[error("the heaps of all workers would have more than {0} bytes")]
    Full(usize),
    /// There is no room in memory for the worker's record. The text is for whoever waits, too: it names the bound.
    #[error("{0}")]
    MemoryFull(String),
    /// A quota of whoever the workers are refuses it. The text is for whoever waits, too: it names the quota.
    #[error("{0}")]
    QuotaExceeded(String),
    /// Another process uses the folder.
    #[error("the folder {0} is in use by another process")]
    InUse(String),
    /// Another host runs the worker, and did not give it up.
    #[error("the worker runs on the host {owner}")]
    OwnedElsewhere {
        /// The host, for people.
        owner: String,
    },
    /// The epoch is not the worker's any more: another owner acquired it. Nothing was kept.
    #[error("another owner has the worker")]
    NotOwner,
    /// The heap as of this turn is not kept.
    #[error("the heap as of turn {0} is not kept")]
    NoSuchTurn(u64),
    /// The store is away; it may be back later. Of a commit it is not known whether it was kept.
    #[error("{0}")]
    Unavailable(String),
}

/// Where workers are kept. No two calls at a time are made for one worker.
///
/// A worker has one owner, which has acquired it and knows the epoch of that: whoever acquires it next gets another
/// epoch, and what the former owner commits is refused from then on.
pub trait WorkerStore: Send + Sync + 'static {
    /// Workers that have to go on without a message: with a timer set, calls without an answer, or sockets.
    ///
    /// # Errors
    /// If the store cannot be read. A worker that is damaged is left out, and said in the log.
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>>;

    /// Summaries by class and name, after this one, at most so many. Reads no heap.
    ///
    /// # Errors
    /// As of [`Self::pending`].
    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>>;

    /// The summary of one; none if there is no such worker. Reads no heap and does not acquire.
    ///
    /// # Errors
    /// If it cannot be read.
    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>>;

    /// Makes the caller the worker's owner, also where there is no such worker yet, and reads its record. Another host
    /// that has it is asked to give it up, for which this may wait some seconds.
    ///
    /// # Errors
    /// [`StoreError::OwnedElsewhere`], if another host has it and did not give it up; and if it cannot be read.
    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>>;

    /// The same for a worker that goes on without a message: one that another host has is that host's to go on with,
    /// which is not asked for it.
    ///
    /// # Errors
    /// As of [`Self::acquire`].
    fn acquire_unasked(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        self.acquire(key)
    }

    /// The heap as of a committed turn, as [`WorkerHeap::to_bytes`](elias_host::WorkerHeap::to_bytes) writes it. The
    /// last ([`WorkerRecord::turns`]) and [`WorkerRecord::restorable_turn`] are kept, and by a store of a service that
    /// has rollouts [`WorkerRecord::upgraded_from_turn`].
    ///
    /// # Errors
    /// [`StoreError::NoSuchTurn`] if it is not kept; and if it cannot be read.
    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>>;

    /// Keeps a worker in place of what was kept: whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::NotOwner`] if the epoch is not the worker's any more; and if it cannot be written. What was kept
    /// is still there then, except that after [`StoreError::Unavailable`] either may be.
    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets a worker; one that was never committed does not matter. Its epoch stays the owner's.
    ///
    /// # Errors
    /// As of [`Self::commit`].
    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Forgets a worker whose record is [damaged](StoreError::Damaged), so that it can begin anew: without reading it,
    /// where a store can. Nobody owns it afterwards.
    ///
    /// # Errors
    /// As of [`Self::acquire`] and [`Self::remove`].
    fn discard<'a>(&'a self, key: &'a WorkerKey) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let epoch = self.acquire(key).await?.epoch;
            self.remove(key, epoch).await?;
            self.release(key, epoch).await
        }
        .boxed()
    }

    /// Gives up the ownership; a worker that was never committed leaves nothing. An epoch that is not the worker's any
    /// more does not matter.
    ///
    /// # Errors
    /// If it cannot be written.
    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// A worker that was acquired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquiredWorker {
    /// By which its owner commits.
    pub epoch: u64,
    /// What is kept of it beside its heap; none of a worker that was never committed.
    pub record: Option<WorkerRecord>,
}

/// What is to be kept of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommit {
    /// The owner's.
    pub epoch: u64,
    /// All but the heap. Its `turns` is the number of the commit's version; it grows by one or more, since several
    /// turns may share a commit.
    pub record: WorkerRecord,
    /// What becomes of the heap.
    pub heap: HeapCommit,
    /// What the turns emitted, in their order; of each turn that emitted something. A store that publishes events does
    /// so in the same transaction, so that each is published once.
    pub events: Vec<TurnEvents>,
}

/// The events of one turn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnEvents {
    /// In the order in which the worker emitted them.
    pub events: Vec<EmittedEvent>,
    /// What caused the turn.
    pub cause: Cause,
}

/// What becomes of a worker's heap in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapCommit {
    /// It is as it was: only the record changed.
    Unchanged,
    /// These pages changed since the last commit: [`HeapChange::to_bytes`](elias_host::HeapChange::to_bytes).
    Change(Vec<u8>),
    /// All of it: in the first commit, in one after an upgrade, or where the change would be larger.
    /// [`WorkerHeap::to_bytes`](elias_host::WorkerHeap::to_bytes).
    Whole(Vec<u8>),
    /// It is as it was at a former committed turn: a handler that waited was undone, or the deployment that moved the
    /// worker to another version.
    BackTo(u64),
}

/// What is known of a worker without its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSummary {
    /// Which worker.
    pub key: WorkerKey,
    /// How many turns were committed.
    pub turns: u64,
    /// Whether a handler waits.
    pub is_waiting: bool,
    /// When the next timer or alarm may enter, in milliseconds since 1970.
    pub next_due: Option<u64>,
    /// Whether calls of it have no answer, or it has sockets.
    pub has_calls: bool,
    /// Bytes that the store has of its heap, changes that were not merged yet among them.
    pub heap_bytes: u64,
}

impl WorkerSummary {
    /// Of a worker with this record.
    #[must_use]
    pub fn of(record: &WorkerRecord, heap_bytes: u64) -> Self {
        Self {
            key: record.key.clone(),
            turns: record.turns,
            is_waiting: record.is_waiting(),
            next_due: record.next_due(),
            has_calls: record.has_calls(),
            heap_bytes,
        }
    }

    /// Whether it has to go on without a message.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.next_due.is_some() || self.has_calls
    }
}
