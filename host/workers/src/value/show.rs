//! Encoded values as plain JSON.

use super::date::iso;
use super::{DEPTH_MAX, ENCODED_BYTES_MAX, FIRST, SHOWN_BYTES_MAX, VERSION, ValueError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Stands in place of an object that contains itself there.
const CIRCULAR: &str = "[Circular]";

/// Stands in place of what is too deep, and of all that follows when there is too much.
const TRUNCATED: &str = "[Truncated]";

/// Bytes of an encoded text. Workers bound theirs by UTF-16 units, each of which has at most three bytes.
const TEXT_BYTES_MAX: usize = 3 * ENCODED_BYTES_MAX;

/// Bytes of the brackets of a list or an object, and of the comma behind it.
const BRACKETS_BYTES: usize = 3;

/// Shows an encoded value as plain JSON:
///
/// - `undefined`, a hole and a Date that is none as null; `NaN` and the infinities as strings with their names;
/// - a BigInt as the string of its digits, a Date as in `toISOString`, a RegExp as `/source/flags`;
/// - a Map as an object if all keys are strings, else as a list of pairs; a Set as a list;
/// - buffers and their views as the base64 of their bytes, boxed primitives as what they hold;
/// - an error as an object with `name`, `message`, and `stack` and `cause` where it has them;
/// - an array with holes or other properties as an object of these and `length`;
/// - `[Circular]` in place of an object within itself, and `[Truncated]` in place of what is deeper than [`DEPTH_MAX`],
///   and of all that follows once there are [`SHOWN_BYTES_MAX`] bytes.
///
/// # Errors
/// [`ValueError::Malformed`] if the text is not an encoded value, [`ValueError::TooLarge`] if no worker would have
/// written it.
pub fn to_json(text: &str) -> Result<Value, ValueError> {
    let entries = table(text)?;
    Reader::new(&entries).slot(&entries[1], 1)
}

/// What an encoded value is the bytes of: those of a buffer or a view, or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A string.
    Text(String),
    /// The bytes of a buffer or of the part of it that is looked at.
    Bytes(Vec<u8>),
}

/// The bytes or the text that an encoded value is; none if it is another value.
///
/// # Errors
/// As of [`to_json`]; [`ValueError::TooLarge`] also for bytes that it would not show.
pub fn to_content(text: &str) -> Result<Option<Content>, ValueError> {
    let entries = table(text)?;
    let root = &entries[1];
    if let Value::String(text) = root {
        return Ok(Some(Content::Text(text.clone())));
    }
    let mut reader = Reader::new(&entries);
    let is_bytes =
        reader.number(root).is_ok_and(|number| matches!(entries[number][0].as_str(), Some("buffer" | "view")));
    if !is_bytes {
        return Ok(None);
    }
    let shown = reader.slot(root, 1)?;
    let bytes = shown.as_str().and_then(|text| STANDARD.decode(text).ok());
    bytes.map(|bytes| Some(Content::Bytes(bytes))).ok_or(ValueError::TooLarge)
}

/// The entries of an encoded value: the version, the value itself, and its objects.
fn table(text: &str) -> Result<Vec<Value>, ValueError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ValueError::TooLarge);
    }
    let entries: Vec<Value> =
        serde_json::from_str(text).map_err(|_| ValueError::Malformed("it must be a JSON list"))?;
    let [version, _, ..] = entries.as_slice() else {
        return Err(ValueError::Malformed("it must have a version and a value"));
    };
    if version.as_u64() != Some(VERSION) {
        return Err(ValueError::Malformed("its version must be 1"));
    }
    Ok(entries)
}

/// A table that is being read.
struct Reader<'a> {
    entries: &'a [Value],
    /// Which objects are shown at the moment, by number: one of these that is met again is circular.
    is_open: Vec<bool>,
    /// The bytes of buffers, by number: many views may have the same.
    buffers: HashMap<usize, Vec<u8>>,
    /// Bytes that may still be shown.
    left: usize,
}

impl<'a> Reader<'a> {
    fn new(entries: &'a [Value]) -> Self {
        Self { entries, is_open: vec![false; entries.len()], buffers: HashMap::new(), left: SHOWN_BYTES_MAX }
    }

