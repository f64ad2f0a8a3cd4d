//! The workers of a smoke test, with workers that are functions.

use super::*;
use elias_host::TurnKind;
use elias_local_workers::HeapCommit;
use futures::future::{join, join_all};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use tokio::sync::Semaphore;

/// What a test sees of the workers, and has to do with them.
struct Observed {
    /// The names of the workers that had a turn.
    seen: Mutex<Vec<String>>,
    /// Turns that hold now, and the most that did at a time.
    holding: AtomicUsize,
    most: AtomicUsize,
    /// Lets turns go on that hold.
    gate: Semaphore,
}

impl Default for Observed {
    fn default() -> Self {
        let (holding, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { seen: Mutex::default(), holding, most, gate: Semaphore::new(0) }
    }
}

/// Workers that count their calls. `ask` calls the capability, as a turn of a component of another toolchain can;
/// `hold` waits for the gate, and `fill` has a heap that is too large.
struct Counters {
    workers: Weak<SmokeWorkers>,
    observed: Arc<Observed>,
}

impl WorkerComponent for Counters {
    fn has_class(&self, class: &str) -> bool {
        class == "Counter"
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let count = heap.map_or(0, |heap| String::from_utf8_lossy(heap).parse().expect("a count"));
        let (workers, observed) = (Weak::clone(&self.workers), Arc::clone(&self.observed));
        Ok(Box::new(Counter { count, before: count, is_filled: false, workers, observed }))
    }
}

struct Counter {
    count: u64,
    /// The count before the last turn.
    before: u64,
    is_filled: bool,
    workers: Weak<SmokeWorkers>,
    observed: Arc<Observed>,
}

fn whole(count: u64) -> WriteDown {
    WriteDown::new(0, move || Ok(HeapCommit::Whole(count.to_string().into_bytes())))
}

impl AwakeWorker for Counter {
    fn turn<'a>(&'a mut self, turn: &'a Turn, _: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        self.before = self.count;
        self.observed.seen.lock().push(turn.name.clone());
        async move {
            let answer = match &turn.kind {
                TurnKind::Call { method, .. } if method == "ask" => {
                    let answer = WorkersOfTurn(Weak::clone(&self.workers)).call(Arc::default(), call("other", "add"));
                    answer.await.unwrap_or_else(|error| error.message)
                }
                TurnKind::Call { method, .. } if method == "hold" => {
                    let holding = self.observed.holding.fetch_add(1, SeqCst) + 1;
                    self.observed.most.fetch_max(holding, SeqCst);
                    self.observed.gate.acquire().await.expect("it is not closed").forget();
                    self.observed.holding.fetch_sub(1, SeqCst);
                    String::new()
                }
                TurnKind::Call { method, .. } if method == "fill" => {
                    self.is_filled = true;
                    String::new()
                }
                TurnKind::Call { method, .. } if method == "id" => turn.id.clone(),
                TurnKind::Call { .. } => {
                    self.count += 1;
                    self.count.to_string()
                }
                _ => String::new(),
            };
            let result = json!({ "state": "done", "id": turn.id, "answer": answer });
            serde_json::from_value(result).map_err(|error| TurnFailure::Unusable(error.to_string()))
        }
        .boxed()
    }

    fn undo(&mut self) {
        self.count = self.before;
    }

    fn commit(&mut self) -> WriteDown {
        if self.is_filled {
            return WriteDown::new(BYTES_MAX as u64, || Ok(HeapCommit::Whole(vec![b'0'; BYTES_MAX + 1])));
        }
        whole(self.count)
    }

    fn commit_earlier(&mut self) -> WriteDown {
        whole(self.before)
    }
}

fn call(name: &str, method: &str) -> WorkerCall {
    WorkerCall {
        class: "Counter".into(),
        name: name.into(),
        method: Some(method.into()),
        value: String::new(),
        id: None,
    }
}

/// Workers of a test, and what is seen of them.
async fn workers(config: &WorkersConfig, awake: u32) -> (ExecutionWorkers, Arc<Observed>) {
    let observed = Arc::new(Observed::default());
    let of_component = Arc::clone(&observed);
    let component =
        move |workers| -> Arc<dyn WorkerComponent> { Arc::new(Counters { workers, observed: of_component }) };
    (start_with(config, awake, component).await.expect("they start"), observed)
}

async fn answer(workers: &ExecutionWorkers, name: &str, method: &str) -> String {
    let answer = workers.backend().call(Arc::default(), call(name, method)).await;
    answer.unwrap_or_else(|error| panic!("{name}: {}", error.message))
}

