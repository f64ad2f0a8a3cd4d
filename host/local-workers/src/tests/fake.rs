//! A component whose workers count, by turns that are written in Rust. Values are plain texts.

use crate::component::{AwakeWorker, ComponentSource, TurnFailure, WorkerComponent};
use elias_host::{AlarmChange, ReplyResult, SetTimer, TimerChanges, Turn, TurnKind, TurnResult, TurnState, WorkerSend};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use tokio::sync::Notify;

/// The heap of a worker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Heap {
    version: u32,
    count: u64,
    calls: u64,
    waits: bool,
}

/// The component.
#[derive(Default)]
pub(super) struct Fake {
    version: AtomicU32,
    awake: AtomicUsize,
    most_awake: AtomicUsize,
    attempts: AtomicU32,
    holding: AtomicBool,
    gone: Notify,
    stopped: Mutex<Vec<String>>,
    unloaded: AtomicBool,
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        let fake = Self::default();
        fake.set_version(1);
        Arc::new(fake)
    }

    pub(super) fn source(self: &Arc<Self>) -> ComponentSource {
        let (fake, component) = (Arc::clone(self), Arc::new(FakeComponent(Arc::clone(self))));
        let loaded = move || Arc::clone(&component) as Arc<dyn WorkerComponent>;
        ComponentSource::of(move || (!fake.unloaded.load(SeqCst)).then(&loaded))
    }

    /// Whether no component is loaded.
    pub(super) fn set_unloaded(&self, unloaded: bool) {
        self.unloaded.store(unloaded, SeqCst);
    }

    pub(super) fn set_version(&self, version: u32) {
        self.version.store(version, SeqCst);
    }

    /// Workers that are in memory, and how many there were at most.
    pub(super) fn awake(&self) -> usize {
        self.awake.load(SeqCst)
    }

    pub(super) fn most_awake(&self) -> usize {
        self.most_awake.load(SeqCst)
    }

    /// Whether a turn is in `hold`, which `let_go` ends.
    pub(super) fn is_holding(&self) -> bool {
        self.holding.load(SeqCst)
    }

    pub(super) fn let_go(&self) {
        self.gone.notify_one();
    }

    pub(super) fn stopped(&self) -> Vec<String> {
        self.stopped.lock().clone()
    }
}

struct FakeComponent(Arc<Fake>);

impl WorkerComponent for FakeComponent {
    fn has_class(&self, class: &str) -> bool {
        class == "A"
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let version = self.0.version.load(SeqCst);
        let heap = match heap {
            None => Heap { version, ..Heap::default() },
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| TurnFailure::Unusable(error.to_string()))?,
        };
        if heap.version != version {
            return Err(TurnFailure::OtherVersion("heap-mismatch: another version".to_owned()));
        }
        let awake = self.0.awake.fetch_add(1, SeqCst) + 1;
        self.0.most_awake.fetch_max(awake, SeqCst);
        Ok(Box::new(FakeWorker { fake: Arc::clone(&self.0), heap: heap.clone(), pending: heap }))
    }
}

struct FakeWorker {
    fake: Arc<Fake>,
    heap: Heap,
    pending: Heap,
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.fake.awake.fetch_sub(1, SeqCst);
    }
}

impl AwakeWorker for FakeWorker {
    fn turn<'a>(&'a mut self, turn: &'a Turn) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        async move {
            self.pending = self.heap.clone();
            self.run(turn).await
        }
        .boxed()
    }

    fn commit(&mut self) -> Box<dyn FnOnce() -> Result<Vec<u8>, TurnFailure> + Send> {
        self.heap = self.pending.clone();
        let heap = self.heap.clone();
        Box::new(move || serde_json::to_vec(&heap).map_err(|error| TurnFailure::Unusable(error.to_string())))
    }
}

fn thrown(message: impl Into<String>) -> Result<TurnResult, TurnFailure> {
    Err(TurnFailure::Thrown { name: "Error".to_owned(), message: message.into() })
}

