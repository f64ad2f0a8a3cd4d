//! The async context: one value that follows the flow of control through `then`, `await` and timers. `node:async_hooks`
//! keeps its stores in it.
//!
//! While there is none (the value is `undefined`, as it always is where nothing imports `node:async_hooks`), attaching
//! a reaction costs one comparison. Otherwise each handler is wrapped in a function that brings the context back.

use javy::quickjs::{Ctx, Function, Object, Result, Value, qjs};
use std::cell::Cell;
use std::ffi::{c_int, c_void};

struct State {
    /// The value that functions see now; owned.
    current: Cell<qjs::JSValue>,
    /// The wrappers that QuickJS borrowed last, to take references of its own; owned, and freed when it borrows the
    /// next.
    borrowed: Cell<[qjs::JSValue; 2]>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State { current: Cell::new(qjs::JS_UNDEFINED), borrowed: Cell::new([qjs::JS_UNDEFINED; 2]) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("asyncContext", Function::new(ctx.clone(), current)?)?;
    native.set("setAsyncContext", Function::new(ctx.clone(), set_current)?)?;
    native.set("bindAsyncContext", Function::new(ctx, bind)?)
}

fn current(ctx: Ctx<'_>) -> Value<'_> {
    // SAFETY: the value is alive, and this is a reference of its own.
    unsafe { Value::from_raw(ctx.clone(), qjs::JS_DupValue(ctx.as_raw().as_ptr(), STATE.current.get())) }
}

fn set_current<'js>(ctx: Ctx<'js>, value: Value<'js>) {
    let raw = ctx.as_raw().as_ptr();
    // SAFETY: the value is alive, and this is a reference of its own.
    let owned = unsafe { qjs::JS_DupValue(raw, value.as_raw()) };
    let previous = STATE.current.replace(owned);
    // SAFETY: `current` owned it, and does no longer.
    unsafe { qjs::JS_FreeValue(raw, previous) };
}

/// `function` as it is, or one that calls it in the current context.
pub(crate) fn bind<'js>(ctx: Ctx<'js>, function: Function<'js>) -> Function<'js> {
    if is_none() {
        return function;
    }
    // SAFETY: what `wrap` gives is a function and owned by whoever asked.
    let bound = unsafe { Value::from_raw(ctx.clone(), wrap(ctx.as_raw().as_ptr(), function.as_raw())) };
    bound.into_function().unwrap_or(function)
}

fn is_none() -> bool {
    // SAFETY: reads the tag only.
    unsafe { qjs::JS_IsUndefined(STATE.current.get()) }
}

/// A function that calls `handler` in the current context; `handler` again if there is no memory for one.
unsafe fn wrap(ctx: *mut qjs::JSContext, handler: qjs::JSValue) -> qjs::JSValue {
    let mut data = [handler, STATE.current.get()];
    // SAFETY: the data are alive; QuickJS takes its own references to them.
    unsafe {
        let wrapper = qjs::JS_NewCFunctionData(ctx, Some(call), 1, 0, 2, data.as_mut_ptr());
        if qjs::JS_IsException(wrapper) {
            qjs::JS_FreeValue(ctx, qjs::JS_GetException(ctx));
            return qjs::JS_DupValue(ctx, handler);
        }
        wrapper
    }
}

unsafe extern "C" fn call(
    ctx: *mut qjs::JSContext,
    this: qjs::JSValue,
    argc: c_int,
    argv: *mut qjs::JSValue,
    _: c_int,
    data: *mut qjs::JSValue,
) -> qjs::JSValue {
    // SAFETY: QuickJS calls this with the two values that `wrap` gave it, which live as long as the call.
    unsafe {
        let previous = STATE.current.replace(qjs::JS_DupValue(ctx, *data.add(1)));
        let result = qjs::JS_Call(ctx, *data, this, argc, argv);
        qjs::JS_FreeValue(ctx, STATE.current.replace(previous));
        result
    }
}

/// The data that QuickJS attaches to a promise in place of the two `handlers` (`async-context.h`).
#[unsafe(no_mangle)]
unsafe extern "C" fn elias_reaction_handlers(ctx: *mut c_void, handlers: *mut c_void) -> *mut c_void {
    if is_none() {
        return handlers;
    }
    let (ctx, handlers) = (ctx.cast::<qjs::JSContext>(), handlers.cast::<qjs::JSValue>());
    // SAFETY: quickjs.c calls this with its context and two values that are alive.
    unsafe { bound_handlers(ctx, [*handlers, *handlers.add(1)]) }.cast()
}

/// Puts the context around the method `then` of a job's arguments: promise, thenable, method (`async-context.h`).
#[unsafe(no_mangle)]
unsafe extern "C" fn elias_thenable_job(ctx: *mut c_void, args: *mut c_void) {
    if !is_none() {
        let (ctx, args) = (ctx.cast::<qjs::JSContext>(), args.cast::<qjs::JSValue>());
        // SAFETY: quickjs.c calls this with its context and three values that it has references to elsewhere.
        unsafe { *args.add(2) = *bound_handlers(ctx, [*args.add(2), qjs::JS_UNDEFINED]) };
    }
}

/// The handlers bound to the current context; the pointer is valid until this is called again.
unsafe fn bound_handlers(ctx: *mut qjs::JSContext, handlers: [qjs::JSValue; 2]) -> *mut qjs::JSValue {
    // SAFETY: as for the callers; QuickJS has its own references to what it borrowed before.
    unsafe {
        let wrapped = handlers
            .map(|handler| if qjs::JS_IsFunction(ctx, handler) { wrap(ctx, handler) } else { qjs::JS_UNDEFINED });
        for value in STATE.borrowed.replace(wrapped) {
            qjs::JS_FreeValue(ctx, value);
        }
    }
    STATE.borrowed.as_ptr().cast()
}
