//! QuickJS's C functions and raw values, for natives that most requests call. A call through rquickjs costs about a
//! thousand instructions more.

use super::convert::usv;
use javy::quickjs::{Ctx, Error, Function, Result, Value, qjs};
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CString, c_int};
use std::ptr::NonNull;

pub(super) type Context = *mut qjs::JSContext;
pub(super) type RawValue = qjs::JSValue;

/// A method or constructor: `this` or `new.target`, `argc`, `argv`, and the function's magic number.
pub(super) type Method = unsafe extern "C" fn(Context, RawValue, c_int, *mut RawValue, c_int) -> RawValue;

/// A getter: `this`, and the function's magic number.
pub(super) type Getter = unsafe extern "C" fn(Context, RawValue, c_int) -> RawValue;

/// An iterator's `next`: a method that also reports whether the iterator is done.
pub(super) type Next = unsafe extern "C" fn(Context, RawValue, c_int, *mut RawValue, *mut c_int, c_int) -> RawValue;

unsafe extern "C" {
    // All defined in `quickjs/values.c`.
    fn elias_text(value: RawValue, length: *mut usize) -> *const u8;
    fn elias_new_text(ctx: Context, text: *const u8, length: usize) -> RawValue;
    fn elias_items(ctx: Context, value: RawValue, items: *mut *mut RawValue, count: *mut u32) -> bool;
}

/// A function that QuickJS calls.
#[derive(Clone, Copy)]
pub(super) enum NativeFunction {
    Method(Method),
    Getter(Getter),
    Constructor(Method),
    Next(Next),
}

/// Values that are referenced for the lifetime of the memory.
pub(super) struct ValueTable<const COUNT: usize>([Cell<RawValue>; COUNT]);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl<const COUNT: usize> Sync for ValueTable<COUNT> {}

impl<const COUNT: usize> ValueTable<COUNT> {
    pub(super) const fn new() -> Self {
        Self([const { Cell::new(qjs::JS_UNDEFINED) }; COUNT])
    }

    /// Stores a new reference to a value.
    pub(super) fn set(&self, at: usize, value: &Value<'_>) {
        // SAFETY: the value is alive.
        self.0[at].set(unsafe { qjs::JS_DupValue(value.ctx().as_raw().as_ptr(), value.as_raw()) });
    }

    /// Stores a value that the caller owns; the slot must be empty.
    pub(super) fn store_owned(&self, at: usize, value: RawValue) {
        self.0[at].set(value);
    }

    pub(super) fn get(&self, at: usize) -> RawValue {
        self.0[at].get()
    }
}

/// A native function that replaces `script`, with its name and length. QuickJS passes `number` to it.
pub(super) fn function<'js>(script: &Function<'js>, native: NativeFunction, number: usize) -> Result<Value<'js>> {
    named_function(script.ctx(), &script.get::<_, String>("name")?, script.get("length")?, native, number)
}

/// A native function with this name and length. QuickJS passes `number` to it.
pub(super) fn named_function<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    length: c_int,
    native: NativeFunction,
    number: usize,
) -> Result<Value<'js>> {
    let name = CString::new(name).unwrap_or_default();
    let (raw, number) = (ctx.as_raw().as_ptr(), number as c_int);
    let (function, kind) = match native {
        // SAFETY: QuickJS casts the pointer back to the type that the kind names before it calls it.
        NativeFunction::Method(method) => unsafe {
            (std::mem::transmute::<Method, GenericFunction>(method), qjs::JSCFunctionEnum_JS_CFUNC_generic_magic)
        },
        // SAFETY: as above.
        NativeFunction::Getter(getter) => unsafe {
            (std::mem::transmute::<Getter, GenericFunction>(getter), qjs::JSCFunctionEnum_JS_CFUNC_getter_magic)
        },
        // SAFETY: as above.
        NativeFunction::Constructor(method) => unsafe {
            (
                std::mem::transmute::<Method, GenericFunction>(method),
                qjs::JSCFunctionEnum_JS_CFUNC_constructor_or_func_magic,
            )
        },
        // SAFETY: as above.
        NativeFunction::Next(next) => unsafe {
            (std::mem::transmute::<Next, GenericFunction>(next), qjs::JSCFunctionEnum_JS_CFUNC_iterator_next)
        },
    };
    // SAFETY: the name ends with a zero, and is copied.
    unsafe { owned(ctx, qjs::JS_NewCFunction2(raw, Some(function), name.as_ptr(), length, kind, number)) }
}

