//! Requests with an idempotency key on routes with the rule: each is executed once, and its response sent again.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Answer;
use elias_tests::services::Postgres;
use elias_tests::tenant::Tenant;
use elias_tests::upstream::Upstream;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// Answers each execution with another text, as the query says.
fn fickle() -> Vec<u8> {
    component(
        "export default { async fetch(request) {
            const query = new URL(request.url).searchParams;
            if (query.has('slow')) await new Promise((resolve) => setTimeout(resolve, Number(query.get('slow'))));
            if (query.has('throw')) throw new Error('it fails');
            const text = crypto.randomUUID() + ' '.repeat(Number(query.get('bytes') ?? 0));
            const headers = { 'x-made': 'yes', 'set-cookie': 'session=1', 'content-type': 'text/plain' };
            return new Response(text, { status: Number(query.get('status') ?? 201), headers });
        } };",
    )
}

/// A service whose route `/strict` requires keys.
async fn serve(team: &Tenant<'_>, settings: Value) {
    serve_component(team, &fickle(), settings).await;
}

async fn serve_component(team: &Tenant<'_>, component: &[u8], mut settings: Value) {
    settings["gateway"] = json!({
        "idempotency": {},
        "routes": [{ "path": "/strict", "idempotency": { "required": true, "ttl": "1h" } }, {}],
    });
    team.serve("shop", component, settings).await;
}

/// Serves a component whose executions last until the upstream releases them.
async fn serve_held(platform: &Platform, upstream: &Upstream, mut settings: Value) {
    // The upstream is in the host's own network.
    assert_eq!(platform.admin("PUT", "/v1/tenants/default", json!({ "trusted": true })).await.0, 200);
    let origin = format!("http://{}", upstream.address());
    let source = format!(
        "export default {{ async fetch(request) {{
            if (request.method === 'POST') await fetch('{origin}/held');
            return new Response(crypto.randomUUID(), {{ status: 201 }});
        }} }};"
    );
    settings["capabilities"] = json!({ "http": { "allow": [origin], "private": ["127.0.0.1/32"] } });
    serve_component(&platform.default_tenant(), &component(&source), settings).await;
}

/// Sends a request with a key and leaves once it is being executed.
async fn send_and_leave(platform: &Platform, upstream: &Upstream, key: &str) {
    let (before, host) = (upstream.held(), platform.default_tenant().host("shop"));
    let mut left = tokio::net::TcpStream::connect(platform.address).await.expect("it listens");
    let request =
        format!("POST / HTTP/1.1\r\nhost: {host}\r\nidempotency-key: \"{key}\"\r\ncontent-length: 1\r\n\r\nx");
    left.write_all(request.as_bytes()).await.expect("sent");
    until("it is executed", async || (upstream.held() > before).then_some(())).await;
}

async fn send(platform: &Platform, method: &str, path: &str, key: Option<&str>, body: &str) -> Answer {
    let mut request = http::Request::builder().method(method);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    platform.ask_with(request, &platform.default_tenant().host("shop"), path, body.to_owned()).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.contains_key("idempotency-replayed")
}

