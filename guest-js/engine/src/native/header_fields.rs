//! Names and values of header fields, as Fetch has them (2.2.2).

use javy::quickjs::{Ctx, Function, Object, Result, String as JsString, Value};

pub(super) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("headerName", Function::new(ctx.clone(), normalize_name)?)?;
    native.set("headerValue", Function::new(ctx, normalize_value)?)
}

/// Runs `f` on the text's bytes, as QuickJS writes them: UTF-8, but for halves of surrogate pairs.
fn with_bytes<R>(text: &JsString<'_>, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
    let text = text.clone().to_cstring()?;
    // SAFETY: the string lives as long as `text`.
    Ok(f(unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), text.len()) }))
}

/// Whether the byte may be in a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether these are the name of a header field.
pub(super) fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token(byte))
}

/// The name in lower case; undefined if it is not one.
fn normalize_name<'js>(ctx: Ctx<'js>, text: JsString<'js>) -> Result<Value<'js>> {
    let lower = with_bytes(&text, |bytes| {
        if !is_name(bytes) {
            return None;
        }
        let lower = bytes.iter().any(u8::is_ascii_uppercase).then(|| bytes.to_ascii_lowercase());
        Some(lower.map(|lower| String::from_utf8_lossy(&lower).into_owned()))
    })?;
    match lower {
        None => Ok(Value::new_undefined(ctx)),
        Some(None) => Ok(text.into_value()),
        Some(Some(lower)) => Ok(JsString::from_str(ctx, &lower)?.into_value()),
    }
}

/// The value without the HTTP whitespace at its ends; undefined if it has a CR, LF, NUL or a character above U+00FF in
/// it.
fn normalize_value<'js>(ctx: Ctx<'js>, text: JsString<'js>) -> Result<Value<'js>> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let trimmed = with_bytes(&text, |bytes| {
        let trimmed = match bytes.iter().position(|byte| !is_space(byte)) {
            None => &[],
            Some(start) => &bytes[start..bytes.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1)],
        };
        // In UTF-8 a first byte of 0xc4 or more begins a character above U+00FF.
        if trimmed.iter().any(|&byte| matches!(byte, 0 | b'\r' | b'\n' | 0xc4..)) {
            return None;
        }
        Some((trimmed.len() < bytes.len()).then(|| String::from_utf8_lossy(trimmed).into_owned()))
    })?;
    match trimmed {
        None => Ok(Value::new_undefined(ctx)),
        Some(None) => Ok(text.into_value()),
        Some(Some(trimmed)) => Ok(JsString::from_str(ctx, &trimmed)?.into_value()),
    }
}
