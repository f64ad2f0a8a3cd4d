//! Decoding of columns, from PostgreSQL's binary formats.

use super::super::bindings::{Error, Value};
use super::super::value;
use super::domain::base;
use super::json::fits_javascript;
use std::error::Error as StdError;
use std::fmt::Write;
use tokio_postgres::types::{FromSql, Kind, Type};
use tokio_postgres::{Column, Row};

/// Microseconds from 1970 to 2000, which is where PostgreSQL counts from.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;

/// A column's bytes.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Checks that all columns can be converted, before anything runs.
pub(super) fn check(columns: &[Column]) -> Result<(), Error> {
    match columns.iter().find(|column| !supported(base(column.type_()))) {
        None => Ok(()),
        Some(column) => Err(unsupported(column.name(), column.type_())),
    }
}

/// A row's values, which may take `room` bytes.
pub(super) fn row(row: &Row, room: u64) -> Result<Vec<Value>, Error> {
    let mut left = room;
    row.columns()
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let raw: Option<Raw<'_>> = row.try_get(at).map_err(|_| unsupported(column.name(), column.type_()))?;
            let Some(Raw(raw)) = raw else { return Ok(Value::Null) };
            let value = decode(base(column.type_()), raw, left).map_err(|fault| match fault {
                Fault::Unsupported => unsupported(column.name(), column.type_()),
                Fault::TooLarge => {
                    Error::too_large("a row is larger than a result may be (the grant's key result-bytes)")
                }
                Fault::Number => Error::unsupported(format!(
                    "column {}: the JSON has a number that JavaScript does not have; cast it to text",
                    column.name()
                )),
            })?;
            left = left.saturating_sub(value.size());
            Ok(value)
        })
        .collect()
}

/// Why a value cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It has no counterpart.
    Unsupported,
    /// It would be larger than there is room for.
    TooLarge,
    /// It has a number that JavaScript does not have.
    Number,
}

fn unsupported(column: &str, declared: &Type) -> Error {
    let name = declared.name();
    Error::unsupported(format!("column {column}: a value of type {name} cannot be converted; cast it to text"))
}

fn is_text(declared: &Type) -> bool {
    let texts = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN, Type::XML];
    texts.contains(declared) || matches!(declared.kind(), Kind::Enum(_)) || declared.name() == "citext"
}

fn supported(declared: &Type) -> bool {
    let others = [
        Type::BOOL,
        Type::INT2,
        Type::INT4,
        Type::INT8,
        Type::OID,
        Type::FLOAT4,
        Type::FLOAT8,
        Type::NUMERIC,
        Type::BYTEA,
        Type::JSON,
        Type::JSONB,
        Type::TIMESTAMP,
        Type::TIMESTAMPTZ,
        Type::DATE,
        Type::TIME,
        Type::UUID,
        Type::VOID,
    ];
    match declared.kind() {
        Kind::Array(element) => supported(base(element)) && *element != Type::BYTEA,
        _ => is_text(declared) || others.contains(declared),
    }
}

/// A value, which may take `room` bytes.
fn decode(declared: &Type, raw: &[u8], room: u64) -> Result<Value, Fault> {
    // Before anything is copied. Few values become larger than they came.
    if raw.len() as u64 > room.saturating_add(64) {
        return Err(Fault::TooLarge);
    }
    if let Kind::Array(element) = declared.kind() {
        return array_to_json(base(element), raw, room).map(Value::Json);
    }
    let value = scalar(declared, raw).ok_or(Fault::Unsupported)?;
    match &value {
        Value::Json(json) if !fits_javascript(json) => Err(Fault::Number),
        value if value.size() > room.saturating_add(64) => Err(Fault::TooLarge),
        _ => Ok(value),
    }
}

