//! Workers in the memory of this process.

use super::chain::{Chain, Merge, merge};
use super::{AcquiredWorker, StoreError, WorkerCommit, WorkerRecord, WorkerStore, WorkerSummary};
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

/// Commits that are kept of a worker before its changes are merged.
const STEPS_MAX: usize = 64;

/// Workers in the memory of this process: heaps of more than [`Self::BYTES_MAX`] bytes together are not taken.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    bytes_max: usize,
    /// Whether a worker is forgotten that its owner releases.
    forgets: bool,
    merge: Merge,
    workers: Arc<Mutex<MemoryWorkers>>,
}

#[derive(Debug, Default)]
struct MemoryWorkers {
    workers: BTreeMap<WorkerKey, MemoryWorker>,
    /// The epochs of owners.
    owners: HashMap<WorkerKey, u64>,
    /// How often a worker was acquired, and how many commits there were.
    epochs: u64,
    commits: u64,
    /// Bytes of all heaps, and of the values in all records.
    bytes: usize,
}

#[derive(Debug)]
struct MemoryWorker {
    record: WorkerRecord,
    chain: Chain<Arc<[u8]>>,
}

impl MemoryStore {
    /// Bytes of heaps at most, unless [`Self::with_bytes_max`] says otherwise: 1 GiB.
    pub const BYTES_MAX: usize = 1 << 30;

    /// A store that takes heaps of so many bytes together.
    #[must_use]
    pub fn with_bytes_max(bytes_max: usize) -> Self {
        Self { bytes_max, forgets: false, merge, workers: Arc::default() }
    }

    /// A store that takes heaps of so many bytes together, and forgets each worker which leaves memory, unless it has
    /// to go on without a message.
    #[must_use]
    pub fn forgetting(bytes_max: usize) -> Self {
        Self { forgets: true, ..Self::with_bytes_max(bytes_max) }
    }

    /// A store whose heaps are in another form than that of `elias-host`.
    #[cfg(test)]
    pub(crate) fn with_merge(merge: Merge) -> Self {
        Self { merge, ..Self::default() }
    }

    /// What is kept of a worker beside its heap.
    #[cfg(test)]
    pub(crate) fn record(&self, key: &WorkerKey) -> Option<WorkerRecord> {
        self.workers.lock().workers.get(key).map(|worker| worker.record.clone())
    }

    /// Whether to keep this may take a while.
    fn may_merge(&self, commit: &WorkerCommit) -> bool {
        let workers = self.workers.lock();
        let steps = workers.workers.get(&commit.record.key).map_or(0, |worker| worker.chain.len());
        let added = commit.heap.bytes().len() + commit.record.value_bytes();
        steps >= STEPS_MAX || workers.bytes + added > self.bytes_max
    }

    fn keep(&self, commit: WorkerCommit) -> Result<(), StoreError> {
        let WorkerCommit { epoch, record, heap, .. } = commit;
        let (seq, mut chain, others) = {
            let workers = &mut *self.workers.lock();
            workers.check_owner(&record.key, epoch)?;
            workers.commits += 1;
            let (chain, before) = match workers.workers.get(&record.key) {
                Some(worker) => (worker.chain.clone(), worker.bytes()),
                None => (Chain::default(), 0),
            };
            (workers.commits, chain, workers.bytes - before)
        };
        if let Some(step) = heap.step(seq, record.turns, Arc::from(heap.bytes())) {
            chain.push(step, record.upgraded_from_turn().or(record.restorable_turn()));
        }
        let mut worker = MemoryWorker { record, chain };
        if worker.chain.len() > STEPS_MAX || others + worker.bytes() > self.bytes_max {
            // Without the lock, which threads take that run futures.
            worker.merge(self.merge, seq)?;
        }
        let workers = &mut *self.workers.lock();
        workers.check_owner(&worker.record.key, epoch)?;
        let before = workers.workers.get(&worker.record.key).map_or(0, MemoryWorker::bytes);
        let (others, bytes) = (workers.bytes - before, worker.bytes());
        // A worker that does not grow is taken, or none could put back what it did.
        if others + bytes > self.bytes_max && bytes > before {
            return Err(StoreError::Full(self.bytes_max));
        }
        workers.bytes = others + bytes;
        workers.workers.insert(worker.record.key.clone(), worker);
        Ok(())
    }

    fn read(&self, key: &WorkerKey, turn: u64) -> Result<Vec<u8>, StoreError> {
        let places = {
            let workers = self.workers.lock();
            let worker = workers.workers.get(key).filter(|worker| turn <= worker.record.turns);
            worker.and_then(|worker| worker.chain.resolve(turn))
        };
        merge_places(self.merge, &places.ok_or(StoreError::NoSuchTurn(turn))?)
    }
}