#[tokio::test]
async fn a_request_that_comes_again_with_its_key_is_executed_once() {
    let mut platform = Platform::start(&[]);
    serve(&platform.default_tenant(), json!({})).await;
    let first = send(&platform, "POST", "/orders?a=1", Some("\"k-1\""), "one").await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(!is_replayed(&first) && first.headers.contains_key("set-cookie"), "{first:?}");
    // The key is the same string without quotes.
    for key in ["\"k-1\"", "k-1"] {
        let again = send(&platform, "POST", "/orders?a=1", Some(key), "one").await;
        assert_eq!((again.status, &again.body), (201, &first.body), "{again:?}");
        assert!(again.headers["x-made"] == "yes" && again.headers["idempotency-replayed"] == "true", "{again:?}");
        let (cookie, execution) = (again.headers.get("set-cookie"), again.headers.get("elias-execution-id"));
        assert_eq!((cookie, execution), (None, None), "a cookie is for whoever sent the first, and nothing ran");
    }
    for (method, path, body) in
        [("POST", "/orders?a=1", "two"), ("POST", "/orders?a=2", "one"), ("PATCH", "/orders?a=1", "one")]
    {
        let other = send(&platform, method, path, Some("k-1"), body).await;
        assert_eq!((other.status, other.code().as_str()), (422, "idempotency-key-reused"), "{method} {path} {body}");
    }
    let patched = send(&platform, "PATCH", "/orders", Some("k-2"), "one").await;
    assert_eq!(send(&platform, "PATCH", "/orders", Some("k-2"), "one").await.body, patched.body);

    // Of others nothing is kept.
    for (method, key) in [("GET", Some("k-3")), ("PUT", Some("k-4")), ("DELETE", Some("k-5")), ("POST", None)] {
        let one = send(&platform, method, "/orders", key, "").await;
        let two = send(&platform, method, "/orders", key, "").await;
        assert!(one.status == 201 && one.body != two.body, "{method} {one:?} {two:?}");
    }
    let missing = send(&platform, "POST", "/strict", None, "one").await;
    assert_eq!((missing.status, missing.code().as_str()), (400, "idempotency-key-missing"));
    assert_eq!(send(&platform, "GET", "/strict", None, "").await.status, 201);
    for key in ["", "\"open", &"x".repeat(256)] {
        let malformed = send(&platform, "POST", "/orders", Some(key), "one").await;
        assert_eq!((malformed.status, malformed.code().as_str()), (400, "idempotency-key-invalid"), "{key}");
    }

    platform.restart();
    let later = send(&platform, "POST", "/orders?a=1", Some("k-1"), "one").await;
    assert_eq!((later.status, &later.body, is_replayed(&later)), (201, &first.body, true));
    let request = http::Request::get("/").header("authorization", format!("Bearer {}", platform.token));
    let again = send(&platform, "POST", "/orders?a=1", Some("k-1"), "two").await;
    assert_eq!(again.status, 422);
    let metrics = platform.call(request, "/v1/metrics", "").await.body;
    let labels = "tenant=\"default\",component=\"shop\",environment=\"production\"";
    for outcome in ["replayed", "mismatch"] {
        let sample = format!("elias_idempotent_requests_total{{{labels},outcome=\"{outcome}\"}} 1\n");
        assert!(metrics.contains(&sample), "{sample} {metrics}");
    }
}

#[tokio::test]
async fn what_failed_runs_again_and_what_is_too_large_is_not_stored() {
    let platform = Platform::start(&[]);
    serve(&platform.default_tenant(), json!({})).await;
    for (number, (path, status)) in
        [("/?status=500", 500), ("/?status=429", 429), ("/?throw=1", 500)].into_iter().enumerate()
    {
        let key = format!("failed-{number}");
        let one = send(&platform, "POST", path, Some(&key), "x").await;
        let two = send(&platform, "POST", path, Some(&key), "x").await;
        assert_eq!((one.status, two.status, is_replayed(&two)), (status, status, false), "{path} {two:?}");
        assert_ne!(one.headers["elias-execution-id"], two.headers["elias-execution-id"], "it ran again");
    }
    let refused = send(&platform, "POST", "/?status=404", Some("refused"), "x").await;
    let again = send(&platform, "POST", "/?status=404", Some("refused"), "x").await;
    assert_eq!((again.status, &again.body, is_replayed(&again)), (404, &refused.body, true));

    let large = send(&platform, "POST", "/?bytes=300000", Some("large"), "x").await;
    assert_eq!((large.status, large.body.len()), (201, 300_036));
    let again = send(&platform, "POST", "/?bytes=300000", Some("large"), "x").await;
    assert_eq!((again.status, again.code().as_str()), (409, "idempotency-reply-not-stored"));

    let body = "x".repeat((1 << 20) + 1);
    let long = send(&platform, "POST", "/", Some("long"), &body).await;
    assert_eq!((long.status, long.code().as_str()), (413, "request-too-large"));
    assert_eq!(send(&platform, "POST", "/", Some("long"), &body[1..]).await.status, 201);
}

#[tokio::test]
async fn a_second_request_conflicts_with_the_first_until_that_has_ended_also_if_its_client_has_left() {
    let (platform, upstream) = (Platform::start(&[]), Upstream::start().await);
    serve_held(&platform, &upstream, json!({})).await;
    send_and_leave(&platform, &upstream, "left").await;
    let again = || send(&platform, "POST", "/", Some("left"), "x");
    let second = again().await;
    assert_eq!((second.status, second.code().as_str()), (409, "idempotency-conflict"), "{second:?}");
    assert_eq!(second.headers["retry-after"], "1");
    upstream.release();
    let third = until("the first has ended", async || Some(again().await).filter(|answer| answer.status != 409)).await;
    assert_eq!((third.status, is_replayed(&third), upstream.held()), (201, true, 1), "executed once: {third:?}");
}

