//! The JSON Schemas of what a component takes and gives, from the engine's report into the manifest.

use crate::diagnostic::{BuildError, BuildWarning, Details};
use elias_contract::manifest::{Endpoint, SCHEMA_BYTES_MAX, SCHEMAS_BYTES_MAX, Schemas};
use serde::Deserialize;
use serde_json::Value;

/// A schema in the engine's report, or an endpoint without one.
#[derive(Debug, Deserialize)]
pub(crate) struct DescribedSchema {
    /// The endpoint as a method and a path; empty for the component itself.
    endpoint: String,
    /// `input`, `output`, `params`, `query` or `body`; empty for an endpoint alone.
    part: String,
    /// The JSON Schema as JSON.
    schema: Option<String>,
    /// Why its library could not make it.
    problem: Option<String>,
}

/// The schemas for the manifest, and warnings about those that JSON Schema cannot express, which are left out.
///
/// # Errors
/// [`BuildError::TooLarge`] for more than [`SCHEMA_BYTES_MAX`] bytes of one, or [`SCHEMAS_BYTES_MAX`] of all.
pub(crate) fn read(described: &[DescribedSchema]) -> Result<(Schemas, Vec<BuildWarning>), BuildError> {
    let (mut schemas, mut warnings, mut bytes) = (Schemas::default(), Vec::new(), 0_usize);
    for one in described {
        let text = one.schema.as_deref().unwrap_or_default();
        bytes = bytes.saturating_add(text.len()).saturating_add(one.endpoint.len());
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(too_large(&format!("{} has {} bytes as JSON", one.name(), text.len()), SCHEMA_BYTES_MAX));
        }
        if bytes > SCHEMAS_BYTES_MAX {
            return Err(too_large(&format!("the JSON Schemas together have {bytes} bytes or more"), SCHEMAS_BYTES_MAX));
        }
        let schema = match one.read() {
            Ok(schema) => schema,
            Err(why) => {
                let message = format!("{} cannot be expressed as JSON Schema: {why}", one.name());
                let help = "the component works as it is; its specification and forms for its input lack this schema";
                warnings.push(BuildWarning::SchemaNotRepresentable(Box::new(Details::new(message).help(help))));
                None
            }
        };
        match one.endpoint.split_once(' ') {
            None if one.part == "output" => schemas.output = schema,
            None => schemas.input = schema,
            Some((method, path)) => set_part(&mut schemas.endpoints, method, path, &one.part, schema),
        }
    }
    Ok((schemas, warnings))
}

impl DescribedSchema {
    /// The schema; `None` for an endpoint alone.
    fn read(&self) -> Result<Option<Value>, String> {
        if let Some(problem) = &self.problem {
            return Err(problem.chars().take(500).collect());
        }
        if self.part.is_empty() {
            return Ok(None);
        }
        let schema: Value = serde_json::from_str(self.schema.as_deref().unwrap_or_default())
            .map_err(|error| format!("its JSON cannot be read: {error}"))?;
        if schema.is_object() || schema.is_boolean() {
            return Ok(Some(schema));
        }
        Err("a JSON Schema is an object, true or false".to_owned())
    }

    fn name(&self) -> String {
        let (endpoint, part) = (&self.endpoint, &self.part);
        if endpoint.is_empty() {
            format!("the schema `{part}`")
        } else {
            format!("`{part}` of the endpoint {endpoint}")
        }
    }
}

fn set_part(endpoints: &mut Vec<Endpoint>, method: &str, path: &str, part: &str, schema: Option<Value>) {
    let known = endpoints.iter().position(|endpoint| endpoint.method == method && endpoint.path == path);
    let at = known.unwrap_or_else(|| {
        endpoints.push(Endpoint { method: method.to_owned(), path: path.to_owned(), ..Endpoint::default() });
        endpoints.len() - 1
    });
    let endpoint = &mut endpoints[at];
    match part {
        "params" => endpoint.params = schema,
        "query" => endpoint.query = schema,
        "body" => endpoint.body = schema,
        _ => {}
    }
}

fn too_large(what: &str, most: usize) -> BuildError {
    let details = Details::new(format!("{what}; at most {most} are put into a component"));
    BuildError::TooLarge(Box::new(details.help("share parts of the schemas by `$ref`, or validate with a function")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn described(endpoint: &str, part: &str, schema: &str) -> DescribedSchema {
        let (endpoint, part) = (endpoint.to_owned(), part.to_owned());
        DescribedSchema { endpoint, part, schema: Some(schema.to_owned()), problem: None }
    }

    #[test]
    fn schemas_are_put_where_they_belong() {
        let (schemas, warnings) = read(&[
            described("", "input", r#"{"type":"string"}"#),
            described("", "output", "true"),
            described("GET /users/:id", "", ""),
            described("POST /users", "", ""),
            described("GET /users/:id", "params", r#"{"type":"object"}"#),
        ])
        .expect("they are small");
        assert!(warnings.is_empty());
        assert_eq!((schemas.input, schemas.output), (Some(json!({ "type": "string" })), Some(json!(true))));
        let endpoints: Vec<_> = schemas.endpoints.iter().map(|one| (one.path.as_str(), one.params.is_some())).collect();
        assert_eq!(endpoints, [("/users/:id", true), ("/users", false)]);
    }

    #[test]
    fn what_json_schema_cannot_express_is_a_warning() {
        let problem = DescribedSchema { problem: Some("no dates".into()), ..described("", "input", "") };
        let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        for one in [problem, described("", "input", "5"), described("", "output", "{"), described("", "input", &deep)] {
            let (schemas, warnings) = read(&[one]).expect("a warning");
            assert!(schemas.is_empty());
            assert_eq!(warnings.iter().map(BuildWarning::code).collect::<Vec<_>>(), ["schema-not-representable"]);
        }
    }

    #[test]
    fn schemas_are_bounded() {
        let with = |bytes: usize| format!("{{\"title\":\"{}\"}}", "x".repeat(bytes - 12));
        let one = described("", "input", &with(SCHEMA_BYTES_MAX));
        assert!(read(std::slice::from_ref(&one)).is_ok());
        assert_eq!(
            read(&[described("", "input", &with(SCHEMA_BYTES_MAX + 1))]).expect_err("large").code(),
            "too-large"
        );
        let all: Vec<_> = (0..8).map(|at| described(&format!("GET /{at}"), "body", &with(SCHEMA_BYTES_MAX))).collect();
        assert_eq!(read(&all).expect_err("with their paths too large").code(), "too-large");
    }
}
