//! Uncaught exceptions, which have no caller to catch them, and rejections without a handler.
//!
//! A web module that dispatches the global scope's events (`error`, `unhandledrejection`) registers a hook; what the
//! hook does not take for handled is logged. HTML 8.1.4.6 "report an exception", 8.1.6.2 "unhandled promise
//! rejections".

use crate::error::ExceptionText;
use crate::log;
use javy::quickjs::{Ctx, Function, Object, Persistent, Result, Value};
use std::cell::{Cell, RefCell};

/// Promises of which a `rejectionhandled` event may still come; older ones are forgotten.
const TOLD_MAX: usize = 256;

type PersistentValue = Persistent<Value<'static>>;

/// A rejected promise, and why it was.
struct Rejection {
    promise: PersistentValue,
    reason: PersistentValue,
}

struct State {
    hook: RefCell<Option<Persistent<Function<'static>>>>,
    /// Nothing handled them when they were rejected; it may still be attached before the jobs are done.
    pending: RefCell<Vec<Rejection>>,
    /// The hook was told that nothing handles them.
    told: RefCell<Vec<Rejection>>,
    /// Something does, now.
    late: RefCell<Vec<Rejection>>,
    /// The engine itself waits for these promises and sees what becomes of them.
    awaited: RefCell<Vec<PersistentValue>>,
    /// Whether the first exception that nothing handles is kept: what runs fails with it.
    keeps_first: Cell<bool>,
    kept: RefCell<Option<ExceptionText>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    hook: RefCell::new(None),
    pending: RefCell::new(Vec::new()),
    told: RefCell::new(Vec::new()),
    late: RefCell::new(Vec::new()),
    awaited: RefCell::new(Vec::new()),
    keeps_first: Cell::new(false),
    kept: RefCell::new(None),
};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("onUncaught", Function::new(ctx.clone(), set_hook)?)?;
    native.set("reportException", Function::new(ctx, report)?)
}

/// Sets the hook: `(kind, value, promise) => boolean`, with the name of the event as `kind`. Whether it was handled.
fn set_hook<'js>(ctx: Ctx<'js>, hook: Function<'js>) {
    STATE.hook.replace(Some(Persistent::save(&ctx, hook)));
}

/// Reports an exception that no caller waits for.
pub(crate) fn report<'js>(ctx: Ctx<'js>, exception: Value<'js>) {
    if !is_handled(&ctx, "error", &exception, None) {
        keep_or(log::uncaught, ExceptionText::of(&exception));
    }
}

/// Sets whether the first exception that nothing handles is kept from now on.
pub(crate) fn keep_first(keep: bool) {
    STATE.keeps_first.set(keep);
    STATE.kept.replace(None);
}

/// Whether an exception was kept.
pub(crate) fn has_kept() -> bool {
    STATE.kept.borrow().is_some()
}

/// The exception that was kept.
pub(crate) fn take_kept() -> Option<ExceptionText> {
    STATE.kept.take()
}

/// Keeps the exception if it is the first of what fails with it; else logs it.
fn keep_or(log: fn(&ExceptionText), thrown: ExceptionText) {
    if STATE.keeps_first.get() && !has_kept() {
        STATE.kept.replace(Some(thrown));
    } else {
        log(&thrown);
    }
}

/// Asks the hook. What it throws counts as not handled.
fn is_handled<'js>(ctx: &Ctx<'js>, kind: &str, value: &Value<'js>, promise: Option<&Value<'js>>) -> bool {
    let hook = STATE.hook.borrow().clone();
    let Some(hook) = hook.and_then(|hook| hook.restore(ctx).ok()) else { return false };
    hook.call((kind, value, promise)).unwrap_or_else(|_| {
        ctx.catch();
        false
    })
}

/// QuickJS tells of each promise that is rejected while nothing handles it, and of each that something handles after
/// that. No script may run in here.
pub(crate) fn track<'js>(ctx: Ctx<'js>, promise: Value<'js>, reason: Value<'js>, is_handled: bool) {
    if !is_handled {
        let (promise, reason) = (Persistent::save(&ctx, promise), Persistent::save(&ctx, reason));
        STATE.pending.borrow_mut().push(Rejection { promise, reason });
    } else if take(&ctx, &STATE.pending, &promise).is_none()
        && let Some(rejection) = take(&ctx, &STATE.told, &promise)
    {
        STATE.late.borrow_mut().push(rejection);
    }
}

fn take<'js>(ctx: &Ctx<'js>, list: &RefCell<Vec<Rejection>>, promise: &Value<'js>) -> Option<Rejection> {
    let mut list = list.borrow_mut();
    let at = list.iter().rposition(|rejection| is_same(ctx, &rejection.promise, promise))?;
    Some(list.swap_remove(at))
}

fn is_same<'js>(ctx: &Ctx<'js>, held: &PersistentValue, value: &Value<'js>) -> bool {
    held.clone().restore(ctx).is_ok_and(|held| held == *value)
}

/// Notes that the engine waits for `promise`, so that its rejection is not reported.
pub(crate) fn expect<'js>(ctx: &Ctx<'js>, promise: &Value<'js>) {
    STATE.awaited.borrow_mut().push(Persistent::save(ctx, promise.clone()));
}

/// Lets go of the promises that were expected.
pub(crate) fn forget_expected() {
    STATE.awaited.borrow_mut().clear();
}

/// Whether there is anything to tell of.
pub(crate) fn is_pending() -> bool {
    !STATE.pending.borrow().is_empty() || !STATE.late.borrow().is_empty()
}

/// Reports rejections that are still unhandled after the jobs. True if there were any: the handlers may have added
/// jobs.
pub(crate) fn notify(ctx: &Ctx<'_>) -> bool {
    let (pending, late) = (STATE.pending.take(), STATE.late.take());
    let found = !pending.is_empty() || !late.is_empty();
    for Rejection { promise, reason } in pending {
        let restored = (promise.clone().restore(ctx), reason.clone().restore(ctx));
        let (Ok(promise_value), Ok(reason_value)) = restored else { continue };
        if STATE.awaited.borrow().iter().any(|awaited| is_same(ctx, awaited, &promise_value)) {
            continue;
        }
        if !is_handled(ctx, "unhandledrejection", &reason_value, Some(&promise_value)) {
            keep_or(log::unhandled, ExceptionText::of(&reason_value));
        }
        if STATE.hook.borrow().is_some() {
            let mut told = STATE.told.borrow_mut();
            if told.len() == TOLD_MAX {
                told.remove(0);
            }
            told.push(Rejection { promise, reason });
        }
    }
    for Rejection { promise, reason } in late {
        if let (Ok(promise), Ok(reason)) = (promise.restore(ctx), reason.restore(ctx)) {
            is_handled(ctx, "rejectionhandled", &reason, Some(&promise));
        }
    }
    found
}
