//! The JSON Schemas of what a component takes and gives, for its manifest: of the module's exports `input` and
//! `output`, and of the schemas that the forms were given.
//!
//! A schema's own library makes the JSON: by the converter of Standard JSON Schema (`~standard.jsonSchema`), or by a
//! method `toJSONSchema`. An export may also be a JSON Schema itself. A function that validates has none.

use crate::error::ExceptionText;
use crate::json::write_json_string;
use crate::phase;
use javy::quickjs::{Ctx, Function, Object, Result, Value, function::This};
use std::cell::RefCell;

/// The version of JSON Schema that converters are asked for.
const TARGET: &str = "draft-2020-12";

/// Schemas and endpoints that are noted; the compiler refuses a component with more bytes of them than fit.
const SCHEMAS_MAX: usize = 2_048;

/// Keywords of which a JSON Schema has at least one: another object that is called `input` is none.
const KEYWORDS: [&str; 9] = ["$schema", "$ref", "type", "properties", "items", "enum", "anyOf", "oneOf", "allOf"];

/// What is known of one schema.
struct Described {
    /// The implementation that it belongs to, from 1; 0 for all of them.
    implementation: usize,
    /// The endpoint as a method and a path; empty for the component itself.
    endpoint: String,
    /// `input`, `output`, `params`, `query` or `body`; empty for an endpoint without schemas.
    part: String,
    /// The JSON Schema as JSON, or why its library could not make it.
    json: std::result::Result<String, String>,
}

struct Schemas(RefCell<Vec<Described>>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Schemas {}

static SCHEMAS: Schemas = Schemas(RefCell::new(Vec::new()));

/// Notes a schema that a form was given, or an endpoint, whose schema is undefined. Nothing is noted in a handler.
pub(crate) fn describe<'js>(ctx: Ctx<'js>, implementation: usize, endpoint: String, part: String, schema: Value<'js>) {
    if !phase::building() {
        return;
    }
    if part.is_empty() {
        note(Described { implementation, endpoint, part, json: Ok(String::new()) });
        return;
    }
    match to_json(&ctx, &schema, &part).map_err(|error| ExceptionText::catch(&ctx, &error).message) {
        Ok(None) => {}
        Ok(Some(json)) => note(Described { implementation, endpoint, part, json: Ok(json) }),
        Err(why) => note(Described { implementation, endpoint, part, json: Err(why) }),
    }
}

/// Notes the schemas among the module's exports.
pub(crate) fn describe_exports<'js>(ctx: &Ctx<'js>, exports: &Object<'js>) {
    for part in ["input", "output"] {
        let Ok(schema) = exports.get::<_, Value<'_>>(part) else {
            ctx.catch();
            continue;
        };
        let is_schema = schema.as_object().is_some_and(|object| {
            let has = |keyword: &&str| object.contains_key(*keyword).unwrap_or(false);
            KEYWORDS.iter().chain(&["~standard", "toJSONSchema"]).any(has)
        });
        ctx.catch(); // a proxy may have thrown
        if is_schema {
            describe(ctx.clone(), 0, String::new(), part.to_owned(), schema);
        }
    }
}

/// The schemas of an implementation for the build's report, as the members of a JSON array. The others are forgotten.
pub(crate) fn take(implementation: usize) -> String {
    let mut json = String::new();
    for described in SCHEMAS.0.take() {
        if ![0, implementation].contains(&described.implementation) {
            continue;
        }
        json.push_str(if json.is_empty() { "{\"endpoint\":" } else { ",{\"endpoint\":" });
        write_json_string(&mut json, &described.endpoint);
        json.push_str(",\"part\":");
        write_json_string(&mut json, &described.part);
        let (key, text) = match &described.json {
            Ok(schema) => (",\"schema\":", schema),
            Err(why) => (",\"problem\":", why),
        };
        json.push_str(key);
        write_json_string(&mut json, text);
        json.push('}');
    }
    json
}

fn note(described: Described) {
    let mut schemas = SCHEMAS.0.borrow_mut();
    if schemas.len() < SCHEMAS_MAX {
        schemas.push(described);
    }
}

/// The JSON Schema of a schema as JSON; `None` if it has no such form.
fn to_json<'js>(ctx: &Ctx<'js>, schema: &Value<'js>, part: &str) -> Result<Option<String>> {
    let Some(object) = schema.as_object() else { return Ok(None) };
    let standard: Value<'js> = object.get("~standard")?;
    if let Some(standard) = standard.as_object() {
        let converter: Value<'js> = standard.get("jsonSchema")?;
        if let Some(converter) = converter.as_object() {
            // A default or a conversion makes what comes in another thing than what the handler gets.
            let side = if part == "output" { "output" } else { "input" };
            let convert: Function<'js> = converter.get(side)?;
            let options = Object::new(ctx.clone())?;
            options.set("target", TARGET)?;
            return text(ctx, convert.call((This(converter.clone()), options))?);
        }
    }
    let convert: Value<'js> = object.get("toJSONSchema")?;
    if let Some(convert) = convert.as_function() {
        return text(ctx, convert.call((This(object.clone()),))?);
    }
    let parse: Value<'js> = object.get("parse")?;
    if standard.is_object() || schema.is_function() || parse.is_function() {
        return Ok(None);
    }
    text(ctx, schema.clone())
}

fn text<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<Option<String>> {
    let Some(json) = ctx.json_stringify(value)? else { return Ok(None) };
    json.to_string().map(Some)
}
