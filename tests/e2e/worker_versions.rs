//! Turns that a host begins for itself: a worker moves into another version of its component, is looked at, says how it
//! is, and has sockets.

use crate::workers::{call, load, moved, run, started, turn};
use elias_host::{
    ErrorCode, SocketAction, SocketContent, SocketKind, SocketRequest, SocketSend, TurnKind, TurnState, Worker,
};
use elias_tests::build::component;
use serde_json::json;

const OLD: &str = r#"
import { worker, workers } from "elias";

export class Item {
  constructor(sku, count) { this.sku = sku; this.count = count; }
  twice() { return this.count * 2; }
}

export class Cart extends worker.Worker {
  items = new Map();
  #secret = 1;

  onStart(context) { context.started = "then"; }
  add(sku, count) {
    this.items.set(sku, new Item(sku, count));
    this.last = this.items.get(sku);
    worker.after(60_000, "expire");
    return this.items.size;
  }
  remind() { setTimeout(() => {}, 60_000); }
  keep(sku) { Object.assign(this.items.get(sku), { callback() {} }); }
  async wait() { return workers.get("Stock", "all").left(); }
  onHealth() { return this.items.size < 2; }
}
"#;

const NEW: &str = r#"
import { worker } from "elias";

export class Item {
  twice() { return this.count * 20; }
}

export class Cart extends worker.Worker {
  items = new Map();
  since = "now";

  onStart() { throw new Error("it was started before"); }
  state() {
    const item = this.items.get("A1");
    return [item.twice(), this.last === item, item instanceof Item, this.since];
  }
  cancel(name) { return worker.cancel(name); }
  onMessage(message, context) { return [context.started]; }
}
"#;

