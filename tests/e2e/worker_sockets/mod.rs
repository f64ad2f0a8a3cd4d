//! WebSockets that end in service workers, by two independent clients and by frames as they are on the wire; and
//! examples/chat, whose host is killed and whose code is exchanged.

mod clients;
mod resumed;
mod wire;

use clients::{Client, PROGRAMS};
use elias_tests::build::{Finish, Project, binary, component};
use elias_tests::platform::until;
use elias_tests::serve::{Server, example};
use elias_tests::terminal::Terminal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

const GRANT: &str = "[capabilities.workers]\n";

const ECHO: &str = r#"
import { worker, workers } from "elias";

export class Echo extends worker.Worker {
  closes = [];
  onOpen(socket, { protocol }) {
    if (protocol === "unknown") throw new RangeError("no such protocol");
  }
  onWebSocketMessage(socket, message) {
    if (message === "bye") return socket.close(3001, "as told");
    if (message === "throw") throw new Error("no");
    socket.send(message);
  }
  onClose(_, code, reason) {
    this.closes.push([code, reason]);
  }
  show() {
    return { open: this.sockets.length, closes: this.closes };
  }
}
export class Deaf extends worker.Worker {}
export default {
  fetch: async (request) => Response.json(await workers.get(Echo, new URL(request.url).pathname.slice(1)).show()),
};
"#;

static ECHO_COMPONENT: LazyLock<Vec<u8>> = LazyLock::new(|| component(ECHO));

fn echo(flags: &[&str]) -> Server {
    let project = Project::new(&[("elias.toml", GRANT)]);
    project.write("app.wasm", &*ECHO_COMPONENT);
    Server::of_project(project, "app.wasm", flags)
}

/// The worker's sockets, and with what the others were closed.
async fn show(server: &Server, name: &str) -> Value {
    server.get(&format!("/{name}")).await.json()
}

#[tokio::test]
async fn two_independent_clients_have_the_same_conversation() {
    let server = echo(&[]);
    for program in PROGRAMS {
        let mut client = Client::start(program, &server, "/workers/Echo/talk", Some("chat.1"));
        let opened = client.line();
        assert!(opened.starts_with("open chat.1 ") && opened.contains("permessage-deflate"), "{program}: {opened}");
        for (command, answer) in [
            ("text hello", "text hello"),
            ("text ", "text"),
            ("text κόσμε 𝄞", "text κόσμε 𝄞"),
            ("hex 00ff10", "hex 00ff10"),
            ("fragments one two three", "text onetwothree"),
            ("ping", "pong"),
            ("size 127", &format!("text {}", "x".repeat(127))),
            ("size 65536", "size 65536"),
            ("size 786432", "size 786432"),
        ] {
            client.command(command);
            assert_eq!(client.line(), answer, "{program}: {command}");
        }
        client.command("close 3000 done");
        assert_eq!(client.line(), "closed 3000 done", "{program}");
    }
    let closed = || async { (show(&server, "talk").await["closes"].as_array()?.len() == 2).then_some(()) };
    until("the worker knows", closed).await;
    assert_eq!(show(&server, "talk").await, json!({ "open": 0, "closes": [[3000, "done"], [3000, "done"]] }));
}

#[tokio::test]
async fn what_exceeds_a_bound_and_what_the_worker_decides_closes_a_socket() {
    let server = echo(&[]);
    for program in PROGRAMS {
        for (command, closed) in [
            ("size 786433", "closed 1009 "),
            ("size 5000000", "closed 1009 "),
            ("text bye", "closed 3001 as told"),
            ("text throw", "closed 1011 "),
        ] {
            let mut client = Client::start(program, &server, "/workers/Echo/bounds", None);
            assert!(client.line().starts_with("open - "), "{program}");
            client.command(command);
            let line = client.line();
            assert!(line.starts_with(closed), "{program}, {command}: {line}");
        }
    }
    until("all are closed", async || (show(&server, "bounds").await["open"] == 0).then_some(())).await;
    let codes = show(&server, "bounds").await;
    let codes: Vec<u64> =
        codes["closes"].as_array().expect("a list").iter().filter_map(|one| one[0].as_u64()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 1009).count(), 4, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 1011).count(), 2, "{codes:?}");
    assert_eq!(codes.len(), 6, "none for those that the worker closed: {codes:?}");
}

