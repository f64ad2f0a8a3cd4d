//! A platform and NATS JetStream: messages become events of a tenant, and its events are published. The test speaks the
//! protocol of NATS itself.

use elias_tests::platform::{Platform, until};
use elias_tests::serve::PATIENCE;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

struct Nats {
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Nats {
    /// A port for one that does not run yet.
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        Self { port, folder: tempfile::tempdir().expect("a temporary folder"), process: None }
    }

    fn start(&mut self) {
        let program = std::env::var("ELIAS_TEST_NATS_SERVER").expect("run the tests with `make test`");
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]).arg(self.folder.path());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("nats-server is installed"));
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill(); // it may have ended
            let _ = process.wait();
        }
    }
}

/// A client that has subscribed to one subject.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(port: u16, subject: &str) -> Self {
        let started = Instant::now();
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => break stream,
                Err(error) => assert!(started.elapsed() < PATIENCE, "nats-server does not listen: {error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let mut client = Self(BufReader::new(stream));
        let hello = json!({ "verbose": false, "pedantic": false, "headers": true, "no_responders": true });
        client.write(&format!("CONNECT {hello}\r\nSUB {subject} 1\r\n")).await;
        client
    }

    async fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.expect("written");
    }

    /// Sends a message, whose answers come to `reply`.
    async fn publish(&mut self, subject: &str, reply: &str, body: &str) {
        self.write(&format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len())).await;
    }

    /// The JSON of the next message; the empty ones say that nobody answers yet.
    async fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.expect("read");
            let fields: Vec<_> = line.split_ascii_whitespace().collect();
            let sizes = fields.iter().rev().map_while(|field| field.parse::<usize>().ok());
            let sizes: Vec<_> = sizes.take(if fields.first() == Some(&"HMSG") { 2 } else { 1 }).collect();
            match fields.first().copied() {
                Some("PING") => self.write("PONG\r\n").await,
                Some("MSG" | "HMSG") => {
                    let mut bytes = vec![0; sizes[0] + 2];
                    self.0.read_exact(&mut bytes).await.expect("the message");
                    let headers = sizes.get(1).copied().unwrap_or_default();
                    return serde_json::from_slice(&bytes[headers..sizes[0]]).ok();
                }
                _ => assert!(!line.is_empty(), "the server closed the connection"),
            }
        }
    }

    /// Asks the server until it answers, for JetStream takes a moment to start.
    async fn ask(&mut self, subject: &str, reply: &str, body: &str) -> Value {
        for _ in 0..100 {
            self.publish(subject, reply, body).await;
            if let Some(answer) = self.next().await {
                assert!(answer.get("error").is_none(), "{answer}");
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{subject}: no answer");
    }
}

#[tokio::test]
async fn messages_become_events_of_a_tenant_and_its_events_messages() {
    let mut nats = Nats::new().await;
    let config = tempfile::tempdir().expect("a temporary folder");
    let file = config.path().join("elias.toml");
    let table = format!(
        "[nats]\nurl = \"nats://127.0.0.1:{}\"\n[[nats.in]]\nstream = \"ORDERS\"\nconsumer = \"elias\"\n\
         tenant = \"acme\"\n[[nats.out]]\nname = \"all\"\ntenant = \"acme\"\ntype = \"order.*\"\n\
         subject = \"out.{{tenant}}.{{type}}\"\n",
        nats.port
    );
    std::fs::write(&file, table).expect("written");
    // It starts while there is no server.
    let platform = Platform::start(&["--config", file.to_str().expect("UTF-8")]);
    let team = platform.new_tenant("acme", json!({})).await;
    nats.start();
    let mut client = Client::connect(nats.port, "answers").await;
    for (name, subject) in [("ORDERS", "orders.>"), ("OUT", "out.>")] {
        let stream = json!({ "name": name, "subjects": [subject], "storage": "memory" }).to_string();
        client.ask(&format!("$JS.API.STREAM.CREATE.{name}"), "answers", &stream).await;
    }
    client.ask("orders.new", "answers", r#"{"total":5}"#).await;
    let event = until("the message is an event", async || {
        let log = team.done("GET", "/events", Value::Null).await;
        log["items"].as_array().expect("a list").iter().find(|event| event["type"] == "nats.orders.new").cloned()
    })
    .await;
    assert_eq!((&event["source"], &event["id"]), (&json!("urn:nats:ORDERS"), &json!("seq-1")));
    assert_eq!(event["data"], r#"{"total":5}"#);

    let mut receiver = Client::connect(nats.port, "out.>").await;
    let event = json!({ "specversion": "1.0", "id": "1", "type": "order.paid", "source": "/tills/7" });
    team.done("POST", "/events", event).await;
    let message = tokio::time::timeout(PATIENCE, receiver.next()).await.expect("it is published");
    let message = message.expect("an event");
    assert_eq!((&message["id"], &message["type"]), (&json!("1"), &json!("order.paid")), "{message}");
}
