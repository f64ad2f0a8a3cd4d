//! Requests to the admin API that come twice, late, in pages, or make no sense.

use elias_tests::answering::{answering, answers};
use elias_tests::platform::Platform;
use elias_tests::tenant::service;
use serde_json::{Value, json};

#[tokio::test]
async fn a_request_that_comes_again_with_its_key_is_done_once() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.version("shop", answering(), answers("one")).await;
    let post = async |key: &str, body: Value| {
        let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        platform.call(request, &team.path(&service("shop", "production", "/deployments")), body.to_string()).await
    };
    let first = post("deploy-1", json!({ "version": 1 })).await;
    let again = post("deploy-1", json!({ "version": 1 })).await;
    assert_eq!((first.status, again.status), (201, 201), "{again:?}");
    assert_eq!(first.json(), again.json());
    assert!(again.headers.contains_key("idempotency-replayed") && !first.headers.contains_key("idempotency-replayed"));
    assert_eq!(team.history("shop").await.len(), 1, "it was done once");
    let other = post("deploy-1", json!({ "version": 1, "reason": "another" })).await;
    assert_eq!((other.status, other.code().as_str()), (409, "idempotency-mismatch"));
    let refused = post("deploy-2", json!({ "version": 9 })).await;
    let refused_again = post("deploy-2", json!({ "version": 9 })).await;
    assert_eq!((refused.code(), refused.json()), (refused_again.code(), refused_again.json()));
    assert_eq!(post("deploy-3", json!({ "version": 1 })).await.status, 201);
    assert_eq!(team.history("shop").await.len(), 2, "another key is another deployment");
    // Two at once, as when a connection breaks and the client tries again.
    let (one, other) =
        tokio::join!(post("deploy-4", json!({ "version": 1 })), post("deploy-4", json!({ "version": 1 })));
    assert_eq!(one.json(), other.json());
    assert_eq!(team.history("shop").await.len(), 3, "of two with the same key one is done");
    for key in ["", &"x".repeat(129)] {
        assert_eq!(post(key, json!({ "version": 1 })).await.code(), "bad-input");
    }
}

#[tokio::test]
async fn pages_together_are_the_whole_list() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    for number in 1..=5 {
        team.version(&format!("component-{number}"), answering(), answers("x")).await;
        team.version("shop", answering(), answers(&number.to_string())).await;
        team.deploy("shop", "production", number, Value::Null).await;
        team.with_role("viewer", None).await;
    }
    let deployments = service("shop", "production", "/deployments");
    for (path, least) in [
        ("/components", 6),
        ("/components/shop/versions", 5),
        (deployments.as_str(), 5),
        ("/tokens", 5),
        ("/audit", 20),
    ] {
        let whole = team.done("GET", &format!("{path}?limit=1000"), Value::Null).await;
        assert_eq!(whole["next"], Value::Null, "{path}");
        let whole = whole["items"].as_array().expect("a list").clone();
        assert!(whole.len() >= least, "{path}: {whole:?}");
        let (mut parts, mut after) = (Vec::new(), String::new());
        loop {
            let page = team.done("GET", &format!("{path}?limit=2{after}"), Value::Null).await;
            let items = page["items"].as_array().expect("a list");
            assert!(items.len() <= 2, "{path}: {page}");
            parts.extend(items.iter().cloned());
            let Some(next) = page["next"].as_str() else { break };
            assert!(parts.len() <= whole.len(), "{path}: it never ends");
            after = format!("&after={next}");
        }
        assert_eq!(parts, whole, "{path}");
        for limit in ["0", "1001", "-1", "x", "99999999999999999999"] {
            let (code, _) = team.refused("GET", &format!("{path}?limit={limit}"), Value::Null).await;
            assert_eq!(code, "bad-input", "{path} {limit}");
        }
    }
    assert_eq!(team.refused("GET", "/components/shop/versions?after=x", Value::Null).await.0, "bad-input");
}

