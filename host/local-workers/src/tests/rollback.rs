//! Workers that a rollout moves to another version, and that go back when it is rolled back.

use super::{NOW, World, config, eventually, key};
use crate::component::DeploymentPhase;
use crate::{CallErrorCode, Cause, OtherVersion, SupervisionPolicy, WorkerChange, WorkerCondition, WorkerHealth};
use elias_host::{SocketKind, SocketRequest};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// How often workers are checked by [`checked`].
const INTERVAL: Duration = Duration::from_secs(10);

/// Version 1 serves.
async fn world() -> World {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, false);
    world
}

/// The same, with workers that are not well after so many checks that failed, and the changes that were told.
async fn checked(threshold: u32) -> (World, Arc<Mutex<Vec<WorkerChange>>>) {
    let changes = Arc::<Mutex<Vec<WorkerChange>>>::default();
    let told = Arc::clone(&changes);
    let table = config(json!({ "health": { "interval": "10s", "threshold": threshold } }));
    let world = World::with(|builder| {
        let builder = builder.config(&table).expect("it is within its bounds").other_version(OtherVersion::Upgrade);
        builder.on_change(move |_, change| told.lock().push(change))
    });
    let world = world.await;
    world.fake.set_former(true, false);
    (world, changes)
}

impl World {
    /// Begins a rollout of version 2.
    fn begin_canary(&self) {
        self.fake.set_canary(2);
        self.fake.set_phase(2, DeploymentPhase::Rollout);
        self.workers.reload();
    }

    /// Rolls it back.
    fn roll_back(&self) {
        self.fake.set_canary(0);
        self.fake.set_phase(2, DeploymentPhase::RolledBack);
        self.workers.reload();
    }
}

#[tokio::test]
async fn a_worker_that_a_canary_put_its_code_under_goes_back_to_heap_and_code() {
    let world = world().await;
    world.fake.set_code(true, false);
    world.call("canary", "add", "2").await;
    world.begin_canary();
    assert_eq!(world.call("canary", "code", "").await, "2 in 2");
    assert_eq!(world.call("canary", "add", "5").await, "7");
    world.roll_back();
    assert_eq!(world.call("canary", "code", "").await, "1 in 1");
    assert_eq!(world.call("canary", "get", "").await, "2");
}

#[tokio::test]
async fn workers_of_a_canary_are_moved_and_a_rollback_brings_back_what_they_were() {
    let world = world().await;
    for name in ["canary", "other"] {
        world.call(name, "add", "2").await;
    }
    world.call("canary", "alarm", "600000").await;
    let before = world.store.record("canary").turns;
    world.begin_canary();
    assert_eq!(world.call("canary", "version", "").await, "2 1 to 2");
    assert_eq!(world.call("other", "version", "").await, "1 ");
    // More turns than a store keeps changes of.
    for n in 3..=150 {
        assert_eq!(world.call("canary", "add", "1").await, n.to_string());
    }
    world.call("canary", "alarm", "1000").await;
    assert_eq!(world.store.record("canary").upgraded_from_turn(), Some(before));
    assert_eq!(world.store.record("other").upgraded_from_turn(), None);
    world.roll_back();
    assert_eq!(world.call("canary", "get", "").await, "2");
    assert_eq!(world.call("canary", "version", "").await, "1 ");
    assert_eq!(world.call("other", "add", "1").await, "3");
    let record = world.store.record("canary");
    assert_eq!((record.upgraded_from_turn(), record.next_due()), (None, Some(NOW + 600_000)), "its alarm of before");
    assert!(record.turns > before + 150, "turns have numbers of their own");
    assert_eq!(world.call("canary", "add", "1").await, "3", "it goes on");
}

#[tokio::test]
async fn a_worker_that_goes_back_still_knows_what_it_was_before_the_deployment_before() {
    let world = world().await;
    let before = |name: &str| world.store.record(name).before_upgrade.expect("it was moved");
    world.call("canary", "add", "2").await;
    world.begin_canary();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    let first = before("canary");
    world.fake.set_phase(2, DeploymentPhase::Serving);
    world.fake.set_canary(3);
    world.fake.set_phase(3, DeploymentPhase::Rollout);
    world.workers.reload();
    assert_eq!(world.call("canary", "add", "1").await, "8");
    assert_eq!(before("canary").deployment, "3");
    world.fake.set_canary(2);
    world.fake.set_phase(3, DeploymentPhase::RolledBack);
    world.workers.reload();
    assert_eq!(world.call("canary", "add", "1").await, "8", "7 of version 2, and one");
    assert_eq!((before("canary").deployment, before("canary").turn), (first.deployment, first.turn));
}

