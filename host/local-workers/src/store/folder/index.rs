//! The index of a folder's workers in memory: a summary of each, and the place of the rest.

use super::frame::{Change, Frame, HeapRange};
use super::snapshot::Header;
use crate::store::chain::Chain;
use crate::store::{HeapCommit, WorkerSummary};
use elias_workers::WorkerKey;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::sync::Arc;

/// Where bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a segment of the journal.
    Journal { segment: u64, offset: u64, bytes: usize },
    /// In the worker's file.
    Snapshot { offset: u64, bytes: usize },
}

/// An open segment of the journal.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) file: File,
    pub(super) salt: String,
}

/// A worker.
#[derive(Debug)]
pub(super) struct Entry {
    /// The number of the first commit that is known, by which a worker that was removed and began anew is told from
    /// what it was.
    pub(super) born: u64,
    /// The number of the last commit.
    pub(super) seq: u64,
    pub(super) summary: WorkerSummary,
    /// Where a handler waits: the turn of before it.
    pub(super) restorable_turn: Option<u64>,
    /// Where the record is: the frame of the last commit, or the file.
    pub(super) record: Place,
    pub(super) chain: Chain<Place>,
    /// The first segment that has a commit which is not in the worker's file.
    pub(super) first_segment: Option<u64>,
}

/// The workers.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) workers: BTreeMap<WorkerKey, Entry>,
    /// The epochs of owners, and how often a worker was acquired.
    pub(super) owners: HashMap<WorkerKey, u64>,
    pub(super) epochs: u64,
    /// Workers of which a change is being written.
    pub(super) writing: HashSet<WorkerKey>,
    /// The number of the last commit.
    pub(super) seq: u64,
    pub(super) segments: BTreeMap<u64, Arc<SegmentFile>>,
    /// Bytes of the files of workers, by the beginning of their names; and of all files, the journal's among them.
    pub(super) file_bytes: HashMap<String, u64>,
    pub(super) bytes: u64,
    /// Files of workers that were removed, which are still there.
    pub(super) gone: HashSet<String>,
    /// Workers that cannot be read, by the beginning of the names of their files, and why.
    pub(super) damaged: HashMap<String, String>,
}

/// What became of a frame of the journal that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    Done,
    /// The worker's file has it already.
    Known,
    /// A commit before it is missing.
    Gap,
}

/// Where a frame is.
#[derive(Debug, Clone, Copy)]
pub(super) struct FramePlace {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) bytes: usize,
    pub(super) heap: HeapRange,
}

/// The beginning of the names of a worker's files: no name of a worker is a path.
pub(super) fn stem(key: &WorkerKey) -> String {
    // A class is an identifier: it has no NUL.
    elias_contract::digest(format!("{}\0{}", key.class, key.name).as_bytes())
}

impl Entry {
    /// A worker as its file has it.
    pub(super) fn of_snapshot(header: &Header, heap_at: u64) -> Self {
        let record = &header.record;
        let mut entry = Self {
            born: header.seq,
            seq: header.seq,
            summary: WorkerSummary::of(record, header.heap_bytes + header.before_bytes.unwrap_or(0)),
            restorable_turn: record.restorable_turn(),
            record: Place::Snapshot { offset: 0, bytes: 0 },
            chain: Chain::default(),
            first_segment: None,
        };
        entry.chain.replace_through(header.seq, wholes(header, heap_at));
        entry
    }
}

/// The heaps of a worker's file, by turn.
pub(super) fn wholes(header: &Header, heap_at: u64) -> Vec<(u64, Place)> {
    let place = |offset, bytes| Place::Snapshot { offset, bytes: usize::try_from(bytes).unwrap_or(usize::MAX) };
    let before = header.record.restorable_turn().zip(header.before_bytes);
    let before = before.map(|(turn, bytes)| (turn, place(heap_at + header.heap_bytes, bytes)));
    before.into_iter().chain([(header.record.turns, place(heap_at, header.heap_bytes))]).collect()
}

impl Index {
    /// The number of a worker's last commit; 0 if it had none.
    pub(super) fn last_seq(&self, key: &WorkerKey) -> u64 {
        self.workers.get(key).map_or(0, |entry| entry.seq)
    }

    /// Takes over a frame that is in the journal.
    pub(super) fn apply(&mut self, frame: &Frame, at: FramePlace) -> Applied {
        self.seq = self.seq.max(frame.seq);
        let (record, heap) = match &frame.change {
            Change::Removed(key) => {
                if frame.seq <= self.last_seq(key) {
                    return Applied::Known;
                }
                self.workers.remove(key);
                self.damaged.remove(&stem(key));
                if self.file_bytes.contains_key(&stem(key)) {
                    self.gone.insert(stem(key));
                }
                return Applied::Done;
            }
            Change::Commit { record, heap } => (record, heap),
        };
        let last = self.last_seq(&record.key);
        if frame.seq <= last {
            return Applied::Known;
        }
        // A commit that has all of a worker needs none before it.
        let is_complete = matches!(heap, HeapCommit::Whole(_)) && record.restorable_turn().is_none();
        if frame.follows != last && !is_complete {
            return Applied::Gap;
        }
        if !self.damaged.is_empty() {
            let stem = stem(&record.key);
            if self.damaged.contains_key(&stem) && !is_complete {
                return Applied::Gap;
            }
            self.damaged.remove(&stem);
        }
        let heap_place =
            Place::Journal { segment: at.segment, offset: at.offset + at.heap.offset as u64, bytes: at.heap.bytes };
        let entry = self.workers.entry(record.key.clone()).or_insert_with(|| Entry {
            born: frame.seq,
            seq: frame.seq,
            summary: WorkerSummary::of(record, 0),
            restorable_turn: None,
            record: heap_place,
            chain: Chain::default(),
            first_segment: None,
        });
        if let Some(step) = heap.step(frame.seq, record.turns, heap_place) {
            entry.chain.push(step, record.restorable_turn());
        }
        entry.seq = frame.seq;
        let added = at.heap.bytes as u64;
        let heap_bytes = if is_complete { added } else { entry.summary.heap_bytes + added };
        entry.summary = WorkerSummary::of(record, heap_bytes);
        entry.restorable_turn = record.restorable_turn();
        entry.record = Place::Journal { segment: at.segment, offset: at.offset, bytes: at.bytes };
        entry.first_segment.get_or_insert(at.segment);
        Applied::Done
    }
}

impl Place {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Journal { bytes, .. } | Self::Snapshot { bytes, .. } => *bytes,
        }
    }
}
