//! The service workers of one project, which run in this process ([`elias_local_workers`]), and where their heaps are.

use crate::worker_events::WorkerEvents;
use elias_command_line::{CliErrorCode, Failure};
use elias_host::App;
use elias_local_workers::{
    AcquiredWorker, FolderStore, Fsync, LocalWorkers, OtherVersion, StoreError, WorkerCommit, WorkerKey, WorkerStore,
    WorkerSummary,
};
use elias_workers::config::{InvalidSetting, WorkersConfig};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Workers that are in memory at a time. They are instances of the host beside those of requests.
pub(crate) const AWAKE: u32 = 64;

/// Where heaps are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heaps {
    /// In memory: they are lost with the process.
    Memory,
    /// In this folder. A commit survives a power loss, too.
    Folder(PathBuf),
    /// In this folder of a project that is being developed, which is made when the first worker is kept.
    Development(PathBuf),
}

impl Heaps {
    /// The folder, for an error about it.
    pub(crate) fn folder(&self) -> PathBuf {
        match self {
            Self::Memory => PathBuf::from("memory"),
            Self::Folder(folder) | Self::Development(folder) => folder.clone(),
        }
    }

    /// Where the heaps are, for people; a whole line.
    pub(crate) fn line(&self) -> String {
        match self {
            Self::Memory => {
                "workers run in memory: they are lost when the process ends; --workers-dir keeps them\n".to_owned()
            }
            Self::Folder(folder) | Self::Development(folder) => format!("workers are kept in {}\n", folder.display()),
        }
    }
}

/// The workers, which do not run yet, by the table `[workers]`. Where the component is `followed` as it changes, a
/// worker of another version is moved, or begins anew if it cannot be; else it is refused. `events` publishes what they
/// emit, and what becomes of them.
///
/// # Errors
/// `bad-configuration`, if the table is wrong; `io`, if the folder cannot be used.
pub(crate) fn prepare(
    heaps: &Heaps,
    followed: bool,
    config: &WorkersConfig,
    events: &Arc<WorkerEvents>,
) -> Result<LocalWorkers, Failure> {
    let workers = LocalWorkers::builder().awake(AWAKE as usize).config(config);
    let workers = workers.map_err(|error| Failure::new(InvalidSetting::CODE, error))?;
    let (checking, emitting) = (Arc::clone(events), Arc::clone(events));
    let (changing, supervising) = (Arc::clone(events), Arc::clone(events));
    let workers = workers
        .check_events(move |events, cause| checking.check(events, cause))
        .on_events(move |key, turn| emitting.emitted(key, &turn))
        .on_lifecycle(move |key, change| changing.changed(key, change))
        .on_change(move |key, change| supervising.supervised(key, change));
    let policy = if followed { OtherVersion::UpgradeOrBeginAnew } else { OtherVersion::Refuse };
    let workers = workers.other_version(policy);
    let workers = match heaps {
        Heaps::Memory => workers,
        Heaps::Folder(folder) => {
            let store = FolderStore::open(folder, Fsync::FileAndFolder).map_err(|error| failure(folder, &error))?;
            workers.store(Arc::new(store))
        }
        Heaps::Development(folder) => {
            let store = DevelopmentStore::new(folder.clone());
            // One that another server uses is refused now, and not when a worker is called.
            if folder.exists() {
                store.open().map_err(|error| failure(folder, &error))?;
            }
            workers.store(Arc::new(store))
        }
    };
    Ok(workers.build())
}

/// Why a folder of workers cannot be used.
pub(crate) fn failure(folder: &Path, error: &StoreError) -> Failure {
    let failure = Failure::new(CliErrorCode::Io, format_args!("the workers in {}: {error}", folder.display()));
    match error {
        StoreError::InUse(_) => failure.help("stop the other server, or name another folder"),
        _ => failure,
    }
}

/// Versions of the component that were served before this one, from which workers are moved to it. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct FormerVersions(Arc<Mutex<Vec<App>>>);

impl FormerVersions {
    /// Versions that are kept: a worker whose handler waits for longer begins anew.
    const MAX: usize = 8;

    /// Keeps a version that is not served any more.
    pub(crate) fn keep(&self, app: App) {
        let mut versions = self.0.lock();
        versions.retain(|version| version.digest() != app.digest());
        versions.push(app);
        if versions.len() > Self::MAX {
            versions.remove(0);
        }
    }

    /// Forgets versions from which all workers were moved.
    pub(crate) fn forget(&self, moved: &[App]) {
        self.0.lock().retain(|version| !moved.iter().any(|app| app.digest() == version.digest()));
    }

    /// The versions, the last at the end.
    pub(crate) fn list(&self) -> Vec<App> {
        self.0.lock().clone()
    }
}

/// The epoch of workers that were acquired before there was a folder.
const NO_FOLDER: u64 = 0;

/// A folder that is made when the first worker is kept: most projects have none.
struct DevelopmentStore {
    folder: PathBuf,
    opened: Mutex<Option<Arc<FolderStore>>>,
    /// The epochs in the folder of workers that were acquired before there was one.
    epochs: Mutex<HashMap<WorkerKey, u64>>,
}

impl DevelopmentStore {
    fn new(folder: PathBuf) -> Self {
        Self { folder, opened: Mutex::default(), epochs: Mutex::default() }
    }

