//! Writes workers to their files, so that the journal can be truncated.

use super::index::{Place, stem, wholes};
use super::recovery::segment_name;
use super::snapshot::{self, Header};
use super::{BEFORE, CURRENT, DAMAGED, DiskOperation, Shared};
use crate::store::StoreError;
use cap_std::fs::Dir;
use elias_atomic_write::{Access, AtomicFile, Fsync};
use elias_workers::WorkerKey;
use std::io::{Error, ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Workers that are written to their files at a time.
const AT_ONCE: usize = 16;

impl Shared {
    /// Writes all workers to their files of which the journal has commits in the segments up to this one, to which
    /// nothing is appended any more, and removes those. A process that is killed meanwhile leaves the segments or the
    /// files, or both.
    ///
    /// # Errors
    /// If something cannot be written. What the segments have is still there then.
    pub(super) fn checkpoint(&self, through: u64) -> Result<(), StoreError> {
        let gone: Vec<String> = self.index.lock().gone.iter().cloned().collect();
        for stem in gone {
            self.remove_files(&stem)?;
        }
        let keys: Vec<WorkerKey> = {
            let index = self.index.lock();
            let in_journal =
                index.workers.iter().filter(|(_, entry)| entry.first_segment.is_some_and(|first| first <= through));
            in_journal.map(|(key, _)| key.clone()).collect()
        };
        self.write_snapshots(&keys, through)?;
        if self.fsync == Fsync::FileAndFolder {
            self.sync_folder()?;
        }
        self.prune(through)
    }

    /// Writes workers to their files, several at a time: what takes long is that each file is synced, and file systems
    /// do that for all who wait by one write of their own.
    fn write_snapshots(&self, keys: &[WorkerKey], through: u64) -> Result<(), StoreError> {
        let next = AtomicUsize::new(0);
        let write = || -> Result<(), StoreError> {
            while let Some(key) = keys.get(next.fetch_add(1, Relaxed)) {
                self.write_snapshot(key, through)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            // Where the system gives no further thread, those that there are do it: the journal's must not panic.
            let thread = || std::thread::Builder::new().name("workers-checkpoint".to_owned());
            let others = (1..keys.len().min(AT_ONCE)).map_while(|_| thread().spawn_scoped(scope, write).ok());
            let others: Vec<_> = others.collect();
            let own = write();
            let panicked =
                |_| Err(StoreError::Io(Error::other("a thread that writes workers to their files panicked")));
            others.into_iter().fold(own, |written, other| written.and(other.join().unwrap_or_else(panicked)))
        })
    }

    /// Writes a worker to its file; the one that was there becomes the one before. What is committed from now on is in
    /// segments after `through`.
    pub(super) fn write_snapshot(&self, key: &WorkerKey, through: u64) -> Result<(), StoreError> {
        let state = match self.read_state(key) {
            Ok(Some(state)) => state,
            Ok(None) => return Ok(()),
            Err(error @ (StoreError::Damaged(_) | StoreError::NoSuchTurn(_))) => {
                // It is left to whoever uses the worker: one that is damaged must not keep the others in the journal.
                tracing::error!(worker = %key, "the worker cannot be written to its file: {error}");
                let mut index = self.index.lock();
                index.workers.remove(key);
                index.damaged.insert(stem(key), error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let before_bytes = state.before.as_ref().map(|before| before.len() as u64);
        let header = Header { seq: state.seq, heap_bytes: state.heap.len() as u64, before_bytes, record: state.record };
        let bytes = snapshot::write(&header, &state.heap, state.before.as_deref()).map_err(StoreError::Damaged)?;
        let (_, heap_at) =
            snapshot::read_header(&mut bytes.as_slice(), bytes.len() as u64).map_err(StoreError::Damaged)?;
        (self.hook.0)(DiskOperation::Snapshot)?;
        let stem = stem(key);
        let (current, before) = (format!("{stem}{CURRENT}"), format!("{stem}{BEFORE}"));
        let file = AtomicFile::create(&self.folder, &current, Access::OwnerOnly)?;
        file.file().write_all(&bytes)?;
        if self.fsync != Fsync::None {
            file.file().sync_all()?;
        }
        // Who reads opens the files while the index is locked.
        let index = &mut *self.index.lock();
        let Some(entry) = index.workers.get_mut(key).filter(|entry| entry.born == state.born) else {
            // It was removed meanwhile.
            return Ok(());
        };
        if index.gone.remove(&stem) {
            // They are of a worker of this name that was removed, and not of what this one was before.
            remove_all(&self.folder, &stem)?;
        }
        match self.folder.rename(&current, &self.folder, &before) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        if let Err(error) = file.commit(&current, Fsync::None) {
            // Or nothing would be there for who reads it.
            drop(self.folder.rename(&before, &self.folder, &current));
            return Err(error.into());
        }
        entry.chain.replace_through(header.seq, wholes(&header, heap_at));
        entry.first_segment = (entry.seq > header.seq).then_some(through + 1);
        if entry.seq == header.seq {
            entry.record = Place::Snapshot { offset: 0, bytes: 0 };
            entry.summary.heap_bytes = header.heap_bytes + header.before_bytes.unwrap_or(0);
        }
        let counted = index.file_bytes.remove(&stem).unwrap_or(0);
        let now = self.bytes_of_files(&stem)?;
        index.bytes = index.bytes.saturating_sub(counted) + now;
        index.file_bytes.insert(stem, now);
        Ok(())
    }

    /// Bytes of a worker's files.
    fn bytes_of_files(&self, stem: &str) -> std::io::Result<u64> {
        let mut bytes = 0;
        for end in [CURRENT, BEFORE, DAMAGED] {
            match self.folder.metadata(format!("{stem}{end}")) {
                Ok(metadata) => bytes += metadata.len(),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(bytes)
    }

    /// Removes the files of a worker that was removed.
    pub(super) fn remove_files(&self, stem: &str) -> std::io::Result<()> {
        remove_all(&self.folder, stem)?;
        let index = &mut *self.index.lock();
        index.gone.remove(stem);
        index.bytes = index.bytes.saturating_sub(index.file_bytes.remove(stem).unwrap_or(0));
        Ok(())
    }

    /// Removes the segments up to this one, which nothing needs any more.
    fn prune(&self, through: u64) -> Result<(), StoreError> {
        (self.hook.0)(DiskOperation::Prune)?;
        let numbers: Vec<u64> = self.index.lock().segments.range(..=through).map(|(number, _)| *number).collect();
        for number in numbers {
            let removed = self.index.lock().segments.remove(&number);
            let bytes = removed.map_or(Ok(0), |segment| segment.file.metadata().map(|metadata| metadata.len()))?;
            match self.folder.remove_file(segment_name(number)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            let index = &mut *self.index.lock();
            index.bytes = index.bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// Writes the names of files to the disk.
    pub(super) fn sync_folder(&self) -> std::io::Result<()> {
        // A `Dir` is open by O_PATH, with which nothing can be synced.
        self.folder.open(".")?.sync_all()
    }
}

fn remove_all(folder: &Dir, stem: &str) -> std::io::Result<()> {
    // The one before first: alone, it would be taken for the worker.
    for end in [BEFORE, DAMAGED, CURRENT] {
        match folder.remove_file(format!("{stem}{end}")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
