//! The connector with a real server, which `ELIAS_TEST_NATS_SERVER` names, and a log in memory.

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, stream};
use elias_names::TenantId;
use elias_nats::{Connector, EventBatch, EventLog, NatsConfig, Outcome, PublishError};
use elias_triggers::event::{Event, EventData};
use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that a test can stop and start again.
struct Server {
    port: u16,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Server {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        Self { port, folder: tempfile::tempdir().expect("a folder"), process: None }
    }

    fn start(&mut self) {
        let program = std::env::var("ELIAS_TEST_NATS_SERVER").expect("run the tests with `make test`");
        let mut command = Command::new(program);
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-js", "-sd"]).arg(self.folder.path());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("nats-server is installed"));
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < PATIENCE, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill(); // it may have ended
            let _ = process.wait();
        }
    }

    fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A client of the test's own, with a stream of these subjects.
    async fn client(&self, name: &str, subjects: &str) -> jetstream::Context {
        let client = async_nats::connect(self.url()).await.expect("it listens");
        let context = jetstream::new(client);
        let config =
            stream::Config { name: name.to_owned(), subjects: vec![subjects.to_owned()], ..stream::Config::default() };
        context.get_or_create_stream(config).await.expect("a stream");
        context
    }

    fn config(&self) -> NatsConfig {
        let config = json!({
            "url": self.url(),
            "in": [{ "stream": "ORDERS", "consumer": "elias", "tenant": "acme" }],
            "out": [{ "name": "paid", "tenant": "acme", "type": "order.*", "subject": "out.{type}" }],
        });
        serde_json::from_value(config).expect("settings")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A log of one tenant, whose reader begins with the first event.
#[derive(Default)]
struct Log {
    events: Mutex<Vec<Event>>,
    cursor: Mutex<u64>,
    counts: Mutex<BTreeMap<(String, Outcome), u64>>,
    /// How often it is away before it takes events.
    away: Mutex<u32>,
}

impl EventLog for Log {
    fn publish<'a>(&'a self, _: &'a TenantId, new: Vec<Event>) -> BoxFuture<'a, Result<(), PublishError>> {
        let mut away = self.away.lock();
        if *away > 0 {
            *away -= 1;
            let after = Duration::from_millis(50);
            return ready(Err(PublishError::Later { reason: "the store is away".to_owned(), after })).boxed();
        }
        if new.iter().any(|event| event.data == EventData::Json(json!("refused"))) {
            return ready(Err(PublishError::Refused("as asked".to_owned()))).boxed();
        }
        let mut events = self.events.lock();
        for event in new {
            if !events.iter().any(|known| (&known.source, &known.id) == (&event.source, &event.id)) {
                events.push(event);
            }
        }
        ready(Ok(())).boxed()
    }

    fn read<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<EventBatch>, String>> {
        let from = *self.cursor.lock();
        let events: Vec<_> = self.events.lock().iter().skip(from as usize).take(limit).cloned().collect();
        let to = from + events.len() as u64;
        ready(Ok((to > from).then_some(EventBatch { from, to, events }))).boxed()
    }

    fn advance<'a>(&'a self, _: &'a TenantId, _: &'a str, from: u64, to: u64) -> BoxFuture<'a, Result<(), String>> {
        let mut cursor = self.cursor.lock();
        if *cursor == from {
            *cursor = to;
        }
        ready(Ok(())).boxed()
    }

    fn count(&self, connection: &str, outcome: Outcome, events: u64) {
        *self.counts.lock().entry((connection.to_owned(), outcome)).or_default() += events;
    }
}

impl Log {
    fn ids(&self) -> Vec<String> {
        self.events.lock().iter().map(|event| event.id.clone()).collect()
    }

    fn counted(&self, connection: &str, outcome: Outcome) -> u64 {
        self.counts.lock().get(&(connection.to_owned(), outcome)).copied().unwrap_or_default()
    }
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn send(context: &jetstream::Context, id: &str, payload: &str) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", id);
    let sent = context.publish_with_headers("orders.new", headers, payload.to_owned().into()).await.expect("sent");
    sent.await.expect("stored");
}

