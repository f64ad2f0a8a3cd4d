//! Strings on their way out of JavaScript.

use super::raw;
use javy::quickjs::{Ctx, Error, FromJs, Result, String as JsString, Value};

/// Web IDL's USVString: what is half of a surrogate pair in JavaScript is U+FFFD.
pub(crate) struct UsvString(pub(crate) String);

impl<'js> FromJs<'js> for UsvString {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        match value.as_string() {
            Some(string) => usv(string).map(Self),
            None => Err(Error::new_from_js(value.type_name(), "string")),
        }
    }
}

/// A string's text, as [`UsvString`] has it.
pub(crate) fn usv(string: &JsString<'_>) -> Result<String> {
    // SAFETY: the string lives while its text is copied.
    if let Some(text) = unsafe { raw::ascii(string.as_raw()) } {
        return Ok(text.to_owned());
    }
    let text = string.clone().to_cstring()?;
    // SAFETY: the string lives as long as `text`. Its bytes are not taken for UTF-8, as `as_str` would: QuickJS writes half
    // of a surrogate pair as three bytes.
    let bytes = unsafe { std::slice::from_raw_parts(text.as_ptr().cast::<u8>(), text.len()) };
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(text.to_owned());
    }
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(2) {
        // U+D800 to U+DFFF; U+FFFD takes three bytes too.
        if bytes[at] == 0xed && bytes[at + 1] >= 0xa0 {
            bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
