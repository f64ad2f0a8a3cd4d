use super::*;
use serde_json::json;

fn specification() -> Specification {
    Specification {
        format: SPECIFICATION_FORMAT,
        name: "shop".into(),
        version: "1.2.0".into(),
        digests: SpecifiedDigests { component: "a".repeat(64), settings: "b".repeat(64), engine: None, source: None },
        exports: vec!["wasi:http/incoming-handler@0.2.12".into()],
        imports: vec!["elias:db/db@0.1.0".into()],
        handlers: vec!["fetch".into()],
        workers: Vec::new(),
        schemas: json!({}),
        triggers: Some(json!({ "schedule": [{ "name": "nightly", "cron": "0 3 * * *" }] })),
        gateway: None,
        grants: Map::from_iter([("db".to_owned(), json!({}))]),
        limits: BTreeMap::from([("fuel".to_owned(), 5)]),
        supervision: None,
        worker_settings: None,
        files: BTreeMap::new(),
        packages: Some(BTreeMap::from([("zod@4.1.0".to_owned(), vec!["sha512-x".to_owned()])])),
    }
}

#[test]
fn a_specification_is_read_as_it_was_written_and_a_later_format_is_refused() {
    let json = serde_json::to_vec(&specification()).expect("JSON");
    assert_eq!(Specification::parse(&json).expect("it is ours"), specification());
    let mut later = serde_json::to_value(specification()).expect("JSON");
    later["format"] = 2.into();
    later["more"] = true.into();
    let error = Specification::parse(later.to_string().as_bytes()).expect_err("a later one");
    assert!(error.to_string().contains("update elias"), "{error}");
    for other in [&b"{}"[..], b"[]", b"\xff", br#"{"format":1}"#] {
        assert_eq!(Specification::parse(other).expect_err("another document").code(), Code::BadInput);
    }
}

#[test]
fn changes_name_what_came_and_went() {
    let mut later = specification();
    later.imports.push("elias:cache/cache@0.1.0".into());
    later.limits.insert("fuel".to_owned(), 6);
    later.triggers = Some(json!({ "schedule": [{ "name": "nightly", "cron": "0 4 * * *" }] }));
    later.packages = Some(BTreeMap::new());
    assert_eq!(
        specification().changes(&later),
        [
            "imports.elias:cache/cache@0.1.0: nothing -> \"listed\"",
            "limits.fuel: 5 -> 6",
            "packages.zod@4.1.0: {\"sha512-x\":\"listed\"} -> nothing",
            "triggers.schedule.nightly.cron: \"0 3 * * *\" -> \"0 4 * * *\"",
        ]
    );
    assert!(later.changes(&later).is_empty());
}

#[test]
fn endpoints_and_routes_are_operations_of_openapi() {
    let mut specification = specification();
    specification.schemas = json!({ "endpoints": [
        { "method": "GET", "path": "/users/:id", "params": { "properties": { "id": { "type": "integer" } } } },
        { "method": "POST", "path": "/files/*rest", "body": { "$defs": {}, "$ref": "#/$defs/a" } },
    ] });
    specification.gateway = Some(json!({ "routes": [
        { "path": "/users/{id}", "methods": ["GET", "DELETE", "QUERY"], "auth": {} },
        { "path": "/search", "methods": ["GET"],
          "validate": { "query": { "properties": { "q": { "type": "string" } }, "required": ["q"] } } },
        { "host": "a.example" },
    ] }));
    let document = specification.openapi();
    assert_eq!((&document["openapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("shop")));
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/files/{rest}", "/search", "/users/{id}"]);
    let user = &paths["/users/{id}"];
    assert_eq!(user["get"]["parameters"][0]["schema"], json!({ "type": "integer" }), "the endpoint goes before");
    assert_eq!(user["get"]["responses"].get("401"), None);
    assert!(user["delete"]["responses"].get("401").is_some() && user.get("query").is_none(), "{user}");
    let search = &paths["/search"]["get"]["parameters"][0];
    assert_eq!((&search["name"], &search["in"], &search["required"]), (&json!("q"), &json!("query"), &json!(true)));
    let body = &paths["/files/{rest}"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$id"], "urn:elias:schema:POST:/files/{rest}:body");
}

#[test]
fn a_function_is_an_operation_with_its_input_and_output() {
    let mut specification = specification();
    specification.schemas = json!({ "input": { "type": "number" }, "output": { "type": "number" } });
    let operation = &specification.openapi()["paths"]["/"]["post"];
    let schema = |content: &Value| content["application/json"]["schema"].clone();
    assert_eq!(schema(&operation["requestBody"]["content"]), json!({ "type": "number" }));
    assert_eq!(schema(&operation["responses"]["200"]["content"]), json!({ "type": "number" }));
    specification.handlers = vec!["call".into()];
    assert_eq!(specification.openapi()["paths"], json!({}));
}