fn done(turn: &Turn, answer: impl Into<String>) -> TurnResult {
    TurnResult {
        state: TurnState::Done,
        id: turn.id.clone(),
        answer: Some(answer.into()),
        sends: Vec::new(),
        timers: TimerChanges::default(),
        emitted: Vec::new(),
        sockets: Vec::new(),
    }
}

impl FakeWorker {
    async fn run(&mut self, turn: &Turn) -> Result<TurnResult, TurnFailure> {
        match &turn.kind {
            TurnKind::Start => Ok(done(turn, "")),
            TurnKind::Call { method, args } => self.call(turn, method, args).await,
            TurnKind::Message { message } => Ok(done(turn, format!("message {message}"))),
            TurnKind::Alarm { .. } => {
                self.pending.count += 100;
                Ok(done(turn, ""))
            }
            TurnKind::Timer { .. } => Ok(done(turn, "")),
            TurnKind::Reply { result, .. } => {
                assert!(std::mem::take(&mut self.pending.waits), "nobody waits for a reply");
                self.pending.count += 999;
                match result {
                    ReplyResult::Value(value) => Ok(done(turn, format!("asked: {value}"))),
                    ReplyResult::Error(error) => thrown(error.message.clone()),
                }
            }
            TurnKind::Stop { reason } => {
                self.fake.stopped.lock().extend(reason.as_str().map(str::to_owned));
                Ok(done(turn, ""))
            }
            other => thrown(format!("the fake has no such turn: {other:?}")),
        }
    }

    async fn call(&mut self, turn: &Turn, method: &str, args: &str) -> Result<TurnResult, TurnFailure> {
        let heap = &mut self.pending;
        match method {
            "add" => {
                heap.count += args.parse::<u64>().expect("a number");
                Ok(done(turn, heap.count.to_string()))
            }
            "get" => Ok(done(turn, heap.count.to_string())),
            "echo" => Ok(done(turn, args)),
            "throw" => {
                heap.count = 0;
                thrown(args)
            }
            // `NAME METHOD ARGUMENTS`: calls another worker, and awaits it.
            "ask" => {
                let mut words = args.splitn(3, ' ').map(str::to_owned);
                let (name, method) = (words.next().expect("a name"), words.next());
                heap.calls += 1;
                heap.count += 1;
                heap.waits = true;
                let value = words.next().unwrap_or_default();
                let send = WorkerSend { call: Some(heap.calls), class: "A".to_owned(), name, method, value };
                Ok(TurnResult { state: TurnState::Waiting, answer: None, sends: vec![send], ..done(turn, "") })
            }
            // Waits for a timer that is due in a year.
            "wait" => {
                let set = vec![SetTimer { timer: 1, at: turn.now + 31_536_000_000 }];
                let timers = TimerChanges { set, ..TimerChanges::default() };
                Ok(TurnResult { state: TurnState::Waiting, answer: None, timers, ..done(turn, "") })
            }
            "alarm" => {
                let at = Some(turn.now + args.parse::<u64>().expect("a number"));
                let alarm = vec![AlarmChange { name: "due".to_owned(), at }];
                Ok(TurnResult { timers: TimerChanges { alarm, ..TimerChanges::default() }, ..done(turn, "") })
            }
            "hold" => {
                self.fake.holding.store(true, SeqCst);
                self.fake.gone.notified().await;
                self.fake.holding.store(false, SeqCst);
                self.pending.count += 1;
                Ok(done(turn, "held"))
            }
            "trap" => Err(TurnFailure::Ended("out of fuel".to_owned())),
            "trap-until" => {
                let attempt = self.fake.attempts.fetch_add(1, SeqCst) + 1;
                if attempt < args.parse().expect("a number") {
                    return Err(TurnFailure::Ended("out of fuel".to_owned()));
                }
                Ok(done(turn, format!("attempt {attempt}")))
            }
            other => thrown(format!("no such method: {other}")),
        }
    }
}
