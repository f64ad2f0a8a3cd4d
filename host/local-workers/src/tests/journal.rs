//! The outward calls of turns that are tried again.

use super::World;
use crate::{CallErrorCode, MemoryBudget, SupervisionPolicy};
use std::sync::Arc;
use std::time::Duration;

/// Workers whose turns are tried again at once, and have this memory.
async fn world(memory: &Arc<MemoryBudget>) -> World {
    let policy = SupervisionPolicy { backoff: Duration::ZERO, ..SupervisionPolicy::default() };
    World::with(|builder| builder.supervision(policy).memory(Arc::clone(memory))).await
}

fn memory() -> Arc<MemoryBudget> {
    MemoryBudget::new("test-bytes", 100_000)
}

#[tokio::test]
async fn an_attempt_gets_what_calls_of_the_former_ones_gave_with_the_same_keys() {
    let world = world(&memory()).await;
    let answer = world.call("a", "outward", "mail mail!|mail mail pay!|pay mail mail log").await;
    assert_eq!(answer, "pay 1, mail 0, mail 0, log 2");
    let keys = world.fake.keys();
    let [first, second, third] = keys.as_slice() else { panic!("three attempts: {keys:?}") };
    assert_eq!((&second[..2], &third[1..3], &third[0]), (&first[..], &first[..], &second[2]));
    assert_ne!(first[0], first[1], "two calls of the same are two");
}

#[tokio::test]
async fn an_attempt_that_does_not_make_the_calls_of_a_former_one_is_undone_and_not_tried_again() {
    let world = world(&memory()).await;
    let (code, message) = world.fails("a", "outward", "mail pay!|mail").await;
    assert_eq!(code, CallErrorCode::Failed);
    assert!(message.starts_with("A/a: nondeterministic-turn: ") && message.contains("called pay"), "{message}");
    assert_eq!(world.call("a", "get", "").await, "0", "it was undone");
    assert_eq!(world.fake.keys().len(), 2, "there was no third attempt");
}

#[tokio::test]
async fn turns_of_other_messages_and_workers_have_other_keys() {
    let world = world(&memory()).await;
    for name in ["a", "a", "b"] {
        world.call(name, "outward", "mail|mail|mail").await;
    }
    let mut keys: Vec<String> = world.fake.keys().into_iter().flatten().collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[tokio::test]
async fn a_message_that_comes_again_has_the_keys_that_it_had() {
    let world = world(&memory()).await;
    let script = "mail!|mail!|mail!|mail";
    assert_eq!(world.once("tick 7", "outward", script).await, Err(CallErrorCode::Failed));
    assert_eq!(world.once("tick 7", "outward", script).await.as_deref(), Ok("mail 3"), "results end with a delivery");
    let keys = world.fake.keys();
    assert!(keys.len() == 4 && keys.iter().all(|attempt| *attempt == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn results_for_which_there_is_no_memory_are_not_kept_and_those_that_are_end_with_the_turn() {
    let memory = memory();
    let world = world(&memory).await;
    assert_eq!(world.call("a", "outward", "big big small!|big big small").await, "big 0, big 1, small 0");
    assert_eq!(world.call("b", "get", "").await, "0");
    world.clock.advance(Duration::from_secs(120));
    super::eventually(async || world.fake.awake() == 0 && memory.reserved() == 0).await;
}
