//! Encoding of parameters: as text, which the server converts to the type that it inferred; bytes in binary.

use super::super::bindings::{Error, Value};
use super::super::value;
use super::array_parameter;
use super::domain::base;
use std::error::Error as StdError;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};

/// A parameter that was checked against its type.
#[derive(Debug)]
pub(super) struct Parameter(Option<EncodedValue>);

#[derive(Debug)]
enum EncodedValue {
    Text(String),
    Bytes(Vec<u8>),
}

/// Checks parameters against the types that the server inferred, and writes them.
pub(super) fn parameters(values: &[Value], types: &[Type]) -> Result<Vec<Parameter>, Error> {
    if values.len() != types.len() {
        let (wanted, given) = (types.len(), values.len());
        return Err(Error::database("07001", format!("the statement has {wanted} parameters, and {given} were given")));
    }
    values
        .iter()
        .zip(types)
        .enumerate()
        .map(|(at, (value, declared))| {
            let number = at + 1;
            if let (Value::Json(json), Kind::Array(element)) = (value, base(declared).kind()) {
                let text = array_parameter::from_json(json, base(element));
                let text = text.map_err(|why| Error::unsupported(format!("parameter {number}: {why}")))?;
                return Ok(Parameter(Some(EncodedValue::Text(text))));
            }
            encode(value, base(declared)).map(Parameter).ok_or_else(|| {
                let kind = value.type_name();
                Error::unsupported(format!("parameter {number}: {kind} does not fit the type {}", declared.name()))
            })
        })
        .collect()
}

fn encode(value: &Value, declared: &Type) -> Option<Option<EncodedValue>> {
    let texts = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN];
    let jsons = [Type::JSON, Type::JSONB];
    let integers = [Type::INT2, Type::INT4, Type::INT8, Type::OID];
    let fractions = [Type::FLOAT4, Type::FLOAT8, Type::NUMERIC];
    let is = |lists: &[&[Type]]| lists.iter().any(|list| list.contains(declared));
    let text = match value {
        Value::Null => return Some(None),
        Value::Bytes(bytes) if *declared == Type::BYTEA => return Some(Some(EncodedValue::Bytes(bytes.clone()))),
        Value::Boolean(boolean) if is(&[&[Type::BOOL], &texts, &jsons]) => boolean.to_string(),
        Value::Integer(integer @ (0 | 1)) if *declared == Type::BOOL => integer.to_string(),
        Value::Integer(integer) if is(&[&integers, &fractions, &texts, &jsons]) => integer.to_string(),
        Value::Float(float) if is(&[&fractions, &texts]) || (float.is_finite() && is(&[&jsons])) => float_text(*float),
        // JavaScript has one kind of number.
        Value::Float(float) if is(&[&integers]) && float.fract() == 0.0 && float.abs() < 9e15 => format!("{float:.0}"),
        Value::Text(text) if *declared != Type::BYTEA => text.clone(),
        Value::Json(json) if is(&[&jsons, &texts]) => json.clone(),
        Value::Timestamp(microseconds) if is(&[&[Type::TIMESTAMP, Type::TIMESTAMPTZ, Type::DATE]]) => {
            timestamp_text(*microseconds)?
        }
        Value::Timestamp(microseconds) if is(&[&texts]) => value::iso(*microseconds)?,
        Value::Uuid(uuid) if is(&[&[Type::UUID], &texts]) => uuid.clone(),
        Value::Numeric(numeric) if is(&[&integers, &fractions, &texts, &jsons]) => numeric.clone(),
        _ => return None,
    };
    Some(Some(EncodedValue::Text(text)))
}

fn float_text(float: f64) -> String {
    if float.is_infinite() {
        return if float > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    float.to_string()
}

/// `2026-01-31 12:00:00.000000+00`, in the years that PostgreSQL has.
fn timestamp_text(microseconds: i64) -> Option<String> {
    const DAY: i64 = 86_400_000_000;
    let (year, month, day) = value::date(microseconds.div_euclid(DAY));
    if !(-4_712..=294_275).contains(&year) {
        return None;
    }
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    let time = value::time(microseconds.rem_euclid(DAY), false);
    Some(format!("{year:04}-{month:02}-{day:02} {time}+00{era}"))
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match &self.0 {
            None => return Ok(IsNull::Yes),
            Some(EncodedValue::Text(text)) => out.extend_from_slice(text.as_bytes()),
            Some(EncodedValue::Bytes(bytes)) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match &self.0 {
            Some(EncodedValue::Text(_)) => Format::Text,
            _ => Format::Binary,
        }
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written_in_all_the_years_there_are() {
        assert_eq!(timestamp_text(0).unwrap(), "1970-01-01 00:00:00+00");
        assert_eq!(timestamp_text(-62_135_596_800_000_001).unwrap(), "0001-12-31 23:59:59.999999+00 BC");
        assert_eq!(timestamp_text(i64::MIN), None);
    }

    #[test]
    fn what_does_not_fit_names_its_number_and_type() {
        let error = parameters(&[Value::Null, Value::Bytes(vec![1])], &[Type::INT4, Type::INT4]).unwrap_err();
        assert!(error.message.contains("parameter 2") && error.message.contains("int4"), "{}", error.message);
        assert!(parameters(&[Value::Float(3.0)], &[Type::INT4]).is_ok());
        assert!(parameters(&[Value::Float(3.5)], &[Type::INT4]).is_err());
    }
}
