//! Service workers: instances whose memory lives on from turn to turn, and from host to host. This module has one
//! worker, its turns and its heap. The embedder decides when a turn runs, and whose worker it is.
//!
//! - `turn`: what a worker is given, and what it gives.
//! - `heap`: a heap at rest, and what turns changed of it.
//! - `format`: both as bytes; `compression`: their pages.
//! - `code`: what a version has for workers of another one.
//! - here: a worker that is awake.
//!
//! # What a heap is
//! A component of `elias-build` has no state but its linear memory, and between turns nothing is on its stacks
//! ([`elias_contract::image`] refuses components of which that is not so). So the heap is the memory, as its difference
//! to the application's image; and of the memory the engine's stack is left out, for what is on it means nothing once
//! its functions have returned.
//!
//! # What is made anew
//! Nothing that belongs to one process or moment is taken from a heap. What the host gives an instance (contexts of
//! capabilities, clocks, handles, the caller, the deadline) is in its store, which each turn gets anew, also where the
//! instance is the same: a turn cannot tell whether its worker was restored before it. Random numbers come from the
//! host: cryptographic ones each time, and `Math.random` is seeded from the host in every turn that uses it, so that
//! two workers which began with one heap do not draw the same numbers.

mod code;
mod compression;
mod format;
mod heap;
#[cfg(test)]
mod tests;
mod turn;

pub use code::WorkerCode;
pub use heap::{HeapChange, WorkerHeap};
pub use turn::{
    Alarm, AlarmChange, EmittedEvent, ReplyError, ReplyResult, SetTimer, SocketAction, SocketContent, SocketKind,
    SocketRequest, SocketSend, TimerChanges, Turn, TurnKind, TurnOutcome, TurnResult, TurnState, WorkerSend,
};

pub(crate) use code::{SwapSide, check as check_swap};
pub(crate) use heap::{HeapLayout, HeapOrigin};

use crate::error::Error;
use crate::execution::Outcome;
use crate::instance::LoadedComponent;
use crate::json_export::{self, CallOptions, GuestException, JsonHandler};
use crate::memory::Difference;
use crate::recycling::{DurableInstance, InstancePool, InstanceSource, KeptTurn};
use crate::run::{self, ExecutionRecord};
use elias_contract::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The interface, and its function.
pub(crate) const INTERFACE: &str = "elias:triggers/worker@0.1.0";
pub(crate) const FUNCTION: &str = "run";

/// The function in an instance.
pub(crate) type WorkerHandler = JsonHandler<Result<String, GuestException>>;

/// The parts from which a component's workers are made.
pub(crate) struct WorkerInstances {
    /// What makes their instances.
    pub(crate) pool: Arc<InstancePool<WorkerHandler>>,
    pub(crate) layout: HeapLayout,
}

/// A service worker that is awake: its heap, and an instance that no other execution uses.
///
/// Each [turn](Self::turn) is an execution of the component, within all limits of executions. A turn that fails is
/// undone: the heap is as it was before, whatever the turn wrote and however it ended. What turns wrote that did not
/// fail is the heap's once they are [committed](Self::commit).
///
/// A worker that is dropped is gone; [`Self::heap`] is what it can be restored from. While it is awake it is one of the
/// instances that its host has room for (`HostBuilder::instances`).
pub struct Worker {
    component: Arc<LoadedComponent>,
    layout: HeapLayout,
    instance: Arc<DurableInstance<WorkerHandler>>,
    /// What turns changed since the last commit, but for the last one.
    changed: HeapChange,
    /// Bytes of pages that a turn may change.
    turn_bytes_max: u64,
}

impl Worker {
    /// A worker that begins as the application's image.
    pub(crate) fn start(component: &Arc<LoadedComponent>, workers: &WorkerInstances) -> Self {
        let heap = Difference::new(image_bytes(workers), BTreeMap::new());
        Self::with(component, workers, Arc::new(heap))
    }

    /// A worker that begins with this heap.
    ///
    /// # Errors
    /// `heap-mismatch`, if the heap is of another engine or image; `out-of-memory`, if it is larger than the limit
    /// `memory_bytes`.
    pub(crate) fn restore(
        component: &Arc<LoadedComponent>,
        workers: &WorkerInstances,
        heap: &WorkerHeap,
    ) -> Result<Self, Error> {
        workers.layout.origin.check(&heap.origin)?;
        let (len, least, most) = (heap.difference.len(), image_bytes(workers), component.limits.memory_bytes);
        if len < least {
            let message = format!("the worker's memory has {len} bytes, and the image of its application {least}");
            return Err(Error::new(ErrorCode::HeapMismatch, message));
        }
        if len as u64 > most {
            let message = format!("the worker's memory has {len} bytes; at most {most} are allowed (memory-bytes)");
            return Err(Error::new(ErrorCode::OutOfMemory, message));
        }
        Ok(Self::with(component, workers, Arc::clone(&heap.difference)))
    }

