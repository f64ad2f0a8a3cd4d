//! What all workers hold together is bounded, whichever of them holds it.

use super::{Fake, World, eventually, key};
use crate::{CallErrorCode, MemoryBudget, WorkerCondition};
use std::sync::Arc;
use std::time::Duration;

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn messages_for_one_worker_leave_no_more_room_to_others_than_all_may_have() {
    let budget = MemoryBudget::new("test-bytes", 100_000);
    let memory = Arc::clone(&budget);
    let world = World::with(|builder| builder.memory(memory)).await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let waiting = [0; 2].map(|_| world.workers.call(key("a"), "echo", &text(40_000)));
    let (code, message) = world.fails("b", "echo", &text(40_000)).await;
    assert_eq!(code, CallErrorCode::MailboxFull);
    assert!(message.contains("`test-bytes` is 100000 bytes"), "{message}");
    assert_eq!(world.call("b", "echo", "small").await, "small", "there is some room");
    world.fake.let_go();
    assert_eq!(held.await.expect("it goes well"), "held");
    for one in waiting {
        assert_eq!(one.await.expect("it waited").len(), 40_000);
    }
    assert_eq!(world.call("b", "echo", &text(40_000)).await.len(), 40_000, "what was handled is free");
    world.clock.advance(Duration::from_secs(120));
    eventually(async || world.fake.awake() == 0 && budget.reserved() == 0).await;
}

#[tokio::test]
async fn a_turn_with_calls_for_which_there_is_no_room_is_undone() {
    let budget = MemoryBudget::new("test-bytes", 100_000);
    let memory = Arc::clone(&budget);
    let world = World::with(|builder| builder.memory(memory)).await;
    // The message that has the turn run is held, and the call would be, too.
    let (code, message) = world.fails("a", "ask", &format!("b echo {}", text(60_000))).await;
    assert_eq!(code, CallErrorCode::Exception);
    assert!(message.contains("`test-bytes`"), "{message}");
    assert_eq!(world.call("a", "get", "").await, "0");
    let turns = world.store.record("a").turns;
    let (_, message) = world.fails("a", "ask", &format!("b {}", text(60_000))).await;
    assert!(message.contains("`test-bytes`"), "{message}");
    assert_eq!(world.store.record("a").turns, turns, "a method without arguments is held as they are");
    assert_eq!(world.call("a", "ask", &format!("b echo {}", text(10_000))).await.len(), 10_000 + "asked: ".len());
    world.clock.advance(Duration::from_secs(120));
    eventually(async || world.fake.awake() == 0 && budget.reserved() == 0).await;
}

#[tokio::test]
async fn a_worker_whose_calls_do_not_fit_goes_on_when_there_is_room() {
    let (store, fake) = (Arc::default(), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    drop(world.workers.call(key("a"), "ask", &format!("b hold {}", text(60_000))));
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    eventually(async || world.fake.is_holding()).await;
    drop(world);
    let budget = MemoryBudget::new("test-bytes", 250_000);
    let taken = budget.reserve(240_000).expect("there is room");
    let world = World::on(store, fake, |builder| builder.memory(Arc::clone(&budget))).await;
    let (code, message) = world.fails("a", "get", "").await;
    assert_eq!(code, CallErrorCode::MailboxFull);
    assert!(message.contains("`test-bytes`"), "{message}");
    assert_eq!(world.call("c", "add", "1").await, "1", "others run");
    drop(taken);
    world.fake.let_go();
    world.clock.advance(Duration::from_secs(10));
    world.until("a", |one| one.condition != WorkerCondition::Waiting && one.turns >= 3).await;
    assert_eq!(world.call("a", "get", "").await, "1000");
}
