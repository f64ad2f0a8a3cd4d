//! Pair iterators (Web IDL, 3.7.11.2): `entries`, `keys` and `values` of Headers, FormData and URLSearchParams.

use super::raw::{self, Context, NativeFunction, RawValue};
use super::url::object;
use javy::quickjs::{Ctx, Exception, Function, Object, Result, Value, qjs};
use std::cell::{Cell, RefCell};
use std::ffi::c_int;

/// An interface with pair iterators. The values are referenced for the lifetime of the memory.
#[derive(Clone, Copy)]
struct Interface {
    /// Its name, for errors.
    name: &'static str,
    prototype: RawValue,
    /// Returns the flat list of an object's pairs; throws if the object does not implement the interface.
    pairs: RawValue,
}

struct State {
    interfaces: RefCell<Vec<Interface>>,
    class: Cell<qjs::JSClassID>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State { interfaces: RefCell::new(Vec::new()), class: Cell::new(0) };

/// The state of an iterator.
struct PairIterator {
    /// The object that is iterated over; owned.
    target: RawValue,
    interface: usize,
    what: c_int,
    /// The index of the next pair in the list.
    next: usize,
}

/// The methods. The number of a native is that of its interface times their count, plus its index here.
const METHODS: [&str; 3] = ["entries", "keys", "values"];
const KEYS: c_int = 1;
const VALUES: c_int = 2;

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    native.set("nativePairIterators", Function::new(native.ctx().clone(), define)?)
}

/// Defines an interface: returns its methods and its iterators' `next`. `prototype` is that of the iterators.
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
    // An iterator that is never freed keeps the shape in the image, so that no request has to make it.
    // SAFETY: the prototype is alive.
    unsafe { qjs::JS_NewObjectProtoClass(raw_ctx, prototype.as_raw(), STATE.class.get()) };
    let natives = Object::new(ctx.clone())?;
    natives.set("next", raw::named_function(&ctx, "next", 0, NativeFunction::Next(advance), number)?)?;
    for (what, method) in METHODS.into_iter().enumerate() {
        let number = number * METHODS.len() + what;
        natives.set(method, raw::named_function(&ctx, method, 0, NativeFunction::Method(iterate), number)?)?;
    }
    Ok(natives)
}

/// Registers the class of the iterators.
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

unsafe extern "C" fn finalize(runtime: *mut qjs::JSRuntime, iterator: RawValue) {
    // SAFETY: the iterator owns the box; there is none if its construction failed.
    unsafe {
        let iteration = iteration_of(iterator);
        if !iteration.is_null() {
            qjs::JS_FreeValueRT(runtime, Box::from_raw(iteration).target);
        }
    }
}

unsafe extern "C" fn mark(runtime: *mut qjs::JSRuntime, iterator: RawValue, mark: qjs::JS_MarkFunc) {
    // SAFETY: as above.
    unsafe {
        if let Some(iteration) = iteration_of(iterator).as_ref() {
            qjs::JS_MarkValue(runtime, iteration.target, mark);
        }
    }
}

/// # Safety
/// The value must be alive.
unsafe fn iteration_of(iterator: RawValue) -> *mut PairIterator {
    // SAFETY: as for the caller; null for any other value.
    unsafe { qjs::JS_GetOpaque(iterator, STATE.class.get()).cast() }
}

/// The list of an object's pairs, an owned value; an exception if the object does not implement the interface.
///
/// # Safety
/// All must be alive.
unsafe fn pairs_of(ctx: Context, interface: Interface, mut target: RawValue) -> RawValue {
    // SAFETY: as for the caller.
    unsafe {
        object::list(ctx, target)
            .filter(|_| interface.name == object::PARAMS_NAME)
            .unwrap_or_else(|| qjs::JS_Call(ctx, interface.pairs, qjs::JS_UNDEFINED, 1, &raw mut target))
    }
}

/// `entries`, `keys` and `values`.
unsafe extern "C" fn iterate(ctx: Context, this: RawValue, _: c_int, _: *mut RawValue, number: c_int) -> RawValue {
    let number = number as usize;
    let (interface, what) = (number / METHODS.len(), (number % METHODS.len()) as c_int);
    let common = STATE.interfaces.borrow()[interface];
    // SAFETY: QuickJS passes live values.
    unsafe {
        // The brand check happens here and not at the first step.
        let pairs = pairs_of(ctx, common, this);
        if qjs::JS_IsException(pairs) {
            return pairs;
        }
        qjs::JS_FreeValue(ctx, pairs);
        let iterator = qjs::JS_NewObjectProtoClass(ctx, common.prototype, STATE.class.get());
        if !qjs::JS_IsException(iterator) {
            let iteration = PairIterator { target: qjs::JS_DupValue(ctx, this), interface, what, next: 0 };
            qjs::JS_SetOpaque(iterator, Box::into_raw(Box::new(iteration)).cast());
        }
        iterator
    }
}

/// `next`. Reads the list at each step, because the standard requires that changes during the iteration are seen.
unsafe extern "C" fn advance(
    ctx: Context,
    this: RawValue,
    _: c_int,
    _: *mut RawValue,
    done: *mut c_int,
    interface: c_int,
) -> RawValue {
    let common = STATE.interfaces.borrow()[interface as usize];
    // SAFETY: QuickJS passes live values; the iterator is not freed during the call.
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
