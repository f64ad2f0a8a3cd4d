//! Converts values of the Canonical ABI into JavaScript's values.

use super::lower::{is_byte, read};
use super::types::{Cases, Form, Kind, Type};
use crate::native::bytes::attempt;
use crate::native::convert::usv;
use javy::quickjs::object::Property;
use javy::quickjs::{Array, BigInt, Ctx, Exception, IntoJs, Object, Result, TypedArray, Value};
use std::alloc::{Layout, dealloc};

/// The value of a type that lies in these bytes. What it owns beside them is left as it is.
///
/// # Errors
/// JavaScript's error for memory that is used up, and an InternalError for what no host should write.
pub(super) fn lift<'js>(ctx: &Ctx<'js>, ty: &Type, bytes: &[u8]) -> Result<Value<'js>> {
    match &ty.kind {
        Kind::Bool => (bytes[0] != 0).into_js(ctx),
        Kind::Integer { signed } => {
            let bits = read(bytes, ty.size);
            let unused = 64 - 8 * ty.size as u32;
            match (signed, ty.size) {
                (true, 8) => BigInt::from_i64(ctx.clone(), bits.cast_signed()).map(BigInt::into_value),
                (false, 8) => BigInt::from_u64(ctx.clone(), bits).map(BigInt::into_value),
                (true, _) => (((bits << unused).cast_signed() >> unused) as f64).into_js(ctx),
                (false, _) => (bits as f64).into_js(ctx),
            }
        }
        Kind::Float if ty.size == 4 => f64::from(f32::from_bits(read(bytes, 4) as u32)).into_js(ctx),
        Kind::Float => f64::from_bits(read(bytes, 8)).into_js(ctx),
        Kind::Char => char::from_u32(read(bytes, 4) as u32).ok_or_else(|| malformed(ctx, ty))?.into_js(ctx),
        Kind::String => String::from_utf8_lossy(owned(bytes, 1).ok_or_else(|| malformed(ctx, ty))?).into_js(ctx),
        Kind::List(item) => {
            let items = owned(bytes, item.size).ok_or_else(|| malformed(ctx, ty))?;
            if is_byte(item) {
                return Ok(TypedArray::<u8>::new_copy(ctx.clone(), items)?.into_value());
            }
            let array = Array::new(ctx.clone())?;
            for (index, place) in items.chunks_exact(item.size.max(1)).enumerate() {
                array.set(index, lift(ctx, item, place)?)?;
            }
            Ok(array.into_value())
        }
        Kind::Tuple(fields) => {
            let array = Array::new(ctx.clone())?;
            for (index, field) in fields.iter().enumerate() {
                array.set(index, lift(ctx, &field.ty, &bytes[field.offset..])?)?;
            }
            Ok(array.into_value())
        }
        Kind::Record(fields) => {
            let object = Object::new(ctx.clone())?;
            for field in fields {
                define(&object, &field.name, lift(ctx, &field.ty, &bytes[field.offset..])?)?;
            }
            Ok(object.into_value())
        }
        Kind::Flags(flags) => {
            let object = Object::new(ctx.clone())?;
            for (index, flag) in flags.iter().enumerate() {
                define(&object, flag, (bytes[index / 8] >> (index % 8) & 1 == 1).into_js(ctx)?)?;
            }
            Ok(object.into_value())
        }
        Kind::Cases(cases) => {
            let (name, payload) = case(cases, bytes).ok_or_else(|| malformed(ctx, ty))?;
            let payload = payload.map(|(ty, bytes)| lift(ctx, ty, bytes)).transpose()?;
            if cases.form == Form::Option {
                return Ok(payload.unwrap_or_else(|| Value::new_undefined(ctx.clone())));
            }
            let name = name.into_js(ctx)?;
            if cases.form == Form::Enum {
                return Ok(name);
            }
            let object = Object::new(ctx.clone())?;
            define(&object, "tag", name)?;
            if let Some(payload) = payload {
                define(&object, "val", payload)?;
            }
            Ok(object.into_value())
        }
    }
}

/// Which case lies in these bytes, and its value's type and bytes.
type Case<'a> = (&'a str, Option<(&'a Type, &'a [u8])>);

