//! Iterators over pairs (Web IDL, 3.7.11.2): `entries`, `keys` and `values` of Headers, FormData and URLSearchParams.

use super::raw::{self, Context, Native, Raw};
use super::url::object;
use javy::quickjs::{Ctx, Exception, Function, Object, Result, Value, qjs};
use std::cell::{Cell, RefCell};
use std::ffi::c_int;

/// What the iterators of an interface have in common; the values are owned, and live as long as the memory.
#[derive(Clone, Copy)]
struct Interface {
    /// Its name, for errors.
    name: &'static str,
    prototype: Raw,
    /// Gives the flat list of an object's pairs, or throws if it is none of the interface.
    pairs: Raw,
}

struct State {
    interfaces: RefCell<Vec<Interface>>,
    class: Cell<qjs::JSClassID>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State { interfaces: RefCell::new(Vec::new()), class: Cell::new(0) };

/// What an iterator holds.
struct Iteration {
    /// The object whose pairs these are; owned.
    target: Raw,
    interface: usize,
    what: c_int,
    /// Where in the list the next pair is.
    next: usize,
}

/// What an iterator gives, by the methods' order; the magic number of a method is that of its interface and this.
const METHODS: [&str; 3] = ["entries", "keys", "values"];
const KEYS: c_int = 1;
const VALUES: c_int = 2;

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("pairIterators", Function::new(native.ctx().clone(), define)?)
}

/// The methods of an interface, and its iterators' `next`. `prototype` is that of the iterators.
fn define<'js>(ctx: Ctx<'js>, name: String, prototype: Object<'js>, pairs: Function<'js>) -> Result<Object<'js>> {
    let raw_ctx = ctx.as_raw().as_ptr();
    // SAFETY: the values are alive.
    let keep = |value: &Value<'js>| unsafe { qjs::JS_DupValue(raw_ctx, value.as_raw()) };
    let mut interfaces = STATE.interfaces.borrow_mut();
    if interfaces.is_empty() {
        register(raw_ctx);
    }
    let number = interfaces.len();
    interfaces.push(Interface { name: name.leak(), prototype: keep(&prototype), pairs: keep(&pairs) });
    // One that stays: its shape is then in the image, and no request makes it anew.
    // SAFETY: the prototype is alive; what is given is kept for good.
    unsafe { qjs::JS_NewObjectProtoClass(raw_ctx, prototype.as_raw(), STATE.class.get()) };
    let natives = Object::new(ctx.clone())?;
    natives.set("next", raw::named_function(&ctx, "next", 0, Native::Next(advance), number)?)?;
    for (what, method) in METHODS.into_iter().enumerate() {
        let number = number * METHODS.len() + what;
        natives.set(method, raw::named_function(&ctx, method, 0, Native::Method(iterate), number)?)?;
    }
    Ok(natives)
}

/// Makes the class of these iterators known.
fn register(ctx: Context) {
    let definition = qjs::JSClassDef {
        class_name: c"Object".as_ptr(),
        finalizer: Some(finalize),
        gc_mark: Some(mark),
        call: None,
        exotic: std::ptr::null_mut(),
    };
    let mut class = 0;
    // SAFETY: the context is valid; the definition is copied.
    unsafe {
        let runtime = qjs::JS_GetRuntime(ctx);
        qjs::JS_NewClassID(runtime, &raw mut class);
        qjs::JS_NewClass(runtime, class, &raw const definition);
    }
    STATE.class.set(class);
}

unsafe extern "C" fn finalize(runtime: *mut qjs::JSRuntime, iterator: Raw) {
    // SAFETY: an iterator's opaque is a box that it owns, or nothing if it was not made to the end.
    unsafe {
        let iteration = iteration_of(iterator);
        if !iteration.is_null() {
            qjs::JS_FreeValueRT(runtime, Box::from_raw(iteration).target);
        }
    }
}

