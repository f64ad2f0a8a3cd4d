//! The admin API of triggers: jobs that are enqueued once, events in each of the modes of CloudEvents, schedules,
//! subscriptions and dead letters.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Answer;
use elias_tests::tenant::{Tenant, service};
use elias_tests::upstream::Upstream;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Jobs give back their input, or fail; events are rejected if they say so.
const SOURCE: &str = r#"
export default {
  fetch() { return new Response("up"); },
  scheduled() {},
  job(job) {
    if (job.input?.fails) throw new Error("as asked");
    return job.input;
  },
  event(event) {
    if (event.data?.rejects) event.reject("as asked");
  },
};
"#;

fn settings() -> Value {
    json!({ "triggers": {
        "schedule": [{ "name": "yearly", "cron": "0 0 1 1 *" }],
        "event": [{ "name": "orders", "type": "order.*" }],
        "jobs": { "echo": { "retry": { "attempts": 1 } } },
    } })
}

async fn serve(team: &Tenant<'_>) {
    team.serve("shop", &component(SOURCE), settings()).await;
}

fn enqueue() -> String {
    service("shop", "production", "/jobs")
}

/// A job, once it is in this state.
async fn job(team: &Tenant<'_>, id: &Value, state: &str) -> Value {
    let path = format!("/jobs/{}", id.as_str().expect("an id"));
    until(&format!("the job {id} is {state}"), async || {
        let job = team.done("GET", &path, Value::Null).await;
        (job["state"] == state).then_some(job)
    })
    .await
}

#[tokio::test]
async fn a_job_is_enqueued_once_and_its_result_is_kept() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let (status, made) = team.ask("POST", &enqueue(), json!({ "name": "echo", "input": [1], "key": "one" })).await;
    assert_eq!((status, &made["existing"]), (202, &json!(false)), "{made}");
    let done = job(&team, &made["id"], "done").await;
    assert_eq!((&done["result"], &done["attempt"], &done["trigger"]), (&json!("[1]"), &json!(1), &json!("job")));
    let again = team.done("POST", &enqueue(), json!({ "name": "echo", "input": [1], "key": "one" })).await;
    let keyed = json!({ "name": "echo", "concurrency_key": "user 7" });
    let keyed = team.done("POST", &enqueue(), keyed).await;
    assert_eq!(job(&team, &keyed["id"], "done").await["concurrency_key"], "user 7");
    assert_eq!((&again["id"], &again["existing"]), (&made["id"], &json!(true)));
    // With an Idempotency-Key the response itself is remembered.
    let send = async |input: &str| {
        let request = Request::post("/").header("authorization", format!("Bearer {}", team.token));
        let request = request.header("idempotency-key", "k").header("content-type", "application/json");
        platform.call(request, &team.path(&enqueue()), input.to_owned()).await
    };
    let first = send(r#"{"name":"echo"}"#).await;
    let second = send(r#"{"name":"echo"}"#).await;
    assert_eq!((first.status, second.status, &first.body), (202, 202, &second.body));
    assert_eq!(send(r#"{"name":"other"}"#).await.code(), "idempotency-mismatch");
    for wrong in [json!({}), json!({ "name": "" }), json!({ "name": "echo", "queue": 1 })] {
        assert_eq!(team.refused("POST", &enqueue(), wrong.clone()).await.0, "bad-input", "{wrong}");
    }
    assert_eq!(team.refused("GET", "/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV", Value::Null).await.0, "not-found");
}

#[tokio::test]
async fn dead_jobs_are_retried_and_waiting_ones_cancelled() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let made = team.done("POST", &enqueue(), json!({ "name": "echo", "input": { "fails": true } })).await;
    let dead = job(&team, &made["id"], "dead").await;
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("as asked")), "{dead}");
    let id = made["id"].as_str().expect("an id");
    assert_eq!(team.refused("POST", &format!("/jobs/{id}/cancel"), json!({})).await.0, "wrong-state");
    let retried = team.done("POST", "/jobs/retry", json!({ "component": "shop", "name": "echo" })).await;
    assert_eq!(retried["jobs"], 1);
    job(&team, &made["id"], "dead").await;
    let none = team.done("POST", "/jobs/discard", json!({ "component": "shop", "before": 1 })).await;
    assert_eq!(none["jobs"], 0, "none is that old");
    let (status, _) = team.ask("POST", &format!("/jobs/{id}/discard"), json!({})).await;
    assert_eq!(status, 204);
    assert_eq!(team.refused("GET", &format!("/jobs/{id}"), Value::Null).await.0, "not-found");
    assert_eq!(team.refused("POST", &format!("/jobs/{id}/discard"), json!({})).await.0, "not-found");
    let later = json!({ "name": "echo", "run_at": 4_102_444_800_000_u64 });
    let later = team.done("POST", &enqueue(), later).await;
    assert_eq!(job(&team, &later["id"], "waiting").await["waits_for"], "time");
    let cancelled = team.done("POST", "/jobs/cancel", json!({ "trigger": "job" })).await;
    assert_eq!(cancelled["jobs"], 1);
    job(&team, &later["id"], "cancelled").await;
    let over = format!("/jobs/{}/discard", later["id"].as_str().expect("an id"));
    assert_eq!(team.refused("POST", &over, json!({})).await.0, "wrong-state");
    let listed = team.done("GET", "/jobs?state=cancelled&limit=1", Value::Null).await;
    assert_eq!(listed["items"][0]["id"], later["id"], "{listed}");
}

