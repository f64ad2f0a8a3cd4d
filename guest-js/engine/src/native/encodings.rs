//! The encodings of node:buffer whose units are UTF-16's own: a loop in JavaScript would take a hundred times as long.

use super::bytes::bytes_in;
use javy::quickjs::{Ctx, Error, Exception, Function, Object, Result, String as JsString, TypedArray, Value, qjs};

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("textEncode", Function::new(ctx.clone(), encode)?)?;
    native.set("textDecode", Function::new(ctx, decode)?)
}

/// The bytes of a text: `latin1` has the lower half of each unit, `utf16le` both.
fn encode<'js>(ctx: Ctx<'js>, text: JsString<'js>, encoding: String) -> Result<TypedArray<'js, u8>> {
    let mut length = 0;
    // SAFETY: the context and the string are alive; what is given is checked, and freed below.
    let units = unsafe { qjs::JS_ToCStringLenUTF16(ctx.as_raw().as_ptr(), &raw mut length, text.as_raw()) };
    if units.is_null() {
        return Err(Error::Exception);
    }
    // SAFETY: QuickJS gave that many units, and nothing changes them.
    let read = unsafe { std::slice::from_raw_parts(units, length as usize) };
    let bytes = match encoding.as_str() {
        "utf16le" => Some(read.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>()),
        "latin1" => Some(read.iter().map(|unit| *unit as u8).collect()),
        _ => None,
    };
    // SAFETY: nothing refers to the units any more.
    unsafe { qjs::JS_FreeCStringUTF16(ctx.as_raw().as_ptr(), units) };
    match bytes {
        Some(bytes) => TypedArray::new(ctx, bytes),
        None => Err(unknown(&ctx)),
    }
}

/// The text of bytes: as for [`encode`], and `ascii`, which takes seven bits of each byte. Half a unit at the end is
/// left out.
fn decode<'js>(ctx: Ctx<'js>, bytes: TypedArray<'js, u8>, encoding: String) -> Result<Value<'js>> {
    let bytes = bytes_in(&bytes);
    let units: Vec<u16> = match encoding.as_str() {
        "utf16le" => bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect(),
        "latin1" => bytes.iter().map(|&byte| byte.into()).collect(),
        "ascii" => bytes.iter().map(|&byte| (byte & 0x7f).into()).collect(),
        _ => return Err(unknown(&ctx)),
    };
    // SAFETY: the context is alive and the units are copied; what is given is ours, or an exception that the context
    // has.
    let text = unsafe {
        let text = qjs::JS_NewStringUTF16(ctx.as_raw().as_ptr(), units.as_ptr(), units.len() as _);
        Value::from_raw(ctx.clone(), text)
    };
    // SAFETY: the tag alone is looked at.
    if unsafe { qjs::JS_IsException(text.as_raw()) } { Err(Error::Exception) } else { Ok(text) }
}

fn unknown(ctx: &Ctx<'_>) -> Error {
    Exception::throw_type(ctx, "unknown encoding")
}
