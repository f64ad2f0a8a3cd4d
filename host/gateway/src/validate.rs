//! Validation of requests against JSON Schema (draft 2020-12): the body, the query and the path's parameters.
//!
//! A schema is a tenant's, and the host's processor reads it. So regular expressions are those that need linear time
//! (no look-around, no back-references), references stay within the schema, and [`cost`] bounds how often a schema
//! looks at one value.

mod cost;

pub use cost::{MAX_LOOKS, MAX_LOOKS_BY_BYTES, MAX_PATTERNS};

use crate::field::single;
use crate::path::{self, PathParams};
use crate::problem::{Code, Fault, MAX_ERRORS, Refusal, RequestPart, bounded};
use crate::rule::{ConfigError, Rule, within};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method};
use jsonschema::{PatternOptions, Validator};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;

/// The longest schema as JSON text, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 64 * 1024;

/// The most parameters of a query that are read.
pub const MAX_QUERY_PARAMS: usize = 256;

/// The largest compiled regular expression, in bytes.
const MAX_REGEX_BYTES: usize = 256 * 1024;

/// The most bytes of a query and of a path for which the cost of their schemas is computed.
const MAX_PARAM_BYTES: usize = 16 * 1024;

/// The schemas of a route.
#[derive(Debug)]
pub struct Validation {
    body: Option<Schema>,
    query: Option<ParamSchema>,
    path: Option<ParamSchema>,
    max_body_bytes: usize,
    max_depth: usize,
    schema_bytes: usize,
}

/// The table `validate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ValidateTable {
    body: Option<Value>,
    query: Option<Value>,
    path: Option<Value>,
    max_body_bytes: Option<usize>,
    max_depth: Option<usize>,
}

impl Rule for Validation {
    type Table = ValidateTable;

    fn check(table: ValidateTable, at: &str) -> Result<Self, ConfigError> {
        let max_depth = within(table.max_depth.unwrap_or(32), [1, 64], at, "max-depth")?;
        let max_body_bytes = within(table.max_body_bytes.unwrap_or(256 * 1024), [1, 1 << 20], at, "max-body-bytes")?;
        let schema = |value: Option<&Value>, key: &str, bytes: usize, depth: usize| {
            let compile = |value| {
                Schema::compile(value, bytes, depth).map_err(|what| ConfigError::new(&format!("{at}.{key}"), what))
            };
            value.map(compile).transpose()
        };
        let params = |value: Option<&Value>, key: &str| {
            let compiled = schema(value, key, MAX_PARAM_BYTES, 2)?;
            Ok(compiled.zip(value).map(|(schema, value)| ParamSchema::new(schema, value)))
        };
        let rules = Self {
            body: schema(table.body.as_ref(), "body", max_body_bytes, max_depth)?,
            query: params(table.query.as_ref(), "query")?,
            path: params(table.path.as_ref(), "path")?,
            max_body_bytes,
            max_depth,
            schema_bytes: [&table.body, &table.query, &table.path]
                .into_iter()
                .flatten()
                .map(|schema| schema.to_string().len())
                .sum(),
        };
        if rules.body.is_none() && rules.query.is_none() && rules.path.is_none() {
            return Err(ConfigError::new(at, "must name what is validated: add the schema `body`, `query` or `path`"));
        }
        Ok(rules)
    }
}

struct Schema(Validator);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Schema")
    }
}

impl Schema {
    fn compile(schema: &Value, body_bytes: usize, depth: usize) -> Result<Self, String> {
        let bytes = schema.to_string().len();
        if bytes > MAX_SCHEMA_BYTES {
            return Err(format!("the schema has {bytes} bytes, and at most {MAX_SCHEMA_BYTES} are read"));
        }
        cost::check(schema, body_bytes, depth)?;
        let options = jsonschema::draft202012::options()
            .offline()
            .should_validate_formats(true)
            // A pattern that a client sends is not compiled.
            .with_format("regex", |_: &str| true)
            .with_pattern_options(PatternOptions::regex().size_limit(MAX_REGEX_BYTES).dfa_size_limit(MAX_REGEX_BYTES));
        let validator =
            options.build(schema).map_err(|error| format!("the schema is wrong: {}", bounded(&error.to_string())))?;
        Ok(Self(validator))
    }

