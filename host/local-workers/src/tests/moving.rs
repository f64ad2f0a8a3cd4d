//! Workers that go to another owner, and to another version of the component.

use super::{Fake, World, eventually, key};
use crate::manager::{MOVES_MAX, UNASKED_MAX};
use crate::store::{HeapCommit, WorkerCommit};
use crate::{CallErrorCode, Durability, OtherVersion, SupervisionPolicy, WorkerCondition};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[tokio::test]
async fn a_turn_whose_worker_was_taken_is_lost_and_what_was_not_begun_is_handled() {
    let world = World::with(|builder| builder.durability(Durability::Turn)).await;
    world.call("a", "add", "2").await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let later = world.workers.call(key("a"), "get", "");
    let taken = world.store.take("a").await;
    world.fake.let_go();
    let error = held.await.expect_err("another has the worker");
    assert_eq!(error.code, CallErrorCode::Unavailable);
    assert!(error.message.contains("another host"), "{}", error.message);
    assert_eq!(later.await.expect("it was not begun"), "2", "the worker was acquired again");
    let record = taken.record.expect("it was there");
    let late = WorkerCommit { epoch: taken.epoch, record, heap: HeapCommit::Unchanged, events: Vec::new() };
    let refused = crate::WorkerStore::commit(&*world.store, late).await;
    assert!(matches!(refused, Err(crate::StoreError::NotOwner)), "{refused:?}");
}

#[tokio::test]
async fn a_worker_that_another_host_has_is_unavailable() {
    let world = World::new().await;
    world.store.is_elsewhere.store(true, SeqCst);
    let (code, message) = world.fails("a", "get", "").await;
    assert_eq!(code, CallErrorCode::Unavailable);
    assert!(message.contains("another host"), "{message}");
    world.store.is_elsewhere.store(false, SeqCst);
    assert_eq!(world.call("a", "get", "").await, "0");
}

#[tokio::test]
async fn a_worker_that_is_given_up_is_committed_and_released() {
    let world = World::new().await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    world.workers.give_up(&key("a"));
    assert!(world.store.released().is_empty(), "the turn that runs is let to its end");
    world.fake.let_go();
    assert_eq!(held.await.expect("it was committed"), "held");
    eventually(async || world.store.released() == ["a"]).await;
    eventually(async || world.fake.awake() == 0).await;
    // What waits has it acquired again.
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let waiting = world.workers.call(key("a"), "get", "");
    world.workers.give_up(&key("a"));
    world.fake.let_go();
    assert_eq!((held.await.expect("it goes well"), waiting.await.expect("it goes well")), ("held".into(), "2".into()));
}

