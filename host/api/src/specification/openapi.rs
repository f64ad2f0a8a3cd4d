//! The OpenAPI 3.1 document of a component: of its endpoints by `ELIAS.createAPI`, of what it takes by POST as a
//! function, and of the routes of `[gateway]`.

use super::Specification;
use elias_contract::manifest::{Endpoint, Schemas};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The methods that a path item of OpenAPI has, but for TRACE, which no route takes.
const METHODS: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];

/// The methods of a route that takes all.
const USUAL: [&str; 5] = ["delete", "get", "patch", "post", "put"];

/// Path items by path.
type Paths = BTreeMap<String, Map<String, Value>>;

/// The document. Endpoints are of the component's source and more exact than routes, which come after them.
pub(super) fn document(specification: &Specification) -> Value {
    let schemas = Schemas::deserialize(&specification.schemas).unwrap_or_default();
    let mut paths = Paths::new();
    for endpoint in &schemas.endpoints {
        add(&mut paths, &template(&endpoint.path), &endpoint.method, || of_endpoint(endpoint));
    }
    let takes_post = specification.handlers.iter().any(|handler| handler == "fetch") && schemas.endpoints.is_empty();
    if takes_post && (schemas.input.is_some() || schemas.output.is_some()) {
        add(&mut paths, "/", "POST", || of_function(&schemas));
    }
    let routes = specification.gateway.as_ref().and_then(|gateway| gateway.get("routes")?.as_array());
    for route in routes.into_iter().flatten() {
        add_route(&mut paths, route);
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": specification.name, "version": version(specification) },
        "paths": paths,
    })
}

/// The version of the interface: `info.version` must not be empty.
fn version(specification: &Specification) -> &str {
    if specification.version.is_empty() { "0.0.0" } else { &specification.version }
}

/// Adds an operation, unless the path has that method already or OpenAPI does not have it.
fn add(paths: &mut Paths, path: &str, method: &str, operation: impl FnOnce() -> Value) {
    let method = method.to_ascii_lowercase();
    if METHODS.contains(&method.as_str()) {
        let item = paths.entry(path.to_owned()).or_default();
        if !item.contains_key(&method) {
            item.insert(method, operation());
        }
    }
}

/// A path of an endpoint as OpenAPI has it: `/users/:id` is `/users/{id}`.
fn template(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.strip_prefix([':', '*']) {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

/// The names of the parameters of a template.
fn names(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

fn of_endpoint(endpoint: &Endpoint) -> Value {
    let path = template(&endpoint.path);
    let id = |part: &str| format!("urn:elias:schema:{}:{path}:{part}", endpoint.method);
    let mut operation = operation(
        parameters(&path, endpoint.params.as_ref(), endpoint.query.as_ref()),
        endpoint.body.as_ref().map(|body| with_id(body, &id("body"))),
    );
    if endpoint.params.is_some() || endpoint.query.is_some() || endpoint.body.is_some() {
        operation["responses"]["422"] = problem("The input is not valid: `invalid-input`.");
    }
    operation
}

fn of_function(schemas: &Schemas) -> Value {
    let input = schemas.input.as_ref().map(|input| with_id(input, "urn:elias:schema:input"));
    let mut operation = operation(Vec::new(), input);
    if let Some(output) = &schemas.output {
        let content = json!({ "application/json": { "schema": with_id(output, "urn:elias:schema:output") } });
        operation["responses"]["200"] = json!({ "description": "The output.", "content": content });
    }
    operation["responses"]["422"] = problem("The input is not valid: `invalid-input`.");
    operation
}

fn add_route(paths: &mut Paths, route: &Value) {
    // A route without a path is for all paths, of which OpenAPI says nothing.
    let Some(path) = route.get("path").and_then(Value::as_str) else { return };
    let path = path.replace("{*", "{");
    let part = |name: &str| route.get("validate").and_then(|rules| rules.get(name));
    let listed = route.get("methods").and_then(Value::as_array);
    let listed: Option<Vec<&str>> = listed.map(|methods| methods.iter().filter_map(Value::as_str).collect());
    for method in listed.unwrap_or_else(|| USUAL.to_vec()) {
        add(paths, &path, method, || {
            let id = format!("urn:elias:schema:{method}:{path}:body");
            let body = part("body").filter(|_| !matches!(method.to_ascii_uppercase().as_str(), "GET" | "HEAD"));
            let mut operation =
                operation(parameters(&path, part("path"), part("query")), body.map(|body| with_id(body, &id)));
            if route.get("auth").is_some() {
                operation["responses"]["401"] = problem("The caller is not authenticated.");
            }
            operation
        });
    }
}

fn operation(parameters: Vec<Value>, body: Option<Value>) -> Value {
    let mut operation = json!({ "responses": { "default": { "description": "The response of the component." } } });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(schema) = body {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn problem(description: &str) -> Value {
    let schema = json!({ "type": "object" });
    json!({ "description": description, "content": { "application/problem+json": { "schema": schema } } })
}

/// The parameters of the path, each of which is required, and of the query.
fn parameters(path: &str, params: Option<&Value>, query: Option<&Value>) -> Vec<Value> {
    let property = |schema: Option<&Value>, name: &str| schema?.get("properties")?.get(name).cloned();
    let of_path = names(path).map(|name| {
        let schema = property(params, name).unwrap_or_else(|| json!({ "type": "string" }));
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let properties = query.and_then(|query| query.get("properties")?.as_object());
    let required = query.and_then(|query| query.get("required")?.as_array());
    let of_query = properties.into_iter().flatten().map(|(name, schema)| {
        let is_required = required.is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)));
        json!({ "name": name, "in": "query", "required": is_required, "schema": schema })
    });
    of_path.chain(of_query).collect()
}

/// A schema with an identifier of its own, so that references in it (`#/$defs/...`) are to itself and not to the
/// document.
fn with_id(schema: &Value, id: &str) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut()
        && members.contains_key("$defs")
        && !members.contains_key("$id")
    {
        members.insert("$id".to_owned(), id.into());
    }
    schema
}
