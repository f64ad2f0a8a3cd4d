//! Schedules, jobs, events and steps on a platform: what people see of them, on SQLite with one host and on PostgreSQL
//! with two.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// An order: a request enqueues a job, whose steps charge and publish an event; a schedule counts. What is done is a
/// row.
const SHOP: &str = r#"
    import { db } from "elias/db";
    import { events } from "elias/events";
    import { jobs } from "elias/jobs";
    import { step } from "elias/workflow";
    const note = (what, about) => db.query("insert into done (what, about) values ($1, $2)", what, about);
    export default {
        async fetch(request) {
            const url = new URL(request.url);
            if (url.pathname === "/tables") {
                await db.query("create table if not exists done (what text, about text)");
                return new Response("made");
            }
            const order = url.searchParams.get("order");
            return new Response(await jobs.enqueue("charge", { order }, { key: order }));
        },
        async scheduled(tick) {
            await note("tick", String(tick.scheduledTime));
        },
        async job(job) {
            const { order } = job.input;
            const charge = await step("charge", async () => {
                await note("charge", order);
                return { amount: 5 };
            });
            if (job.attempt === 1) throw new Error(`not yet: ${order}`);
            await step("publish", () => events.publish("order.paid", { ...charge, order }, { subject: order }));
            await step.sleep("a moment", 500);
            await note("job", order);
            return { order, ...charge };
        },
        async event(event) {
            await note("event", `${event.subject} ${event.data.amount}`);
        },
    };
"#;

fn triggers() -> Value {
    json!({
        "schedule": [{ "name": "often", "every": "1s", "overlap": "allow" }],
        "event": [{ "type": "order.*", "where": { "data.amount": { "gte": 5 } } }],
        "jobs": { "charge": { "retry": { "first": "100ms", "jitter": false } } },
    })
}

fn settings(triggers: Value, db: Value) -> Value {
    let capabilities = json!({ "db": db, "events": {}, "jobs": {}, "workflow": {} });
    json!({ "capabilities": capabilities, "smoke": { "path": "" }, "triggers": triggers })
}

/// The work that was done, as `WHAT ABOUT`, as often as it was.
async fn done(team: &Tenant<'_>, what: &str) -> Vec<String> {
    let sql = "select about from done where what = $1 order by about";
    let query = json!({ "sql": sql, "parameters": [what] });
    let result = team.done("POST", &service("shop", "production", "/database/query"), query).await;
    let text = |row: &Value| row[0].as_str().expect("a text").to_owned();
    result["rows"].as_array().expect("rows").iter().map(text).collect()
}

/// The executions whose source this is, the newest first.
async fn executions(team: &Tenant<'_>, source: &str) -> Vec<Value> {
    let all = team.done("GET", "/executions?limit=1000&component=shop", Value::Null).await;
    let items = all["items"].as_array().expect("a list").iter();
    items.filter(|execution| execution["source"] == source).cloned().collect()
}

