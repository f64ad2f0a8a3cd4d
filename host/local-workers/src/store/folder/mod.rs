//! Workers in a folder: a journal of all commits, and a file for each worker.
//!
//! A commit is a record at the end of the journal, and all commits that wait at a time are one write and one fsync. The
//! journal has segments; when one is full the next begins, and the workers that have commits in the former ones are
//! written to files of their own, in the background, after which those segments are removed. So what is read at the
//! start is bounded, however many turns there were.
//!
//! - `frame`: records of the journal as bytes. `snapshot`: a worker's file.
//! - `index`: what is known in memory: a summary of each worker, and where the rest is.
//! - `recovery`: what a former process left. `writer`: the thread that appends to the journal.
//! - `checkpoint`: writes workers to their files. `reading`: records and heaps.

mod checkpoint;
mod frame;
mod index;
mod reading;
mod recovery;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

use super::chain::{Merge, merge};
use super::{AcquiredWorker, StoreError, WorkerCommit, WorkerStore, WorkerSummary};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_atomic_write::Fsync;
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use index::{Entry, Index};
use parking_lot::{Condvar, Mutex};
use std::fs::{File, TryLockError};
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::sync::oneshot;
use writer::{Request, RequestChange, WriterThread};

/// The ends of the names of files: a worker's, the one that was before it, and one that was damaged.
const CURRENT: &str = ".worker";
const BEFORE: &str = ".worker.before";
const DAMAGED: &str = ".worker.damaged";

/// The beginning of the names of the journal's segments, and the digits of their numbers.
const JOURNAL: &str = "journal.";
const JOURNAL_DIGITS: usize = 10;

/// The file that is locked as long as a process uses the folder.
const LOCK: &str = "lock";

/// Bytes of a segment of the journal, after which the next begins. A commit that is larger has one to itself. There are
/// two, or what a process that was killed left beside them.
const SEGMENT_BYTES: u64 = 16 << 20;

/// Workers in a folder. A commit is in the journal; from time to time each worker is written to a file of its own,
/// whose name is the SHA-256 of class and name, so that no name of a worker is a path. All have checksums. If a record
/// of the journal or a worker's file is damaged the state before is taken, and that is said in the log.
///
/// In memory it has the summaries of all workers, some 500 bytes each.
#[derive(Debug)]
pub struct FolderStore {
    shared: Arc<Shared>,
    writer: WriterThread,
    /// Locked until it is closed, which the system does also for a process that is killed.
    _lock: File,
}

/// What the threads of a folder share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    folder: Dir,
    fsync: Fsync,
    bytes_max: AtomicUsize,
    segment_bytes: u64,
    merge: Merge,
    hook: DiskHook,
    index: Mutex<Index>,
    /// Told when changes have been written.
    written: Condvar,
}

/// What is about to be done to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiskOperation {
    /// Records are appended to the journal.
    Append,
    /// The journal is synced.
    Sync,
    /// A segment of the journal is begun.
    Segment,
    /// A worker's file is replaced.
    Snapshot,
    /// Segments of the journal are removed.
    Prune,
}

/// Told of what is about to be done, which it can have fail: for tests.
#[derive(Clone)]
struct DiskHook(Arc<dyn Fn(DiskOperation) -> std::io::Result<()> + Send + Sync>);

impl std::fmt::Debug for DiskHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DiskHook")
    }
}

/// How a folder is used.
struct Options {
    fsync: Fsync,
    segment_bytes: u64,
    merge: Merge,
    hook: DiskHook,
}

impl Options {
    fn new(fsync: Fsync) -> Self {
        Self { fsync, segment_bytes: SEGMENT_BYTES, merge, hook: DiskHook(Arc::new(|_| Ok(()))) }
    }
}

impl FolderStore {
    /// Bytes of all files at most, unless [`Self::with_bytes_max`] says otherwise: 16 GiB.
    pub const BYTES_MAX: usize = 16 << 30;

    /// The workers in this folder, which is made if it is missing, for its owner alone (mode 0700). `fsync` says what
    /// of a commit survives a power loss; a process that is killed loses no commit whatever it is.
    ///
    /// # Errors
    /// If the folder cannot be made or opened, and [`StoreError::InUse`].
    pub fn open(path: impl Into<PathBuf>, fsync: Fsync) -> Result<Self, StoreError> {
        Self::open_with(path.into(), Options::new(fsync))
    }