#[tokio::test]
async fn a_request_whose_client_has_left_counts_until_it_has_ended() {
    let (platform, upstream) = (Platform::start(&["--requests-per-address", "2"]), Upstream::start().await);
    serve_held(&platform, &upstream, json!({})).await;
    for key in ["one", "two"] {
        send_and_leave(&platform, &upstream, key).await;
    }
    let host = platform.default_tenant().host("shop");
    let more = platform.ask(&host, "/").await;
    assert_eq!((more.status, more.code().as_str()), (429, "address-requests"), "{more:?}");
    upstream.release();
    until("they have ended", async || (platform.ask(&host, "/").await.status == 201).then_some(())).await;
}

#[tokio::test]
async fn a_key_of_a_host_that_died_is_held_until_its_request_would_have_ended() {
    let (mut platform, upstream) = (Platform::start(&[]), Upstream::start().await);
    serve_held(&platform, &upstream, json!({ "limits": { "deadline-ms": 6000 } })).await;
    send_and_leave(&platform, &upstream, "lost").await;
    platform.restart();
    let again = || send(&platform, "POST", "/", Some("lost"), "x");
    let held = again().await;
    assert_eq!((held.status, held.code().as_str()), (409, "idempotency-conflict"), "{held:?}");
    upstream.release();
    let answer = until("the lease has ended", async || Some(again().await).filter(|answer| answer.status != 409)).await;
    assert_eq!((answer.status, is_replayed(&answer), upstream.held()), (201, false, 2), "{answer:?}");
}

#[tokio::test]
async fn each_caller_has_keys_of_its_own() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let rules = json!({ "auth": { "api-key": {}, "optional": true }, "idempotency": {} });
    team.serve("shop", &fickle(), json!({ "gateway": rules })).await;
    let host = team.host("shop");
    let send = async |name: &str, value: &str| {
        let request = http::Request::post("/").header("idempotency-key", "k").header(name, value);
        platform.ask_with(request, &host, "/", "x").await
    };
    let mut bodies = Vec::new();
    for name in ["ada", "bo"] {
        let made = json!({ "name": name, "role": "caller", "days": 1 });
        let key = team.done("POST", "/tokens", made).await["secret"].as_str().expect("a secret").to_owned();
        let (one, two) = (send("x-api-key", &key).await, send("x-api-key", &key).await);
        assert_eq!((one.status, is_replayed(&one), is_replayed(&two)), (201, false, true), "{name} {one:?} {two:?}");
        assert_eq!(one.body, two.body);
        bodies.push(one.body);
    }
    assert_ne!(bodies[0], bodies[1]);
    // Credentials that the gateway does not read are part of the request.
    let one = send("authorization", "Bearer a").await;
    assert_eq!((one.status, send("authorization", "Bearer a").await.body), (201, one.body.clone()));
    for (name, value) in [("authorization", "Bearer b"), ("cookie", "session=1"), ("x-other", "1")] {
        assert_eq!(send(name, value).await.code(), "idempotency-key-reused", "{name}");
    }
}

#[tokio::test]
async fn of_two_hosts_on_one_store_one_executes_a_request() {
    let postgres = Postgres::start();
    let first = Platform::start(&["--store", &postgres.url()]);
    let second = Platform::start(&["--store", &postgres.url()]);
    let bytes = fickle();
    second.default_tenant().upload(&bytes).await; // each has artifacts of its own
    serve_component(&first.default_tenant(), &bytes, json!({})).await;
    let host = first.default_tenant().host("shop");
    until("the other host serves it", async || (second.ask(&host, "/").await.status == 201).then_some(())).await;
    for number in 0..5 {
        let key = format!("k-{number}");
        let (here, there) = tokio::join!(
            send(&first, "POST", "/?slow=500", Some(&key), "x"),
            send(&second, "POST", "/?slow=500", Some(&key), "x"),
        );
        let executed = [&here, &there].into_iter().filter(|answer| answer.status == 201 && !is_replayed(answer));
        let executed: Vec<_> = executed.map(|answer| answer.body.clone()).collect();
        assert_eq!(executed.len(), 1, "{here:?} {there:?}");
        for platform in [&first, &second] {
            let again = send(platform, "POST", "/?slow=500", Some(&key), "x").await;
            assert_eq!((again.status, &again.body, is_replayed(&again)), (201, &executed[0], true));
        }
    }
}
