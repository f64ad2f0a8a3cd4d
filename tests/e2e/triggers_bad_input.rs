//! Triggers in bad times: a store that is away, and what is too large for them.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// Jobs take as long as they are told.
const SOURCE: &str = r#"
    export default {
        async job(job) {
            await new Promise((resolve) => setTimeout(resolve, job.input));
            return job.input;
        },
        event() {},
    };
"#;

async fn serve(team: &Tenant<'_>) {
    let triggers = json!({ "event": [{ "name": "orders", "type": "order.*" }] });
    team.serve("shop", &component(SOURCE), json!({ "smoke": { "path": "" }, "triggers": triggers })).await;
}

fn enqueue() -> String {
    service("shop", "production", "/jobs")
}

#[tokio::test]
async fn what_was_accepted_outlives_an_outage_of_the_store_and_what_was_refused_is_not_there() {
    let postgres = Postgres::start();
    let platform = Platform::start(&["--store", &postgres.url()]);
    let team = platform.default_tenant();
    serve(&team).await;
    let mut ids = Vec::new();
    for takes_ms in [0, 200, 400, 600, 800, 1_000] {
        let made = team.done("POST", &enqueue(), json!({ "name": "wait", "input": takes_ms })).await;
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    // Some have ended, some run, and end without it.
    postgres.stop();
    let refused = team.refused("POST", &enqueue(), json!({ "name": "wait", "input": 0 })).await;
    assert_eq!(refused.0, "store-unavailable");
    platform.logged("triggers wait: the store does not do what they need").await;
    postgres.restart();
    for id in &ids {
        until(&format!("the job {id} is done"), async || {
            let (status, job) = team.ask("GET", &format!("/jobs/{id}"), Value::Null).await;
            (status == 200 && job["state"] == "done").then_some(())
        })
        .await;
    }
    let all = team.done("GET", "/jobs?trigger=job", Value::Null).await;
    assert_eq!(all["items"].as_array().map(Vec::len), Some(ids.len()), "{all}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_leaves_nothing() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let large = json!({ "name": "wait", "input": "x".repeat(1 << 20) });
    let (code, detail) = team.refused("POST", &enqueue(), large).await;
    assert!(code == "too-large" && detail.contains("1048576"), "{code}: {detail}");
    let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
    let request = request.header("content-type", "application/cloudevents+json");
    let event = json!({
        "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/tills/7", "data": "x".repeat(256 * 1024),
    });
    let answer = platform.call(request, &team.path("/events"), event.to_string()).await;
    assert_eq!(answer.code(), "bad-input");
    assert!(answer.body.contains("262144"), "{answer:?}");
    let event = json!({
        "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/tills/7", "data": "x".repeat(250 * 1024),
    });
    let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
    let request = request.header("content-type", "application/cloudevents-batch+json");
    let answer = platform.call(request, &team.path("/events"), json!(vec![event; 10]).to_string()).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "too-large"), "more than 2 MiB");
    assert_eq!(team.done("GET", "/jobs", Value::Null).await["items"], json!([]));
    let log = team.done("GET", "/events", Value::Null).await;
    assert!(log["items"].as_array().expect("a list").iter().all(|event| event["source"] != "/tills/7"), "{log}");
}
