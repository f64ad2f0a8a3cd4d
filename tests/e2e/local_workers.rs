//! Service workers of one project, through `elias dev` and `elias serve FILE`: called over HTTP, kept when the process
//! is killed.

use elias_tests::build::{Finish, Project, binary, component};
use elias_tests::platform::until;
use elias_tests::serve::{Answer, Server, example};
use elias_tests::terminal::Terminal;
use futures::future::{Either, select};
use http::Request;
use serde_json::json;
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::LazyLock;

const GRANT: &str = "[capabilities.workers]\n";

const SOURCE: &str = r#"
import { worker, workers } from "elias";

export class Counter extends worker.Worker {
  count = 0;
  seen = [];
  next = (() => { let hidden = 0; return () => ++hidden; })();

  add(n) {
    this.count += n;
    return { count: this.count, hidden: this.next() };
  }
  get() { return { count: this.count, seen: this.seen }; }
  fail() {
    this.count = -1;
    throw new TypeError("as told");
  }
  async failLater(other) {
    this.count = -1;
    await workers.get(Counter, other).add(1);
    throw new TypeError("as told, later");
  }
  // Passes the call on along the names, and counts on the way back.
  async pass(names) {
    const [first, ...others] = names;
    const sum = first === undefined ? 0 : await workers.get(Counter, first).pass(others);
    this.count += 1;
    return sum + 1;
  }
  async rest(ms) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.seen.push("rested");
    return this.count;
  }
  alarm(ms) { worker.after(ms, "ring"); }
  onAlarm({ name }) { this.seen.push(name); }
  onMessage(message) {
    this.seen.push(message);
    return new Map([["heard", message]]);
  }
}

export default {
  async fetch(request) {
    const { pathname, searchParams } = new URL(request.url);
    const [, name, method] = pathname.split("/");
    const counter = workers.get(Counter, name);
    const args = JSON.parse(searchParams.get("args") ?? "[]");
    try {
      if (method === "send") return Response.json([...await counter.send(args)]);
      return Response.json(await counter[method](...args) ?? null);
    } catch (error) {
      const { name, message, code } = error;
      return Response.json({ name, message, code, isTypeError: error instanceof TypeError }, { status: 500 });
    }
  },
  async job(job) {
    return workers.get("Counter", "jobs").add(job.input);
  },
};
"#;

/// Built once: a heap belongs to one build of a component, and of two in different folders the names differ.
static COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| component(SOURCE));

/// Serves the component with its workers in a folder.
fn serve(folder: &Path) -> Server {
    let project = Project::new(&[("elias.toml", GRANT)]);
    project.write("app.wasm", &*COMPONENT);
    Server::of_project(project, "app.wasm", &["--workers-dir", folder.to_str().expect("UTF-8")])
}

/// Asks for a path whose query may have quotes.
async fn ask(server: &Server, path: &str) -> Answer {
    server.get(&path.replace('"', "%22")).await
}

async fn json(server: &Server, path: &str) -> serde_json::Value {
    let answer = ask(server, path).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}\n{}", server.log());
    answer.json()
}

#[tokio::test]
async fn a_heap_survives_that_its_process_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    assert_eq!(json(&server, "/a/add?args=[5]").await, json!({ "count": 5, "hidden": 1 }));
    assert_eq!(json(&server, "/a/send?args=[7]").await, json!([["heard", [7]]]));
    json(&server, "/a/alarm?args=[1]").await;
    until("the alarm rings", async || (json(&server, "/a/get").await["seen"] == json!([[7], "ring"])).then_some(()))
        .await;
    // Without warning.
    drop(server);
    let server = serve(folder.path());
    assert_eq!(json(&server, "/a/add?args=[1]").await, json!({ "count": 6, "hidden": 2 }), "a closure is kept, too");
    assert_eq!(json(&server, "/a/get").await, json!({ "count": 6, "seen": [[7], "ring"] }));
    assert_eq!(json(&server, "/b/get").await, json!({ "count": 0, "seen": [] }));
}

