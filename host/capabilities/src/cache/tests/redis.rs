//! Tests of the Redis backend alone.

use super::super::Cache;
use super::super::contract::{Command, CommandOutput, ErrorCode};
use super::super::operation::{CommandRunner, StartOutcome};
use super::super::redis::{Redis, open, prefix};
use super::{TIMEOUT, get, increment, pause, redis_url, run, runner, set, until_waiting};
use elias_host::capability::{CallMeter, Capability, ComponentInfo};
use serde_json::json;
use std::net::TcpListener;
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A Redis that is stopped with the test.
struct Server(Child);

impl Server {
    fn start(port: u16) -> Self {
        let mut process = Process::new("redis-server");
        process.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]).arg(port.to_string());
        Self(process.stdout(Stdio::null()).spawn().expect("redis-server starts"))
    }

    fn signal(&self, signal: &str) {
        let status = Process::new("kill").arg(signal).arg(self.0.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    listener.local_addr().expect("it has an address").port()
}

fn cache(port: u16, timeout: Duration) -> CommandRunner {
    let client = open(&format!("redis://127.0.0.1:{port}"), None).expect("a URL of a Redis");
    runner(Arc::new(Redis::new(client, "gone", "component", timeout, 4096)))
}

async fn unavailable(cache: &CommandRunner) {
    let error = run(cache, Command::Get("k".to_owned())).await.expect_err("Redis is away");
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(!error.message.contains("127.0.0.1"), "{}", error.message);
}

async fn until_back(cache: &CommandRunner) {
    while run(cache, Command::Get("k".to_owned())).await.is_err() {
        pause().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_go_and_come_back() {
    if redis_url().is_none() {
        return;
    }
    let port = free_port();
    let cache = cache(port, TIMEOUT);
    unavailable(&cache).await;
    let server = Server::start(port);
    until_back(&cache).await;
    set(&cache, "k", "v", None).await;
    assert_eq!(increment(&cache, "n", 1, None).await, Ok(1));

    drop(server);
    unavailable(&cache).await;
    unavailable(&cache).await;
    let server = Server::start(port);
    until_back(&cache).await;
    // Scripts are gone with the old one.
    assert_eq!(increment(&cache, "n", 1, None).await, Ok(1));

    // One that is back before anybody asked: what can be repeated does not notice.
    drop(server);
    let server = Server::start(port);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        pause().await;
    }
    assert_eq!(get(&cache, "k").await, None);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_may_stop_answering_and_go_on() {
    if redis_url().is_none() {
        return;
    }
    let port = free_port();
    let cache = cache(port, Duration::from_millis(500));
    let server = Server::start(port);
    until_back(&cache).await;
    server.signal("-STOP");
    unavailable(&cache).await;
    server.signal("-CONT");
    until_back(&cache).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_find_redis_away_do_not_connect_one_after_the_other() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("there is a port");
    let cache = cache(listener.local_addr().expect("it has an address").port(), TIMEOUT);
    let connections = Arc::new(AtomicU32::new(0));
    let (counted, started) = (Arc::clone(&connections), Arc::new(Semaphore::new(0)));
    let closes = Arc::clone(&started);
    // It answers none of its connections, and closes each once all commands are under way.
    let server = tokio::spawn(async move {
        while let Ok(connection) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _all = closes.acquire().await;
            drop(connection);
        }
    });
    let operations: Vec<_> = (0..50).map(|_| cache.start(Command::Get("k".to_owned()))).collect();
    started.add_permits(1);
    for operation in operations {
        let StartOutcome::Pending(operation) = operation else { panic!("it waits") };
        assert_eq!(super::wait(operation).await.expect_err("Redis is away").code, ErrorCode::Unavailable);
    }
    server.abort();
    assert_eq!(connections.load(Ordering::Relaxed), 1, "those that waited for the first one do not try again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_loads_without_its_redis() {
    let url = format!("redis://:secret@127.0.0.1:{}", free_port());
    let component =
        ComponentInfo { name: "test".to_owned(), version: "1".to_owned(), digest: String::new(), folder: ".".into() };
    let grant = json!({ "backend": "redis", "url": url, "timeout-ms": 200 });
    let grant = Cache::new().configure(&component, Some(&grant)).await.expect("that is not an error");
    unavailable(&grant.command_runner(CallMeter::default())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_so_many_operations_under_way() {
    // It never answers: a Redis may do so before an operation comes to be one.
    let silent = TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let port = silent.local_addr().expect("it has an address").port();
    let cache = CommandRunner { operations: 3, ..cache(port, TIMEOUT) };
    let get = || cache.start(Command::Get("k".to_owned()));
    let begun: Vec<_> = (0..3).map(|_| get()).collect();
    assert!(begun.iter().all(|begun| matches!(begun, StartOutcome::Pending(_))));
    let StartOutcome::Done(Err(error)) = get() else { panic!("it is refused") };
    assert_eq!(error.code, ErrorCode::TooManyOperations);
    drop(begun);
    assert!(matches!(get(), StartOutcome::Pending(_)));
}

/// Keys as the backend writes them.
async fn put(url: &str, namespace: &str, key: &str, value: &[u8]) {
    let client = open(url, None).expect("a URL of a Redis");
    let mut connection = client.get_multiplexed_async_connection().await.expect("it is there");
    let key = format!("{}{key}", prefix(namespace, "component"));
    redis::cmd("SET").arg(key).arg(value).exec_async(&mut connection).await.expect("it is set");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_put_there_is_no_larger_than_a_value() {
    let Some(url) = redis_url() else { return };
    let namespace = format!("bounds-{}", std::process::id());
    let client = open(&url, None).expect("a URL of a Redis");
    let cache = runner(Arc::new(Redis::new(client, &namespace, "component", TIMEOUT, 4096)));
    put(&url, &namespace, "large", &vec![b'v'; 20 << 20]).await;
    put(&url, &namespace, "exact", &vec![b'v'; 4097]).await;
    put(&url, &namespace, "empty", b"").await;
    let error = run(&cache, Command::Get("large".to_owned())).await.expect_err("it is too large");
    assert_eq!(error.code, ErrorCode::TooLarge);
    let error = run(&cache, Command::GetMany(vec!["exact".to_owned(), "large".to_owned()].into()))
        .await
        .expect_err("too large");
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert_eq!(get(&cache, "exact").await.map(|value| value.len()), Some(4097));
    assert_eq!(get(&cache, "empty").await.as_deref(), Some(""));
    assert_eq!(get(&cache, "none").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_has_the_value_though_redis_is_gone() {
    if redis_url().is_none() {
        return;
    }
    let port = free_port();
    let cache = cache(port, TIMEOUT);
    let server = Server::start(port);
    until_back(&cache).await;
    let Ok(CommandOutput::Leased(lease)) = run(&cache, Command::Lease("k".to_owned())).await else {
        panic!("nothing is there")
    };
    let StartOutcome::Pending(waiting) = super::neighbour(&cache).start(Command::Lease("k".to_owned())) else {
        panic!("it waits")
    };
    until_waiting(&cache, 1).await;
    drop(server);
    let failed = run(&cache, Command::Set(super::entry("k", "made", None))).await.expect_err("Redis is away");
    assert_eq!(failed.code, ErrorCode::Unavailable);
    let outcome = super::wait(waiting).await;
    assert!(matches!(&outcome, Ok(CommandOutput::Value(Some(value))) if **value == *b"made"), "{outcome:?}");
    drop(lease);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_takes_a_server_of_the_named_authority() {
    let (Ok(url), Ok(ca), Ok(other)) = (
        std::env::var("ELIAS_TEST_REDIS_TLS"),
        std::env::var("ELIAS_TEST_POSTGRES_CA"),
        std::env::var("ELIAS_TEST_OTHER_CA"),
    ) else {
        return;
    };
    let component =
        ComponentInfo { name: "tls".to_owned(), version: "1".to_owned(), digest: String::new(), folder: ".".into() };
    let text = std::fs::read_to_string(&ca).expect("it is there");
    for (roots, works) in [(Some(ca), true), (Some(text), true), (Some(other), false), (None, false)] {
        let grant = json!({ "backend": "redis", "url": url, "root-certificate": roots, "timeout-ms": 60_000 });
        let grant = Cache::new().configure(&component, Some(&grant)).await.expect("it is right");
        let cache = grant.command_runner(CallMeter::default());
        if works {
            set(&cache, "k", "v", None).await;
            assert_eq!(get(&cache, "k").await.as_deref(), Some("v"));
            assert!(increment(&cache, "n", 1, Some(1_000)).await.is_ok());
        } else {
            unavailable(&cache).await;
        }
    }
}

#[test]
fn no_prefix_begins_with_another() {
    assert_eq!(prefix("default", "shop"), "elias:{default}:shop:");
    let names = ["a", "a:", "a:b", "a%3A", "a}:b", "{a", "é", ""];
    let prefixes: Vec<_> =
        names.iter().flat_map(|namespace| names.iter().map(|component| prefix(namespace, component))).collect();
    for (at, one) in prefixes.iter().enumerate() {
        assert!(prefixes.iter().enumerate().all(|(other, prefix)| at == other || !prefix.starts_with(one.as_str())));
    }
}
