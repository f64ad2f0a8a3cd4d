//! Tests of leases, on both backends.

use super::super::contract::{Command, CommandOutput, ErrorCode};
use super::super::lease::Lease;
use super::super::operation::{CommandRunner, StartOutcome};
use super::{TestBackend, backends, get, neighbour, run, set, until_waiting, wait};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

async fn lease(cache: &CommandRunner) -> Result<Lease, Option<String>> {
    match run(cache, Command::Lease("k".to_owned())).await {
        Ok(CommandOutput::Leased(lease)) => Ok(lease),
        Ok(CommandOutput::Value(value)) => Err(value.map(|value| String::from_utf8_lossy(&value).into_owned())),
        other => panic!("lease gave {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_that_miss_make_the_value_once() {
    for backend in backends("hundred") {
        let first = backend.runner();
        let made = Arc::new(AtomicU32::new(0));
        let tasks = (0..100).map(|_| {
            let (cache, made) = (neighbour(&first), Arc::clone(&made));
            tokio::spawn(async move {
                match lease(&cache).await {
                    Ok(_lease) => {
                        made.fetch_add(1, Ordering::Relaxed);
                        until_waiting(&cache, 99).await;
                        set(&cache, "k", "made", None).await;
                    }
                    Err(value) => assert_eq!(value.as_deref(), Some("made")),
                }
            })
        });
        futures::future::try_join_all(tasks).await.expect("they end");
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(get(&first, "k").await.as_deref(), Some("made"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_lease_lets_the_next_in() {
    for backend in backends("dropped") {
        let (one, other) = (backend.runner(), backend.runner());
        let other = CommandRunner { leases: Arc::clone(&one.leases), ..other };
        let held = lease(&one).await.expect("nothing is there");
        let StartOutcome::Pending(mut operation) = other.start(Command::Lease("k".to_owned())) else {
            panic!("it waits")
        };
        until_waiting(&one, 1).await;
        assert!(operation.take().expect("not taken yet").is_none());
        drop(held);
        let outcome = wait(operation).await;
        assert!(matches!(outcome, Ok(CommandOutput::Leased(_))));
        drop(outcome);
        // An operation that has the lease already and is dropped gives it back as well.
        let held = lease(&one).await.expect("nothing is there");
        let StartOutcome::Pending(operation) = other.start(Command::Lease("k".to_owned())) else { panic!("it waits") };
        until_waiting(&one, 1).await;
        drop(held);
        until_waiting(&one, 0).await;
        drop(operation);
        assert!(lease(&one).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_made_is_tried_twice_however_many_wait() {
    for backend in backends("failing") {
        let first = backend.runner();
        let held = lease(&first).await.expect("nothing is there");
        let tried = Arc::new(AtomicU32::new(0));
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let (cache, tried) = (neighbour(&first), Arc::clone(&tried));
                let StartOutcome::Pending(operation) = cache.start(Command::Lease("k".to_owned())) else {
                    panic!("it waits")
                };
                tokio::spawn(async move {
                    match wait(operation).await {
                        // It fails as well: nothing is set.
                        Ok(CommandOutput::Leased(lease)) => {
                            tried.fetch_add(1, Ordering::Relaxed);
                            until_waiting(&cache, 19).await;
                            drop(lease);
                        }
                        Err(error) => assert_eq!(error.code, ErrorCode::Unavailable),
                        other => panic!("lease gave {other:?}"),
                    }
                })
            })
            .collect();
        until_waiting(&first, 20).await;
        drop(held);
        futures::future::try_join_all(waiting).await.expect("they end");
        assert_eq!(tried.load(Ordering::Relaxed), 1);
        // A later caller begins anew.
        assert!(lease(&first).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_has_the_value_when_it_is_set() {
    for backend in backends("offered") {
        let cache = backend.runner();
        let held = lease(&cache).await.expect("nothing is there");
        let StartOutcome::Pending(operation) = neighbour(&cache).start(Command::Lease("k".to_owned())) else {
            panic!("it waits")
        };
        until_waiting(&cache, 1).await;
        // Gone before anybody could look.
        set(&cache, "k", "made", Some(1)).await;
        let outcome = wait(operation).await;
        let Ok(CommandOutput::Value(Some(value))) = outcome else { panic!("lease gave {outcome:?}") };
        assert_eq!(&*value, b"made");
        drop(held);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_under_way_are_counted_and_given_back() {
    let cache = CommandRunner { operations: 2, ..TestBackend::in_memory().runner() };
    let held = lease(&cache).await.expect("nothing is there");
    let wish = || cache.start(Command::Lease("k".to_owned()));
    let (StartOutcome::Pending(one), StartOutcome::Pending(other)) = (wish(), wish()) else { panic!("they wait") };
    let StartOutcome::Done(Err(error)) = wish() else { panic!("it is refused") };
    assert_eq!(error.code, ErrorCode::TooManyOperations);
    // A command that is done at once is not an operation: the holder can still bring its value.
    set(&cache, "other", "v", None).await;
    drop(one);
    assert_eq!(cache.pending.load(Ordering::Relaxed), 1);
    let StartOutcome::Pending(third) = wish() else { panic!("there is room") };
    set(&cache, "k", "v", None).await;
    drop(held);
    for mut operation in [other, third] {
        wasmtime_wasi_io::poll::Pollable::ready(&mut operation).await;
        let outcome = operation.take().expect("it is taken once");
        assert!(matches!(outcome, Some(Ok(CommandOutput::Value(Some(_))))));
        assert!(operation.take().is_err());
    }
    assert_eq!(cache.pending.load(Ordering::Relaxed), 0);
}
