//! Tests of the table `[gateway]`: what it means, and its errors.

use super::*;
use crate::rate_limit::MAX_RATE_LIMITS;
use http::HeaderValue;
use serde_json::json;

fn parse(value: Value) -> Result<GatewayConfig, ConfigError> {
    GatewayConfig::parse(&value)
}

#[test]
fn an_empty_table_is_one_route_for_everything() {
    for config in [parse(json!({})).expect("a table"), GatewayConfig::default()] {
        let [route] = config.routes.as_slice() else { panic!("{config:?}") };
        assert_eq!(route.paths, ["/".into(), "/{*rest}".into()]);
        assert!(route.host.is_none() && route.methods == Methods::ALL && route.rules.is_empty());
    }
    let config = parse(json!({ "headers": {} })).expect("a table");
    assert!(config.routes.iter().all(|route| route.rules.headers.is_some()), "the rules at the top are for it");
}

#[test]
fn routes_take_rules_from_the_top_replace_them_or_go_without() {
    let config = parse(json!({
        "cors": { "origins": ["*"] },
        "rate-limit": { "requests": 1, "per-seconds": 1 },
        "routes": [
            { "path": "/a" },
            { "path": "/b", "cors": { "origins": ["https://b.test"] }, "rate-limit": [] },
            { "path": "/c", "cors": false, "rate-limit": false, "compress": {}, "idempotency": {} },
        ],
    }))
    .expect("a table");
    let [a, b, c] = config.routes.as_slice() else { panic!("{config:?}") };
    let origin = |route: &RouteConfig| {
        let cors = route.rules.cors.as_ref()?;
        cors.origin(&http::HeaderMap::from_iter([(http::header::ORIGIN, HeaderValue::from_static("https://b.test"))]))
    };
    assert_eq!(origin(a).expect("an origin"), "*");
    assert_eq!(origin(b).expect("an origin"), "https://b.test");
    assert_eq!((a.rules.rate_limits.len(), b.rules.rate_limits.len()), (1, 0));
    assert!(c.rules.cors.is_none() && c.rules.rate_limits.is_empty() && c.rules.compress.is_some());
    assert!(a.rules.compress.is_none());
    assert!(a.rules.idempotency.is_none() && c.rules.idempotency.is_some());
}

/// A table with a route to a worker with these keys.
fn worker(mut keys: Value) -> Value {
    keys["class"] = json!("Cart");
    json!({ "routes": [{ "path": "/carts/{id}", "worker": keys }] })
}

#[test]
fn a_route_to_a_worker_is_for_its_methods_and_has_no_rules_about_responses() {
    let with = |key: &str, value: Value| {
        let mut table = worker(json!({ "name": "{id}" }));
        table["routes"][0][key] = value;
        parse(table)
    };
    for (key, value) in [
        ("methods", json!(["POST"])),
        ("cors", json!({ "origins": ["*"] })),
        ("rate-limit", json!({ "requests": 1, "per-seconds": 1 })),
        ("cache", json!(false)),
    ] {
        let config = with(key, value).expect(key);
        assert_eq!(config.routes[0].worker.as_ref().map(|worker| worker.class()), Some("Cart"));
    }
    for (key, value) in [
        ("methods", json!(["GET"])),
        ("methods", json!(["DELETE"])),
        ("assets", json!({ "folder": "public" })),
        ("cache", json!({})),
        ("idempotency", json!({})),
    ] {
        let error = with(key, value).expect_err(key);
        assert_eq!(error.at(), format!("gateway.routes[0].{key}"), "{error}");
    }
}

#[test]
fn middleware_and_transforms_are_inherited_as_other_rules_are() {
    let config = parse(json!({
        "middleware": [{ "component": "auth" }, { "component": "log" }],
        "response-transform": ".data",
        "routes": [
            { "path": "/a" },
            { "path": "/b", "middleware": [{ "component": "auth" }], "response-transform": "." },
            { "path": "/c", "middleware": false, "response-transform": false },
        ],
    }))
    .expect("a table");
    let steps = |route: &RouteConfig| {
        let steps = route.rules.middleware.as_ref().map(|rules| rules.steps()).unwrap_or_default();
        steps.iter().map(|step| step.component.to_string()).collect::<Vec<_>>()
    };
    let program = |route: &RouteConfig| route.rules.response_transform.as_ref().map(|it| it.text().to_owned());
    let [a, b, c] = config.routes.as_slice() else { panic!("{config:?}") };
    assert_eq!((steps(a), program(a).as_deref()), (vec!["auth".to_owned(), "log".to_owned()], Some(".data")));
    assert_eq!((steps(b), program(b).as_deref()), (vec!["auth".to_owned()], Some(".")));
    assert_eq!((steps(c), program(c)), (Vec::new(), None));
    let all: Vec<_> = config.middleware().into_iter().map(ComponentName::as_str).collect();
    assert_eq!(all, ["auth", "log"]);
}

