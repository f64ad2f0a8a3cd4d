//! A component whose workers count, by turns that are written in Rust. Values are plain texts.

mod control;

use crate::component::{
    AwakeWorker, ComponentSource, DeploymentPhase, SwappedComponent, TurnContext, TurnFailure, WorkerComponent,
    WriteDown,
};
use crate::store::HeapCommit;
use elias_capabilities::Cause;
use elias_capabilities::turn::TurnCalls;
use elias_host::{
    AlarmChange, EmittedEvent, ReplyResult, SetTimer, SocketAction, SocketContent, SocketSend, TimerChanges, Turn,
    TurnKind, TurnResult, TurnState, WorkerCode, WorkerSend,
};
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
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
    /// From which version to which it was moved.
    #[serde(default)]
    from: String,
    /// The ids of its sockets.
    #[serde(default)]
    sockets: Vec<String>,
    /// The version whose code it has, if that is another one's.
    #[serde(default)]
    code: Option<u32>,
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
    /// Whether former versions are there, and whether the new one refuses to take over.
    has_former: AtomicBool,
    refuses_upgrade: AtomicBool,
    /// Whether versions have code for heaps of others, whether that fits, and how often it was put under one.
    has_code: AtomicBool,
    refuses_swap: AtomicBool,
    pub(super) swaps: AtomicUsize,
    /// Swaps that are under way, and the most that were.
    swapping: AtomicUsize,
    pub(super) most_swapping: AtomicUsize,
    /// The value of the event that workers emit as they are moved; none if it is empty.
    pub(super) emits_on_upgrade: Mutex<String>,
    /// What caused each turn of a call.
    causes: Mutex<Vec<Cause>>,
    /// The keys of the outward calls of each attempt.
    keys: Mutex<Vec<Vec<String>>>,
    /// The codes with which sockets were closed.
    closed: Mutex<Vec<u16>>,
    /// Turns that were run.
    turns: AtomicUsize,
    /// How turns for the health of workers end, and how many there were.
    health: Mutex<&'static str>,
    health_turns: AtomicUsize,
    /// Names of workers in the order in which they were to start, and whether they refuse to.
    started: Mutex<Vec<String>>,
    refuses_start: AtomicBool,
    /// The version that runs the workers whose names begin with `canary`; 0 for the one that runs the others.
    canary: AtomicU32,
    /// What became of the deployments of versions; the others are none.
    phases: Mutex<HashMap<String, DeploymentPhase>>,
    /// How often it could not be told what became of one.
    pub(super) unknown_phases: AtomicUsize,
    /// Workers that could not be moved.
    failed_upgrades: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn new() -> Arc<Self> {
        let fake = Self::default();
        fake.set_version(1);
        Arc::new(fake)
    }

    pub(super) fn source(self: &Arc<Self>) -> ComponentSource {
        let fake = Arc::clone(self);
        let loaded = move |key: &WorkerKey| {
            let canary = if key.name.starts_with("canary") { fake.canary.load(SeqCst) } else { 0 };
            let version = if canary > 0 { canary } else { fake.version.load(SeqCst) };
            let component = FakeComponent { version, image: version, fake: Arc::clone(&fake) };
            (!fake.unloaded.load(SeqCst)).then(|| Arc::new(component) as Arc<dyn WorkerComponent>)
        };
        ComponentSource::by_worker(loaded)
    }
}

/// Heaps are JSON; a change is the heap, too.
pub(super) fn merge(whole: &[u8], changes: &[Vec<u8>]) -> Result<Vec<u8>, String> {
    Ok(changes.last().map_or_else(|| whole.to_vec(), Vec::clone))
}

struct FakeComponent {
    version: u32,
    /// The version whose heaps it takes.
    image: u32,
    fake: Arc<Fake>,
}

impl WorkerComponent for FakeComponent {
    fn has_class(&self, class: &str) -> bool {
        class == "A"
    }

    fn version(&self) -> String {
        self.version.to_string()
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let (version, is_new) = (self.version, heap.is_none());
        let heap = match heap {
            None => Heap { version, ..Heap::default() },
            Some(bytes) => serde_json::from_slice(bytes).map_err(|error| TurnFailure::Unusable(error.to_string()))?,
        };
        if heap.version != self.image {
            return Err(TurnFailure::OtherVersion("heap-mismatch: another version".to_owned()));
        }
        let awake = self.fake.awake.fetch_add(1, SeqCst) + 1;
        self.fake.most_awake.fetch_max(awake, SeqCst);
        let fake = Arc::clone(&self.fake);
        Ok(Box::new(FakeWorker { fake, version, is_new, heap: heap.clone(), earlier: heap, calls: None, fuel: None }))
    }

