//! What both backends do, and what each does alone.

mod behaviour;
mod grants;
mod leases;
mod memory;
mod redis;

use super::backend::Backend;
use super::contract::{Answer, Caps, Command, Entry, Error, Expiry, Increment, Swap, Value};
use super::memory::Memory;
use super::operation::{Begun, MANY, Operation, Outcome, Starter};
use elias_host::capability::CallMeter;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use wasmtime_wasi_io::poll::Pollable;

/// The URL of the Redis that tests may use, if there is one.
fn redis_url() -> Option<String> {
    let url = std::env::var("ELIAS_TEST_REDIS").ok();
    if url.is_none() {
        eprintln!("ELIAS_TEST_REDIS is not set: not tested on Redis");
    }
    url
}

fn in_memory() -> Arc<dyn Backend> {
    Arc::new(Memory::new("test", 64 << 20, Arc::default()))
}

/// In a namespace of its own for each test.
fn in_redis(url: &str, namespace: &str, component: &str) -> Arc<dyn Backend> {
    let namespace = format!("{namespace}-{}", std::process::id());
    let client = super::redis::open(url, None).expect("a URL of a Redis");
    Arc::new(super::redis::Redis::new(client, &namespace, component, Duration::from_millis(2000), 4096))
}

/// Each backend there is, with values of this test alone.
fn backends(test: &str) -> Vec<Arc<dyn Backend>> {
    let redis = redis_url().map(|url| in_redis(&url, test, "component"));
    [in_memory()].into_iter().chain(redis).collect()
}

fn starter(backend: &Arc<dyn Backend>) -> Starter {
    Starter {
        backend: Arc::clone(backend),
        leases: Arc::default(),
        caps: Caps { key_bytes: 64, value_bytes: 4096, keys_per_call: 8 },
        operations: 64,
        pending: Arc::default(),
        many: Arc::new(Semaphore::new(MANY)),
        calls: CallMeter::default(),
    }
}

/// An instance beside another one of the same component.
fn neighbour(starter: &Starter) -> Starter {
    Starter {
        backend: Arc::clone(&starter.backend),
        leases: Arc::clone(&starter.leases),
        caps: starter.caps.clone(),
        operations: starter.operations,
        pending: Arc::default(),
        many: Arc::new(Semaphore::new(MANY)),
        calls: CallMeter::default(),
    }
}

async fn wait(mut operation: Operation) -> Outcome {
    operation.ready().await;
    operation.take().expect("it is taken once").expect("it is ready")
}

async fn run(starter: &Starter, command: Command) -> Outcome {
    match starter.start(command) {
        Begun::Done(outcome) => outcome,
        Begun::Pending(operation) => wait(operation).await,
    }
}

fn bytes(text: impl AsRef<[u8]>) -> Value {
    text.as_ref().into()
}

fn entry(key: &str, value: &str, ttl_ms: Option<u64>) -> Entry {
    Entry { key: key.to_owned(), value: bytes(value), ttl_ms }
}

async fn get(starter: &Starter, key: &str) -> Option<String> {
    match run(starter, Command::Get(key.to_owned())).await {
        Ok(Answer::Value(value)) => value.map(|value| String::from_utf8_lossy(&value).into_owned()),
        other => panic!("get gave {other:?}"),
    }
}

async fn changed(starter: &Starter, command: Command) -> bool {
    match run(starter, command).await {
        Ok(Answer::Changed(changed)) => changed,
        other => panic!("it gave {other:?}"),
    }
}

async fn set(starter: &Starter, key: &str, value: &str, ttl_ms: Option<u64>) {
    assert!(changed(starter, Command::Set(entry(key, value, ttl_ms))).await);
}

async fn swap(starter: &Starter, key: &str, expected: Option<&str>, value: &str) -> bool {
    let swap = Swap { entry: entry(key, value, None), expected: expected.map(bytes) };
    changed(starter, Command::CompareAndSwap(swap)).await
}

async fn expire(starter: &Starter, key: &str, ttl_ms: Option<u64>) -> bool {
    changed(starter, Command::Expire(Expiry { key: key.to_owned(), ttl_ms })).await
}

async fn increment(starter: &Starter, key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
    match run(starter, Command::Increment(Increment { key: key.to_owned(), by, ttl_ms })).await? {
        Answer::Number(number) => Ok(number),
        other => panic!("increment gave {other:?}"),
    }
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