#[tokio::test]
async fn a_change_that_is_based_on_an_old_reading_is_refused() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let put = async |tag: &str, settings: Value| {
        let request = http::Request::put("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("content-type", "application/json").header("if-match", tag);
        platform.call(request, &team.path(""), settings.to_string()).await
    };
    let request = http::Request::get("/").header("authorization", format!("Bearer {}", team.token));
    let read = platform.call(request, &team.path(""), "").await;
    let tag = read.headers["etag"].to_str().expect("ASCII").to_owned();
    let changed = put(&tag, json!({ "hosts": ["shop.example.com"] })).await;
    assert_eq!((changed.status, changed.json()["settings"]["hosts"][0].as_str()), (200, Some("shop.example.com")));
    assert_ne!(changed.headers["etag"], tag.as_str());
    let late = put(&tag, json!({})).await;
    assert_eq!((late.status, late.code().as_str()), (412, "stale"));
    assert_eq!(put("nonsense", json!({})).await.code(), "bad-input");
    let now = team.done("GET", "", Value::Null).await;
    assert_eq!(now["settings"]["hosts"], json!(["shop.example.com"]), "what was refused changed nothing");
    for settings in [json!({ "hosts": ["a b"] }), json!({ "host": [] }), json!({ "engines": ["x"] })] {
        let answer = put(changed.headers["etag"].to_str().expect("ASCII"), settings.clone()).await;
        assert!((400..500).contains(&answer.status), "{settings}: {answer:?}");
        assert!(matches!(answer.code().as_str(), "bad-input" | "bad-name"), "{settings}: {answer:?}");
    }
}

#[tokio::test]
async fn paths_methods_names_and_bodies_that_make_no_sense_are_refused_as_problems() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", answering(), answers("one")).await;
    let deployments = "/v1/tenants/default/components/shop/environments/production/deployments";
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v1"),
        ("GET", "/v1/nothing"),
        ("GET", "/v2/tenants"),
        ("GET", "/v1/tenants/../tenants"),
        ("GET", "//v1/tenants"),
        ("POST", "/v1/whoami"),
        ("PATCH", "/v1/tenants/default"),
        ("TRACE", "/v1/tenants"),
        ("BREW", "/v1/tenants"),
        ("DELETE", deployments),
    ] {
        let request = http::Request::builder().method(method).header("authorization", format!("Bearer {}", team.token));
        let answer = platform.call(request, path, "").await;
        assert!((400..500).contains(&answer.status), "{method} {path}: {answer:?}");
        assert!(!answer.code().is_empty(), "{method} {path}: {answer:?}");
    }
    let long = "x".repeat(41);
    for name in
        ["..", "../x", "..%2Fx", "a%2Fb", "%2e%2e", "A", "a_b", "a--b", "-a", "%00", "%ff", "a%20b", "a%0d%0ab", &long]
    {
        for path in [
            format!("/v1/tenants/{name}"),
            format!("/v1/tenants/{name}/audit"),
            format!("/v1/tenants/default/components/{name}/versions"),
            format!("/v1/tenants/default/components/shop/environments/{name}/deployments"),
            format!("/v1/tenants/default/artifacts/{name}"),
        ] {
            let (status, answer) = platform.admin("GET", &path, Value::Null).await;
            assert!((400..500).contains(&status), "{path}: {status} {answer}");
        }
    }
    for name in ["../x", "a/b", "", "A", "a\u{0}b", "ä", &long] {
        for (path, body) in [
            ("/v1/tenants", json!({ "tenant": name })),
            ("/v1/tenants/default/tokens", json!({ "name": "x", "role": "viewer", "days": 1, "components": [name] })),
            (deployments, json!({ "promote_from": name })),
        ] {
            let (status, answer) = platform.admin("POST", path, body).await;
            assert_eq!((status, answer["code"].as_str()), (400, Some("bad-input")), "{path} {name:?}: {answer}");
        }
    }
    let deep = "[".repeat(100_000);
    for body in [
        "",
        "{",
        "null",
        "[]",
        "\"x\"",
        "{\"version\":1e999}",
        "{\"version\":4294967296}",
        "\u{feff}{}",
        "{\"version\":1}x",
        &deep,
    ] {
        let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let answer =
            platform.call(request.header("content-type", "application/json"), deployments, body.to_owned()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad-input"), "{body}: {answer:?}");
    }
    assert_eq!(team.get("shop", "/").await.body, "one");
}

#[tokio::test]
async fn fifty_megabytes_of_json_are_too_large() {
    let platform = Platform::start(&[]);
    let path = "/v1/tenants/default/components/shop/versions";
    let answer = platform.post_mebibytes(path, r#"{"digest":""#, 50).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("too-large"), "{answer}");
    assert_eq!(platform.admin("GET", "/v1/whoami", Value::Null).await.0, 200, "it goes on");
}
