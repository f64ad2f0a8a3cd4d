//! Supervision trees: which workers are restarted where one of them fails.

use super::{World, config, eventually, key};
use crate::{CallErrorCode, WorkerChange};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Workers whose second turn that is ended is one too many, with these trees, and the changes that were told.
async fn supervised(trees: Value) -> (World, Arc<Mutex<Vec<(String, WorkerChange)>>>) {
    let changes = Arc::<Mutex<Vec<(String, WorkerChange)>>>::default();
    let told = Arc::clone(&changes);
    let supervision = json!({ "attempts": 1, "failures": 1 });
    let health = json!({ "interval": "10s", "threshold": 1 });
    let table = config(json!({ "supervision": supervision, "health": health, "tree": trees }));
    let world = World::with(|builder| {
        let builder = builder.config(&table).expect("it is within its bounds");
        builder.on_change(move |key, change| told.lock().push((key.name.clone(), change)))
    });
    (world.await, changes)
}

fn children(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "class": "A", "name": name })).collect()
}

/// Has a worker fail: too many of its turns are ended.
async fn fail(world: &World, name: &str) {
    for _ in 0..2 {
        assert_eq!(world.fails(name, "trap", "").await.0, CallErrorCode::Failed);
    }
}

/// Waits until so many workers were started.
async fn until_started(world: &World, count: usize) {
    eventually(async || world.fake.started().len() >= count).await;
}

