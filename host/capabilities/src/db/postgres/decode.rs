//! Columns on their way from the server, in PostgreSQL's binary formats.

use super::super::{Error, Value, value};
use super::encode::base;
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

/// A row's values.
pub(super) fn row(row: &Row) -> Result<Vec<Value>, Error> {
    row.columns()
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let raw: Option<Raw<'_>> = row.try_get(at).map_err(|_| unsupported(column.name(), column.type_()))?;
            let Some(Raw(raw)) = raw else { return Ok(Value::Null) };
            decode(base(column.type_()), raw).ok_or_else(|| unsupported(column.name(), column.type_()))
        })
        .collect()
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

fn decode(declared: &Type, raw: &[u8]) -> Option<Value> {
    if let Kind::Array(element) = declared.kind() {
        return Some(Value::Json(array(base(element), raw)?.to_string()));
    }
    if is_text(declared) {
        return Some(Value::Text(string(raw)?));
    }
    Some(match *declared {
        Type::BOOL => Value::Boolean(*raw.first()? != 0),
        Type::INT2 => Value::Integer(i16::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT4 => Value::Integer(i32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::INT8 => Value::Integer(i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => Value::Integer(u32::from_be_bytes(raw.try_into().ok()?).into()),
        Type::FLOAT4 => Value::Float(f32::from_be_bytes(raw.try_into().ok()?).into()),
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

/// An array, as JSON: numbers that JSON's readers would round are strings.
fn array(element: &Type, raw: &[u8]) -> Option<serde_json::Value> {
    let mut raw = raw;
    let mut next = || -> Option<i32> {
        let (word, rest) = raw.split_at_checked(4)?;
        raw = rest;
        Some(i32::from_be_bytes(word.try_into().ok()?))
    };
    let dimensions = next()?;
    let (_, _) = (next()?, next()?);
    let mut lengths = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(next()?).ok()?);
        next()?;
    }
    if lengths.is_empty() {
        return Some(serde_json::Value::Array(Vec::new()));
    }
    nested(element, &lengths, &mut raw)
}

fn nested(element: &Type, lengths: &[usize], raw: &mut &[u8]) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    let (length, inner) = lengths.split_first()?;
    let mut items = Vec::new();
    for _ in 0..*length {
        if !inner.is_empty() {
            items.push(nested(element, inner, raw)?);
            continue;
        }
        let (word, rest) = raw.split_at_checked(4)?;
        let size = i32::from_be_bytes(word.try_into().ok()?);
        let Ok(size) = usize::try_from(size) else {
            *raw = rest;
            items.push(Json::Null);
            continue;
        };
        let (content, rest) = rest.split_at_checked(size)?;
        *raw = rest;
        items.push(match decode(element, content)? {
            Value::Null => Json::Null,
            Value::Boolean(boolean) => boolean.into(),
            Value::Integer(integer) if integer.unsigned_abs() < 1 << 53 => integer.into(),
            Value::Integer(integer) => integer.to_string().into(),
            Value::Float(float) => {
                serde_json::Number::from_f64(float).map_or_else(|| float.to_string().into(), Json::Number)
            }
            Value::Text(text) | Value::Uuid(text) | Value::Numeric(text) => text.into(),
            Value::Json(text) => serde_json::from_str(&text).ok()?,
            Value::Timestamp(microseconds) => value::iso(microseconds)?.into(),
            Value::Bytes(_) => return None,
        });
    }
    Some(Json::Array(items))
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
        assert_eq!(array(&Type::INT4, &[0, 0, 0, 1]), None);
        let empty = [0_u8; 12];
        assert_eq!(array(&Type::INT4, &empty), Some(serde_json::json!([])));
    }
}
