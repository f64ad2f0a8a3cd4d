//! Tests of how a request finds its route, and of routes that conflict.

use super::*;
use crate::config::GatewayConfig;
use http::HeaderValue;
use serde_json::{Value, json};

fn add(router: &mut Router<String>, service: &str, host: &str, routes: Value) -> Result<(), RouteError> {
    let config = GatewayConfig::parse(&json!({ "routes": routes })).expect("a table");
    let own = match host {
        "*" => HostRule::Any,
        host => HostRule::parse(host).expect("a host"),
    };
    for (i, route) in config.routes.iter().enumerate() {
        router.add(&Arc::from(service), std::slice::from_ref(&own), route, &format!("{service}{i}"))?;
    }
    Ok(())
}

type Pairs = &'static [(&'static str, &'static str)];

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

/// The value of the route, else the code of the refusal.
fn find(router: &Router<String>, request: &str, pairs: &[(&'static str, &'static str)]) -> String {
    let mut words = request.split(' ');
    let (Some(method), Some(host), Some(path)) = (words.next(), words.next(), words.next()) else {
        panic!("{request}")
    };
    match router.find(host, path, &method.parse().expect("a method"), &headers(pairs)) {
        Ok(found) => found.value.clone(),
        Err(refusal) => refusal.code().as_str().to_owned(),
    }
}

#[test]
fn the_most_specific_host_has_all_of_its_paths() {
    let mut router = Router::default();
    add(&mut router, "exact", "a.shop.test", json!([{ "path": "/api" }])).expect("routes");
    add(&mut router, "below", "*.shop.test", json!([])).expect("routes");
    add(&mut router, "deeper", "*.eu.shop.test", json!([])).expect("routes");
    add(&mut router, "any", "*", json!([])).expect("routes");
    add(&mut router, "elsewhere", "own.test", json!([{ "host": "named.test" }])).expect("routes");
    let cases = [
        ("GET a.shop.test /api", "exact0"),
        ("GET A.SHOP.TEST.:443 /api", "exact0"),
        ("GET a.shop.test /other", "no-route"),
        ("GET b.shop.test /other", "below0"),
        ("GET c.b.shop.test /", "below0"),
        ("GET c.eu.shop.test /", "deeper0"),
        ("GET eu.shop.test /", "below0"),
        ("GET shop.test /", "any0"),
        ("GET xshop.test /", "any0"),
        ("GET [::1]:80 /", "any0"),
        ("GET named.test /", "elsewhere0"),
        ("GET own.test /", "any0"),
        ("GET a..shop.test /", "bad-host"),
        ("GET a.shop.test@evil.test /api", "bad-host"),
        ("GET  /", "bad-host"),
        ("GET nowhere.test //", "ambiguous-path"),
        ("GET a.shop.test /%61pi", "ambiguous-path"),
        ("GET a.shop.test /x/../api", "ambiguous-path"),
    ];
    for (request, expected) in cases {
        assert_eq!(find(&router, request, &[]), expected, "{request}");
    }
    assert_eq!((router.hosts(), router.len()), (5, 9));
}