#[tokio::test]
async fn a_handler_that_waits_goes_on_with_the_next_owner() {
    let (store, fake) = (Arc::default(), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    let asked = world.workers.call(key("a"), "ask", "b hold");
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    eventually(async || world.fake.is_holding()).await;
    world.workers.give_up(&key("a"));
    assert_eq!(asked.await.expect_err("the worker moved").code, CallErrorCode::Unavailable);
    let world = {
        let next = World::on(Arc::clone(&store), fake, |builder| builder).await;
        drop(world);
        next
    };
    world.fake.let_go();
    world.until("a", |one| one.condition != WorkerCondition::Waiting && one.turns >= 3).await;
    assert_eq!(world.call("a", "get", "").await, "1000");
}

#[tokio::test]
async fn a_worker_that_rests_releases_its_ownership() {
    let world = World::new().await;
    world.call("a", "alarm", "600000").await;
    world.until("a", |one| one.condition == WorkerCondition::Idle).await;
    world.clock.advance(Duration::from_secs(120));
    eventually(async || world.store.released() == ["a"]).await;
    world.clock.advance(Duration::from_secs(480));
    eventually(async || {
        world.workers.status(&key("a")).await.is_ok_and(|one| one.is_some_and(|one| one.next_due.is_none()))
    })
    .await;
    assert_eq!(world.call("a", "get", "").await, "100");
}

#[tokio::test]
async fn workers_are_released_when_they_are_stopped() {
    let world = World::new().await;
    world.call("a", "add", "1").await;
    assert!(world.store.released().is_empty());
    assert_eq!(world.workers.stop(Duration::from_secs(60)).await, 0);
    assert_eq!(world.store.released(), ["a"]);
}

#[tokio::test]
async fn a_worker_is_moved_to_another_version() {
    for policy in [OtherVersion::Upgrade, OtherVersion::UpgradeOrBeginAnew] {
        let world = World::with(|builder| builder.other_version(policy)).await;
        world.fake.set_former(true, false);
        world.call("a", "add", "2").await;
        world.call("a", "alarm", "1000").await;
        world.call("a", "tick", "").await;
        world.fake.set_version(2);
        world.workers.reload();
        assert_eq!(world.call("a", "version", "").await, "2 1 to 2");
        assert_eq!(world.call("a", "get", "").await, "2");
        let due = world.store.record("a").next_due();
        assert!(due.is_some_and(|due| due > super::NOW + 100), "the alarm is left, and no timer: {due:?}");
    }
}

#[tokio::test]
async fn workers_that_rest_are_moved_before_the_former_version_goes() {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, false);
    for (name, n) in [("a", "1"), ("b", "2")] {
        world.call(name, "add", n).await;
    }
    world.clock.advance(Duration::from_secs(120));
    eventually(async || world.fake.awake() == 0).await;
    world.fake.set_version(2);
    world.workers.reload();
    assert_eq!(world.workers.move_all().await.expect("the store is read"), 0);
    world.fake.set_former(false, false);
    for (name, n) in [("a", "1"), ("b", "2")] {
        assert_eq!(world.call(name, "version", "").await, "2 1 to 2");
        assert_eq!(world.call(name, "get", "").await, n);
    }
    world.fake.set_former(true, true);
    world.fake.set_version(3);
    world.workers.reload();
    assert_eq!(world.workers.move_all().await.expect("the store is read"), 2, "neither is taken over");
}

#[tokio::test]
async fn a_handler_that_waits_is_not_moved_before_its_end() {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, false);
    let asked = world.workers.call(key("a"), "ask", "b hold");
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    eventually(async || world.fake.is_holding()).await;
    world.fake.set_version(2);
    world.workers.reload();
    world.fake.let_go();
    assert_eq!(asked.await.expect("it goes on"), "asked: held");
    assert_eq!(world.call("a", "version", "").await, "2 1 to 2");
    assert_eq!(world.call("a", "get", "").await, "1000");
}

#[tokio::test]
async fn a_worker_that_cannot_be_moved_is_served_by_the_former_version() {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, true);
    world.call("a", "add", "2").await;
    world.fake.set_version(2);
    world.workers.reload();
    assert_eq!(world.call("a", "version", "").await, "1 ");
    assert_eq!(world.call("a", "add", "1").await, "3");
    world.until("a", |one| one.upgrade_error.as_deref() == Some("Error: it is not taken over")).await;
    // The next version is tried.
    world.fake.set_former(true, false);
    world.fake.set_version(3);
    world.workers.reload();
    assert_eq!(world.call("a", "version", "").await, "3 1 to 3");
    world.until("a", |one| one.upgrade_error.is_none()).await;
    assert_eq!(world.call("a", "get", "").await, "3");
}