async fn publish(platform: &Platform, team: &Tenant<'_>, headers: &[(&str, &str)], body: &str) -> Answer {
    let request = Request::post("/").header("authorization", format!("Bearer {}", team.token));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    platform.call(request, &team.path("/events"), body.to_owned()).await
}

#[tokio::test]
async fn events_come_in_each_mode_of_cloudevents_and_once() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let event = |id: &str| json!({ "specversion": "1.0", "id": id, "type": "order.paid", "source": "/tills/7" });
    let structured = [("content-type", "application/cloudevents+json")];
    let batch = [("content-type", "application/cloudevents-batch+json")];
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "4"),
        ("ce-type", "order.paid"),
        ("ce-source", "/tills/7"),
    ];
    let both = json!([event("2"), event("3")]).to_string();
    let one = event("1").to_string();
    for (headers, body, ids) in [
        (structured.as_slice(), one.as_str(), json!(["1"])),
        (&structured, &one, json!(["1"])),
        (&batch, &both, json!(["2", "3"])),
        (&binary, r#"{"total":5}"#, json!(["4"])),
    ] {
        let answer = publish(&platform, &team, headers, body).await;
        assert_eq!((answer.status, &answer.json()["ids"]), (202, &ids), "{answer:?}");
    }
    let log = team.done("GET", "/events", Value::Null).await;
    let own: Vec<_> =
        log["items"].as_array().expect("a list").iter().filter(|one| one["source"] == "/tills/7").collect();
    assert_eq!(own.iter().map(|event| &event["id"]).collect::<Vec<_>>(), ["1", "2", "3", "4"], "{log}");
    assert_eq!(own[3]["data"], r#"{"total":5}"#);
    for (headers, body) in [
        (structured.as_slice(), "{}"),
        (&structured, "["),
        (&batch, "{}"),
        (&binary, "{"),
        (&[("content-type", "text/plain")], "a text"),
    ] {
        assert_eq!(publish(&platform, &team, headers, body).await.code(), "bad-input", "{headers:?} {body}");
    }
}

#[tokio::test]
async fn a_rejected_event_is_a_dead_letter_and_a_subscription_can_be_replayed() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let event = json!({
        "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/tills/7", "data": { "rejects": true },
    });
    team.done("POST", "/events", event).await;
    let letters = async |count: usize| {
        until(&format!("there are {count} dead letters"), async || {
            let letters = team.done("GET", "/dead-letters?subscription=orders", Value::Null).await;
            let items = letters["items"].as_array().expect("a list").clone();
            (items.len() == count).then_some(items)
        })
        .await
    };
    let first = letters(1).await;
    assert_eq!((&first[0]["trigger"], &first[0]["name"]), (&json!("event"), &json!("orders")), "{first:?}");
    assert_eq!(team.done("POST", "/dead-letters/retry", json!({ "name": "orders" })).await["jobs"], 1);
    letters(1).await;
    assert_eq!(team.refused("POST", "/dead-letters/retry", json!({ "trigger": "job" })).await.0, "bad-input");

    let subscription = service("shop", "production", "/subscriptions/orders");
    let paused = team.done("POST", &format!("{subscription}/pause"), json!({})).await;
    assert_eq!(paused["paused"], true);
    let back = team.done("POST", &format!("{subscription}/replay"), json!({ "after": 0 })).await;
    assert_eq!(back["cursor"], 0);
    for wrong in [json!({}), json!({ "after": 0, "since": 0 })] {
        assert_eq!(team.refused("POST", &format!("{subscription}/replay"), wrong).await.0, "bad-input");
    }
    let resumed = team.done("POST", &format!("{subscription}/resume"), json!({})).await;
    assert_eq!(resumed["paused"], false);
    letters(2).await;
    assert_eq!(team.done("POST", "/dead-letters/discard", json!({ "name": "orders" })).await["jobs"], 2);
    letters(0).await;
    assert_eq!(team.refused("POST", "/dead-letters/discard", json!({ "trigger": "job" })).await.0, "bad-input");
    assert_eq!(team.done("GET", &subscription, Value::Null).await["config"]["type"], "order.*");
    assert_eq!(team.done("GET", "/subscriptions?component=shop", Value::Null).await["items"][0]["name"], "orders");
    let other = service("shop", "production", "/subscriptions/others");
    assert_eq!(team.refused("GET", &other, Value::Null).await.0, "not-found");
}

