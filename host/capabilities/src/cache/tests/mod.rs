//! Tests of both backends, and of each alone.

mod behaviour;
mod grants;
mod leases;
mod memory;
mod redis;

use super::backend::Backend;
use super::caps::Caps;
use super::clock::Clock;
use super::contract::{Command, CommandOutput, Entry, Error, Expiry, Increment, Swap, Value};
use super::memory::Memory;
use super::operation::{CommandRunner, MANY, Operation, Outcome, StartOutcome};
use elias_host::capability::CallMeter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use wasmtime_wasi_io::poll::Pollable;

/// How long a command to Redis may take where a test is not about that. No machine is too slow for it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Times to live, in milliseconds. They are too long to be over by themselves: a test passes them.
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// The URL of the Redis that tests may use, if there is one.
fn redis_url() -> Option<String> {
    let url = std::env::var("ELIAS_TEST_REDIS").ok();
    if url.is_none() {
        eprintln!("ELIAS_TEST_REDIS is not set: not tested on Redis");
    }
    url
}

/// A backend whose time tests move.
struct TestBackend {
    backend: Arc<dyn Backend>,
    time: TestTime,
}

/// The time by which a backend measures times to live.
enum TestTime {
    /// Milliseconds by which the clock of the backend in memory is ahead of when it was made.
    Clock(Arc<AtomicU64>),
    /// Redis has a clock of its own: what is left of the times to live of keys with this prefix is shortened.
    Redis { url: String, prefix: String },
}

impl TestBackend {
    fn in_memory() -> Self {
        let (start, ahead) = (Instant::now(), Arc::<AtomicU64>::default());
        let moved = Arc::clone(&ahead);
        let clock = Clock::new(move || start + Duration::from_millis(moved.load(Ordering::Relaxed)));
        let backend = Arc::new(Memory::new("test", 64 << 20, Arc::default(), clock));
        Self { backend, time: TestTime::Clock(ahead) }
    }

    /// In a namespace of its own for each test.
    fn in_redis(url: &str, namespace: &str, component: &str) -> Self {
        let namespace = format!("{namespace}-{}", std::process::id());
        let client = super::redis::open(url, None).expect("a URL of a Redis");
        let backend = Arc::new(super::redis::Redis::new(client, &namespace, component, TIMEOUT, 4096));
        let prefix = super::redis::prefix(&namespace, component);
        Self { backend, time: TestTime::Redis { url: url.to_owned(), prefix } }
    }

    fn runner(&self) -> CommandRunner {
        runner(Arc::clone(&self.backend))
    }

    /// Lets time pass for the values that are there.
    async fn pass(&self, ms: u64) {
        match &self.time {
            TestTime::Clock(ahead) => {
                ahead.fetch_add(ms, Ordering::Relaxed);
            }
            TestTime::Redis { url, prefix } => shorten(url, prefix, ms).await.expect("Redis answers"),
        }
    }
}

/// Takes milliseconds from what is left of the times to live of all keys with a prefix.
async fn shorten(url: &str, prefix: &str, ms: u64) -> ::redis::RedisResult<()> {
    let client = super::redis::open(url, None).expect("a URL of a Redis");
    let mut connection = client.get_multiplexed_async_connection().await?;
    let keys: Vec<String> = ::redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await?;
    for key in keys {
        // Negative: it has no time to live, or is gone.
        let left: i64 = ::redis::cmd("PTTL").arg(&key).query_async(&mut connection).await?;
        match u64::try_from(left) {
            Ok(left) if left <= ms => ::redis::cmd("DEL").arg(&key).exec_async(&mut connection).await?,
            Ok(left) => ::redis::cmd("PEXPIRE").arg(&key).arg(left - ms).exec_async(&mut connection).await?,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Each backend there is, with values of this test alone.
fn backends(test: &str) -> Vec<TestBackend> {
    let redis = redis_url().map(|url| TestBackend::in_redis(&url, test, "component"));
    [TestBackend::in_memory()].into_iter().chain(redis).collect()
}

fn runner(backend: Arc<dyn Backend>) -> CommandRunner {
    CommandRunner {
        backend,
        leases: Arc::default(),
        caps: Caps { key_bytes: 64, value_bytes: 4096, keys_per_call: 8 },
        operations: 64,
        pending: Arc::default(),
        many: Arc::new(Semaphore::new(MANY)),
        calls: CallMeter::default(),
    }
}

/// An instance beside another one of the same component.
fn neighbour(runner: &CommandRunner) -> CommandRunner {
    CommandRunner {
        backend: Arc::clone(&runner.backend),
        leases: Arc::clone(&runner.leases),
        caps: runner.caps.clone(),
        operations: runner.operations,
        pending: Arc::default(),
        many: Arc::new(Semaphore::new(MANY)),
        calls: CallMeter::default(),
    }
}

async fn wait(mut operation: Operation) -> Outcome {
    operation.ready().await;
    operation.take().expect("it is taken once").expect("it is ready")
}

async fn run(runner: &CommandRunner, command: Command) -> Outcome {
    match runner.start(command) {
        StartOutcome::Done(outcome) => outcome,
        StartOutcome::Pending(operation) => wait(operation).await,
    }
}

fn bytes(text: impl AsRef<[u8]>) -> Value {
    text.as_ref().into()
}

fn entry(key: &str, value: &str, ttl_ms: Option<u64>) -> Entry {
    Entry { key: key.to_owned(), value: bytes(value), ttl_ms }
}

async fn get(runner: &CommandRunner, key: &str) -> Option<String> {
    match run(runner, Command::Get(key.to_owned())).await {
        Ok(CommandOutput::Value(value)) => value.map(|value| String::from_utf8_lossy(&value).into_owned()),
        other => panic!("get gave {other:?}"),
    }
}

async fn changed(runner: &CommandRunner, command: Command) -> bool {
    match run(runner, command).await {
        Ok(CommandOutput::Changed(changed)) => changed,
        other => panic!("it gave {other:?}"),
    }
}

async fn set(runner: &CommandRunner, key: &str, value: &str, ttl_ms: Option<u64>) {
    assert!(changed(runner, Command::Set(entry(key, value, ttl_ms))).await);
}

async fn swap(runner: &CommandRunner, key: &str, expected: Option<&str>, value: &str) -> bool {
    let swap = Swap { entry: entry(key, value, None), expected: expected.map(bytes) };
    changed(runner, Command::CompareAndSwap(swap)).await
}

async fn expire(runner: &CommandRunner, key: &str, ttl_ms: Option<u64>) -> bool {
    changed(runner, Command::Expire(Expiry { key: key.to_owned(), ttl_ms })).await
}

async fn increment(runner: &CommandRunner, key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, Error> {
    match run(runner, Command::Increment(Increment { key: key.to_owned(), by, ttl_ms })).await? {
        CommandOutput::Number(number) => Ok(number),
        other => panic!("increment gave {other:?}"),
    }
}

/// Waits until so many instances wait for the holder of the lease on `k`.
async fn until_waiting(runner: &CommandRunner, count: usize) {
    while runner.leases.waiting("k") != Some(count) {
        pause().await;
    }
}

/// Between two looks at something that a test waits for.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
