//! Steps that are transactions of the component's own database: what they do there is done once, also if a host dies
//! between the commit and the record in the journal.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::services::Postgres;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// A charge is a row and a mail, which is a job, in one transaction. What came of a job is a row, too. A job `like`
/// another leaves at its first attempt what a host leaves that dies after the commit: the charge, and the row of the
/// step, with the hash that the other's has.
const SHOP: &str = r#"
    import { db } from "elias/db";
    import { jobs } from "elias/jobs";
    import { step } from "elias/workflow";
    const charge = (tx, { id, attempt }) => tx.query("insert into charges (job, attempt) values ($1, $2)", id, attempt);
    const note = (what, about) => db.query("insert into results (what, about) values ($1, $2)", what, about);

    async function die(job) {
        await db.transaction(async (tx) => {
            await charge(tx, job);
            await tx.query(
                `insert into elias_steps (job, position, name, input_hash, outcome, done_at)
                 select cast($1 as text), position, cast($2 as text), input_hash, '{"value":"first run"}', done_at
                 from elias_steps where job = $3`,
                job.id, job.input.step, job.input.like,
            );
        });
        throw new Error("the host dies here");
    }

    export default {
        async fetch(request) {
            const { pathname, searchParams } = new URL(request.url);
            if (pathname === "/tables") {
                await db.query("create table if not exists charges (job text not null, attempt integer not null)");
                await db.query("create table if not exists results (what text not null, about text not null)");
                return new Response("made");
            }
            return new Response(await jobs.enqueue("charge", Object.fromEntries(searchParams)));
        },
        async job(job) {
            const { id, name, input, attempt } = job;
            if (name === "mail") return void (await note("mail", input.order));
            if (input.like !== undefined && attempt === 1) await die(job);
            const charged = await step.transaction("charge", async (tx) => {
                await charge(tx, job);
                await jobs.enqueue("mail", { order: id }, { tx });
                if (input.fails === `${attempt}`) throw new Error("as asked");
                return `attempt ${attempt}`;
            }, { input: "eur" });
            await note("charged", `${id} ${charged}`);
        },
    };
"#;

fn settings(db: Value) -> Value {
    let capabilities = json!({ "db": db, "jobs": {}, "workflow": {} });
    let retry = json!({ "attempts": 2, "first": "100ms", "jitter": false });
    let triggers = json!({ "jobs": { "charge": { "retry": retry } } });
    json!({ "capabilities": capabilities, "smoke": { "path": "" }, "triggers": triggers })
}

/// Enqueues a job; gives its id.
async fn enqueue(team: &Tenant<'_>, query: &str) -> String {
    let id = team.get("shop", &format!("/?{query}")).await;
    assert_eq!(id.status, 200, "{id:?}");
    id.body
}

async fn rows(team: &Tenant<'_>, sql: &str, parameter: &str) -> Value {
    let query = json!({ "sql": sql, "parameters": [parameter] });
    team.done("POST", &service("shop", "production", "/database/query"), query).await["rows"].clone()
}

/// Waits until a job is done; gives what its step returned.
async fn charged(team: &Tenant<'_>, id: &str) -> String {
    let sql = "select about from results where what = 'charged' and about like $1";
    let found = async || {
        let found = rows(team, sql, &format!("{id} %")).await;
        let about = found[0][0].as_str()?.to_owned();
        about.strip_prefix(&format!("{id} ")).map(str::to_owned)
    };
    until(&format!("{id} is done"), found).await
}

/// The attempts that have charged for a job.
async fn charges(team: &Tenant<'_>, id: &str) -> Value {
    rows(team, "select attempt from charges where job = $1 order by attempt", id).await
}

async fn effects_are_there_once(team: &Tenant<'_>) {
    assert_eq!(team.get("shop", "/tables").await.body, "made");
    let plain = enqueue(team, "").await;
    assert_eq!(charged(team, &plain).await, "attempt 1");
    // The first attempt's changes are undone, its mail as well.
    let fails = enqueue(team, "fails=1").await;
    assert_eq!(charged(team, &fails).await, "attempt 2");
    // The journal does not have the step, and the database has.
    let died = enqueue(team, &format!("like={plain}&step=charge")).await;
    assert_eq!(charged(team, &died).await, "first run");
    for (id, attempt) in [(&plain, 1), (&fails, 2), (&died, 1)] {
        assert_eq!(charges(team, id).await, json!([[attempt]]), "{id}");
    }
    let mails = "select about from results where what = 'mail' and about = $1";
    for id in [&plain, &fails] {
        let mail = async || Some(rows(team, mails, id).await).filter(|rows| *rows != json!([]));
        assert_eq!(until("the mail is sent", mail).await, json!([[id]]));
    }

    // Another step than the database has.
    let other = enqueue(team, &format!("like={plain}&step=refund")).await;
    let dead = until("the job is dead", async || {
        let dead = team.done("GET", "/jobs?state=dead", Value::Null).await;
        dead["items"].as_array().expect("a list").iter().find(|job| job["id"] == other.as_str()).cloned()
    })
    .await;
    let error = dead["error"].as_str().expect("a reason");
    assert!(error.contains("\"charge\" is at position 0") && error.contains("the step \"refund\""), "{error}");
    assert_eq!(charges(team, &other).await, json!([[1]]));
}

#[tokio::test]
async fn steps_in_transactions_are_done_once_on_sqlite() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("shop", &component(SHOP), settings(json!({}))).await;
    effects_are_there_once(&team).await;
}

#[tokio::test]
async fn steps_in_transactions_are_done_once_on_postgresql() {
    let postgres = Postgres::start();
    let platform = Platform::start(&["--store", &postgres.url()]);
    let team = platform.new_tenant("acme", json!({ "trusted": true })).await;
    let db = json!({ "backend": "postgres", "url": postgres.url() });
    team.serve("shop", &component(SHOP), settings(db)).await;
    effects_are_there_once(&team).await;
}
