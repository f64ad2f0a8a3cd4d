//! The channel from a running statement to its query: batches, one at a time.

use super::bindings::{Batch, Error, Value};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes after which a batch is full.
const BATCH_BYTES: u64 = 64 << 10;

/// The result of a query: a batch, or the reason why there are no more.
pub(crate) type Part = Result<Batch, Error>;

/// A part on its way, with the place that it takes up until it is taken.
type QueuedPart = (Part, Option<OwnedSemaphorePermit>);

/// The most that one result may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

impl Caps {
    /// Collects rows of these columns.
    pub(crate) fn batches(self, columns: Vec<String>) -> Batches {
        Batches { columns, rows: Vec::new(), size: 0, rows_left: self.rows, bytes_left: self.bytes, caps: self }
    }
}

/// The statement's end.
pub(crate) struct Output {
    sender: mpsc::UnboundedSender<QueuedPart>,
    slots: Arc<Semaphore>,
    caps: Caps,
    /// The query's share of its instance's budget: taken until the statement is done, even if the query was dropped.
    _budget: Option<Arc<OwnedSemaphorePermit>>,
}

/// The query's end. When it is dropped, the statement is cancelled.
pub(crate) struct Parts(mpsc::UnboundedReceiver<QueuedPart>);

/// The two ends.
pub(crate) fn channel(caps: Caps, budget: Option<Arc<OwnedSemaphorePermit>>) -> (Output, Parts) {
    // One slot, and a part keeps it until it is taken: a part that `ready` has seen is still the only one there is.
    let (sender, receiver) = mpsc::unbounded_channel();
    (Output { sender, slots: Arc::new(Semaphore::new(1)), caps, _budget: budget }, Parts(receiver))
}

impl Parts {
    /// The next part, when there is one. None at the end.
    pub(crate) async fn next(&mut self) -> Option<QueuedPart> {
        self.0.recv().await
    }

    /// The next part, if there is one now.
    pub(crate) fn try_next(&mut self) -> Result<QueuedPart, mpsc::error::TryRecvError> {
        self.0.try_recv()
    }
}

impl Output {
    /// Waits until a batch may be read. `None` if the query was dropped.
    pub(crate) async fn slot(&self) -> Option<Slot<'_>> {
        tokio::select! {
            biased;
            () = self.sender.closed() => None,
            permit = Arc::clone(&self.slots).acquire_owned() => permit.ok().map(|permit| Slot { output: self, permit }),
        }
    }

    /// Ends with an error.
    pub(crate) fn fail(&self, error: Error) {
        let _ = self.sender.send((Err(error), None));
    }

    /// Ends with one batch without rows.
    pub(crate) fn finish(&self) {
        let batch = Batch { columns: Vec::new(), rows: Vec::new(), last: true, affected: 0 };
        let _ = self.sender.send((Ok(batch), None));
    }

    /// Returns when the query was dropped.
    pub(crate) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Sees whether the query was dropped, from elsewhere.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.sender.clone())
    }

    /// The limits of the result.
    pub(crate) fn caps(&self) -> Caps {
        self.caps
    }
}

/// Sees whether a query was dropped.
#[derive(Clone)]
pub(crate) struct Watch(mpsc::UnboundedSender<QueuedPart>);

impl Watch {
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// A place for one batch.
pub(crate) struct Slot<'a> {
    output: &'a Output,
    permit: OwnedSemaphorePermit,
}

impl Slot<'_> {
    pub(crate) fn send(self, batch: Batch) {
        let _ = self.output.sender.send((Ok(batch), Some(self.permit)));
    }
}

/// Rows on their way into batches.
pub(crate) struct Batches {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    size: u64,
    rows_left: u64,
    bytes_left: u64,
    caps: Caps,
}

impl Batches {
    /// Whether a row of this size may be added. Asked before the row is copied.
    pub(crate) fn make_room(&self, size: u64) -> Result<(), Error> {
        if self.rows_left == 0 {
            return Err(Error::too_large(format!(
                "the result has more than {} rows (the grant's key rows)",
                self.caps.rows
            )));
        }
        if size > self.bytes_left {
            return Err(Error::too_large(format!(
                "the result has more than {} bytes (the grant's key result-bytes)",
                self.caps.bytes
            )));
        }
        Ok(())
    }

    /// Adds a row, and says whether the batch is full.
    pub(crate) fn add(&mut self, row: Vec<Value>) -> Result<bool, Error> {
        let size: u64 = row.iter().map(Value::size).sum();
        self.make_room(size)?;
        self.rows_left -= 1;
        self.bytes_left -= size;
        self.size += size;
        self.rows.push(row);
        Ok(self.size >= BATCH_BYTES)
    }

    /// Bytes that the next row may take.
    pub(crate) fn room(&self) -> u64 {
        self.bytes_left
    }

    /// Whether there have been any rows.
    pub(crate) fn begun(&self) -> bool {
        self.rows_left < self.caps.rows
    }

    /// The rows so far.
    pub(crate) fn take(&mut self) -> Batch {
        self.size = 0;
        Batch { columns: self.columns.clone(), rows: std::mem::take(&mut self.rows), last: false, affected: 0 }
    }

    /// The last rows.
    pub(crate) fn last(mut self, affected: u64) -> Batch {
        Batch { last: true, affected, ..self.take() }
    }
}