#[tokio::test]
async fn a_handler_that_waits_goes_on_in_the_next_process() {
    let folder = tempfile::tempdir().expect("a folder");
    // Where the machine stalls until the timer is due, the handler is over before its process: then another waits
    // longer.
    for (name, ms) in [("a", 5_000), ("b", 10_000), ("c", 20_000)] {
        let server = serve(folder.path());
        json(&server, &format!("/{name}/add?args=[5]")).await;
        let asked = ask_and_kill(&server, folder.path(), name, &format!("/{name}/rest?args=[{ms}]")).await;
        drop(server);
        if asked.is_ok() {
            continue;
        }
        let server = serve(folder.path());
        let get = format!("/{name}/get");
        until("the timer fires", async || (json(&server, &get).await["seen"] == json!(["rested"])).then_some(())).await;
        return;
    }
    panic!("each handler was over before its process was killed");
}

/// Asks for a path, and kills the server as soon as a handler of the worker waits; the answer is lost then.
async fn ask_and_kill(
    server: &Server,
    folder: &Path,
    name: &str,
    path: &str,
) -> Result<Answer, Box<dyn std::error::Error>> {
    let asked = pin!(server.try_send(Request::get("/"), path, ""));
    let killed = pin!(async {
        until("the handler waits", async || is_waiting(folder, name).then_some(())).await;
        server.signal("-KILL");
    });
    match select(asked, killed).await {
        Either::Left((asked, _)) => asked,
        Either::Right(((), asked)) => asked.await,
    }
}

