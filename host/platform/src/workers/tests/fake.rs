//! Services whose workers count.

use crate::workers::{
    CanaryComponent, HeapVersion, ServedComponent, ServedWorkers, TurnSite, WorkerCanary, WorkerServices,
};
use elias_api::{Quotas, Result};
use elias_capabilities::Cause;
use elias_host::{EmittedEvent, Turn, TurnKind, TurnResult};
use elias_local_workers::{
    AwakeWorker, DeploymentPhase, HeapCommit, TurnContext, TurnEvents, TurnFailure, WorkerComponent, WriteDown,
};
use elias_names::{Digest, ServiceId};
use elias_store::NewEvent;
use elias_workers::WorkerKey;
use elias_workers::config::{Durability, WorkersConfig};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// One service, each of whose workers counts the calls of `add`. `ask` awaits a worker whose turn never ends, `alarm`
/// has an alarm called in a second, and `emit` emits its arguments as the value of an event. A canary has the workers
/// whose names begin with `canary`, in version 2.
#[derive(Default)]
pub(super) struct FakeServices {
    served: Mutex<Option<ServedWorkers>>,
    refusal: Mutex<Option<String>>,
    /// What became of the deployment of version 2.
    phase: Arc<Mutex<Option<DeploymentPhase>>>,
    /// What was published: the type, and the data.
    pub(super) events: Mutex<Vec<(&'static str, Value)>>,
    /// Events of workers that no store has.
    pub(super) later: Mutex<Vec<NewEvent>>,
    /// How many commits have published events.
    pub(super) published: AtomicUsize,
}

impl FakeServices {
    fn served(&self) -> ServedWorkers {
        let first = ServedWorkers {
            config: Arc::default(),
            quotas: Quotas::default(),
            is_stopped: false,
            release: 1,
            canary: None,
        };
        self.served.lock().get_or_insert(first).clone()
    }

    fn change(&self, change: impl FnOnce(&mut ServedWorkers)) {
        let mut served = self.served();
        change(&mut served);
        *self.served.lock() = Some(served);
    }

    /// Serves by another release.
    pub(super) fn deploy(&self, release: u64) {
        self.change(|served| served.release = release);
    }

    /// Begins a rollout of version 2.
    pub(super) fn begin_canary(&self) {
        *self.phase.lock() = Some(DeploymentPhase::Rollout);
        self.change(|served| served.canary = Some(WorkerCanary { release: 2, buckets: 5_000 }));
    }

    /// Rolls it back.
    pub(super) fn roll_back(&self) {
        *self.phase.lock() = Some(DeploymentPhase::RolledBack);
        self.change(|served| served.canary = None);
    }

    pub(super) fn stop(&self, is_stopped: bool) {
        self.change(|served| served.is_stopped = is_stopped);
    }

    /// Serves with another table `[workers]`, as a release of this number.
    pub(super) fn configure(&self, config: WorkersConfig, release: u64) {
        self.change(|served| (served.config, served.release) = (Arc::new(config), release));
    }

    /// Deploys a version that stores turns so.
    pub(super) fn set_durability(&self, durability: Durability) {
        self.change(|served| Arc::make_mut(&mut served.config).durability = durability);
    }

    pub(super) fn set_quotas(&self, quotas: Quotas) {
        self.change(|served| served.quotas = quotas);
    }

    /// Has calls refused, as by a quota that is used up.
    pub(super) fn refuse(&self, refusal: Option<&str>) {
        *self.refusal.lock() = refusal.map(str::to_owned);
    }
}

impl WorkerServices for FakeServices {
    fn find(&self, id: &ServiceId) -> Option<ServedWorkers> {
        (id.component.as_str() == "shop").then(|| self.served())
    }

    fn refusal(&self, _: &ServiceId) -> Option<String> {
        self.refusal.lock().clone()
    }

    fn component(&self, _: &ServiceId, site: TurnSite) -> BoxFuture<'static, Result<ServedComponent>> {
        let ServedWorkers { release, canary, .. } = self.served();
        let component = |release, version| {
            Arc::new(Counters { release, version, phase: Arc::clone(&self.phase), site: site.clone() })
        };
        let canary = canary.map(|canary| CanaryComponent {
            component: component(canary.release, 2),
            has: Arc::new(|key: &WorkerKey| key.name.starts_with("canary")),
        });
        ready(Ok(ServedComponent { component: component(release, 1), canary })).boxed()
    }

    fn publish(&self, _: &ServiceId, _: &WorkerKey, event_type: &'static str, data: Value) {
        self.events.lock().push((event_type, data));
    }

    fn check_events(&self, _: &ServiceId, events: &[EmittedEvent], _: &Cause) -> std::result::Result<(), String> {
        if events.iter().any(|event| event.value.is_empty()) {
            Err("an event without a value".to_owned())
        } else {
            Ok(())
        }
    }

    fn new_events(&self, id: &ServiceId, key: &WorkerKey, turns: &[TurnEvents]) -> Vec<NewEvent> {
        let event = |EmittedEvent { event, value }: &EmittedEvent| NewEvent {
            id: ulid::Ulid::new().to_string(),
            event_type: event.clone(),
            source: id.subject(),
            subject: Some(key.to_string()),
            data: value.clone(),
            time: 0,
            key: None,
            hops: 0,
            cause: None,
        };
        turns.iter().flat_map(|turn| &turn.events).map(event).collect()
    }

