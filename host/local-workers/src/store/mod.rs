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

impl StoredWorker {
    /// Bytes of its heaps.
    fn heap_bytes(&self) -> usize {
        self.heap.len() + self.before.as_ref().map_or(0, Vec::len)
    }
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

    /// Bytes of the values of calls that have no answer.
    pub(crate) fn call_bytes(&self) -> usize {
        self.calls.values().map(|call| call.value.len()).sum()
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
    /// The heaps would have more bytes than the store takes.
    #[error("the heaps of all workers would have more than {0} bytes")]
    Full(usize),
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

/// Heaps in the memory of this process: those of more than [`Self::BYTES_MAX`] bytes together are not taken.
#[derive(Debug)]
pub struct MemoryStore {
    bytes_max: usize,
    heaps: Mutex<MemoryHeaps>,
}

#[derive(Debug, Default)]
struct MemoryHeaps {
    workers: BTreeMap<WorkerKey, StoredWorker>,
    /// Bytes of the heaps of all workers.
    bytes: usize,
}

impl MemoryStore {
    /// Bytes of heaps at most, unless [`Self::with_bytes_max`] says otherwise: 1 GiB.
    pub const BYTES_MAX: usize = 1 << 30;

    /// A store that takes heaps of so many bytes together.
    #[must_use]
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self { bytes_max, heaps: Mutex::default() }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_bytes_max(Self::BYTES_MAX)
    }
}

impl HeapStore for MemoryStore {
    fn list(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        Ok(self.heaps.lock().workers.values().map(|worker| worker.record.clone()).collect())
    }

    fn load(&self, key: &WorkerKey) -> Result<Option<StoredWorker>, StoreError> {
        Ok(self.heaps.lock().workers.get(key).cloned())
    }

    fn save(&self, worker: &StoredWorker) -> Result<(), StoreError> {
        let mut heaps = self.heaps.lock();
        let replaced = heaps.workers.get(&worker.record.key).map_or(0, StoredWorker::heap_bytes);
        let bytes = heaps.bytes - replaced + worker.heap_bytes();
        // A worker that does not grow is taken, or none could put back what it did.
        if bytes > self.bytes_max && bytes > heaps.bytes {
            return Err(StoreError::Full(self.bytes_max));
        }
        heaps.bytes = bytes;
        heaps.workers.insert(worker.record.key.clone(), worker.clone());
        Ok(())
    }

    fn remove(&self, key: &WorkerKey) -> Result<(), StoreError> {
        let mut heaps = self.heaps.lock();
        if let Some(removed) = heaps.workers.remove(key) {
            heaps.bytes -= removed.heap_bytes();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heaps_in_memory_are_bounded_together() {
        let store = MemoryStore::with_bytes_max(100);
        let worker = |name: &str, bytes: usize| {
            let record = WorkerRecord::new(WorkerKey::new("Cart", name));
            StoredWorker { record, heap: vec![0; bytes], before: Some(vec![0; 10]) }
        };
        store.save(&worker("a", 50)).expect("there is room");
        assert!(matches!(store.save(&worker("b", 31)), Err(StoreError::Full(100))));
        store.save(&worker("b", 30)).expect("there is room");
        assert!(matches!(store.save(&worker("a", 51)), Err(StoreError::Full(100))));
        assert_eq!(store.load(&worker("a", 0).record.key).expect("it is read"), Some(worker("a", 50)));
        store.remove(&worker("a", 0).record.key).expect("it is removed");
        store.save(&worker("b", 90)).expect("there is room again");
    }
}