impl MemoryWorkers {
    fn check_owner(&self, key: &WorkerKey, epoch: u64) -> Result<(), StoreError> {
        if self.owners.get(key) == Some(&epoch) { Ok(()) } else { Err(StoreError::NotOwner) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_bytes_max(Self::BYTES_MAX)
    }
}

impl MemoryWorker {
    /// Bytes of its heaps, and of the values in its record.
    fn bytes(&self) -> usize {
        self.heap_bytes() + self.record.value_bytes()
    }

    fn heap_bytes(&self) -> usize {
        self.chain.places().map(|bytes| bytes.len()).sum()
    }

    fn summary(&self) -> WorkerSummary {
        WorkerSummary::of(&self.record, self.heap_bytes() as u64)
    }

    /// Puts whole heaps in place of changes.
    fn merge(&mut self, merge: Merge, seq: u64) -> Result<(), StoreError> {
        // In their order: a handler that waits began after the upgrade.
        let turns = [self.record.upgraded_from_turn(), self.record.restorable_turn(), Some(self.record.turns)];
        let mut wholes: Vec<(u64, Arc<[u8]>)> = Vec::new();
        for turn in turns.into_iter().flatten() {
            let places = self.chain.resolve(turn).ok_or(StoreError::NoSuchTurn(turn))?;
            wholes.push((turn, Arc::from(merge_places(merge, &places)?)));
        }
        self.chain.replace_through(seq, wholes);
        Ok(())
    }
}

fn merge_places(merge: Merge, places: &[Arc<[u8]>]) -> Result<Vec<u8>, StoreError> {
    let (whole, changes) = places.split_first().ok_or(StoreError::Damaged("there is no heap".to_owned()))?;
    let changes: Vec<Vec<u8>> = changes.iter().map(|change| change.to_vec()).collect();
    merge(whole, &changes).map_err(StoreError::Damaged)
}

impl WorkerStore for MemoryStore {
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        let workers = self.workers.lock();
        let pending = workers.workers.values().map(MemoryWorker::summary).filter(WorkerSummary::is_pending);
        ready(Ok(pending.collect())).boxed()
    }

    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let workers = self.workers.lock();
        let listed = workers.workers.range((from, Bound::Unbounded)).take(limit);
        ready(Ok(listed.map(|(_, worker)| worker.summary()).collect())).boxed()
    }

    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>> {
        ready(Ok(self.workers.lock().workers.get(key).map(MemoryWorker::summary))).boxed()
    }

    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        let mut workers = self.workers.lock();
        workers.epochs += 1;
        let epoch = workers.epochs;
        workers.owners.insert(key.clone(), epoch);
        let record = workers.workers.get(key).map(|worker| worker.record.clone());
        ready(Ok(AcquiredWorker { epoch, record })).boxed()
    }

    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let key = key.clone();
        aside(self, move |store| store.read(&key, turn))
    }

    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.may_merge(&commit) {
            return aside(self, move |store| store.keep(commit));
        }
        ready(self.keep(commit)).boxed()
    }

    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let workers = &mut *self.workers.lock();
        if let Err(error) = workers.check_owner(key, epoch) {
            return ready(Err(error)).boxed();
        }
        if let Some(removed) = workers.workers.remove(key) {
            workers.bytes -= removed.bytes();
        }
        ready(Ok(())).boxed()
    }

    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let workers = &mut *self.workers.lock();
        if workers.owners.get(key) == Some(&epoch) {
            workers.owners.remove(key);
            let rests = workers.workers.get(key).is_some_and(|worker| !worker.summary().is_pending());
            if self.forgets
                && rests
                && let Some(forgotten) = workers.workers.remove(key)
            {
                workers.bytes -= forgotten.bytes();
            }
        }
        ready(Ok(())).boxed()
    }
}

