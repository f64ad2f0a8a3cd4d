//! The quota of bytes of jobs and events: over it everything that would add to them is refused or waits, and says why.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// Enqueues a job, publishes an event, or leaves a job in the outbox, each with 20,000 bytes.
const SHOP: &str = r#"
    import { db } from "elias/db";
    import { events } from "elias/events";
    import { jobs } from "elias/jobs";
    export default {
        async fetch(request) {
            const { pathname } = new URL(request.url);
            const text = "x".repeat(20_000);
            try {
                if (pathname === "/job") await jobs.enqueue("echo", text);
                if (pathname === "/event") await events.publish("order.paid", { text });
                if (pathname === "/outbox") {
                    await db.transaction(async (tx) => {
                        await tx.query("select 1");
                        await jobs.enqueue("echo", text, { tx });
                    });
                }
                return new Response("done");
            } catch (error) {
                return new Response(`${error.code}: ${error.message}`, { status: 409 });
            }
        },
        scheduled() {},
        job(job) {
            return job.input.length;
        },
    };
"#;

fn settings() -> Value {
    json!({
        "capabilities": { "db": {}, "events": {}, "jobs": {} },
        "smoke": { "path": "" },
        "triggers": { "schedule": [{ "name": "often", "every": "1s" }] },
    })
}

fn quotas(trigger_bytes: u64) -> Value {
    json!({ "quotas": { "trigger-bytes": trigger_bytes } })
}

async fn metric(platform: &Platform, name: &str) -> f64 {
    let request = http::Request::get("/").header("authorization", format!("Bearer {}", platform.token));
    let text = platform.call(request, "/v1/metrics", "").await.body;
    let series = format!("elias_{name}{{tenant=\"acme\",quota=\"trigger-bytes\"}} ");
    let value = text.lines().find_map(|line| line.strip_prefix(series.as_str()));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {series} in {text}"))
}

/// Whether a job with what the component enqueues has run.
async fn has_run(team: &Tenant<'_>) -> bool {
    let jobs = team.done("GET", "/jobs?state=done&name=echo", Value::Null).await["items"].clone();
    jobs.as_array().is_some_and(|jobs| jobs.iter().any(|job| job["result"] == "20000"))
}

async fn bytes_of_jobs_and_events_have_a_quota(platform: &Platform) {
    let team = platform.new_tenant("acme", quotas(100_000)).await;
    team.serve("shop", &component(SHOP), settings()).await;
    assert_eq!(team.get("shop", "/").await.body, "done");
    let enqueue = service("shop", "production", "/jobs");
    let later = json!({ "name": "echo", "input": "x".repeat(25_000), "run_at": 4_102_444_800_000_u64 });
    let later = team.done("POST", &enqueue, later).await;
    assert!(metric(platform, "quota_used").await >= 25_000.0);
    assert_eq!(metric(platform, "quota_limit").await, 100_000.0);

    assert_eq!(platform.admin("PUT", "/v1/tenants/acme", quotas(20_000)).await.0, 200);
    let told = "the quota `trigger-bytes` of tenant acme is 20000: ";
    let refused = until("jobs are refused", async || {
        let (status, answer) = team.ask("POST", &enqueue, json!({ "name": "echo", "input": 1 })).await;
        (status == 429).then_some(answer)
    })
    .await;
    assert_eq!(refused["code"], "quota-exceeded");
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains(told)), "{refused}");
    let event = json!({ "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/tills/7", "data": 1 });
    let request = http::Request::post("/").header("authorization", format!("Bearer {}", team.token));
    let request = request.header("content-type", "application/cloudevents+json");
    let refused = platform.call(request, &team.path("/events"), event.to_string()).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "quota-exceeded"), "{refused:?}");
    for path in ["/job", "/event"] {
        let refused = team.get("shop", path).await;
        assert_eq!(refused.status, 409, "{path}: {refused:?}");
        assert!(refused.body.starts_with("quota-exceeded: ") && refused.body.contains(told), "{path}: {refused:?}");
    }
    let schedule = service("shop", "production", "/schedules/often");
    assert_eq!(team.refused("POST", &format!("{schedule}/run"), json!({})).await.0, "quota-exceeded");
    until("a tick is skipped", async || {
        let ticks = team.done("GET", &schedule, Value::Null).await["ticks"].clone();
        let reason = |tick: &Value| tick["reason"].as_str().is_some_and(|reason| reason.starts_with("quota"));
        ticks.as_array().is_some_and(|ticks| ticks.iter().any(reason)).then_some(())
    })
    .await;
    // A transaction is committed all the same, and what it enqueues waits in its database.
    assert_eq!(team.get("shop", "/outbox").await.body, "done");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!has_run(&team).await);

    assert_eq!(platform.admin("PUT", "/v1/tenants/acme", quotas(100_000)).await.0, 200);
    until("the outbox is handed over", async || has_run(&team).await.then_some(())).await;
    // A job that was cancelled counts as long as its record is kept, which is not for long where bytes are short.
    let before = metric(platform, "quota_used").await;
    let cancel = format!("/jobs/{}/cancel", later["id"].as_str().expect("an id"));
    team.ask("POST", &cancel, json!({})).await;
    assert!(metric(platform, "quota_used").await >= before);
    assert_eq!(platform.admin("PUT", "/v1/tenants/acme", quotas(30_000)).await.0, 200);
    until("the bytes are given back", async || {
        (metric(platform, "quota_used").await <= before - 24_000.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn bytes_of_jobs_and_events_have_a_quota_on_sqlite() {
    bytes_of_jobs_and_events_have_a_quota(&Platform::start(&[])).await;
}

#[tokio::test]
async fn bytes_of_jobs_and_events_have_a_quota_on_postgresql() {
    let postgres = Postgres::start();
    bytes_of_jobs_and_events_have_a_quota(&Platform::start(&["--store", &postgres.url()])).await;
}

#[tokio::test]
async fn events_are_kept_for_one_to_thirty_days() {
    let platform = Platform::start(&[]);
    platform.new_tenant("acme", json!({})).await;
    let set = async |days: u64| {
        let settings = json!({ "quotas": { "event-retention": days } });
        platform.admin("PUT", "/v1/tenants/acme", settings).await
    };
    for days in [1, 30] {
        let (status, tenant) = set(days).await;
        assert_eq!((status, &tenant["settings"]["quotas"]["event-retention"]), (200, &json!(days)), "{tenant}");
    }
    for days in [0, 31] {
        let (status, refused) = set(days).await;
        assert_eq!((status, &refused["code"]), (400, &json!("bad-input")), "{refused}");
    }
}