#[tokio::test]
async fn a_socket_that_is_refused_is_a_response_of_http() {
    let server = echo(&[]);
    for program in PROGRAMS {
        for (path, protocol, status) in [
            ("/workers/Echo/refused", Some("unknown"), "403"),
            ("/workers/Deaf/a", None, "403"),
            ("/workers/Missing/a", None, "404"),
            ("/workers/Echo", None, "404"),
            ("/workers/Echo/", None, "404"),
            ("/workers/Echo/a/b", None, "404"),
            ("/elsewhere", None, "501"),
        ] {
            let mut client = Client::start(program, &server, path, protocol);
            assert_eq!(client.line(), format!("refused {status}"), "{program}: {path}");
        }
    }
    for (fields, code) in [
        ("sec-websocket-version: 13", "socket-handshake"),
        ("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 8", "socket-version"),
        ("sec-websocket-key: a\r\nsec-websocket-version: 13\r\norigin: http://evil.test", "socket-origin"),
    ] {
        let head =
            "GET /workers/Echo/a HTTP/1.1\r\nhost: here.test\r\nupgrade: websocket\r\nconnection: upgrade, close";
        let answer = server.raw(format!("{head}\r\n{fields}\r\n\r\n").as_bytes()).await;
        assert!(answer.contains(&format!(r#""code":"{code}""#)), "{answer}");
        assert_eq!(answer.contains("sec-websocket-version: 13"), code == "socket-version", "{answer}");
    }
    assert_eq!(show(&server, "refused").await, json!({ "open": 0, "closes": [] }));
}

#[tokio::test]
async fn a_server_that_stops_closes_its_sockets_and_the_workers_know() {
    let folder = tempfile::tempdir().expect("a folder");
    let flags = ["--workers-dir", folder.path().to_str().expect("UTF-8")];
    let mut server = echo(&flags);
    let mut clients: Vec<_> =
        PROGRAMS.into_iter().map(|program| Client::start(program, &server, "/workers/Echo/stop", None)).collect();
    for client in &mut clients {
        assert!(client.line().starts_with("open "));
    }
    server.signal("-TERM");
    for client in &mut clients {
        assert!(client.line().starts_with("closed 1001 "));
    }
    assert_eq!(server.ended().await, Some(0));
    let server = echo(&flags);
    let closes = show(&server, "stop").await;
    assert_eq!(closes["open"], 0);
    let codes: Vec<_> = closes["closes"].as_array().expect("a list").iter().map(|close| &close[0]).collect();
    assert_eq!(codes, [1001; PROGRAMS.len()], "{closes}");
}

/// What a client of the chat is told, without who comes and goes.
fn said(client: &mut Client) -> Value {
    loop {
        let line = client.line();
        let text = line.strip_prefix("text ").unwrap_or_else(|| panic!("no text: {line}"));
        let event: Value = serde_json::from_str(text).expect("JSON");
        if event.get("joined").is_none() && event.get("left").is_none() {
            return event;
        }
    }
}

/// Two clients, by both programs, that are in the room.
fn join(server: &Server) -> [Client; 2] {
    let names = ["ada", "bo"];
    [0, 1].map(|at| {
        let mut client = Client::start(PROGRAMS[at], server, &format!("/workers/Room/a?as={}", names[at]), None);
        assert!(client.line().starts_with("open "), "{}", server.log());
        assert_eq!(said(&mut client)["here"], json!(names[..=at]));
        client
    })
}

fn speak(clients: &mut [Client; 2], by: usize, text: &str) {
    clients[by].command(&format!("text {text}"));
    let from = ["ada", "bo"][by];
    for client in clients {
        assert_eq!(said(client), json!({ "from": from, "text": text }));
    }
}

fn build_chat(to: &Path) {
    let mut build = Command::new(binary("elias-build"));
    let built = build.arg(example("chat").join("src/index.js")).arg("-o").arg(to).finish().expect("elias-build starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

#[tokio::test]
async fn the_example_chat_survives_that_its_host_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = folder.path().join("chat.wasm");
    build_chat(&built);
    let serve = || {
        let project = Project::new(&[("elias.toml", GRANT)]);
        project.write("app.wasm", std::fs::read(&built).expect("it was built"));
        let heaps = folder.path().join("workers");
        Server::of_project(project, "app.wasm", &["--workers-dir", heaps.to_str().expect("UTF-8")])
    };
    let server = serve();
    assert!(server.get("/").await.body.contains("<title>Chat</title>"));
    let mut clients = join(&server);
    speak(&mut clients, 0, "hello");
    speak(&mut clients, 1, "hi");
    // Without warning.
    drop(server);
    for client in &mut clients {
        let line = client.line();
        assert!(line.starts_with("closed 1006"), "{line}");
    }
    let server = serve();
    let last = json!([{ "from": "ada", "text": "hello" }, { "from": "bo", "text": "hi" }]);
    assert_eq!(server.get("/rooms/a").await.json(), json!({ "here": [], "last": last }), "nobody is there any more");
    let mut clients = join(&server);
    speak(&mut clients, 1, "again");
    let room = server.get("/rooms/a").await.json();
    assert_eq!((&room["here"], room["last"].as_array().map(Vec::len)), (&json!(["ada", "bo"]), Some(3)));
}

#[tokio::test]
async fn the_sockets_of_the_example_chat_survive_that_its_code_is_exchanged() {
    let terminal = Terminal::new();
    let app = terminal.path("app");
    std::fs::create_dir_all(app.join("src")).expect("the folder is ours");
    for file in ["elias.toml", "package.json", "src/index.js", "src/page.html"] {
        std::fs::copy(example("chat").join(file), app.join(file)).expect("copied");
    }
    let server = Server::develop(&app, &[]);
    let mut clients = join(&server);
    speak(&mut clients, 0, "hello");
    let source = std::fs::read_to_string(app.join("src/index.js")).expect("it is there");
    let changed = source.replace(
        "    const said = { from: socket.data.name, text: message };",
        "    const said = { from: socket.data.name, text: message.toUpperCase() };",
    );
    assert_ne!(source, changed);
    std::fs::write(app.join("src/index.js"), changed).expect("written");
    until("the new version answers", async || {
        clients[1].command("text hi");
        let [one, other] = clients.each_mut().map(said);
        assert_eq!(one, other);
        (one == json!({ "from": "bo", "text": "HI" })).then_some(())
    })
    .await;
    assert_eq!(server.get("/rooms/a").await.json()["here"], json!(["ada", "bo"]));
}
