//! Turns of a service worker: the functions of the web module `workers/turns.js`, the timers that outlive a turn, and
//! the swap of its code.

use super::{raw, timers};
use crate::{event_loop, heap, uncaught};
use javy::quickjs::{Ctx, Exception, Function, Object, Persistent, Result, Value, qjs};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::fmt::Write as _;

unsafe extern "C" {
    // Of `quickjs/swap.c`.
    fn elias_swap_module(
        ctx: *mut qjs::JSContext,
        name: *const c_char,
        source: *const c_char,
        length: usize,
        file: *const c_char,
    ) -> qjs::JSValue;
}

/// The application's module, as `elias-build` names it.
const MODULE: &CStr = c"app.js";

/// Digits of the code's name that its frames show, as `elias_contract::swap` has it.
const NAME_DIGITS: usize = 12;

/// The functions of the web module.
#[derive(Clone)]
struct Functions {
    /// Finds the worker classes among a module's exports.
    find: Persistent<Function<'static>>,
    /// Begins a turn.
    begin: Persistent<Function<'static>>,
    /// Ends a turn.
    finish: Persistent<Function<'static>>,
}

struct State {
    functions: RefCell<Option<Functions>>,
    /// The timers that the host knows of: when each is due, in milliseconds since 1970, by number.
    reported: RefCell<BTreeMap<u32, u64>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State { functions: RefCell::new(None), reported: RefCell::new(BTreeMap::new()) };

pub(super) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("workerTurns", Function::new(ctx.clone(), set_functions)?)?;
    native.set("beginTurn", Function::new(ctx.clone(), begin_turn)?)?;
    native.set("fireTimer", Function::new(ctx.clone(), fire_timer)?)?;
    native.set("swapCode", Function::new(ctx, swap_code)?)
}

/// Puts other code under the objects of the heap: the source of a module, by its name. Gives the module's exports.
fn swap_code<'js>(ctx: Ctx<'js>, code: String, source: String) -> Result<Value<'js>> {
    let text = |text: String| CString::new(text).map_err(|_| Exception::throw_type(&ctx, "the code has a zero in it"));
    let file = text(format!("app-{}.js", code.get(..NAME_DIGITS).unwrap_or(&code)))?;
    let (length, source) = (source.len(), text(source)?);
    // What the compiler and the tables took would stay in the worker's pages.
    heap::clear_freed(true);
    // SAFETY: the context is alive, the texts end with a zero, and the caller owns the value.
    let exports = unsafe {
        let (context, source, file) = (ctx.as_raw().as_ptr(), source.as_ptr(), file.as_ptr());
        raw::owned(&ctx, elias_swap_module(context, MODULE.as_ptr(), source, length, file))
    };
    heap::clear_freed(false);
    exports
}

fn set_functions<'js>(ctx: Ctx<'js>, find: Function<'js>, begin: Function<'js>, finish: Function<'js>) {
    STATE.functions.replace(Some(Functions {
        find: Persistent::save(&ctx, find),
        begin: Persistent::save(&ctx, begin),
        finish: Persistent::save(&ctx, finish),
    }));
}

/// Begins a turn `now`, in milliseconds since 1970, which is so many milliseconds after the worker started.
/// `is_strict` says whether an exception that nothing handles fails the turn.
fn begin_turn(now: f64, since_start: f64, is_strict: bool) {
    event_loop::begin_turn(now);
    timers::set_elapsed(since_start);
    uncaught::keep_first(is_strict);
}

/// Calls a timer that is due. The host has forgotten it.
fn fire_timer(ctx: Ctx<'_>, timer: u32) -> Result<()> {
    STATE.reported.borrow_mut().remove(&timer);
    event_loop::call_timer(&ctx, timer)
}

fn functions(ctx: &Ctx<'_>) -> Result<Functions> {
    let functions = STATE.functions.borrow().clone();
    functions.ok_or_else(|| Exception::throw_internal(ctx, "no web module runs the turns of workers"))
}

/// The names of the worker classes among a module's exports, sorted; none where no web module looks for them.
pub(crate) fn find_classes<'js>(ctx: &Ctx<'js>, exports: Object<'js>) -> Result<Vec<String>> {
    let functions = STATE.functions.borrow().clone();
    let Some(functions) = functions else { return Ok(Vec::new()) };
    functions.find.restore(ctx)?.call((exports,))
}

/// Begins the turn that is the input: the promise of the handler that is under way in it, or undefined.
pub(crate) fn begin<'js>(ctx: &Ctx<'js>) -> Result<Value<'js>> {
    functions(ctx)?.begin.restore(ctx)?.call(())
}

/// Ends the turn: its result as JSON, or none if the handler, which is not done, awaits what nothing can settle.
pub(crate) fn finish(ctx: &Ctx<'_>, is_done: bool) -> Result<Option<String>> {
    let timers = event_loop::due_timers();
    let changes = changes(&STATE.reported.replace(timers.clone()), &timers);
    let count = u32::try_from(timers.len()).unwrap_or(u32::MAX);
    functions(ctx)?.finish.restore(ctx)?.call((is_done, count, changes))
}

/// The timers that were set and those that were cleared, as JSON.
fn changes(before: &BTreeMap<u32, u64>, after: &BTreeMap<u32, u64>) -> String {
    let mut json = "{\"set\":[".to_owned();
    let mut separator = "";
    for (timer, at) in after.iter().filter(|(timer, at)| before.get(timer) != Some(at)) {
        let _ = write!(json, "{separator}{{\"timer\":{timer},\"at\":{at}}}"); // writing to a String cannot fail
        separator = ",";
    }
    json.push_str("],\"cleared\":[");
    separator = "";
    for timer in before.keys().filter(|timer| !after.contains_key(timer)) {
        let _ = write!(json, "{separator}{timer}");
        separator = ",";
    }
    json.push_str("]}");
    json
}