#[tokio::test]
async fn a_worker_keeps_its_heap_in_a_version_whose_code_fits() {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, true);
    world.fake.set_code(true, false);
    world.call("a", "add", "2").await;
    world.call("a", "alarm", "600000").await;
    for (version, swaps) in [(2, 1), (3, 2), (1, 3), (1, 3), (2, 4)] {
        world.fake.set_version(version);
        world.workers.reload();
        assert_eq!(world.call("a", "code", "").await, format!("{version} in {version}"));
        assert_eq!(world.call("a", "version", "").await, "1 ", "the heap is what it was");
        assert_eq!(world.call("a", "get", "").await, "2");
        assert_eq!(world.fake.swaps.load(SeqCst), swaps, "not before each turn");
        assert!(world.store.record("a").next_due().is_some(), "timers stay");
        // It is read again by what is kept of it.
        world.workers.hibernate(&key("a"));
        eventually(async || world.fake.awake() == 0).await;
        assert_eq!(world.call("a", "code", "").await, format!("{version} in {version}"));
        assert_eq!(world.fake.swaps.load(SeqCst), swaps);
    }
}

#[tokio::test]
async fn a_few_workers_at_a_time_are_moved_to_another_version() {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, false);
    world.fake.set_code(true, false);
    let names: Vec<String> = (0..3 * MOVES_MAX).map(|number| number.to_string()).collect();
    for name in &names {
        world.call(name, "add", "2").await;
    }
    world.fake.set_version(2);
    world.workers.reload();
    let asked: Vec<_> = names.iter().map(|name| tokio::spawn(world.workers.call(key(name), "code", ""))).collect();
    for asked in asked {
        assert_eq!(asked.await.expect("it does not panic").expect("it goes well"), "2 in 2");
    }
    let most = world.fake.most_swapping.load(SeqCst);
    assert!((1..=MOVES_MAX).contains(&most), "{most}");
}

#[tokio::test]
async fn a_worker_that_a_versions_code_does_not_fit_is_moved_by_its_state() {
    let world = World::with(|builder| builder.other_version(OtherVersion::Upgrade)).await;
    world.fake.set_former(true, true);
    world.fake.set_code(true, true);
    world.call("a", "add", "2").await;
    world.fake.set_version(2);
    world.workers.reload();
    assert_eq!(world.call("a", "code", "").await, "1 in 1", "neither goes");
    let both = "Error: it is not taken over (its heap cannot be kept: Error: the fields of A are others)";
    world.until("a", |one| one.upgrade_error.as_deref() == Some(both)).await;
    world.fake.set_former(true, false);
    world.fake.set_version(3);
    world.workers.reload();
    assert_eq!(world.call("a", "version", "").await, "3 1 to 3");
    // From the code of another version it is moved by the version whose code it has.
    world.fake.set_code(true, false);
    world.fake.set_version(4);
    world.workers.reload();
    assert_eq!(world.call("a", "code", "").await, "4 in 4");
    world.fake.set_code(true, true);
    world.fake.set_version(5);
    world.workers.reload();
    assert_eq!(world.call("a", "version", "").await, "5 4 to 5");
    assert_eq!(world.call("a", "get", "").await, "2");
}

#[tokio::test]
async fn a_worker_whose_former_version_is_gone_is_refused_or_begins_anew() {
    for (policy, former) in [
        (OtherVersion::Upgrade, false),
        (OtherVersion::UpgradeOrBeginAnew, false),
        (OtherVersion::UpgradeOrBeginAnew, true),
    ] {
        let world = World::with(|builder| builder.other_version(policy)).await;
        world.fake.set_former(former, true);
        world.call("a", "add", "2").await;
        world.fake.set_version(2);
        world.workers.reload();
        if policy == OtherVersion::Upgrade {
            let (code, message) = world.fails("a", "get", "").await;
            assert_eq!(code, CallErrorCode::Unavailable);
            assert!(message.contains("not there any more"), "{message}");
        } else {
            assert_eq!(world.call("a", "get", "").await, "0");
        }
    }
}

#[tokio::test]
async fn a_worker_that_leaves_memory_while_its_handler_waits_answers_all_the_same() {
    let world = World::new().await;
    let asked = world.workers.call(key("a"), "ask", "b hold");
    eventually(async || world.fake.is_holding()).await;
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    world.workers.hibernate(&key("a"));
    eventually(async || world.fake.awake() == 1).await;
    assert!(world.store.released().is_empty(), "it is still this host's");
    world.fake.let_go();
    assert_eq!(asked.await.expect("it goes on"), "asked: held");
}