#[test]
fn paths_are_matched_as_they_are_written() {
    let mut router = Router::default();
    let routes = json!([
        { "path": "/orders/{id}", "methods": ["GET"] },
        { "path": "/orders/{id}", "methods": ["POST", "PUT"] },
        { "path": "/orders/{id}" , "methods": ["HEAD"] },
        { "path": "/orders/new" },
        { "path": "/files/{*rest}" },
        { "path": "/users/@me" },
        { "path": "/mixed", "methods": ["GET"] },
        { "path": "/mixed" },
    ]);
    add(&mut router, "s", "s.test", routes).expect("routes");
    let cases = [
        ("GET s.test /orders/1", "s0"),
        ("HEAD s.test /orders/1", "s2"),
        ("PUT s.test /orders/1", "s1"),
        ("DELETE s.test /orders/1", "method-not-allowed"),
        ("OPTIONS s.test /orders/1", "method-not-allowed"),
        ("DELETE s.test /orders/new", "s3"),
        ("GET s.test /orders/", "no-route"),
        ("GET s.test /orders", "no-route"),
        ("GET s.test /Orders/1", "no-route"),
        ("GET s.test /orders/1/", "no-route"),
        ("GET s.test /files/a/b.c", "s4"),
        ("GET s.test /files/", "no-route"),
        ("GET s.test /users/@me", "s5"),
        ("GET s.test /users/%40me", "ambiguous-path"),
        ("HEAD s.test /mixed", "s6"),
        ("PATCH s.test /mixed", "s7"),
    ];
    for (request, expected) in cases {
        assert_eq!(find(&router, request, &[]), expected, "{request}");
    }
    let refusal = router.find("s.test", "/orders/1", &Method::DELETE, &HeaderMap::new()).expect_err("405");
    assert_eq!(refusal.headers()[http::header::ALLOW], "GET, HEAD, POST, PUT");

    let found = router.find("s.test", "/orders/a%20b", &Method::GET, &HeaderMap::new()).expect("a route");
    assert_eq!(found.matched.pattern, "/orders/{id}");
    assert_eq!(found.matched.params.get("id"), Some("a%20b"));
    assert_eq!(found.matched.params.decoded().collect::<Vec<_>>(), [("id", Some("a b".into()))]);
    let found = router.find("s.test", "/orders/%FF", &Method::GET, &HeaderMap::new()).expect("a route");
    assert_eq!(found.matched.params.decoded().collect::<Vec<_>>(), [("id", None)]);
}

#[test]
fn a_version_is_chosen_by_header_or_media_type() {
    let mut router = Router::default();
    let routes = json!([
        { "path": "/h", "version": { "header": "api-version", "value": "1" } },
        { "path": "/h", "version": { "header": "api-version", "value": "2" } },
        { "path": "/m", "version": { "media-type": "application/vnd.shop.v1+json" } },
        { "path": "/m", "version": { "media-type": "application/vnd.shop.v2+json" } },
        { "path": "/m", "methods": ["GET"] },
        { "path": "/v2/{*rest}" },
    ]);
    add(&mut router, "s", "s.test", routes).expect("routes");
    const ONE: &str = "application/vnd.shop.v1+json";
    const TWO: &str = "application/vnd.shop.v2+json";
    let cases: &[(&str, Pairs, &str)] = &[
        ("GET s.test /h", &[("api-version", "1")], "s0"),
        ("GET s.test /h", &[("api-version", "2")], "s1"),
        ("GET s.test /h", &[("api-version", "3")], "unknown-api-version"),
        ("GET s.test /h", &[("api-version", "1, 2")], "unknown-api-version"),
        ("GET s.test /h", &[], "unknown-api-version"),
        ("GET s.test /m", &[("accept", ONE)], "s2"),
        ("GET s.test /m", &[("accept", "Application/VND.shop.v2+json;charset=utf-8")], "s3"),
        (
            "GET s.test /m",
            &[("accept", "application/vnd.shop.v1+json;q=0.1, application/vnd.shop.v2+json;q=0.2")],
            "s3",
        ),
        ("GET s.test /m", &[("accept", "application/vnd.shop.v2+json, application/vnd.shop.v1+json")], "s3"),
        ("GET s.test /m", &[("accept", "application/vnd.shop.v1+json, application/vnd.shop.v2+json")], "s2"),
        ("GET s.test /m", &[("accept", "application/vnd.shop.v2+json;q=0")], "s4"),
        ("GET s.test /m", &[("accept", "a/b;x=\",application/vnd.shop.v2+json,\"")], "s4"),
        ("GET s.test /m", &[("accept", "*/*")], "s4"),
        ("POST s.test /m", &[("accept", "*/*"), ("content-type", TWO)], "s3"),
        ("POST s.test /m", &[("accept", "*/*")], "unknown-api-version"),
        ("GET s.test /v2/x", &[], "s5"),
    ];
    for (request, pairs, expected) in cases {
        assert_eq!(find(&router, request, pairs), *expected, "{request} {pairs:?}");
    }
    let mut twice = HeaderMap::new();
    for value in ["1", "2"] {
        twice.append("api-version", HeaderValue::from_static(value));
    }
    assert!(router.find("s.test", "/h", &Method::GET, &twice).is_err());
    let found = router.find("s.test", "/m", &Method::GET, &HeaderMap::new()).expect("a route");
    assert_eq!(found.matched.vary, [http::header::ACCEPT], "the unversioned answer depends on it too");
}