    fn open_with(path: PathBuf, options: Options) -> Result<Self, StoreError> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let folder = Dir::open_ambient_dir(&path, ambient_authority())?;
        let index = recovery::read(&folder, &path)?;
        let Options { fsync, segment_bytes, merge, hook } = options;
        let bytes_max = AtomicUsize::new(Self::BYTES_MAX);
        let (index, written) = (Mutex::new(index), Condvar::new());
        let shared = Arc::new(Shared { path, folder, fsync, bytes_max, segment_bytes, merge, hook, index, written });
        let writer = WriterThread::start(Arc::clone(&shared))?;
        Ok(Self { shared, writer, _lock: lock })
    }

    /// The same, for files of at most so many bytes together.
    #[must_use]
    pub fn with_bytes_max(self, bytes_max: usize) -> Self {
        self.shared.bytes_max.store(bytes_max, SeqCst);
        self
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Has the writer change something.
    fn change(&self, change: RequestChange) -> BoxFuture<'static, Result<(), StoreError>> {
        let (done, outcome) = oneshot::channel();
        let closed = || StoreError::Unavailable("the folder of the workers was closed".to_owned());
        if !self.writer.send(Request { change, done }) {
            return ready(Err(closed())).boxed();
        }
        async move { outcome.await.unwrap_or_else(|_| Err(closed())) }.boxed()
    }

    /// Reads beside the threads that run futures.
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || read(&shared));
        async move { read.await.map_err(|error| StoreError::Io(std::io::Error::other(error)))? }.boxed()
    }
}

impl Shared {
    /// Has a worker another owner; gives its epoch. What a former owner sent to the writer is refused from here on, and
    /// what is being written of it is waited for: it is part of what the new owner reads.
    fn become_owner(&self, key: &WorkerKey) -> u64 {
        let mut index = self.index.lock();
        index.epochs += 1;
        let epoch = index.epochs;
        index.owners.insert(key.clone(), epoch);
        while index.writing.contains(key) {
            self.written.wait(&mut index);
        }
        epoch
    }

    /// Ends the ownership of this epoch.
    fn release(&self, key: &WorkerKey, epoch: u64) {
        let owners = &mut self.index.lock().owners;
        if owners.get(key) == Some(&epoch) {
            owners.remove(key);
        }
    }
}

impl WorkerStore for FolderStore {
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        let index = self.shared.index.lock();
        let pending = index.workers.values().map(|entry| &entry.summary).filter(|summary| summary.is_pending());
        ready(Ok(pending.cloned().collect())).boxed()
    }

    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let index = self.shared.index.lock();
        let listed = index.workers.range((from, Bound::Unbounded)).take(limit);
        ready(Ok(listed.map(|(_, entry)| entry.summary.clone()).collect())).boxed()
    }

    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>> {
        ready(Ok(self.shared.index.lock().workers.get(key).map(|entry: &Entry| entry.summary.clone()))).boxed()
    }

    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        let key = key.clone();
        self.read(move |shared| {
            let epoch = shared.become_owner(&key);
            let record = shared.read_record(&key).inspect_err(|_| shared.release(&key, epoch))?;
            Ok(AcquiredWorker { epoch, record })
        })
    }

    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let key = key.clone();
        self.read(move |shared| shared.read_heap(&key, turn))
    }

    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>> {
        self.change(RequestChange::Commit(Box::new(commit)))
    }

    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.change(RequestChange::Remove { key: key.clone(), epoch })
    }

    fn discard<'a>(&'a self, key: &'a WorkerKey) -> BoxFuture<'a, Result<(), StoreError>> {
        let damaged = key.clone();
        let becoming = self.read(move |shared| Ok(shared.become_owner(&damaged)));
        async move {
            let epoch = becoming.await?;
            let removed = self.change(RequestChange::Remove { key: key.clone(), epoch }).await;
            self.shared.release(key, epoch);
            removed
        }
        .boxed()
    }

    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.shared.release(key, epoch);
        ready(Ok(())).boxed()
    }
}
