//! The service workers of one project, which run in this process ([`elias_local_workers`]), and where their heaps are.

use elias_command_line::{CliErrorCode, Failure};
use elias_local_workers::{
    FolderStore, Fsync, HeapStore, LocalWorkers, OtherVersion, StoreError, StoredWorker, WorkerKey, WorkerRecord,
};
use elias_workers::config::WorkersConfig;
use parking_lot::Mutex;
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

/// The workers, which do not run yet, by the table `[workers]`. Where the component is `followed` as it changes, a worker of another version
/// begins anew; else it is refused.
///
/// # Errors
/// `io`, if the folder cannot be used.
pub(crate) fn prepare(heaps: &Heaps, followed: bool, config: &WorkersConfig) -> Result<LocalWorkers, Failure> {
    let workers = LocalWorkers::builder().awake(AWAKE as usize).idle(config.idle());
    let workers = workers.mailbox(config.mailbox.limits()).supervision(config.supervision.policy());
    let workers = workers.other_version(if followed { OtherVersion::BeginAnew } else { OtherVersion::Refuse });
    let workers = match heaps {
        Heaps::Memory => workers,
        Heaps::Folder(folder) => {
            let store = FolderStore::open(folder, Fsync::FileAndFolder).map_err(|error| failure(folder, &error))?;
            workers.store(Arc::new(store))
        }
        Heaps::Development(folder) => {
            let store = DevelopmentStore { folder: folder.clone(), opened: Mutex::new(None) };
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
        StoreError::Io(_) | StoreError::Damaged(_) | StoreError::Full(_) => failure,
    }
}

/// A folder that is made when the first worker is kept: most projects have none.
struct DevelopmentStore {
    folder: PathBuf,
    opened: Mutex<Option<Arc<FolderStore>>>,
}

impl DevelopmentStore {
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
}

impl HeapStore for DevelopmentStore {
    fn list(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        self.existing()?.map_or_else(|| Ok(Vec::new()), |store| store.list())
    }

    fn load(&self, key: &WorkerKey) -> Result<Option<StoredWorker>, StoreError> {
        self.existing()?.map_or(Ok(None), |store| store.load(key))
    }

    fn save(&self, worker: &StoredWorker) -> Result<(), StoreError> {
        self.open()?.save(worker)
    }

    fn remove(&self, key: &WorkerKey) -> Result<(), StoreError> {
        self.existing()?.map_or(Ok(()), |store| store.remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_without_workers_gets_no_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("workers");
        let heaps = Heaps::Development(path.clone());
        let store = DevelopmentStore { folder: path.clone(), opened: Mutex::new(None) };
        assert!(store.list().expect("there is none").is_empty());
        assert_eq!(store.load(&WorkerKey::new("Cart", "a")).expect("there is none"), None);
        assert!(!path.exists());
        drop(prepare(&heaps, true, &WorkersConfig::default()).expect("it is not used"));
        assert!(!path.exists());
        // Of two servers of one project the second is refused, once there are workers.
        let used = FolderStore::open(&path, Fsync::None).expect("it is made");
        let refused = prepare(&heaps, true, &WorkersConfig::default()).err().expect("it is in use").to_string();
        assert!(refused.contains("in use by another process"), "{refused}");
        drop(used);
        assert!(prepare(&Heaps::Folder(path), false, &WorkersConfig::default()).is_ok());
    }

    #[test]
    fn it_is_said_where_workers_are_kept() {
        assert!(Heaps::Memory.line().contains("--workers-dir"));
        assert_eq!(Heaps::Folder("a/b".into()).line(), "workers are kept in a/b\n");
    }
}
