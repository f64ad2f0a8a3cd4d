//! UTF-8 for `TextEncoder`, `TextDecoder` and bodies (the Encoding Standard).

use super::bytes::{bytes_in, overwrite, room_in};
use super::convert::UsvString;
use javy::quickjs::{Array, Ctx, Exception, Function, Object, Result, TypedArray};

const BYTE_ORDER_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("utf8Encode", Function::new(ctx.clone(), encode)?)?;
    native.set("utf8EncodeInto", Function::new(ctx.clone(), encode_into)?)?;
    native.set("utf8Decode", Function::new(ctx, decode)?)
}

fn encode<'js>(ctx: Ctx<'js>, text: UsvString) -> Result<TypedArray<'js, u8>> {
    TypedArray::new(ctx, text.0.into_bytes())
}

/// Writes as many whole characters as fit; gives how many UTF-16 units were read and bytes written.
fn encode_into<'js>(ctx: Ctx<'js>, UsvString(text): UsvString, into: TypedArray<'js, u8>) -> Result<Array<'js>> {
    let mut end = text.len().min(room_in(&into));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    overwrite(&into, &text.as_bytes()[..end]);
    let result = Array::new(ctx)?;
    result.set(0, text[..end].encode_utf16().count())?;
    result.set(1, end)?;
    Ok(result)
}

fn decode(ctx: Ctx<'_>, bytes: TypedArray<'_, u8>, fatal: bool, ignore_bom: bool) -> Result<String> {
    let mut bytes = bytes_in(&bytes);
    if !ignore_bom {
        bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) if fatal => Err(Exception::throw_type(&ctx, "the encoded data was not valid utf-8")),
        Err(_) => Ok(String::from_utf8_lossy(bytes).into_owned()),
    }
}
