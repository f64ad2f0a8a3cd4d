//! Jobs and events as parts of a transaction of a component's own database: none if it is rolled back, each once if it
//! commits, also if a host dies before it hands them over.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Server;
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};

/// An order is a row, a job and an event in one transaction, which fails if it is asked to. What is done is a row, too.
const SHOP: &str = r#"
    import { db } from "elias/db";
    import { events } from "elias/events";
    import { jobs } from "elias/jobs";
    import { log } from "elias/log";
    const note = (what, about) => db.query("insert into done (what, about) values ($1, $2)", what, about);
    export default {
        async fetch(request) {
            const { pathname, searchParams } = new URL(request.url);
            if (pathname === "/tables") {
                await db.query("create table if not exists done (what text, about text)");
                await db.query("create table if not exists orders (id text primary key)");
                return new Response("made");
            }
            const order = searchParams.get("order");
            try {
                const ids = await db.transaction(async (tx) => {
                    await tx.query("insert into orders (id) values ($1)", order);
                    const job = await jobs.enqueue("mail", { order }, { tx });
                    const event = await events.publish("order.paid", { order }, { tx, subject: order });
                    if (searchParams.has("fail")) throw new Error("as asked");
                    if (searchParams.has("savepoint")) {
                        const undone = tx.savepoint(async () => {
                            await jobs.enqueue("mail", { order: "undone" }, { tx });
                            throw new Error("undone");
                        });
                        await undone.catch(() => {});
                    }
                    return { job, event };
                });
                return Response.json(ids);
            } catch (error) {
                return new Response(`${error.code ?? ""} ${error.message}`, { status: 409 });
            }
        },
        async job(job) {
            log.info("mail", { order: job.input.order });
            await note("job", `${job.input.order} ${job.id}`);
        },
        async event(event) {
            await note("event", `${event.subject} ${event.id}`);
        },
    };
"#;

fn settings(db: Value) -> Value {
    let capabilities = json!({ "db": db, "events": {}, "jobs": {} });
    let triggers = json!({ "event": [{ "type": "order.*" }] });
    json!({ "capabilities": capabilities, "smoke": { "path": "" }, "triggers": triggers })
}

/// Runs a statement on the component's database, as a user of the platform.
async fn query(team: &Tenant<'_>, sql: &str, parameters: Value, write: bool) -> Value {
    let query = json!({ "sql": sql, "parameters": parameters, "write": write });
    team.done("POST", &service("shop", "production", "/database/query"), query).await["rows"].clone()
}

/// The work that was done, in order.
async fn done(team: &Tenant<'_>, what: &str) -> Vec<String> {
    let rows = query(team, "select about from done where what = $1 order by about", json!([what]), false).await;
    let text = |row: &Value| row[0].as_str().expect("a text").to_owned();
    rows.as_array().expect("rows").iter().map(text).collect()
}

/// Waits until so much was done.
async fn until_done(team: &Tenant<'_>, what: &str, count: usize) -> Vec<String> {
    let done = async || Some(done(team, what).await).filter(|rows| rows.len() >= count);
    until(&format!("{count} of {what} are done"), done).await
}

async fn until_empty(team: &Tenant<'_>) {
    until("the outbox is empty", async || {
        let rows = query(team, "select id from elias_outbox", json!([]), false).await;
        rows.as_array().is_some_and(Vec::is_empty).then_some(())
    })
    .await;
}

async fn only_what_is_committed_is_done(team: &Tenant<'_>) {
    assert_eq!(team.get("shop", "/tables").await.body, "made");
    let lost = team.get("shop", "/?order=lost&fail").await;
    assert_eq!((lost.status, lost.body.as_str()), (409, " as asked"));
    let mut wanted = [Vec::new(), Vec::new()];
    for order in ["a", "b", "c"] {
        let placed = team.get("shop", &format!("/?order={order}&savepoint")).await;
        assert_eq!(placed.status, 200, "{placed:?}");
        let ids = placed.json();
        for (wanted, id) in wanted.iter_mut().zip([&ids["job"], &ids["event"]]) {
            wanted.push(format!("{order} {}", id.as_str().expect("an id")));
        }
    }
    // The second of an order breaks the primary key.
    assert_eq!(team.get("shop", "/?order=a").await.status, 409);
    assert_eq!([until_done(team, "job", 3).await, until_done(team, "event", 3).await], wanted);
    until_empty(team).await;
    assert_eq!([done(team, "job").await, done(team, "event").await], wanted);
}

