//! Turns that cannot begin, timers that are always due, hosts that fail, and what else must not stop a worker.

use super::{World, eventually, key};
use crate::{CallErrorCode, Cause, MailboxLimits, SupervisionPolicy};
use elias_host::TurnKind;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[tokio::test]
async fn an_interval_of_no_time_waits_a_millisecond_and_lets_messages_in() {
    let world = World::new().await;
    world.call("a", "tick", "").await;
    world.until("a", |one| one.next_due == Some(super::NOW + 1)).await;
    // The clock stands still: no turn costs no time.
    assert_eq!(world.call("a", "get", "").await, "0");
    world.clock.advance(Duration::from_millis(1));
    world.until("a", |one| one.next_due == Some(super::NOW + 2)).await;
    assert_eq!(world.call("a", "get", "").await, "1");
    assert_eq!(world.call("b", "get", "").await, "0");
}

#[tokio::test]
async fn timers_of_a_worker_that_failed_too_often_wait_until_it_runs_again() {
    let policy = SupervisionPolicy { attempts: 1, failures: 0, ..SupervisionPolicy::default() };
    let world = World::with(|builder| builder.supervision(policy)).await;
    world.call("a", "alarm", "1000").await;
    assert_eq!(world.fails("a", "trap", "").await.0, CallErrorCode::Failed);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.fails("a", "get", "").await.0, CallErrorCode::Failed);
    assert!(world.store.record("a").next_due().is_some());
    world.clock.advance(Duration::from_secs(60));
    world.until("a", |one| one.next_due.is_none()).await;
    assert_eq!(world.call("a", "get", "").await, "100");
}

#[tokio::test]
async fn a_turn_that_cannot_begin_is_not_tried_for_ever() {
    let world = World::new().await;
    world.call("a", "add", "1").await;
    let call = tokio::spawn(world.workers.call(key("a"), "not-run", ""));
    let turns = world.fake.turns();
    eventually(async || world.fake.turns() > turns).await;
    for _ in 0..10 {
        // It waits for the clock when it has tried once more.
        let turns = world.fake.turns();
        // More than the longest delay.
        world.clock.advance(Duration::from_secs(10));
        eventually(async || world.fake.turns() > turns || call.is_finished()).await;
    }
    let error = call.await.expect("it does not panic").expect_err("it never begins");
    assert_eq!(error.code, CallErrorCode::Unavailable);
    assert!(error.message.contains("overloaded"), "{}", error.message);
    assert_eq!(world.call("a", "get", "").await, "1");
}

#[tokio::test]
async fn a_host_that_fails_in_a_turn_answers_and_serves_the_worker_again() {
    let world = World::new().await;
    world.call("a", "add", "2").await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let panicking = world.workers.call(key("a"), "panic", "");
    let behind = world.workers.call(key("a"), "get", "");
    world.fake.let_go();
    assert_eq!(held.await.map_err(|error| error.code), Err(CallErrorCode::Failed), "its commit was still to come");
    for call in [panicking, behind] {
        assert_eq!(call.await.map_err(|error| error.code), Err(CallErrorCode::Failed));
    }
    assert_eq!(world.call("a", "get", "").await, "2");
    // A worker that called it is told so, too.
    let (code, message) = world.fails("c", "ask", "a panic").await;
    assert_eq!(code, CallErrorCode::Exception);
    assert!(message.contains("host failed"), "{message}");
    eventually(async || world.fake.awake() == 0).await;
}

#[tokio::test]
async fn the_cause_of_a_call_goes_with_what_it_calls() {
    let world = World::new().await;
    let cause = Cause { traceparent: Some("00-1-2-00".to_owned()), hops: 3 };
    let asked = world.workers.call_from(key("a"), Some("ask".to_owned()), "b get".to_owned(), cause.clone());
    assert_eq!(asked.await.expect("it goes well"), "asked: 0");
    assert_eq!(world.fake.causes(), [cause.clone(), cause]);
    let health = world.workers.run_turn(key("a"), TurnKind::Health, Cause::default()).await;
    assert_eq!(health.expect("it goes well"), "well");
}

#[tokio::test]
async fn a_worker_that_is_tried_again_much_later_leaves_its_place_to_others() {
    let backoff = Duration::from_secs(3_600);
    let policy = SupervisionPolicy { backoff, backoff_max: backoff, ..SupervisionPolicy::default() };
    let world = World::with(|builder| builder.supervision(policy).awake(1)).await;
    let trapping = tokio::spawn(world.workers.call(key("a"), "trap-until", "2"));
    eventually(async || world.fake.turns() >= 2).await;
    let other = tokio::spawn(world.workers.call(key("b"), "get", ""));
    eventually(async || other.is_finished()).await;
    world.clock.advance(backoff);
    assert_eq!(trapping.await.expect("it does not panic").expect("it is tried again"), "attempt 2");
}

#[tokio::test]
async fn a_message_that_never_fits_is_too_large_and_no_full_mailbox() {
    let limits = MailboxLimits { bytes: 100, ..MailboxLimits::default() };
    let world = World::with(|builder| builder.mailbox(limits)).await;
    let (code, message) = world.fails("a", "echo", &"x".repeat(97)).await;
    assert_eq!(code, CallErrorCode::TooLarge);
    assert!(message.contains("has 101 bytes") && message.contains("takes 100"), "{message}");
    assert_eq!(world.call("a", "echo", &"x".repeat(96)).await.len(), 96);
}

#[tokio::test]
async fn a_worker_whose_record_is_damaged_can_be_restarted() {
    let world = World::new().await;
    world.call("a", "add", "2").await;
    world.clock.advance(Duration::from_secs(120));
    eventually(async || world.store.released() == ["a"]).await;
    world.store.is_damaged.store(true, SeqCst);
    let (code, message) = world.fails("a", "get", "").await;
    assert_eq!(code, CallErrorCode::Unavailable);
    assert!(message.contains("is damaged") && message.contains("restart"), "{message}");
    world.workers.restart_worker(&key("a"), "a test".into()).await.expect("it begins anew");
    assert_eq!(world.call("a", "get", "").await, "0");
}
