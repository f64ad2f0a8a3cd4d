//! What waits to be sent: a ring that is bounded in bytes, from which the oldest goes when there is no room.

use super::EncodedRequest;
use std::collections::VecDeque;

/// Requests that wait, of one signal to one endpoint.
#[derive(Debug)]
pub struct ExportRing {
    waiting: VecDeque<EncodedRequest>,
    /// Bytes of those that wait, and of the batch that is under way.
    bytes: usize,
    bytes_max: usize,
    dropped: u64,
}

/// Bytes that an entry takes beside its content.
const ENTRY_BYTES: usize = 64;

/// Requests that are sent together. It counts against the ring until it is [done](ExportRing::done).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The request.
    pub bytes: Vec<u8>,
    /// How many spans or log lines it has.
    pub items: u64,
    reserved: usize,
}

impl ExportRing {
    /// An empty ring of so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, bytes_max, dropped: 0 }
    }

    /// Adds a request; the oldest ones go for it if there is no room, and it goes itself if there is none then.
    pub fn push(&mut self, request: EncodedRequest) {
        let needed = size(&request);
        while self.bytes + needed > self.bytes_max {
            let Some(oldest) = self.waiting.pop_front() else {
                self.dropped += request.items;
                return;
            };
            self.bytes -= size(&oldest);
            self.dropped += oldest.items;
        }
        self.bytes += needed;
        self.waiting.push_back(request);
    }

    /// The next batch, of at most so many bytes unless it is a single request; none if nothing waits.
    pub fn next_batch(&mut self, bytes_max: usize) -> Option<Batch> {
        let first = self.waiting.pop_front()?;
        let mut batch = Batch { reserved: size(&first), bytes: first.bytes, items: first.items };
        while let Some(next) = self.waiting.front()
            && batch.bytes.len() + next.bytes.len() <= bytes_max
        {
            batch.reserved += size(next);
            batch.items += next.items;
            batch.bytes.extend_from_slice(&next.bytes);
            self.waiting.pop_front();
        }
        Some(batch)
    }

    /// A batch was taken by the collector, or was given up: its bytes are free.
    pub fn done(&mut self, batch: &Batch) {
        self.bytes -= batch.reserved;
    }

    /// Counts items that will not arrive.
    pub fn drop_items(&mut self, items: u64) {
        self.dropped += items;
    }

    /// Spans or log lines that did not and will not arrive.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Bytes that wait or are under way.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(request: &EncodedRequest) -> usize {
    request.bytes.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: usize, items: u64) -> EncodedRequest {
        EncodedRequest { bytes: vec![0; bytes], items }
    }

    #[test]
    fn the_oldest_goes_first_and_each_loss_is_counted() {
        let mut ring = ExportRing::new(10 * (ENTRY_BYTES + 36));
        (0..25).for_each(|_| ring.push(request(36, 3)));
        assert_eq!((ring.bytes(), ring.dropped()), (1_000, 15 * 3));
        ring.push(request(2_000, 7));
        assert_eq!((ring.bytes(), ring.dropped()), (0, 25 * 3 + 7), "what is larger than the ring goes itself");
    }

    #[test]
    fn what_is_under_way_takes_its_room_until_it_is_done() {
        let mut ring = ExportRing::new(4 * (ENTRY_BYTES + 36));
        (0..4).for_each(|_| ring.push(request(36, 1)));
        let batch = ring.next_batch(80).expect("a batch");
        assert_eq!((batch.bytes.len(), batch.items, ring.bytes()), (72, 2, 400));
        (0..3).for_each(|_| ring.push(request(36, 1)));
        assert_eq!((ring.bytes(), ring.dropped()), (400, 3));
        ring.done(&batch);
        assert_eq!(ring.bytes(), 200);
        assert_eq!(ring.next_batch(10).map(|batch| batch.items), Some(1), "a single one may be larger");
    }

    #[test]
    fn nothing_is_lost_without_being_counted() {
        let mut ring = ExportRing::new(1_000);
        let (mut sent, mut pushed) = (0, 0);
        for round in 0..1_000_u64 {
            let items = round % 5 + 1;
            ring.push(request((round % 13 * 17) as usize, items));
            pushed += items;
            if round % 7 == 0
                && let Some(batch) = ring.next_batch(200)
            {
                ring.done(&batch);
                sent += batch.items;
            }
        }
        while let Some(batch) = ring.next_batch(200) {
            ring.done(&batch);
            sent += batch.items;
        }
        assert_eq!((sent + ring.dropped(), ring.bytes()), (pushed, 0));
    }
}
