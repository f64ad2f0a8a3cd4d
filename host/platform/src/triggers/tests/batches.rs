//! Deliveries of a subscription with batches.

use super::super::{deliver, queue};
use super::*;

/// The subjects of the events of each batch that ran, in the order of the runs.
fn batches(bench: &Bench) -> Vec<Vec<String>> {
    let subjects = |message: &Message| match message {
        Message::Events(batch) => batch.events.iter().map(|one| one.event["subject"].to_string()).collect(),
        other => panic!("not a batch: {other:?}"),
    };
    bench.ran().iter().map(|(_, _, message)| subjects(message)).collect()
}

async fn publish(bench: &Bench, subjects: &[&str]) {
    let event = |subject: &&str| NewEvent {
        id: (*subject).to_owned(),
        event_type: "order.paid".to_owned(),
        source: "/tills/7".to_owned(),
        subject: Some((*subject).to_owned()),
        data: "{}".to_owned(),
        time: 0,
        key: None,
        hops: 0,
        cause: None,
    };
    let events: Vec<_> = subjects.iter().map(event).collect();
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    scope.publish_events(&events, None).await.expect("published");
    scope.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_batch_end_as_their_handler_decides() {
    let handler: Handler = Box::new(|run| {
        let Message::Events(batch) = &run.message else { panic!("not a batch") };
        assert_eq!((batch.subscription.as_str(), run.journal.is_none()), ("orders", true));
        let decide = |one: &elias_host::EventMessage| match (one.event["subject"].as_str(), one.attempt) {
            (Some("again"), 1) => json!({ "retry": { "afterMs": 1, "reason": "busy" } }),
            (Some("never"), _) => json!({ "reject": { "reason": "no" } }),
            _ => Value::Null,
        };
        let decisions: Value = batch.events.iter().map(decide).collect();
        async move { AttemptResult::Returned(decisions.to_string()) }.boxed()
    });
    let subscription = json!({ "name": "orders", "type": "order.*", "batch": 3 });
    let bench = bench(json!({ "event": [subscription] }), handler).await;
    bench.register().await;
    publish(&bench, &["a", "again", "never", "b"]).await;
    let runner = bench.runner("one");
    runner.start();
    until("all are over", async || bench.ran().len() == 3 && bench.unfinished().await == 0).await;
    let ran = batches(&bench);
    let mut sizes: Vec<_> = ran.iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 3], "{ran:?}");
    assert_eq!(ran.last().expect("three"), &["\"again\""]);
    let dead = bench.jobs(JobState::Dead).await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].error.as_deref(), Some("rejected: no"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_fails_is_delivered_again() {
    let failed = Arc::new(AtomicBool::new(false));
    let handler: Handler = Box::new(move |run| {
        let Message::Events(batch) = &run.message else { panic!("not a batch") };
        let ending = if failed.swap(true, Ordering::Relaxed) {
            AttemptResult::Returned(json!(vec![Value::Null; batch.events.len()]).to_string())
        } else {
            AttemptResult::Failed("it threw".to_owned())
        };
        async move { ending }.boxed()
    });
    let retry = json!({ "first": "100ms", "jitter": false });
    let subscription = json!({ "name": "orders", "type": "order.*", "batch": 10, "retry": retry });
    let bench = bench(json!({ "event": [subscription] }), handler).await;
    bench.register().await;
    publish(&bench, &["a", "b"]).await;
    let runner = bench.runner("one");
    runner.start();
    until("all are over", async || bench.ran().len() >= 2 && bench.unfinished().await == 0).await;
    assert_eq!(batches(&bench)[0].len(), 2);
    assert!(bench.jobs(JobState::Dead).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_at_most_768_kib() {
    let handler: Handler = Box::new(|run| {
        let Message::Events(batch) = &run.message else { panic!("not a batch") };
        let decisions = Value::Array(vec![Value::Null; batch.events.len()]);
        async move { AttemptResult::Returned(decisions.to_string()) }.boxed()
    });
    let subscription = json!({ "name": "orders", "type": "order.*", "batch": 10 });
    let bench = bench(json!({ "event": [subscription] }), handler).await;
    bench.register().await;
    let event = |subject: &str| NewEvent {
        id: subject.to_owned(),
        event_type: "order.paid".to_owned(),
        source: "/tills/7".to_owned(),
        subject: Some(subject.to_owned()),
        data: format!("\"{}\"", "x".repeat(300 << 10)),
        time: 0,
        key: None,
        hops: 0,
        cause: None,
    };
    let mut scope = bench.store.write(&shop().tenant).await.expect("a scope");
    scope.publish_events(&["a", "b", "c"].map(event), None).await.expect("published");
    scope.commit().await.expect("committed");
    let runner = bench.runner("one");
    runner.start();
    until("all are over", async || bench.unfinished().await == 0 && bench.ran().len() >= 2).await;
    let mut sizes: Vec<_> = batches(&bench).iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2]);
}

fn acknowledges() -> Handler {
    Box::new(|run| {
        let Message::Events(batch) = &run.message else { panic!("not a batch") };
        let decisions = Value::Array(vec![Value::Null; batch.events.len()]);
        async move { AttemptResult::Returned(decisions.to_string()) }.boxed()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_waits_until_it_is_full() {
    let batch = json!({ "size": 3, "wait": "5m" });
    let bench =
        bench(json!({ "event": [{ "name": "orders", "type": "order.*", "batch": batch }] }), acknowledges()).await;
    bench.register().await;
    let runner = bench.runner("one");
    let look = async || {
        deliver::round(&runner).await.expect("it looks");
        queue::round(&runner).await.expect("it looks")
    };
    publish(&bench, &["a", "b"]).await;
    assert!(!look().await, "two of three wait");
    assert_eq!(bench.jobs(JobState::Ready).await.len(), 2);
    let pause = runner.batch_pause.lock().take().expect("a pause");
    assert!(pause <= Duration::from_secs(300), "{pause:?}");
    publish(&bench, &["c", "d"]).await;
    assert!(look().await, "it is full");
    until("it has run", async || bench.ran().len() == 1).await;
    assert_eq!(batches(&bench)[0].len(), 3);
    assert!(!look().await, "the fourth waits for others again");
    assert!(runner.batch_pause.lock().take().is_some());
    assert_eq!((bench.ran().len(), bench.jobs(JobState::Ready).await.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_full_runs_when_its_first_event_has_waited_long_enough() {
    let batch = json!({ "size": 100, "wait": "50ms" });
    let bench =
        bench(json!({ "event": [{ "name": "orders", "type": "order.*", "batch": batch }] }), acknowledges()).await;
    bench.register().await;
    publish(&bench, &["a", "b"]).await;
    let runner = bench.runner("one");
    runner.start();
    until("all are over", async || !bench.ran().is_empty() && bench.unfinished().await == 0).await;
    assert_eq!(batches(&bench).iter().map(Vec::len).sum::<usize>(), 2);
}
