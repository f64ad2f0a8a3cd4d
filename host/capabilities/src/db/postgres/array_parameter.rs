//! Arrays as parameters: from the JSON that a component's array is into PostgreSQL's text of one. It is written as it
//! is read: an array with a few bytes an element would be many times that in memory.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use std::fmt::{self, Write};
use tokio_postgres::types::Type;

/// The array that a JSON text is, as PostgreSQL reads arrays of this type.
///
/// # Errors
/// The reason why it does not fit.
pub(super) fn from_json(json: &str, element: &Type) -> Result<String, String> {
    let mut written = String::from("{");
    let mut read = serde_json::Deserializer::from_str(json);
    let elements = Elements { written: &mut written, element };
    match elements.deserialize(&mut read) {
        Ok(()) => {
            written.push('}');
            Ok(written)
        }
        Err(error) if error.is_data() => {
            // serde appends where in the text that was; components have no such text.
            let told = error.to_string();
            Err(told.split(" at line ").next().unwrap_or_default().to_owned())
        }
        Err(_) => Err("it is not an array".to_owned()),
    }
}

struct Elements<'a> {
    written: &'a mut String,
    element: &'a Type,
}

impl<'de> DeserializeSeed<'de> for Elements<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut first = true;
        while let Some(scalar) = elements.next_element::<Scalar>()? {
            if !first {
                self.written.push(',');
            }
            first = false;
            scalar.write(self.element, self.written).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// An element.
enum Scalar {
    Null,
    Boolean(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    Array,
    Object,
}

impl<'de> Deserialize<'de> for Scalar {
    /// By way of JSON's own value, which knows how numbers are passed on whatever features the JSON library has.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(boolean) => Self::Boolean(boolean),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(integer), _) => Self::Integer(integer.into()),
                (None, Some(integer)) => Self::Integer(integer.into()),
                (None, None) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Array(_) => Self::Array,
            serde_json::Value::Object(_) => Self::Object,
        })
    }
}

impl Scalar {
    fn write(&self, element: &Type, written: &mut String) -> Result<(), String> {
        let texts = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN];
        let integers = [Type::INT2, Type::INT4, Type::INT8, Type::OID];
        let fractions = [Type::FLOAT4, Type::FLOAT8, Type::NUMERIC];
        let is = |list: &[Type]| list.contains(element);
        let misfit = |kind: &str| Err(format!("{kind} in an array does not fit the type {}", element.name()));
        if is(&[Type::BYTEA, Type::JSON, Type::JSONB]) {
            return Err(format!("an array of {} cannot be a parameter", element.name()));
        }
        // Writing to a string does not fail.
        let _ = match self {
            Self::Null => write!(written, "NULL"),
            Self::Boolean(boolean) if is(&texts) || *element == Type::BOOL => write!(written, "{boolean}"),
            Self::Boolean(_) => return misfit("boolean"),
            Self::Integer(integer) if is(&integers) || is(&fractions) || is(&texts) => write!(written, "{integer}"),
            Self::Integer(integer @ (0 | 1)) if *element == Type::BOOL => write!(written, "{integer}"),
            Self::Integer(_) => return misfit("integer"),
            Self::Float(float) if is(&fractions) || is(&texts) => write!(written, "{float}"),
            Self::Float(float) if is(&integers) && float.fract() == 0.0 && float.abs() < 9e15 => {
                write!(written, "{float:.0}")
            }
            Self::Float(_) => return misfit("float"),
            // The server reads it as what the type is.
            Self::Text(text) => {
                written.push('"');
                for c in text.chars() {
                    if matches!(c, '"' | '\\') {
                        written.push('\\');
                    }
                    written.push(c);
                }
                written.push('"');
                Ok(())
            }
            Self::Array => return Err("an array within an array cannot be a parameter".to_owned()),
            Self::Object => return misfit("object"),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_written_as_the_server_reads_them() {
        for (json, element, expected) in [
            ("[]", Type::INT4, "{}"),
            ("[1, null, -2.0]", Type::INT4, "{1,NULL,-2}"),
            ("[\"a\\\"\\\\,{}\", \"null\", \"\"]", Type::TEXT, "{\"a\\\"\\\\,{}\",\"null\",\"\"}"),
            ("[true, 0]", Type::BOOL, "{true,0}"),
            ("[1.5, 2, \"Infinity\"]", Type::FLOAT8, "{1.5,2,\"Infinity\"}"),
        ] {
            assert_eq!(from_json(json, &element).as_deref(), Ok(expected), "{json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (json, element, why) in [
            ("[1.5]", Type::INT4, "float"),
            ("[[1], [2]]", Type::INT4, "an array within an array"),
            ("[{\"a\": 1}]", Type::TEXT, "object"),
            ("[true]", Type::INT4, "boolean"),
            ("[1]", Type::UUID, "integer"),
            ("[1]", Type::BYTEA, "bytea"),
            ("{\"0\": 1}", Type::INT4, "expected an array"),
        ] {
            let error = from_json(json, &element).expect_err(json);
            assert!(error.contains(why) && !error.contains("line"), "{json}: {error}");
        }
    }
}
