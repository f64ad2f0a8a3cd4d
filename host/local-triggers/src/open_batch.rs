//! The batch of a subscription that is not run yet.

use crate::report::Reporter;
use elias_host::EventMessage;
use elias_triggers::queue::Outcome;
use tokio::sync::oneshot;

/// Bytes of the events of a batch, as JSON: a handler takes a message of 1 MiB.
const BYTES_MAX: usize = 768 << 10;

/// An event in a batch that is not run yet.
pub(crate) struct WaitingEvent {
    pub(crate) event: EventMessage,
    /// Bytes of the event as JSON.
    pub(crate) bytes: usize,
    /// How many events led to it.
    pub(crate) hops: u32,
    pub(crate) reporter: Option<Reporter>,
}

/// The events of a batch, each with whoever waits for its outcome.
pub(crate) type Batch = Vec<(WaitingEvent, oneshot::Sender<Outcome>)>;

/// The batch of a subscription that is not run yet.
#[derive(Default)]
pub(crate) struct OpenBatch {
    /// Its number: those who have waited long enough find out whether theirs was run meanwhile.
    number: u64,
    bytes: usize,
    events: Batch,
}

impl OpenBatch {
    /// Adds an event to the batch, which is full with `size` events. Gives the batches that are to be run now, and the
    /// number of the batch if the event is its first and waits for others.
    pub(crate) fn push(
        &mut self,
        waiting: WaitingEvent,
        sender: oneshot::Sender<Outcome>,
        size: usize,
    ) -> (Vec<Batch>, Option<u64>) {
        let mut closed = Vec::new();
        if self.bytes + waiting.bytes > BYTES_MAX {
            closed.push(self.take());
        }
        self.bytes += waiting.bytes;
        self.events.push((waiting, sender));
        let began = (self.events.len() == 1 && size > 1).then_some(self.number);
        if self.events.len() >= size {
            closed.push(self.take());
        }
        // An event that is too large for any other has closed an empty one.
        closed.retain(|batch| !batch.is_empty());
        (closed, began)
    }

    /// The batch with this number, to be run now; none if it was run meanwhile.
    pub(crate) fn close(&mut self, number: u64) -> Option<Batch> {
        (self.number == number).then(|| self.take())
    }

    fn take(&mut self) -> Batch {
        self.number += 1;
        self.bytes = 0;
        std::mem::take(&mut self.events)
    }
}