/// Whether a worker in a folder is kept with a handler that waits: a record of it says so.
fn is_waiting(folder: &Path, name: &str) -> bool {
    let files = std::fs::read_dir(folder).expect("it is there").flatten();
    let mut files = files.filter_map(|file| std::fs::read(file.path()).ok());
    files.any(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let mut records = text.split(r#"{"key":{"class":"Counter","name":""#);
        records.any(|record| record.starts_with(&format!("{name}\"")) && record.contains(r#""waiting":{"#))
    })
}

#[tokio::test]
async fn workers_call_each_other_and_a_cycle_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    assert_eq!(json(&server, r#"/a/pass?args=[["b","c"]]"#).await, json!(3));
    let refused = ask(&server, r#"/a/pass?args=[["b","c","a"]]"#).await;
    assert_eq!(refused.status, 500);
    let message = refused.json()["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("Counter/c -> Counter/a -> Counter/b -> Counter/c"), "{message}");
    for name in ["a", "b", "c"] {
        assert_eq!(json(&server, &format!("/{name}/get")).await["count"], 1, "each is as before the second call");
    }
}

#[tokio::test]
async fn a_message_that_throws_leaves_the_worker_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    json(&server, "/a/add?args=[5]").await;
    let thrown = |message: &str| json!({ "name": "TypeError", "message": message, "isTypeError": true });
    assert_eq!(server.get("/a/fail").await.json(), thrown("as told"));
    assert_eq!(json(&server, "/a/get").await["count"], 5);
    assert_eq!(ask(&server, r#"/a/failLater?args=["b"]"#).await.json(), thrown("as told, later"));
    assert_eq!(json(&server, "/a/get").await["count"], 5, "also after it has waited");
    assert_eq!(json(&server, "/b/get").await["count"], 1, "what the other was told stays");
    let missing = server.get("/a/onStart").await.json();
    assert!(missing["message"].as_str().expect("a message").contains("no such method"), "{missing}");
}

#[tokio::test]
async fn a_development_server_keeps_workers_in_the_project() {
    let terminal = Terminal::new();
    for (file, text) in [("elias.toml", GRANT), ("package.json", r#"{"name":"app"}"#), ("src/index.js", SOURCE)] {
        let path = terminal.path("app").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("written");
    }
    let app = terminal.path("app");
    let server = Server::develop(&app, &[]);
    assert!(!app.join(".elias/workers").exists(), "no worker was called yet");
    json(&server, "/a/add?args=[5]").await;
    drop(server);
    let server = Server::develop(&app, &[]);
    assert_eq!(json(&server, "/a/get").await["count"], 5);
    // Another version begins anew, since the closure of the former one cannot be copied, and that is said.
    std::fs::write(app.join("src/index.js"), SOURCE.replace("count = 0", "count = 100")).expect("written");
    server.logged_times("serving the new version", 2).await;
    let has_begun = async || (json(&server, "/a/get").await["count"] == 100).then_some(());
    until("the new version has the worker", has_begun).await;
    server.logged("the worker begins anew").await;
}

#[tokio::test]
async fn a_development_server_moves_workers_to_the_next_version() {
    let source = r#"
import { worker, workers } from "elias";
export class Cart extends worker.Worker {
  items = new Map();
  put(sku) { this.items.set(sku, true); return this.list(); }
  list() { return ["VERSION", ...this.items.keys()]; }
}
export default {
  async fetch(request) {
    const [, method, sku] = new URL(request.url).pathname.split("/");
    return Response.json(await workers.get(Cart, "a")[method](sku));
  },
};
"#;
    let terminal = Terminal::new();
    let app = terminal.path("app");
    std::fs::create_dir_all(app.join("src")).expect("the folder is ours");
    let first = source.replace("VERSION", "first");
    for (file, text) in [("elias.toml", GRANT), ("package.json", r#"{"name":"app"}"#), ("src/index.js", &first)] {
        std::fs::write(app.join(file), text).expect("written");
    }
    let server = Server::develop(&app, &[]);
    assert_eq!(json(&server, "/put/tea").await, json!(["first", "tea"]));
    std::fs::write(app.join("src/index.js"), source.replace("VERSION", "second")).expect("written");
    server.logged_times("serving the new version", 2).await;
    let has_moved = async || (json(&server, "/list").await == json!(["second", "tea"])).then_some(());
    until("the new version has the worker", has_moved).await;
    server.logged("the worker was moved to another version").await;
    // The next process has the new version's heap.
    drop(server);
    let server = Server::develop(&app, &[]);
    assert_eq!(json(&server, "/put/cup").await, json!(["second", "tea", "cup"]));
}

#[tokio::test]
async fn a_second_process_is_refused_the_folder_and_another_version_its_heaps() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    json(&server, "/a/add?args=[5]").await;
    let project = Project::new(&[("elias.toml", GRANT)]);
    project.write("app.wasm", component(&SOURCE.replace("count = 0", "count = 100")));
    let workers = folder.path().to_str().expect("UTF-8").to_owned();
    let config = project.path("elias.toml").to_str().expect("UTF-8").to_owned();
    let flags = ["--workers-dir", &workers, "--config", &config];
    let refused = elias_tests::serve::refused(&project.path("app.wasm"), &flags);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("in use by another process"), "{said}");
    drop(server);
    let server = Server::of_project(project, "app.wasm", &["--workers-dir", &workers]);
    let refused = server.get("/a/get").await.json();
    assert_eq!(refused["code"], "unavailable", "{refused}");
    assert!(refused["message"].as_str().expect("a message").contains("heap-mismatch"), "{refused}");
    assert_eq!(json(&server, "/b/get").await["count"], 100);
}

#[tokio::test]
async fn the_example_cart_reserves_from_the_stock() {
    let project = Project::new(&[]);
    let file = project.path("app.wasm");
    let mut build = Command::new(binary("elias-build"));
    let built =
        build.arg(example("cart").join("src/index.js")).arg("-o").arg(&file).finish().expect("elias-build starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::copy(example("cart").join("elias.toml"), project.path("elias.toml")).expect("copied");
    let server = Server::of_project(project, "app.wasm", &[]);
    let post = async |path: &str| server.send(Request::post("/"), path, "").await;
    assert_eq!(post("/carts/ada/cup?n=2").await.json(), json!({ "cup": 2 }));
    assert_eq!(post("/carts/bo/tea").await.json(), json!({ "tea": 1 }));
    let refused = post("/carts/bo/cup?n=2").await;
    assert_eq!((refused.status, refused.body.as_str()), (409, "1 of cup are left, not 2\n"));
    assert_eq!(json(&server, "/carts/bo").await, json!({ "tea": 1 }), "the cart is as it was before");
    assert_eq!(json(&server, "/stock/cup").await, json!({ "left": 1 }));
    assert_eq!(post("/carts/bo/cup").await.json(), json!({ "cup": 1, "tea": 1 }));
    assert_eq!(server.get("/nothing").await.status, 404);
}
