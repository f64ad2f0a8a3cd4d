//! The cost of capabilities, beside the same through the same driver in Rust.

use crate::plain_proxy::PlainProxy;
use crate::report::Report;
use crate::server::Server;
use elias_capabilities::{Cache, Db};
use elias_host::{App, Grants, Host, Limits, LoadOptions};
use elias_tests::build::{Project, component, root};
use elias_tests::services;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Operations of one call, so that the call itself weighs little.
const OPERATIONS: u32 = 200;
const ROUNDS: usize = 21;

const SOURCE: &str = r#"
import { cache } from "elias/cache";
import { db } from "elias/db";
const tasks = {
  nothing() {},
  "cache-set": () => cache.set("key", "value"),
  async cache(n) { for (let i = 0; i < n; i++) await cache.get("key"); },
  async query(n) { for (let i = 0; i < n; i++) await db.first("select name from things where id = $1", 500); },
  async "sleep-in-turn"(n) { for (let i = 0; i < n; i++) await db.query("select pg_sleep(0.02)"); },
  "sleep-at-once": (n) => Promise.all(Array.from({ length: n }, () => db.query("select pg_sleep(0.02)"))),
};
export default { async call({ task, n }) { await tasks[task](n); return null; } };
"#;

const SCHEMA: &str = "create table things (id integer primary key, name text not null);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
    insert into things select i, 'thing ' || i from n;";

pub(crate) async fn run(report: &mut Report) {
    let project = Project::new(&[("migrations/1.sql", SCHEMA)]);
    let host = Host::builder()
        .limits(Limits { fuel: u64::MAX / 2, ..Limits::default() })
        .capability(Cache::new())
        .capability(Db::new(project.path("data")))
        .build()
        .expect("a host");
    let wasm = component(SOURCE);
    let load = async |db| {
        let grants = Grants::none().with("cache", json!({})).with("db", db);
        let options =
            LoadOptions { grants, folder: project.path("."), name: Some("bench".into()), ..LoadOptions::default() };
        host.load_with(&wasm, &options).await.expect("it loads")
    };
    let sqlite = load(json!({})).await;
    task(&sqlite, "cache-set", 1).await;
    let nothing = median(async || task(&sqlite, "nothing", 1).await).await;
    let each = |all: f64| (all - nothing) / f64::from(OPERATIONS);
    let read = each(median(async || task(&sqlite, "cache", OPERATIONS).await).await);
    report.row("a cache read in memory, from JavaScript", &format!("{read:.1} us"), "3 us", Some(read <= 3.0));

    let query = each(median(async || task(&sqlite, "query", OPERATIONS).await).await);
    let rust = sqlite_from_rust(&project.path("data/db/bench.sqlite"));
    report.row(
        "a SQLite point query, from JavaScript",
        &format!("{query:.1} us, from Rust {rust:.1} us"),
        "2x and 10 us",
        Some(query <= 2.0 * rust + 10.0),
    );

    let postgres = load(json!({ "backend": "postgres", "url": services::postgres(), "connections": 16 })).await;
    let query = each(median(async || task(&postgres, "query", OPERATIONS).await).await);
    let (client, connection) =
        tokio_postgres::connect(&services::postgres(), tokio_postgres::NoTls).await.expect("it is there");
    tokio::spawn(connection);
    client.batch_execute(SCHEMA).await.expect("a schema of its own");
    let statement = client.prepare("select name from things where id = $1").await.expect("valid SQL");
    let rust = median(async || {
        for _ in 0..OPERATIONS {
            client.query_one(&statement, &[&500_i32]).await.expect("a row");
        }
    })
    .await
        / f64::from(OPERATIONS);
    report.row(
        "a PostgreSQL point query, from JavaScript",
        &format!("{query:.0} us, from Rust {rust:.0} us, {:.2}x", query / rust),
        "1.2x",
        Some(query <= 1.2 * rust),
    );
    let in_turn = timed(async || task(&postgres, "sleep-in-turn", 16).await).await;
    let at_once = timed(async || task(&postgres, "sleep-at-once", 16).await).await;
    let times = in_turn.as_secs_f64() / at_once.as_secs_f64();
    report.row(
        "16 PostgreSQL queries of 20 ms at once, against in turn",
        &format!("{times:.1}x"),
        "8x",
        Some(times >= 8.0),
    );
}

/// Microseconds of one query.
fn sqlite_from_rust(file: &Path) -> f64 {
    let connection = rusqlite::Connection::open(file).expect("the file is there");
    let queries = || {
        let started = Instant::now();
        for _ in 0..OPERATIONS {
            let mut statement = connection.prepare_cached("select name from things where id = ?1").expect("valid SQL");
            statement.query_row([500], |row| row.get::<_, String>(0)).expect("a row");
        }
        started.elapsed()
    };
    middle((0..ROUNDS).map(|_| queries()).collect()) / f64::from(OPERATIONS)
}

async fn task(app: &App, task: &str, n: u32) {
    app.call(&json!({ "task": task, "n": n })).await.expect("an answer");
}

async fn timed(run: impl AsyncFn()) -> Duration {
    let started = Instant::now();
    run().await;
    started.elapsed()
}

/// The median of [`ROUNDS`] runs, in microseconds.
async fn median(run: impl AsyncFn()) -> f64 {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        times.push(timed(&run).await);
    }
    middle(times)
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// A large response through a component that passes it on, against a proxy that does nothing else.
pub(crate) fn proxy(report: &mut Report) {
    const BYTES: u64 = 100 << 20;
    let upstream = Server::start(Command::new("node").arg(root().join("tests/bench/rivals/node-large.mjs")));
    let project = Project::new(&[]);
    project.write("proxy.wasm", component(&format!("export default {{ fetch: () => fetch('{}') }};", upstream.url())));
    let allow = upstream.url().trim_end_matches('/').to_owned();
    let config = format!(
        "[capabilities.http]\nallow = [\"{allow}\"]\nprivate = [\"127.0.0.1/32\"]\nresponse-bytes = 200000000\n"
    );
    project.write("elias.toml", config);
    let (file, config) = (project.path("proxy.wasm"), project.path("elias.toml"));
    let (file, config) = (file.to_str().expect("UTF-8"), config.to_str().expect("UTF-8"));
    let through = Server::elias(&[file, "--config", config, "--fuel", "10000000000", "--response-bytes", "200000000"]);
    let plain = PlainProxy::to(upstream.url());
    let seconds = |url: &str| {
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let started = Instant::now();
                let output =
                    Command::new("curl").args(["-s", "-o", "/dev/null", "-w", "%{size_download}", url]).output();
                assert_eq!(String::from_utf8_lossy(&output.expect("curl runs").stdout), BYTES.to_string());
                started.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        times[2]
    };
    let before = through.resident_bytes();
    let (plain, proxied) = (seconds(plain.url()), seconds(through.url()));
    let grown = through.resident_bytes().saturating_sub(before) / 1_000_000;
    report.row(
        "100 MiB streamed through a component",
        &format!(
            "{:.0} MB/s, through a plain hyper proxy {:.0} MB/s; the host grew by {grown} MB",
            BYTES as f64 / proxied / 1e6,
            BYTES as f64 / plain / 1e6
        ),
        "half the rate, 8 MB",
        Some(proxied <= 2.0 * plain && grown <= 8),
    );
}