#[tokio::test]
async fn a_selection_of_events_is_delivered_once_more_and_to_a_version() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    for (id, subject, rejects) in [("1", "a", true), ("2", "b", true), ("3", "a", false)] {
        let event = json!({
            "specversion": "1.0", "id": id, "type": "order.paid", "source": "/tills/7", "subject": subject,
            "data": { "rejects": rejects },
        });
        team.done("POST", "/events", event).await;
    }
    let letters = async |count: usize| {
        until(&format!("there are {count} dead letters"), async || {
            let letters = team.done("GET", "/dead-letters", Value::Null).await;
            let items = letters["items"].as_array().expect("a list").clone();
            (items.len() == count).then_some(items)
        })
        .await
    };
    letters(2).await;
    let events = service("shop", "production", "/subscriptions/orders/events");
    let replay = async |selection: Value| {
        let (status, replayed) = team.ask("POST", &events, selection).await;
        assert_eq!(status, 202, "{replayed}");
        (replayed["deliveries"].as_u64(), replayed["next"].as_u64())
    };
    assert_eq!(replay(json!({ "subject": "b" })).await, (Some(1), None));
    let newest = letters(3).await.remove(0);
    assert!(newest["replayed_by"].is_string(), "{newest}");
    assert_eq!(replay(json!({ "ids": ["3"], "type": "order.*", "where": { "subject": "a" } })).await, (Some(1), None));
    assert_eq!(replay(json!({ "type": "user.*" })).await, (Some(0), None));
    assert_eq!(replay(json!({ "until": 1 })).await, (Some(0), None));
    let (deliveries, next) = replay(json!({ "limit": 1, "version": 1 })).await;
    assert_eq!(deliveries, Some(1));
    let rest = json!({ "after": next.expect("there are more"), "where": { "data.rejects": true } });
    assert_eq!(replay(rest).await, (Some(1), None));
    let all = letters(5).await;
    assert!(all.iter().any(|letter| letter["version"] == 1), "{all:?}");
    assert_eq!(team.refused("POST", &events, json!({ "version": 99 })).await.0, "not-found");
    for wrong in [json!({ "limit": 0 }), json!({ "type": "a..b" }), json!({ "where": { "x": { "like": 1 } } })] {
        assert_eq!(team.refused("POST", &events, wrong.clone()).await.0, "bad-input", "{wrong}");
    }
    let viewer = team.with_role("viewer", None).await;
    assert_eq!(viewer.refused("POST", &events, json!({})).await.0, "forbidden");
}