#[tokio::test]
async fn a_failure_restarts_what_the_strategy_says_in_the_order_of_the_children() {
    for (strategy, restarted) in
        [("one-for-one", vec!["b"]), ("one-for-all", vec!["a", "b", "c"]), ("rest-for-one", vec!["b", "c"])]
    {
        let tree = json!([{ "name": "all", "strategy": strategy, "children": children(&["a", "b", "c"]) }]);
        let (world, changes) = supervised(tree).await;
        until_started(&world, 3).await;
        assert_eq!(world.fake.started(), ["a", "b", "c"], "they are started with the tree");
        for name in ["a", "b", "c"] {
            assert_eq!(world.call(name, "add", "5").await, "5");
        }
        fail(&world, "b").await;
        until_started(&world, 3 + restarted.len()).await;
        assert_eq!(world.fake.started()[3..], restarted, "{strategy}");
        for name in ["a", "b", "c"] {
            let expected = if restarted.contains(&name) { "0" } else { "5" };
            assert_eq!(world.call(name, "get", "").await, expected, "{strategy}: {name}");
        }
        eventually(async || changes.lock().len() == 1 + restarted.len()).await;
        let told = changes.lock().clone();
        assert!(matches!(&told[0], (name, WorkerChange::Failed { .. }) if name == "b"), "{told:?}");
        for ((name, change), expected) in told[1..].iter().zip(&restarted) {
            assert_eq!(name, expected);
            let WorkerChange::Restarted { tree, reason } = change else { panic!("{change:?}") };
            assert_eq!(tree, "all");
            assert!(reason.contains("out of fuel"), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_tree_that_fails_too_often_is_given_up_until_a_worker_of_it_is_started_again() {
    let tree = json!([{ "name": "all", "children": children(&["a", "b"]), "failures": 1 }]);
    let (world, changes) = supervised(tree).await;
    until_started(&world, 2).await;
    fail(&world, "b").await;
    until_started(&world, 3).await;
    fail(&world, "b").await;
    eventually(async || matches!(changes.lock().last(), Some((_, WorkerChange::GivenUp { .. })))).await;
    for name in ["a", "b"] {
        let (code, message) = world.fails(name, "get", "").await;
        assert_eq!(code, CallErrorCode::Failed);
        assert!(message.contains("supervision tree all was given up") && message.contains("A/b"), "{message}");
        world.until(name, |one| one.given_up.is_some()).await;
    }
    let (_, message) = world.fails("x", "ask", "a get").await;
    assert!(message.contains("given up"), "a worker that calls one is told likewise: {message}");
    assert!(world.workers.has_given_up());
    let listed = world.workers.list().await.expect("it is read");
    let given_up: Vec<_> = listed.iter().filter(|one| one.given_up.is_some()).map(|one| &*one.key.name).collect();
    assert_eq!(given_up, ["a", "b"]);
    world.workers.restart_worker(&key("b"), Value::Null).await.expect("it is started");
    for name in ["a", "b"] {
        assert_eq!(world.call(name, "get", "").await, "0");
    }
    assert!(!world.workers.has_given_up());
    // What failed before does not count any more.
    let started = world.fake.started().len();
    fail(&world, "b").await;
    until_started(&world, started + 1).await;
    assert_eq!(world.call("b", "get", "").await, "0");
}

#[tokio::test]
async fn failures_of_a_tree_are_counted_in_a_window() {
    let tree = json!([{ "name": "all", "children": children(&["a"]), "failures": 1, "window": "60s" }]);
    let (world, _) = supervised(tree).await;
    until_started(&world, 1).await;
    for round in 1..4 {
        fail(&world, "a").await;
        until_started(&world, 1 + round).await;
        assert_eq!(world.call("a", "get", "").await, "0");
        world.clock.advance(Duration::from_secs(60));
    }
    assert!(!world.workers.has_given_up());
}

#[tokio::test]
async fn a_tree_below_another_that_is_given_up_is_restarted_by_it() {
    let trees = json!([
        { "name": "top", "strategy": "one-for-all", "children": [{ "class": "A", "name": "a" }, { "tree": "low" }] },
        { "name": "low", "children": children(&["b", "c"]), "failures": 0 },
    ]);
    let (world, _) = supervised(trees).await;
    until_started(&world, 3).await;
    fail(&world, "c").await;
    until_started(&world, 6).await;
    assert_eq!(world.fake.started()[3..], ["a", "b", "c"]);
}

#[tokio::test]
async fn a_worker_that_does_not_start_has_its_tree_given_up() {
    let tree = json!([{ "name": "all", "children": children(&["a"]), "failures": 2 }]);
    let (world, _) = supervised(tree).await;
    world.until("a", |one| one.turns > 0).await;
    world.fake.set_refuses_start(true);
    fail(&world, "a").await;
    world.until("a", |one| one.given_up.is_some()).await;
    // The first, and two restarts.
    assert_eq!(world.fake.started(), ["a", "a", "a"]);
    world.fake.set_refuses_start(false);
    world.workers.start_worker(key("a")).await.expect("it is started");
    assert_eq!(world.call("a", "get", "").await, "0");
}

#[tokio::test]
async fn a_worker_that_is_not_well_is_restarted() {
    let (world, changes) = supervised(json!([{ "name": "all", "children": children(&["a"]) }])).await;
    world.call("a", "add", "5").await;
    eventually(async || world.fake.health_turns() == 1).await;
    world.fake.set_health("throw once");
    world.clock.advance(Duration::from_secs(10));
    until_started(&world, 2).await;
    assert_eq!(world.call("a", "get", "").await, "0");
    let told = changes.lock().clone();
    let Some((_, WorkerChange::Failed { reason })) = told.first() else { panic!("{told:?}") };
    assert!(reason.contains("no disk"), "{reason}");
}

#[tokio::test]
async fn a_tree_leaves_workers_alone_that_are_there_and_waits_for_a_component() {
    let tree = json!([{ "name": "all", "children": children(&["a", "b"]) }]);
    let (store, fake) = (Arc::default(), super::Fake::new());
    let table = config(json!({ "tree": tree }));
    let extend = |builder: crate::LocalWorkersBuilder| builder.config(&table).expect("it is within its bounds");
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), extend).await;
    assert_eq!(world.call("a", "add", "5").await, "5");
    until_started(&world, 2).await;
    world.workers.stop_worker(&key("b"), Value::Null).await.expect("it is stopped");
    drop(world);
    fake.set_unloaded(true);
    let world = World::on(store, fake, extend).await;
    world.fake.set_unloaded(false);
    world.workers.reload();
    until_started(&world, 3).await;
    assert_eq!(world.fake.started()[2..], ["b"]);
    assert_eq!(world.call("a", "get", "").await, "5");
}

#[tokio::test]
async fn a_tree_that_is_given_up_in_a_restart_starts_no_more_of_its_workers() {
    let children = children(&["a", "b"]);
    let tree = json!([{ "name": "all", "strategy": "one-for-all", "children": children, "failures": 1 }]);
    let (world, changes) = supervised(tree).await;
    until_started(&world, 2).await;
    world.fake.set_refuses_start(true);
    fail(&world, "b").await;
    eventually(async || matches!(changes.lock().last(), Some((_, WorkerChange::GivenUp { .. })))).await;
    let told = changes.lock().clone();
    let failed = told.iter().filter(|(_, change)| matches!(change, WorkerChange::Failed { .. }));
    assert_eq!(failed.map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["b", "a"], "{told:?}");
}

#[tokio::test]
async fn trees_and_tags_that_are_configured_while_workers_run_take_the_place_of_the_former_ones() {
    let table = |trees: Value| config(json!({ "tree": trees, "tags": { "A": ["edge"] } }));
    let (kept, changed) = (json!({ "name": "kept", "children": children(&["a"]), "failures": 0 }), "changed");
    let former = json!({ "name": changed, "children": children(&["b"]), "failures": 0 });
    let (world, _) = supervised(json!([kept, former])).await;
    until_started(&world, 2).await;
    for name in ["a", "b"] {
        fail(&world, name).await;
        world.until(name, |one| one.given_up.is_some() && one.tags.is_empty()).await;
    }
    let later = json!({ "name": changed, "children": children(&["b", "c"]), "failures": 0 });
    world.workers.configure_registry(&table(json!([kept, later])));
    world.workers.reload();
    // The workers of the tree that is another one are started; the one that is as it was stays given up.
    until_started(&world, 4).await;
    assert_eq!(world.call("b", "get", "").await, "0");
    world.until("c", |one| one.turns > 0 && one.tags == ["edge"]).await;
    assert_eq!(world.fails("a", "get", "").await.0, CallErrorCode::Failed);
    world.workers.configure_registry(&table(json!([])));
    assert_eq!(world.call("a", "get", "").await, "0", "without its tree it is a worker like others");
    assert!(!world.workers.has_given_up());
}