    /// Adds the faults of a value.
    fn check(&self, value: &Value, part: RequestPart, faults: &mut Vec<Fault>) {
        if self.0.is_valid(value) {
            return;
        }
        let room = MAX_ERRORS.saturating_sub(faults.len());
        faults.extend(self.0.iter_errors(value).take(room).map(|error| Fault {
            part,
            pointer: pointer(error.instance_path().as_str()),
            // Without the value, which may be a secret that somebody mistyped.
            detail: bounded(&error.masked_with("The value").to_string()),
        }));
    }
}

/// A JSON Pointer as a URI fragment (RFC 6901, section 6).
fn pointer(path: &str) -> String {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    format!("#{}", percent_encoding::utf8_percent_encode(&bounded(path), &KEPT))
}

/// A schema of parameters. They arrive as texts, and are read as the type that the schema has for each.
#[derive(Debug)]
struct ParamSchema {
    schema: Schema,
    types: HashMap<String, (ParamType, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum ParamType {
    Text,
    Number,
    Boolean,
}

impl ParamSchema {
    /// The types are those that `properties` name with `type`; an array has the kind of its `items`.
    fn new(schema: Schema, value: &Value) -> Self {
        let type_of = |schema: &Value| match schema.get("type").and_then(Value::as_str) {
            Some("integer" | "number") => ParamType::Number,
            Some("boolean") => ParamType::Boolean,
            _ => ParamType::Text,
        };
        let types =
            value.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, schema)| match schema
                .get("type")
                .and_then(Value::as_str)
            {
                Some("array") => (name.clone(), (schema.get("items").map_or(ParamType::Text, type_of), true)),
                _ => (name.clone(), (type_of(schema), false)),
            });
        Self { types: types.collect(), schema }
    }

