//! JSON: parses a text into JavaScript's values, by `quickjs/json.c`, and writes strings as JSON.

use javy::quickjs::{Ctx, Error, IntoJs, Result, Value, qjs};

unsafe extern "C" {
    // Both of `quickjs/json.c`.
    fn elias_install_json(ctx: *mut qjs::JSContext);
    fn elias_parse_json(ctx: *mut qjs::JSContext, text: qjs::JSValue) -> qjs::JSValue;
}

/// Puts the functions of `quickjs/json.c` in place of QuickJS's own `JSON.parse` and `JSON.stringify`.
pub(crate) fn install(ctx: &Ctx<'_>) {
    // SAFETY: the context is valid and has its global object.
    unsafe { elias_install_json(ctx.as_raw().as_ptr()) };
}

/// The result of JSON.parse for a text, whatever scripts have put in its place.
pub(crate) fn parse_json<'js>(ctx: &Ctx<'js>, json: &[u8]) -> Result<Value<'js>> {
    let text = String::from_utf8_lossy(json).into_js(ctx)?;
    // SAFETY: the text lives through the call, and what it gives is ours, or an exception that the context has.
    let value = unsafe {
        let value = elias_parse_json(ctx.as_raw().as_ptr(), text.as_raw());
        Value::from_raw(ctx.clone(), value)
    };
    // SAFETY: the tag alone is looked at.
    if unsafe { qjs::JS_IsException(value.as_raw()) } { Err(Error::Exception) } else { Ok(value) }
}

/// Appends `text` as a JSON string (RFC 8259, section 7), with the escapes of `JSON.stringify`.
pub(crate) fn write_json_string(json: &mut String, text: &str) {
    use std::fmt::Write;
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            control if control < ' ' => {
                let _ = write!(json, "\\u{:04x}", control as u32); // writing to a String cannot fail
            }
            other => json.push(other),
        }
    }
    json.push('"');
}
