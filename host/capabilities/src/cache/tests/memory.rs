//! Tests of the backend in memory alone.

use super::super::Cache;
use super::super::clock::Clock;
use super::super::contract::Command;
use super::super::memory::Memory;
use super::super::operation::StartOutcome;
use super::{TestBackend, bytes, entry, get, run, runner, set};
use elias_host::capability::{CallMeter, Capability, ComponentInfo};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn component(name: &str) -> ComponentInfo {
    ComponentInfo { name: name.to_owned(), version: "1".to_owned(), digest: String::new(), folder: ".".into() }
}

#[tokio::test]
async fn memory_answers_at_once() {
    let cache = TestBackend::in_memory().runner();
    assert!(matches!(cache.start(Command::Set(entry("k", "v", Some(1000)))), StartOutcome::Done(Ok(_))));
    assert!(matches!(cache.start(Command::Lease("k".to_owned())), StartOutcome::Done(Ok(_))));
}

#[tokio::test]
async fn total_bytes_evicts_and_counts() {
    let evictions = Arc::new(AtomicU64::new(0));
    let cache = runner(Arc::new(Memory::new("test", 100_000, Arc::clone(&evictions), Clock::system())));
    let mut there = 0;
    for number in 0..200 {
        set(&cache, &format!("{number}"), &"v".repeat(4000), None).await;
        // A value is found right after it was set.
        assert!(get(&cache, &format!("{number}")).await.is_some());
    }
    for number in 0..200 {
        there += u64::from(get(&cache, &format!("{number}")).await.is_some());
    }
    assert!((20..=26).contains(&there), "{there} are there");
    assert_eq!(evictions.load(Ordering::Relaxed), 200 - there);
}

#[tokio::test]
async fn versions_of_a_component_share_and_components_do_not() {
    let cache = Cache::new();
    let grant = json!({ "total-bytes": 2 << 20 });
    let one = cache.configure(&component("a"), Some(&grant)).await.expect("it is right");
    let other = cache.configure(&component("a:b"), Some(&grant)).await.expect("it is right");
    set(&one.command_runner(CallMeter::default()), "b:k", "v", None).await;
    assert_eq!(get(&other.command_runner(CallMeter::default()), "b:k").await, None);
    assert_eq!(get(&other.command_runner(CallMeter::default()), "k").await, None);

    let next = cache.configure(&component("a"), Some(&grant)).await.expect("it is right");
    drop(one);
    assert_eq!(get(&next.command_runner(CallMeter::default()), "b:k").await.as_deref(), Some("v"));
    let large = bytes("v".repeat(1 << 20));
    for number in 0..4 {
        let entry = super::Entry { key: number.to_string(), value: Arc::clone(&large), ttl_ms: None };
        run(&next.command_runner(CallMeter::default()), Command::Set(entry)).await.expect("it is set");
    }
    assert!(cache.evictions("a") > 0);
    assert_eq!(cache.evictions("a:b"), 0);
    assert_eq!(cache.evictions("none"), 0);

    drop(next);
    assert_eq!(cache.evictions("a"), 0);
    let again = cache.configure(&component("a"), Some(&grant)).await.expect("it is right");
    assert_eq!(get(&again.command_runner(CallMeter::default()), "b:k").await, None);
}