#[test]
fn errors_name_the_place_and_the_key() {
    let limit = json!({ "requests": 1, "per-seconds": 1 });
    for (table, at, part) in [
        (json!([]), "gateway", "table"),
        (json!({ "route": [] }), "gateway.route", "`route`"),
        (json!({ "routes": {} }), "gateway.routes", "[[gateway.routes]]"),
        (json!({ "routes": [{}, { "hosts": "a" }] }), "gateway.routes[1].hosts", "`hosts`"),
        (json!({ "routes": [{ "host": "*" }] }), "gateway.routes[0].host", "\"*\""),
        (json!({ "routes": [{ "path": "a" }] }), "gateway.routes[0].path", "\"a\""),
        (json!({ "routes": [{ "methods": [] }] }), "gateway.routes[0].methods", "empty"),
        (json!({ "routes": [{ "methods": ["get"] }] }), "gateway.routes[0].methods", "get"),
        (json!({ "routes": [{ "version": { "header": "v" } }] }), "gateway.routes[0].version", "`value`"),
        (
            json!({ "routes": [{ "version": { "header": "v", "value": " " } }] }),
            "gateway.routes[0].version",
            "1 to 128",
        ),
        (json!({ "routes": [{ "version": { "media-type": "json" } }] }), "gateway.routes[0].version", "media-type"),
        (json!({ "routes": [{ "version": { "media-type": "a/*" } }] }), "gateway.routes[0].version", "media-type"),
        (json!({ "routes": [{ "version": { "header": "a b", "value": "1" } }] }), "gateway.routes[0].version", "a b"),
        (json!({ "cors": true }), "gateway.cors", "table"),
        (json!({ "cors": { "origin": "*" } }), "gateway.cors.origin", "`origin`"),
        (json!({ "cors": { "origins": ["*"], "max-age": "1" } }), "gateway.cors.max-age", "u32"),
        (json!({ "cors": null }), "", ""),
        (json!({ "rate-limit": [limit, limit] }), "gateway.rate-limit", "default"),
        (json!({ "rate-limit": vec![limit.clone(); MAX_RATE_LIMITS + 1] }), "gateway.rate-limit", "4"),
        (json!({ "rate-limit": { "requests": 1, "per-seconds": 1, "by": "identity" } }), "gateway.rate-limit", "auth"),
        (json!({ "routes": [{ "auth": { "jwt": { "jwks": 1 } } }] }), "gateway.routes[0].auth.jwt.jwks", "string"),
        (json!({ "headers": { "hsts": { "max-age": "1" } } }), "gateway.headers.hsts.max-age", "u64"),
        (json!({ "validate": { "body": { "type": 1 } } }), "gateway.validate.body", "schema"),
        (json!({ "routes": [{ "idempotency": { "ttl": "1s" } }] }), "gateway.routes[0].idempotency", "ttl"),
        (json!({ "worker": { "class": "Cart", "name": "a" } }), "gateway.worker", "`worker`"),
        (json!({ "routes": [{ "worker": "Cart" }] }), "gateway.routes[0].worker", "table"),
        (worker(json!({ "name": "{user}" })), "gateway.routes[0].worker.name", "{user}"),
        (worker(json!({ "name": "{identity}" })), "gateway.routes[0].worker.name", "`auth`"),
        (json!({ "middleware": { "component": "auth" } }), "gateway.middleware", "array"),
        (
            json!({ "routes": [{ "middleware": [{ "component": "a" }, { "component": "B" }] }] }),
            "gateway.routes[0].middleware[1].component",
            "component name",
        ),
        (json!({ "response-transform": ".a | input" }), "gateway.response-transform", "`input`"),
    ] {
        match parse(table.clone()) {
            Err(error) => {
                assert_eq!(error.at(), at, "{error}");
                assert!(error.to_string().contains(part), "{error}");
            }
            Ok(_) => assert_eq!(at, "", "{table}"),
        }
    }
    let error = serde_json::from_value::<GatewayConfig>(json!({ "nothing": 1 })).expect_err("an error");
    assert!(error.to_string().contains("[gateway.nothing] unknown field `nothing`"), "{error}");
}