    fn insert(&self, params: &mut Map<String, Value>, name: &str, text: &str) {
        let (param_type, array) = self.types.get(name).copied().unwrap_or((ParamType::Text, false));
        let value = read(param_type, text);
        match params.get_mut(name) {
            None if array => drop(params.insert(name.to_owned(), Value::Array(vec![value]))),
            None => drop(params.insert(name.to_owned(), value)),
            Some(Value::Array(all)) => all.push(value),
            // Twice where one is expected: an array, which the schema then refuses.
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
}

/// Reads a text as the type that the schema expects; it stays a text where it is not of that type.
fn read(param_type: ParamType, text: &str) -> Value {
    let read = match param_type {
        ParamType::Text => None,
        ParamType::Number => serde_json::from_str(text).ok().filter(Value::is_number),
        ParamType::Boolean => text.parse::<bool>().ok().map(Value::Bool),
    };
    read.unwrap_or_else(|| text.into())
}

impl Validation {
    /// Checks the query and the path's parameters.
    ///
    /// # Errors
    /// [`Code::InvalidRequest`] with what is wrong.
    pub fn check_params(&self, query: Option<&str>, params: &PathParams<'_, '_>) -> Result<(), Refusal> {
        let mut faults = Vec::new();
        if let Some(schema) = &self.path {
            let mut object = Map::new();
            for (name, value) in params.decoded() {
                match value {
                    Some(value) => schema.insert(&mut object, name, &value),
                    None => faults.push(not_utf8(RequestPart::Path, name)),
                }
            }
            schema.schema.check(&Value::Object(object), RequestPart::Path, &mut faults);
        }
        if let Some(schema) = &self.query {
            let query = query.unwrap_or_default();
            let mut object = Map::new();
            for (i, (name, value)) in form_urlencoded::parse(query.as_bytes()).enumerate() {
                if i == MAX_QUERY_PARAMS {
                    let detail = format!("has more than {MAX_QUERY_PARAMS} parameters");
                    faults.push(Fault { part: RequestPart::Query, pointer: "#".into(), detail });
                    break;
                }
                schema.insert(&mut object, &name, &value);
            }
            if path::decode(query).is_none() {
                faults.push(not_utf8(RequestPart::Query, ""));
            }
            schema.schema.check(&Value::Object(object), RequestPart::Query, &mut faults);
        }
        outcome(faults)
    }

    /// How many bytes the schemas have, as JSON texts.
    pub(crate) fn schema_bytes(&self) -> usize {
        self.schema_bytes
    }

    /// Whether the body of a request with this method is checked: that of POST, PUT and PATCH always, that of others if
    /// there is one.
    #[must_use]
    pub fn checks_body_of(&self, method: &Method, has_body: bool) -> bool {
        self.body.is_some() && (has_body || [Method::POST, Method::PUT, Method::PATCH].contains(method))
    }

    /// How many bytes of a body are read at most.
    #[must_use]
    pub fn max_body_bytes(&self) -> usize {
        self.max_body_bytes
    }

    /// Checks the headers of a request whose body is checked: the body must be JSON, not compressed, and not too large.
    ///
    /// # Errors
    /// [`Code::UnsupportedMediaType`] or [`Code::RequestTooLarge`].
    pub fn check_headers(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        check_json_headers(headers)?;
        let length = single(headers, &CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > self.max_body_bytes)) {
            return Err(self.too_large());
        }
        Ok(())
    }

    fn too_large(&self) -> Refusal {
        Refusal::new(Code::RequestTooLarge)
            .with_detail(format!("The body has more than the {} bytes that are allowed here.", self.max_body_bytes))
    }

    /// Checks a body.
    ///
    /// # Errors
    /// [`Code::RequestTooLarge`], [`Code::MalformedJson`], or [`Code::InvalidRequest`] with what is wrong.
    pub fn check_body(&self, body: &[u8]) -> Result<(), Refusal> {
        let Some(schema) = &self.body else { return Ok(()) };
        if body.len() > self.max_body_bytes {
            return Err(self.too_large());
        }
        if depth(body) > self.max_depth {
            return Err(Refusal::new(Code::MalformedJson)
                .with_detail(format!("The body is nested more than {} levels deep.", self.max_depth)));
        }
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Refusal::new(Code::MalformedJson).with_detail(format!(
                "The body is not valid JSON at line {}, column {}.",
                error.line(),
                error.column()
            ))
        })?;
        let mut faults = Vec::new();
        schema.check(&value, RequestPart::Body, &mut faults);
        outcome(faults)
    }
}

fn not_utf8(part: RequestPart, name: &str) -> Fault {
    Fault { part, pointer: pointer(name), detail: "is not UTF-8".into() }
}

fn outcome(faults: Vec<Fault>) -> Result<(), Refusal> {
    if faults.is_empty() { Ok(()) } else { Err(Refusal::new(Code::InvalidRequest).with_errors(faults)) }
}

/// Checks the headers of a request whose body has to be JSON that is not compressed.
///
/// # Errors
/// [`Code::UnsupportedMediaType`].
pub(crate) fn check_json_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let media_type = single(headers, &CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !is_json(media_type) {
        return Err(Refusal::new(Code::UnsupportedMediaType)
            .with_detail("The header Content-Type has to say application/json, or a type that ends with +json."));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::new(Code::UnsupportedMediaType).with_detail("The body must not be compressed."));
    }
    Ok(())
}

/// `application/json`, or a subtype with the suffix, in UTF-8 (RFC 8259, section 8.1).
fn is_json(media_type: &str) -> bool {
    let mut parts = crate::field::split_unquoted(media_type, ';').map(str::trim);
    let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
    let json = essence == "application/json" || essence.contains('/') && essence.ends_with("+json");
    json && parts.all(|part| match part.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    })
}

/// How deep arrays and objects are nested, for a text that is JSON.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests;