#[tokio::test]
async fn a_worker_that_was_asleep_goes_back_too() {
    let world = world().await;
    world.call("canary", "add", "2").await;
    world.begin_canary();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    world.clock.advance(Duration::from_secs(120));
    eventually(async || world.fake.awake() == 0).await;
    world.roll_back();
    assert_eq!(world.call("canary", "get", "").await, "2");
}

#[tokio::test]
async fn a_handler_that_waits_in_a_canary_is_not_waited_for() {
    let world = world().await;
    world.call("canary", "add", "2").await;
    world.begin_canary();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    let asked = world.workers.call(key("canary"), "ask", "b hold");
    let queued = world.workers.call(key("canary"), "get", "");
    eventually(async || world.fake.is_holding()).await;
    world.until("canary", |one| one.condition == WorkerCondition::Waiting).await;
    world.roll_back();
    let error = asked.await.expect_err("its version was rolled back");
    assert_eq!(error.code, CallErrorCode::Failed);
    assert!(error.message.contains("was rolled back"), "{}", error.message);
    assert_eq!(queued.await.expect("it was not begun"), "2");
    // The answer to the call of the handler is nobody's.
    world.fake.let_go();
    eventually(async || !world.fake.is_holding()).await;
    assert_eq!(world.call("b", "get", "").await, "1");
    assert_eq!(world.call("canary", "get", "").await, "2");
}

#[tokio::test]
async fn what_became_of_the_version_of_a_handler_that_waits_is_asked_for_until_it_is_known() {
    let world = world().await;
    world.call("canary", "add", "2").await;
    world.begin_canary();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    let asked = world.workers.call(key("canary"), "ask", "b hold");
    eventually(async || world.fake.is_holding()).await;
    world.until("canary", |one| one.condition == WorkerCondition::Waiting).await;
    world.fake.set_canary(0);
    world.fake.set_phase(2, None);
    world.workers.reload();
    eventually(async || world.fake.unknown_phases.load(SeqCst) > 0).await;
    world.fake.set_phase(2, DeploymentPhase::RolledBack);
    world.clock.advance(Duration::from_secs(1));
    let error = asked.await.expect_err("its version was rolled back");
    assert!(error.message.contains("was rolled back"), "{}", error.message);
    world.fake.let_go();
    assert_eq!(world.call("canary", "get", "").await, "2");
}

#[tokio::test]
async fn sockets_of_before_are_left_and_those_of_the_canary_are_closed() {
    let world = world().await;
    let open = async || {
        let (url, kind) = ("/".to_owned(), SocketKind::default());
        let request = SocketRequest { url, headers: Vec::new(), protocol: String::new(), kind };
        world.workers.open_socket(key("canary"), request, Cause::default()).await
    };
    let _first = open().await.expect("it opens");
    world.begin_canary();
    let _second = open().await.expect("it opens");
    assert_eq!(world.call("canary", "sockets", "").await, "2");
    world.roll_back();
    assert_eq!(world.call("canary", "sockets", "").await, "1");
    assert_eq!(world.workers.sockets(&key("canary")), 1);
    assert!(world.fake.closed().is_empty(), "the one that is left is open");
}

#[tokio::test]
async fn a_worker_is_stopped_as_what_it_goes_back_to() {
    let world = world().await;
    world.call("canary", "add", "2").await;
    world.begin_canary();
    world.call("canary", "add", "5").await;
    world.roll_back();
    assert_eq!(world.workers.stop_worker(&key("canary"), "over".into()).await, Ok(true));
    assert_eq!(world.fake.stopped(), ["over"], "its onStop is called");
}

#[tokio::test]
async fn a_worker_whose_former_heap_is_not_kept_takes_its_state_along() {
    let world = world().await;
    world.call("canary", "add", "2").await;
    world.fake.set_canary(2);
    // It has all traffic: nothing is kept beyond the history, of which this store has none.
    world.fake.set_phase(2, DeploymentPhase::Serving);
    world.workers.reload();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    assert_eq!(world.store.record("canary").upgraded_from_turn(), None);
    world.roll_back();
    assert_eq!(world.call("canary", "get", "").await, "7");
    assert_eq!(world.call("canary", "version", "").await, "1 2 to 1");
}