/// Places orders, and checks that each is charged, delivered and done once, and that ticks are run once each.
async fn orders_are_done(hosts: &[Tenant<'_>], orders: usize) {
    let team = &hosts[0];
    let names: Vec<String> = (0..orders).map(|number| format!("o{number:02}")).collect();
    let mut ids = BTreeSet::new();
    for (number, name) in names.iter().enumerate() {
        let path = format!("/?order={name}");
        let id = hosts[number % hosts.len()].get("shop", &path).await;
        assert_eq!(id.status, 200, "{id:?}");
        assert_eq!(team.get("shop", &path).await.body, id.body, "the same key is the same job");
        ids.insert(id.body);
    }
    assert_eq!(ids.len(), orders);
    let all = async |what: &str| Some(done(team, what).await).filter(|rows| rows.len() >= orders);
    assert_eq!(until("all jobs are done", async || all("job").await).await, names);
    assert_eq!(done(team, "charge").await, names, "a step is done once, though each job ran more than once");
    let events: Vec<_> = names.iter().map(|name| format!("{name} 5")).collect();
    assert_eq!(until("all events were delivered", async || all("event").await).await, events);
    let ticks = async || Some(done(team, "tick").await).filter(|ticks| ticks.len() >= 3);
    let ticks = until("some ticks have run", ticks).await;
    assert_eq!(ticks.iter().collect::<BTreeSet<_>>().len(), ticks.len(), "{ticks:?}");

    // Of each job: the attempt that failed, the one that slept, and what was left. Of many that go well some are
    // recorded.
    let job = ids.first().expect("a job");
    let runs = until("the runs of a job are recorded", async || {
        let runs = executions(team, "job charge").await;
        let runs: Vec<_> = runs.into_iter().filter(|run| run["run"]["job"] == job.as_str()).collect();
        Some(runs).filter(|runs| runs.iter().any(|run| run["outcome"] == "failed"))
    })
    .await;
    let failed = runs.iter().find(|run| run["outcome"] == "failed").expect("the first attempt");
    assert_eq!((&failed["run"]["attempt"], &failed["code"]), (&json!(1), &json!("exception")));
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("not yet: o")), "{failed}");
    let delivery = until("a delivery is recorded", async || executions(team, "event order.paid").await.pop()).await;
    assert!(delivery["run"]["cause"].as_str().is_some_and(|cause| cause.starts_with("00-")), "{delivery}");
    assert!(!executions(team, "schedule often").await.is_empty());
}

#[tokio::test]
async fn an_order_goes_through_job_steps_event_and_schedule() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &component(SHOP), settings(triggers(), json!({}))).await;
    assert_eq!(team.get("shop", "/tables").await.body, "made");
    orders_are_done(&[team], 5).await;
}

#[tokio::test]
async fn runs_that_fail_or_are_repeated_are_recorded_and_of_others_a_bounded_number() {
    let platform = Platform::start(&["--recorded-runs-per-second", "0"]);
    let team = platform.default_tenant();
    team.serve("shop", &component(SHOP), settings(triggers(), json!({}))).await;
    assert_eq!(team.get("shop", "/tables").await.body, "made");
    assert_eq!(team.get("shop", "/?order=o1").await.status, 200);
    for what in ["job", "event", "tick"] {
        until(what, async || Some(done(&team, what).await).filter(|rows| !rows.is_empty())).await;
    }
    let attempts = until("both attempts are recorded", async || {
        let runs = executions(&team, "job charge").await;
        let attempts: BTreeSet<_> = runs.iter().filter_map(|run| run["run"]["attempt"].as_u64()).collect();
        Some(attempts).filter(|attempts| attempts.len() > 1)
    })
    .await;
    assert!(attempts.contains(&1), "it failed: {attempts:?}");
    assert!(executions(&team, "event order.paid").await.is_empty(), "it went well at once");
    // Ticks that came before the table failed, and were repeated.
    for run in executions(&team, "schedule often").await {
        assert!(run["outcome"] == "failed" || run["run"]["attempt"].as_u64() > Some(1), "{run}");
    }
}

#[tokio::test]
async fn two_hosts_do_each_order_once() {
    let postgres = Postgres::start();
    let store = ["--store", &postgres.url()];
    let (first, second) = (Platform::start(&store), Platform::start(&store));
    let here = first.new_tenant("acme", json!({ "trusted": true })).await;
    let mut there = second.default_tenant();
    "acme".clone_into(&mut there.name);
    // Each host has artifacts of its own, of one build: another has another name in it.
    let bytes = component(SHOP);
    there.upload(&bytes).await;
    let db = json!({ "backend": "postgres", "url": postgres.url() });
    here.serve("shop", &bytes, settings(triggers(), db)).await;
    // At once: ticks that fail for want of the table would open the circuit.
    assert_eq!(here.get("shop", "/tables").await.body, "made");
    until("the other host serves it", async || Some(there.get("shop", "/tables").await).filter(|it| it.status == 200))
        .await;
    orders_are_done(&[here, there], 10).await;
}

