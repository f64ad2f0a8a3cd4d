//! Workers of a component that is not there: its methods are those of `fake`.

mod batches;
mod fake;
mod faults;
mod groups;
mod health;
mod journal;
mod lifecycle;
mod memory;
mod moving;
mod repeats;
mod rollback;
mod settings;
mod sockets;
mod store;
mod trees;

use crate::{
    CallErrorCode, LocalWorkers, MailboxLimits, ManualClock, OtherVersion, OverflowPolicy, RunningWorkers,
    SupervisionPolicy, WorkerCondition, WorkerKey, WorkersConfig,
};
use fake::Fake;
use serde_json::{Value, from_value};
use std::sync::Arc;
use std::time::Duration;
use store::TestStore;

const NOW: u64 = 1_700_000_000_000;

fn key(name: &str) -> WorkerKey {
    WorkerKey::new("A", name)
}

/// A table `[workers]`.
fn config(table: Value) -> WorkersConfig {
    from_value(table).expect("a table")
}

/// Workers of the fake component, by a clock that stands still.
struct World {
    fake: Arc<Fake>,
    clock: ManualClock,
    store: Arc<TestStore>,
    workers: RunningWorkers,
}

impl World {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(extend: impl FnOnce(crate::LocalWorkersBuilder) -> crate::LocalWorkersBuilder) -> Self {
        Self::on(Arc::default(), Fake::new(), extend).await
    }

    /// By a table `[workers]`.
    async fn configured(table: Value) -> Self {
        Self::with(|builder| builder.config(&config(table)).expect("it is within its bounds")).await
    }

    async fn on(
        store: Arc<TestStore>,
        fake: Arc<Fake>,
        extend: impl FnOnce(crate::LocalWorkersBuilder) -> crate::LocalWorkersBuilder,
    ) -> Self {
        let clock = ManualClock::new(NOW);
        let builder = LocalWorkers::builder().clock(clock.clock()).store(Arc::clone(&store) as _);
        let workers = extend(builder).build().start(fake.source()).await.expect("the store is read");
        Self { fake, clock, store, workers }
    }

    /// The answer of a call that goes well.
    async fn call(&self, name: &str, method: &str, args: &str) -> String {
        self.workers.call(key(name), method, args).await.expect("it goes well")
    }

    /// The code and message of a call that fails.
    async fn fails(&self, name: &str, method: &str, args: &str) -> (CallErrorCode, String) {
        let error = self.workers.call(key(name), method, args).await.expect_err("it fails");
        (error.code, error.message)
    }

    /// Waits until a worker is so.
    async fn until(&self, name: &str, is_so: impl Fn(&crate::WorkerStatus) -> bool) {
        eventually(async || self.workers.status(&key(name)).await.expect("it is read").is_some_and(|one| is_so(&one)))
            .await;
    }
}

/// Waits until something is so.
async fn eventually(is_so: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("it is so within a minute");
}

#[tokio::test]
async fn a_worker_is_started_once_and_lives_on() {
    let world = World::new().await;
    assert_eq!(world.call("a", "add", "2").await, "2");
    assert_eq!(world.call("a", "add", "3").await, "5");
    assert_eq!(world.call("b", "add", "1").await, "1");
    assert_eq!(world.workers.send(key("a"), "4").await.expect("it goes well"), "message 4");
    world.workers.start_worker(key("c")).await.expect("it is started");
    let turns: Vec<_> =
        world.workers.list().await.expect("it is read").into_iter().map(|one| (one.key.name, one.turns)).collect();
    assert_eq!(turns, [("a".to_owned(), 4), ("b".to_owned(), 2), ("c".to_owned(), 1)]);
    let (code, message) = world.fails("a", "missing", "").await;
    assert_eq!((code, message.as_str()), (CallErrorCode::Exception, "no such method: missing"));
    let other = world.workers.call(WorkerKey::new("B", "a"), "add", "1").await.expect_err("there is no such class");
    assert_eq!(other.code, CallErrorCode::NotFound);
    assert_eq!(world.fails("", "add", "1").await.0, CallErrorCode::Invalid);
}

