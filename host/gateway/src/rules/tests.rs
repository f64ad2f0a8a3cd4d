//! Tests of the rules of a route, applied in order.

use super::*;
use crate::assets::AssetEntry;
use crate::auth::AuthMethod;
use crate::host::HostRule;
use crate::router::Router;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ORIGIN, VARY,
};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

struct OneKey;

impl ApiKeys for OneKey {
    fn verify(&self, key: &str) -> Option<Identity> {
        key.strip_prefix("key-").map(|name| Identity {
            subject: name.to_owned(),
            user_id: None,
            organization_id: None,
            claims: serde_json::Map::new(),
            method: AuthMethod::ApiKey,
        })
    }
}

fn router(table: Value, shared: &SharedState) -> Router<Arc<Rules>> {
    let config = GatewayConfig::parse(&table).expect("a table");
    let keys: Arc<dyn ApiKeys> = Arc::new(OneKey);
    let entry = AssetEntry {
        path: "/app.js".into(),
        sha256: "00".repeat(32),
        bytes: 5000,
        content_type: None,
        encodings: Vec::new(),
    };
    let assets = Arc::new(AssetTable::new(&[entry]).expect("a table"));
    let rules = Rules::prepare(&config, shared, Some(&keys), Some(&assets));
    let mut router = Router::default();
    for (route, rules) in config.routes.iter().zip(&rules) {
        let own = [HostRule::Exact("s.test".into())];
        router.add(&Arc::from("s"), &own, route, rules).expect("fits");
    }
    router
}

fn request(method: &str, path: &str, pairs: &[(&str, &str)]) -> request::Parts {
    let mut builder = Request::builder().method(method).uri(format!("http://s.test{path}"));
    for (name, value) in pairs {
        builder = builder.header(*name, *value);
    }
    builder.body(()).expect("a request").into_parts().0
}

/// The treatment of a request: the rules, and their result.
fn admit(
    router: &Router<Arc<Rules>>,
    request: &request::Parts,
    ip: u8,
) -> (Arc<Rules>, Result<AdmittedRequest, LocalReply>) {
    let now = Now { monotonic: Duration::from_secs(100), unix_seconds: 1_000_000 };
    let client = Client { ip: IpAddr::from([192, 0, 2, ip]), has_body: false };
    let found = router.find_parts(request).expect("a route");
    (Arc::clone(found.value), found.value.admit(request, &found.matched, client, now))
}