const BATCHES: &str = r#"
import { step } from "elias";

export default {
  fetch() { return new Response("up"); },
  async events({ subscription, events }) {
    for (const event of events) {
      if (event.data.step) await step("none", () => 1);
      if (event.data.rejects) event.reject(`${subscription} rejects`);
    }
  },
};
"#;

#[tokio::test]
async fn a_batch_of_events_ends_as_its_handler_decides_on_each() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let retry = json!({ "attempts": 1 });
    let subscription = json!({ "name": "orders", "type": "order.*", "batch": 5, "retry": retry });
    let settings = json!({ "triggers": { "event": [subscription] }, "capabilities": { "workflow": {} } });
    team.serve("shop", &component(BATCHES), settings).await;
    let event = |id: &str, data: Value| {
        json!({
            "specversion": "1.0", "id": id, "type": "order.paid", "source": "/tills/7", "data": data,
        })
    };
    let letters = async |count: usize| {
        until(&format!("there are {count} dead letters"), async || {
            let letters = team.done("GET", "/dead-letters", Value::Null).await;
            let items = letters["items"].as_array().expect("a list").clone();
            (items.len() == count).then_some(items)
        })
        .await
    };
    for (id, rejects) in [("1", false), ("2", true), ("3", false)] {
        team.done("POST", "/events", event(id, json!({ "rejects": rejects }))).await;
    }
    assert_eq!(letters(1).await[0]["error"], "rejected: orders rejects");
    team.done("POST", "/events", event("4", json!({ "step": true }))).await;
    let error = letters(2).await[0]["error"].clone();
    assert!(error.as_str().is_some_and(|error| error.contains("batches and other handlers have none")), "{error}");
}

#[tokio::test]
async fn a_schedule_is_shown_paused_resumed_and_run() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let schedule = service("shop", "production", "/schedules/yearly");
    let listed = team.done("GET", "/schedules", Value::Null).await;
    assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["name"]), (Some(1), &json!("yearly")));
    assert_eq!(team.done("GET", "/schedules?environment=staging", Value::Null).await["items"], json!([]));
    let shown = team.done("GET", &schedule, Value::Null).await;
    assert_eq!(shown["next"].as_array().map(Vec::len), Some(10), "{shown}");
    assert_eq!(shown["next"][0], shown["schedule"]["next_due"]);
    let paused = team.done("POST", &format!("{schedule}/pause"), json!({})).await;
    assert_eq!((&paused["paused"], &paused["next_due"]), (&json!(true), &Value::Null));
    let (status, made) = team.ask("POST", &format!("{schedule}/run"), json!({})).await;
    assert_eq!(status, 202, "a paused schedule can be run by hand: {made}");
    assert_eq!(job(&team, &made["id"], "done").await["trigger"], "schedule");
    let resumed = team.done("POST", &format!("{schedule}/resume"), json!({})).await;
    assert_eq!(resumed["next_due"], shown["next"][0]);
    let ticks = team.done("GET", &schedule, Value::Null).await["ticks"].clone();
    assert_eq!(ticks[0]["job"], made["id"], "{ticks}");
    let viewer = team.with_role("viewer", None).await;
    assert_eq!(viewer.ask("GET", &schedule, Value::Null).await.0, 200);
    assert_eq!(viewer.refused("POST", &format!("{schedule}/run"), json!({})).await.0, "forbidden");
    let other = service("shop", "production", "/schedules/monthly");
    assert_eq!(team.refused("GET", &other, Value::Null).await.0, "not-found");
}