#[test]
fn a_service_has_a_limit_of_routes() {
    let routes = |count: usize| (0..count).map(|i| json!({ "path": format!("/{i}") })).collect::<Vec<_>>();
    assert!(parse(json!({ "routes": routes(MAX_ROUTES) })).is_ok());
    let error = parse(json!({ "routes": routes(100_000) })).expect_err("too many");
    assert!(error.to_string().contains("100000") && error.to_string().contains("256"), "{error}");
}

#[test]
fn what_a_service_keeps_for_its_callers_is_bounded() {
    let each = |count: usize, rules: fn(usize) -> Value| {
        let route = |i: usize| {
            let mut route = rules(i);
            route["path"] = json!(format!("/{i}"));
            route
        };
        parse(json!({ "routes": (0..count).map(route).collect::<Vec<_>>() }))
    };
    let limit = |_| json!({ "rate-limit": { "requests": 1, "per-seconds": 1 } });
    let issuer =
        |i| json!({ "auth": { "jwt": { "jwks": "https://a.test", "issuer": format!("{i}"), "audience": "a" } } });
    let same = |_| json!({ "auth": { "jwt": { "jwks": "https://a.test", "issuer": "i", "audience": "a" } } });
    let schema = |_| json!({ "validate": { "body": { "const": "x".repeat(60_000) } } });
    let program = |i| json!({ "response-transform": format!(".[{i}]") });
    assert!(each(MAX_TRANSFORMS, program).is_ok());
    assert!(each(MAX_LIMITERS, limit).is_ok() && each(MAX_ISSUERS, issuer).is_ok() && each(8, schema).is_ok());
    assert!(each(100, same).is_ok());
    for (error, part) in [
        (each(MAX_LIMITERS + 1, limit), "rate limits"),
        (each(MAX_ISSUERS + 1, issuer), "auth.jwt"),
        (each(9, schema), "schemas"),
        (each(MAX_TRANSFORMS + 1, program), "response-transform"),
    ] {
        let message = error.expect_err(part).to_string();
        assert!(message.contains(part), "{message}");
    }
}

const DOCUMENTATION: &str = include_str!("../../../../docs/reference/gateway.md");

#[test]
fn the_example_of_the_documentation_is_right() {
    let after = DOCUMENTATION.split("## Example\n").nth(1).expect("an example");
    let lines = after.lines().take_while(|line| line.is_empty() || line.starts_with("    "));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let table: Value = toml::from_str(&text).expect("TOML");
    let config = parse(table["gateway"].clone()).expect("a table");
    let auth: Vec<bool> = config.routes.iter().map(|route| route.rules.auth.is_some()).collect();
    assert_eq!(auth, [false, true, true, true]);
    assert!(config.routes[2].rules.validate.is_some() && config.routes[0].rules.rate_limits.is_empty());
}

#[test]
fn every_code_is_documented_with_its_status() {
    for code in crate::Code::ALL {
        let row = format!("| `{}` | {} |", code.as_str(), code.status());
        assert!(DOCUMENTATION.contains(&row), "{row}");
    }
}

#[test]
fn no_worker_is_named_by_a_header_that_middleware_sets() {
    let routes = |header: &str| {
        let worker = json!({ "class": "Cart", "name": format!("cart-{{header:{header}}}") });
        parse(json!({ "routes": [
            { "path": "/carts", "worker": worker },
            { "path": "/other", "middleware": [{ "component": "auth", "sets": ["x-user"] }] },
        ] }))
    };
    // The client would choose the worker by what it writes there, whatever the middleware says of it.
    let error = routes("X-User").expect_err("it is the client's word");
    assert_eq!(error.at(), "gateway.routes[0].worker.name");
    assert!(error.to_string().contains("x-user"), "{error}");
    assert!(routes("x-shop").is_ok());
}
