//! elias/client and elias/clients: calls and subscriptions that go on when the host is killed.

use super::GRANT;
use super::clients::Client;
use elias_tests::build::{Project, component};
use elias_tests::serve::Server;
use std::path::Path;
use std::sync::LazyLock;

const SOURCE: &str = r#"
import { worker, workers } from "elias";
import { clientsOf } from "elias/clients";

export class Room extends clientsOf(worker.Worker) {
  static methods = ["add", "fail", "never"];
  static topics = ["added"];
  all = new Map();
  authenticate(credentials) {
    if (credentials !== "secret") throw new RangeError("no");
    return "ada";
  }
  add(sku, n) {
    this.all.set(sku, (this.all.get(sku) ?? 0) + n);
    this.publish("added", { by: this.client?.user ?? "nobody", all: this.all });
    return this.all;
  }
  fail(message) {
    throw new TypeError(message);
  }
  never() {
    return new Promise(() => {});
  }
}
export default {
  fetch: async () => Response.json([...await workers.get(Room, "a").add("cup", 1)]),
};
"#;

static BUILT: LazyLock<Vec<u8>> = LazyLock::new(|| component(SOURCE));

fn serve(folder: &Path) -> Server {
    let project = Project::new(&[("elias.toml", GRANT)]);
    project.write("app.wasm", &*BUILT);
    Server::of_project(project, "app.wasm", &["--workers-dir", folder.to_str().expect("UTF-8")])
}

/// What the client says next, states left out.
fn said(client: &mut Client) -> String {
    loop {
        let line = client.line();
        assert!(line != "state reset" && line != "state closed", "{line}");
        if !line.starts_with("state ") {
            return line;
        }
    }
}

#[tokio::test]
async fn calls_and_subscriptions_go_on_when_the_host_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let mut client = Client::start("elias-client.mjs", &server, "/workers/Room/a", None);
    client.command("subscribe added");
    assert!(said(&mut client).starts_with("answer "));
    client.command(r#"call add ["tea",2]"#);
    assert_eq!(said(&mut client), r#"event {"by":"ada","all":[["tea",2]]}"#);
    assert_eq!(said(&mut client), r#"answer [["tea",2]]"#);
    client.command(r#"call fail ["as told"]"#);
    assert_eq!(said(&mut client), "error TypeError: as told");
    client.command("call all []");
    assert_eq!(said(&mut client), "error TypeError: clients cannot call all");
    // Without warning.
    drop(server);
    assert_eq!(client.line(), "state waiting");
    client.command(r#"call add ["tea",1]"#);
    let server = serve(folder.path());
    // Of what is published while the client is away it gets the value when it is back.
    assert_eq!(server.get("/").await.body, r#"[["tea",2],["cup",1]]"#);
    client.command(&format!("url ws://{}/workers/Room/a", server.address));
    assert_eq!(said(&mut client), r#"event {"by":"nobody","all":[["tea",2],["cup",1]]}"#);
    assert_eq!(said(&mut client), r#"event {"by":"ada","all":[["tea",3],["cup",1]]}"#);
    assert_eq!(said(&mut client), r#"answer [["tea",3],["cup",1]]"#);
}

#[tokio::test]
async fn a_call_that_the_worker_fails_to_handle_is_rejected_and_the_next_one_is_handled() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serve(folder.path());
    let mut client = Client::start("elias-client.mjs", &server, "/workers/Room/b", None);
    client.command(r#"call add ["tea",2]"#);
    assert_eq!(said(&mut client), r#"answer [["tea",2]]"#);
    client.command("call never []");
    client.command(r#"call add ["tea",1]"#);
    assert_eq!(said(&mut client), "error ClosedError: the worker failed to handle this");
    assert_eq!(said(&mut client), r#"answer [["tea",3]]"#);
}