#[test]
fn a_preflight_finds_the_route_that_it_asks_about() {
    let mut router = Router::default();
    let routes = json!([
        { "path": "/a", "methods": ["GET"] },
        { "path": "/a", "methods": ["PUT"] },
        { "path": "/b", "methods": ["OPTIONS"] },
        { "path": "/b", "methods": ["PUT"] },
        { "path": "/c", "version": { "header": "v", "value": "1" } },
    ]);
    add(&mut router, "s", "s.test", routes).expect("routes");
    for (request, asked, expected) in [
        ("OPTIONS s.test /a", "PUT", "s1"),
        ("OPTIONS s.test /a", "HEAD", "s0"),
        ("OPTIONS s.test /a", "DELETE", "s0"),
        ("OPTIONS s.test /b", "PUT", "s2"),
        ("OPTIONS s.test /c", "PUT", "s4"),
        ("GET s.test /a", "PUT", "s0"),
    ] {
        assert_eq!(find(&router, request, &[("access-control-request-method", asked)]), expected, "{request} {asked}");
    }
}

#[test]
fn a_conflict_names_both_services() {
    let conflicts = [
        (json!([{ "path": "/a" }]), json!([{ "path": "/a" }]), "/a"),
        (json!([{ "path": "/a", "methods": ["GET", "PUT"] }]), json!([{ "path": "/a", "methods": ["PUT"] }]), "/a"),
        (json!([{ "path": "/a" }]), json!([{ "path": "/a", "methods": ["PUT"] }]), "/a"),
        (json!([{ "path": "/a/{x}" }]), json!([{ "path": "/a/{y}" }]), "/a/{x}"),
        (json!([{ "path": "/a/{x}" }]), json!([{ "path": "/a/{*rest}" }]), "/a/{x}"),
        (
            json!([{ "path": "/a", "version": { "header": "v", "value": "1" } }]),
            json!([{ "path": "/a", "version": { "header": "V", "value": "1" } }]),
            "/a",
        ),
    ];
    for (first, second, pattern) in conflicts {
        let mut router = Router::default();
        add(&mut router, "first", "s.test", first).expect("routes");
        let error = add(&mut router, "second", "s.test", second).expect_err("a conflict");
        assert_eq!(error.code(), "route-conflict");
        let message = error.to_string();
        assert!(
            message.contains("of first") && message.contains("of second") && message.contains(pattern),
            "{message}"
        );
    }
    let mut router = Router::default();
    add(&mut router, "first", "s.test", json!([{ "path": "/a", "methods": ["GET"] }])).expect("routes");
    add(&mut router, "second", "s.test", json!([{ "path": "/a", "methods": ["PUT"] }])).expect("another method");
    add(&mut router, "second", "t.test", json!([{ "path": "/a", "methods": ["GET"] }])).expect("another host");
}