unsafe extern "C" fn mark(runtime: *mut qjs::JSRuntime, iterator: Raw, mark: qjs::JS_MarkFunc) {
    // SAFETY: as above.
    unsafe {
        if let Some(iteration) = iteration_of(iterator).as_ref() {
            qjs::JS_MarkValue(runtime, iteration.target, mark);
        }
    }
}

/// # Safety
/// The value must be alive.
unsafe fn iteration_of(iterator: Raw) -> *mut Iteration {
    // SAFETY: as for the caller; null for what is no such iterator.
    unsafe { qjs::JS_GetOpaque(iterator, STATE.class.get()).cast() }
}

/// The list of an object's pairs, which is the caller's own; an exception if it is none of the interface.
///
/// # Safety
/// All must be alive.
unsafe fn pairs_of(ctx: Context, interface: Interface, mut target: Raw) -> Raw {
    // SAFETY: as for the caller.
    unsafe {
        object::list(ctx, target)
            .filter(|_| interface.name == object::PARAMS_NAME)
            .unwrap_or_else(|| qjs::JS_Call(ctx, interface.pairs, qjs::JS_UNDEFINED, 1, &raw mut target))
    }
}

/// `entries`, `keys` and `values`.
unsafe extern "C" fn iterate(ctx: Context, this: Raw, _: c_int, _: *mut Raw, number: c_int) -> Raw {
    let number = number as usize;
    let (interface, what) = (number / METHODS.len(), (number % METHODS.len()) as c_int);
    let common = STATE.interfaces.borrow()[interface];
    // SAFETY: QuickJS gives what is alive.
    unsafe {
        // The brand check happens here and not at the first step.
        let pairs = pairs_of(ctx, common, this);
        if qjs::JS_IsException(pairs) {
            return pairs;
        }
        qjs::JS_FreeValue(ctx, pairs);
        let iterator = qjs::JS_NewObjectProtoClass(ctx, common.prototype, STATE.class.get());
        if !qjs::JS_IsException(iterator) {
            let iteration = Iteration { target: qjs::JS_DupValue(ctx, this), interface, what, next: 0 };
            qjs::JS_SetOpaque(iterator, Box::into_raw(Box::new(iteration)).cast());
        }
        iterator
    }
}

/// `next`. The list is asked for at each step, because the standard wants a change made during the iteration to be seen.
unsafe extern "C" fn advance(
    ctx: Context,
    this: Raw,
    _: c_int,
    _: *mut Raw,
    done: *mut c_int,
    interface: c_int,
) -> Raw {
    let common = STATE.interfaces.borrow()[interface as usize];
    // SAFETY: QuickJS gives what is alive; nothing runs that could end the iterator in between.
    unsafe {
        *done = 0;
        let Some(iteration) = iteration_of(this).as_mut().filter(|it| it.interface == interface as usize) else {
            if let Some(ctx) = std::ptr::NonNull::new(ctx) {
                let message = format!("not a {} Iterator", common.name);
                let _: javy::quickjs::Error = Exception::throw_type(&Ctx::from_raw(ctx), &message);
            }
            return qjs::JS_EXCEPTION;
        };
        let pairs = pairs_of(ctx, common, iteration.target);
        if qjs::JS_IsException(pairs) {
            return pairs;
        }
        let pair = raw::items(ctx, pairs).and_then(|items| items.get(iteration.next..iteration.next + 2));
        let result = match pair {
            None => {
                *done = 1;
                qjs::JS_UNDEFINED
            }
            Some(pair) => {
                iteration.next += 2;
                let held = [qjs::JS_DupValue(ctx, pair[0]), qjs::JS_DupValue(ctx, pair[1])];
                match iteration.what {
                    KEYS => {
                        qjs::JS_FreeValue(ctx, held[1]);
                        held[0]
                    }
                    VALUES => {
                        qjs::JS_FreeValue(ctx, held[0]);
                        held[1]
                    }
                    _ => qjs::JS_NewArrayFrom(ctx, 2, held.as_ptr()),
                }
            }
        };
        qjs::JS_FreeValue(ctx, pairs);
        result
    }
}
