//! Where the heaps of workers are kept.

mod folder;
mod format;

pub use folder::FolderStore;

use elias_host::ReplyResult;
use elias_workers::{Timers, WorkerKey};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A worker at rest: what the last committed turn left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredWorker {
    /// All but its memory.
    pub record: WorkerRecord,
    /// Its heap, as [`WorkerHeap::to_bytes`](elias_host::WorkerHeap::to_bytes) writes it.
    pub heap: Vec<u8>,
    /// Where a handler waits: the heap of before that handler, if the worker had been started then.
    pub before: Option<Vec<u8>>,
}

/// What is kept of a worker beside its heap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Which worker.
    pub key: WorkerKey,
    /// How many turns were committed.
    pub turns: u64,
    /// The time of the last turn, in milliseconds since 1970. Time does not go back for a worker.
    pub now: u64,
    /// Its timers and alarms.
    #[serde(default)]
    pub(crate) timers: Timers,
    /// The handler that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<WaitingHandler>,
    /// Its calls to others that have no answer, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) calls: BTreeMap<u64, OutgoingCall>,
    /// Answers to calls of other workers, by the ids of the calls, until the caller has committed them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) answers: BTreeMap<String, ReplyResult>,
}

impl WorkerRecord {
    /// Of a worker that has had no turn.
    pub(crate) fn new(key: WorkerKey) -> Self {
        Self {
            key,
            turns: 0,
            now: 0,
            timers: Timers::default(),
            waiting: None,
            calls: BTreeMap::new(),
            answers: BTreeMap::new(),
        }
    }

    /// Whether a handler waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// When the next timer or alarm may enter, in milliseconds since 1970.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.timers.next(self.is_waiting()).map(|(at, _)| at)
    }
}

/// A handler that waits for other workers or timers, and what the worker was before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingHandler {
    /// The id of its message.
    pub(crate) id: String,
    /// The worker that waits for its answer, and the number of that one's call.
    #[serde(default)]
    pub(crate) caller: Option<(WorkerKey, u64)>,
    pub(crate) timers: Timers,
    pub(crate) calls: BTreeMap<u64, OutgoingCall>,
    /// The answers that the worker has had meanwhile, by callee and id. Their callees keep them until the handler is
    /// done: a worker that is put back asks again.
    #[serde(default)]
    pub(crate) received: Vec<(WorkerKey, String)>,
}

/// A call to another worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutgoingCall {
    pub(crate) id: String,
    pub(crate) to: WorkerKey,
    pub(crate) method: Option<String>,
    pub(crate) value: String,
}

/// Why a store does not do something. For the host's log, and not for components.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A worker's file is damaged, and so is the one before, or there is none.
    #[error("{0}")]
    Damaged(String),
    /// Another process uses the folder.
    #[error("the folder {0} is in use by another process")]
    InUse(String),
}

/// Where heaps are kept. The methods may block. No two at a time are called for one worker.
pub trait HeapStore: Send + Sync + 'static {
    /// The records of all workers.
    ///
    /// # Errors
    /// If they cannot be read. A worker that is damaged is left out, and said in the log.
    fn list(&self) -> Result<Vec<WorkerRecord>, StoreError>;

    /// A worker; none if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    fn load(&self, key: &WorkerKey) -> Result<Option<StoredWorker>, StoreError>;

    /// Keeps a worker in place of what was kept of it: after an error, that is still there.
    ///
    /// # Errors
    /// If it cannot be written.
    fn save(&self, worker: &StoredWorker) -> Result<(), StoreError>;

    /// Forgets a worker. One that does not exist does not matter.
    ///
    /// # Errors
    /// If it cannot be removed.
    fn remove(&self, key: &WorkerKey) -> Result<(), StoreError>;
}

/// Heaps in the memory of this process.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<BTreeMap<WorkerKey, StoredWorker>>);

impl HeapStore for MemoryStore {
    fn list(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        Ok(self.0.lock().values().map(|worker| worker.record.clone()).collect())
    }

    fn load(&self, key: &WorkerKey) -> Result<Option<StoredWorker>, StoreError> {
        Ok(self.0.lock().get(key).cloned())
    }

    fn save(&self, worker: &StoredWorker) -> Result<(), StoreError> {
        self.0.lock().insert(worker.record.key.clone(), worker.clone());
        Ok(())
    }

    fn remove(&self, key: &WorkerKey) -> Result<(), StoreError> {
        self.0.lock().remove(key);
        Ok(())
    }
}