#[test]
fn a_hundred_thousand_routes_are_a_map_of_small_tables() {
    let mut router = Router::default();
    let config = GatewayConfig::parse(&json!({ "routes":
        (0..10).map(|i| json!({ "path": format!("/v{i}/orders/{{id}}") })).collect::<Vec<_>>()
    }))
    .expect("a table");
    for host in 0..10_000 {
        let (name, own) = (format!("s{host}"), HostRule::Exact(format!("s{host}.test").into()));
        for (i, route) in config.routes.iter().enumerate() {
            router.add(&Arc::from(name.as_str()), std::slice::from_ref(&own), route, &(host, i)).expect("a route");
        }
    }
    assert_eq!((router.hosts(), router.len()), (10_000, 100_000));
    let largest = router.exact.values().map(|table| table.pattern_routes.len()).max();
    assert_eq!(largest, Some(10), "no table grows with the number of services");
    for host in (0..10_000).step_by(997) {
        let found = router.find(&format!("S{host}.test:80"), "/v7/orders/1", &Method::GET, &HeaderMap::new());
        assert_eq!(found.map(|found| *found.value).ok(), Some((host, 7)));
    }
}

/// The routes of a service, for [`Router::set`] and [`Router::check`]; its value is its name.
fn asks(service: &str, routes: Value) -> (Arc<str>, GatewayConfig, String) {
    let config = GatewayConfig::parse(&json!({ "routes": routes })).expect("a table");
    (Arc::from(service), config, service.to_owned())
}

fn set(router: &mut Router<String>, (service, config, value): &(Arc<str>, GatewayConfig, String)) -> Vec<RouteError> {
    let routes: Vec<_> = config.routes.iter().map(|route| (route, value.clone())).collect();
    router.set(service, &[HostRule::Exact(format!("{service}.test").into())], &routes)
}

#[test]
fn whoever_has_a_host_is_the_same_whatever_the_order() {
    let services = [
        asks("a", json!([{ "host": "shop.test", "path": "/x" }, { "path": "/own" }])),
        asks(
            "b",
            json!([{ "host": "shop.test", "path": "/x" }, { "host": "shop.test", "path": "/y" }, { "path": "/own" }]),
        ),
        asks("c", json!([{ "host": "shop.test", "path": "/y" }, { "host": "*.shop.test" }])),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut router = Router::default();
        for i in order {
            set(&mut router, &services[i]);
        }
        let who = |router: &Router<String>| {
            ["shop.test /x", "shop.test /y", "b.test /own", "eu.shop.test /"]
                .map(|at| find(router, &format!("GET {at}"), &[]))
        };
        // All of b gives way on the host, for it clashes with a there, and so c need not.
        assert_eq!(who(&router), ["a", "c", "b", "c"], "{order:?}");
        assert_eq!((router.hosts(), router.len()), (4, 6), "{order:?}");
        let (c, config, value) = &services[2];
        let routes: Vec<_> = config.routes.iter().map(|route| (route, value.clone())).collect();
        assert!(router.check(c, &[], &routes).is_ok(), "what serves fits");
        let (b, config, value) = &services[1];
        let routes: Vec<_> = config.routes.iter().map(|route| (route, value.clone())).collect();
        assert_eq!(router.check(b, &[], &routes).expect_err("it clashes").code(), "route-conflict");

        router.remove(&Arc::from("a"));
        assert_eq!(who(&router), ["b", "b", "b", "c"], "what gave way has its turn: {order:?}");
        assert!(!set(&mut router, &services[0]).is_empty(), "the clash is told");
        assert_eq!(who(&router), ["a", "c", "b", "c"]);
        for (service, ..) in &services {
            router.remove(service);
        }
        assert!(router.is_empty() && router.hosts() == 0 && router.hosts_of.is_empty(), "nothing stays");
    }
}