    fn predecessor<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Option<Arc<dyn WorkerComponent>>> {
        let former = || {
            let heap: Heap = serde_json::from_slice(heap).expect("a heap");
            let (version, fake) = (heap.version, Arc::clone(&self.fake));
            Arc::new(Self { version, image: version, fake }) as Arc<dyn WorkerComponent>
        };
        ready(self.fake.has_former.load(SeqCst).then(former)).boxed()
    }

    fn swapped<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Result<SwappedComponent, String>> {
        let swapped = || {
            let heap: Heap = serde_json::from_slice(heap).expect("a heap");
            let component = Self { version: self.version, image: heap.version, fake: Arc::clone(&self.fake) };
            let code = WorkerCode::read(format!("\n{}", self.version).as_bytes()).expect("it is valid");
            SwappedComponent { component: Arc::new(component), code }
        };
        let has_code = self.fake.has_code.load(SeqCst);
        ready(has_code.then(swapped).ok_or_else(|| "the fake has no code".to_owned())).boxed()
    }

    fn deployment(&self) -> Option<String> {
        let version = self.version.to_string();
        self.fake.phases.lock().contains_key(&version).then_some(version)
    }

    fn phase<'a>(&'a self, deployment: &'a str) -> BoxFuture<'a, Result<DeploymentPhase, TurnFailure>> {
        let phase = self.fake.phases.lock().get(deployment).copied();
        if phase.is_none() {
            self.fake.unknown_phases.fetch_add(1, SeqCst);
        }
        ready(phase.ok_or_else(|| TurnFailure::NotRun("it is not known".to_owned()))).boxed()
    }

    fn upgrade_failed(&self, key: &WorkerKey) {
        self.fake.failed_upgrades.lock().push(key.name.clone());
    }
}

struct FakeWorker {
    fake: Arc<Fake>,
    version: u32,
    /// Whether there was no commit yet.
    is_new: bool,
    heap: Heap,
    /// The heap of before the last turn.
    earlier: Heap,
    /// The outward calls of the turn that runs.
    calls: Option<TurnCalls>,
    /// The fuel that it may use.
    fuel: Option<u64>,
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        self.fake.awake.fetch_sub(1, SeqCst);
    }
}

impl FakeWorker {
    fn write_down(&mut self, heap: Heap) -> WriteDown {
        let is_new = std::mem::take(&mut self.is_new);
        WriteDown::new(0, move || {
            let bytes = serde_json::to_vec(&heap).map_err(|error| TurnFailure::Unusable(error.to_string()))?;
            Ok(if is_new { HeapCommit::Whole(bytes) } else { HeapCommit::Change(bytes) })
        })
    }
}

impl AwakeWorker for FakeWorker {
    fn turn<'a>(&'a mut self, turn: &'a Turn, context: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        async move {
            self.earlier = self.heap.clone();
            self.fake.turns.fetch_add(1, SeqCst);
            (self.calls, self.fuel) = (context.calls, context.fuel);
            if matches!(turn.kind, TurnKind::Call { .. }) {
                self.fake.causes.lock().push(context.cause);
            }
            let result = self.run(turn).await;
            if result.is_err() {
                self.heap = self.earlier.clone();
            }
            result
        }
        .boxed()
    }

    fn undo(&mut self) {
        self.heap = self.earlier.clone();
    }

    fn commit(&mut self) -> WriteDown {
        self.write_down(self.heap.clone())
    }

    fn commit_earlier(&mut self) -> WriteDown {
        self.write_down(self.earlier.clone())
    }
}

fn thrown(message: impl Into<String>) -> Result<TurnResult, TurnFailure> {
    Err(TurnFailure::Thrown { name: "Error".to_owned(), message: message.into() })
}

