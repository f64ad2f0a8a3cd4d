//! The console of a development server: its API for one project, requests that are sent again, and who may use it.

use elias_tests::build::{Project, component};
use elias_tests::platform::until;
use elias_tests::serve::{Answer, PATIENCE, Server};
use http::Request;
use http::request::Builder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONFIG: &str = r#"
[capabilities.db]
[capabilities.events]
[capabilities.jobs]

[[triggers.schedule]]
name = "yearly"
cron = "0 0 1 1 *"
input = { full = true }

[[triggers.event]]
name = "orders"
type = "order.*"
retry = { attempts = 1 }

[triggers.jobs.work]
retry = { attempts = 1 }
"#;

const SOURCE: &str = r#"
import { db, log, worker } from "elias";

export class Counter extends worker.Worker {
  count = 0;
  add(number) { this.count += number; return this.count; }
  fail() { throw new Error("no"); }
}

export default {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    log.info("asked", { pathname });
    if (pathname === "/throw") throw new Error("it went wrong");
    if (pathname === "/ignore") return new Response("unread", { status: 202 });
    const text = await request.text();
    await db.query("create table if not exists notes (text text not null)");
    await db.query("insert into notes values ($1)", text);
    const [{ count }] = await db.query("select count(*) as count from notes");
    return Response.json({ count, text, kind: request.headers.get("x-kind") });
  },
  scheduled(tick) { log.info(`tick ${tick.name}`); },
  event(event) { if (event.data.fails) throw new Error("no"); },
  job(job) {
    if (job.input.fails) throw new Error("not this one");
    return "worked";
  },
};
"#;

const API: &str = "/__elias/api/v1/tenants/default";
const SERVICE: &str = "/__elias/api/v1/tenants/default/components/app/environments/dev";

