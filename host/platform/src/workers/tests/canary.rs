//! Workers in a rollout: those of the canary run in its version, and a rollback brings back what they were.

use super::*;
use elias_api::{WorkerRollback, WorkerTurn};

async fn history(runner: &WorkerRunner, name: &str) -> Vec<WorkerTurn> {
    runner.history(&shop(), &counter(name), None, 1_000).await.expect("a history")
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_a_canary_are_moved_and_a_rollback_brings_back_what_they_were() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    for name in ["canary", "other"] {
        assert_eq!((add(&runner, name).await, add(&runner, name).await), ("1".to_owned(), "2".to_owned()));
    }
    bench.services.begin_canary();
    assert_eq!(call(&runner, "canary", "release").await.as_deref(), Ok("2"));
    assert_eq!(call(&runner, "other", "release").await.as_deref(), Ok("1"));
    for count in 3..=9 {
        assert_eq!(add(&runner, "canary").await, count.to_string(), "it took its count along");
    }
    assert_eq!(add(&runner, "other").await, "3");
    let versions = async |name: &str| {
        runner.status(&shop(), &counter(name)).await.expect("a look").and_then(|status| status.version)
    };
    assert_eq!((versions("canary").await, versions("other").await), (Some(2), Some(1)));
    assert_eq!(WorkerRollback::last(&history(&runner, "canary").await), None);

    bench.services.roll_back();
    assert_eq!(add(&runner, "canary").await, "3", "the counts of before, and one");
    assert_eq!(add(&runner, "other").await, "4");
    assert_eq!(call(&runner, "canary", "release").await.as_deref(), Ok("1"));
    assert_eq!(versions("canary").await, Some(1));
    let back = WorkerRollback::last(&history(&runner, "canary").await).expect("it went back");
    assert_eq!((back.from, back.version), (2, 1));
    assert!(back.lost >= 8, "its upgrade among them: {back:?}");
    assert_eq!(WorkerRollback::last(&history(&runner, "other").await), None);
    let events = bench.services.events.lock().clone();
    let told: Vec<_> = events.iter().filter(|(kind, _)| *kind == "worker.rolled-back").map(|(_, data)| data).collect();
    let WorkerRollback { turn, lost, .. } = back;
    let expected = json!({
        "class": "Counter", "name": "canary", "from": 2, "version": 1, "turn": turn, "lost": lost,
    });
    assert_eq!(told, [&expected]);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_takes_a_worker_over_after_a_rollback_brings_it_back_too() {
    let bench = bench().await;
    let first = bench.runner("one/1");
    assert_eq!(add(&first, "canary").await, "1");
    bench.services.begin_canary();
    assert_eq!((add(&first, "canary").await, add(&first, "canary").await), ("2".to_owned(), "3".to_owned()));
    // It is gone while the rollback is decided elsewhere.
    super::super::ownership::end(&first).await.expect("ended");
    drop(first);
    bench.services.roll_back();
    let second = bench.runner("two/1");
    assert_eq!(add(&second, "canary").await, "2");
    assert_eq!(add(&second, "canary").await, "3", "it goes on");
    second.stop().await;
}