fn case<'a>(cases: &'a Cases, bytes: &'a [u8]) -> Option<Case<'a>> {
    let (name, ty) = cases.cases.get(read(bytes, cases.tag_bytes) as usize)?;
    Some((name, ty.as_ref().map(|ty| (&**ty, &bytes[cases.payload..]))))
}

/// The result of a function: the value of a `result` that is one, or its error as an exception with a `payload`.
///
/// # Errors
/// That exception, and as [`lift`].
pub(super) fn lift_result<'js>(ctx: &Ctx<'js>, function: &str, ty: &Type, bytes: &[u8]) -> Result<Value<'js>> {
    let Kind::Cases(cases @ Cases { form: Form::Result, .. }) = &ty.kind else { return lift(ctx, ty, bytes) };
    let (name, payload) = case(cases, bytes).ok_or_else(|| malformed(ctx, ty))?;
    let payload = match payload {
        Some((ty, bytes)) => lift(ctx, ty, bytes)?,
        None => Value::new_undefined(ctx.clone()),
    };
    if name == "ok" {
        return Ok(payload);
    }
    let said = |value: &Value<'js>| value.as_string().and_then(|text| usv(text).ok());
    let message = said(&payload).or_else(|| {
        // A record with a message, or a case that says what happened.
        let object = payload.as_object()?;
        ["message", "tag"].into_iter().find_map(|name| said(&attempt(ctx, object.get(name))?))
    });
    let message = message.unwrap_or_else(|| format!("{function} failed: see the error's payload"));
    let error = Exception::from_message(ctx.clone(), &message)?;
    define(error.as_object(), "payload", payload)?;
    Err(ctx.throw(error.into_value()))
}

/// The memory whose address and number of items of `size` bytes lie in these bytes; none if it is not the engine's.
fn owned(bytes: &[u8], size: usize) -> Option<&'static [u8]> {
    let (address, items) = (read(bytes, 4) as usize, read(&bytes[4..], 4) as usize);
    let length = items.checked_mul(size)?;
    if length == 0 {
        return Some(&[]);
    }
    let end = address.checked_add(length)? as u64;
    if address == 0 || end > core::arch::wasm32::memory_size(0) as u64 * 64 * 1024 {
        return None;
    }
    // SAFETY: it lies within memory, where the host has just put it for us; nothing else refers to it until it is
    // freed.
    Some(unsafe { std::slice::from_raw_parts(address as *const u8, length) })
}

/// Frees what a value of a type owns beside its bytes, which the host allocated through `cabi_realloc`.
pub(super) fn free(ty: &Type, bytes: &[u8]) {
    if !ty.owns_memory {
        return;
    }
    let (size, align) = match &ty.kind {
        Kind::List(item) => {
            for place in owned(bytes, item.size).unwrap_or_default().chunks_exact(item.size.max(1)) {
                free(item, place);
            }
            (item.size, item.align)
        }
        Kind::Tuple(fields) | Kind::Record(fields) => {
            return fields.iter().for_each(|field| free(&field.ty, &bytes[field.offset..]));
        }
        Kind::Cases(cases) => {
            if let Some((_, Some((ty, bytes)))) = case(cases, bytes) {
                free(ty, bytes);
            }
            return;
        }
        _ => (1, 1), // a text: nothing else owns memory
    };
    if let Some(memory) = owned(bytes, size).filter(|memory| !memory.is_empty())
        && let Ok(layout) = Layout::from_size_align(memory.len(), align)
    {
        // SAFETY: `cabi_realloc` allocated it with this layout, and nothing that was lifted refers to it.
        unsafe { dealloc(memory.as_ptr().cast_mut(), layout) };
    }
}

/// Gives an object a member, whatever scripts have put on the prototype of all objects.
fn define<'js>(object: &Object<'js>, name: &str, value: Value<'js>) -> Result<()> {
    object.prop(name, Property::from(value).writable().enumerable().configurable())
}

fn malformed(ctx: &Ctx<'_>, ty: &Type) -> javy::quickjs::Error {
    Exception::throw_internal(ctx, &format!("the host gave something that is not {}", ty.name))
}
