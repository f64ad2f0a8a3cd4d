//! The instance of one worker. No other execution uses it, and it keeps its heap between turns.
//!
//! What a turn wrote is *kept* or *undone*. The heap as of the last turn that was kept is also there as a difference to
//! the image, so the instance can go at any time: the next turn begins in a new one, which gets that heap.

use super::instance::{Handler, Instance, Template};
use super::pool::{DropReason, InstancePool};
use crate::background::{self, ShareId};
use crate::error::Error;
use crate::execution::ExecutionHandle;
use crate::instance::InstanceState;
use crate::memory::{ChangedPage, Comparison, Difference, PAGE_BYTES, Page};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

/// The source of an execution's instance, to which the instance returns.
pub(crate) enum InstanceSource<H: Handler> {
    /// The instances of its component.
    Pool(Arc<InstancePool<H>>),
    /// Its worker.
    Worker(Arc<DurableInstance<H>>),
}

impl<H: Handler> InstanceSource<H> {
    /// The parts of which its instances are made.
    pub(crate) fn template(&self) -> &Template<H> {
        match self {
            Self::Pool(pool) => pool.template(),
            Self::Worker(worker) => worker.pool.template(),
        }
    }

    /// An instance for an execution.
    ///
    /// # Errors
    /// `overloaded`, if the host has no room for one.
    pub(crate) fn take(&self, state: InstanceState) -> Result<Instance<H>, Error> {
        match self {
            Self::Pool(pool) => pool.take(state),
            Self::Worker(worker) => worker.take(state),
        }
    }

    /// Takes an instance whose execution is over, and whether its handler returned.
    pub(crate) fn give_back(&self, instance: Instance<H>, returned: bool, running: &ExecutionHandle) {
        match self {
            Self::Pool(pool) => pool.give_back(instance, returned, running),
            Self::Worker(worker) => worker.give_back(instance, returned, running),
        }
    }
}

/// The instance of a worker, and its heap.
pub(crate) struct DurableInstance<H: Handler> {
    /// What makes its instances. They never wait there.
    pool: Arc<InstancePool<H>>,
    /// Bytes at the beginning of the memory that hold nothing between turns: the engine's stack.
    stack_bytes: usize,
    state: Mutex<DurableState<H>>,
}

struct DurableState<H> {
    /// None before the first turn, while a turn runs, and after one that ended badly.
    instance: Option<Instance<H>>,
    /// The heap as of the last turn that was kept.
    heap: Arc<Difference>,
    /// Whether a turn ended since then.
    is_pending: bool,
    /// The pages that it changed, once they were found: before that it cannot be kept.
    changed: Option<Vec<ChangedPage>>,
    /// Whether it left handles to host resources.
    has_handles: bool,
}

/// The changes of a worker's turns.
pub(crate) struct KeptTurn {
    /// Bytes of the memory.
    pub(crate) len: usize,
    /// The pages that are not as they were.
    pub(crate) pages: Vec<KeptPage>,
}

/// A page that a turn changed.
pub(crate) struct KeptPage {
    pub(crate) number: u32,
    /// The content before the turn; none if that was the image's.
    pub(crate) before: Option<Page>,
    /// The content since; none likewise.
    pub(crate) content: Option<Page>,
}