#[tokio::test]
async fn a_host_that_is_killed_loses_no_job() {
    let mut platform = Platform::start(&[]);
    platform.default_tenant().serve("shop", &component(SHOP), settings(triggers(), json!({}))).await;
    platform.default_tenant().get("shop", "/tables").await;
    let names: Vec<String> = (0..10).map(|number| format!("o{number:02}")).collect();
    for name in &names {
        let answer = platform.default_tenant().get("shop", &format!("/?order={name}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    platform.restart();
    let team = platform.default_tenant();
    // A leased job comes back when the lease ends.
    let all = async || {
        // One that was killed between its last effect and the end of the job does it again.
        let mut rows = done(&team, "job").await;
        rows.dedup();
        Some(rows).filter(|rows| *rows == names)
    };
    until("all jobs are done", all).await;
}

#[tokio::test]
async fn triggers_that_do_not_fit_their_component_are_refused_with_what_to_add() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let bytes = component("export default { fetch: () => new Response('plain'), event() {} };");
    let digest = team.upload(&bytes).await;
    let subscription = json!([{ "type": "order.*" }]);
    let nowhere = json!([{ "name": "a", "cron": "@daily", "timezone": "Mars/Olympus" }]);
    for (triggers, part) in [
        (Value::Null, "[[triggers.event]]"),
        (json!({ "event": subscription, "schedule": [{ "name": "a", "every": "1m" }] }), "`scheduled`"),
        (json!({ "event": subscription, "jobs": { "a": {} } }), "`job`"),
        (json!({ "event": subscription, "schedule": [{ "name": "a", "cron": "61 * * * *" }] }), "cron"),
        (json!({ "event": subscription, "schedule": nowhere }), "timezone"),
        (json!({ "event": [{ "type": "order.*", "transform": "not jq (" }] }), "transform"),
        (json!({ "events": subscription }), "[triggers]"),
    ] {
        let version = json!({ "digest": digest, "settings": { "triggers": triggers } });
        let (code, detail) = team.refused("POST", "/components/shop/versions", version).await;
        assert!(code == "bad-input" && detail.contains(part), "{part}: {code}: {detail}");
    }
    team.version("shop", &bytes, json!({ "triggers": { "event": subscription } })).await;
}

#[tokio::test]
async fn a_changed_cron_line_is_in_the_difference_of_versions() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let bytes = component("export default { scheduled() {} };");
    for cron in ["0 3 * * *", "0 4 * * *"] {
        let schedules = json!([{ "name": "nightly", "cron": cron }]);
        team.version("shop", &bytes, json!({ "triggers": { "schedule": schedules } })).await;
    }
    let diff = team.done("GET", "/components/shop/versions/1/diff/2", Value::Null).await;
    let line = "settings.triggers.schedule.nightly.cron: \"0 3 * * *\" -> \"0 4 * * *\"";
    assert_eq!(diff["changes"], json!([line]));
    // Deployments and rollbacks say so by themselves, each in its direction.
    let there = "triggers.schedule.nightly.cron: \"0 3 * * *\" -> \"0 4 * * *\"";
    let back = "triggers.schedule.nightly.cron: \"0 4 * * *\" -> \"0 3 * * *\"";
    let (deployments, rollback) =
        (service("shop", "production", "/deployments"), service("shop", "production", "/rollback"));
    let first = team.done("POST", &deployments, json!({ "version": 1 })).await;
    assert_eq!(first["trigger_changes"], Value::Null, "nothing served before");
    let second = team.done("POST", &deployments, json!({ "version": 2 })).await;
    assert_eq!(second["trigger_changes"], json!([there]));
    let third = team.done("POST", &rollback, json!({})).await;
    assert_eq!(third["trigger_changes"], json!([back]));
}