fn project() -> Project {
    Project::new(&[("elias.toml", CONFIG), ("package.json", r#"{"name":"app"}"#), ("src/index.js", SOURCE)])
}

/// What a page of the console asks for.
async fn get(server: &Server, path: &str) -> Value {
    let answer = server.send(Request::get("/").header("sec-fetch-site", "same-origin"), path, "").await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn of_page(server: &Server, method: &str) -> Builder {
    let origin = format!("http://{}", server.address);
    let request = Request::builder().method(method).header("origin", origin).header("sec-fetch-site", "same-origin");
    request.header("elias-console", "1").header("content-type", "application/json")
}

/// What a page of the console changes.
async fn post(server: &Server, path: &str, body: Value) -> Answer {
    server.send(of_page(server, "POST"), path, body.to_string()).await
}

#[tokio::test]
async fn requests_are_listed_and_sent_again() {
    let project = project();
    let server = Server::develop(&project.path(""), &[]);
    let note = Request::post("/").header("x-kind", "first").header("content-type", "text/plain");
    let first = server.send(note, "/notes?a=b", "hello").await.json();
    assert_eq!(first, json!({ "count": 1, "text": "hello", "kind": "first" }));
    let listed = async || {
        let list = get(&server, "/__elias/api/requests").await;
        (list["items"].as_array().map(Vec::len) == Some(1)).then(|| list["items"][0].clone())
    };
    let summary = until("the request is over", listed).await;
    assert_eq!((&summary["method"], &summary["path"]), (&json!("POST"), &json!("/notes?a=b")));
    assert_eq!((&summary["status"], &summary["outcome"]), (&json!(200), &json!("completed")));
    let id = summary["id"].as_str().expect("an id").to_owned();
    let shown = get(&server, &format!("/__elias/api/requests/{id}")).await;
    assert_eq!(shown["request"]["body"], json!({ "text": "hello", "bytes": 5, "whole": true }));
    assert!(shown["request"]["headers"].as_array().expect("a list").contains(&json!(["x-kind", "first"])));

    let replayed = post(&server, &format!("/__elias/api/requests/{id}/replay"), json!({})).await.json();
    assert_eq!(replayed["status"], 200, "{replayed}");
    let body: Value = serde_json::from_str(replayed["body"]["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(body, json!({ "count": 2, "text": "hello", "kind": "first" }));
    let execution = replayed["execution"].as_str().expect("an execution").to_owned();
    let recorded = async || {
        let answer = server.get(&format!("{API}/executions/{execution}")).await;
        (answer.status == 200).then(|| answer.json())
    };
    let recorded = until("its execution is listed", recorded).await;
    assert_eq!((&recorded["source"], &recorded["outcome"]), (&json!("POST /notes"), &json!("completed")));
    assert_eq!(recorded["lines"][0], json!(["info", "asked pathname=\"/notes\""]), "{recorded}");

    // What the component did not read is not known whole, and an exception has its stack.
    assert_eq!(server.send(Request::post("/"), "/ignore", "x".repeat(200_000)).await.status, 202);
    assert_eq!(server.get("/throw").await.status, 500);
    let of_path = async |path: &str| {
        let list = get(&server, "/__elias/api/requests").await;
        list["items"].as_array()?.iter().find(|item| item["path"] == path).cloned()
    };
    let ignored = until("it is over", async || of_path("/ignore").await).await;
    assert!(ignored["not_replayable"].as_str().is_some_and(|reason| reason.contains("64 KiB")), "{ignored}");
    let path = format!("/__elias/api/requests/{}/replay", ignored["id"].as_str().expect("an id"));
    assert_eq!(post(&server, &path, json!({})).await.code(), "wrong-state");
    let thrown = until("it is over", async || of_path("/throw").await).await;
    assert_eq!(thrown["outcome"], "failed");
    let shown = get(&server, &format!("/__elias/api/requests/{}", thrown["id"].as_str().expect("an id"))).await;
    assert!(shown["error"].as_str().is_some_and(|error| error.contains("src/index.js")), "{shown}");
    assert_eq!(post(&server, "/__elias/api/requests/999/replay", json!({})).await.code(), "not-found");

    assert_eq!(server.send(of_page(&server, "DELETE"), "/__elias/api/requests", "").await.status, 204);
    assert_eq!(get(&server, "/__elias/api/requests").await["items"], json!([]), "the console's own are not among them");
}

#[tokio::test]
async fn schedules_jobs_and_events_are_run_by_hand_and_what_died_again() {
    let project = project();
    let server = Server::develop(&project.path(""), &[]);
    let schedules = get(&server, &format!("{API}/schedules")).await;
    assert_eq!((&schedules["items"][0]["name"], &schedules["items"][0]["paused"]), (&json!("yearly"), &json!(false)));
    let run = post(&server, &format!("{SERVICE}/schedules/yearly/run"), json!({})).await;
    assert_eq!(run.status, 202, "{run:?}");
    server.logged("tick yearly").await;
    let shown = async || {
        let shown = get(&server, &format!("{SERVICE}/schedules/yearly")).await;
        (shown["schedule"]["last_outcome"] == "done").then_some(shown)
    };
    let shown = until("the tick is over", shown).await;
    assert_eq!((shown["next"].as_array().map(Vec::len), &shown["ticks"][0]["job"]), (Some(10), &run.json()["id"]));

    let enqueued =
        post(&server, &format!("{SERVICE}/jobs"), json!({ "name": "work", "input": { "fails": true } })).await;
    assert_eq!(enqueued.status, 202, "{enqueued:?}");
    let id = enqueued.json()["id"].as_str().expect("an id").to_owned();
    let job = async |state: &'static str, id: &str| {
        let path = format!("{API}/jobs/{id}");
        let look = async || {
            let job = get(&server, &path).await;
            (job["state"] == state).then_some(job)
        };
        until("the job is so", look).await
    };
    let dead = job("dead", &id).await;
    assert!(dead["error"].as_str().is_some_and(|error| error.contains("not this one")), "{dead}");
    assert_eq!(post(&server, &format!("{API}/jobs/{id}/retry"), json!({})).await.status, 204);
    job("dead", &id).await;
    assert_eq!(post(&server, &format!("{API}/jobs/{id}/discard"), json!({})).await.status, 204);
    assert_eq!(server.get(&format!("{API}/jobs/{id}")).await.code(), "not-found");
    assert_eq!(post(&server, &format!("{API}/jobs/{id}/cancel"), json!({})).await.code(), "not-found");
    let fine = post(&server, &format!("{SERVICE}/jobs"), json!({ "name": "work", "input": {} })).await.json();
    let done = job("done", fine["id"].as_str().expect("an id")).await;
    assert_eq!(done["result"], "\"worked\"");
    let bad = post(&server, &format!("{SERVICE}/jobs"), json!({ "name": "", "input": {} })).await;
    assert_eq!(bad.code(), "bad-input");

    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/console", "type": "order.paid", "data": { "fails": true },
    });
    let published = post(&server, &format!("{API}/events"), event).await;
    assert_eq!(published.status, 202, "{published:?}");
    let letters = async || {
        let letters = get(&server, &format!("{API}/dead-letters")).await;
        letters["items"].as_array()?.first().cloned()
    };
    let letter = until("the delivery is dead", letters).await;
    assert_eq!((&letter["name"], &letter["trigger"]), (&json!("orders"), &json!("event")));
    let events = get(&server, &format!("{API}/events")).await;
    assert_eq!((&events["items"][0]["type"], &events["items"][0]["position"]), (&json!("order.paid"), &json!(1)));
    assert_eq!(get(&server, &format!("{API}/subscriptions")).await["items"][0]["name"], "orders");
    let runs = get(&server, &format!("{API}/executions")).await.to_string();
    assert!(runs.contains("schedule yearly") && runs.contains("event order.paid"), "{runs}");
}

#[tokio::test]
async fn workers_and_the_database_are_looked_into() {
    let project = project();
    let server = Server::develop(&project.path(""), &[]);
    let worker = format!("{SERVICE}/workers/Counter/a");
    let call = json!({ "method": "add", "args": [5] });
    assert_eq!(post(&server, &format!("{worker}/messages"), call).await.json(), json!({ "answer": 5 }));
    let listed = get(&server, &format!("{SERVICE}/workers")).await;
    assert_eq!((&listed["items"][0]["class"], &listed["items"][0]["name"]), (&json!("Counter"), &json!("a")));
    let state = get(&server, &format!("{worker}/state")).await;
    assert_eq!(state["state"]["fields"]["count"], 5, "{state}");
    assert_eq!(post(&server, &format!("{worker}/stop"), json!({})).await.status, 204);
    assert_eq!(server.get(&worker).await.code(), "not-found");
    let failing = json!({ "method": "fail", "args": [] });
    assert_eq!(post(&server, &format!("{worker}/messages"), failing).await.code(), "worker-exception");

    assert_eq!(server.send(Request::post("/"), "/", "a note").await.status, 200);
    let query = async |query: Value| post(&server, &format!("{SERVICE}/database/query"), query).await;
    let tables = query(json!({})).await.json();
    let names = tables["rows"].as_array().expect("rows").iter().map(|row| &row[0]);
    assert!(tables["columns"][0] == "table" && names.into_iter().any(|name| name == "notes"), "{tables}");
    let rows = query(json!({ "sql": "select text from notes", "limit": 10 })).await.json();
    assert_eq!(rows["rows"], json!([["a note"]]));
    assert_eq!(query(json!({ "sql": "delete from notes" })).await.code(), "read-only");
    let deleted = query(json!({ "sql": "delete from notes where text = $1", "parameters": ["a note"], "write": true }));
    assert_eq!(deleted.await.json()["affected"], 1);
    assert_eq!(query(json!({ "sql": "selec" })).await.code(), "sql");
    assert_eq!(query(json!({ "sql": "select 1", "limit": 0 })).await.code(), "bad-input");
}

#[tokio::test]
async fn the_log_is_followed_from_what_is_kept_of_it() {
    let project = project();
    let server = Server::develop(&project.path(""), &[]);
    server.get("/first").await;
    let mut stream = tokio::net::TcpStream::connect(server.address).await.expect("it listens");
    let head = format!("GET {SERVICE}/logs HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    stream.write_all(head.as_bytes()).await.expect("written");
    let mut seen = String::new();
    let mut piece = [0; 4096];
    for path in ["/first", "/second"] {
        if path == "/second" {
            server.get(path).await;
        }
        while !seen.contains(&format!("pathname=\\\"{path}\\\"")) {
            let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("it comes").expect("read");
            assert!(read > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }
    assert!(seen.contains("text/event-stream") && seen.contains("event: line"), "{seen}");
}

#[tokio::test]
async fn other_sites_and_other_hosts_have_no_part_in_it() {
    let project = project();
    let server = Server::develop(&project.path(""), &[]);
    let port = server.address.port();
    let with = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let request = Request::builder().method(method);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        server.send(request, path, if method == "GET" { "" } else { "{}" }).await
    };
    let (list, run) = ("/__elias/api/requests", format!("{SERVICE}/schedules/yearly/run"));
    for host in ["localhost", "[::1]", "app.localhost"] {
        assert_eq!(with("GET", list, &[("host", &format!("{host}:{port}"))]).await.status, 200, "{host}");
    }
    // DNS rebinding: for the browser this is the page's own origin.
    let rebound = format!("evil.test:{port}");
    let own = format!("http://{rebound}");
    for path in ["/__elias/", "/__elias/session", list] {
        assert_eq!(with("GET", path, &[("host", &rebound)]).await.code(), "cross-origin", "{path}");
    }
    let headers = [("host", rebound.as_str()), ("origin", &own), ("elias-console", "1")];
    assert_eq!(with("POST", &run, &headers).await.code(), "cross-origin");
    let json = ("content-type", "application/json");
    assert_eq!(with("POST", "/__elias/trigger", &[("host", &rebound), ("origin", &own), json]).await.status, 403);
    assert_eq!(
        with("POST", "/__elias/trigger", &[("host", &rebound), json]).await.status,
        403,
        "also without `Origin`"
    );
    let tunnel = [("x-forwarded-for", "1.2.3.4"), json];
    assert_eq!(with("POST", "/__elias/trigger", &tunnel).await.status, 403, "a tunnel");
    // Another site, and what it can have a browser send.
    for (name, value) in [("origin", "https://evil.test"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(
            with("POST", &run, &[(name, value), ("elias-console", "1")]).await.code(),
            "cross-origin",
            "{value}"
        );
        assert_eq!(with("GET", list, &[(name, value)]).await.code(), "cross-origin", "{value}");
    }
    assert_eq!(with("POST", &run, &[]).await.code(), "cross-origin", "the header is missing");
    assert_eq!(with("GET", list, &[("x-forwarded-for", "1.2.3.4")]).await.code(), "cross-origin", "a tunnel");
    assert_eq!(with("POST", &run, &[("elias-console", "1")]).await.status, 202, "a program of this machine");

    let answer = with("GET", list, &[]).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["cross-origin-resource-policy"], "same-origin");
    assert!(answer.headers["content-security-policy"].to_str().expect("ASCII").contains("frame-ancestors 'none'"));
    assert!(answer.headers.get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn it_is_of_one_project_and_of_development_alone() {
    let project = project();
    let server = Server::develop(&project.path(""), &[]);
    let session = get(&server, "/__elias/session").await;
    assert_eq!(
        (&session["principal"]["tenant"], &session["has_identity_provider"]),
        (&json!("default"), &json!(false))
    );
    let shown = get(&server, "/__elias/api/project").await;
    assert_eq!((&shown["component"], &shown["environment"]), (&json!("app"), &json!("dev")));
    assert_eq!((&shown["workers"], &shown["problem"]), (&json!(["Counter"]), &Value::Null));
    for path in [
        "/__elias/api/v1/tenants/other/jobs",
        "/__elias/api/v1/tenants/default/components/other/environments/dev/workers",
        "/__elias/api/v1/tenants/default/components/app/environments/production/workers",
        "/__elias/api/v1/tenants/default/users",
        "/__elias/api/nothing",
    ] {
        assert_eq!(server.get(path).await.code(), "not-found", "{path}");
    }
    let pause = post(&server, &format!("{SERVICE}/schedules/yearly/pause"), json!({})).await;
    assert_eq!(pause.code(), "not-found", "a platform alone pauses schedules");
    assert_eq!(post(&server, "/__elias/api/project", json!({})).await.code(), "method-not-allowed");
    assert_eq!(server.get("/__elias").await.status, 308);
    let moved = server.get("/__elias").await;
    assert_eq!(moved.headers["location"], "/__elias/");

    let served = Server::start(&component("export default { fetch() { return new Response('mine'); } };"), &[]);
    for path in ["/__elias/", "/__elias/api/requests", "/__elias/session"] {
        assert_eq!(served.get(path).await.body, "mine", "{path}");
    }
    let dev = Server::of("export default { fetch() { return new Response('mine'); } };", &["--dev"]);
    assert_eq!(dev.get("/__elias/api/requests").await.status, 200);
}