#[tokio::test]
async fn a_timer_of_a_worker_that_left_memory_for_others_is_fired_here() {
    for rests in [Duration::ZERO, Duration::from_secs(5)] {
        let world = World::new().await;
        world.call("a", "alarm", "10000").await;
        world.workers.hibernate(&key("a"));
        eventually(async || world.fake.awake() == 0).await;
        assert!(world.store.released().is_empty(), "it may be needed again soon");
        world.clock.advance(rests);
        if !rests.is_zero() {
            eventually(async || world.store.released() == ["a"]).await;
        }
        world.clock.advance(Duration::from_secs(10));
        eventually(async || world.store.record("a").next_due().is_none()).await;
        assert_eq!(world.call("a", "get", "").await, "100");
    }
}

#[tokio::test]
async fn an_answer_that_was_given_on_another_host_is_asked_for_again() {
    let (store, fake) = (Arc::default(), Fake::new());
    let one = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    let two = World::on(Arc::clone(&store), fake, |builder| builder).await;
    let asked = tokio::spawn(one.workers.call(key("a"), "ask", "b wait"));
    for name in ["a", "b"] {
        one.until(name, |worker| worker.condition == WorkerCondition::Waiting).await;
    }
    one.workers.give_up(&key("b"));
    eventually(async || store.released().contains(&"b".to_owned())).await;
    // There the handler ends: nobody who waits for it is on that host.
    let behind = tokio::spawn(two.workers.call(key("b"), "get", ""));
    two.until("b", |worker| worker.condition == WorkerCondition::Waiting).await;
    two.clock.advance(Duration::from_secs(400 * 86_400));
    behind.await.expect("it does not panic").expect("the handler is done");
    assert!(!asked.is_finished());
    one.clock.advance(Duration::from_secs(10));
    assert_eq!(asked.await.expect("it does not panic").expect("it is told"), "asked: ");
}