fn refused(outcome: Result<AdmittedRequest, LocalReply>) -> Refusal {
    match outcome {
        Err(LocalReply::Refusal(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_route_without_rules_lets_everything_pass() {
    let router = router(json!({ "routes": [{ "path": "/a", "methods": ["GET"] }] }), &SharedState::default());
    let (rules, outcome) = admit(&router, &request("GET", "/a", &[]), 1);
    let admitted = outcome.expect("passes");
    let mut answer = Response::new(()).into_parts().0;
    assert_eq!(rules.finish(&admitted, &mut answer, None), None);
    assert!(answer.headers.is_empty() && rules.prepared.is_none());
    let preflight = request("OPTIONS", "/a", &[("origin", "https://a.test"), ("access-control-request-method", "GET")]);
    let refusal = refused(admit(&router, &preflight, 1).1);
    assert_eq!(refusal.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refusal.headers()[ALLOW], "GET, HEAD");
}

#[test]
fn rules_apply_in_order_and_scripts_can_read_why_a_request_was_refused() {
    let table = json!({
        "cors": { "origins": ["https://a.test"] },
        "rate-limit": [
            { "name": "ip", "requests": 3, "per-seconds": 60 },
            { "name": "who", "requests": 1, "per-seconds": 60, "by": "identity" },
        ],
        "auth": { "api-key": {} },
        "validate": { "query": { "required": ["q"] } },
        "routes": [{}, { "path": "/open", "auth": false, "rate-limit": false, "validate": false }],
    });
    let router = router(table, &SharedState::default());
    let from = |path: &str, ip: u8, pairs: &[(&str, &str)]| {
        let all = [&[("origin", "https://a.test")], pairs].concat();
        admit(&router, &request("GET", path, &all), ip).1
    };
    // A preflight has no credentials, and costs nobody anything.
    for _ in 0..10 {
        let ask = [("origin", "https://a.test"), ("access-control-request-method", "GET")];
        let outcome = admit(&router, &request("OPTIONS", "/x", &ask), 1).1;
        assert!(matches!(outcome, Err(LocalReply::Response(answer)) if answer.status() == StatusCode::NO_CONTENT));
    }
    let refusal = refused(from("/x", 1, &[]));
    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert_eq!(refusal.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.test");
    assert_eq!(refusal.headers()[RATE_LIMIT], "\"ip\";r=2;t=20");
    assert_eq!(refusal.headers()[RATE_LIMIT_POLICY], "\"ip\";q=3;w=60, \"who\";q=1;w=60");

    let refusal = refused(from("/x", 1, &[("x-api-key", "key-a")]));
    assert_eq!(refusal.code(), Code::InvalidRequest);
    assert_eq!(refusal.headers()[RATE_LIMIT], "\"ip\";r=1;t=40, \"who\";r=0;t=60");
    let refusal = refused(from("/x?q=1", 2, &[("x-api-key", "key-a")]));
    assert_eq!((refusal.code(), refusal.reason()), (Code::RateLimited, Some("the rate limit \"who\"")));
    assert_eq!(refusal.headers()[RETRY_AFTER], "60");
    let admitted = from("/x?q=1", 1, &[("x-api-key", "key-b")]).expect("another caller");
    assert_eq!(admitted.identity.expect("somebody").subject, "b");
    // Guessing keys is limited, too: the address is counted before the key is looked at.
    let refusal = refused(from("/x?q=1", 1, &[("x-api-key", "wrong")]));
    assert_eq!((refusal.code(), refusal.reason()), (Code::RateLimited, Some("the rate limit \"ip\"")));
    assert!(from("/open", 1, &[]).expect("open").identity.is_none());
}

#[test]
fn an_answer_gets_what_all_rules_say() {
    let table = json!({
        "cors": { "origins": ["*"] }, "headers": {}, "compress": {},
        "assets": { "folder": "public" },
        "routes": [
            { "path": "/{*rest}", "version": { "header": "api-version", "value": "2" } },
            { "path": "/{*rest}" },
        ],
    });
    let router = router(table, &SharedState::default());
    let (rules, outcome) = admit(&router, &request("GET", "/a", &[("accept-encoding", "gzip")]), 1);
    let admitted = outcome.expect("passes");
    assert!(admitted.asset.is_none());
    let mut answer = Response::builder().header(CONTENT_TYPE, "text/html").body(()).expect("an answer").into_parts().0;
    assert_eq!(rules.finish(&admitted, &mut answer, Some(9000)), Some(Coding::Gzip));
    let vary: Vec<_> = answer.headers.get_all(VARY).iter().collect();
    assert_eq!(vary, ["api-version", "accept-encoding"]);
    assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");

    let (_, outcome) = admit(&router, &request("GET", "/app.js", &[]), 1);
    let asset = outcome.expect("passes").asset.expect("a file");
    let AssetResponse::Bytes { headers, .. } = &asset else { panic!("{asset:?}") };
    assert_eq!(headers[CACHE_CONTROL], "public, max-age=0, must-revalidate");
}

#[test]
fn bodies_are_checked_when_there_is_one() {
    let table = json!({
        "validate": { "body": { "type": "object" }, "max-body-bytes": 100 },
        "cors": { "origins": ["https://a.test"] },
    });
    let router = router(table, &SharedState::default());
    let json = [("content-type", "application/json"), ("origin", "https://a.test")];
    let (rules, outcome) = admit(&router, &request("POST", "/a", &json), 1);
    let admitted = outcome.expect("passes");
    assert!(admitted.checks_body);
    assert_eq!(rules.max_body_bytes(), 100);
    assert!(rules.check_body(&admitted, b"{}").is_ok());
    let refusal = rules.check_body(&admitted, b"[]").expect_err("no object");
    assert_eq!(refusal.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.test");
    assert!(!admit(&router, &request("GET", "/a", &[]), 1).1.expect("passes").checks_body);
    let text = refused(admit(&router, &request("POST", "/a", &[("content-type", "text/plain")]), 1).1);
    assert_eq!(text.code(), Code::UnsupportedMediaType);
}

#[test]
fn limits_and_keys_outlive_a_version_and_nothing_else_does() {
    let keep = SharedState::default();
    let table = |requests: u32| {
        let jwt = json!({ "jwks": "https://id.test/keys", "issuer": "i", "audience": "a" });
        json!({
            "rate-limit": { "requests": requests, "per-seconds": 3600 }, "auth": { "jwt": jwt, "optional": true },
            "routes": [
                { "path": "/a" },
                { "path": "/b" },
                { "path": "/c", "rate-limit": { "requests": requests, "per-seconds": 3600 } },
            ],
        })
    };
    let passes = |router: &Router<Arc<Rules>>, path: &str| admit(router, &request("GET", path, &[]), 1).1.is_ok();
    let first = router(table(1), &keep);
    assert!(passes(&first, "/a"));
    assert!(!passes(&first, "/b"), "routes share the limit at the top");
    assert!(passes(&first, "/c"), "a route's own limit is its own");
    let second = router(table(1), &keep);
    assert!(!passes(&second, "/a"), "the next version does not give callers a new burst");
    drop(first);
    assert!(!passes(&second, "/a"));
    assert_eq!(keep.verifiers().len(), 1);
    for requests in 2..50 {
        assert!(passes(&router(table(requests), &keep), "/a"));
    }
    assert!(keep.limiters.lock().len() <= 4);
    drop(second);
    assert!(keep.verifiers().is_empty());
}

#[test]
fn a_preflight_gets_the_route_of_the_method_it_asks_about() {
    let table = json!({ "routes": [
        { "path": "/a", "methods": ["GET"], "cors": { "origins": ["https://a.test"] } },
        { "path": "/a", "methods": ["PUT"] },
    ] });
    let router = router(table, &SharedState::default());
    let ask = |method: &str| {
        let pairs = [(ORIGIN.as_str(), "https://a.test"), (ACCESS_CONTROL_REQUEST_METHOD.as_str(), method)];
        match admit(&router, &request("OPTIONS", "/a", &pairs), 1).1 {
            Err(LocalReply::Response(answer)) => answer.status().as_u16(),
            other => refused(other).status().as_u16(),
        }
    };
    assert_eq!((ask("GET"), ask("PUT"), ask("DELETE")), (204, 405, 403));
}

#[test]
fn scripts_can_read_why_a_request_has_no_route() {
    let table = json!({
        "cors": { "origins": ["https://a.test"] },
        "routes": [
            { "path": "/orders/{id}", "methods": ["GET"] },
            { "path": "/closed", "methods": ["GET"], "cors": false },
            { "path": "/other", "methods": ["GET"], "cors": { "origins": ["https://b.test"] } },
        ],
    });
    let router = router(table, &SharedState::default());
    for (method, path, origin, code, allowed) in [
        ("DELETE", "/orders/1", "https://a.test", Code::MethodNotAllowed, Some("https://a.test")),
        ("DELETE", "/orders/1", "https://b.test", Code::MethodNotAllowed, None),
        ("DELETE", "/other", "https://b.test", Code::MethodNotAllowed, Some("https://b.test")),
        ("DELETE", "/closed", "https://a.test", Code::MethodNotAllowed, None),
        ("GET", "/orders/%31", "https://a.test", Code::AmbiguousPath, Some("https://a.test")),
        ("GET", "//", "https://a.test", Code::AmbiguousPath, Some("https://a.test")),
        ("GET", "/nothing", "https://a.test", Code::NoRoute, Some("https://a.test")),
    ] {
        let request = request(method, path, &[("origin", origin)]);
        let mut refusal = router.find_parts(&request).expect_err("no route");
        assert_eq!(refusal.code(), code, "{method} {path}");
        router.nearest(&request).find(|rules| rules.add_cors_headers(&request.headers, &mut refusal));
        let header = refusal.headers().get(http::header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(header.and_then(|value| value.to_str().ok()), allowed, "{method} {path} {origin}");
    }
}

#[test]
fn the_idempotency_key_of_an_admitted_request_is_read() {
    let router = router(
        json!({
            "cors": { "origins": ["*"] },
            "routes": [{ "path": "/orders", "idempotency": { "required": true } }, { "path": "/{*rest}" }],
        }),
        &SharedState::default(),
    );
    let key = |path: &str, pairs: &[(&str, &str)]| match admit(&router, &request("POST", path, pairs), 1).1 {
        Ok(admitted) => Ok(admitted.idempotency.map(|key| key.key)),
        Err(LocalReply::Refusal(refusal)) => {
            assert!(refusal.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), "scripts can read it");
            Err(refusal.code())
        }
        Err(other) => panic!("{other:?}"),
    };
    let origin = ("origin", "https://a.test");
    assert_eq!(key("/orders", &[origin, ("idempotency-key", "\"k\"")]), Ok(Some("k".to_owned())));
    assert_eq!(key("/orders", &[origin]), Err(Code::IdempotencyKeyMissing));
    assert_eq!(key("/other", &[origin, ("idempotency-key", "k")]), Ok(None), "the route has no such rule");
}

#[test]
fn a_route_to_a_worker_has_its_rules_and_names_the_worker() {
    let table = json!({ "routes": [{
        "path": "/{kind}",
        "auth": { "api-key": { "header": "x-api-key" } },
        "cors": { "origins": ["https://a.test"] },
        "worker": { "class": "Cart", "name": "{kind}-{identity}", "method": "view" },
    }] });
    let router = router(table, &SharedState::default());
    let key = ("x-api-key", "key-ada");
    let outcome = admit(&router, &request("GET", "/cart?a=1", &[key]), 1).1.expect("it passes");
    let RequestTarget::Worker(worker) = outcome.target else { panic!("it is for a worker") };
    assert_eq!((worker.class.as_str(), worker.name.as_str()), ("Cart", "cart-ada"));
    let unidentified = refused(admit(&router, &request("GET", "/cart", &[]), 1).1);
    assert_eq!(unidentified.code(), Code::Unauthenticated);
    let delete = request("DELETE", "/cart", &[key, ("origin", "https://a.test")]);
    let refusal = refused(admit(&router, &delete, 1).1);
    assert_eq!(refusal.code(), Code::MethodNotAllowed);
    assert_eq!(refusal.headers()[ALLOW], "GET, HEAD, POST, PUT");
    assert_eq!(refusal.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.test", "a script can read it");
}

#[test]
fn what_middleware_sets_is_removed_on_every_route_of_the_service() {
    let table = json!({ "routes": [
        { "path": "/a", "middleware": [{ "component": "auth", "sets": ["x-user", "x-role"] }] },
        { "path": "/b", "middleware": [{ "component": "auth", "sets": ["x-user"] }, { "component": "log" }] },
        { "path": "/open" },
    ] });
    let router = router(table, &SharedState::default());
    for path in ["/a", "/b", "/open"] {
        let mut asked = request("GET", path, &[("X-User", "root"), ("x-role", "admin"), ("x-other", "1")]);
        asked.headers.append("x-user", HeaderValue::from_static("second"));
        let (rules, outcome) = admit(&router, &asked, 1);
        assert!(outcome.is_ok(), "{path}");
        rules.remove_reserved_headers(&mut asked);
        assert_eq!(asked.headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-other"], "{path}");
        let reserved = asked.extensions.get::<FromMiddleware>().map(FromMiddleware::headers).expect("they are known");
        assert_eq!(reserved.iter().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-role", "x-user"], "{path}");
        assert_eq!(rules.middleware().is_some(), path != "/open");
    }
    let mut asked = request("GET", "/", &[("x-user", "root")]);
    for rules in Rules::prepare(&GatewayConfig::default(), &SharedState::default(), None, None) {
        rules.remove_reserved_headers(&mut asked);
    }
    assert!(asked.headers.contains_key("x-user") && asked.extensions.get::<FromMiddleware>().is_none());
}

#[test]
fn limits_by_a_header_of_middleware_count_what_middleware_set() {
    let table = json!({
        "rate-limit": { "name": "who", "requests": 1, "per-seconds": 60, "by": "header", "header": "x-user" },
        "routes": [{ "path": "/a", "middleware": [{ "component": "auth", "sets": ["x-user"] }] }, { "path": "/open" }],
    });
    let router = router(table, &SharedState::default());
    let now = Now { monotonic: Duration::from_secs(100), unix_seconds: 1_000_000 };
    let client = |ip: u8| Client { ip: IpAddr::from([192, 0, 2, ip]), has_body: false };
    let ask = |path: &str, ip: u8, user: Option<&'static str>| {
        // Whatever the client says of itself, and however often: it is not counted.
        let mut asked = request("GET", path, &[("x-user", "forged")]);
        let (rules, outcome) = admit(&router, &asked, ip);
        assert!(outcome.is_ok(), "{path}");
        rules.remove_reserved_headers(&mut asked);
        if let Some(user) = user {
            asked.headers.insert("x-user", HeaderValue::from_static(user));
        }
        rules.limit_after_middleware(&asked.headers, client(ip), now)
    };
    assert!(ask("/a", 1, Some("ann")).is_ok());
    let refusal = ask("/a", 2, Some("ann")).expect_err("Ann has asked from elsewhere");
    assert_eq!((refusal.code(), &refusal.headers()[RETRY_AFTER]), (Code::RateLimited, &HeaderValue::from(60)));
    assert!(ask("/a", 1, Some("ben")).is_ok(), "another one, at the same address");
    // A route without middleware counts by address, since no header is left.
    assert!(ask("/open", 3, None).is_ok());
    assert!(ask("/open", 3, None).is_err() && ask("/open", 4, None).is_ok());
}

#[test]
fn files_behind_middleware_are_not_for_shared_caches() {
    let table = json!({ "assets": { "folder": "public" }, "routes": [
        { "path": "/app.js", "middleware": [{ "component": "auth" }] },
    ] });
    let router = router(table, &SharedState::default());
    let (_, outcome) = admit(&router, &request("GET", "/app.js", &[]), 1);
    match outcome.expect("passes").asset {
        Some(AssetResponse::Bytes { headers, .. }) => {
            assert!(headers[CACHE_CONTROL].to_str().expect("text").starts_with("private"), "{headers:?}");
        }
        other => panic!("{other:?}"),
    }
}