#[tokio::test]
async fn what_a_worker_was_is_kept_until_the_rollout_is_over() {
    for phase in [DeploymentPhase::Serving, DeploymentPhase::Superseded] {
        let world = world().await;
        world.call("canary", "add", "2").await;
        world.begin_canary();
        assert_eq!(world.call("canary", "add", "5").await, "7");
        assert!(world.store.record("canary").upgraded_from_turn().is_some());
        world.fake.set_phase(2, phase);
        world.workers.reload();
        assert_eq!(world.call("canary", "add", "1").await, "8");
        assert_eq!(world.store.record("canary").upgraded_from_turn(), None, "{phase:?}");
    }
}

#[tokio::test]
async fn a_worker_that_cannot_be_moved_to_a_canary_is_told_of() {
    let world = world().await;
    world.call("canary", "add", "2").await;
    world.fake.set_former(true, true);
    world.begin_canary();
    assert_eq!(world.call("canary", "version", "").await, "1 ", "the former version goes on");
    assert_eq!(world.fake.failed_upgrades(), ["canary"]);
    world.roll_back();
    assert_eq!(world.call("canary", "add", "1").await, "3", "nothing was moved, and nothing is lost");
}

#[tokio::test]
async fn a_move_with_events_that_may_not_be_published_is_undone() {
    // By its state, and with its heap.
    for (swaps, version) in [(false, "2 1 to 2"), (true, "1 ")] {
        let world = World::with(|builder| {
            let builder = builder.other_version(OtherVersion::Upgrade);
            builder.check_events(|events, _| match events.iter().find(|event| event.value == "large") {
                Some(event) => Err(format!("{} is too large", event.event)),
                None => Ok(()),
            })
        });
        let world = world.await;
        world.fake.set_former(true, false);
        world.fake.set_code(swaps, false);
        world.call("canary", "add", "2").await;
        "large".clone_into(&mut world.fake.emits_on_upgrade.lock());
        world.begin_canary();
        assert_eq!(world.call("canary", "code", "").await, "1 in 1", "the former version goes on");
        world.until("canary", |one| one.upgrade_error.as_ref().is_some_and(|why| why.contains("too large"))).await;
        "small".clone_into(&mut world.fake.emits_on_upgrade.lock());
        world.workers.reload();
        assert_eq!(world.call("canary", "code", "").await, "2 in 2");
        assert_eq!(world.call("canary", "version", "").await, version);
    }
}

#[tokio::test]
async fn a_worker_that_failed_too_often_in_a_canary_goes_on_after_the_rollback() {
    let policy = SupervisionPolicy { attempts: 1, failures: 0, ..SupervisionPolicy::default() };
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade).supervision(policy)).await;
    world.fake.set_former(true, false);
    world.call("canary", "add", "2").await;
    world.begin_canary();
    assert_eq!(world.fails("canary", "trap", "").await.0, CallErrorCode::Failed);
    let (_, message) = world.fails("canary", "get", "").await;
    assert!(message.contains("failed too often"), "{message}");
    world.roll_back();
    assert_eq!(world.call("canary", "get", "").await, "2");
}

#[tokio::test]
async fn a_version_that_was_rolled_back_is_not_asked_for_the_health_of_its_workers() {
    let (world, changes) = checked(1).await;
    world.call("canary", "add", "2").await;
    world.until("canary", |one| one.health == WorkerHealth::Healthy).await;
    world.begin_canary();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    world.fake.set_health("false in 2");
    world.roll_back();
    world.clock.advance(INTERVAL);
    assert_eq!(world.call("canary", "get", "").await, "2");
    assert!(changes.lock().is_empty(), "or its tree would have begun it anew");
    world.clock.advance(INTERVAL);
    world.until("canary", |one| one.health == WorkerHealth::Healthy).await;
}

#[tokio::test]
async fn checks_that_failed_in_another_version_do_not_count() {
    let (world, changes) = checked(2).await;
    world.call("canary", "add", "2").await;
    world.until("canary", |one| one.health == WorkerHealth::Healthy).await;
    world.begin_canary();
    assert_eq!(world.call("canary", "add", "5").await, "7");
    world.fake.set_health("false");
    world.clock.advance(INTERVAL);
    world.until("canary", |one| one.health_error.is_some()).await;
    world.roll_back();
    assert_eq!(world.call("canary", "get", "").await, "2");
    let turns = world.fake.health_turns();
    world.clock.advance(INTERVAL);
    eventually(async || world.fake.health_turns() > turns).await;
    world.until("canary", |one| one.health_error.is_some() && one.health == WorkerHealth::Healthy).await;
    assert!(changes.lock().is_empty(), "one check has failed in each version");
}
