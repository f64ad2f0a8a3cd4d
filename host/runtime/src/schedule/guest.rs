//! A guest as the scheduler polls it: only while it has a core.

use super::Share;
use super::queue::{Charge, ShareKey};
use futures::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// It waits for something outside, and is not to be polled before it is woken.
const PARKED: u8 = 0;
/// It can run, and its task is about to poll it.
const RUNNABLE: u8 = 1;
/// It is being polled.
const RUNNING: u8 = 2;
/// It was woken while it was being polled: it gave way to others, and can run.
const YIELDED: u8 = 3;
/// It waits for a core.
const QUEUED: u8 = 4;
/// It has a core, and its task is about to poll it.
const GRANTED: u8 = 5;

/// The state that the scheduler and the guest's own wake-ups share.
pub(super) struct GuestState {
    share: Arc<Share>,
    state: AtomicU8,
    /// Whoever polls the guest.
    task: AtomicWaker,
    slot: Mutex<QueueSlot>,
}

/// A place in the queue, or what comes of it.
#[derive(Default)]
struct QueueSlot {
    place: Option<u64>,
    granted: Option<Charge>,
}

impl GuestState {
    pub(super) fn key(&self) -> ShareKey {
        self.share.key
    }

    fn slot(&self) -> MutexGuard<'_, QueueSlot> {
        self.slot.lock() // two fields, which are set whole
    }

    /// It waits in the queue; called with the queue's lock held.
    pub(super) fn wait_at(&self, place: u64) {
        *self.slot() = QueueSlot { place: Some(place), granted: None };
        self.state.store(QUEUED, Ordering::Release);
    }

    /// It has a core; called with the queue's lock held.
    pub(super) fn grant(&self, charge: Charge) {
        *self.slot() = QueueSlot { place: None, granted: Some(charge) };
        self.state.store(GRANTED, Ordering::Release);
    }

    pub(super) fn place(&self) -> Option<u64> {
        self.slot().place
    }

    pub(super) fn take_grant(&self) -> Option<Charge> {
        self.slot().granted.take()
    }

    pub(super) fn wake_task(&self) {
        self.task.wake();
    }
}

/// The guest's own wake-ups: when what it waits for is there, and at once when its fuel interval is over.
impl Wake for GuestState {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let change = |state| match state {
            PARKED => Some(RUNNABLE),
            RUNNING => Some(YIELDED),
            _ => None, // it will run anyway
        };
        if self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change) == Ok(PARKED) {
            self.task.wake();
        }
    }
}

/// A guest that is polled only while it has a core, and only when it can run.
pub(crate) struct Scheduled<F> {
    guest: Pin<Box<F>>,
    turn: Arc<GuestState>,
    waker: Waker,
}

impl<F> Scheduled<F> {
    /// Runs `guest` by the turns of this share.
    pub(crate) fn new(share: &Arc<Share>, guest: F) -> Self {
        let turn = Arc::new(GuestState {
            share: Arc::clone(share),
            state: AtomicU8::new(RUNNABLE),
            task: AtomicWaker::new(),
            slot: Mutex::default(),
        });
        Self { guest: Box::pin(guest), waker: Waker::from(Arc::clone(&turn)), turn }
    }
}

/// A guest that can be left alone for a while.
pub(crate) trait Guest: Future {
    /// Whoever polls the guest may not do so again soon: it neither waits for a core nor has one meanwhile, which would
    /// be kept from others.
    fn pause(&self);
}

impl<F: Future> Guest for Scheduled<F> {
    fn pause(&self) {
        if matches!(self.turn.state.load(Ordering::Acquire), QUEUED | GRANTED) {
            self.turn.share.scheduler.leave(&self.turn);
            self.turn.state.store(RUNNABLE, Ordering::Release);
        }
    }
}

/// A core that a guest has while it is polled; given back also when a panic passes.
struct Core<'a> {
    turn: &'a Arc<GuestState>,
    charge: Charge,
    since: Instant,
}

impl Core<'_> {
    fn give_back(&self, again: bool) -> bool {
        let nanoseconds = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let scheduler = &self.turn.share.scheduler;
        scheduler.give_back(self.turn.key(), self.charge, nanoseconds, again.then_some(self.turn))
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.give_back(false);
        }
    }
}

impl<F: Future> Future for Scheduled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { guest, turn, waker } = &mut *self;
        turn.task.register(cx.waker());
        let charge = match turn.state.load(Ordering::Acquire) {
            GRANTED => turn.take_grant().unwrap_or_default(),
            RUNNABLE if turn.share.scheduler.take_or_wait(turn) => Charge::default(),
            _ => return Poll::Pending,
        };
        turn.state.store(RUNNING, Ordering::Release);
        let core = Core { turn, charge, since: Instant::now() };
        if let Poll::Ready(output) = guest.as_mut().poll(&mut Context::from_waker(waker)) {
            turn.state.store(PARKED, Ordering::Release);
            core.give_back(false);
            return Poll::Ready(output);
        }
        let parks = turn.state.compare_exchange(RUNNING, PARKED, Ordering::AcqRel, Ordering::Acquire);
        if parks.is_ok() {
            core.give_back(false);
        } else if !core.give_back(true) {
            // Nobody waits: the next turn is its own, after whatever else its thread has to do.
            turn.state.store(RUNNABLE, Ordering::Release);
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<F> Drop for Scheduled<F> {
    fn drop(&mut self) {
        if matches!(self.turn.state.load(Ordering::Acquire), QUEUED | GRANTED) {
            self.turn.share.scheduler.leave(&self.turn);
        }
    }
}