#[tokio::test]
async fn jobs_and_events_are_parts_of_a_transaction_on_sqlite() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &component(SHOP), settings(json!({}))).await;
    only_what_is_committed_is_done(&team).await;
}

#[tokio::test]
async fn jobs_and_events_are_parts_of_a_transaction_on_postgresql() {
    let postgres = Postgres::start();
    let platform = Platform::start(&["--store", &postgres.url()]);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    let db = json!({ "backend": "postgres", "url": postgres.url() });
    team.serve("shop", &component(SHOP), settings(db)).await;
    only_what_is_committed_is_done(&team).await;
}

/// Writes a row into the outbox, as a transaction that was committed left it there when its host died.
async fn leave_row(team: &Tenant<'_>, id: &str, body: &Value) {
    let insert = "insert into elias_outbox (id, kind, body) values ($1, 'job', $2)";
    query(team, insert, json!([id, body.to_string()]), true).await;
}

#[tokio::test]
async fn a_host_that_dies_before_it_hands_over_does_so_when_it_starts() {
    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let mut platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &component(SHOP), settings(json!({}))).await;
    team.get("shop", "/tables").await;
    assert_eq!(team.get("shop", "/?order=first").await.status, 200);
    until_done(&team, "job", 1).await;
    until_empty(&team).await;
    let body = json!({ "name": "mail", "input": r#"{"order":"late"}"# });
    leave_row(&team, ID, &body).await;
    platform.restart();
    let team = platform.default_tenant();
    let late = format!("late {ID}");
    let ran = until("the job has run", async || {
        let ran: Vec<String> = done(&team, "job").await.into_iter().filter(|row| row.starts_with("late ")).collect();
        (!ran.is_empty()).then_some(ran)
    })
    .await;
    assert_eq!(ran, [late.as_str()]);
    until_empty(&team).await;
    // One that died after it handed over and before it deleted the row; and rows that are no jobs.
    leave_row(&team, ID, &body).await;
    leave_row(&team, "bad", &json!({ "name": "mail" })).await;
    until_empty(&team).await;
    platform.logged("a row of the component's outbox is dropped: it is not a job").await;
    until("its author sees why", async || {
        let executions = team.done("GET", "/executions", Value::Null).await;
        let is_told = |one: &Value| {
            let error = one["error"].as_str().unwrap_or_default();
            one["source"] == "outbox" && error.contains("row bad: it is not a job")
        };
        executions["items"].as_array().expect("a list").iter().any(is_told).then_some(())
    })
    .await;
    let ran = done(&team, "job").await.into_iter().filter(|row| *row == late).count();
    assert_eq!(ran, 1);
}

#[tokio::test]
async fn a_development_server_hands_over_after_each_commit() {
    let terminal = Terminal::new();
    let config =
        "[capabilities.db]\n[capabilities.events]\n[capabilities.jobs]\n[[triggers.event]]\ntype = \"order.*\"\n";
    for (file, text) in [("elias.toml", config), ("package.json", r#"{"name":"app"}"#), ("src/index.js", SHOP)] {
        let path = terminal.path("app").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("written");
    }
    let server = Server::develop(&terminal.path("app"), &[]);
    assert_eq!(server.get("/tables").await.body, "made");
    assert_eq!(server.get("/?order=lost&fail").await.status, 409);
    assert_eq!(server.get("/?order=one").await.status, 200);
    server.logged("job mail is done").await;
    server.logged("event order.paid is done").await;
    assert_eq!(server.log().matches("order=\"lost\"").count(), 0, "{}", server.log());
}
