//! Reads records and heaps, from the journal or from a worker's file.

use super::frame::{self, Change, Frame};
use super::index::{Entry, Index, Place, SegmentFile, stem};
use super::{BEFORE, CURRENT, DAMAGED, Shared, snapshot};
use crate::store::{StoreError, WorkerRecord};
use cap_std::fs::Dir;
use elias_workers::WorkerKey;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// An open file: it can be read also once the file was replaced or removed.
enum OpenFile {
    Segment(Arc<SegmentFile>),
    Snapshot(File),
}

impl OpenFile {
    fn read(&self, place: Place) -> Result<Vec<u8>, StoreError> {
        let (file, offset) = match (self, place) {
            (Self::Segment(segment), Place::Journal { offset, .. }) => (&segment.file, offset),
            (Self::Snapshot(file), Place::Snapshot { offset, .. }) => (file, offset),
            _ => return Err(StoreError::Damaged("the place is in another file".to_owned())),
        };
        let mut bytes = vec![0; place.bytes()];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// All that is needed to write a worker to its file.
pub(super) struct WorkerState {
    pub(super) born: u64,
    pub(super) seq: u64,
    pub(super) record: WorkerRecord,
    pub(super) heap: Vec<u8>,
    pub(super) before: Option<Vec<u8>>,
}

impl Shared {
    /// A worker's record; none if there is no such worker.
    pub(super) fn read_record(&self, key: &WorkerKey) -> Result<Option<WorkerRecord>, StoreError> {
        let (record, snapshot, seq) = {
            let index = self.index.lock();
            if let Some(why) = index.damaged.get(&stem(key)) {
                return Err(StoreError::Damaged(why.clone()));
            }
            let Some(entry) = index.workers.get(key) else { return Ok(None) };
            let has_file = entry.chain.places().any(|place| matches!(place, Place::Snapshot { .. }));
            let snapshot = has_file.then(|| self.open_snapshot(key)).transpose()?;
            ((self.open(&index, key, entry.record)?, entry.record), snapshot, entry.seq)
        };
        // The heap is used later; then there would be no way back to the file before.
        if let Some(snapshot) = snapshot
            && let Err(why) = read_all(&snapshot).and_then(|bytes| snapshot::check(&bytes).map(drop))
        {
            self.fall_back(key, seq, &why)?;
            return self.read_record(key);
        }
        parse_record(key, &record).map(Some)
    }

    /// A worker's heap as of a turn.
    pub(super) fn read_heap(&self, key: &WorkerKey, turn: u64) -> Result<Vec<u8>, StoreError> {
        let parts = {
            let index = self.index.lock();
            let entry = index.workers.get(key).filter(|entry| turn <= entry.summary.turns);
            let entry = entry.ok_or(StoreError::NoSuchTurn(turn))?;
            self.open_heap(&index, key, entry, turn)?
        };
        self.merge_parts(key, &parts)
    }

    /// All of a worker; none if there is no such worker any more.
    pub(super) fn read_state(&self, key: &WorkerKey) -> Result<Option<WorkerState>, StoreError> {
        let (born, seq, record, heap, before) = {
            let index = self.index.lock();
            let Some(entry) = index.workers.get(key) else { return Ok(None) };
            let record = (self.open(&index, key, entry.record)?, entry.record);
            let heap = self.open_heap(&index, key, entry, entry.summary.turns)?;
            let before = entry.restorable_turn.map(|turn| self.open_heap(&index, key, entry, turn)).transpose()?;
            (entry.born, entry.seq, record, heap, before)
        };
        let record = parse_record(key, &record)?;
        let heap = self.merge_parts(key, &heap)?;
        let before = before.map(|parts| self.merge_parts(key, &parts)).transpose()?;
        Ok(Some(WorkerState { born, seq, record, heap, before }))
    }

    fn open_heap(
        &self,
        index: &Index,
        key: &WorkerKey,
        entry: &Entry,
        turn: u64,
    ) -> Result<Vec<(OpenFile, Place)>, StoreError> {
        let places = entry.chain.resolve(turn).ok_or(StoreError::NoSuchTurn(turn))?;
        places.into_iter().map(|place| Ok((self.open(index, key, place)?, place))).collect()
    }

    fn merge_parts(&self, key: &WorkerKey, parts: &[(OpenFile, Place)]) -> Result<Vec<u8>, StoreError> {
        let mut read = Vec::with_capacity(parts.len());
        for (file, place) in parts {
            read.push(file.read(*place)?);
        }
        let (whole, changes) = read.split_first().ok_or(StoreError::Damaged(format!("{key} has no heap")))?;
        (self.merge)(whole, changes).map_err(|why| StoreError::Damaged(format!("the heap of {key}: {why}")))
    }

    /// Opens the file that a place is in. The index is locked, so that it is not replaced meanwhile.
    fn open(&self, index: &Index, key: &WorkerKey, place: Place) -> Result<OpenFile, StoreError> {
        match place {
            Place::Snapshot { .. } => Ok(OpenFile::Snapshot(self.open_snapshot(key)?)),
            Place::Journal { segment, .. } => {
                let segment = index.segments.get(&segment).map(Arc::clone);
                segment.map(OpenFile::Segment).ok_or_else(|| {
                    StoreError::Damaged(format!("a segment of the journal in {} is missing", self.path.display()))
                })
            }
        }
    }

    fn open_snapshot(&self, key: &WorkerKey) -> Result<File, StoreError> {
        Ok(self.folder.open(format!("{}{CURRENT}", stem(key)))?.into_std())
    }

    /// Takes the file before for a worker's, which is damaged.
    fn fall_back(&self, key: &WorkerKey, seq: u64, damage: &str) -> Result<(), StoreError> {
        let index = &mut *self.index.lock();
        if index.last_seq(key) != seq {
            return Ok(());
        }
        match take_before(&self.folder, &stem(key), damage) {
            Ok((header, heap_at)) => {
                tracing::error!(
                    worker = %key, turns = header.record.turns,
                    "the worker's file in {} is damaged ({damage}) and was put aside: the worker goes on as it was \
                     after turn {}, and what came later is lost",
                    self.path.display(), header.record.turns
                );
                index.workers.insert(key.clone(), Entry::of_snapshot(&header, heap_at));
                Ok(())
            }
            Err(why) => {
                index.workers.remove(key);
                index.damaged.insert(stem(key), why.clone());
                Err(StoreError::Damaged(why))
            }
        }
    }
}

/// Reads a worker's record.
fn parse_record(key: &WorkerKey, (file, place): &(OpenFile, Place)) -> Result<WorkerRecord, StoreError> {
    let damaged = |why: &str| StoreError::Damaged(format!("the record of {key} is damaged: {why}"));
    match file {
        OpenFile::Snapshot(file) => {
            let length = file.metadata()?.len();
            let (header, _) = snapshot::read_header(&mut &*file, length).map_err(|why| damaged(&why))?;
            Ok(header.record)
        }
        OpenFile::Segment(segment) => match frame::read(&file.read(*place)?, &segment.salt) {
            Ok((Frame { change: Change::Commit { record, .. }, .. }, ..)) => Ok(*record),
            Ok(_) => Err(damaged("it is another's")),
            Err(why) => Err(damaged(why)),
        },
    }
}

/// Puts a worker's damaged file aside, and the one before in its place.
///
/// # Errors
/// Why there is none to take.
pub(super) fn take_before(folder: &Dir, stem: &str, damage: &str) -> Result<(snapshot::Header, u64), String> {
    let damaged = |why: &str| format!("{stem}{CURRENT} is damaged ({damage}), and {why}");
    let bytes = match folder.read(format!("{stem}{BEFORE}")) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(damaged("there is no good one before it")),
        Err(error) => return Err(damaged(&format!("the one before cannot be read: {error}"))),
    };
    let header = snapshot::check(&bytes).map_err(|why| damaged(&format!("so is the one before: {why}")))?;
    let put_aside = folder
        .rename(format!("{stem}{CURRENT}"), folder, format!("{stem}{DAMAGED}"))
        .and_then(|()| folder.rename(format!("{stem}{BEFORE}"), folder, format!("{stem}{CURRENT}")));
    put_aside.map_err(|error| damaged(&format!("cannot be put aside: {error}")))?;
    Ok(header)
}

fn read_all(file: &File) -> Result<Vec<u8>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| "it is too large".to_owned())?];
    file.read_exact_at(&mut bytes, 0).map_err(|error| error.to_string())?;
    Ok(bytes)
}
