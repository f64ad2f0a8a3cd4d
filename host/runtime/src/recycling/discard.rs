//! Drops an instance that is not used again, and frees its memory in small parts.
//!
//! Giving much memory back takes the system milliseconds, for which the thread that does it can do nothing else. An
//! execution's end is nobody's turn, and many can end at once; so memory that grew is given back in small parts, beside
//! the threads on which guests run.

use super::Instances;
use super::instance::{Handler, Instance};
use crate::background;
use crate::execution::ExecutionHandle;
use crate::memory::Slot;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// Bytes by which a memory may have grown, or which a worker's may have for itself, to be given back at once, by
/// whoever ends the execution: that takes less than a millisecond.
const AT_ONCE_BYTES_MAX: usize = 4 << 20;

/// Bytes that are given back in one part.
const PART_BYTES: usize = 1 << 20;

/// Bytes of all memories that wait to be given back while what their executions held is free for others already. What
/// is beyond holds its permits until it is gone, so that nobody ends executions faster than their memory goes.
const WAITING_BYTES_MAX: usize = 64 << 20;

impl<H: Handler> Instance<H> {
    /// Drops the instance, whose execution is over; none if that is long ago.
    pub(super) fn discard(self, host: &Arc<Instances>, running: Option<&ExecutionHandle>) {
        let Self { store, slot, permit, .. } = self;
        let share = store.data().info().share_group();
        drop(store);
        // The store had the only other handle.
        let Some(slot) = slot.and_then(Arc::into_inner) else { return };
        // A worker may have much for itself also of a memory that did not grow.
        let bytes = slot.grown_bytes().max(slot.private_bytes());
        if bytes <= AT_ONCE_BYTES_MAX {
            return;
        }
        let waiting = WaitingBytes::begin(host, bytes);
        let permits = waiting.is_too_much().then(|| (permit, running.map(ExecutionHandle::take_held)));
        let mut discarded = DiscardedMemory { slot, given_back: 0, _waiting: waiting, _permits: permits };
        background::spawn(share, move || discarded.give_back_part());
    }
}

/// A memory that is given back, and what is free again once it is: fields drop in order.
struct DiscardedMemory<P> {
    slot: Slot,
    given_back: usize,
    _waiting: WaitingBytes,
    _permits: P,
}

impl<P> DiscardedMemory<P> {
    fn give_back_part(&mut self) -> Poll<()> {
        match self.slot.discard(self.given_back, PART_BYTES) {
            Ok(true) => {
                self.given_back += PART_BYTES;
                Poll::Pending
            }
            Ok(false) => Poll::Ready(()),
            Err(error) => {
                tracing::error!(%error, "the pages of an instance's memory cannot be released in parts");
                Poll::Ready(())
            }
        }
    }
}

/// Bytes that are counted as long as they wait.
struct WaitingBytes {
    host: Arc<Instances>,
    bytes: usize,
}

impl WaitingBytes {
    fn begin(host: &Arc<Instances>, bytes: usize) -> Self {
        host.discarded_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { host: Arc::clone(host), bytes }
    }

    fn is_too_much(&self) -> bool {
        self.host.discarded_bytes.load(Ordering::Relaxed) > WAITING_BYTES_MAX
    }
}

impl Drop for WaitingBytes {
    fn drop(&mut self) {
        self.host.discarded_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recycling::IdleLimits;

    #[test]
    fn what_waits_beyond_the_bound_holds_its_places() {
        let host = Arc::new(Instances::new(1, IdleLimits::default()));
        let first = WaitingBytes::begin(&host, WAITING_BYTES_MAX);
        assert!(!first.is_too_much());
        let second = WaitingBytes::begin(&host, 1);
        assert!(second.is_too_much());
        drop(first);
        assert!(!second.is_too_much());
        drop(second);
        assert_eq!(host.discarded_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_an_execution_held_goes_with_who_took_it() {
        let (running, permit) = (ExecutionHandle::new(), Arc::new(()));
        running.hold(Arc::clone(&permit));
        let taken = running.take_held();
        running.release();
        assert_eq!(Arc::strong_count(&permit), 2, "it is still held");
        drop(taken);
        assert_eq!(Arc::strong_count(&permit), 1);
        running.hold(Arc::clone(&permit));
        assert_eq!(Arc::strong_count(&permit), 1, "the instance is gone, and nothing is held for it");
    }
}
