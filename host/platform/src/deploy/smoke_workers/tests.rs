//! The workers of a smoke test, with workers that are functions.

use super::*;
use elias_host::TurnKind;
use elias_local_workers::HeapCommit;
use parking_lot::Mutex;
use serde_json::json;

/// Workers that count their calls. `ask` calls the capability, as a turn of a component of another toolchain can.
struct Counters {
    workers: Weak<SmokeWorkers>,
    /// The names of the workers that had a turn.
    seen: Arc<Mutex<Vec<String>>>,
}

impl WorkerComponent for Counters {
    fn has_class(&self, class: &str) -> bool {
        class == "Counter"
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let count = heap.map_or(0, |heap| String::from_utf8_lossy(heap).parse().expect("a count"));
        let (workers, seen) = (Weak::clone(&self.workers), Arc::clone(&self.seen));
        Ok(Box::new(Counter { count, before: count, workers, seen }))
    }
}

struct Counter {
    count: u64,
    /// The count before the last turn.
    before: u64,
    workers: Weak<SmokeWorkers>,
    seen: Arc<Mutex<Vec<String>>>,
}

fn whole(count: u64) -> WriteDown {
    Box::new(move || Ok(HeapCommit::Whole(count.to_string().into_bytes())))
}

impl AwakeWorker for Counter {
    fn turn<'a>(&'a mut self, turn: &'a Turn, _: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        self.before = self.count;
        self.seen.lock().push(turn.name.clone());
        async move {
            let answer = match &turn.kind {
                TurnKind::Call { method, .. } if method == "ask" => {
                    let answer = WorkersOfTurn(Weak::clone(&self.workers)).call(Arc::default(), call("other", "add"));
                    answer.await.unwrap_or_else(|error| error.message)
                }
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
        whole(self.count)
    }

    fn commit_earlier(&mut self) -> WriteDown {
        whole(self.before)
    }
}

fn call(name: &str, method: &str) -> WorkerCall {
    WorkerCall { class: "Counter".into(), name: name.into(), method: Some(method.into()), value: String::new() }
}

/// Workers of a test, and the names of those that had a turn.
async fn workers(config: &WorkersConfig, awake: u32) -> (ExecutionWorkers, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let of_component = Arc::clone(&seen);
    let component = move |workers| -> Arc<dyn WorkerComponent> { Arc::new(Counters { workers, seen: of_component }) };
    (start_with(config, awake, component).await.expect("they start"), seen)
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
async fn within_a_quota_of_one_place_workers_take_turns_and_keep_what_they_hold() {
    let (workers, _) = workers(&WorkersConfig::default(), 1).await;
    for count in ["1", "2", "3"] {
        for name in ["a", "b"] {
            assert_eq!(answer(&workers, name, "add").await, count, "{name}");
        }
    }
}

#[tokio::test]
async fn a_worker_that_is_not_called_does_not_run() {
    let tree = json!({ "name": "all", "children": [{ "class": "Counter", "name": "of-tree" }] });
    let config: WorkersConfig = serde_json::from_value(json!({ "tree": [tree] })).expect("a table");
    let (workers, seen) = workers(&config, 0).await;
    assert_eq!(answer(&workers, "a", "add").await, "1");
    assert!(seen.lock().iter().all(|name| name == "a"), "{:?}", seen.lock());
}

#[tokio::test]
async fn workers_end_with_the_execution_that_has_them() {
    let (workers, _) = workers(&WorkersConfig::default(), 0).await;
    let backend = workers.backend();
    let of_turn = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&of_turn);
    let started = start_with(&WorkersConfig::default(), 0, move |workers| {
        *kept.lock() = Some(Weak::clone(&workers));
        Arc::new(Counters { workers, seen: Arc::default() })
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