#[tokio::test]
async fn a_worker_goes_on_without_a_message_where_its_handler_waits() {
    let (store, fake) = (Arc::default(), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    let asked = world.workers.call(key("a"), "ask", "b hold");
    eventually(async || world.fake.is_holding()).await;
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    world.workers.give_up(&key("a"));
    assert_eq!(asked.await.expect_err("it was given up").code, CallErrorCode::Unavailable);
    // Nobody sends it anything: this returns although the handler waits, and the call that it made is answered.
    world.workers.resume(&key("a"));
    world.fake.let_go();
    world.until("a", |one| one.condition != WorkerCondition::Waiting && one.turns >= 3).await;
    assert_eq!(world.call("a", "get", "").await, "1000");
}

#[tokio::test]
async fn workers_that_go_on_of_themselves_are_read_a_few_at_a_time() {
    let (store, fake) = (Arc::<super::TestStore>::default(), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    let names: Vec<String> = (0..4 * UNASKED_MAX).map(|number| number.to_string()).collect();
    for name in &names {
        // Half of them wait for an answer, the others for an alarm.
        if name.ends_with(['1', '3', '5', '7', '9']) {
            drop(world.workers.call(key(name), "ask", "b hold"));
            world.until(name, |one| one.condition == WorkerCondition::Waiting).await;
        } else {
            world.call(name, "alarm", "0").await;
        }
    }
    drop(world);
    let reading = store.reading.write().await;
    let world = World::on(Arc::clone(&store), fake, |builder| builder).await;
    world.clock.advance(Duration::from_secs(1));
    eventually(async || store.readers().0 == UNASKED_MAX).await;
    // Whoever is asked for is read beside them.
    let asked = tokio::spawn(world.workers.call(key("asked"), "add", "1"));
    eventually(async || store.readers().0 == UNASKED_MAX + 1).await;
    drop(reading);
    assert_eq!(asked.await.expect("it does not panic").expect("it goes well"), "1");
    let is_due = |name: &String| store.record(name).next_due().is_some();
    eventually(async || !names.iter().any(is_due)).await;
    for name in &names {
        world.until(name, |one| one.turns > 1).await;
    }
    assert!(store.readers().1 <= UNASKED_MAX + 2, "those, the one that was asked for, and the one that they call");
}

#[tokio::test]
async fn a_timer_of_a_worker_that_another_host_has_is_left_to_that_host() {
    let world = World::with(|builder| builder.idle(Duration::from_secs(5))).await;
    world.call("a", "alarm", "60000").await;
    world.clock.advance(Duration::from_secs(10));
    eventually(async || world.fake.awake() == 0 && world.store.released() == ["a"]).await;
    world.store.is_elsewhere.store(true, SeqCst);
    let (reads, turns) = (world.store.reads(), world.fake.turns());
    world.clock.advance(Duration::from_secs(60));
    eventually(async || world.store.reads() > reads).await;
    assert!(!world.store.has_asked.load(SeqCst), "the other host fires it");
    assert_eq!(world.fails("a", "get", "").await.0, CallErrorCode::Unavailable);
    assert!(world.store.has_asked.load(SeqCst), "a message asks for its worker");
    assert_eq!(world.fake.turns(), turns);
    world.store.is_elsewhere.store(false, SeqCst);
    assert_eq!(world.call("a", "get", "").await, "100", "the alarm was still due");
}

#[tokio::test]
async fn a_worker_whose_turn_is_tried_again_much_later_is_given_up_at_once() {
    let backoff = Duration::from_secs(3_600);
    let policy = SupervisionPolicy { backoff, backoff_max: backoff, ..SupervisionPolicy::default() };
    let (store, fake) = (Arc::default(), Fake::new());
    let one = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder.supervision(policy)).await;
    one.call("a", "add", "2").await;
    let trapping = tokio::spawn(one.workers.call(key("a"), "trap-until", "3"));
    let turns = fake.turns();
    eventually(async || fake.turns() > turns && fake.awake() == 0).await;
    one.workers.give_up(&key("a"));
    eventually(async || store.released() == ["a"]).await;
    let two = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    assert_eq!(two.call("a", "add", "3").await, "5", "another host has it before the next attempt");
    two.workers.give_up(&key("a"));
    eventually(async || store.released() == ["a", "a"]).await;
    // The attempts are counted on: it is the second.
    let turns = fake.turns();
    one.clock.advance(backoff);
    eventually(async || fake.turns() > turns).await;
    assert!(!trapping.is_finished());
    let is_answered = async || {
        one.clock.advance(backoff);
        trapping.is_finished()
    };
    eventually(is_answered).await;
    assert_eq!(trapping.await.expect("it does not panic").expect("it is tried again"), "attempt 3");
    assert_eq!(one.call("a", "get", "").await, "5");
}

#[tokio::test]
async fn an_alarm_that_is_to_be_called_again_is_left_to_the_host_that_needs_the_worker() {
    let world = World::new().await;
    // Its heap cannot be run while no component is loaded.
    world.call("a", "alarm", "10000").await;
    world.workers.hibernate(&key("a"));
    eventually(async || world.fake.awake() == 0).await;
    world.clock.advance(Duration::from_secs(5));
    eventually(async || world.store.released() == ["a"]).await;
    world.fake.set_unloaded(true);
    world.clock.advance(Duration::from_secs(5));
    world.until("a", |one| one.condition == WorkerCondition::Running).await;
    world.workers.give_up(&key("a"));
    eventually(async || world.store.released() == ["a", "a"]).await;
    assert!(world.store.record("a").next_due().is_some(), "it is still set");
    world.fake.set_unloaded(false);
    assert_eq!(world.call("a", "get", "").await, "100");
}
