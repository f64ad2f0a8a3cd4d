//! The thread that appends to the journal. It writes all commits that wait by one write and one fsync.

use super::frame::{self, Change, Frame};
use super::index::{FramePlace, SegmentFile, stem};
use super::recovery::segment_name;
use super::{DiskOperation, Shared};
use crate::store::{HeapCommit, StoreError, WorkerCommit};
use cap_std::fs::{OpenOptions, OpenOptionsExt};
use elias_atomic_write::Fsync;
use elias_workers::WorkerKey;
use std::fs::File;
use std::io::{Error, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Bytes of heaps that are written at a time, so that who waits for the first does not wait for all.
const BATCH_BYTES: usize = 8 << 20;

/// Commits that a worker has in the journal before it is written to its file: who wakes it reads them one by one.
const STEPS_MAX: usize = 512;

/// What is to be kept.
pub(super) enum RequestChange {
    Commit(Box<WorkerCommit>),
    Remove { key: WorkerKey, epoch: u64 },
}

/// A change, and who waits for it. There is at most one for each worker.
pub(super) struct Request {
    pub(super) change: RequestChange,
    pub(super) done: oneshot::Sender<Result<(), StoreError>>,
}

impl Request {
    fn bytes(&self) -> usize {
        match &self.change {
            RequestChange::Commit(commit) => commit.heap.bytes().len(),
            RequestChange::Remove { .. } => 0,
        }
    }
}

/// The thread, which ends with this.
#[derive(Debug)]
pub(super) struct WriterThread {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl WriterThread {
    /// Begins a segment, and has what former processes left in the journal written to the workers' files.
    ///
    /// # Errors
    /// If a segment or the thread cannot be made.
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (requests, waiting) = channel();
        let last = shared.index.lock().segments.keys().next_back().copied();
        let segment = Segment::begin(&shared, last.map_or(1, |last| last + 1))?;
        let mut writer = Writer { shared, segment, waiting, checkpoint: None };
        if let Some(last) = last {
            writer.start_checkpoint(last)?;
        }
        let thread = std::thread::Builder::new().name("workers-journal".to_owned()).spawn(move || writer.run())?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
    }

    /// Sends it a request; whether it runs.
    pub(super) fn send(&self, request: Request) -> bool {
        self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok())
    }
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the journal of the workers panicked");
        }
    }
}

/// The segment that is appended to.
struct Segment {
    number: u64,
    file: Arc<SegmentFile>,
    /// Bytes that are whole records.
    bytes: u64,
    /// Bytes of its beginning.
    head_bytes: u64,
    /// Whether there may be more in the file, of records that were refused: they must not be read again.
    has_rest: bool,
}

impl Segment {
    fn begin(shared: &Shared, number: u64) -> Result<Self, StoreError> {
        (shared.hook.0)(DiskOperation::Segment)?;
        let name = segment_name(number);
        let (file, salt) = (Self::create(shared, &name)?, crate::message::new_id());
        let head = frame::segment_head(&salt);
        let written = (&file).write_all(&head).and_then(|()| match shared.fsync {
            Fsync::None => Ok(()),
            Fsync::File => file.sync_all(),
            Fsync::FileAndFolder => file.sync_all().and_then(|()| shared.sync_folder()),
        });
        if let Err(error) = written {
            // It is tried again under this name.
            drop(shared.folder.remove_file(&name));
            return Err(error.into());
        }
        let file = Arc::new(SegmentFile { file, salt });
        let bytes = head.len() as u64;
        let index = &mut *shared.index.lock();
        index.bytes += bytes;
        index.segments.insert(number, Arc::clone(&file));
        Ok(Self { number, file, bytes, head_bytes: bytes, has_rest: false })
    }

    fn create(shared: &Shared, name: &str) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        Ok(shared.folder.open_with(name, &options)?.into_std())
    }
}

struct Writer {
    shared: Arc<Shared>,
    segment: Segment,
    waiting: Receiver<Request>,
    /// What writes workers to their files.
    checkpoint: Option<JoinHandle<Result<(), StoreError>>>,
}