/// Runs a turn; its answer.
async fn answer(worker: &mut Worker, kind: TurnKind) -> String {
    let name = format!("{kind:?}");
    let outcome = run(worker, &turn(kind)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    outcome.result.answer.unwrap_or_else(|| panic!("{name} has an answer"))
}

/// A worker of the old version that holds something, and its state.
async fn exported() -> (Worker, String) {
    let mut worker = started(&load(&component(OLD)).await).await;
    call(&mut worker, "add", json!(["A1", 2])).await;
    call(&mut worker, "remind", json!([])).await;
    worker.commit();
    let state = answer(&mut worker, TurnKind::Export).await;
    worker.undo();
    (worker, state)
}

#[tokio::test]
async fn a_worker_moves_into_another_version() {
    let (mut old, state) = exported().await;
    let new = load(&component(NEW)).await;
    let mut worker = new.start_worker().expect("it has workers");
    let kind = TurnKind::Upgrade { version: "1.0.0".to_owned(), state };
    let outcome = run(&mut worker, &turn(kind)).await.expect("it moves");
    assert!(outcome.result.state == TurnState::Done && outcome.result.timers.set.is_empty(), "{outcome:?}");
    worker.commit();
    assert_eq!(call(&mut worker, "state", json!([])).await, json!([40, true, true, "now"]));
    assert_eq!(
        answer(&mut worker, TurnKind::Message { message: "[1,1]".to_owned() }).await,
        r#"[1,[2],["array","then"]]"#
    );
    let cancel = TurnKind::Call { method: "cancel".to_owned(), args: r#"[1,[2],["array","expire"]]"#.to_owned() };
    let alarms = run(&mut worker, &turn(cancel)).await.expect("it is cancelled").result.timers.alarm;
    assert_eq!(alarms.iter().map(|alarm| (&*alarm.name, alarm.at)).collect::<Vec<_>>(), [("expire", None)]);
    // The one that it was is as it was.
    assert_eq!(call(&mut old, "add", json!(["B1", 1])).await, 2);
}

#[tokio::test]
async fn an_upgrade_that_fails_changes_nothing() {
    let (mut old, state) = exported().await;
    let without_item = NEW.replace("export class Item", "class Item");
    let throws = NEW.replace(
        "onStart() {",
        "onUpgrade({ version }) { throw new RangeError(`not from ${version}`); }\n  onStart() {",
    );
    for (source, message) in [(without_item, "objects of the class Item"), (throws, "not from 1.0.0")] {
        let mut worker = load(&component(&source)).await.start_worker().expect("it has workers");
        let kind = TurnKind::Upgrade { version: "1.0.0".to_owned(), state: state.clone() };
        let error = run(&mut worker, &turn(kind)).await.expect_err("it does not move");
        assert_eq!(error.code(), ErrorCode::Exception, "{error}");
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(worker.heap().pages().len(), 0, "{message}");
    }
    // What cannot be cloned is named.
    call(&mut old, "keep", json!(["A1"])).await;
    old.commit();
    let heap = old.heap();
    let error = run(&mut old, &turn(TurnKind::Export)).await.expect_err("a function cannot be cloned");
    assert!(error.to_string().contains("it is fields.last.callback"), "{error}");
    assert!(old.heap() == heap);
    assert_eq!(call(&mut old, "add", json!(["B1", 1])).await, 2);
}

#[tokio::test]
async fn a_worker_is_looked_at_and_says_how_it_is() {
    let mut worker = started(&load(&component(OLD)).await).await;
    call(&mut worker, "add", json!(["A1", 2])).await;
    call(&mut worker, "keep", json!(["A1"])).await;
    worker.commit();
    let shown = answer(&mut worker, TurnKind::Inspect).await;
    worker.undo();
    for part in [r#""class":"Cart","name":"user-42""#, r#""callback":"[Function callback]""#, r#""started":"then""#] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(answer(&mut worker, TurnKind::Health).await, "[1,true]");
    call(&mut worker, "add", json!(["B1", 2])).await;
    assert_eq!(answer(&mut worker, TurnKind::Health).await, "[1,false]");
    // Also while a handler waits, which no other of these turns can be run in.
    let wait = TurnKind::Call { method: "wait".to_owned(), args: r#"[1,[2],["array"]]"#.to_owned() };
    assert_eq!(run(&mut worker, &turn(wait)).await.expect("it waits").result.state, TurnState::Waiting);
    worker.commit();
    let outcome = run(&mut worker, &turn(TurnKind::Inspect)).await.expect("it is shown");
    assert_eq!(outcome.result.state, TurnState::Waiting);
    assert!(outcome.result.answer.expect("it is shown").contains(r#""sku":"B1""#));
    worker.undo();
    for kind in [TurnKind::Export, TurnKind::Health] {
        let error = run(&mut worker, &turn(kind)).await.expect_err("a handler waits");
        assert!(error.to_string().contains("waits in the turn"), "{error}");
    }
}

const ROOM: &str = r#"
import { worker } from "elias";

export class Cart extends worker.Worker {
  left = [];
  onOpen(socket, { url, headers, protocol }) {
    socket.data.name = headers.get("x-name");
    socket.send([new URL(url).pathname, protocol].join());
  }
  onWebSocketMessage(socket, message) {
    if (message === "leave") return socket.close(4000, "as told");
    const told = typeof message === "string" ? `${socket.data.name}: ${message}` : message;
    for (const other of this.sockets) other.send(told);
  }
  onClose(socket, code, reason) { this.left.push(socket.data.name, code, reason); }
  seen() { return [this.left.join(), this.sockets.length]; }
}
"#;

/// Runs a turn of a socket; what it sends.
async fn sent(worker: &mut Worker, kind: TurnKind) -> Vec<SocketSend> {
    let outcome = run(worker, &turn(kind)).await.expect("it ends well");
    worker.commit();
    outcome.result.sockets
}

#[tokio::test]
async fn the_sockets_of_a_worker_survive_its_host() {
    let component = component(ROOM);
    let mut worker = started(&load(&component).await).await;
    let text = str::to_owned;
    let to = |socket: &str, action| SocketSend { socket: text(socket), action };
    for (socket, name) in [("s1", "ada"), ("s2", "bo")] {
        let request = SocketRequest {
            url: text("http://chat.example/rooms/a"),
            headers: vec![(text("X-Name"), text(name))],
            protocol: text("chat"),
            kind: SocketKind::WebSocket,
        };
        let open = TurnKind::Open { socket: text(socket), request };
        assert_eq!(sent(&mut worker, open).await, [to(socket, SocketAction::Text(text("/rooms/a,chat")))]);
    }
    let mut worker = moved(worker, &component).await;
    let message = |socket: &str, content| TurnKind::SocketMessage { socket: text(socket), content };
    let hello = message("s1", SocketContent::Text(text("hello")));
    let all = |action: SocketAction| [to("s1", action.clone()), to("s2", action)];
    assert_eq!(sent(&mut worker, hello).await, all(SocketAction::Text(text("ada: hello"))));
    let bytes = message("s2", SocketContent::Bytes(text("AP8=")));
    assert_eq!(sent(&mut worker, bytes).await, all(SocketAction::Bytes(text("AP8="))));
    let leave = message("s1", SocketContent::Text(text("leave")));
    let close = SocketAction::Close { code: 4000, reason: text("as told") };
    assert_eq!(sent(&mut worker, leave).await, [to("s1", close)]);
    let gone = |socket: &str| TurnKind::Close { socket: text(socket), code: 1001, reason: text("going away") };
    for socket in ["s1", "s2"] {
        assert!(sent(&mut worker, gone(socket)).await.is_empty(), "{socket}");
    }
    assert_eq!(call(&mut worker, "seen", json!([])).await, json!(["bo,1001,going away", 0]));
}