#[tokio::test]
async fn each_test_has_workers_of_its_own_which_begin_with_nothing() {
    let config = WorkersConfig::default();
    for _ in 0..2 {
        let (workers, _) = workers(&config, 0).await;
        assert_eq!(answer(&workers, "a", "add").await, "1");
        assert_eq!(answer(&workers, "a", "add").await, "2");
        assert_eq!(answer(&workers, "a", "ask").await, "1", "a turn has them too");
        assert_eq!(answer(&workers, "other", "add").await, "2");
        let unknown = WorkerCall { class: "Cart".into(), ..call("a", "add") };
        let refused = workers.backend().call(Arc::default(), unknown).await.expect_err("there is no such class");
        assert_eq!(refused.code, CallErrorCode::NotFound, "{}", refused.message);
    }
}

#[tokio::test]
async fn a_turn_has_the_id_that_the_test_gives_its_message() {
    let (workers, _) = workers(&WorkersConfig::default(), 0).await;
    let id = "0b1c2d3e-4f50-4172-8394-a5b6c7d8e9f0";
    let message = WorkerCall { id: Some(id.to_owned()), ..call("a", "id") };
    assert_eq!(workers.backend().call(Arc::default(), message).await.as_deref(), Ok(id));
}

#[tokio::test]
async fn within_a_quota_of_one_place_workers_take_turns_and_keep_what_they_hold() {
    let (workers, _) = workers(&WorkersConfig::default(), 1).await;
    for count in ["1", "2", "3"] {
        for name in ["a", "b"] {
            assert_eq!(answer(&workers, name, "add").await, count, "{name}");
        }
    }
}

#[tokio::test]
async fn a_ninth_worker_waits_until_another_has_nothing_to_do() {
    let (workers, observed) = workers(&WorkersConfig::default(), 0).await;
    let names: Vec<String> = (0..=AWAKE_MAX).map(|number| number.to_string()).collect();
    let calls = join_all(names.iter().map(|name| answer(&workers, name, "hold")));
    let opening = async {
        while observed.holding.load(SeqCst) < AWAKE_MAX as usize {
            tokio::task::yield_now().await;
        }
        observed.gate.add_permits(names.len());
    };
    join(calls, opening).await;
    assert_eq!(observed.most.load(SeqCst), AWAKE_MAX as usize);
}

#[tokio::test]
async fn heaps_beyond_the_bound_are_refused() {
    let (workers, _) = workers(&WorkersConfig::default(), 0).await;
    assert_eq!(answer(&workers, "a", "add").await, "1");
    let filled = workers.backend().call(Arc::default(), call("a", "fill")).await;
    assert!(filled.is_err(), "it is too large: {filled:?}");
    assert_eq!(answer(&workers, "a", "add").await, "2", "it is as before");
}

#[tokio::test]
async fn a_worker_that_is_not_called_does_not_run() {
    let tree = json!({ "name": "all", "children": [{ "class": "Counter", "name": "of-tree" }] });
    let config: WorkersConfig = serde_json::from_value(json!({ "tree": [tree] })).expect("a table");
    let (workers, observed) = workers(&config, 0).await;
    assert_eq!(answer(&workers, "a", "add").await, "1");
    let seen = observed.seen.lock().clone();
    assert!(seen.iter().all(|name| name == "a"), "{seen:?}");
}

#[tokio::test]
async fn workers_end_with_the_execution_that_has_them() {
    let (workers, _) = workers(&WorkersConfig::default(), 0).await;
    let backend = workers.backend();
    let of_turn = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&of_turn);
    let config = WorkersConfig::default();
    let started = start_with(&config, 0, move |workers| {
        *kept.lock() = Some(Weak::clone(&workers));
        Arc::new(Counters { workers, observed: Arc::default() })
    });
    let started = started.await.expect("they start");
    assert_eq!(answer(&started, "a", "add").await, "1");
    drop(started);
    let of_turn = WorkersOfTurn(of_turn.lock().take().expect("it was told them"));
    let refused = of_turn.call(Arc::default(), call("a", "add")).await.expect_err("they have ended");
    assert_eq!(refused.code, CallErrorCode::Unavailable);
    assert!(refused.message.contains("the smoke test is over"), "{}", refused.message);
    drop(workers);
    assert!(backend.call(Arc::default(), call("a", "add")).await.is_ok(), "a handle is left");
}