/// The arguments of a call.
///
/// # Safety
/// `argv` must have `argc` values, which must outlive the result.
pub(super) unsafe fn arguments<'a>(argc: c_int, argv: *mut RawValue) -> &'a [RawValue] {
    // SAFETY: as for the caller.
    if argc > 0 { unsafe { std::slice::from_raw_parts(argv, argc as usize) } } else { &[] }
}

/// An argument of a call; undefined if it is missing.
///
/// # Safety
/// As for [`arguments`].
pub(super) unsafe fn argument(argc: c_int, argv: *mut RawValue, at: usize) -> RawValue {
    // SAFETY: as for the caller.
    unsafe { arguments(argc, argv) }.get(at).copied().unwrap_or(qjs::JS_UNDEFINED)
}

/// The type under which QuickJS's API accepts all functions.
type GenericFunction = unsafe extern "C" fn(Context, RawValue, c_int, *mut RawValue) -> RawValue;

/// A value that QuickJS returned, or the exception that is pending.
///
/// # Safety
/// The caller must own the value.
pub(super) unsafe fn owned<'js>(ctx: &Ctx<'js>, value: RawValue) -> Result<Value<'js>> {
    // SAFETY: as for the caller; the tag alone is looked at.
    unsafe { if qjs::JS_IsException(value) { Err(Error::Exception) } else { Ok(Value::from_raw(ctx.clone(), value)) } }
}

/// The characters of a flat 8-bit string (Latin-1); none for anything else.
///
/// # Safety
/// The value must outlive the result.
pub(super) unsafe fn characters<'a>(value: RawValue) -> Option<&'a [u8]> {
    let mut length = 0;
    // SAFETY: as for the caller; a string does not move until it is freed.
    unsafe {
        let text = elias_text(value, &raw mut length);
        (!text.is_null()).then(|| std::slice::from_raw_parts(text, length))
    }
}

/// The text of a flat 8-bit string, if it is ASCII.
///
/// # Safety
/// As for [`characters`].
pub(super) unsafe fn ascii<'a>(value: RawValue) -> Option<&'a str> {
    // SAFETY: as for the caller; ASCII is UTF-8.
    unsafe { characters(value).filter(|text| text.is_ascii()).map(|text| std::str::from_utf8_unchecked(text)) }
}

/// A string as Web IDL's USVString; none for a value that is not a string.
///
/// # Safety
/// The context must be valid, and the value must outlive the result.
pub(super) unsafe fn text<'a>(ctx: Context, value: RawValue) -> Option<Cow<'a, str>> {
    // SAFETY: as for the caller; the wrapper has a reference of its own.
    unsafe {
        if let Some(text) = ascii(value) {
            return Some(Cow::Borrowed(text));
        }
        if !qjs::JS_IsString(value) {
            return None;
        }
        let value = qjs::JS_DupValue(ctx, value);
        let value = Value::from_raw(Ctx::from_raw(NonNull::new(ctx)?), value);
        usv(value.as_string()?).ok().map(Cow::Owned)
    }
}

/// A string value from ASCII text.
///
/// # Safety
/// The context must be valid.
pub(super) unsafe fn new_ascii(ctx: Context, text: &[u8]) -> RawValue {
    // SAFETY: as for the caller.
    unsafe { elias_new_text(ctx, text.as_ptr(), text.len()) }
}

/// A string value from text.
///
/// # Safety
/// The context must be valid.
pub(super) unsafe fn new_text(ctx: Context, text: &str) -> RawValue {
    // SAFETY: as for the caller.
    unsafe { qjs::JS_NewStringLen(ctx, text.as_ptr().cast(), text.len() as qjs::size_t) }
}

/// The items of an array without holes; none for anything else.
///
/// # Safety
/// The context must be valid, and the array must outlive the result unchanged.
pub(super) unsafe fn items<'a>(ctx: Context, value: RawValue) -> Option<&'a [RawValue]> {
    let (mut items, mut count) = (std::ptr::null_mut(), 0);
    // SAFETY: as for the caller.
    unsafe {
        match elias_items(ctx, value, &raw mut items, &raw mut count) {
            true if count == 0 => Some(&[]),
            true => Some(std::slice::from_raw_parts(items, count as usize)),
            false => None,
        }
    }
}
