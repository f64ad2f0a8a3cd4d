//! Functions of QuickJS's own kind, and values as they lie in memory, for what most requests call: a call through
//! rquickjs costs some thousand instructions more.

use super::usv_string::usv;
use javy::quickjs::{Ctx, Error, Function, Result, Value, qjs};
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CString, c_int};
use std::ptr::NonNull;

pub(super) type Context = *mut qjs::JSContext;
pub(super) type Raw = qjs::JSValue;

/// A function: `this` or `new.target`, the arguments' number, the arguments, and the number it was made with.
pub(super) type Method = unsafe extern "C" fn(Context, Raw, c_int, *mut Raw, c_int) -> Raw;

/// A getter: `this`, and the number it was made with.
pub(super) type Getter = unsafe extern "C" fn(Context, Raw, c_int) -> Raw;

/// The `next` of an iterator: like a method, with a place to say that there is no more.
pub(super) type Next = unsafe extern "C" fn(Context, Raw, c_int, *mut Raw, *mut c_int, c_int) -> Raw;

unsafe extern "C" {
    /// Of `quickjs/values.c`, as all of these.
    fn elias_text(value: Raw, length: *mut usize) -> *const u8;
    fn elias_new_text(ctx: Context, text: *const u8, length: usize) -> Raw;
    fn elias_items(ctx: Context, value: Raw, items: *mut *mut Raw, count: *mut u32) -> bool;
}

/// What QuickJS calls.
#[derive(Clone, Copy)]
pub(super) enum Native {
    Method(Method),
    Getter(Getter),
    Constructor(Method),
    Next(Next),
}

/// Values that are owned, and live as long as the memory.
pub(super) struct Kept<const COUNT: usize>([Cell<Raw>; COUNT]);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl<const COUNT: usize> Sync for Kept<COUNT> {}

impl<const COUNT: usize> Kept<COUNT> {
    pub(super) const fn new() -> Self {
        Self([const { Cell::new(qjs::JS_UNDEFINED) }; COUNT])
    }

    /// Takes a hold of a value for good.
    pub(super) fn set(&self, at: usize, value: &Value<'_>) {
        // SAFETY: the value is alive.
        self.0[at].set(unsafe { qjs::JS_DupValue(value.ctx().as_raw().as_ptr(), value.as_raw()) });
    }

    /// Takes a value over that is the caller's own, where there was none.
    pub(super) fn take(&self, at: usize, value: Raw) {
        self.0[at].set(value);
    }

    pub(super) fn get(&self, at: usize) -> Raw {
        self.0[at].get()
    }
}

/// A function that stands for `script`, with its name and length; `number` is given to it.
pub(super) fn function<'js>(script: &Function<'js>, native: Native, number: usize) -> Result<Value<'js>> {
    named_function(script.ctx(), &script.get::<_, String>("name")?, script.get("length")?, native, number)
}

/// A function with this name and length; `number` is given to it.
pub(super) fn named_function<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    length: c_int,
    native: Native,
    number: usize,
) -> Result<Value<'js>> {
    let name = CString::new(name).unwrap_or_default();
    let (raw, number) = (ctx.as_raw().as_ptr(), number as c_int);
    let (function, kind) = match native {
        // SAFETY: QuickJS calls a function as the kind says that it is, which is as it was before.
        Native::Method(method) => unsafe {
            (std::mem::transmute::<Method, Plain>(method), qjs::JSCFunctionEnum_JS_CFUNC_generic_magic)
        },
        // SAFETY: as above.
        Native::Getter(getter) => unsafe {
            (std::mem::transmute::<Getter, Plain>(getter), qjs::JSCFunctionEnum_JS_CFUNC_getter_magic)
        },
        // SAFETY: as above.
        Native::Constructor(method) => unsafe {
            (std::mem::transmute::<Method, Plain>(method), qjs::JSCFunctionEnum_JS_CFUNC_constructor_or_func_magic)
        },
        // SAFETY: as above.
        Native::Next(next) => unsafe {
            (std::mem::transmute::<Next, Plain>(next), qjs::JSCFunctionEnum_JS_CFUNC_iterator_next)
        },
    };
    // SAFETY: the name ends with a zero, and is copied.
    unsafe { owned(ctx, qjs::JS_NewCFunction2(raw, Some(function), name.as_ptr(), length, kind, number)) }
}

/// As QuickJS's API wants all functions to be given.
type Plain = unsafe extern "C" fn(Context, Raw, c_int, *mut Raw) -> Raw;

/// A value that QuickJS gave, or the exception that it left.
///
/// # Safety
/// The value must be the caller's own.
pub(super) unsafe fn owned<'js>(ctx: &Ctx<'js>, value: Raw) -> Result<Value<'js>> {
    // SAFETY: as for the caller; the tag alone is looked at.
    unsafe { if qjs::JS_IsException(value) { Err(Error::Exception) } else { Ok(Value::from_raw(ctx.clone(), value)) } }
}

/// The characters of a text whose characters have 8 bits and are in one piece; none for all else.
///
/// # Safety
/// The value must live as long as what is given.
pub(super) unsafe fn characters<'a>(value: Raw) -> Option<&'a [u8]> {
    let mut length = 0;
    // SAFETY: as for the caller; a text lies where it is until it is freed.
    unsafe {
        let text = elias_text(value, &raw mut length);
        (!text.is_null()).then(|| std::slice::from_raw_parts(text, length))
    }
}

/// The same where it is ASCII.
///
/// # Safety
/// As for [`characters`].
pub(super) unsafe fn ascii<'a>(value: Raw) -> Option<&'a str> {
    // SAFETY: as for the caller; ASCII is UTF-8.
    unsafe { characters(value).filter(|text| text.is_ascii()).map(|text| std::str::from_utf8_unchecked(text)) }
}

/// A text as Web IDL's USVString; none for what is no text.
///
/// # Safety
/// The context must be that of the value, and the value must live as long as what is given.
pub(super) unsafe fn text<'a>(ctx: Context, value: Raw) -> Option<Cow<'a, str>> {
    // SAFETY: as for the caller; what is made of the value has a hold of its own.
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

/// A text of ASCII characters as a value.
///
/// # Safety
/// The context must be valid.
pub(super) unsafe fn new_ascii(ctx: Context, text: &[u8]) -> Raw {
    // SAFETY: as for the caller.
    unsafe { elias_new_text(ctx, text.as_ptr(), text.len()) }
}

/// A text as a value.
///
/// # Safety
/// The context must be valid.
pub(super) unsafe fn new_text(ctx: Context, text: &str) -> Raw {
    // SAFETY: as for the caller.
    unsafe { qjs::JS_NewStringLen(ctx, text.as_ptr().cast(), text.len() as qjs::size_t) }
}

/// The items of an array that has no holes; none for all else.
///
/// # Safety
/// The context must be valid, and the array must live, and stay as it is, as long as what is given.
pub(super) unsafe fn items<'a>(ctx: Context, value: Raw) -> Option<&'a [Raw]> {
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