impl<H: Handler> DurableInstance<H> {
    /// With this heap, and no instance yet.
    pub(crate) fn new(pool: &Arc<InstancePool<H>>, stack_bytes: usize, heap: Arc<Difference>) -> Arc<Self> {
        let state = DurableState { instance: None, heap, is_pending: false, changed: None, has_handles: false };
        Arc::new(Self { pool: Arc::clone(pool), stack_bytes, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, DurableState<H>> {
        self.state.lock() // whole after every operation
    }

    /// The instance for a turn: that of the former turns, or a new one that begins with the heap.
    fn take(&self, state: InstanceState) -> Result<Instance<H>, Error> {
        let (kept, heap) = {
            let mut durable = self.state();
            (durable.instance.take(), Arc::clone(&durable.heap))
        };
        if let Some(mut instance) = kept {
            self.pool.resume(&mut instance, state);
            return Ok(instance);
        }
        let mut instance = self.pool.create(state)?;
        instance.heap = Some(heap);
        Ok(instance)
    }

    /// Takes the instance after a turn. One that did not return is discarded, and with it what it wrote.
    fn give_back(&self, mut instance: Instance<H>, returned: bool, running: &ExecutionHandle) {
        if !returned || instance.slot.is_none() {
            self.pool.count_drop(DropReason::Failed);
            return self.pool.discard(instance, Some(running));
        }
        let state = instance.store.data_mut();
        let has_handles = !state.table.is_empty();
        // Between turns nothing of the host is held.
        state.retire();
        instance.usage = instance.store.data().limiter.usage();
        if let Some(stack) = &instance.stack {
            // SAFETY: the guest has returned, and its store is ours.
            unsafe { stack.trim() };
        }
        let mut durable = self.state();
        durable.instance = Some(instance);
        durable.has_handles = has_handles;
        durable.is_pending = true;
        durable.changed = None;
    }

    /// Finds the pages that the last turn changed: a few here, and more of them by the threads for work aside. Their
    /// bytes; 0 if there was no turn since the heap was kept.
    ///
    /// # Errors
    /// [`AsideError`](background::AsideError), if that does not end before `ends`.
    pub(crate) async fn find_changed(self: &Arc<Self>, share: ShareId, ends: Instant) -> wasmtime::Result<usize> {
        if !self.state().is_pending {
            return Ok(0);
        }
        let mut comparison = Comparison::default();
        let changed = match self.compare_part(&mut comparison) {
            Poll::Ready(changed) => changed,
            Poll::Pending => {
                let this = Arc::clone(self);
                background::run(share, ends, move || this.compare_part(&mut comparison)).await?
            }
        };
        let bytes = changed.iter().filter(|(_, page)| page.is_some()).count() * PAGE_BYTES;
        self.state().changed = Some(changed);
        Ok(bytes)
    }

    /// Compares a part of the memory with the heap. If whoever asked went away meanwhile, the instance may be gone.
    fn compare_part(&self, comparison: &mut Comparison) -> Poll<Vec<ChangedPage>> {
        let durable = self.state();
        let slot = durable.instance.as_ref().and_then(|instance| instance.slot.as_ref());
        let Some(slot) = slot else { return Poll::Ready(Vec::new()) };
        // SAFETY: the guest has returned, and the instance is here, where nobody runs it as long as the lock is held.
        unsafe { slot.compare_part(self.stack_bytes, &durable.heap, comparison) }
    }

    /// Makes the last turn's writes part of the heap, and returns them; `None` if no turn ran since. A turn whose
    /// changes were not [found](Self::find_changed), because its caller went away, is undone.
    ///
    /// A turn that left handles to host resources takes its instance with it: the resources are gone, but wasmtime's
    /// tables have the handles for ever, and a worker that is restored has none.
    pub(crate) fn keep(&self) -> Option<KeptTurn> {
        let mut durable = self.state();
        let Some(pages) = durable.changed.take() else {
            drop(durable);
            self.undo();
            return None;
        };
        durable.is_pending = false;
        let len = durable.instance.as_ref()?.slot.as_ref()?.len();
        let kept = |(number, content): ChangedPage| {
            let before = durable.heap.pages().get(&number).cloned();
            KeptPage { number, before, content }
        };
        let pages: Vec<KeptPage> = pages.into_iter().map(kept).collect();
        let changes = pages.iter().map(|page| (page.number, page.content.clone()));
        Arc::make_mut(&mut durable.heap).apply(len, changes);
        let dropped = if durable.has_handles { durable.instance.take() } else { None };
        drop(durable);
        if let Some(instance) = dropped {
            self.pool.count_drop(DropReason::Handles);
            self.pool.discard(instance, None);
        }
        Some(KeptTurn { len, pages })
    }

    /// Undoes what the last turn wrote, if there was one since the heap was kept: in place, or by dropping the instance
    /// if that cannot be.
    pub(crate) fn undo(&self) {
        let mut durable = self.state();
        if !std::mem::take(&mut durable.is_pending) {
            return;
        }
        durable.changed = None;
        let Some(slot) = durable.instance.as_ref().and_then(|instance| instance.slot.clone()) else { return };
        let reason = if durable.has_handles {
            DropReason::Handles
        } else {
            // SAFETY: the guest has returned, and the instance is here, where nobody runs it.
            if unsafe { slot.undo(self.stack_bytes, &durable.heap) } {
                return;
            }
            if slot.len() > durable.heap.len() { DropReason::Grown } else { DropReason::Written }
        };
        drop(slot);
        let dropped = durable.instance.take();
        drop(durable);
        if let Some(instance) = dropped {
            self.pool.count_drop(reason);
            self.pool.discard(instance, None);
        }
    }

    /// The heap as of the last turn that was kept.
    pub(crate) fn heap(&self) -> Arc<Difference> {
        Arc::clone(&self.state().heap)
    }

    /// Bytes of memory for the instance, as of the last turn that was kept or undone, and for the pages of the heap.
    pub(crate) fn bytes(&self) -> usize {
        let durable = self.state();
        durable.instance.as_ref().map_or(0, Instance::bytes) + durable.heap.pages().len() * PAGE_BYTES
    }

    /// Drops the instance, and the writes of a turn that was not kept. The next turn begins in a new instance.
    pub(crate) fn release(&self) {
        let dropped = {
            let mut durable = self.state();
            durable.is_pending = false;
            durable.changed = None;
            durable.instance.take()
        };
        if let Some(instance) = dropped {
            self.pool.discard(instance, None);
        }
    }
}

impl<H: Handler> Drop for DurableInstance<H> {
    fn drop(&mut self) {
        self.release();
    }
}
