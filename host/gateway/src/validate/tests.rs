//! Tests of the validation of bodies, queries and paths by JSON Schema.

use super::*;
use crate::rule::parse_rule;
use http::{HeaderName, HeaderValue};
use serde_json::json;

fn validation(table: Value) -> Validation {
    parse_rule(&table, "validate").expect("a table")
}

fn wrong(table: Value) -> String {
    parse_rule::<Validation>(&table, "validate").expect_err("an error").to_string()
}

fn order() -> Validation {
    validation(json!({ "body": {
        "type": "object",
        "required": ["id"],
        "additionalProperties": false,
        "properties": {
            "id": { "type": "integer" },
            "note": { "type": "string", "maxLength": 3 },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } },
        },
        "$defs": { "line": { "type": "object", "properties": { "sku/code": { "pattern": "^[A-Z]+$" } } } },
    }, "max-body-bytes": 10_000 }))
}

#[test]
fn a_body_that_does_not_fit_is_told_where() {
    let order = order();
    assert!(order.check_body(br#"{"id":1,"lines":[{"sku/code":"A"}]}"#).is_ok());
    let refusal = order.check_body(br#"{"note":"secret","lines":[{},{"sku/code":"a"}],"more":1}"#).expect_err("faults");
    assert_eq!(refusal.code(), Code::InvalidRequest);
    let mut pointers: Vec<_> = refusal.errors().iter().map(|fault| fault.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["#", "#", "#/lines/1/sku~1code", "#/note"]);
    assert!(!refusal.body().contains("secret"), "{}", refusal.body());
}

#[test]
fn faults_and_sizes_are_bounded() {
    let order = order();
    let lines = vec![json!({ "sku/code": "x".repeat(100) }); 60];
    let refusal = order.check_body(json!({ "id": 1, "lines": lines }).to_string().as_bytes()).expect_err("faults");
    assert_eq!(refusal.errors().len(), MAX_ERRORS);
    let names: Map<String, Value> = [("x".repeat(5000), Value::Null)].into_iter().collect();
    let refusal = order.check_body(json!(names).to_string().as_bytes()).expect_err("faults");
    assert!(refusal.body().len() < 2000, "{}", refusal.body());
    let refusal = order.check_body(&[b' '; 10_001]).expect_err("too large");
    assert_eq!(refusal.code(), Code::RequestTooLarge);
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (body, code) in [
        (deep(32), Code::InvalidRequest),
        (deep(33), Code::MalformedJson),
        (deep(5000), Code::MalformedJson),
        (format!("\"{}\"", "[".repeat(100)), Code::InvalidRequest),
        (String::new(), Code::MalformedJson),
        ("{\"id\":1}x".into(), Code::MalformedJson),
        ("{\"id\":1e}".into(), Code::MalformedJson),
        ("\u{feff}{\"id\":1}".into(), Code::MalformedJson),
    ] {
        assert_eq!(order.check_body(body.as_bytes()).expect_err(&body).code(), code, "{body}");
    }
    assert_eq!(order.check_body(b"{\"id\":\"\xff\"}").expect_err("no UTF-8").code(), Code::MalformedJson);
}

#[test]
fn the_head_of_a_body_is_checked_first() {
    let order = order();
    let check = |pairs: &[(&'static str, &'static str)]| {
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        order.check_headers(&headers).map_err(|refusal| refusal.status().as_u16())
    };
    assert_eq!(check(&[("content-type", "application/json")]), Ok(()));
    assert_eq!(check(&[("content-type", "Application/VND.x+JSON; Charset=\"UTF-8\"")]), Ok(()));
    assert_eq!(check(&[("content-type", "application/json"), ("content-length", "10000")]), Ok(()));
    assert_eq!(check(&[("content-type", "application/json"), ("content-length", "10001")]), Err(413));
    assert_eq!(check(&[]), Err(415));
    for wrong in ["text/plain", "application/jsonp", "+json", "application/json; charset=utf-16"] {
        assert_eq!(check(&[("content-type", wrong)]), Err(415), "{wrong}");
    }
    assert_eq!(check(&[("content-type", "application/json"), ("content-encoding", "gzip")]), Err(415));
    assert!(order.checks_body_of(&Method::POST, false) && order.checks_body_of(&Method::DELETE, true));
    assert!(!order.checks_body_of(&Method::GET, false));
}

#[test]
fn parameters_are_read_as_what_the_schema_says() {
    let rules = validation(json!({
        "query": {
            "properties": {
                "limit": { "type": "integer", "minimum": 1 },
                "deep": { "type": "boolean" },
                "tag": { "type": "array", "items": { "type": "string", "maxLength": 3 }, "maxItems": 2 },
                "size": { "type": "array", "items": { "type": "number" } },
                "name": { "type": "string" },
                "day": { "format": "date" },
                "pattern": { "format": "regex" },
            },
            "additionalProperties": false,
        },
        "path": { "properties": { "id": { "type": "integer" } } },
    }));
    let mut table = matchit::Router::new();
    table.insert("/{id}", ()).expect("a pattern");
    let check = |path: &'static str, query: &str| {
        let params = PathParams::new(table.at(path).expect("matches").params);
        rules.check_params(Some(query), &params).map_err(|refusal| {
            let pointers = refusal.errors().iter().map(|fault| fault.pointer.clone());
            pointers.collect::<Vec<_>>().join(" ")
        })
    };
    for good in [
        "",
        "limit=5",
        "deep=true&tag=a&tag=b",
        "size=1.5&size=-2e1",
        "name=5",
        "name=a%20b+c",
        "day=2026-02-28",
        "pattern=(",
    ] {
        assert_eq!(check("/1", good), Ok(()), "{good}");
    }
    for (bad, pointer) in [
        ("limit=0", "#/limit"),
        ("limit=05", "#/limit"),
        ("limit=1.5", "#/limit"),
        ("limit=", "#/limit"),
        ("limit=1&limit=2", "#/limit"),
        ("deep=yes", "#/deep"),
        ("day=2026-02-30", "#/day"),
        ("tag=abcd", "#/tag/0"),
        ("tag=a&tag=b&tag=c", "#/tag"),
        ("name=a&name=b", "#/name"),
        ("x=1", "#"),
        ("name=%FF", "#"),
    ] {
        assert_eq!(check("/1", bad), Err(pointer.to_owned()), "{bad}");
    }
    assert_eq!(check("/x", ""), Err("#/id".into()));
    assert_eq!(check("/%FF", ""), Err("#id".into()));
    assert!(check("/1", &"name=a&".repeat(MAX_QUERY_PARAMS + 1)).is_err());
}

#[test]
fn tables_are_checked() {
    for (table, part) in [
        (json!({}), "body"),
        (json!({ "bodies": {} }), "bodies"),
        (json!({ "body": { "type": "strin" } }), "strin"),
        (json!({ "body": { "pattern": "(?=a)" } }), "schema is wrong"),
        (json!({ "body": { "pattern": "(a)\\1" } }), "schema is wrong"),
        (json!({ "body": { "pattern": "(a{1000}){1000}" } }), "schema is wrong"),
        (json!({ "body": { "$ref": "https://example.com/schema.json" } }), "remote"),
        (json!({ "body": { "$ref": "other.json" } }), "remote"),
        (json!({ "body": { "$ref": "#/$defs/none" } }), "nothing"),
        (json!({ "body": { "$ref": "#" } }), "endlessly"),
        (json!({ "body": { "$dynamicRef": "#x" } }), "$dynamicRef"),
        (json!({ "body": { "items": { "$id": "x" } } }), "$id"),
        (json!({ "body": { "$schema": "http://json-schema.org/draft-07/schema#" } }), "draft"),
        (json!({ "body": { "const": "x".repeat(MAX_SCHEMA_BYTES) } }), "bytes"),
        (json!({ "body": { "anyOf": vec![json!({}); 5000] } }), "4096"),
        (json!({ "body": { "anyOf": vec![json!({ "pattern": "a" }); MAX_PATTERNS + 1] } }), "regular expressions"),
        (json!({ "body": { "enum": (0..5000).collect::<Vec<_>>() } }), "would look"),
        (json!({ "body": { "allOf": vec![true; 100] }, "max-body-bytes": 1 << 20 }), "max-body-bytes"),
        (json!({ "body": true, "max-depth": 65 }), "max-depth"),
        (json!({ "body": true, "max-body-bytes": 2_000_000 }), "max-body-bytes"),
    ] {
        let message = wrong(table);
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_schema_that_multiplies_its_looks_is_refused() {
    let chain: Map<String, Value> = (0..60)
        .map(|i| {
            let next = json!({ "$ref": format!("#/$defs/d{}", i + 1) });
            (format!("d{i}"), json!({ "anyOf": [next, next] }))
        })
        .chain([("d60".to_owned(), json!(true))])
        .collect();
    let again = json!({ "$ref": "#" });
    let exponential = [
        json!({ "$ref": "#/$defs/d0", "$defs": chain }),
        json!({ "anyOf": [{ "properties": { "a": again } }, { "properties": { "a": again } }] }),
        json!({ "properties": { "a": again }, "additionalProperties": again, "patternProperties": { "a": again } }),
        json!({ "oneOf": [{ "items": again }, { "items": again, "type": "array" }] }),
        json!({ "allOf": [{ "$anchor": "x", "items": { "$ref": "#x" }, "contains": { "$ref": "#x" } }] }),
    ];
    for schema in exponential {
        let message = wrong(json!({ "body": schema }));
        assert!(message.contains("would look"), "{message}");
    }
    let tree =
        json!({ "type": "object", "properties": { "left": again, "right": again, "value": { "type": "number" } } });
    let list = json!({ "anyOf": [{ "type": "null" }, { "properties": { "next": again } }] });
    for schema in [tree, list] {
        validation(json!({ "body": schema }));
    }
    let choice = json!({ "oneOf": [{ "properties": { "a": again } }, { "properties": { "b": again } }] });
    assert!(wrong(json!({ "body": choice })).contains("max-depth"));
    validation(json!({ "body": choice, "max-depth": 5 }));
}

#[test]
fn a_long_chain_of_references_is_compiled_and_applied() {
    let links = 1400;
    let chain: Map<String, Value> = (0..links)
        .map(|i| (format!("d{i}"), json!({ "items": { "$ref": format!("#/$defs/d{}", i + 1) } })))
        .chain([(format!("d{links}"), json!(true))])
        .collect();
    let rules = validation(json!({ "body": { "$ref": "#/$defs/d0", "$defs": chain } }));
    assert!(rules.check_body(b"[[[[1]]]]").is_ok());
}