fn scalar(declared: &Type, raw: &[u8]) -> Option<Value> {
    if is_text(declared) {
        return Some(Value::Text(string(raw)?));
    }
    Some(match *declared {
        Type::BOOL => Value::Boolean(*raw.first()? != 0),
        Type::INT2 => Value::Integer(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => Value::Integer(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => Value::Integer(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => Value::Integer(u32::from_be_bytes(raw.try_into().ok()?).into()),
        // The shortest decimal that is this float: 1.1 is to read 1.1, as the server itself writes it.
        Type::FLOAT4 => Value::Float(f32::from_be_bytes(raw.try_into().ok()?).to_string().parse().ok()?),
        Type::FLOAT8 => Value::Float(f64::from_be_bytes(raw.try_into().ok()?)),
        Type::NUMERIC => Value::Numeric(numeric(raw)?),
        Type::BYTEA => Value::Bytes(raw.to_vec()),
        Type::JSON => Value::Json(string(raw)?),
        Type::JSONB => Value::Json(string(raw.strip_prefix(&[1])?)?),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => match i64::from_be_bytes(raw.try_into().ok()?) {
            // Infinity, before and after all times.
            i64::MIN | i64::MAX => return None,
            microseconds => Value::Timestamp(microseconds.checked_add(EPOCH_MICROSECONDS)?),
        },
        Type::DATE => match i32::from_be_bytes(raw.try_into().ok()?) {
            i32::MIN => Value::Text("-infinity".into()),
            i32::MAX => Value::Text("infinity".into()),
            days => Value::Text(date(i64::from(days) + EPOCH_DAYS)),
        },
        Type::TIME => Value::Text(value::time(i64::from_be_bytes(raw.try_into().ok()?), false)),
        Type::UUID => Value::Uuid(uuid(raw)?),
        Type::VOID => Value::Null,
        _ => return None,
    })
}

fn string(raw: &[u8]) -> Option<String> {
    String::from_utf8(raw.to_vec()).ok()
}

fn date(days: i64) -> String {
    let (year, month, day) = value::date(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    format!("{year:04}-{month:02}-{day:02}{era}")
}

fn uuid(raw: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(36);
    for (at, byte) in raw.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").ok()?;
    }
    (raw.len() == 16).then_some(text)
}

/// Groups of four decimal digits, the first of which is worth 10000 to the power of the weight.
fn numeric(raw: &[u8]) -> Option<String> {
    let word = |at: usize| Some(u16::from_be_bytes(raw.get(at * 2..at * 2 + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (word(0)?, i32::from(word(1)?.cast_signed()), word(2)?, usize::from(word(3)?));
    let mut text = String::new();
    match sign {
        0 => {}
        0x4000 => text.push('-'),
        0xc000 => return Some("NaN".into()),
        0xd000 => return Some("Infinity".into()),
        0xf000 => return Some("-Infinity".into()),
        _ => return None,
    }
    let group = |power: i32| {
        let at = usize::try_from(weight - power).ok().filter(|at| *at < usize::from(count));
        at.map_or(Some(0), |at| word(4 + at))
    };
    write!(text, "{}", group(weight.max(0))?).ok()?;
    for power in (0..weight.max(0)).rev() {
        write!(text, "{:04}", group(power)?).ok()?;
    }
    if scale > 0 {
        let mut fraction = String::new();
        let mut power = -1;
        while fraction.len() < scale {
            write!(fraction, "{:04}", group(power)?).ok()?;
            power -= 1;
        }
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}

/// An array from the server as JSON, of at most `most` bytes: numbers that JSON's readers would round are strings.
/// It is written as it is read: an array with a few bytes an element would be many times that in memory.
fn array_to_json(element: &Type, raw: &[u8], most: u64) -> Result<String, Fault> {
    let mut raw = raw;
    let dimensions = word(&mut raw)?;
    let (_, _) = (word(&mut raw)?, word(&mut raw)?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(word(&mut raw)?).map_err(|_| Fault::Unsupported)?);
        word(&mut raw)?;
    }
    let mut written = ArrayWriter { text: String::new(), most };
    if lengths.is_empty() {
        written.text.push_str("[]");
    } else {
        written.nested(element, &lengths, &mut raw)?;
    }
    Ok(written.text)
}

fn word(raw: &mut &[u8]) -> Result<i32, Fault> {
    let (word, rest) = raw.split_first_chunk::<4>().ok_or(Fault::Unsupported)?;
    *raw = rest;
    Ok(i32::from_be_bytes(*word))
}

struct ArrayWriter {
    text: String,
    most: u64,
}

impl ArrayWriter {
    fn nested(&mut self, element: &Type, lengths: &[usize], raw: &mut &[u8]) -> Result<(), Fault> {
        let (length, inner) = lengths.split_first().ok_or(Fault::Unsupported)?;
        self.text.push('[');
        for at in 0..*length {
            if at > 0 {
                self.text.push(',');
            }
            if inner.is_empty() {
                self.element(element, raw)?;
            } else {
                self.nested(element, inner, raw)?;
            }
            if self.text.len() as u64 > self.most {
                return Err(Fault::TooLarge);
            }
        }
        self.text.push(']');
        Ok(())
    }

    fn element(&mut self, element: &Type, raw: &mut &[u8]) -> Result<(), Fault> {
        let Ok(size) = usize::try_from(word(raw)?) else {
            self.text.push_str("null");
            return Ok(());
        };
        let (content, rest) = raw.split_at_checked(size).ok_or(Fault::Unsupported)?;
        *raw = rest;
        let _ = match decode(element, content, self.most)? {
            Value::Null => write!(self.text, "null"),
            Value::Boolean(boolean) => write!(self.text, "{boolean}"),
            Value::Integer(integer) if integer.unsigned_abs() < 1 << 53 => write!(self.text, "{integer}"),
            Value::Integer(integer) => write!(self.text, "\"{integer}\""),
            Value::Float(float) => match serde_json::Number::from_f64(float) {
                Some(number) => write!(self.text, "{number}"),
                // As JavaScript calls it, and as a column of its own reads.
                None if float.is_nan() => write!(self.text, "\"NaN\""),
                None => write!(self.text, "\"{}Infinity\"", if float < 0.0 { "-" } else { "" }),
            },
            Value::Text(text) | Value::Uuid(text) | Value::Numeric(text) => {
                let quoted = serde_json::to_string(&text).map_err(|_| Fault::Unsupported)?;
                self.text.push_str(&quoted);
                Ok(())
            }
            Value::Json(json) if fits_javascript(&json) => {
                self.text.push_str(&json);
                Ok(())
            }
            Value::Timestamp(microseconds) => {
                write!(self.text, "\"{}\"", value::iso(microseconds).ok_or(Fault::Unsupported)?)
            }
            Value::Json(_) | Value::Bytes(_) => return Err(Fault::Unsupported),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_are_read() {
        for (raw, expected) in [
            (&[0, 0, 0, 0][..], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[2, 1, 0, 0, 1, 5], "10005"),
            (&[1, 1, 0, 0, 1], "10000"),
            (&[1, 0xffff, 0, 4, 1], "0.0001"),
            (&[1, 0xfffe, 0x4000, 8, 1], "-0.00000001"),
            (&[2, 0, 0x4000, 2, 12, 3400], "-12.34"),
            (&[0, 0, 0xc000, 0], "NaN"),
        ] {
            assert_eq!(numeric(&words(raw)).as_deref(), Some(expected));
        }
        assert_eq!(numeric(&[1, 2, 3]), None);
        assert_eq!(numeric(&words(&[3, 0, 0, 0, 1])).as_deref(), Some("1"));
    }

    #[test]
    fn broken_arrays_are_no_arrays() {
        assert!(array_to_json(&Type::INT4, &[0, 0, 0, 1], 100).is_err());
        assert_eq!(array_to_json(&Type::INT4, &[0_u8; 12], 100).ok().as_deref(), Some("[]"));
    }

    #[test]
    fn an_array_is_not_written_beyond_its_room() {
        // Numbers of some bytes, each of which is a thousand digits.
        let mut raw = [1, 0, 1700, 100, 1].map(i32::to_be_bytes).concat();
        for _ in 0..100 {
            raw.extend([0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0x03, 0xe8]);
        }
        assert!(matches!(array_to_json(&Type::NUMERIC, &raw, 10_000), Err(Fault::TooLarge)));
        assert!(array_to_json(&Type::NUMERIC, &raw, 200_000).is_ok());
    }
}