#[tokio::test]
async fn a_change_of_a_schedule_or_a_subscription_that_is_based_on_an_old_reading_is_refused() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    serve(&team).await;
    let send = async |method: &str, path: &str, tag: Option<&str>| {
        let request = Request::builder().method(method).header("authorization", format!("Bearer {}", team.token));
        let request = tag.into_iter().fold(request, |request, tag| request.header("if-match", tag));
        platform.call(request, &team.path(path), "").await
    };
    for path in ["/schedules/yearly", "/subscriptions/orders"] {
        let path = service("shop", "production", path);
        let read = send("GET", &path, None).await;
        let tag = read.headers["etag"].to_str().expect("ASCII").to_owned();
        let paused = send("POST", &format!("{path}/pause"), Some(&tag)).await;
        assert_eq!((paused.status, &paused.json()["paused"]), (200, &json!(true)), "{path}");
        assert_ne!(paused.headers["etag"], tag.as_str(), "{path}");
        let late = send("POST", &format!("{path}/resume"), Some(&tag)).await;
        assert_eq!((late.status, late.code().as_str()), (412, "stale"), "{path}");
        let tag = paused.headers["etag"].to_str().expect("ASCII").to_owned();
        let resumed = send("POST", &format!("{path}/resume"), Some(&tag)).await;
        assert_eq!((resumed.status, &resumed.json()["paused"]), (200, &json!(false)), "{path}");
    }
}

#[tokio::test]
async fn jobs_that_fail_open_the_circuit_of_triggers_and_keep_no_request_out() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let mut settings = settings();
    // The wait is random, up to an hour: that it is shorter than this test happens once in a thousand runs.
    settings["supervision"] =
        json!({ "consecutive-failures": 3, "backoff-ms": 3_600_000, "backoff-max-ms": 3_600_000 });
    team.serve("shop", &component(SOURCE), settings).await;
    for _ in 0..3 {
        let made = team.done("POST", &enqueue(), json!({ "name": "echo", "input": { "fails": true } })).await;
        job(&team, &made["id"], "dead").await;
    }
    let release = team.status("shop").await["release"].clone();
    let states = (&release["health"]["state"], &release["trigger_health"]["state"]);
    assert_eq!(states, (&json!("healthy"), &json!("open")));
    assert_eq!(team.get("shop", "/").await.body, "up");
    let waits = team.done("POST", &enqueue(), json!({ "name": "echo", "input": 1 })).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let path = format!("/jobs/{}", waits["id"].as_str().expect("an id"));
    assert_eq!(team.done("GET", &path, Value::Null).await["finished_at"], Value::Null, "it waits");
    team.done("POST", &service("shop", "production", "/start"), Value::Null).await;
    assert_eq!(job(&team, &waits["id"], "done").await["attempt"], 1);
}

#[tokio::test]
async fn the_platform_publishes_what_happens_to_components() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let source = component(SOURCE);
    let mut settings = settings();
    settings["triggers"]["event"] = json!([{ "name": "executions", "type": "execution.*" }]);
    assert_eq!(team.version("shop", &source, settings.clone()).await, 1);
    settings["triggers"]["event"][0]["concurrency"] = json!(2);
    assert_eq!(team.version("shop", &source, settings).await, 2);
    team.deploy("shop", "production", 2, Value::Null).await;
    assert_eq!(team.get("shop", "/").await.body, "up");
    team.done("DELETE", "/components/shop/versions/1", Value::Null).await;
    team.version(
        "blog",
        &source,
        json!({ "triggers": { "event": [{ "type": "order.*" }], "schedule": [{
        "name": "yearly", "cron": "0 0 1 1 *" }] } }),
    )
    .await;
    team.done("DELETE", "/components/blog/versions/1", Value::Null).await;
    let expected = [
        ("component.created", "shop"),
        ("version.accepted", "shop"),
        ("component.updated", "shop"),
        ("version.accepted", "shop"),
        ("component.deployed", "shop/production"),
        ("component.created", "blog"),
        ("version.accepted", "blog"),
        ("component.deleted", "blog"),
    ];
    until("the execution is in the log", async || {
        let log = team.done("GET", "/events", Value::Null).await;
        let all: Vec<_> = log["items"].as_array().expect("a list").iter().collect();
        let of = |event: &&Value| event["type"].as_str().is_some_and(|text| text.starts_with("execution."));
        let (executions, others): (Vec<&Value>, Vec<&Value>) = all.into_iter().partition(of);
        let others: Vec<_> = others.iter().map(|event| (event["type"].as_str(), event["subject"].as_str())).collect();
        assert_eq!(others, expected.map(|(event_type, subject)| (Some(event_type), Some(subject))));
        let execution = executions.first()?;
        assert_eq!(
            (&execution["type"], &execution["subject"]),
            (&json!("execution.completed"), &json!("shop/production"))
        );
        Some(())
    })
    .await;
}

