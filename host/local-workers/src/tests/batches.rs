//! Turns that share a commit.

use super::{World, eventually, key};
use crate::{CallErrorCode, Cause, Durability, TurnEvents, WorkerCondition};
use elias_host::EmittedEvent;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Has so many turns wait while another one runs.
async fn held_up(world: &World, methods: &[(&str, &str)]) -> Vec<Result<String, (CallErrorCode, String)>> {
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let calls: Vec<_> = methods.iter().map(|(method, args)| world.workers.call(key("a"), method, args)).collect();
    world.fake.let_go();
    held.await.expect("it was held");
    let answers = futures::future::join_all(calls).await;
    answers.into_iter().map(|answer| answer.map_err(|error| (error.code, error.message))).collect()
}

#[tokio::test]
async fn turns_that_wait_share_a_commit_unless_each_has_its_own() {
    for (durability, most) in [(Durability::Batch, 3), (Durability::Turn, 102), (Durability::None, 0)] {
        let world = World::with(|builder| builder.durability(durability)).await;
        let answers = held_up(&world, &[("add", "1"); 100]).await;
        let expected: Vec<_> = (2..=101).map(|sum: u32| Ok(sum.to_string())).collect();
        assert_eq!(answers, expected, "{durability:?}");
        let commits = world.store.commits();
        match durability {
            Durability::Batch => assert!((1..=most).contains(&commits), "{commits}"),
            // The start, what was held, and the others.
            Durability::Turn | Durability::None => assert_eq!(commits, most),
        }
    }
}

#[tokio::test]
async fn a_turn_in_a_batch_that_throws_is_undone_alone() {
    let world = World::new().await;
    let answers = held_up(&world, &[("add", "1"), ("throw", "no"), ("add", "1"), ("missing", ""), ("get", "")]).await;
    let thrown = |message: &str| Err((CallErrorCode::Exception, message.to_owned()));
    let sum = |sum: u32| Ok(sum.to_string());
    assert_eq!(answers, [sum(2), thrown("no"), sum(3), thrown("no such method: missing"), sum(3)]);
}

#[tokio::test]
async fn answers_leave_after_the_commit() {
    let world = World::new().await;
    world.call("a", "add", "1").await;
    let gate = world.store.gate.write().await;
    let mut call = Box::pin(world.workers.call(key("a"), "add", "1"));
    let turns = world.fake.turns();
    eventually(async || world.fake.turns() > turns).await;
    assert!(futures::poll!(call.as_mut()).is_pending());
    drop(gate);
    assert_eq!(call.await.expect("it goes well"), "2");
}

#[tokio::test]
async fn a_handler_that_waits_in_the_middle_of_a_batch_is_undone_to_what_was_before_it() {
    let world = World::new().await;
    let answers = held_up(&world, &[("add", "1"), ("ask", "b throw no"), ("get", "")]).await;
    let thrown = Err((CallErrorCode::Exception, "no".to_owned()));
    assert_eq!(answers, [Ok("2".to_owned()), thrown, Ok("2".to_owned())]);
    let asked = world.workers.call(key("a"), "ask", "b hold");
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    let record = world.store.record("a");
    assert_eq!(record.restorable_turn(), Some(record.turns - 1));
    eventually(async || world.fake.is_holding()).await;
    world.fake.let_go();
    assert_eq!(asked.await.expect("it goes well"), "asked: held");
}

#[tokio::test]
async fn a_batch_that_cannot_be_kept_is_lost_as_a_whole() {
    let world = World::new().await;
    world.call("a", "add", "2").await;
    world.store.is_full.store(true, SeqCst);
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let calls: Vec<_> = (0..2).map(|_| world.workers.call(key("a"), "add", "5")).collect();
    world.fake.let_go();
    for call in calls.into_iter().chain([held]) {
        let error = call.await.expect_err("there is no room");
        assert_eq!(error.code, CallErrorCode::Unavailable);
        assert!(!error.message.contains("full"), "what the store says is for the host's log: {}", error.message);
    }
    world.store.is_full.store(false, SeqCst);
    assert_eq!(world.call("a", "get", "").await, "2");
}