/// A request whose record is in the batch.
struct Accepted {
    frame: Frame,
    place: FramePlace,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.waiting.recv() {
            let mut bytes = first.bytes();
            let mut batch = vec![first];
            while bytes < BATCH_BYTES
                && let Ok(next) = self.waiting.try_recv()
            {
                bytes += next.bytes();
                batch.push(next);
            }
            self.write(batch);
        }
        if let Err(error) = self.end_checkpoint() {
            tracing::error!("the workers cannot be written to their files: {error}; the journal has them");
        }
    }

    /// Writes a batch, and tells who waits.
    fn write(&mut self, batch: Vec<Request>) {
        let bytes = batch.iter().map(Request::bytes).sum::<usize>() as u64;
        if let Err(error) = self.make_room(bytes) {
            tracing::error!("the journal of the workers cannot go on: {error}");
            for Request { done, .. } in batch {
                // Whoever asked may have left.
                drop(done.send(Err(StoreError::Io(Error::other(error.to_string())))));
            }
            return;
        }
        let mut records = Vec::new();
        let mut accepted = Vec::new();
        for Request { change, done } in batch {
            match self.encode(change, &mut records) {
                Ok((frame, place)) => accepted.push(Accepted { frame, place, done }),
                Err(error) => drop(done.send(Err(error))),
            }
        }
        if accepted.is_empty() {
            return;
        }
        let written = self.append(&records);
        if let Err(error) = &written {
            tracing::error!(commits = accepted.len(), "the journal of the workers cannot be written: {error}");
        }
        let (mut long, mut keys) = (Vec::new(), Vec::new());
        for Accepted { frame, place, done } in accepted {
            let outcome = match &written {
                Ok(()) => {
                    long.extend(self.apply(&frame, place));
                    Ok(())
                }
                Err(error) => Err(StoreError::Io(Error::new(error.kind(), error.to_string()))),
            };
            keys.push(frame.key().clone());
            drop(done.send(outcome));
        }
        self.end_writing(&keys);
        if !long.is_empty() && self.checkpoint.as_ref().is_none_or(JoinHandle::is_finished) {
            self.shorten(long);
        }
    }

    /// Says that changes of these workers are written, or were refused.
    fn end_writing(&self, keys: &[WorkerKey]) {
        let mut index = self.shared.index.lock();
        for key in keys {
            index.writing.remove(key);
        }
        drop(index);
        self.shared.written.notify_all();
    }

    /// Has workers that have many commits in the journal written to their files.
    fn shorten(&mut self, workers: Vec<WorkerKey>) {
        let through = self.segment.number - 1;
        let write = move |shared: &Shared| workers.iter().try_for_each(|key| shared.write_snapshot(key, through));
        if let Err(error) = self.end_checkpoint().and_then(|()| self.start_aside(write)) {
            tracing::error!("the workers cannot be written to their files, which is tried again: {error}");
        }
    }

    /// Appends a record, if its owner may, and there is room for it.
    fn encode(&self, change: RequestChange, out: &mut Vec<u8>) -> Result<(Frame, FramePlace), StoreError> {
        let bytes_max = self.shared.bytes_max.load(SeqCst);
        let index = &mut *self.shared.index.lock();
        let (key, epoch) = match &change {
            RequestChange::Commit(commit) => (commit.record.key.clone(), commit.epoch),
            RequestChange::Remove { key, epoch } => (key.clone(), *epoch),
        };
        if index.owners.get(&key) != Some(&epoch) {
            return Err(StoreError::NotOwner);
        }
        let change = match change {
            RequestChange::Commit(commit) => {
                let WorkerCommit { record, heap, .. } = *commit;
                let total = index.bytes + (out.len() + heap.bytes().len()) as u64;
                // A worker that does not grow is taken, or none could put back what it did.
                let grows = matches!(heap, HeapCommit::Whole(_) | HeapCommit::Change(_));
                if grows && total > bytes_max as u64 {
                    return Err(StoreError::Full(bytes_max));
                }
                Change::Commit { record: Box::new(record), heap }
            }
            RequestChange::Remove { .. } => Change::Removed(key.clone()),
        };
        let frame = Frame { seq: index.seq + 1, follows: index.last_seq(&key), change };
        let start = out.len();
        let heap = frame::write(out, &self.segment.file.salt, &frame).map_err(|why| {
            out.truncate(start);
            StoreError::Damaged(why)
        })?;
        index.seq = frame.seq;
        index.writing.insert(key);
        let offset = self.segment.bytes + start as u64;
        Ok((frame, FramePlace { segment: self.segment.number, offset, bytes: out.len() - start, heap }))
    }

    /// Writes records to the disk, all of them or none.
    fn append(&mut self, records: &[u8]) -> Result<(), Error> {
        self.cut_rest()?;
        let (shared, file) = (&self.shared, &self.segment.file.file);
        let written = (shared.hook.0)(DiskOperation::Append).and_then(|()| (&*file).write_all(records));
        let written = match written {
            Ok(()) if shared.fsync != Fsync::None => {
                (shared.hook.0)(DiskOperation::Sync).and_then(|()| file.sync_data())
            }
            written => written,
        };
        if written.is_err() {
            self.segment.has_rest = true;
            // Tried again before the next records, if it fails.
            drop(self.cut_rest());
            return written;
        }
        self.segment.bytes += records.len() as u64;
        self.shared.index.lock().bytes += records.len() as u64;
        Ok(())
    }

    /// Cuts what is left of records that were refused.
    fn cut_rest(&mut self) -> Result<(), Error> {
        if self.segment.has_rest {
            self.segment.file.file.set_len(self.segment.bytes)?;
            self.segment.file.file.sync_data()?;
            self.segment.has_rest = false;
        }
        Ok(())
    }

    /// Takes over a record that is written. Gives the worker, if it has many commits in the journal.
    fn apply(&self, frame: &Frame, place: FramePlace) -> Option<WorkerKey> {
        let (key, is_gone, is_long) = {
            let index = &mut *self.shared.index.lock();
            index.apply(frame, place);
            match &frame.change {
                Change::Removed(key) => (key, index.gone.contains(&stem(key)), false),
                Change::Commit { record, .. } => {
                    let steps = index.workers.get(&record.key).map_or(0, |entry| entry.chain.len());
                    (&record.key, false, steps > STEPS_MAX)
                }
            }
        };
        if is_gone && let Err(error) = self.shared.remove_files(&stem(key)) {
            tracing::warn!(worker = %key, "the files of the removed worker are left for a while: {error}");
        }
        is_long.then(|| key.clone())
    }

    /// Begins another segment if this one is full, or if the folder is: what is in the journal twice goes then.
    fn make_room(&mut self, bytes: u64) -> Result<(), StoreError> {
        let is_empty = self.segment.bytes == self.segment.head_bytes;
        let folder_is_full = self.shared.index.lock().bytes + bytes > self.shared.bytes_max.load(SeqCst) as u64;
        if is_empty || (self.segment.bytes + bytes <= self.shared.segment_bytes && !folder_is_full) {
            return Ok(());
        }
        if let Err(error) = self.end_checkpoint() {
            tracing::error!("the workers cannot be written to their files, which is tried again: {error}");
        }
        let has_former = self.shared.index.lock().segments.range(..self.segment.number).next().is_some();
        if has_former {
            self.shared.checkpoint(self.segment.number - 1)?;
        }
        let full = self.segment.number;
        self.cut_rest()?;
        self.segment = Segment::begin(&self.shared, full + 1)?;
        self.start_checkpoint(full)?;
        if folder_is_full { self.end_checkpoint() } else { Ok(()) }
    }

    /// Has the workers that are in the segments up to this one written to their files.
    fn start_checkpoint(&mut self, through: u64) -> Result<(), StoreError> {
        self.start_aside(move |shared| shared.checkpoint(through))
    }

    fn start_aside(
        &mut self,
        work: impl FnOnce(&Shared) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("workers-checkpoint".to_owned());
        self.checkpoint = Some(thread.spawn(move || work(&shared))?);
        Ok(())
    }

    /// Waits until they are.
    fn end_checkpoint(&mut self) -> Result<(), StoreError> {
        let Some(checkpoint) = self.checkpoint.take() else { return Ok(()) };
        let panicked = |_| StoreError::Io(Error::other("the thread that writes workers to their files panicked"));
        checkpoint.join().map_err(panicked)?
    }
}