#[tokio::test]
async fn a_trace_goes_on_from_a_request_to_an_event_to_a_job_to_another_server() {
    let platform = Platform::start(&[]);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    let upstream = Upstream::start().await;
    let address = upstream.address();
    let source = format!(
        r#"
        import {{ events }} from "elias/events";
        import {{ jobs }} from "elias/jobs";
        export default {{
          async fetch() {{
            await events.publish("order.paid", {{ total: 5 }});
            return new Response("paid");
          }},
          async event(event) {{
            await jobs.enqueue("ship", {{ event: event.id }});
          }},
          async job() {{
            return (await (await fetch("http://{address}/headers")).json()).traceparent;
          }},
        }};
        "#
    );
    let http = json!({ "allow": [format!("http://{address}")], "private": ["127.0.0.1/32"] });
    let settings = json!({
        "capabilities": { "events": {}, "jobs": {}, "http": http },
        "smoke": { "path": "" },
        "triggers": { "event": [{ "type": "order.*" }] },
    });
    team.serve("shop", &component(&source), settings).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = Request::get("/").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(platform.ask_with(request, "shop.acme.localhost", "/order", "").await.body, "paid");
    let shipped = until("the job is done", async || {
        let jobs = team.done("GET", "/jobs?state=done&name=ship", Value::Null).await;
        jobs["items"].get(0).cloned()
    })
    .await;
    let in_trace = |traceparent: &Value| traceparent.as_str().is_some_and(|text| text.get(3..35) == Some(trace));
    assert!(in_trace(&shipped["cause"]), "{shipped}");
    let sent: Value = serde_json::from_str(shipped["result"].as_str().expect("a result")).expect("JSON");
    assert!(in_trace(&sent), "the job's request: {sent}");
    assert_ne!(sent, shipped["cause"], "a run has a span of its own");
    let log = team.done("GET", "/events", Value::Null).await;
    let paid = log["items"].as_array().expect("a list").iter().find(|event| event["type"] == "order.paid");
    assert!(in_trace(&paid.expect("the event")["cause"]), "{log}");
    until("both runs are recorded in the trace", async || {
        let all = team.done("GET", "/executions", Value::Null).await;
        let causes = all["items"].as_array().expect("a list").iter().map(|execution| &execution["run"]["cause"]);
        (causes.filter(|cause| in_trace(cause)).count() == 2).then_some(())
    })
    .await;
    until("the request and all that it has caused are found by the trace", async || {
        let all = team.done("GET", &format!("/executions?trace={trace}"), Value::Null).await;
        let items = all["items"].as_array().expect("a list").clone();
        assert!(items.iter().all(|execution| execution["trace"] == trace), "{all}");
        let kinds = items.iter().filter_map(|execution| execution["source"].as_str()?.split(' ').next());
        (kinds.collect::<BTreeSet<_>>() == BTreeSet::from(["GET", "event", "job"])).then_some(())
    })
    .await;
    let whole = format!("/executions?component=shop&trace=00-{trace}-00f067aa0ba902b7-01");
    assert_eq!(team.done("GET", &whole, Value::Null).await["items"].as_array().map(Vec::len), Some(3));
    let other = team.done("GET", &format!("/executions?trace={}", trace.replace('4', "5")), Value::Null).await;
    assert_eq!(other["items"], json!([]));
    let (code, detail) = team.refused("GET", "/executions?trace=4bf92f", Value::Null).await;
    assert!(code == "bad-input" && detail.contains("trace: "), "{code}: {detail}");
    platform.logged(trace).await;
}