    fn publish_later(&self, _: &ServiceId, events: Vec<NewEvent>) {
        self.later.lock().extend(events);
    }

    fn events_published(&self) {
        self.published.fetch_add(1, Relaxed);
    }
}

#[derive(Clone)]
struct Counters {
    release: u64,
    version: u32,
    phase: Arc<Mutex<Option<DeploymentPhase>>>,
    site: TurnSite,
}

impl Counters {
    fn heap_version(version: u32) -> HeapVersion {
        HeapVersion { number: version, digest: Digest::of(format!("component {version}").as_bytes()) }
    }
}

/// The version and the count in a heap.
fn read(heap: &[u8]) -> std::result::Result<(u32, u64), TurnFailure> {
    let text = String::from_utf8_lossy(heap);
    let parts = text.split_once(' ').and_then(|(version, count)| Some((version.parse().ok()?, count.parse().ok()?)));
    parts.ok_or_else(|| TurnFailure::Unusable(format!("the heap is `{text}`")))
}

impl WorkerComponent for Counters {
    fn has_class(&self, class: &str) -> bool {
        class == "Counter"
    }

    fn wake(&self, heap: Option<&[u8]>) -> std::result::Result<Box<dyn AwakeWorker>, TurnFailure> {
        let (version, count) = heap.map_or(Ok((self.version, 0)), read)?;
        if version != self.version {
            return Err(TurnFailure::OtherVersion(format!("the heap is of version {version}")));
        }
        Ok(Box::new(Counter { count, before: count, component: self.clone() }))
    }

    fn version(&self) -> String {
        self.version.to_string()
    }

    fn predecessor<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Option<Arc<dyn WorkerComponent>>> {
        let of = |(version, _)| Arc::new(Self { version, ..self.clone() }) as Arc<dyn WorkerComponent>;
        ready(read(heap).ok().map(of)).boxed()
    }

    fn deployment(&self) -> Option<String> {
        Some(self.version.to_string())
    }

    fn phase<'a>(&'a self, deployment: &'a str) -> BoxFuture<'a, std::result::Result<DeploymentPhase, TurnFailure>> {
        let phase = self.phase.lock().filter(|_| deployment == "2");
        ready(Ok(phase.unwrap_or(DeploymentPhase::Serving))).boxed()
    }

    fn restores(&self, key: &WorkerKey, version: &str, _: &[u8]) {
        self.site.versions.set(key, &Self::heap_version(version.parse().expect("a number")));
    }
}

struct Counter {
    count: u64,
    /// The count before the last turn.
    before: u64,
    component: Counters,
}

impl Counter {
    fn whole(&self, count: u64) -> WriteDown {
        let heap = format!("{} {count}", self.component.version);
        WriteDown::new(0, move || Ok(HeapCommit::Whole(heap.into_bytes())))
    }
}

impl AwakeWorker for Counter {
    fn turn<'a>(
        &'a mut self,
        turn: &'a Turn,
        _: TurnContext,
    ) -> BoxFuture<'a, std::result::Result<TurnResult, TurnFailure>> {
        self.before = self.count;
        let method = if let TurnKind::Call { method, .. } = &turn.kind { method.as_str() } else { "" };
        if method == "hold" {
            return std::future::pending().boxed();
        }
        let hold = json!([{ "call": 1, "class": "Counter", "name": "slow", "method": "hold", "value": "" }]);
        let (state, sends) = if method == "ask" { ("waiting", hold) } else { ("done", json!([])) };
        let alarm = json!([{ "name": "soon", "at": turn.now + 1_000 }]);
        let timers = if method == "alarm" { json!({ "alarm": alarm }) } else { json!({}) };
        let answer = match &turn.kind {
            TurnKind::Call { method, .. } if method == "release" => self.component.release.to_string(),
            TurnKind::Call { method, .. } if method == "name" => turn.name.clone(),
            TurnKind::Call { method, .. } if method == "trap" => {
                return ready(Err(TurnFailure::Ended("out of fuel".to_owned()))).boxed();
            }
            TurnKind::Call { .. } => {
                self.count += 1;
                self.count.to_string()
            }
            TurnKind::Export => self.count.to_string(),
            TurnKind::Upgrade { state, .. } => {
                self.count = state.parse().expect("a number");
                String::new()
            }
            _ => String::new(),
        };
        let version = Counters::heap_version(self.component.version);
        self.component.site.versions.set(&WorkerKey::new(turn.class.clone(), turn.name.clone()), &version);
        let emitted = match &turn.kind {
            TurnKind::Call { method, args } if method == "emit" => json!([{ "event": "counted", "value": args }]),
            _ => json!([]),
        };
        let result = json!({
            "state": state, "id": turn.id, "answer": answer, "sends": sends, "timers": timers, "emitted": emitted,
        });
        let result = serde_json::from_value(result).map_err(|error| TurnFailure::Unusable(error.to_string()));
        ready(result).boxed()
    }

    fn undo(&mut self) {
        self.count = self.before;
    }

    fn commit(&mut self) -> WriteDown {
        self.whole(self.count)
    }

    fn commit_earlier(&mut self) -> WriteDown {
        self.whole(self.before)
    }
}