#[tokio::test]
async fn what_is_held_back_has_a_bound() {
    let world = World::new().await;
    let large = "x".repeat(1 << 20);
    let answers = held_up(&world, &[("echo", large.as_str()); 12]).await;
    assert!(answers.iter().all(Result::is_ok));
    // Four of a mebibyte in each batch.
    assert!(world.store.commits() >= 3, "{}", world.store.commits());
}

#[tokio::test]
async fn a_call_whose_commit_may_have_been_kept_is_asked_for_again_and_handled_once() {
    let world = World::new().await;
    world.call("b", "add", "1").await;
    *world.store.loses_response_of.lock() = Some("b".to_owned());
    let asked = tokio::spawn(world.workers.call(key("a"), "ask", "b add 2"));
    eventually(async || world.store.loses_response_of.lock().is_none()).await;
    eventually(async || {
        world.clock.advance(Duration::from_secs(1));
        asked.is_finished()
    })
    .await;
    assert_eq!(asked.await.expect("it does not panic").expect("it went well"), "asked: 3");
    assert_eq!(world.call("b", "get", "").await, "3");
    // Whoever is no worker is told that it is not known.
    *world.store.loses_response_of.lock() = Some("b".to_owned());
    let (code, message) = world.fails("b", "add", "1").await;
    assert_eq!(code, CallErrorCode::Unavailable);
    assert!(message.contains("is not known"), "{message}");
    assert_eq!(world.call("b", "get", "").await, "4");
}

#[tokio::test]
async fn a_quota_that_refuses_a_commit_is_named_to_who_waits() {
    let world = World::new().await;
    world.call("a", "add", "1").await;
    *world.store.quota.lock() = Some("the quota `worker-bytes` of tenant acme is 7".to_owned());
    let (code, message) = world.fails("a", "add", "1").await;
    assert_eq!(code, CallErrorCode::QuotaExceeded);
    assert!(message.contains("`worker-bytes` of tenant acme is 7"), "{message}");
    *world.store.quota.lock() = None;
    assert_eq!(world.call("a", "get", "").await, "1", "the turn was undone");
}

#[tokio::test]
async fn workers_that_are_not_stored_have_a_bound_of_bytes() {
    let world = World::with(|builder| builder.durability(Durability::None).unstored_bytes(10)).await;
    let (code, message) = world.fails("a", "add", "1").await;
    assert_eq!(code, CallErrorCode::QuotaExceeded);
    assert!(message.contains("more than 10 bytes"), "{message}");
}

#[tokio::test]
async fn what_turns_emit_is_part_of_their_commit_and_told_after_it() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let check = |events: &[EmittedEvent], _: &Cause| match events.iter().find(|event| event.value == "no") {
        Some(event) => Err(format!("{} may not be emitted", event.event)),
        None => Ok(()),
    };
    let world = World::with(|builder| {
        builder.check_events(check).on_events(move |key, turn| noted.lock().push((key.clone(), turn)))
    })
    .await;
    let answers = held_up(&world, &[("emit", "1"), ("emit", "no"), ("throw", "no"), ("emit", "2")]).await;
    let thrown = |message: &str| Err((CallErrorCode::Exception, message.to_owned()));
    let expected = [Ok("2".to_owned()), thrown("counted may not be emitted"), thrown("no"), Ok("3".to_owned())];
    assert_eq!(answers, expected, "a turn that is refused is undone alone");
    let values = |turns: Vec<TurnEvents>| -> Vec<String> {
        turns.into_iter().flat_map(|turn| turn.events).map(|event| event.value).collect()
    };
    assert_eq!(values(world.store.events()), ["1", "2"]);
    assert_eq!(
        told.lock().iter().map(|(key, turn)| (key.clone(), turn.events.len())).collect::<Vec<_>>(),
        [(key("a"), 1), (key("a"), 1),]
    );
    // What is not kept is not told.
    world.store.is_full.store(true, SeqCst);
    assert_eq!(world.fails("a", "emit", "3").await.0, CallErrorCode::Unavailable);
    assert_eq!((values(world.store.events()).len(), told.lock().len()), (2, 2));
}
