//! The event loop: runs promise jobs, timers, and the continuations of operations of the host.

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::{self, Pollable};
use crate::error::ExceptionText;
use crate::{log, uncaught};
use javy::quickjs::{Ctx, Error, Function, Persistent, Result, qjs};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const NANOSECONDS_PER_MS: u64 = 1_000_000;

/// A JavaScript function that outlives the call it was passed to.
pub(crate) type Callback = Persistent<Function<'static>>;

/// A task that waits for a host operation. `ready` is called when the pollable is; it says whether the wait is over.
struct Wait {
    id: WaitId,
    pollable: Pollable,
    ready: Box<dyn FnMut(&Ctx<'_>) -> Result<Progress>>,
}

/// Names a wait that can be given up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitId(u64);

/// Whether a wait is over.
#[derive(PartialEq, Eq)]
pub(crate) enum Progress {
    Done,
    Again,
}

struct Timer {
    callback: Callback,
    /// Nanoseconds; for timers that repeat.
    interval: Option<u64>,
    /// Whether it is a task that only looks like a timer: no turn of a worker ends before it is called.
    immediate: bool,
    /// When it is due (nanoseconds of the loop's clock), and in what order it was set.
    due: (u64, u64),
}

struct EventLoop {
    waits: RefCell<Vec<Wait>>,
    timers: RefCell<BTreeMap<u32, Timer>>,
    /// The tasks that are to run in a turn of their own, in order.
    tasks: RefCell<VecDeque<Callback>>,
    /// `due` and id of each timer.
    due: RefCell<BTreeSet<(u64, u64, u32)>>,
    /// Whether timers outlive what runs: in the turns of a worker they are the host's to wait for.
    durable: Cell<bool>,
    /// Nanoseconds, wrapping, from the monotonic clock to the loop's own. Where timers are durable that counts from
    /// 1970, since the monotonic clock is another one in the next process; else it is the same.
    offset: Cell<u64>,
    next_timer: Cell<u32>,
    sequence: Cell<u64>,
    /// The values to drop once nothing that waits for them is left.
    deferred: RefCell<Vec<Box<dyn FnOnce()>>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for EventLoop {}

static LOOP: EventLoop = EventLoop {
    waits: RefCell::new(Vec::new()),
    timers: RefCell::new(BTreeMap::new()),
    tasks: RefCell::new(VecDeque::new()),
    due: RefCell::new(BTreeSet::new()),
    durable: Cell::new(false),
    offset: Cell::new(0),
    next_timer: Cell::new(1),
    sequence: Cell::new(0),
    deferred: RefCell::new(Vec::new()),
};

/// The loop has nothing left that could make the awaited thing happen.
pub(crate) struct StallError;

/// Calls `ready` when `pollable` is, until it says that it is done.
pub(crate) fn wait(pollable: Pollable, ready: impl FnMut(&Ctx<'_>) -> Result<Progress> + 'static) -> WaitId {
    let id = WaitId(LOOP.sequence.get());
    LOOP.sequence.set(id.0 + 1);
    LOOP.waits.borrow_mut().push(Wait { id, pollable, ready: Box::new(ready) });
    id
}

/// Runs `f` in the next turn. A pollable of the very stream that `f` drops may have woken the caller, and the host
/// traps a guest that drops a stream before its pollables.
pub(crate) fn defer(f: impl FnOnce() + 'static) {
    LOOP.deferred.borrow_mut().push(Box::new(f));
}

/// Runs what was left for the next turn.
pub(crate) fn run_deferred() {
    let deferred = LOOP.deferred.take();
    deferred.into_iter().for_each(|f| f());
}

/// Cancels all waits.
pub(crate) fn release() {
    let waits = LOOP.waits.take();
    let (pollables, ready): (Vec<_>, Vec<_>) = waits.into_iter().map(|wait| (wait.pollable, wait.ready)).unzip();
    drop(pollables);
    drop(ready);
    run_deferred();
}

/// Cancels a wait, unless it is over.
pub(crate) fn forget(id: WaitId) {
    let mut waits = LOOP.waits.borrow_mut();
    if let Some(at) = waits.iter().position(|wait| wait.id == id) {
        // Dropped after the borrow ends: what it holds may have more to say.
        let wait = waits.swap_remove(at);
        drop(waits);
        drop(wait);
    }
}

/// Begins a turn of a worker at this time, in milliseconds since 1970: timers are durable until it ends.
pub(crate) fn begin_turn(now_ms: f64) {
    let now = (now_ms.max(0.0) as u64).saturating_mul(NANOSECONDS_PER_MS);
    LOOP.offset.set(now.wrapping_sub(monotonic_clock::now()));
    LOOP.durable.set(true);
}

/// Forgets the time at the end of a worker's turn, but for the times of timers.
pub(crate) fn end_turn() {
    LOOP.offset.set(0);
    LOOP.durable.set(false);
}

/// The loop's clock, in nanoseconds.
fn now() -> u64 {
    monotonic_clock::now().wrapping_add(LOOP.offset.get())
}

/// The instant of the monotonic clock at which the loop's clock shows `due`.
fn instant(due: u64) -> u64 {
    let offset = LOOP.offset.get();
    // What is past where the monotonic clock began is now.
    if offset == 0 { due } else { due.max(now()).wrapping_sub(offset) }
}

/// Sets a timer and gives its id. One that is `immediate` is called before a worker's turn ends.
pub(crate) fn set_timer(callback: Callback, delay_ms: f64, repeat: bool, immediate: bool) -> u32 {
    // As the HTML standard's timer initialisation steps: NaN and negative delays are zero. A timer that repeats waits
    // at least a millisecond, or it would never let the loop turn.
    let delay = (delay_ms.clamp(0.0, f64::from(i32::MAX)) * 1e6) as u64;
    let interval = repeat.then_some(delay.max(NANOSECONDS_PER_MS));
    let id = unused_timer();
    schedule(id, Timer { callback, interval, immediate, due: (now().saturating_add(delay), 0) });
    id
}

/// An id that no timer has.
pub(crate) fn unused_timer() -> u32 {
    let timers = LOOP.timers.borrow();
    loop {
        let id = LOOP.next_timer.get();
        LOOP.next_timer.set(id.wrapping_add(1).max(1));
        // A worker may live long enough for the ids to begin anew.
        if !timers.contains_key(&id) {
            return id;
        }
    }
}

/// Forgets a timer; unknown ids are ignored.
pub(crate) fn clear_timer(id: u32) {
    drop(take_timer(id));
}

fn take_timer(id: u32) -> Option<Timer> {
    let timer = LOOP.timers.borrow_mut().remove(&id)?;
    LOOP.due.borrow_mut().remove(&(timer.due.0, timer.due.1, id));
    Some(timer)
}

/// Sets a timer after those that are due at the same time.
fn schedule(id: u32, mut timer: Timer) {
    let sequence = LOOP.sequence.get();
    LOOP.sequence.set(sequence + 1);
    timer.due.1 = sequence;
    LOOP.due.borrow_mut().insert((timer.due.0, sequence, id));
    LOOP.timers.borrow_mut().insert(id, timer);
}

/// Runs promise jobs until none is left, and then tells of rejections that none of them handled.
pub(crate) fn run_jobs(ctx: &Ctx<'_>) {
    loop {
        while run_one_job(ctx) {}
        if !uncaught::notify(ctx) {
            // SAFETY: the context is valid, and so is its runtime.
            unsafe { elias_clear_kept_objects(qjs::JS_GetRuntime(ctx.as_raw().as_ptr())) };
            return;
        }
    }
}

unsafe extern "C" {
    /// Ends what a job keeps alive for its `WeakRef`s (`quickjs/patches`).
    fn elias_clear_kept_objects(runtime: *mut qjs::JSRuntime);
}

/// Runs the next promise job. Whether there was one.
pub(crate) fn run_one_job(ctx: &Ctx<'_>) -> bool {
    // A promise catches what its reactions throw. What was given to `queueMicrotask` has nobody who would.
    match run_job(ctx) {
        None => return false,
        Some(Err(_)) => uncaught::report(ctx.clone(), ctx.catch()),
        // Left behind by a native function that went on without it; it is nobody's.
        Some(Ok(())) if ctx.has_exception() => drop(ctx.catch()),
        Some(Ok(())) => {}
    }
    true
}

/// Runs one promise job; nothing if there is none. rquickjs does not tell whether the job threw.
fn run_job(ctx: &Ctx<'_>) -> Option<Result<()>> {
    let mut of = std::ptr::null_mut();
    // SAFETY: the context is valid, and so is its runtime; `of` is written to.
    let ran = unsafe { qjs::JS_ExecutePendingJob(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), &raw mut of) };
    match ran {
        0 => None,
        1.. => Some(Ok(())),
        _ => Some(Err(Error::Exception)),
    }
}

/// Whether no promise job is left to run, and no rejection to tell of.
pub(crate) fn is_idle(ctx: &Ctx<'_>) -> bool {
    // SAFETY: the context is valid, and so is its runtime.
    let has_job = unsafe { qjs::JS_IsJobPending(qjs::JS_GetRuntime(ctx.as_raw().as_ptr())) };
    !has_job && !uncaught::is_pending()
}

/// Calls `callback` in a later turn, after what was queued before it.
pub(crate) fn queue_task(callback: Callback) {
    LOOP.tasks.borrow_mut().push_back(callback);
}

/// Runs the tasks that are queued now, each with its promise jobs. Whether there were any.
fn run_tasks(ctx: &Ctx<'_>) -> bool {
    let count = LOOP.tasks.borrow().len();
    for _ in 0..count {
        let Some(task) = LOOP.tasks.borrow_mut().pop_front() else { break };
        if let Err(error) = task.restore(ctx).and_then(|task| task.call::<_, ()>(())) {
            report(ctx, &error);
        }
        run_jobs(ctx);
    }
    count > 0
}

/// Turns the loop until `done`.
///
/// # Errors
/// [`StallError`] if nothing is under way that could ever make it so.
pub(crate) fn run_until(ctx: &Ctx<'_>, done: impl Fn() -> bool) -> std::result::Result<(), StallError> {
    loop {
        run_jobs(ctx);
        run_deferred();
        if done() {
            return Ok(());
        }
        if run_tasks(ctx) {
            // Tasks that queue tasks keep neither the host's answers nor timers from their turn.
            let ready = LOOP.waits.borrow().iter().map(|wait| wait.pollable.ready()).collect();
            move_on(ctx, ready);
            fire_due(ctx);
            continue;
        }
        if LOOP.waits.borrow().is_empty() {
            if LOOP.durable.get() {
                let Some(id) = first_immediate() else { return Err(StallError) };
                fire(ctx, id);
                continue;
            }
            if LOOP.due.borrow().is_empty() {
                return Err(StallError);
            }
        }
        wait_for_host(ctx);
        fire_due(ctx);
    }
}

/// When the earliest timer is due.
fn next_due() -> Option<u64> {
    LOOP.due.borrow().first().map(|(due, ..)| *due)
}

/// The earliest of the timers that are immediate.
fn first_immediate() -> Option<u32> {
    let (due, timers) = (LOOP.due.borrow(), LOOP.timers.borrow());
    due.iter().map(|(.., id)| *id).find(|id| timers.get(id).is_some_and(|timer| timer.immediate))
}

/// Blocks until a wait is ready or a timer is due, and moves on what is ready.
fn wait_for_host(ctx: &Ctx<'_>) {
    let timer = next_due();
    let ready = {
        let waits = LOOP.waits.borrow();
        if waits.is_empty() && timer.is_some_and(|due| due <= now()) {
            return;
        }
        let timer = timer.map(|due| monotonic_clock::subscribe_instant(instant(due)));
        let pollables: Vec<&Pollable> = waits.iter().map(|wait| &wait.pollable).chain(timer.as_ref()).collect();
        let mut ready = vec![false; waits.len()];
        for index in poll::poll(&pollables) {
            // What is behind the waits is the timer.
            if let Some(ready) = ready.get_mut(index as usize) {
                *ready = true;
            }
        }
        ready
    };
    move_on(ctx, ready);
}

/// Moves on the waits that are ready, which says for each whether it is.
fn move_on(ctx: &Ctx<'_>, ready: Vec<bool>) {
    // From the back, so that removing one leaves the others' places.
    for (index, _) in ready.into_iter().enumerate().rev().filter(|(_, ready)| *ready) {
        // Those that came before may have given up others.
        if index >= LOOP.waits.borrow().len() {
            continue;
        }
        let mut wait = LOOP.waits.borrow_mut().swap_remove(index);
        match (wait.ready)(ctx) {
            Ok(Progress::Again) => LOOP.waits.borrow_mut().push(wait),
            Ok(Progress::Done) => {}
            Err(error) => report(ctx, &error),
        }
    }
}

/// Calls the one timer that is due first, if it is due; promise jobs run between two timers, as browsers do it.
fn fire_due(ctx: &Ctx<'_>) {
    let first = LOOP.due.borrow().first().copied();
    if let Some((due, _, id)) = first
        && due <= now()
    {
        fire(ctx, id);
    }
}

fn fire(ctx: &Ctx<'_>, id: u32) {
    if let Err(error) = call_timer(ctx, id) {
        report(ctx, &error);
    }
}

/// Calls a timer, whether it is due or not; nothing if it is not set.
///
/// # Errors
/// What its function threw.
pub(crate) fn call_timer(ctx: &Ctx<'_>, id: u32) -> Result<()> {
    let Some(timer) = take_timer(id) else { return Ok(()) };
    let callback = timer.callback.clone();
    if let Some(interval) = timer.interval {
        let due = timer.due.0.saturating_add(interval).max(now());
        schedule(id, Timer { due: (due, 0), ..timer });
    }
    callback.restore(ctx)?.call::<_, ()>(())
}

/// An exception that no caller waits for.
fn report(ctx: &Ctx<'_>, error: &Error) {
    match error {
        Error::Exception => uncaught::report(ctx.clone(), ctx.catch()),
        other => log::uncaught(&ExceptionText::catch(ctx, other)),
    }
}

/// The number of timers that are set.
pub(crate) fn timers() -> usize {
    LOOP.timers.borrow().len()
}

/// When each timer is due, by id: milliseconds of the loop's clock, in a worker since 1970.
pub(crate) fn due_timers() -> BTreeMap<u32, u64> {
    LOOP.timers.borrow().iter().map(|(id, timer)| (*id, timer.due.0.div_ceil(NANOSECONDS_PER_MS))).collect()
}