    fn with(component: &Arc<LoadedComponent>, workers: &WorkerInstances, heap: Arc<Difference>) -> Self {
        let layout = workers.layout.clone();
        let changed = HeapChange::none(&layout.origin, heap.len());
        let instance = DurableInstance::new(&workers.pool, layout.stack_bytes, heap);
        Self { component: Arc::clone(component), layout, instance, changed, turn_bytes_max: u64::MAX }
    }

    /// Bounds the pages that a turn of this worker may change, in bytes, and so what it adds to a commit. Without this
    /// the limit `memory_bytes` is the bound. Exceeded: `turn-too-large`.
    pub fn set_turn_bytes_max(&mut self, bytes: u64) {
        self.turn_bytes_max = bytes;
    }

    /// Runs one turn. The turn before, if it is neither committed nor undone, is part of the heap from here on.
    ///
    /// The turn runs while this future is polled. If the future is dropped the turn is cancelled, and undone.
    ///
    /// # Errors
    /// As [`App::call_with`](crate::App::call_with): `exception` and `never-settles` where the handler failed;
    /// `out-of-fuel`, `out-of-memory`, `deadline`, `trap`, `stack-overflow` and `cancelled` where the turn was ended;
    /// `turn-too-large` where it changed more than [it may](Self::set_turn_bytes_max); `overloaded` where it did not
    /// begin. The heap is then as it was before the turn.
    pub async fn turn(&mut self, turn: &Turn, options: CallOptions) -> Result<TurnOutcome, Error> {
        self.keep();
        let source = InstanceSource::Worker(Arc::clone(&self.instance));
        let outcome = match json_export::run(&self.component, source, turn, options).await {
            Ok((result, record)) => self.end(turn, result, record).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.instance.undo();
        }
        outcome
    }

    /// Ends a turn whose handler returned.
    async fn end(
        &self,
        turn: &Turn,
        result: Result<String, GuestException>,
        record: ExecutionRecord,
    ) -> Result<TurnOutcome, Error> {
        let output = result.map_err(|exception| exception.fail(&record))?;
        let result = TurnResult::read(&record, &output, turn.kind.answer_characters_max())?;
        let found = self.instance.find_changed(self.component.share.group(), record.ends()).await;
        let found = run::interpret(&record, Ok(found)).map_err(|error| record.fail(error))?;
        let (changed_bytes, most) = (found as u64, self.turn_bytes_max);
        if changed_bytes > most {
            let message = format!("the turn changed {changed_bytes} bytes of the heap; it may change {most}");
            return Err(record.fail(Error::new(ErrorCode::TurnTooLarge, message)));
        }
        Ok(TurnOutcome { result, changed_bytes, execution: record.end(Outcome::Completed) })
    }

    /// Makes the last turn's writes part of the heap. Returns the pages that changed since the last commit, by all
    /// turns since then that succeeded and were not undone. The heap is only in this process's memory: the caller
    /// stores the change to make it durable.
    ///
    /// What changed is found at the end of a turn, by comparing every page that the worker has for itself with what it
    /// was: more than some megabytes are compared beside the threads on which guests run, by turns of the shares.
    pub fn commit(&mut self) -> HeapChange {
        self.keep();
        let next = HeapChange::none(&self.layout.origin, self.instance.heap().len());
        std::mem::replace(&mut self.changed, next)
    }

    /// Like [`Self::commit`], but without the last turn, which can still be committed or undone: for callers that need
    /// the heap from before that turn. [`Self::heap`] is without it as well.
    pub fn commit_earlier(&mut self) -> HeapChange {
        let next = HeapChange::none(&self.layout.origin, self.instance.heap().len());
        std::mem::replace(&mut self.changed, next)
    }

    /// Undoes the last turn, unless it failed, which has undone it, or was committed: the heap is as it was before it.
    pub fn undo(&mut self) {
        self.instance.undo();
    }

    /// The heap, without what the last turn wrote if it is not committed.
    #[must_use]
    pub fn heap(&self) -> WorkerHeap {
        WorkerHeap { origin: Arc::clone(&self.layout.origin), difference: self.instance.heap() }
    }

    /// Bytes that the worker has for itself in this process's memory, as of the last turn that was committed or undone:
    /// its instance, the pages of its memory that it has written to, and the pages of its heap.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.instance.bytes() as u64
    }

    /// Drops the instance, so that the worker has its heap alone in memory and no instance of the host's. The last turn
    /// is part of the heap from here on; the next begins in a new instance.
    pub fn release(&mut self) {
        self.keep();
        self.instance.release();
    }

    /// Makes what the last turn wrote part of the heap, or undoes it if nobody waited for its end.
    fn keep(&mut self) {
        if let Some(KeptTurn { len, pages }) = self.instance.keep() {
            self.changed.extend(len, pages);
        }
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let heap = self.instance.heap();
        write!(f, "Worker({}, {} bytes, {} pages)", self.component.info.name, heap.len(), heap.pages().len())
    }
}

/// Bytes of the memory with which workers begin.
fn image_bytes(workers: &WorkerInstances) -> usize {
    workers.pool.template().image.as_ref().map_or(0, |image| image.len())
}
