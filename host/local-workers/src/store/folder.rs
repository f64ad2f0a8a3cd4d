//! Heaps in a folder: a file for each worker, and the one before it.

use super::{HeapStore, StoreError, StoredWorker, WorkerRecord, format};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_atomic_write::{Access, Fsync};
use elias_workers::WorkerKey;
use parking_lot::Mutex;
use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The ends of the names of files: a worker's, and the one that was before it.
const CURRENT: &str = ".worker";
const BEFORE: &str = ".worker.before";
const DAMAGED: &str = ".worker.damaged";

/// The file that is locked as long as a process uses the folder.
const LOCK: &str = "lock";

/// Heaps in a folder. Each worker is a file, replaced atomically at each commit; its name is the SHA-256 of class and
/// name, so that no name of a worker is a path. The file of the turn before is kept beside it: it is taken, and that is
/// said in the log, if the worker's file is damaged.
#[derive(Debug)]
pub struct FolderStore {
    path: PathBuf,
    folder: Dir,
    fsync: Fsync,
    bytes_max: usize,
    /// Bytes of the files of all workers.
    bytes: Mutex<usize>,
    /// Locked until it is closed, which the system does also for a process that is killed.
    _lock: File,
}

impl FolderStore {
    /// Bytes of the files of all workers at most, unless [`Self::with_bytes_max`] says otherwise: 16 GiB.
    pub const BYTES_MAX: usize = 16 << 30;