#[tokio::test]
async fn a_message_that_throws_leaves_the_worker_as_it_was() {
    let world = World::new().await;
    world.call("a", "add", "2").await;
    assert_eq!(world.fails("a", "throw", "too many").await, (CallErrorCode::Exception, "too many".to_owned()));
    assert_eq!(world.call("a", "get", "").await, "2");
    // Also if it has waited meanwhile, and what it did before was committed.
    assert_eq!(world.fails("a", "ask", "b throw no").await, (CallErrorCode::Exception, "no".to_owned()));
    assert_eq!(world.call("a", "get", "").await, "2");
}

#[tokio::test]
async fn workers_call_each_other_and_answers_are_kept_no_longer_than_needed() {
    let world = World::new().await;
    world.call("b", "add", "40").await;
    assert_eq!(world.call("a", "ask", "b add 2").await, "asked: 42");
    assert_eq!(world.call("a", "get", "").await, "1000", "what it wrote before and after the answer is there");
    // When it has nothing to do the callee forgets what the caller has.
    world.until("b", |one| one.condition == WorkerCondition::Idle).await;
    world.clock.advance(Duration::from_secs(120));
    let is_forgotten = async || world.store.record("b").replies.is_empty();
    eventually(is_forgotten).await;
    let record = world.store.record("a");
    assert!(!record.has_calls() && record.restorable_turn().is_none() && !record.is_waiting());
}

#[tokio::test]
async fn a_cycle_of_calls_is_refused_with_its_members() {
    let world = World::new().await;
    let (code, message) = world.fails("a", "ask", "b ask c ask a get").await;
    assert_eq!(code, CallErrorCode::Exception);
    assert!(message.contains("A/c -> A/a -> A/b -> A/c"), "{message}");
    let (_, message) = world.fails("a", "ask", "a get").await;
    assert!(message.contains("A/a -> A/a"), "{message}");
    assert_eq!(world.call("a", "ask", "b get").await, "asked: 0", "all of them go on");
}

#[tokio::test]
async fn an_alarm_wakes_a_worker_that_left_memory() {
    let world = World::with(|builder| builder.idle(Duration::from_secs(5))).await;
    world.call("a", "alarm", "60000").await;
    assert_eq!(world.fake.awake(), 1);
    world.until("a", |one| one.condition == WorkerCondition::Idle).await;
    world.clock.advance(Duration::from_secs(10));
    world.until("a", |one| one.condition == WorkerCondition::Asleep && one.next_due == Some(NOW + 60_000)).await;
    assert_eq!(world.fake.awake(), 0);
    world.clock.advance(Duration::from_secs(50));
    world.until("a", |one| one.next_due.is_none() && one.turns == 3).await;
    assert_eq!(world.call("a", "get", "").await, "100");
}

#[tokio::test]
async fn no_more_workers_are_in_memory_than_may_be() {
    let world = World::with(|builder| builder.awake(2)).await;
    for round in 1..=3 {
        let names = ["a", "b", "c", "d", "e"];
        let calls = names.map(|name| world.workers.call(key(name), "add", "1"));
        for answer in futures::future::join_all(calls).await {
            assert_eq!(answer.expect("each gets its turn"), round.to_string());
        }
        // The one that waits gives its place to the one that it waits for.
        assert_eq!(world.call("x", "ask", "y ask z get").await, "asked: asked: 0");
    }
    assert!(world.fake.most_awake() <= 2, "{}", world.fake.most_awake());
}

#[tokio::test]
async fn a_worker_whose_mailbox_is_never_empty_gives_its_place_to_others() {
    let world = World::with(|builder| builder.awake(1)).await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let calls: Vec<_> = (0..500).map(|_| world.workers.call(key("a"), "add", "1")).collect();
    let other = world.workers.call(key("b"), "add", "1");
    world.until("b", |one| one.condition == WorkerCondition::Running).await;
    world.fake.let_go();
    assert_eq!(other.await.expect("it gets its turn"), "1");
    let last = calls.into_iter().next_back().expect("there are 500");
    let mut last = Box::pin(last);
    assert!(futures::poll!(last.as_mut()).is_pending(), "before the first one is done");
    assert_eq!(last.await.expect("it gets its turn"), "501");
    held.await.expect("it was held");
}