#[tokio::test]
async fn messages_become_events_once_and_what_can_never_be_one_is_left_out() {
    let mut server = Server::new();
    server.start();
    let context = server.client("ORDERS", "orders.>").await;
    let log = Arc::new(Log::default());
    *log.away.lock() = 2;
    for (id, payload) in [("1", "{\"total\":5}"), ("2", "no JSON"), ("3", "\"refused\""), ("4", "4")] {
        send(&context, id, payload).await;
    }
    let connector = Connector::start(server.config(), Arc::clone(&log) as Arc<dyn EventLog>).await.expect("started");
    until("all are there", || log.ids().len() == 2).await;
    send(&context, "5", "5").await;
    until("the next is there", || log.ids().len() == 3).await;
    let mut ids = log.ids();
    ids.sort();
    assert_eq!(ids, ["1", "4", "5"]);
    let label = "nats/in/ORDERS/elias";
    until("all are counted", || log.counted(label, Outcome::Delivered) == 3).await;
    assert_eq!(log.counted(label, Outcome::Rejected), 2);
    assert!(log.counted(label, Outcome::Deferred) > 0);
    let first = log.events.lock().iter().find(|event| event.id == "1").cloned().expect("it is there");
    assert_eq!((first.event_type.as_str(), first.data), ("nats.orders.new", EventData::Json(json!({ "total": 5 }))));
    drop(connector);

    // Another connector goes on where the first one was: what was acknowledged does not come again.
    let log = Arc::new(Log::default());
    let _connector = Connector::start(server.config(), Arc::clone(&log) as Arc<dyn EventLog>).await.expect("started");
    send(&context, "6", "6").await;
    until("the new one is there", || log.ids() == ["6"]).await;
}

#[tokio::test]
async fn events_are_published_once_also_by_a_server_that_starts_later_and_ends_meanwhile() {
    let mut server = Server::new();
    let log = Arc::new(Log::default());
    let new = |id: &str, event_type: &str| Event::new(id, event_type, "/shop/production");
    *log.events.lock() = vec![new("1", "order.paid"), new("2", "user.created"), new("3", "order.sent")];
    let config = server.config();
    let _connector =
        Connector::start(config, Arc::clone(&log) as Arc<dyn EventLog>).await.expect("no server is needed");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(*log.cursor.lock(), 0, "nothing is lost");
    server.start();
    let context = server.client("OUT", "out.>").await;
    until("all were read", || *log.cursor.lock() == 3).await;
    server.stop();
    log.events.lock().push(new("4", "order.paid"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.start();
    until("the next was read", || *log.cursor.lock() == 4).await;
    assert_eq!(log.counted("nats/out/paid", Outcome::Delivered), 3);

    drop(context);
    let context = server.client("OUT", "out.>").await;
    let stream = context.get_stream("OUT").await.expect("a stream");
    let consumer = stream.create_consumer(pull::Config::default()).await.expect("a consumer");
    let batch = consumer.batch().max_messages(10).expires(Duration::from_secs(2)).messages().await.expect("asked");
    let messages: Vec<_> = batch.filter_map(|message| ready(message.ok())).collect().await;
    let mut seen = Vec::new();
    for message in &messages {
        let event: serde_json::Value = serde_json::from_slice(&message.payload).expect("JSON");
        assert_eq!((&event["specversion"], &event["source"]), (&json!("1.0"), &json!("/shop/production")));
        let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).expect("an id");
        seen.push((id.to_string(), message.subject.to_string()));
    }
    seen.sort();
    let wanted = [("1", "out.order.paid"), ("3", "out.order.sent"), ("4", "out.order.paid")];
    assert_eq!(seen, wanted.map(|(id, subject)| (format!("/shop/production {id}"), subject.to_owned())));
}
