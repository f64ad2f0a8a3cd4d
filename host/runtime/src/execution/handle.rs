//! The handle to an execution that may still be under way: to wait for it, to cancel it, and to hold permits for it.

use super::Execution;
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Context;
use tokio::sync::Notify;

/// An execution that may still be under way; in the extensions of a response. A caller that wants to cancel an
/// execution before it has responded makes one and puts it into the request's extensions.
#[derive(Debug, Clone)]
pub struct ExecutionHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: String,
    record: OnceLock<Execution>,
    ended: Notify,
    cancelled: AtomicBool,
    /// Calls to capabilities whose times are kept.
    kept_calls: AtomicU32,
    /// Wakes whoever polls the guest.
    guest: AtomicWaker,
    held: Held,
}

/// The values that are dropped when the instance is gone: the latest first. None once it is.
struct Held(Mutex<Option<Vec<Box<dyn Any + Send>>>>);

/// The values that are held for an execution: the latest is dropped first.
struct HeldUntilDropped(Vec<Box<dyn Any + Send>>);

impl Drop for HeldUntilDropped {
    fn drop(&mut self) {
        self.0.drain(..).rev().for_each(drop);
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Default for ExecutionHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl ExecutionHandle {
    /// An execution that is about to begin, with a new id.
    #[must_use]
    pub fn new() -> Self {
        let id = ulid::Ulid::new().to_string();
        Self {
            shared: Arc::new(Shared {
                id,
                record: OnceLock::new(),
                ended: Notify::new(),
                cancelled: AtomicBool::new(false),
                kept_calls: AtomicU32::new(0),
                guest: AtomicWaker::new(),
                held: Held(Mutex::new(Some(Vec::new()))),
            }),
        }
    }

    /// Keeps something as long as the execution has an instance, such as a permit to have one: it is dropped when the
    /// instance is gone, before the record of the execution is there. That may be long after the response, if the guest
    /// goes on in `waitUntil`, and before its last byte is sent. If the instance is gone already it is dropped at once.
    pub fn hold(&self, what: impl Send + 'static) {
        let mut held = self.shared.held.0.lock(); // whole after every operation
        match &mut *held {
            Some(held) => held.push(Box::new(what)),
            None => drop((held, what)),
        }
    }

    /// Releases the permits that are held for the execution: its instance is gone, or will never exist.
    pub fn release(&self) {
        drop(self.take_held());
    }

    /// The values held for the execution, for something of its instance that is still there.
    pub(crate) fn take_held(&self) -> impl Send + use<> {
        HeldUntilDropped(self.shared.held.0.lock().take().unwrap_or_default())
    }

    /// Has the times of the execution's first calls to capabilities kept, at most so many, and of the guest's spans.
    /// Nothing is kept unless this was said before the execution begins.
    pub fn keep_calls(&self, most: u32) {
        self.shared.kept_calls.store(most, Ordering::Relaxed);
    }

    /// How many calls are kept.
    pub(crate) fn kept_calls(&self) -> u32 {
        self.shared.kept_calls.load(Ordering::Relaxed)
    }

    /// Ends the guest with the error `cancelled`, unless it has ended already. It is ended where it next lets others
    /// run.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Relaxed);
        self.shared.guest.wake();
    }

    /// Whether the guest is to be ended; if not, `cx` is woken when it is.
    pub(crate) fn poll_cancelled(&self, cx: &Context<'_>) -> bool {
        if self.shared.cancelled.load(Ordering::Relaxed) {
            return true;
        }
        self.shared.guest.register(cx.waker());
        self.shared.cancelled.load(Ordering::Relaxed)
    }

    /// The execution's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    /// The record, if the execution has ended.
    #[must_use]
    pub fn execution(&self) -> Option<&Execution> {
        self.shared.record.get()
    }

    /// Waits for the execution's end.
    pub async fn finished(&self) -> Execution {
        loop {
            let ended = self.shared.ended.notified();
            if let Some(record) = self.shared.record.get() {
                return record.clone();
            }
            ended.await;
        }
    }

    /// Sets the record; the first one counts.
    pub(crate) fn end(&self, execution: Execution) {
        self.release();
        if self.shared.record.set(execution).is_ok() {
            self.shared.ended.notify_waiters();
        }
    }
}
