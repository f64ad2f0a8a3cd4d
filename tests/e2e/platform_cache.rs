//! Answers that the host keeps: what may be given to whom, for how long, and never another version's.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Answer;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Answers each request that reaches it with another text, and with what the query says as headers.
fn fickle() -> Vec<u8> {
    component(
        "export default { async fetch(request) {
            const query = new URL(request.url).searchParams;
            const headers = { 'content-type': 'text/plain', etag: '\"tag\"' };
            for (const name of ['cache-control', 'vary', 'set-cookie']) if (query.has(name)) headers[name] = \
            query.get(name);
            if (query.has('slow')) await new Promise((resolve) => setTimeout(resolve, 500));
            return new Response(crypto.randomUUID(), { headers });
        } };",
    )
}

async fn serve(team: &Tenant<'_>) -> u64 {
    team.serve("shop", &fickle(), json!({ "gateway": { "cache": {} } })).await
}

fn said(answer: &Answer) -> &str {
    answer.headers["cache-status"].to_str().expect("text")
}

const MINUTE: &str = "/?cache-control=max-age%3D60";

#[tokio::test]
async fn an_answer_that_holds_is_given_again_without_running_the_component() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let host = team.host("shop");
    let first = team.get("shop", MINUTE).await;
    assert_eq!((first.status, said(&first)), (200, "elias; fwd=miss; stored"));
    assert!(first.headers.contains_key("elias-execution-id") && !first.headers.contains_key("age"));
    let second = team.get("shop", MINUTE).await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    assert!(said(&second).starts_with("elias; hit; ttl=") && second.headers.contains_key("age"), "{second:?}");
    assert!(!second.headers.contains_key("elias-execution-id"), "nothing ran");
    let head = platform.ask_with(http::Request::head("/"), &host, MINUTE, "").await;
    assert!(said(&head).starts_with("elias; hit") && head.headers["content-length"] == "36", "{head:?}");
    let known = http::Request::get("/").header("if-none-match", "\"tag\"");
    let known = platform.ask_with(known, &host, MINUTE, "").await;
    assert_eq!((known.status, known.body.as_str()), (304, ""));
    let again = http::Request::get("/").header("cache-control", "no-cache");
    assert_ne!(platform.ask_with(again, &host, MINUTE, "").await.body, first.body, "who asks for a new one gets it");

    let recorded = until("what ran is recorded", async || {
        let all = team.done("GET", "/executions?component=shop", Value::Null).await;
        let all = all["items"].as_array().expect("a list").len();
        (all >= 2).then_some(all)
    });
    assert_eq!(recorded.await, 2, "of five requests");
    team.serve("plain", &fickle(), json!({})).await;
    let (one, two) = (team.get("plain", MINUTE).await, team.get("plain", MINUTE).await);
    assert!(one.body != two.body && !two.headers.contains_key("cache-status"), "nothing is kept without the rule");
}

#[tokio::test]
async fn a_response_that_has_its_announced_length_is_whole_though_its_component_goes_on() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    // The client has all of it before the body ends.
    let source = "export default { async fetch() {
        const body = new ReadableStream({ async start(controller) {
            controller.enqueue(new TextEncoder().encode('announced'));
            await new Promise((resolve) => setTimeout(resolve, 1_000));
            controller.close();
        } });
        return new Response(body, { headers: { 'content-length': '9', 'cache-control': 'max-age=60' } });
    } };";
    team.serve("shop", &component(source), json!({ "gateway": { "cache": {} }, "smoke": { "path": "" } })).await;
    let first = team.get("shop", "/").await;
    assert_eq!((first.body.as_str(), said(&first)), ("announced", "elias; fwd=miss; stored"));
    let second = team.get("shop", "/").await;
    assert_eq!((second.body.as_str(), said(&second).starts_with("elias; hit")), ("announced", true), "{second:?}");
    let ended = until("the execution is recorded", async || {
        let all = team.done("GET", "/executions?component=shop", Value::Null).await;
        all["items"].as_array().expect("a list").first().cloned()
    });
    assert_eq!(ended.await["outcome"], "completed", "it was not ended with its client's interest");
}

#[tokio::test]
async fn what_is_for_one_client_or_does_not_say_how_long_it_holds_is_not_kept() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    for query in [
        "",
        "?cache-control=no-store",
        "?cache-control=private%2C%20max-age%3D60",
        "?cache-control=max-age%3D60&set-cookie=a%3Db",
        "?cache-control=max-age%3D60&vary=*",
    ] {
        let path = format!("/{query}");
        let (one, two) = (team.get("shop", &path).await, team.get("shop", &path).await);
        assert!(one.body != two.body && said(&two) == "elias; fwd=miss", "{path} {two:?}");
    }
    let host = team.host("shop");
    let ask = async |name: &'static str, value: &'static str, path: &str| {
        platform.ask_with(http::Request::get("/").header(name, value), &host, path, "").await.body
    };
    let authorized = async || ask("authorization", "Bearer a", MINUTE).await;
    assert_ne!(authorized().await, authorized().await);
    let varied = "/?cache-control=max-age%3D60&vary=accept-language";
    let german = ask("accept-language", "de", varied).await;
    let english = ask("accept-language", "en", varied).await;
    assert_ne!(german, english);
    assert_eq!(
        (ask("accept-language", "de", varied).await, ask("accept-language", "en", varied).await),
        (german, english)
    );
    assert_ne!(
        platform.ask_with(http::Request::post("/"), &host, MINUTE, "").await.body,
        team.get("shop", MINUTE).await.body
    );
}

#[tokio::test]
async fn no_deployment_rollback_or_purge_leaves_an_answer_of_before() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let mut seen = BTreeSet::new();
    let mut new = async || {
        let answer = team.get("shop", MINUTE).await.body;
        assert_eq!(team.get("shop", MINUTE).await.body, answer, "it is kept");
        assert!(seen.insert(answer), "it was given before");
    };
    new().await;
    let settings = json!({ "gateway": { "cache": {} }, "limits": { "deadline-ms": 9_000 } });
    team.serve("shop", &fickle(), settings).await;
    new().await;
    team.done("POST", &service("shop", "production", "/rollback"), json!({})).await;
    new().await;
    team.done("POST", &service("shop", "production", "/purge"), Value::Null).await;
    new().await;
    assert_eq!(team.refused("POST", &service("none", "production", "/purge"), Value::Null).await.0, "not-found");
}

#[tokio::test]
async fn a_stale_answer_is_given_while_another_is_fetched() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let path = "/?cache-control=max-age%3D1%2C%20stale-while-revalidate%3D600";
    let first = team.get("shop", path).await.body;
    let refreshed = until("another is fetched", async || {
        let answer = team.get("shop", path).await;
        assert!(said(&answer).starts_with("elias; hit"), "nobody waits for it: {answer:?}");
        (answer.body != first).then_some(answer.body)
    });
    assert_ne!(refreshed.await, first);
}

#[tokio::test]
async fn of_many_who_want_the_same_one_asks_the_component() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let path = format!("{MINUTE}&slow");
    let all = futures::future::join_all((0..10).map(|_| team.get("shop", &path))).await;
    let bodies: BTreeSet<_> = all.iter().map(|answer| &answer.body).collect();
    assert_eq!(bodies.len(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|answer| said(answer) == "elias; fwd=miss; stored").count(), 1);
}
