//! Events and schedules that are for service workers: of a project, by `elias dev` and `elias trigger`, and of a
//! platform.

use elias_tests::build::component;
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Server;
use elias_tests::tenant::{Tenant, service};
use elias_tests::terminal::Terminal;
use http::Request;
use serde_json::{Value, json};

const CONFIG: &str = r#"
[capabilities.workers]

[[triggers.schedule]]
name = "nightly"
cron = "0 3 * * *"
input = { full = true }
worker = { class = "Cart", name = "report", method = "tick" }

[[triggers.event]]
type = "cart.*"
worker = { class = "Cart", name = "{subject}/{data.shop}" }
"#;

const SOURCE: &str = r#"
import { worker, workers } from "elias";

export class Cart extends worker.Worker {
  seen = [];
  onMessage({ type, subject, data }) {
    this.seen.push([type, subject, data.shop]);
    if (data.fails) throw new RangeError("as told");
  }
  tick({ name, input }) { this.seen.push([name, input]); }
  list() { return this.seen; }
}

export default {
  async fetch(request) {
    const name = decodeURIComponent(new URL(request.url).pathname.slice(1));
    return Response.json(await workers.get(Cart, name).list());
  },
};
"#;

#[tokio::test]
async fn a_development_server_has_workers_handle_events_and_ticks() {
    let terminal = Terminal::new();
    for (file, text) in [("elias.toml", CONFIG), ("package.json", r#"{"name":"app"}"#), ("src/index.js", SOURCE)] {
        let path = terminal.path("app").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("written");
    }
    let server = Server::develop(&terminal.path("app"), &[]);
    until("the server says where it is", async || terminal.path("app/.elias/dev-url").exists().then_some(())).await;
    let said = terminal.types("app", &["trigger", "schedule", "nightly"]);
    assert!(said.contains("schedule nightly (") && said.ends_with(") is done\n"), "{said}");
    assert_eq!(server.get("/report").await.json(), json!([["nightly", { "full": true }]]));
    let event = ["trigger", "event", "cart.add", "--subject", "ada", "--data"];
    let typed = |data: &str| terminal.output("app", &[&event, [data].as_slice()].concat());
    assert!(typed(r#"{"shop":7}"#).status.success());
    assert_eq!(server.get("/ada%2F7").await.json(), json!([["cart.add", "ada", 7]]));
    for (data, part) in [
        (r#"{"shop":7,"fails":true}"#, "is tried again: RangeError: as told"),
        (r#"{"shop":[]}"#, "is not tried again: the event has no text and no integer for the worker `{subject}/"),
    ] {
        let output = typed(data);
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success() && said.contains(part), "{said}");
    }
    assert_eq!(server.get("/ada%2F7").await.json(), json!([["cart.add", "ada", 7]]), "what threw is undone");

    // A class that is not there is found before it is served.
    terminal.edit("app/elias.toml", "\"{subject}/{data.shop}\"", "\"{subject}\"");
    terminal.edit("app/src/index.js", "export class Cart", "export class Basket");
    let output = terminal.output("app", &["check"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("triggers.schedule[0].worker.class"), "{said}");
}

fn settings(retry: &Value) -> Value {
    let worker = json!({ "class": "Cart", "name": "{subject}" });
    json!({
        "capabilities": { "workers": {} },
        "smoke": { "path": "" },
        "triggers": { "event": [{ "name": "carts", "type": "cart.*", "worker": worker, "retry": retry }] },
    })
}

async fn publish(platform: &Platform, team: &Tenant<'_>, id: &str, subject: &str, data: Value) {
    let event = json!({
        "specversion": "1.0", "id": id, "type": "cart.add", "source": "/test", "subject": subject, "data": data,
    });
    let request = Request::post("/").header("authorization", format!("Bearer {}", team.token));
    let request = request.header("content-type", "application/cloudevents+json");
    let answer = platform.call(request, &team.path("/events"), event.to_string()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// What a worker has seen, or null if it is not there.
async fn seen(team: &Tenant<'_>, name: &str) -> Value {
    let path = service("shop", "production", &format!("/workers/Cart/{name}"));
    // A question would start it.
    if team.ask("GET", &path, Value::Null).await.0 != 200 {
        return Value::Null;
    }
    team.ask("POST", &format!("{path}/messages"), json!({ "method": "list" })).await.1["answer"].take()
}

#[tokio::test]
async fn a_platform_has_workers_handle_events() {
    let mut platform = Platform::start(&[]);
    let bytes = component(SOURCE);
    let one = settings(&json!({ "attempts": 1 }));
    let number = platform.default_tenant().serve("shop", &bytes, one).await;
    let team = platform.default_tenant();
    publish(&platform, &team, "1", "ada", json!({ "shop": 1 })).await;
    publish(&platform, &team, "2", "bo", json!({ "shop": 1, "fails": true })).await;
    publish(&platform, &team, "3", "bo", json!({ "shop": 2 })).await;
    let handled = async |name: &str, all: Value| {
        until("it is handled", async || (seen(&team, name).await == all).then_some(())).await;
    };
    handled("ada", json!([["cart.add", "ada", 1]])).await;
    handled("bo", json!([["cart.add", "bo", 2]])).await;
    let dead = until("what threw is a dead letter", async || {
        let jobs = team.done("GET", "/jobs?state=dead", Value::Null).await;
        jobs["items"].as_array().expect("a list").first().cloned()
    })
    .await;
    let error = dead["error"].as_str().expect("an error");
    assert!(error.contains("worker-exception: RangeError: as told"), "{dead}");
    let job = dead["id"].as_str().expect("an id");
    let turn = until("its turn is recorded", async || {
        let found = team.done("GET", &format!("/executions?job={job}"), Value::Null).await;
        found["items"].as_array().expect("a list").first().cloned()
    })
    .await;
    assert_eq!((&turn["source"], &turn["outcome"]), (&json!("worker Cart/bo"), &json!("failed")), "{turn}");

    // Once more, but not by a former version.
    let replay = service("shop", "production", "/subscriptions/carts/events");
    let (code, detail) = team.refused("POST", &replay, json!({ "ids": ["1"], "version": number })).await;
    assert!(code == "bad-input" && detail.starts_with("version: "), "{code}: {detail}");
    team.done("POST", &replay, json!({ "ids": ["1"] })).await;
    handled("ada", json!([["cart.add", "ada", 1], ["cart.add", "ada", 1]])).await;

    // What it has seen, and that it has, survives that the host is killed.
    platform.kill();
    platform.restart();
    let team = platform.default_tenant();
    publish(&platform, &team, "4", "ada", json!({ "shop": 4 })).await;
    let all = json!([["cart.add", "ada", 1], ["cart.add", "ada", 1], ["cart.add", "ada", 4]]);
    until("it is handled", async || (seen(&team, "ada").await == all).then_some(())).await;
}

#[tokio::test]
async fn a_class_that_is_not_there_is_refused_with_its_place() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let without = SOURCE.replace("export class Cart", "export class Basket");
    let digest = team.upload(&component(&without)).await;
    let version = json!({ "digest": digest, "settings": settings(&json!({})) });
    let (code, detail) = team.refused("POST", "/components/shop/versions", version).await;
    assert_eq!(code, "bad-input");
    assert!(detail.contains("triggers.event[0].worker.class") && detail.contains("export class Cart"), "{detail}");
}

const EMITTING: &str = r#"
import { worker } from "elias";

export class Cart extends worker.Worker {
  paid = 0;
  pay(sum) {
    this.paid += sum;
    worker.emit("cart.paid", { sum, at: new Date(0) });
    worker.emit("seen by nobody");
    if (sum < 0) throw new RangeError("as told");
    return this.paid;
  }
  onMessage() { worker.emit("circle.again"); }
}

export class Ledger extends worker.Worker {
  sums = [];
  onMessage({ source, subject, data }) { this.sums.push([source, subject, data]); }
  list() { return this.sums; }
}

export default { fetch() { return new Response("up"); } };
"#;

#[tokio::test]
async fn what_a_worker_emits_is_an_event_of_its_component_once_and_no_circle_goes_on_for_ever() {
    let mut platform = Platform::start(&[]);
    // A delivery that the host's end interrupts is made again, and before the next one.
    let subscription = |name: &str, class: &str, event_type: &str, attempts: u32| {
        let worker = json!({ "class": class, "name": "all" });
        let retry = json!({ "attempts": attempts });
        json!({ "name": name, "type": event_type, "worker": worker, "order": "all", "retry": retry })
    };
    let settings = json!({
        "capabilities": { "events": { "types": ["cart.*", "circle.*"] } },
        "triggers": { "event": [
            subscription("paid", "Ledger", "cart.*", 5),
            subscription("circle", "Cart", "circle.*", 1),
        ] },
    });
    platform.default_tenant().serve("shop", &component(EMITTING), settings).await;
    let team = platform.default_tenant();
    let messages =
        |class: &str, name: &str| service("shop", "production", &format!("/workers/{class}/{name}/messages"));
    let pay = |sum: i32| json!({ "method": "pay", "args": [sum] });
    assert_eq!(team.done("POST", &messages("Cart", "ada"), pay(7)).await["answer"], json!(7));
    assert_eq!(team.refused("POST", &messages("Cart", "ada"), pay(-1)).await.0, "worker-exception");
    platform.kill();
    platform.restart();
    let team = platform.default_tenant();
    assert_eq!(team.done("POST", &messages("Cart", "ada"), pay(5)).await["answer"], json!(12));
    let paid = |sum: i32| {
        let data = json!({ "sum": sum, "at": "1970-01-01T00:00:00.000Z" });
        json!(["/shop/production", "shop/production/Cart/ada", data])
    };
    let all = json!([paid(7), paid(5)]);
    until("both are delivered, and what was undone is not", async || {
        let list = team.done("POST", &messages("Ledger", "all"), json!({ "method": "list" })).await;
        (list["answer"] == all).then_some(())
    })
    .await;

    team.done("POST", &messages("Cart", "all"), json!({ "message": null })).await;
    let dead = until("the circle ends", async || {
        let jobs = team.done("GET", "/jobs?state=dead", Value::Null).await;
        jobs["items"].as_array().expect("a list").first().cloned()
    })
    .await;
    assert!(dead["error"].as_str().expect("an error").contains("too-many-hops"), "{dead}");
}

const SERVICE: &str = r#"
import { registry } from "elias/eiasw";

registry.register("front", {
  onMessage: async (message) => {
    const sent = registry.send("counter", message);
    await sent;
    return sent.id;
  },
});
registry.register("counter", { onMessage: async ({ by }, context) => (context.count = (context.count ?? 0) + by) });
registry.startAll();

export default {
  async fetch() {
    const sent = registry.send("front", { by: 1 });
    return Response.json([sent.id, await sent]);
  },
};
"#;

#[tokio::test]
async fn a_turn_is_found_by_the_uuid_that_its_sender_has() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let settings = json!({ "capabilities": { "workers": {} }, "smoke": { "path": "" } });
    team.serve("shop", &component(SERVICE), settings).await;
    let ids = platform.ask_with(Request::get("/"), &team.host("shop"), "/", "").await.json();
    for (id, source) in [(&ids[0], "worker front/front"), (&ids[1], "worker counter/counter")] {
        let id = id.as_str().expect("an id");
        let turn = until("its turn is recorded", async || {
            let found = team.done("GET", &format!("/executions?job={id}"), Value::Null).await;
            found["items"].as_array().expect("a list").first().cloned()
        })
        .await;
        assert_eq!((&turn["source"], &turn["run"]["job"]), (&json!(source), &json!(id)), "{turn}");
    }
}

#[tokio::test]
async fn a_projects_subscriptions_get_what_its_workers_emit_and_what_becomes_of_them() {
    let source = r#"
import { worker, workers } from "elias";
export class Cart extends worker.Worker {
  pay(sum) {
    worker.emit("order.paid", { sum });
    worker.emit("cart.paid", { sum });
  }
}
export default {
  async fetch() {
    await workers.get(Cart, "ada").pay(7);
    return new Response("paid");
  },
  event({ type, subject, data }) {
    console.log(`heard ${type} ${subject.split("/").slice(-2).join("/")} ${data.sum ?? data.class}`);
  },
};
"#;
    let project = elias_tests::build::Project::new(&[]);
    project.write("app.wasm", component(source));
    let config = "[capabilities.workers]\n[capabilities.events]\ntypes = [\"cart.*\"]\n\
                  [[triggers.event]]\ntype = \"**\"\n";
    project.write("elias.toml", config);
    let server = Server::of_project(project, "app.wasm", &[]);
    assert_eq!(server.get("/").await.body, "paid");
    server.logged("heard worker.started Cart/ada Cart").await;
    let log = server.logged("heard cart.paid Cart/ada 7").await;
    assert!(!log.contains("order.paid"), "the component may not publish it: {log}");
}
