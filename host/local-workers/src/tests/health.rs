//! Whether workers are well.

use super::{World, config, eventually, key};
use crate::{WorkerChange, WorkerCondition, WorkerFilter, WorkerHealth, WorkerStatus};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const INTERVAL: Duration = Duration::from_secs(10);

/// Workers that are checked every ten seconds, and the changes that were told.
async fn checked() -> (World, Arc<Mutex<Vec<WorkerChange>>>) {
    let changes = Arc::<Mutex<Vec<WorkerChange>>>::default();
    let told = Arc::clone(&changes);
    let table = config(json!({ "health": { "interval": "10s", "timeout": "1s", "threshold": 2 } }));
    let world = World::with(|builder| {
        let builder = builder.config(&table).expect("it is within its bounds");
        builder.on_change(move |_, change| told.lock().push(change))
    });
    (world.await, changes)
}

fn fails_with(status: &WorkerStatus, text: &str) -> bool {
    status.health_error.as_ref().is_some_and(|error| error.contains(text))
}

#[tokio::test]
async fn a_check_leaves_nothing_behind_and_there_is_one_in_an_interval() {
    let (world, _) = checked().await;
    world.call("a", "add", "2").await;
    world.until("a", |one| one.health == WorkerHealth::Healthy).await;
    let turns = world.store.record("a").turns;
    for _ in 0..5 {
        assert_eq!(world.call("a", "get", "").await, "2");
    }
    assert_eq!((world.fake.health_turns(), world.store.record("a").turns), (1, turns + 5), "a check is no turn");
    world.clock.advance(INTERVAL);
    eventually(async || world.fake.health_turns() == 2).await;
    assert_eq!(world.call("a", "get", "").await, "2");
    // Without a table nobody is asked.
    let world = World::new().await;
    world.call("a", "add", "2").await;
    world.until("a", |one| one.condition == WorkerCondition::Idle).await;
    assert_eq!(world.fake.health_turns(), 0);
}

#[tokio::test]
async fn a_worker_that_is_checked_leaves_memory_all_the_same_and_is_not_woken_for_a_check() {
    let table = json!({ "idle": "15s", "health": { "interval": "10s" } });
    let world = World::configured(table).await;
    world.call("a", "add", "2").await;
    eventually(async || world.fake.health_turns() == 1).await;
    world.until("a", |one| one.condition == WorkerCondition::Idle).await;
    world.clock.advance(INTERVAL);
    eventually(async || world.fake.health_turns() == 2).await;
    world.until("a", |one| one.condition == WorkerCondition::Idle).await;
    world.clock.advance(Duration::from_secs(5));
    eventually(async || world.fake.awake() == 0).await;
    world.clock.advance(INTERVAL * 6);
    assert_eq!(world.call("a", "get", "").await, "2");
    eventually(async || world.fake.health_turns() == 3).await;
}

#[tokio::test]
async fn a_worker_is_unhealthy_after_as_many_failures_as_the_threshold_says_until_a_check_goes_well() {
    for (health, why) in [("throw", "Error: no disk"), ("false", "returned false"), ("wait", "must not wait")] {
        let (world, changes) = checked().await;
        world.fake.set_health(health);
        world.call("a", "add", "2").await;
        world.until("a", |one| fails_with(one, why) && one.health == WorkerHealth::Healthy).await;
        world.clock.advance(INTERVAL);
        world.until("a", |one| one.health == WorkerHealth::Unhealthy).await;
        world.clock.advance(INTERVAL);
        eventually(async || world.fake.health_turns() == 3).await;
        assert_eq!(world.call("a", "get", "").await, "2", "{health}: it goes on, and the check is undone");
        let list = async |health| {
            let filter = WorkerFilter { health: Some(health), ..WorkerFilter::default() };
            let listed = world.workers.list_matching(&filter, None, 10).await.expect("it is read");
            listed.into_iter().map(|one| one.key.name).collect::<Vec<_>>()
        };
        assert_eq!(list(WorkerHealth::Unhealthy).await, ["a"]);
        assert!(list(WorkerHealth::Healthy).await.is_empty() && list(WorkerHealth::Unknown).await.is_empty());
        let told = changes.lock().clone();
        let [WorkerChange::Failed { reason }] = told.as_slice() else { panic!("it fails once: {told:?}") };
        assert!(reason.contains("2 times") && reason.contains(why), "{reason}");
        world.fake.set_health("well");
        world.clock.advance(INTERVAL);
        world.until("a", |one| one.health == WorkerHealth::Healthy && one.health_error.is_none()).await;
    }
}

#[tokio::test]
async fn a_list_of_workers_that_are_not_well_reads_none_of_the_others() {
    let (world, _) = checked().await;
    let list = async |health| {
        let filter = WorkerFilter { health: Some(health), ..WorkerFilter::default() };
        world.workers.list_matching(&filter, None, 10).await.expect("it is read").len()
    };
    world.call("a", "add", "1").await;
    world.until("a", |one| one.health == WorkerHealth::Healthy).await;
    world.workers.give_up(&key("a"));
    // Once it has no task, the store is asked for it.
    eventually(async || {
        let before = world.store.summaries();
        list(WorkerHealth::Healthy).await == 1 && world.store.summaries() > before
    })
    .await;
    let before = world.store.summaries();
    assert_eq!((list(WorkerHealth::Unhealthy).await, world.store.summaries()), (0, before));
}

#[tokio::test]
async fn a_check_that_hangs_is_cut_off_and_has_failed() {
    let (world, _) = checked().await;
    world.fake.set_health("hang");
    world.call("a", "add", "2").await;
    eventually(async || world.fake.health_turns() == 1).await;
    let waiting = world.workers.call(key("a"), "get", "");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(waiting.await.expect("it goes on"), "2");
    world.until("a", |one| fails_with(one, "did not end within 1s")).await;
    // It is in memory still, and is checked again.
    world.clock.advance(INTERVAL);
    eventually(async || world.fake.health_turns() == 2).await;
    world.clock.advance(Duration::from_secs(1));
    world.until("a", |one| one.health == WorkerHealth::Unhealthy).await;
}

#[tokio::test]
async fn failures_are_counted_also_if_the_worker_leaves_memory_between_them_and_not_for_its_successor() {
    let (world, _) = checked().await;
    world.fake.set_health("throw");
    for failures in 1..=2 {
        world.call("a", "add", "1").await;
        eventually(async || world.fake.health_turns() == failures).await;
        world.until("a", |one| one.condition == WorkerCondition::Idle).await;
        world.workers.give_up(&key("a"));
        eventually(async || world.fake.awake() == 0).await;
        world.clock.advance(INTERVAL);
    }
    world.until("a", |one| one.health == WorkerHealth::Unhealthy).await;
    world.fake.set_health("well");
    world.workers.restart_worker(&key("a"), json!("stale")).await.expect("it is restarted");
    world.until("a", |one| one.health != WorkerHealth::Unhealthy).await;
}