    /// The value of a slot on this level.
    fn slot(&mut self, slot: &'a Value, depth: usize) -> Result<Value, ValueError> {
        let parts = match slot {
            Value::Array(parts) => parts,
            Value::Object(_) => return Err(ValueError::Malformed("an object stands in place of a value")),
            Value::String(text) => return Ok(self.text(text)),
            Value::Null | Value::Bool(_) | Value::Number(_) => return Ok(self.primitive(slot.clone())),
        };
        match parts.as_slice() {
            [Value::Number(_)] => {
                let number = self.number(slot)?;
                self.object(number, depth)
            }
            [Value::String(kind)] if kind == "undefined" => Ok(self.primitive(Value::Null)),
            [Value::String(kind), Value::String(text)] if kind == "bigint" => Ok(self.text(text)),
            [Value::String(kind), Value::String(text)] if kind == "number" => match text.as_str() {
                "-0" => Ok(self.primitive("-0".parse().map_or(Value::Null, Value::Number))),
                "NaN" | "Infinity" | "-Infinity" => Ok(self.text(text)),
                _ => Err(ValueError::Malformed("not a number")),
            },
            _ => Err(ValueError::Malformed("a value of an unknown kind")),
        }
    }

    /// The number of the object that a slot refers to.
    fn number(&self, slot: &Value) -> Result<usize, ValueError> {
        let number = slot.get(0).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        number
            .filter(|number| (FIRST..self.entries.len()).contains(number))
            .ok_or(ValueError::Malformed("no such entry"))
    }

    fn object(&mut self, number: usize, depth: usize) -> Result<Value, ValueError> {
        if self.is_open[number] {
            return Ok(self.text(CIRCULAR));
        }
        // What is left out counts too, or a value could be looked at without an end.
        if depth > DEPTH_MAX || self.left == 0 {
            return Ok(self.text(TRUNCATED));
        }
        self.take(BRACKETS_BYTES);
        self.is_open[number] = true;
        let shown = self.entry(number, depth + 1);
        self.is_open[number] = false;
        shown
    }

