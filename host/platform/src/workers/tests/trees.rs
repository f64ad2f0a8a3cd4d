//! Groups and supervision trees of a service on a platform.

use super::{add, bench, call, counter, shop, until};
use elias_api::{WorkerFilter, WorkerHealth};
use elias_local_workers::CallErrorCode;
use elias_workers::config::WorkersConfig;
use serde_json::{Value, from_value, json};

fn config(table: Value) -> WorkersConfig {
    from_value(table).expect("a table")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_a_group_is_for_a_member_and_lists_are_by_tag_and_health() {
    let bench = bench().await;
    let table = json!({
        "group": [{ "name": "pool", "class": "Counter", "size": 2 }],
        "tags": { "Counter": ["edge"] },
        "health": { "interval": "1s" },
    });
    bench.services.configure(config(table), 1);
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(call(&runner, "pool", "name").await, Ok("pool#1".to_owned()));
    assert_eq!(call(&runner, "pool", "name").await, Ok("pool#2".to_owned()));
    let of_key = call(&runner, "pool/ada", "name").await;
    assert_eq!(call(&runner, "pool/ada", "name").await, of_key);
    let list = async |filter: &WorkerFilter| {
        let listed = runner.list(&shop(), filter, None, 10).await.expect("a list");
        listed.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    let tagged = |tag: &str| WorkerFilter { tag: Some(tag.to_owned()), ..WorkerFilter::default() };
    assert_eq!(list(&tagged("edge")).await, ["pool#1", "pool#2"]);
    assert!(list(&tagged("cold")).await.is_empty());
    let of_class = |class: &str| WorkerFilter { class: Some(class.to_owned()), ..tagged("edge") };
    assert_eq!(list(&of_class("Counter")).await.len(), 2);
    assert!(list(&of_class("Cart")).await.is_empty());
    let healthy = WorkerFilter { health: Some(WorkerHealth::Healthy), ..WorkerFilter::default() };
    until("both are checked", async || list(&healthy).await == ["pool#1", "pool#2"]).await;
    let unhealthy = WorkerFilter { health: Some(WorkerHealth::Unhealthy), ..WorkerFilter::default() };
    assert!(list(&unhealthy).await.is_empty());
    let status = runner.status(&shop(), &counter("pool#1")).await.expect("the store is read").expect("it is there");
    assert_eq!(status.tags, ["edge"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_restarts_its_workers_and_says_when_it_is_given_up() {
    let bench = bench().await;
    let children = json!([{ "class": "Counter", "name": "a" }, { "class": "Counter", "name": "b" }]);
    let table = json!({
        "supervision": { "attempts": 1, "failures": 1 },
        "tree": [{ "name": "all", "strategy": "one-for-all", "children": children, "failures": 1, "window": "1d" }],
    });
    bench.services.configure(config(table), 1);
    let runner = bench.runner("one/1");
    runner.start();
    let fail = async || {
        for _ in 0..2 {
            let error = call(&runner, "a", "trap").await.expect_err("it is out of fuel");
            assert_eq!(error.code, CallErrorCode::Failed);
        }
    };
    let restarts = || bench.events().iter().filter(|event| **event == "worker.restarted").count();
    assert_eq!(add(&runner, "b").await, "1");
    fail().await;
    until("both are restarted", async || restarts() == 2).await;
    assert_eq!(add(&runner, "b").await, "1", "it began anew with the other");
    fail().await;
    let error = call(&runner, "b", "add").await.expect_err("the tree was given up");
    assert_eq!(error.code, CallErrorCode::Failed);
    assert!(error.message.contains("all was given up"), "{}", error.message);
    let status = runner.status(&shop(), &counter("b")).await.expect("the store is read").expect("it is shown");
    assert!(status.given_up.is_some_and(|why| why.contains("Counter/a")));
    // One event says that the worker failed, and one that its tree did.
    until("it is said", async || {
        let events = bench.services.events.lock();
        let failed =
            events.iter().filter(|(event, _)| *event == "worker.failed").map(|(_, data)| data["tree"].as_str());
        failed.collect::<Vec<_>>() == [None, None, Some("all")]
    })
    .await;
    runner.start_worker(&shop(), &counter("b")).await.expect("it is started");
    assert_eq!((add(&runner, "a").await, add(&runner, "b").await), ("1".to_owned(), "1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_and_tags_of_a_version_that_is_deployed_later_reach_workers_that_run() {
    let bench = bench().await;
    let runner = bench.runner("one/1");
    runner.start();
    assert_eq!(add(&runner, "a").await, "1");
    let table = json!({
        "tree": [{ "name": "all", "children": [{ "class": "Counter", "name": "b" }] }],
        "tags": { "Counter": ["edge"] },
    });
    bench.services.configure(config(table), 2);
    assert_eq!(add(&runner, "a").await, "2", "the call loads the version");
    let status = async |name: &str| runner.status(&shop(), &counter(name)).await.expect("the store is read");
    until("the tree starts its worker", async || status("b").await.is_some_and(|one| one.turns > 0)).await;
    assert_eq!(status("a").await.expect("it is there").tags, ["edge"]);
    runner.stop().await;
}
