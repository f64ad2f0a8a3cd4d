//! Triggers of one project in memory: `elias dev`, and `elias trigger` that has it run one.

use elias_tests::build::{Project, component};
use elias_tests::platform::until;
use elias_tests::serve::Server;
use elias_tests::terminal::Terminal;
use http::Request;
use serde_json::{Value, json};

const CONFIG: &str = r#"
[capabilities.events]
[capabilities.jobs]
[capabilities.workflow]

[[triggers.schedule]]
name = "often"
every = "1s"

[[triggers.schedule]]
name = "yearly"
cron = "0 0 1 1 *"
input = { full = true }

[[triggers.event]]
name = "large"
type = "order.*"
where = { "data.total" = { gte = 100 } }

[triggers.jobs.work]
key-concurrency = 1
retry = { attempts = 3, first = "100ms", jitter = false }
"#;

const SOURCE: &str = r#"
import { events, jobs, log, step } from "elias";

export default {
  async fetch(request) {
    const { searchParams } = new URL(request.url);
    if (searchParams.has("publish")) return new Response(await events.publish("order.paid", { total: 200 }));
    return new Response(await jobs.enqueue("work", { fails: 1 }, { key: "one", concurrencyKey: "user 7" }));
  },
  scheduled(tick) {
    log.info(`tick ${tick.name}`, { late: tick.late < 60_000, input: tick.input });
  },
  event(event) {
    log.info(`event ${event.type}`, { total: event.data.total });
  },
  async job(job) {
    const { input, attempt } = job;
    if (input?.rejects) return void job.reject("no such thing");
    const first = await step("first", () => {
      log.info("the first step", { attempt });
      return attempt;
    });
    if (attempt <= (input?.fails ?? 0)) throw new Error("not yet");
    await step.sleep("a moment", 100);
    return { first, attempt };
  },
};
"#;

/// A folder with the project in `app`.
fn terminal() -> Terminal {
    let terminal = Terminal::new();
    for (file, text) in [("elias.toml", CONFIG), ("package.json", r#"{"name":"app"}"#), ("src/index.js", SOURCE)] {
        let path = terminal.path("app").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("written");
    }
    terminal
}

#[tokio::test]
async fn a_development_server_runs_schedules_jobs_and_events_and_says_where_they_are_kept() {
    let terminal = terminal();
    let server = Server::develop(&terminal.path("app"), &[]);
    server.logged("tick often").await;
    assert_eq!(server.get("/").await.body, server.get("/").await.body, "one job has the key");
    server.logged("job work is tried again").await;
    server.logged("job work waits").await;
    server.logged("job work is done").await;
    assert_eq!(server.log().matches("the first step").count(), 1, "{}", server.log());
    assert_eq!(server.get("/?publish").await.status, 200);
    server.logged("event order.paid").await;
}

#[tokio::test]
async fn a_trigger_is_run_by_hand() {
    let terminal = terminal();
    let server = Server::develop(&terminal.path("app"), &[]);
    until("the server says where it is", async || terminal.path("app/.elias/dev-url").exists().then_some(())).await;
    let said = terminal.types("app", &["trigger", "schedule", "yearly"]);
    assert!(said.starts_with("info  tick yearly late=true input="), "{said}");
    assert!(said.contains("full") && said.contains("\nschedule yearly ("), "{said}");
    assert!(said.ends_with(") is done\n"), "{said}");
    let said = terminal.types("app", &["trigger", "event", "order.paid", "--data", r#"{"total":100}"#]);
    assert!(said.contains("info  event order.paid total=100\n"), "{said}");
    let said = terminal.types("app", &["trigger", "job", "work", "--json"]);
    let runs: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&runs["runs"][0]["what"], &runs["runs"][0]["outcome"]), (&json!("job work"), &json!("suspended")));

    for (line, wanted) in [
        (["trigger", "event", "order.paid"].as_slice(), "no subscription matches the event"),
        (&["trigger", "job", "work", "--input", r#"{"rejects":true}"#], "is not tried again: no such thing"),
        (&["trigger", "job", "work", "--input", r#"{"fails":3}"#], "is tried again: "),
        (&["trigger", "schedule", "monthly"], "elias.toml has no schedule `monthly`"),
        (&["trigger", "schedule", "yearly", "--url", "http://127.0.0.1:1"], "no development server responds"),
    ] {
        let output = terminal.output("app", line);
        assert_eq!(output.status.code(), Some(1), "{line:?}");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(said.contains(wanted), "{line:?}: {said}");
    }

    // A page of another origin cannot run one, and the component gets nothing of the path.
    let simple = Request::post("/").header("content-type", "text/plain");
    assert_eq!(server.send(simple, "/__elias/trigger", r#"{"schedule":{"name":"yearly"}}"#).await.status, 415);
    assert_eq!(server.send(Request::options("/"), "/__elias/trigger", "").await.status, 405);
}

#[tokio::test]
async fn a_served_component_has_no_path_for_triggers() {
    let server = Server::start(&component("export default { fetch() { return new Response('mine'); } };"), &[]);
    assert_eq!(server.get("/__elias/trigger").await.body, "mine");
}

#[tokio::test]
async fn what_elias_toml_says_of_triggers_is_taken_at_once() {
    let terminal = terminal();
    let server = Server::develop(&terminal.path("app"), &[]);
    server.logged("tick often").await;
    terminal.edit("app/elias.toml", "name = \"often\"", "name = \"again\"");
    server.logged("tick again").await;
    let project = Project::new(&[("elias.toml", "[[triggers.schedule]]\nname = \"a\"\ncron = \"61 * * * *\"\n")]);
    project.write("index.js", SOURCE);
    let output = Terminal::new().output(project.path("").to_str().expect("UTF-8"), &["check", "index.js"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("triggers.schedule[0].cron"), "{output:?}");
}