    /// The object with this number, whose members are on this level.
    fn entry(&mut self, number: usize, depth: usize) -> Result<Value, ValueError> {
        let entries = self.entries;
        let entry = match &entries[number] {
            Value::Object(members) => return Ok(Value::Object(self.members(members, depth)?)),
            Value::Array(entry) => entry,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(ValueError::Malformed("an entry must be an object or a list"));
            }
        };
        let (Some(Value::String(kind)), fields) = (entry.first(), entry.get(1..).unwrap_or_default()) else {
            return Err(ValueError::Malformed("an entry of an unknown kind"));
        };
        match (kind.as_str(), fields) {
            ("array" | "set", items) => self.list(items, depth),
            ("map", items) if items.len() % 2 == 0 => self.map(items, depth),
            ("sparse", [Value::Number(length), Value::Object(members)]) => {
                let mut shown = Map::from_iter([("length".to_owned(), Value::Number(length.clone()))]);
                shown.extend(self.members(members, depth)?);
                Ok(Value::Object(shown))
            }
            ("date", [Value::Null]) => Ok(self.primitive(Value::Null)),
            ("date", [Value::Number(ms)]) => Ok(match whole(ms).and_then(iso) {
                Some(text) => self.text(&text),
                None => self.primitive(Value::Null),
            }),
            ("regexp", [Value::String(source), Value::String(flags)]) => Ok(self.text(&format!("/{source}/{flags}"))),
            ("exception", [Value::String(name), Value::String(message)]) => {
                let members = [("name", self.text(name)), ("message", self.text(message))];
                Ok(Value::Object(members.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()))
            }
            ("error", fields) => self.error(fields, depth),
            ("boxed", [slot]) => self.slot(slot, depth),
            ("buffer", _) => {
                let bytes = self.buffer(number)?.len();
                self.bytes(number, 0, bytes)
            }
            ("view", fields) => self.view(fields),
            _ => Err(ValueError::Malformed("an entry of an unknown kind")),
        }
    }

    fn list(&mut self, items: &'a [Value], depth: usize) -> Result<Value, ValueError> {
        let mut shown = Vec::new();
        for item in items {
            if self.left == 0 {
                shown.push(Value::from(TRUNCATED));
                break;
            }
            shown.push(self.slot(item, depth)?);
        }
        Ok(Value::Array(shown))
    }

    fn members(&mut self, members: &'a Map<String, Value>, depth: usize) -> Result<Map<String, Value>, ValueError> {
        self.properties(members.iter().map(|(key, slot)| (key.as_str(), slot)), depth)
    }

    fn properties(
        &mut self,
        properties: impl Iterator<Item = (&'a str, &'a Value)>,
        depth: usize,
    ) -> Result<Map<String, Value>, ValueError> {
        let mut shown = Map::new();
        for (key, slot) in properties {
            self.take(text_bytes(key));
            if self.left == 0 {
                shown.insert(TRUNCATED.to_owned(), Value::from(TRUNCATED));
                break;
            }
            shown.insert(key.to_owned(), self.slot(slot, depth)?);
        }
        Ok(shown)
    }

    fn map(&mut self, items: &'a [Value], depth: usize) -> Result<Value, ValueError> {
        let pairs = move || items.chunks_exact(2).map(|pair| (&pair[0], &pair[1]));
        if pairs().all(|(key, _)| key.is_string()) {
            let properties = pairs().filter_map(|(key, slot)| Some((key.as_str()?, slot)));
            return Ok(Value::Object(self.properties(properties, depth)?));
        }
        let mut shown = Vec::new();
        for pair in items.chunks_exact(2) {
            if self.left == 0 {
                shown.push(Value::from(TRUNCATED));
                break;
            }
            // A pair is a level of its own.
            shown.push(self.list(pair, depth + 1)?);
        }
        Ok(Value::Array(shown))
    }

    fn error(&mut self, fields: &'a [Value], depth: usize) -> Result<Value, ValueError> {
        let ([name, message, stack] | [name, message, stack, _]) = fields else {
            return Err(ValueError::Malformed("not an error"));
        };
        let mut shown = Map::new();
        for (key, text) in [("name", name), ("message", message), ("stack", stack)] {
            match text {
                Value::String(text) => drop(shown.insert(key.to_owned(), self.text(text))),
                Value::Null if key != "name" => {}
                _ => return Err(ValueError::Malformed("not an error")),
            }
        }
        if let [_, _, _, cause] = fields {
            shown.insert("cause".to_owned(), self.slot(cause, depth)?);
        }
        Ok(Value::Object(shown))
    }

    fn view(&mut self, fields: &'a [Value]) -> Result<Value, ValueError> {
        let malformed = ValueError::Malformed("not a view");
        let [Value::String(class), buffer @ Value::Array(_), offset, length @ ..] = fields else {
            return Err(malformed);
        };
        let size = element_bytes(class).ok_or(malformed)?;
        let count = |value: &Value| value.as_u64().and_then(|value| usize::try_from(value).ok()).ok_or(malformed);
        let (number, start) = (self.number(buffer)?, count(offset)?);
        let bytes = self.buffer(number)?.len();
        let end = match length {
            // It follows its buffer, to the last whole element.
            [] => start.checked_add(bytes.checked_sub(start).ok_or(malformed)? / size * size),
            [length] => count(length)?.checked_mul(size).and_then(|length| start.checked_add(length)),
            _ => None,
        };
        let end = end.filter(|end| *end <= bytes).ok_or(malformed)?;
        self.bytes(number, start, end)
    }

    /// The bytes of a buffer.
    fn buffer(&mut self, number: usize) -> Result<&[u8], ValueError> {
        let bytes = match self.buffers.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(decode(&self.entries[number])?),
        };
        Ok(bytes.as_slice())
    }

    /// A part of a buffer, as base64.
    fn bytes(&mut self, number: usize, start: usize, end: usize) -> Result<Value, ValueError> {
        // Before it is made.
        if (end - start).div_ceil(3) * 4 > self.left {
            self.left = 0;
            return Ok(Value::from(TRUNCATED));
        }
        let text = STANDARD.encode(self.buffer(number)?.get(start..end).unwrap_or_default());
        Ok(self.text(&text))
    }

    fn text(&mut self, text: &str) -> Value {
        let bytes = text_bytes(text);
        if bytes > self.left {
            self.left = 0;
            return Value::from(TRUNCATED);
        }
        self.take(bytes);
        Value::from(text)
    }

    fn primitive(&mut self, value: Value) -> Value {
        self.take(value.to_string().len() + 1);
        value
    }

    fn take(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }
}

/// The bytes of a buffer's entry.
fn decode(entry: &Value) -> Result<Vec<u8>, ValueError> {
    let malformed = ValueError::Malformed("not a buffer");
    let fields = entry.as_array().map(Vec::as_slice);
    let Some([Value::String(kind), Value::String(text)] | [Value::String(kind), Value::String(text), _]) = fields
    else {
        return Err(malformed);
    };
    STANDARD.decode(text).ok().filter(|_| kind == "buffer").ok_or(malformed)
}

/// Bytes of a text in JSON, with its quotes and the comma or the colon behind it.
fn text_bytes(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    });
    escaped.sum::<usize>() + 3
}

/// A number without a fraction.
fn whole(number: &Number) -> Option<i64> {
    // JavaScript writes large ones with an exponent; the cast saturates, and no Date is that far.
    number.as_i64().or_else(|| number.as_f64().filter(|value| value.fract() == 0.0).map(|value| value as i64))
}

/// Bytes of an element of a view.
fn element_bytes(class: &str) -> Option<usize> {
    Some(match class {
        "DataView" | "Int8Array" | "Uint8Array" | "Uint8ClampedArray" => 1,
        "Int16Array" | "Uint16Array" | "Float16Array" => 2,
        "Int32Array" | "Uint32Array" | "Float32Array" => 4,
        "BigInt64Array" | "BigUint64Array" | "Float64Array" => 8,
        _ => return None,
    })
}