fn text(socket: &str, text: &str) -> SocketSend {
    SocketSend { socket: socket.to_owned(), action: SocketAction::Text(text.to_owned()) }
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
            TurnKind::Start => {
                self.fake.started.lock().push(turn.name.clone());
                if self.fake.refuses_start.load(SeqCst) { thrown("it does not start") } else { Ok(done(turn, "")) }
            }
            TurnKind::Call { method, args } => self.call(turn, method, args).await,
            TurnKind::Message { message } => Ok(done(turn, format!("message {message}"))),
            TurnKind::Alarm { .. } => {
                self.heap.count += 100;
                Ok(done(turn, ""))
            }
            // Its interval of 0 ms.
            TurnKind::Timer { .. } => {
                self.heap.count += 1;
                let set = vec![SetTimer { timer: 2, at: turn.now }];
                Ok(TurnResult { timers: TimerChanges { set, ..TimerChanges::default() }, ..done(turn, "") })
            }
            TurnKind::Reply { result, .. } => {
                assert!(std::mem::take(&mut self.heap.waits), "nobody waits for a reply");
                self.heap.count += 999;
                match result {
                    ReplyResult::Value(value) => Ok(done(turn, format!("asked: {value}"))),
                    ReplyResult::Error(error) => thrown(error.message.clone()),
                }
            }
            TurnKind::Stop { reason } => {
                self.fake.stopped.lock().extend(reason.as_str().map(str::to_owned));
                Ok(done(turn, ""))
            }
            TurnKind::Export => {
                let sockets = self.heap.sockets.iter().map(|socket| format!(" {socket}"));
                Ok(done(turn, format!("{}{}", self.heap.count, sockets.collect::<String>())))
            }
            TurnKind::Upgrade { version, state } => {
                if self.fake.refuses_upgrade.load(SeqCst) {
                    return thrown("it is not taken over");
                }
                let mut state = state.split(' ');
                self.heap.count = state.next().and_then(|count| count.parse().ok()).expect("a number");
                self.heap.sockets = state.map(str::to_owned).collect();
                self.heap.from = format!("{version} to {}", self.version);
                Ok(TurnResult { emitted: self.emitted(), ..done(turn, "") })
            }
            TurnKind::Health => self.health(turn).await,
            TurnKind::Open { socket, request } => {
                if request.url == "/refused" {
                    return thrown("it is not let in");
                }
                self.heap.sockets.push(socket.clone());
                Ok(TurnResult { sockets: vec![text(socket, "welcome")], ..done(turn, "") })
            }
            TurnKind::SocketMessage { socket, content } => self.socket_message(turn, socket, content).await,
            TurnKind::Close { socket, code, .. } => {
                self.heap.sockets.retain(|open| open != socket);
                self.fake.closed.lock().push(*code);
                Ok(done(turn, ""))
            }
            TurnKind::Swap { source, .. } => {
                if self.fake.refuses_swap.load(SeqCst) {
                    return thrown("the fields of A are others");
                }
                self.fake.count_swap().await;
                self.heap.code = Some(source.parse().expect("a number"));
                Ok(TurnResult { emitted: self.emitted(), ..done(turn, "") })
            }
            TurnKind::Inspect => {
                self.heap.count += 1_000; // of a copy
                Ok(done(turn, format!("{} counts {}", turn.name, self.heap.count - 1_000)))
            }
            TurnKind::Copy { .. } => thrown("the fake has no such turn"),
        }
    }

    /// What it emits as it is moved.
    fn emitted(&self) -> Vec<EmittedEvent> {
        let value = self.fake.emits_on_upgrade.lock().clone();
        let event = (!value.is_empty()).then(|| EmittedEvent { event: "moved".to_owned(), value });
        event.into_iter().collect()
    }

    async fn health(&mut self, turn: &Turn) -> Result<TurnResult, TurnFailure> {
        self.fake.health_turns.fetch_add(1, SeqCst);
        self.heap.count += 1_000_000;
        let health = *self.fake.health.lock();
        match health {
            "false" => Ok(done(turn, "[1,false]")),
            "false in 2" if self.version == 2 => Ok(done(turn, "[1,false]")),
            "throw" => thrown("no disk"),
            "throw once" => {
                self.fake.set_health("");
                thrown("no disk")
            }
            "hang" => std::future::pending().await,
            "wait" => Ok(TurnResult { state: TurnState::Waiting, answer: None, ..done(turn, "") }),
            _ => Ok(done(turn, "well")),
        }
    }

    /// `all TEXT` sends to all sockets, `close` closes this one, `ask-and-close` also calls another worker; other texts
    /// are methods, whose answer is sent back. Bytes are sent back.
    async fn socket_message(
        &mut self,
        turn: &Turn,
        socket: &str,
        content: &SocketContent,
    ) -> Result<TurnResult, TurnFailure> {
        let message = match content {
            SocketContent::Text(message) => message,
            SocketContent::Bytes(bytes) => {
                let action = SocketAction::Bytes(bytes.clone());
                let sockets = vec![SocketSend { socket: socket.to_owned(), action }];
                return Ok(TurnResult { sockets, ..done(turn, "") });
            }
        };
        let closes = || {
            let action = SocketAction::Close { code: 3000, reason: "bye".to_owned() };
            vec![SocketSend { socket: socket.to_owned(), action }]
        };
        let (method, args) = message.split_once(' ').unwrap_or((message.as_str(), ""));
        match method {
            "all" => {
                let sockets = self.heap.sockets.iter().map(|open| text(open, args)).collect();
                Ok(TurnResult { sockets, ..done(turn, "") })
            }
            "close" => {
                self.heap.sockets.retain(|open| open != socket);
                Ok(TurnResult { sockets: closes(), ..done(turn, "") })
            }
            "ask-and-close" => {
                let asked = self.call(turn, "ask", args).await?;
                self.heap.sockets.retain(|open| open != socket);
                Ok(TurnResult { sockets: closes(), ..asked })
            }
            _ => {
                let result = self.call(turn, method, args).await?;
                let sockets = result.answer.iter().map(|answer| text(socket, answer)).collect();
                Ok(TurnResult { sockets, ..result })
            }
        }
    }

    async fn call(&mut self, turn: &Turn, method: &str, args: &str) -> Result<TurnResult, TurnFailure> {
        let heap = &mut self.heap;
        match method {
            "add" => {
                heap.count += args.parse::<u64>().expect("a number");
                Ok(done(turn, heap.count.to_string()))
            }
            "get" => Ok(done(turn, heap.count.to_string())),
            "name" => Ok(done(turn, turn.name.as_str())),
            "sockets" => Ok(done(turn, heap.sockets.len().to_string())),
            "version" => Ok(done(turn, format!("{} {}", heap.version, heap.from))),
            "code" => Ok(done(turn, format!("{} in {}", heap.code.unwrap_or(heap.version), self.version))),
            "panic" => panic!("the host has a fault"),
            // Has an interval of 0 ms.
            "tick" => {
                let set = vec![SetTimer { timer: 2, at: turn.now }];
                Ok(TurnResult { timers: TimerChanges { set, ..TimerChanges::default() }, ..done(turn, "") })
            }
            "not-run" => Err(TurnFailure::NotRun("overloaded: there is no room".to_owned())),
            "echo" => Ok(done(turn, args)),
            "emit" => {
                heap.count += 1;
                let emitted = vec![EmittedEvent { event: "counted".to_owned(), value: args.to_owned() }];
                Ok(TurnResult { emitted, ..done(turn, heap.count.to_string()) })
            }
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
                let send = WorkerSend { call: Some(heap.calls), class: "A".to_owned(), name, method, value, id: None };
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
                self.heap.count += 1;
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
            "outward" => self.outward(turn, args),
            "fuel" => Ok(done(turn, format!("{:?}", self.fuel))),
            other => thrown(format!("no such method: {other}")),
        }
    }
    /// `NAMES|NAMES`: what each attempt calls outside; one whose names end with `!` is ended then. The answer has what
    /// the calls gave: which attempt made them. `big` gives 60,000 bytes.
    fn outward(&mut self, turn: &Turn, args: &str) -> Result<TurnResult, TurnFailure> {
        let attempt = self.fake.attempts.fetch_add(1, SeqCst);
        let names = args.split('|').nth(attempt as usize).expect("there is no further attempt");
        let calls = self.calls.as_ref().expect("turns that are kept have outward calls");
        let (mut keys, mut results) = (Vec::new(), Vec::new());
        for name in names.trim_end_matches('!').split_whitespace() {
            let call = calls.begin("fake", name, &[]);
            let result = call.recorded::<String>().unwrap_or_else(|| format!("{name} {attempt}"));
            call.record(result.clone(), if name == "big" { 60_000 } else { result.len() });
            keys.push(call.key().to_owned());
            results.push(result);
        }
        self.fake.keys.lock().push(keys);
        self.heap.count += 1;
        if names.ends_with('!') {
            return Err(TurnFailure::Ended("out of fuel".to_owned()));
        }
        Ok(done(turn, results.join(", ")))
    }
}
