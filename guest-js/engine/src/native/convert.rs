//! Conversions between JavaScript's values and those of the host: texts, bytes, integers of 64 bits, and errors.

use super::bytes::bytes_in;
use super::raw;
use javy::quickjs::{BigInt, Coerced, Ctx, Error, Exception, FromJs, IntoJs, Result, String as JsString, Value};

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
    // SAFETY: the string lives as long as `text`. Its bytes are not taken for UTF-8, as `as_str` would: QuickJS writes
    // half of a surrogate pair as three bytes.
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

/// The bytes of a string or a `Uint8Array`; none for anything else.
pub(super) fn bytes_of(value: &Value<'_>) -> Result<Option<Vec<u8>>> {
    if let Some(text) = value.as_string() {
        return Ok(Some(usv(text)?.into_bytes()));
    }
    let bytes = value.as_object().and_then(|object| object.as_typed_array::<u8>());
    Ok(bytes.map(|bytes| bytes_in(bytes).to_vec()))
}

/// A header's name, and the bytes of its value.
pub(super) type HeaderEntry = (String, Vec<u8>);

/// The entries of a header list, which has names and values in turn. There is room for one more.
pub(super) fn header_entries(list: Vec<String>) -> Vec<HeaderEntry> {
    let mut entries = Vec::with_capacity(list.len() / 2 + 1);
    let mut list = list.into_iter();
    while let (Some(name), Some(value)) = (list.next(), list.next()) {
        entries.push((name, byte_string(value)));
    }
    entries
}

/// A header's value: a byte string, a character a byte; what is not a byte goes out as UTF-8.
fn byte_string(value: String) -> Vec<u8> {
    if value.is_ascii() {
        return value.into_bytes();
    }
    match value.chars().map(u8::try_from).collect::<std::result::Result<Vec<u8>, _>>() {
        Ok(bytes) => bytes,
        Err(_) => value.into_bytes(),
    }
}

/// Bytes as the characters with their numbers: the isomorphic decode of the Infra Standard.
pub(super) fn isomorphic(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => text,
        Ok(text) => text.bytes().map(char::from).collect(),
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

/// The largest integer that a JavaScript number holds exactly, and all below it.
pub(super) const SAFE_MAX: i64 = (1 << 53) - 1;

/// A number where that is exact, else a bigint.
pub(super) fn integer_to_js<'js>(ctx: &Ctx<'js>, integer: i64) -> Result<Value<'js>> {
    if (-SAFE_MAX..=SAFE_MAX).contains(&integer) {
        (integer as f64).into_js(ctx)
    } else {
        BigInt::from_i64(ctx.clone(), integer).map(BigInt::into_value)
    }
}

/// The integer that a number or a bigint is.
pub(super) fn integer_from_js(ctx: &Ctx<'_>, value: Value<'_>) -> Result<i64> {
    if let Some(number) = value.as_number() {
        if number.fract() == 0.0 && number.abs() <= SAFE_MAX as f64 {
            return Ok(number as i64);
        }
    } else if value.is_big_int() {
        // As a text, since the conversion to 64 bits drops those that are too many.
        let digits = value.get::<Coerced<String>>()?.0;
        if let Ok(integer) = digits.parse() {
            return Ok(integer);
        }
        let message =
            format!("{} does not fit into 64 bits: an integer from -2^63 to 2^63 - 1 is needed", shorten(&digits));
        return Err(Exception::throw_range(ctx, &message));
    }
    Err(Exception::throw_range(ctx, "an integer of at most 64 bits is needed"))
}

/// The beginning of a number that may have a million digits.
fn shorten(digits: &str) -> String {
    const SHOWN: usize = 40;
    if digits.len() > SHOWN { format!("{}... ({} digits)", &digits[..SHOWN], digits.len()) } else { digits.to_owned() }
}

/// Throws an error with a stable `code`, and a `sqlstate` where there is one.
pub(super) fn error_with_code(ctx: &Ctx<'_>, code: &str, sqlstate: Option<String>, message: &str) -> Error {
    let made = Exception::from_message(ctx.clone(), message).and_then(|error| {
        error.as_object().set("code", code)?;
        if let Some(sqlstate) = sqlstate {
            error.as_object().set("sqlstate", sqlstate)?;
        }
        Ok(error)
    });
    match made {
        Ok(error) => ctx.throw(error.into_value()),
        Err(error) => error,
    }
}