    fn open(&self) -> Result<Arc<FolderStore>, StoreError> {
        let mut opened = self.opened.lock();
        if let Some(store) = &*opened {
            return Ok(Arc::clone(store));
        }
        // A worker of a development server survives that this is killed, and need not survive a power loss.
        let store = Arc::new(FolderStore::open(&self.folder, Fsync::None)?);
        *opened = Some(Arc::clone(&store));
        Ok(store)
    }

    /// The folder, if there is one.
    fn existing(&self) -> Result<Option<Arc<FolderStore>>, StoreError> {
        if self.folder.exists() { self.open().map(Some) } else { Ok(None) }
    }

    /// The epoch of a worker in the folder.
    async fn epoch_in(&self, store: &FolderStore, key: &WorkerKey, epoch: u64) -> Result<u64, StoreError> {
        if epoch != NO_FOLDER {
            return Ok(epoch);
        }
        let known = self.epochs.lock().get(key).copied();
        if let Some(epoch) = known {
            return Ok(epoch);
        }
        let epoch = store.acquire(key).await?.epoch;
        self.epochs.lock().insert(key.clone(), epoch);
        Ok(epoch)
    }
}

impl WorkerStore for DevelopmentStore {
    fn pending(&self) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        async move {
            match self.existing()? {
                Some(store) => store.pending().await,
                None => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn list(&self, after: Option<WorkerKey>, limit: usize) -> BoxFuture<'_, Result<Vec<WorkerSummary>, StoreError>> {
        async move {
            match self.existing()? {
                Some(store) => store.list(after, limit).await,
                None => Ok(Vec::new()),
            }
        }
        .boxed()
    }

    fn summary(&self, key: &WorkerKey) -> BoxFuture<'_, Result<Option<WorkerSummary>, StoreError>> {
        let key = key.clone();
        async move {
            match self.existing()? {
                Some(store) => store.summary(&key).await,
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn acquire(&self, key: &WorkerKey) -> BoxFuture<'_, Result<AcquiredWorker, StoreError>> {
        let key = key.clone();
        async move {
            self.epochs.lock().remove(&key);
            match self.existing()? {
                Some(store) => store.acquire(&key).await,
                None => Ok(AcquiredWorker { epoch: NO_FOLDER, record: None }),
            }
        }
        .boxed()
    }

    fn heap(&self, key: &WorkerKey, turn: u64) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let key = key.clone();
        async move {
            match self.existing()? {
                Some(store) => store.heap(&key, turn).await,
                None => Err(StoreError::NoSuchTurn(turn)),
            }
        }
        .boxed()
    }

    fn commit(&self, commit: WorkerCommit) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let store = self.open()?;
            let epoch = self.epoch_in(&store, &commit.record.key, commit.epoch).await?;
            store.commit(WorkerCommit { epoch, ..commit }).await
        }
        .boxed()
    }

    fn remove(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.clone();
        async move {
            let Some(store) = self.existing()? else { return Ok(()) };
            let epoch = self.epoch_in(&store, &key, epoch).await?;
            store.remove(&key, epoch).await
        }
        .boxed()
    }

    fn discard<'a>(&'a self, key: &'a WorkerKey) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            self.epochs.lock().remove(key);
            match self.existing()? {
                Some(store) => store.discard(key).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn release(&self, key: &WorkerKey, epoch: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        let key = key.clone();
        async move {
            let known = self.epochs.lock().remove(&key);
            let Some(store) = self.existing()? else { return Ok(()) };
            store.release(&key, known.unwrap_or(epoch)).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_capabilities::events::MemoryLog;
    use elias_local_workers::{Clock, HeapCommit, WorkerRecord};
    use elias_server::AppSource;

    fn prepared(heaps: &Heaps, followed: bool) -> Result<LocalWorkers, Failure> {
        let events = WorkerEvents::new(MemoryLog::new(Clock::system()).0, AppSource::empty());
        prepare(heaps, followed, &WorkersConfig::default(), &Arc::new(events))
    }

    #[tokio::test]
    async fn a_project_without_workers_gets_no_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("workers");
        let heaps = Heaps::Development(path.clone());
        let store = DevelopmentStore::new(path.clone());
        assert!(store.list(None, 10).await.expect("there is none").is_empty());
        let key = WorkerKey::new("Cart", "a");
        let AcquiredWorker { epoch, record } = store.acquire(&key).await.expect("there is none");
        assert_eq!(record, None);
        assert!(!path.exists());
        drop(prepared(&heaps, true).expect("it is not used"));
        assert!(!path.exists());
        // The first commit makes it, and those that follow know the worker.
        for turns in [1, 2] {
            let mut record = WorkerRecord::new(key.clone());
            record.turns = turns;
            let commit = WorkerCommit { epoch, record, heap: HeapCommit::Whole(vec![1]), events: Vec::new() };
            store.commit(commit).await.expect("there is room");
        }
        store.release(&key, epoch).await.expect("it is its owner");
        assert_eq!(store.acquire(&key).await.expect("it is there").record.map(|record| record.turns), Some(2));
        // Of two servers of one project the second is refused.
        let refused = prepared(&heaps, true).err().expect("it is in use").to_string();
        assert!(refused.contains("in use by another process"), "{refused}");
        drop(store);
        assert!(prepared(&Heaps::Folder(path), false).is_ok());
    }

    #[test]
    fn it_is_said_where_workers_are_kept() {
        assert!(Heaps::Memory.line().contains("--workers-dir"));
        assert_eq!(Heaps::Folder("a/b".into()).line(), "workers are kept in a/b\n");
    }
}