#[test]
fn a_change_leaves_the_other_hosts_tables_alone() {
    let mut before = Router::default();
    for i in 0..1_000 {
        set(&mut before, &asks(&format!("s{i}"), json!([{ "path": "/" }])));
    }
    let mut after = before.clone();
    set(&mut after, &asks("s7", json!([{ "path": "/new" }])));
    after.remove(&Arc::from("s8"));
    set(&mut after, &asks("new", json!([])));
    let shared = before
        .exact
        .iter()
        .filter(|(host, table)| after.exact.get(*host).is_some_and(|other| Arc::ptr_eq(table, other)));
    assert_eq!(shared.count(), 998);
    assert_eq!(find(&before, "GET s8.test /", &[]), "s8", "who reads the table of before still does");
    assert_eq!(find(&after, "GET s8.test /", &[]), "no-route");
    assert_eq!(
        (find(&after, "GET s7.test /new", &[]), find(&after, "GET s7.test /", &[])),
        ("s7".into(), "no-route".into())
    );
}

#[test]
fn a_host_has_a_limit_of_patterns() {
    let mut router = Router::default();
    for i in 0..MAX_PATTERNS_PER_HOST {
        add(&mut router, "s", "s.test", json!([{ "path": format!("/p{i}/{{x}}") }])).expect("fits");
    }
    let error = add(&mut router, "s", "s.test", json!([{ "path": "/more" }])).expect_err("full");
    assert_eq!(error.code(), "too-many-routes");
    assert_eq!(find(&router, "GET s.test /p4095/1", &[]), "s0");
}

/// Whether a path is one of a pattern's, and how specific that is: the first segment that differs decides.
fn rank(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let (mut rank, mut rest) = (Vec::new(), path.split('/').skip(1));
    for segment in pattern.split('/').skip(1) {
        let part = rest.next()?;
        let (before, after) = match (segment.split_once('{'), segment.split_once('}')) {
            (Some((before, _)), Some((_, after))) => (before, after),
            _ if segment == part => {
                rank.push(0);
                continue;
            }
            _ => return None,
        };
        let whole = before.is_empty() && after.is_empty();
        if segment.contains('*') {
            rank.push(3);
            return (!part.is_empty() || rest.next().is_some()).then_some(rank);
        }
        if part.len() <= before.len() + after.len() || !part.starts_with(before) || !part.ends_with(after) {
            return None;
        }
        rank.push(if whole { 2 } else { 1 });
    }
    rest.next().is_none().then_some(rank)
}

#[test]
fn of_all_patterns_that_match_the_most_specific_is_found() {
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    let (inner, last) = (["a", "b", "ab", "{p}"], ["a", "b", "{p}", "a{p}", "{p}b", "a{p}b", "{p}.js", "{*p}", ""]);
    let parts = ["a", "b", "ab", "aab", "abb", "acb", "c", "c.js", "a.js", ".js"];
    let mut found = 0;
    for _ in 0..4000 {
        let mut patterns: Vec<String> = Vec::new();
        let mut router = Router::default();
        for _ in 0..5 {
            let mut pattern = String::new();
            for i in 0..random(3) {
                pattern += &format!("/{}", inner[random(inner.len())].replace('p', &format!("p{i}")));
            }
            pattern += &format!("/{}", last[random(last.len())]);
            // Some of the conflicting routes may be in the table, so it is made anew.
            let mut trial = Router::default();
            let routes = patterns.iter().chain([&pattern]).map(|path| json!({ "path": path })).collect();
            if add(&mut trial, "", "h.test", routes).is_ok() {
                router = trial;
                patterns.push(pattern);
            }
        }
        for _ in 0..10 {
            let path: String = (0..=random(3)).map(|_| format!("/{}", parts[random(parts.len())])).collect();
            let best = patterns.iter().filter_map(|pattern| rank(pattern, &path)).min();
            let outcome = router.find("h.test", &path, &Method::GET, &HeaderMap::new()).ok();
            let outcome = outcome.and_then(|outcome| rank(outcome.matched.pattern, &path));
            assert_eq!(outcome, best, "{path} of {patterns:?}");
            found += usize::from(best.is_some());
        }
    }
    assert!(found > 4000, "{found}");
}
