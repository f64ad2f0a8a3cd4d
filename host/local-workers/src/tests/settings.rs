//! Settings that are changed while workers run.

use super::{World, eventually, key};
use crate::{
    CallErrorCode, HealthConfig, MailboxLimits, SupervisionPolicy, TimerLimit, WorkerCondition, WorkerHealth,
    WorkerSettings,
};
use serde_json::json;
use std::time::Duration;

/// Longer than any test has its clock go on.
const YEARS: Duration = Duration::from_secs(1_000_000_000);

#[tokio::test]
async fn a_worker_that_rests_leaves_memory_by_the_time_that_holds_now() {
    let world = World::with(|builder| builder.idle(YEARS)).await;
    world.call("a", "add", "1").await;
    world.workers.configure(WorkerSettings { idle: Duration::from_secs(5), ..WorkerSettings::default() });
    let has_left = async || {
        world.clock.advance(Duration::from_secs(5));
        world.fake.awake() == 0
    };
    eventually(has_left).await;
}

#[tokio::test]
async fn other_bounds_of_mailboxes_hold_for_workers_that_have_one() {
    let world = World::new().await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let mailbox = MailboxLimits { messages: 1, ..MailboxLimits::default() };
    world.workers.configure(WorkerSettings { mailbox, ..WorkerSettings::default() });
    let waiting = world.workers.call(key("a"), "get", "");
    assert_eq!(world.fails("a", "get", "").await.0, CallErrorCode::MailboxFull);
    world.fake.let_go();
    assert_eq!((held.await.expect("it goes well"), waiting.await.expect("it waited")), ("held".into(), "1".into()));
}

#[tokio::test]
async fn a_worker_that_runs_is_supervised_by_the_policy_that_holds_now() {
    let world = World::new().await;
    world.call("a", "add", "1").await;
    let supervision = SupervisionPolicy { attempts: 1, ..SupervisionPolicy::default() };
    world.workers.configure(WorkerSettings { supervision, ..WorkerSettings::default() });
    assert_eq!(world.fails("a", "trap-until", "2").await.0, CallErrorCode::Failed, "the clock stands still");
    assert_eq!(world.call("a", "get", "").await, "1");
}

#[tokio::test]
async fn a_worker_in_memory_is_asked_for_its_health_once_that_is_wanted() {
    let world = World::new().await;
    world.call("a", "add", "1").await;
    world.until("a", |one| one.condition == WorkerCondition::Idle).await;
    assert_eq!(world.fake.health_turns(), 0);
    world.workers.configure(WorkerSettings { health: Some(HealthConfig::default()), ..WorkerSettings::default() });
    world.until("a", |one| one.health == WorkerHealth::Healthy).await;
}

#[tokio::test]
async fn a_turn_that_sets_more_timers_than_its_worker_may_have_is_undone() {
    let world = World::configured(json!({ "limits": { "timers": 1 } })).await;
    for ms in ["1000", "2000"] {
        world.call("a", "alarm", ms).await;
    }
    let (code, message) = world.fails("a", "tick", "").await;
    assert_eq!(code, CallErrorCode::Exception);
    let wanted = "A/a would have 2 timers and alarms set; it may have 1 (timers of [workers.limits])";
    assert_eq!(message, wanted);
    assert_eq!(world.store.record("a").timers.len(), 1, "the alarm that was set twice");
    let timers = TimerLimit { most: 2, setting: "a quota" };
    world.workers.configure(WorkerSettings { timers, ..WorkerSettings::default() });
    world.call("a", "tick", "").await;
    let (_, message) = world.fails("a", "wait", "").await;
    assert!(message.ends_with("it may have 2 (a quota)"), "{message}");
}

#[tokio::test]
async fn turns_have_the_fuel_that_holds_now() {
    let world = World::configured(json!({ "limits": { "fuel": 2_000_000 } })).await;
    assert_eq!(world.call("a", "fuel", "").await, "Some(2000000)");
    world.workers.configure(WorkerSettings::default());
    assert_eq!(world.call("a", "fuel", "").await, "None");
}