    /// The workers in this folder, which is made if it is missing, for its owner alone (mode 0700). `fsync` says what
    /// of a commit survives a power loss; a process that is killed loses no commit whatever it is.
    ///
    /// # Errors
    /// If the folder cannot be made or opened, and [`StoreError::InUse`].
    pub fn open(path: impl Into<PathBuf>, fsync: Fsync) -> Result<Self, StoreError> {
        let path = path.into();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let lock = File::options().create(true).truncate(false).write(true).mode(0o600).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.display().to_string())),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let folder = Dir::open_ambient_dir(&path, ambient_authority())?;
        remove_unfinished(&folder)?;
        let bytes = Mutex::new(bytes_of_workers(&folder)?);
        Ok(Self { path, folder, fsync, bytes_max: Self::BYTES_MAX, bytes, _lock: lock })
    }

    /// The same, for files of at most so many bytes together.
    #[must_use]
    pub fn with_bytes_max(self, bytes_max: usize) -> Self {
        Self { bytes_max, ..self }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A worker's file; none if it is missing, or the reason for which it cannot be used.
    fn read(&self, name: &str) -> Result<Option<Result<StoredWorker, String>>, StoreError> {
        match self.folder.read(name) {
            Ok(bytes) => Ok(Some(format::read(&bytes))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The worker whose files begin with this name.
    fn load_named(&self, name: &str) -> Result<Option<StoredWorker>, StoreError> {
        let damage = match self.read(&format!("{name}{CURRENT}"))? {
            Some(Ok(worker)) => return Ok(Some(worker)),
            Some(Err(why)) => Some(why),
            None => None,
        };
        let before = self.read(&format!("{name}{BEFORE}"))?;
        let Some(damage) = damage else {
            // A process that was killed between putting the old file aside and writing the new one: nothing is lost.
            return match before {
                None => Ok(None),
                Some(Ok(worker)) => Ok(Some(worker)),
                Some(Err(why)) => Err(StoreError::Damaged(format!("{name}{BEFORE} is damaged: {why}"))),
            };
        };
        if let Some(Ok(worker)) = before {
            // Out of the way, or the next commit would put it in the place of the good one.
            self.folder.rename(format!("{name}{CURRENT}"), &self.folder, format!("{name}{DAMAGED}"))?;
            let (worker_key, turns) = (&worker.record.key, worker.record.turns);
            tracing::error!(
                worker = %worker_key, turns,
                "the file {name}{CURRENT} in {} is damaged ({damage}) and was renamed {name}{DAMAGED}: the worker \
                 goes on as it was after turn {turns}, and what came later is lost",
                self.path.display()
            );
            return Ok(Some(worker));
        }
        Err(StoreError::Damaged(format!("{name}{CURRENT} is damaged ({damage}), and there is no good one before it")))
    }

    fn remove_file(&self, name: &str) -> Result<(), StoreError> {
        let bytes = self.bytes_of(name)?;
        match self.folder.remove_file(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let mut all = self.bytes.lock();
        *all = all.saturating_sub(bytes);
        Ok(())
    }

    /// Bytes of a file; 0 if it is missing.
    fn bytes_of(&self, name: &str) -> Result<usize, StoreError> {
        match self.folder.metadata(name) {
            Ok(metadata) => Ok(bytes_in(&metadata)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces a worker's file, and keeps the one that was there.
    fn replace(&self, current: &str, before: &str, bytes: &[u8]) -> Result<(), StoreError> {
        match self.folder.rename(current, &self.folder, before) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(elias_atomic_write::write(&self.folder, current, bytes, Access::OwnerOnly, self.fsync)?)
    }
}

/// Removes the files that a process was writing when it was killed: those of workers whose names end in a ULID. Nobody
/// else writes, since the folder is locked.
fn remove_unfinished(folder: &Dir) -> std::io::Result<()> {
    for entry in folder.entries()? {
        let name = entry?.file_name();
        let end = name.to_str().and_then(|name| name.split_once(CURRENT)).map_or("", |(_, end)| end);
        let ulid = end.strip_prefix('.').unwrap_or_default();
        if ulid.len() == 26 && ulid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            folder.remove_file(&name)?;
        }
    }
    Ok(())
}

/// Bytes of the files of all workers, the damaged ones among them.
fn bytes_of_workers(folder: &Dir) -> std::io::Result<usize> {
    let mut bytes = 0;
    for entry in folder.entries()? {
        let entry = entry?;
        let ends = [CURRENT, BEFORE, DAMAGED];
        if entry.file_name().to_str().is_some_and(|name| ends.iter().any(|end| name.ends_with(end))) {
            bytes += bytes_in(&entry.metadata()?);
        }
    }
    Ok(bytes)
}

fn bytes_in(metadata: &cap_std::fs::Metadata) -> usize {
    usize::try_from(metadata.len()).unwrap_or(usize::MAX)
}

/// The beginning of the names of a worker's files.
fn stem(key: &WorkerKey) -> String {
    // A class is an identifier: it has no NUL.
    elias_contract::digest(format!("{}\0{}", key.class, key.name).as_bytes())
}

impl HeapStore for FolderStore {
    fn list(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        let mut stems = std::collections::BTreeSet::new();
        for entry in self.folder.entries()? {
            let name = entry?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(CURRENT).or(name.strip_suffix(BEFORE)));
            stems.extend(stem.map(str::to_owned));
        }
        let mut records = Vec::new();
        for stem in stems {
            match self.load_named(&stem) {
                Ok(worker) => records.extend(worker.map(|worker| worker.record)),
                Err(StoreError::Damaged(why)) => {
                    tracing::error!("a worker in {} is left out: {why}", self.path.display());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    fn load(&self, key: &WorkerKey) -> Result<Option<StoredWorker>, StoreError> {
        self.load_named(&stem(key))
    }

    fn save(&self, worker: &StoredWorker) -> Result<(), StoreError> {
        let bytes = format::write(worker).map_err(StoreError::Damaged)?;
        let stem = stem(&worker.record.key);
        let (current, before) = (format!("{stem}{CURRENT}"), format!("{stem}{BEFORE}"));
        // The file of two turns before goes.
        let removed = self.bytes_of(&before)?;
        let mut all = self.bytes.lock();
        let total = all.saturating_sub(removed) + bytes.len();
        // A worker that does not grow is taken, or none could put back what it did.
        if total > self.bytes_max && total > *all {
            return Err(StoreError::Full(self.bytes_max));
        }
        *all = total;
        drop(all);
        self.replace(&current, &before, &bytes).inspect_err(|_| {
            let mut all = self.bytes.lock();
            *all = (*all + removed).saturating_sub(bytes.len());
        })
    }

    fn remove(&self, key: &WorkerKey) -> Result<(), StoreError> {
        let stem = stem(key);
        // The one before first: alone, it would be taken for the worker.
        self.remove_file(&format!("{stem}{BEFORE}"))?;
        self.remove_file(&format!("{stem}{CURRENT}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn worker(turns: u64) -> StoredWorker {
        let record = WorkerRecord { turns, ..WorkerRecord::new(WorkerKey::new("Cart", "../a\0")) };
        StoredWorker { record, heap: vec![turns as u8; 100], before: None }
    }

    #[test]
    fn a_worker_is_found_again_by_the_next_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below");
        let store = FolderStore::open(&path, Fsync::FileAndFolder).expect("it is made");
        let key = worker(1).record.key;
        assert_eq!(store.load(&key).expect("it is read"), None);
        store.save(&worker(1)).expect("it is kept");
        store.save(&worker(2)).expect("it is kept");
        assert!(matches!(FolderStore::open(&path, Fsync::None), Err(StoreError::InUse(_))));
        drop(store);
        let store = FolderStore::open(&path, Fsync::None).expect("nobody uses it");
        assert_eq!(store.load(&key).expect("it is read"), Some(worker(2)));
        assert_eq!(store.list().expect("it is read"), [worker(2).record]);
        store.remove(&key).expect("it is removed");
        store.remove(&key).expect("it is not there");
        assert_eq!((store.load(&key).expect("it is read"), store.list().expect("it is read").len()), (None, 0));
    }

    #[test]
    fn the_files_of_a_folder_are_bounded_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let named = |name: &str| StoredWorker {
            record: WorkerRecord::new(WorkerKey::new("Cart", name)),
            heap: vec![1; 1_000],
            before: None,
        };
        let one = format::write(&named("a")).expect("bytes").len();
        let open = || FolderStore::open(folder.path(), Fsync::None).expect("it is opened").with_bytes_max(3 * one);
        let store = open();
        // A worker has the file of the turn before, too.
        for name in ["a", "a", "b"] {
            store.save(&named(name)).expect("there is room");
        }
        assert!(matches!(store.save(&named("c")), Err(StoreError::Full(_))));
        assert!(matches!(store.save(&named("b")), Err(StoreError::Full(_))), "and is as it was");
        store.save(&named("a")).expect("it does not grow");
        drop(store);
        let store = open();
        assert!(matches!(store.save(&named("c")), Err(StoreError::Full(_))), "what is there counts");
        store.remove(&named("a").record.key).expect("it is removed");
        store.save(&named("c")).expect("there is room again");
        assert_eq!(store.list().expect("it is read").len(), 2);
    }

    #[test]
    fn heaps_are_their_owners_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below");
        let store = FolderStore::open(&path, Fsync::None).expect("it is made");
        store.save(&worker(1)).expect("it is kept");
        store.save(&worker(2)).expect("it is kept");
        let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        let files: Vec<PathBuf> =
            std::fs::read_dir(&path).expect("it is read").map(|file| file.expect("it is read").path()).collect();
        assert_eq!(files.len(), 3, "the lock, the worker and the one before: {files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn what_a_killed_process_was_writing_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::open(folder.path(), Fsync::None).expect("it is made");
        let key = worker(1).record.key;
        store.save(&worker(1)).expect("it is kept");
        store.save(&worker(2)).expect("it is kept");
        drop(store);
        let unfinished = folder.path().join(format!("{}{CURRENT}.01ARZ3NDEKTSV4RRFFQ69G5FAV", stem(&key)));
        let other = folder.path().join("notes.worker.txt");
        for file in [&unfinished, &other] {
            std::fs::write(file, b"x").expect("it is written");
        }
        let store = FolderStore::open(folder.path(), Fsync::None).expect("it is opened");
        assert!(!unfinished.exists() && other.exists());
        assert_eq!(store.load(&key).expect("it is read"), Some(worker(2)));
        assert!(folder.path().join(format!("{}{BEFORE}", stem(&key))).exists());
    }

    #[test]
    fn the_file_before_is_taken_for_a_damaged_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = FolderStore::open(folder.path(), Fsync::None).expect("it is opened");
        let key = worker(1).record.key;
        let file = |end: &str| folder.path().join(format!("{}{end}", stem(&key)));
        store.save(&worker(1)).expect("it is kept");
        store.save(&worker(2)).expect("it is kept");
        let mut bytes = std::fs::read(file(CURRENT)).expect("it is there");
        bytes[30] ^= 1;
        std::fs::write(file(CURRENT), bytes).expect("it is written");
        assert_eq!(store.load(&key).expect("the one before is good"), Some(worker(1)));
        assert_eq!(store.list().expect("it is read"), [worker(1).record]);
        assert!(!file(CURRENT).exists() && file(DAMAGED).exists());
        // As if the process were killed after the old file was put aside.
        assert_eq!(store.load(&key).expect("the one before is the last"), Some(worker(1)));
        std::fs::write(file(CURRENT), b"x").expect("it is written");
        std::fs::write(file(BEFORE), b"x").expect("it is written");
        assert!(matches!(store.load(&key), Err(StoreError::Damaged(_))));
        assert_eq!(store.list().expect("others are read").len(), 0);
    }
}