/// Does what may merge heaps, beside the threads that run futures.
fn aside<T: Send + 'static>(
    store: &MemoryStore,
    work: impl FnOnce(&MemoryStore) -> Result<T, StoreError> + Send + 'static,
) -> BoxFuture<'static, Result<T, StoreError>> {
    let store = store.clone();
    let work = tokio::task::spawn_blocking(move || work(&store));
    async move { work.await.map_err(|error| StoreError::Io(std::io::Error::other(error)))? }.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::HeapCommit;
    use elias_host::ReplyResult;

    /// A heap is a text, to which changes are appended.
    fn append(whole: &[u8], changes: &[Vec<u8>]) -> Result<Vec<u8>, String> {
        Ok(changes.iter().fold(whole.to_vec(), |heap, change| [heap.as_slice(), change].concat()))
    }

    fn store(bytes_max: usize) -> MemoryStore {
        MemoryStore { bytes_max, ..MemoryStore::with_merge(append) }
    }

    async fn commit(store: &MemoryStore, name: &str, turns: u64, heap: HeapCommit) -> Result<(), StoreError> {
        let key = WorkerKey::new("Cart", name);
        let epoch = store.acquire(&key).await.expect("nobody else has it").epoch;
        let record = WorkerRecord { turns, ..WorkerRecord::new(key) };
        store.commit(WorkerCommit { epoch, record, heap, events: Vec::new() }).await
    }

    #[tokio::test]
    async fn heaps_in_memory_are_bounded_together() {
        let store = store(100);
        let whole = |bytes: usize| HeapCommit::Whole(vec![b'x'; bytes]);
        commit(&store, "a", 1, whole(60)).await.expect("there is room");
        assert!(matches!(commit(&store, "b", 1, whole(41)).await, Err(StoreError::Full(100))));
        commit(&store, "b", 1, whole(40)).await.expect("there is room");
        assert!(matches!(commit(&store, "a", 2, HeapCommit::Change(vec![1])).await, Err(StoreError::Full(100))));
        let key = WorkerKey::new("Cart", "a");
        assert_eq!(store.heap(&key, 1).await.expect("it is as it was"), vec![b'x'; 60]);
        commit(&store, "a", 2, whole(60)).await.expect("it does not grow");
        let epoch = store.acquire(&key).await.expect("nobody else has it").epoch;
        store.remove(&key, epoch).await.expect("it is removed");
        commit(&store, "b", 2, whole(100)).await.expect("there is room again");
    }

    #[tokio::test]
    async fn values_of_records_count_as_heaps_do() {
        let store = store(100);
        let key = WorkerKey::new("Cart", "a");
        let epoch = store.acquire(&key).await.expect("nobody else has it").epoch;
        let heap = || HeapCommit::Whole(vec![b'x'; 50]);
        let mut record = WorkerRecord { turns: 1, ..WorkerRecord::new(key.clone()) };
        record.replies.store("1", ReplyResult::Value("x".repeat(60)));
        let refused =
            store.commit(WorkerCommit { epoch, record: record.clone(), heap: heap(), events: Vec::new() }).await;
        assert!(matches!(refused, Err(StoreError::Full(100))), "{refused:?}");
        record.replies.forget("1");
        store.commit(WorkerCommit { epoch, record, heap: heap(), events: Vec::new() }).await.expect("there is room");
        let summary = store.summary(&key).await.expect("it is read").expect("it is there");
        assert_eq!(summary.heap_bytes, 50);
    }

    #[tokio::test]
    async fn a_worker_is_forgotten_when_it_is_released_where_that_is_said() {
        for forgets in [false, true] {
            let store = MemoryStore { forgets, ..store(100) };
            commit(&store, "a", 1, HeapCommit::Whole(vec![b'x'; 60])).await.expect("there is room");
            let key = WorkerKey::new("Cart", "a");
            let epoch = store.acquire(&key).await.expect("it is there").epoch;
            store.release(&key, epoch).await.expect("it is the owner's");
            assert_eq!(store.summary(&key).await.expect("it is read").is_none(), forgets);
            assert_eq!(store.workers.lock().bytes == 0, forgets);
        }
    }

    #[tokio::test]
    async fn changes_are_merged_and_only_the_owner_commits() {
        let store = store(10_000);
        commit(&store, "a", 1, HeapCommit::Whole(b"a".to_vec())).await.expect("there is room");
        for turn in 2..=200 {
            commit(&store, "a", turn, HeapCommit::Change(b"+".to_vec())).await.expect("there is room");
        }
        let key = WorkerKey::new("Cart", "a");
        assert_eq!(store.heap(&key, 200).await.expect("it is there").len(), 200);
        assert!(store.workers.lock().workers[&key].chain.len() <= STEPS_MAX);
        assert!(matches!(store.heap(&key, 201).await, Err(StoreError::NoSuchTurn(201))));
        let former = store.acquire(&key).await.expect("it is there").epoch;
        let AcquiredWorker { epoch, record } = store.acquire(&key).await.expect("it is there");
        let record = record.expect("it was committed");
        let late =
            WorkerCommit { epoch: former, record: record.clone(), heap: HeapCommit::Unchanged, events: Vec::new() };
        assert!(matches!(store.commit(late).await, Err(StoreError::NotOwner)));
        assert!(matches!(store.remove(&key, former).await, Err(StoreError::NotOwner)));
        store.release(&key, former).await.expect("it does not matter");
        store
            .commit(WorkerCommit { epoch, record, heap: HeapCommit::Unchanged, events: Vec::new() })
            .await
            .expect("it is the owner");
    }
}
