//! A store in memory that counts commits, holds them up, and fails when it is told so.

use super::{fake, key};
use crate::store::{
    AcquiredWorker, MemoryStore, StoreError, TurnEvents, WorkerCommit, WorkerRecord, WorkerStore, WorkerSummary,
};
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

pub(super) struct TestStore {
    memory: MemoryStore,
    /// Whether the disk is full.
    pub(super) is_full: AtomicBool,
    /// Whether another host has all workers.
    pub(super) is_elsewhere: AtomicBool,
    /// Of which worker the next commit is kept, and nobody told so.
    pub(super) loses_response_of: Mutex<Option<String>>,
    /// Whether the record of each worker is damaged.
    pub(super) is_damaged: AtomicBool,
    /// The quota that refuses commits.
    pub(super) quota: Mutex<Option<String>>,
    /// Commits wait while somebody else has this.
    pub(super) gate: tokio::sync::RwLock<()>,
    /// Workers are read while nobody else has this.
    pub(super) reading: tokio::sync::RwLock<()>,
    /// Workers that are being read, and how many there were at most at a time.
    readers: AtomicUsize,
    most_readers: AtomicUsize,
    /// How often one was read.
    reads: AtomicUsize,
    /// How often the summary of one was asked for.
    summaries: AtomicUsize,
    /// Whether another host was asked to give a worker up.
    pub(super) has_asked: AtomicBool,
    commits: AtomicUsize,
    events: Mutex<Vec<TurnEvents>>,
    released: Mutex<Vec<WorkerKey>>,
}

impl Default for TestStore {
    fn default() -> Self {
        Self {
            memory: MemoryStore::with_merge(fake::merge),
            is_full: AtomicBool::new(false),
            is_elsewhere: AtomicBool::new(false),
            loses_response_of: Mutex::default(),
            is_damaged: AtomicBool::new(false),
            quota: Mutex::default(),
            gate: tokio::sync::RwLock::default(),
            reading: tokio::sync::RwLock::default(),
            readers: AtomicUsize::new(0),
            most_readers: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            summaries: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
            commits: AtomicUsize::new(0),
            events: Mutex::default(),
            released: Mutex::default(),
        }
    }
}

impl TestStore {
    /// How many commits there were.
    pub(super) fn commits(&self) -> usize {
        self.commits.load(SeqCst)
    }

    /// What turns emitted, with the commits that were kept.
    pub(super) fn events(&self) -> Vec<TurnEvents> {
        self.events.lock().clone()
    }

    /// Workers that are being read, and how many there were at most at a time.
    pub(super) fn readers(&self) -> (usize, usize) {
        (self.readers.load(SeqCst), self.most_readers.load(SeqCst))
    }

    /// How often a worker was read.
    pub(super) fn reads(&self) -> usize {
        self.reads.load(SeqCst)
    }

    /// How often the summary of a worker was asked for.
    pub(super) fn summaries(&self) -> usize {
        self.summaries.load(SeqCst)
    }

    async fn read(&self, key: &WorkerKey) -> Result<AcquiredWorker, StoreError> {
        let readers = self.readers.fetch_add(1, SeqCst) + 1;
        self.most_readers.fetch_max(readers, SeqCst);
        drop(self.reading.read().await);
        self.readers.fetch_sub(1, SeqCst);
        self.reads.fetch_add(1, SeqCst);
        if self.is_elsewhere.load(SeqCst) {
            return Err(StoreError::OwnedElsewhere { owner: "another".to_owned() });
        }
        if self.is_damaged.load(SeqCst) {
            return Err(StoreError::Damaged("it was altered".to_owned()));
        }
        self.memory.acquire(key).await
    }

    /// What is kept of a worker that is there.
    pub(super) fn record(&self, name: &str) -> WorkerRecord {
        self.memory.record(&key(name)).expect("it is there")
    }

    /// The names of workers that were released.
    pub(super) fn released(&self) -> Vec<String> {
        self.released.lock().iter().map(|key| key.name.clone()).collect()
    }

    /// Has another owner of this process take a worker.
    pub(super) async fn take(&self, name: &str) -> AcquiredWorker {
        self.memory.acquire(&key(name)).await.expect("it is read")
    }
}

impl WorkerStore for TestStore {
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        self.memory.pending()
    }

    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        self.memory.list(after, limit)
    }

    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>> {
        self.summaries.fetch_add(1, SeqCst);
        self.memory.summary(key)
    }

    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        let key = key.clone();
        async move {
            if self.is_elsewhere.load(SeqCst) {
                self.has_asked.store(true, SeqCst);
            }
            self.read(&key).await
        }
        .boxed()
    }

    fn acquire_unasked(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        let key = key.clone();
        async move { self.read(&key).await }.boxed()
    }

    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.memory.heap(key, turn)
    }

    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            drop(self.gate.read().await);
            if self.is_full.load(SeqCst) {
                return Err(StoreError::Io(std::io::Error::from(std::io::ErrorKind::StorageFull)));
            }
            if let Some(quota) = self.quota.lock().clone() {
                return Err(StoreError::QuotaExceeded(quota));
            }
            self.commits.fetch_add(1, SeqCst);
            let name = commit.record.key.name.clone();
            let events = commit.events.clone();
            self.memory.commit(commit).await?;
            self.events.lock().extend(events);
            let mut loses = self.loses_response_of.lock();
            if loses.as_ref() == Some(&name) {
                *loses = None;
                return Err(StoreError::Unavailable("the connection was lost".to_owned()));
            }
            Ok(())
        }
        .boxed()
    }

    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.memory.remove(key, epoch)
    }

    fn discard<'a>(&'a self, key: &'a WorkerKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.is_damaged.store(false, SeqCst);
        self.memory.discard(key)
    }

    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.released.lock().push(key.clone());
        self.memory.release(key, epoch)
    }
}