#[tokio::test]
async fn a_turn_that_is_ended_is_tried_again_and_then_given_up() {
    let policy = SupervisionPolicy { backoff: Duration::ZERO, failures: 5, ..SupervisionPolicy::default() };
    let world = World::with(|builder| builder.supervision(policy)).await;
    world.call("a", "add", "2").await;
    assert_eq!(world.call("a", "trap-until", "3").await, "attempt 3");
    let (code, message) = world.fails("a", "trap", "").await;
    assert_eq!(code, CallErrorCode::Failed);
    assert!(message.contains("A/a") && message.contains("out of fuel"), "{message}");
    assert_eq!(world.call("a", "get", "").await, "2");
    // Two and three within a minute: the sixth is one too many.
    assert_eq!(world.fails("a", "trap", "").await.0, CallErrorCode::Failed);
    let (code, message) = world.fails("a", "get", "").await;
    assert_eq!(code, CallErrorCode::Failed);
    assert!(message.contains("failed too often"), "{message}");
    assert_eq!(world.call("b", "get", "").await, "0", "others do not matter");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.call("a", "get", "").await, "2");
}

#[tokio::test]
async fn a_full_mailbox_refuses_blocks_or_drops() {
    for (policy, refused) in [
        (OverflowPolicy::Refuse, Some("three")),
        (OverflowPolicy::Block, None),
        (OverflowPolicy::DropOldest, Some("one")),
    ] {
        let limits = MailboxLimits { messages: 2, policy, ..MailboxLimits::default() };
        let world = World::with(|builder| builder.mailbox(limits)).await;
        let held = world.workers.call(key("a"), "hold", "");
        eventually(async || world.fake.is_holding()).await;
        let calls = ["one", "two", "three"].map(|text| (text, world.workers.call(key("a"), "echo", text)));
        world.fake.let_go();
        held.await.expect("it was held");
        for (text, call) in calls {
            match call.await {
                Ok(answer) => assert_eq!((Some(text) == refused, answer.as_str()), (false, text)),
                Err(error) => {
                    assert_eq!((Some(text), error.code), (refused, CallErrorCode::MailboxFull), "{policy:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn calls_without_an_answer_have_a_bound() {
    let limits = MailboxLimits { bytes: 64 << 20, ..MailboxLimits::default() };
    let world = World::with(|builder| builder.mailbox(limits)).await;
    let (code, message) = world.fails("a", "ask", &format!("b echo {}", "x".repeat((32 << 20) + 1))).await;
    assert_eq!(code, CallErrorCode::Exception);
    assert!(message.contains("without an answer"), "{message}");
    assert_eq!(world.call("a", "get", "").await, "0", "its turn was undone");
    assert_eq!(world.call("a", "ask", "b echo x").await, "asked: x");
}

#[tokio::test]
async fn what_was_committed_survives_its_process_and_calls_are_made_once() {
    let (store, fake) = (Arc::new(TestStore::default()), Fake::new());
    let world = World::on(Arc::clone(&store), Arc::clone(&fake), |builder| builder).await;
    world.call("b", "add", "5").await;
    let asked = world.workers.call(key("a"), "ask", "b hold");
    eventually(async || world.fake.is_holding()).await;
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    // The process ends while `b` has its turn, and nothing is said to anybody.
    drop(world);
    assert_eq!(asked.await.expect_err("the process is gone").code, CallErrorCode::Unavailable);
    fake.let_go();
    // The component is loaded after the workers were started: what was committed waits for it, and others are told.
    fake.set_unloaded(true);
    let world = World::on(store, fake, |builder| builder).await;
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    assert_eq!(world.fails("c", "get", "").await.0, CallErrorCode::Unavailable);
    world.until("b", |one| one.condition == WorkerCondition::Running).await;
    world.fake.set_unloaded(false);
    world.clock.advance(Duration::from_secs(1));
    world.until("a", |one| one.condition != WorkerCondition::Waiting && one.turns == 3).await;
    assert_eq!(world.call("a", "get", "").await, "1000");
    assert_eq!(world.call("b", "get", "").await, "6", "it handled the call once");
}

#[tokio::test]
async fn a_worker_is_stopped_with_what_waits_for_it_and_begins_anew() {
    let world = World::new().await;
    world.call("a", "add", "2").await;
    world.call("a", "alarm", "1000").await;
    assert_eq!(world.workers.stop_worker(&key("a"), Value::from("over")).await, Ok(true));
    assert_eq!(world.fake.stopped(), ["over"]);
    assert_eq!(world.workers.stop_worker(&key("a"), Value::Null).await, Ok(false));
    assert_eq!(world.workers.status(&key("a")).await.expect("it is read"), None);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.call("a", "add", "3").await, "3", "without its alarm, too");
    world.workers.restart_worker(&key("a"), Value::Null).await.expect("it is restarted");
    assert_eq!(world.call("a", "get", "").await, "0");
    // One that waits for ever is stopped, too.
    let (stuck, queued) = (world.workers.call(key("w"), "wait", ""), world.workers.call(key("w"), "get", ""));
    world.until("w", |one| one.condition == WorkerCondition::Waiting).await;
    assert_eq!(world.workers.stop_worker(&key("w"), Value::Null).await, Ok(true));
    for call in [stuck, queued] {
        assert_eq!(call.await.expect_err("it was stopped").code, CallErrorCode::Failed);
    }
}

#[tokio::test]
async fn a_heap_of_another_version_is_refused_or_given_up() {
    for (policy, anew) in [(OtherVersion::Refuse, false), (OtherVersion::BeginAnew, true)] {
        let world = World::with(|builder| builder.other_version(policy)).await;
        world.call("a", "add", "2").await;
        world.fake.set_version(2);
        world.workers.reload();
        if anew {
            assert_eq!(world.call("a", "add", "1").await, "1");
        } else {
            let (code, message) = world.fails("a", "add", "1").await;
            assert_eq!(code, CallErrorCode::Unavailable);
            assert!(message.contains("heap-mismatch"), "{message}");
            world.fake.set_version(1);
            world.workers.reload();
            assert_eq!(world.call("a", "add", "1").await, "3", "nothing was lost");
        }
    }
}

#[tokio::test]
async fn timers_and_replies_wait_for_a_version_that_the_heap_belongs_to() {
    let world = World::new().await;
    world.call("a", "alarm", "1000").await;
    let asked = world.workers.call(key("w"), "ask", "b hold");
    eventually(async || world.fake.is_holding()).await;
    world.until("w", |one| one.condition == WorkerCondition::Waiting).await;
    world.fake.set_version(2);
    world.workers.reload();
    world.clock.advance(Duration::from_secs(2));
    world.fake.let_go();
    // The alarm is due and the answer is there; calls fail, also of the worker whose handler waits.
    assert_eq!(world.fails("a", "get", "").await.0, CallErrorCode::Unavailable);
    assert_eq!(world.fails("w", "get", "").await.0, CallErrorCode::Unavailable);
    world.until("a", |one| one.condition == WorkerCondition::Asleep && one.next_due == Some(NOW + 1_000)).await;
    world.until("w", |one| one.condition == WorkerCondition::Waiting).await;
    world.fake.set_version(1);
    world.workers.reload();
    assert_eq!(asked.await.expect("the handler goes on"), "asked: held");
    world.until("a", |one| one.next_due.is_none()).await;
    assert_eq!(world.call("a", "get", "").await, "100");
}

#[tokio::test]
async fn stopping_lets_a_turn_end_and_refuses_others() {
    let world = World::new().await;
    let held = world.workers.call(key("a"), "hold", "");
    eventually(async || world.fake.is_holding()).await;
    let stopping = world.workers.stop(Duration::from_secs(60));
    let ending = async {
        eventually(async || {
            let refused = world.workers.call(key("b"), "get", "").await;
            refused.is_err_and(|error| error.code == CallErrorCode::Unavailable)
        })
        .await;
        world.fake.let_go();
    };
    let (cut, ()) = futures::join!(stopping, ending);
    assert_eq!(cut, 0);
    assert_eq!(held.await.expect("it was let to its end"), "held");
    assert_eq!(world.store.record("a").turns, 2);
}

#[tokio::test]
async fn the_state_is_that_of_the_last_commit_and_reading_it_changes_nothing() {
    let world = World::new().await;
    let missing = world.workers.state(&key("a")).await.expect_err("there is no such worker");
    assert_eq!(missing.code, CallErrorCode::NotFound);
    world.call("a", "add", "2").await;
    for _ in 0..2 {
        assert_eq!(world.workers.state(&key("a")).await.expect("it is read"), "a counts 2");
    }
    let stored = world.workers.stored(&key("a")).await.expect("it is read").expect("it is there");
    assert_eq!((stored.turns, world.call("a", "get", "").await.as_str()), (2, "2"));
    // A handler that waits is no hindrance: what it wrote before is committed.
    drop(world.workers.call(key("a"), "wait", ""));
    world.until("a", |one| one.condition == WorkerCondition::Waiting).await;
    assert_eq!(world.workers.state(&key("a")).await.expect("it is read"), "a counts 2");
}
