//! Columns on their way from the server, in PostgreSQL's binary formats.

use super::super::bindings::{Error, Value};
use super::super::value;
use super::array;
use super::encode::base;
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
pub(super) enum Fault {
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
pub(super) fn decode(declared: &Type, raw: &[u8], room: u64) -> Result<Value, Fault> {
    // Before anything is copied. Few values become larger than they came.
    if raw.len() as u64 > room.saturating_add(64) {
        return Err(Fault::TooLarge);
    }
    if let Kind::Array(element) = declared.kind() {
        return array::to_json(base(element), raw, room).map(Value::Json);
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
}
