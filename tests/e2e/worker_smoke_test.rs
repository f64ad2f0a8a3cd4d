//! The smoke test of a version that calls service workers: they are of that version, and gone with the test.

use elias_tests::build::component;
use elias_tests::platform::Platform;
use elias_tests::tenant::{Tenant, service};
use serde_json::{Value, json};

/// `start` and `add` are what the worker does then; GET of any path calls it.
fn source(start: &str, add: &str) -> Vec<u8> {
    let source = r#"
import { worker, workers } from "elias";

export class Counter extends worker.Worker {
  count = 0;
  async onStart() { START }
  async add() {
    ADD
    this.count += 1;
    await workers.get(Audit, "all").note(this.count);
    return this.count;
  }
}

export class Audit extends worker.Worker {
  noted = [];
  note(count) { this.noted.push(count); }
  list() { return this.noted; }
}

export default {
  async fetch(request) {
    if (new URL(request.url).pathname === "/audit") return Response.json(await workers.get(Audit, "all").list());
    return Response.json(await workers.get(Counter, "all").add());
  },
};
"#;
    component(&source.replace("START", start).replace("ADD", add))
}

fn settings(more: Value) -> Value {
    let mut settings = json!({ "capabilities": { "workers": {} } });
    for (key, value) in more.as_object().expect("an object") {
        settings[key] = value.clone();
    }
    settings
}

async fn deployment_is_refused(team: &Tenant<'_>, bytes: &[u8], more: Value) -> String {
    let number = team.version("shop", bytes, settings(more)).await;
    let path = service("shop", "production", "/deployments");
    let (code, detail) = team.refused("POST", &path, json!({ "version": number })).await;
    assert_eq!(code, "smoke-failed", "{detail}");
    detail
}

#[tokio::test]
async fn a_smoke_test_calls_workers_of_its_own() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let workers = service("shop", "production", "/workers");
    let first = source("", "");

    // Nothing serves yet, and nothing is left of the test.
    assert_eq!(team.serve("shop", &first, settings(json!({}))).await, 1);
    let listed = team.done("GET", &workers, Value::Null).await;
    assert_eq!(listed["items"], json!([]), "{listed}");
    assert_eq!(team.get("shop", "/").await.json(), 1);

    // The live workers are not called by what is tested: neither if it passes nor if it does not.
    assert_eq!(team.serve("shop", &source("", "this.second = true;"), settings(json!({}))).await, 2);
    assert_eq!(team.get("shop", "/audit").await.json(), json!([1]));
    assert_eq!(team.get("shop", "/").await.json(), 2);
    let detail = deployment_is_refused(&team, &source("throw new Error('no start');", ""), json!({})).await;
    assert!(detail.contains("no start"), "{detail}");
    assert_eq!(team.get("shop", "/audit").await.json(), json!([1, 2]));
    assert_eq!(team.get("shop", "/").await.json(), 3);
}

#[tokio::test]
async fn a_worker_that_does_not_answer_ends_the_smoke_test_at_its_deadline() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    let waits = source("", "await new Promise((resolve) => setTimeout(resolve, 3_600_000));");
    deployment_is_refused(&team, &waits, json!({ "limits": { "deadline-ms": 1_000 } })).await;
    // Its places in memory are free again.
    assert_eq!(team.serve("shop", &source("", ""), settings(json!({}))).await, 2);
    assert_eq!(team.get("shop", "/").await.json(), 1);
}
