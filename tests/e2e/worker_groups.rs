//! Groups of service workers, supervision trees and checks of their health, through `elias serve FILE` and on a
//! platform.

use elias_tests::build::{Project, component};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::Server;
use elias_tests::tenant::service;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CONFIG: &str = r#"
[capabilities.workers]

[workers.health]
interval = "1s"
threshold = 1

[[workers.group]]
name = "pool"
class = "Resizer"
size = 3

[[workers.tree]]
name = "ingest"
strategy = "one-for-all"
children = [{ class = "Reader", name = "in" }, { class = "Writer", name = "out" }]
failures = 1
window = "1d"
"#;

const SOURCE: &str = r#"
import { worker, workers } from "elias";

export class Resizer extends worker.Worker {
  resize() { return worker.name; }
  viaAnother() { return workers.get(Resizer, "pool", { key: "ada" }).resize(); }
}

export class Reader extends worker.Worker {
  isBroken = false;
  spoil() { this.isBroken = true; }
  onHealth() {
    if (this.isBroken) throw new Error("no disk");
  }
}

export class Writer extends worker.Worker {
  written = 0;
  write() { return (this.written += 1); }
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const [, className, name, method] = pathname.split("/");
    const key = searchParams.get("key") ?? undefined;
    try {
      return Response.json((await workers.get(className, decodeURIComponent(name), { key })[method]()) ?? null);
    } catch (error) {
      return Response.json({ message: error.message, code: error.code }, { status: 500 });
    }
  },
};
"#;

fn serve() -> Server {
    let project = Project::new(&[("elias.toml", CONFIG)]);
    project.write("app.wasm", component(SOURCE));
    Server::of_project(project, "app.wasm", &[])
}

async fn json(server: &Server, path: &str) -> Value {
    let answer = server.get(path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}\n{}", server.log());
    answer.json()
}

#[tokio::test]
async fn messages_to_a_group_are_for_its_members_in_turn_or_by_key() {
    let server = serve();
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(json(&server, "/Resizer/pool/resize").await);
    }
    assert_eq!(names, ["pool#1", "pool#2", "pool#3", "pool#1", "pool#2", "pool#3"]);
    let of_key = json(&server, "/Resizer/pool/resize?key=ada").await;
    for _ in 0..2 {
        assert_eq!(json(&server, "/Resizer/pool/resize?key=ada").await, of_key);
    }
    assert_eq!(json(&server, "/Resizer/alone/viaAnother").await, of_key, "a worker calls the same one");
    let mut members = BTreeSet::new();
    for key in 0..30 {
        members.insert(json(&server, &format!("/Resizer/pool/resize?key=user-{key}")).await.to_string());
    }
    assert_eq!(members.len(), 3, "{members:?}");
}

#[tokio::test]
async fn a_worker_that_is_not_well_is_restarted_with_its_tree_which_is_given_up_in_the_end() {
    let server = serve();
    for written in [1, 2, 3] {
        assert_eq!(json(&server, "/Writer/out/write").await, json!(written));
    }
    json(&server, "/Reader/in/spoil").await;
    // A message that comes while the worker is stopped fails.
    let is_anew = async || {
        let answer = server.get("/Writer/out/write").await;
        (answer.status == 200 && answer.json() == json!(1)).then_some(())
    };
    until("the other one begins anew, too", is_anew).await;
    let spoil = async || (server.get("/Reader/in/spoil").await.status == 200).then_some(());
    until("the first one is there", spoil).await;
    let is_given_up = async || {
        let answer = server.get("/Writer/out/write").await;
        (answer.status == 500 && answer.json()["message"].as_str()?.contains("ingest was given up")).then_some(answer)
    };
    let refused = until("the tree is given up", is_given_up).await.json();
    assert_eq!(refused["code"], "failed", "{refused}");
    let why = refused["message"].as_str().expect("a message");
    assert!(why.contains("Reader/in") && why.contains("no disk"), "{why}");
    assert_eq!(json(&server, "/Resizer/pool/resize").await, "pool#1", "others do not matter");
}

#[tokio::test]
async fn workers_of_a_platform_are_listed_by_class_tag_and_health() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let group = json!([{ "name": "pool", "class": "Resizer", "size": 2 }]);
    let table = json!({ "tags": { "Resizer": ["edge"] }, "group": group, "health": { "interval": "1s" } });
    let bytes = component(SOURCE);
    let settings = json!({ "workers": table, "capabilities": { "workers": {} }, "smoke": { "path": "" } });
    team.serve("shop", &bytes, settings).await;
    let path = |rest: &str| service("shop", "production", &format!("/workers{rest}"));
    let (resize, write) = (json!({ "method": "resize" }), json!({ "method": "write" }));
    for name in ["pool#1", "pool#2"] {
        let answer = team.done("POST", &path("/Resizer/pool/messages"), resize.clone()).await;
        assert_eq!(answer["answer"], name, "{answer}");
    }
    team.done("POST", &path("/Writer/one/messages"), write).await;
    let list = async |query: &str| {
        let listed = team.done("GET", &path(query), Value::Null).await;
        let names = listed["items"].as_array().expect("a list").iter().map(|one| one["name"].as_str());
        names.map(|name| name.expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list("").await, ["pool#1", "pool#2", "one"]);
    assert_eq!(list("?tag=edge").await, ["pool#1", "pool#2"]);
    assert_eq!(list("?class=Writer").await, ["one"]);
    for nothing in ["?class=Writer&tag=edge", "?tag=cold", "?health=unhealthy"] {
        assert!(list(nothing).await.is_empty(), "{nothing}");
    }
    let page = team.done("GET", &path("?class=Resizer&limit=1"), Value::Null).await;
    let next = page["next"].as_str().expect("there is another").bytes();
    let next: String = next.map(|byte| format!("%{byte:02X}")).collect();
    assert_eq!(list(&format!("?class=Resizer&limit=1&after={next}")).await, ["pool#2"]);
    until("all are checked", async || (list("?health=healthy").await.len() == 3).then_some(())).await;
    let shown = team.done("GET", &path("/Resizer/pool%231"), Value::Null).await;
    assert_eq!((&shown["tags"], &shown["given_up"]), (&json!(["edge"]), &Value::Null), "{shown}");
    assert_eq!(team.refused("POST", &path("/Resizer/pool/start"), json!({})).await.0, "bad-input");
    for name in ["pool", "pool/ada"] {
        let (code, detail) = team.refused("POST", &path("/Resizer/pool%231/fork"), json!({ "name": name })).await;
        assert!(code == "bad-input" && detail.contains("a member of the group `pool`"), "{name}: {code}: {detail}");
    }
    let settings = json!({ "workers": { "tags": { "Cart": ["edge"] } }, "capabilities": { "workers": {} } });
    let version = json!({ "digest": team.upload(&bytes).await, "settings": settings });
    let (code, detail) = team.refused("POST", "/components/shop/versions", version).await;
    assert!(code == "bad-input" && detail.contains("worker class Cart"), "{code}: {detail}");
}
