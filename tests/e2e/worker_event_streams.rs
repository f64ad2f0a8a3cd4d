//! Streams of server-sent events from service workers, of a project and of a platform.

use elias_tests::build::{Project, component};
use elias_tests::platform::{Platform, until};
use elias_tests::serve::{PATIENCE, Server};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::LazyLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOURCE: &str = r#"
import { worker } from "elias";

export class Feed extends worker.Worker {
  posts = [];
  closes = [];
  onEventStream(stream, { url, lastEventId }) {
    if (url.endsWith("no")) throw new RangeError("as told");
    for (let at = Number(lastEventId); at < this.posts.length; at += 1) stream.send(this.posts[at], { id: at + 1 });
  }
  onMessage(text) {
    const id = this.posts.push(text);
    for (const stream of this.sockets) {
      stream.send(text, { event: "post", id });
      if (text === "end") stream.close();
    }
    return this.sockets.length;
  }
  onClose(stream, code) { this.closes.push([stream.kind, code]); }
  view() { return { open: this.sockets.length, closes: this.closes }; }
}
export class Mute extends worker.Worker {}

export default { fetch() { return new Response("up"); } };
"#;

static BUILT: LazyLock<Vec<u8>> = LazyLock::new(|| component(SOURCE));

fn gateway() -> Value {
    let worker = |class: &str| json!({ "class": class, "name": "all", "method": "view", "events": true });
    json!({ "routes": [
        { "path": "/" },
        { "path": "/feed", "worker": worker("Feed") },
        { "path": "/mute", "worker": worker("Mute") },
        { "path": "/plain", "worker": { "class": "Feed", "name": "all", "method": "view" } },
    ] })
}

/// A response that goes on.
struct Stream {
    connection: TcpStream,
    read: String,
}

impl Stream {
    /// Asks for events; the header section is read.
    async fn open(address: SocketAddr, host: &str, target: &str, last: &str) -> Self {
        let mut connection = TcpStream::connect(address).await.expect("it listens");
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: {host}\r\naccept: text/event-stream\r\nlast-event-id: {last}\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).await.expect("it reads");
        let mut stream = Self { connection, read: String::new() };
        stream.until("\r\n\r\n").await;
        stream
    }

    /// Reads until this has come, or to the end of the connection.
    async fn until(&mut self, part: &str) -> &str {
        while !self.read.contains(part) {
            let mut bytes = vec![0; 1_024];
            let read = timeout(PATIENCE, self.connection.read(&mut bytes)).await.expect("it comes");
            match read {
                Ok(count) if count > 0 => self.read.push_str(std::str::from_utf8(&bytes[..count]).expect("UTF-8")),
                _ => panic!("{part} has not come: {}", self.read),
            }
        }
        &self.read
    }
}

#[tokio::test]
async fn a_worker_of_a_project_sends_events_until_it_closes_the_stream() {
    let config = "[[gateway.routes]]\npath = \"/feed\"\n\
        worker = { class = \"Feed\", name = \"all\", method = \"view\", events = true }\n";
    let project = Project::new(&[("elias.toml", config)]);
    project.write("app.wasm", &*BUILT);
    let server = Server::of_project(project, "app.wasm", &["--websocket-ping-interval-ms", "50"]);
    let post = async |text: &str| {
        let json = http::Request::post("/").header("content-type", "application/json");
        server.send(json, "/feed", json!(text).to_string()).await.json()
    };
    assert_eq!(post("one").await, json!(0));
    let mut first = Stream::open(server.address, "here.test", "/feed", "").await;
    let head = first.until("id: 1\ndata: one\n\n").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/event-stream\r\n"), "{head}");
    first.until(":\n\n").await;
    let mut second = Stream::open(server.address, "here.test", "/feed", "1").await;
    assert_eq!(post("two\nlines").await, json!(2));
    for stream in [&mut first, &mut second] {
        stream.until("event: post\nid: 2\ndata: two\ndata: lines\n\n").await;
    }
    assert!(!second.read.contains("data: one"), "the client has it: {}", second.read);
    drop(second);
    let left = json!({ "open": 1, "closes": [["event-stream", 1006]] });
    until("the worker knows", async || (server.get("/feed").await.json() == left).then_some(())).await;
    assert_eq!(post("end").await, json!(0));
    first.until("data: end\n\n").await;
    // The end of the chunks.
    first.until("\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn a_worker_of_a_platform_sends_events_on_routes_that_say_so() {
    let platform = Platform::start(&[]);
    let team = platform.default_tenant();
    team.serve("feed", &BUILT, json!({ "gateway": gateway() })).await;
    let host = team.host("feed");
    for (target, status) in [("/feed?no", "403"), ("/mute", "403"), ("/plain", "200")] {
        let stream = Stream::open(platform.address, &host, target, "").await;
        assert!(stream.read.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {}", stream.read);
        assert!(!stream.read.contains("text/event-stream"), "{target}: {}", stream.read);
    }
    let mut stream = Stream::open(platform.address, &host, "/feed", "").await;
    let path = elias_tests::tenant::service("feed", "production", "/workers/Feed/all/messages");
    team.done("POST", &path, json!({ "message": "one" })).await;
    stream.until("event: post\nid: 1\ndata: one\n\n").await;
}
