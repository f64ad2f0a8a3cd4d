//! Values of messages between plain JSON, as those outside have it, and the structured clone encoding, version 1, which
//! workers have (`docs/reference/workers.md`; `guest-js/web/src/messaging/clone-encoding.js` is the other side).
//!
//! [`from_json`] loses nothing. [`to_json`] is for people and for programs that read JSON: what JSON does not have is
//! shown as the next best, and what has no end is shown up to a bound, so that there is a text for every value.

mod date;
mod show;
#[cfg(test)]
mod tests;

pub use show::{Content, to_content, to_json};

use serde_json::{Number, Value};
use std::fmt::{self, Write};

/// Bytes of an encoded value that is sent to a worker.
pub const ENCODED_BYTES_MAX: usize = 1 << 20;

/// Levels of lists and objects: more are refused in a value that is sent, and not shown in one that is read.
pub const DEPTH_MAX: usize = 100;

/// Bytes of the JSON that [`to_json`] gives, but for some thousand: an object that is met often is there often.
pub const SHOWN_BYTES_MAX: usize = 3 << 19;

/// The version of the encoding.
const VERSION: u64 = 1;

/// The number of the first object of an encoded value.
const FIRST: usize = 2;

/// Why a value is not sent, or not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueError {
    /// It would have more than [`ENCODED_BYTES_MAX`] bytes.
    TooLarge,
    /// It has more than [`DEPTH_MAX`] levels.
    TooDeep,
    /// The text is not a structured clone; the reason.
    Malformed(&'static str),
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the value has more than {ENCODED_BYTES_MAX} bytes when it is encoded"),
            Self::TooDeep => write!(f, "the value has more than {DEPTH_MAX} levels of lists and objects"),
            Self::Malformed(why) => write!(f, "the text is not a structured clone: {why}"),
        }
    }
}

impl std::error::Error for ValueError {}

/// Encodes JSON.
///
/// # Errors
/// [`ValueError::TooLarge`], [`ValueError::TooDeep`].
pub fn from_json(value: &Value) -> Result<String, ValueError> {
    let mut encoder = Encoder { text: format!("[{VERSION},"), objects: Vec::new() };
    encoder.slot(value, 1)?;
    let mut next = 0;
    while let Some((object, depth)) = encoder.objects.get(next).copied() {
        encoder.text.push(',');
        encoder.entry(object, depth)?;
        next += 1;
    }
    encoder.text.push(']');
    encoder.check_size()?;
    Ok(encoder.text)
}

/// Writes the text object by object, in the order in which they are met.
struct Encoder<'a> {
    text: String,
    /// The lists and objects, each with its level.
    objects: Vec<(&'a Value, usize)>,
}

impl<'a> Encoder<'a> {
    /// Writes what stands in place of a value that is on this level.
    fn slot(&mut self, value: &'a Value, depth: usize) -> Result<(), ValueError> {
        match value {
            Value::Number(number) if is_negative_zero(number) => self.text.push_str(r#"["number","-0"]"#),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                // Writing to a text does not fail.
                let _ = write!(self.text, "{value}");
            }
            Value::Array(_) | Value::Object(_) => {
                if depth > DEPTH_MAX {
                    return Err(ValueError::TooDeep);
                }
                let number = self.objects.len() + FIRST;
                let _ = write!(self.text, "[{number}]");
                self.objects.push((value, depth));
            }
        }
        // As early as it is known: the text is never much longer.
        self.check_size()
    }

    fn entry(&mut self, object: &'a Value, depth: usize) -> Result<(), ValueError> {
        match object {
            Value::Array(items) => {
                self.text.push_str(r#"["array""#);
                for item in items {
                    self.text.push(',');
                    self.slot(item, depth + 1)?;
                }
                self.text.push(']');
            }
            Value::Object(members) => {
                self.text.push('{');
                for (position, (key, member)) in members.iter().enumerate() {
                    let comma = if position == 0 { "" } else { "," };
                    let _ = write!(self.text, "{comma}{}:", Value::from(key.as_str()));
                    self.slot(member, depth + 1)?;
                }
                self.text.push('}');
            }
            // Only lists and objects have entries.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), ValueError> {
        if self.text.len() > ENCODED_BYTES_MAX { Err(ValueError::TooLarge) } else { Ok(()) }
    }
}

fn is_negative_zero(number: &Number) -> bool {
    // Where numbers keep their text, `-0` is no float.
    number.as_f64().is_some_and(|value| value == 0.0 && value.is_sign_negative()) || number.to_string() == "-0"
}
