//! What workers emit reaches the log of events.

use super::{Bench, add, bench, call, counter, shop, until};
use crate::workers::{MessageId, WorkerCallFrom, WorkerRunner};
use elias_api::Quotas;
use elias_capabilities::Cause;
use elias_local_workers::{CallError, CallErrorCode};
use elias_workers::config::Durability;
use std::sync::atomic::Ordering::Relaxed;

/// Has a worker count, and emit this.
async fn emit(runner: &WorkerRunner, name: &str, value: &str) -> Result<String, CallError> {
    let (key, method, cause) = (counter(name), Some("emit".to_owned()), Cause::default());
    runner
        .call(&shop(), WorkerCallFrom { id: MessageId::Unique(None), key, method, value: value.to_owned(), cause })
        .await
}

/// The data of the events in the tenant's log.
async fn published(bench: &Bench) -> Vec<String> {
    let mut scope = bench.store.read(&shop().tenant).await.expect("a scope");
    scope.events(0, 100).await.expect("read").into_iter().map(|event| event.data).collect()
}

#[tokio::test]
async fn what_a_worker_emits_is_published_with_its_commit_and_a_turn_over_the_quota_is_undone_alone() {
    let bench = bench().await;
    bench.services.set_quotas(Quotas { events_per_day: 2, ..Quotas::default() });
    let runner = bench.runner("host/1");
    assert_eq!(emit(&runner, "a", "1").await.expect("an answer"), "1");
    assert_eq!(emit(&runner, "b", "2").await.expect("an answer"), "1");
    assert_eq!(published(&bench).await, ["1", "2"]);
    assert_eq!(bench.services.published.load(Relaxed), 2, "deliveries begin at once");
    // Together with a turn that publishes nothing.
    let (refused, counted) = tokio::join!(emit(&runner, "a", "3"), call(&runner, "b", "add"));
    let refused = refused.expect_err("it is over the quota");
    assert_eq!(refused.code, CallErrorCode::QuotaExceeded);
    assert!(refused.message.contains("events-per-day"), "{}", refused.message);
    assert_eq!((counted.expect("an answer").as_str(), add(&runner, "a").await.as_str()), ("2", "2"));
    assert_eq!(published(&bench).await, ["1", "2"]);
    // A host that takes over goes on from there, and publishes nothing again.
    runner.stop().await;
    let other = bench.runner("other/1");
    assert_eq!(add(&other, "a").await, "3");
    assert_eq!(published(&bench).await, ["1", "2"]);
    other.stop().await;
}

#[tokio::test]
async fn events_that_may_not_be_published_undo_their_turn() {
    let bench = bench().await;
    let runner = bench.runner("host/1");
    add(&runner, "a").await;
    let refused = emit(&runner, "a", "").await.expect_err("it is refused");
    assert_eq!((refused.code, refused.name.as_str()), (CallErrorCode::Exception, "RangeError"));
    assert!(refused.message.contains("without a value"), "{}", refused.message);
    assert_eq!(add(&runner, "a").await, "2", "the turn was undone");
    assert!(published(&bench).await.is_empty());
    runner.stop().await;
}

#[tokio::test]
async fn workers_that_are_never_stored_publish_after_the_turn() {
    let bench = bench().await;
    bench.services.set_durability(Durability::None);
    let runner = bench.runner("host/1");
    emit(&runner, "a", "1").await.expect("an answer");
    until("the event", async || !bench.services.later.lock().is_empty()).await;
    let later: Vec<_> = bench.services.later.lock().iter().map(|event| event.data.clone()).collect();
    assert_eq!(later, ["1"]);
    runner.stop().await;
}
