//! The service workers that the smoke test of a version calls: of that version, in memory alone, gone with the test.
//!
//! Those of the version that serves are not called: what is tested has yet to show that it may change them, and before
//! a first deployment there are none.

use crate::serving::Lines;
use crate::workers::{AwakeSlot, AwakeSlots};
use elias_api::{Code, Error, Result};
use elias_capabilities::trigger::Origin;
use elias_capabilities::workers::{ExecutionWorkers, WorkerBackend, WorkerCall};
use elias_host::{App, CallOptions, Caller, ExecutionHandle, Turn, TurnResult};
use elias_local_workers::{
    AppWorker, AwakeWorker, CallError, CallErrorCode, ComponentSource, LocalWorkers, MemoryStore, RunningWorkers,
    TurnContext, TurnFailure, WorkerComponent, WriteDown,
};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use elias_workers::config::WorkersConfig;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::sync::{Arc, OnceLock, Weak};

/// Workers of a test that are in memory at a time, with room for a few that call one another. Others wait.
const AWAKE_MAX: u32 = 8;

/// Bytes of the heaps of a test's workers.
const BYTES_MAX: usize = 64 << 20;

/// What the workers of a smoke test are given by the service that is tested.
pub(super) struct SmokeSite {
    pub(super) service: ServiceId,
    /// How the workers of the version run.
    pub(super) config: WorkersConfig,
    /// The places in memory of this host.
    pub(super) slots: Arc<AwakeSlots>,
    /// How many of them the tenant may have; 0 for no bound of its own.
    pub(super) awake: u32,
    /// The log of the service.
    pub(super) lines: Arc<Lines>,
}

/// Workers for the request of a smoke test, none of which exists yet. They end with the request's execution.
///
/// Supervision trees are not started, and nobody asks whether workers are well: a worker runs if it is called.
///
/// # Errors
/// `bad-input` for a setting that is out of its bounds.
pub(super) async fn start(app: &App, site: SmokeSite) -> Result<ExecutionWorkers> {
    let site = Arc::new(site);
    let component = |workers| -> Arc<dyn WorkerComponent> {
        Arc::new(SmokeComponent { app: app.clone(), site: Arc::clone(&site), workers })
    };
    start_with(&site.config, site.awake, component).await
}

/// The same with any component, which is told the workers that it is of.
async fn start_with(
    config: &WorkersConfig,
    awake: u32,
    component: impl FnOnce(Weak<SmokeWorkers>) -> Arc<dyn WorkerComponent>,
) -> Result<ExecutionWorkers> {
    let config = WorkersConfig { health: None, tree: Vec::new(), ..config.clone() };
    let awake = if awake == 0 { AWAKE_MAX } else { AWAKE_MAX.min(awake) };
    // A worker that leaves memory for another one is found there again, as the version's durability says.
    let local = LocalWorkers::builder()
        .config(&config)
        .map_err(|error| Error::new(Code::BadInput, error.to_string()))?
        .store(Arc::new(MemoryStore::with_bytes_max(BYTES_MAX)))
        .unstored_bytes(BYTES_MAX)
        .awake(awake as usize)
        .build();
    let workers = Arc::new(SmokeWorkers::default());
    let component = component(Arc::downgrade(&workers));
    let source = ComponentSource::of(move || Some(Arc::clone(&component)));
    let running = local.start(source).await.map_err(|error| Error::new(Code::Internal, error.to_string()))?;
    // Nobody else has it yet.
    let _ = workers.running.set(running);
    Ok(ExecutionWorkers::new(workers))
}

/// The workers of one smoke test. They end with the last handle, which the execution of the test's request has.
#[derive(Default)]
struct SmokeWorkers {
    running: OnceLock<RunningWorkers>,
}

impl WorkerBackend for SmokeWorkers {
    fn call(&self, origin: Arc<Origin>, call: WorkerCall) -> BoxFuture<'static, Result<String, CallError>> {
        let Some(running) = self.running.get() else { return ended() };
        let WorkerCall { class, name, method, value, id } = call;
        running.call_as(id, WorkerKey::new(class, name), method, value, origin.cause.clone()).boxed()
    }
}

/// The same for turns of these workers, which must not keep what they are a part of.
struct WorkersOfTurn(Weak<SmokeWorkers>);

impl WorkerBackend for WorkersOfTurn {
    fn call(&self, origin: Arc<Origin>, call: WorkerCall) -> BoxFuture<'static, Result<String, CallError>> {
        self.0.upgrade().map_or_else(ended, |workers| workers.call(origin, call))
    }
}

fn ended() -> BoxFuture<'static, Result<String, CallError>> {
    ready(Err(CallError::new(CallErrorCode::Unavailable, "the smoke test is over, and its workers with it"))).boxed()
}

/// The component that is tested.
struct SmokeComponent {
    app: App,
    site: Arc<SmokeSite>,
    workers: Weak<SmokeWorkers>,
}

impl WorkerComponent for SmokeComponent {
    fn has_class(&self, class: &str) -> bool {
        self.app.has_class(class)
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let worker = AppWorker::wake(&self.app, heap)?;
        let (site, workers) = (Arc::clone(&self.site), Weak::clone(&self.workers));
        Ok(Box::new(SmokeWorker { worker, slot: None, site, workers }))
    }
}

/// A worker that is awake in a smoke test.
struct SmokeWorker {
    worker: AppWorker,
    /// Its place in memory, from its first turn on. It is never among those that make room for others, who get it when
    /// the test is over at the latest.
    slot: Option<AwakeSlot>,
    site: Arc<SmokeSite>,
    workers: Weak<SmokeWorkers>,
}

impl SmokeWorker {
    async fn run(&mut self, turn: &Turn, context: TurnContext) -> Result<TurnResult, TurnFailure> {
        let site = &*self.site;
        let key = WorkerKey::new(turn.class.clone(), turn.name.clone());
        let name = key.to_string();
        if self.slot.is_none() {
            let taken = site.slots.take((site.service.clone(), key), site.awake).await;
            self.slot = Some(taken.map_err(TurnFailure::NotRun)?);
        }
        let mut options = CallOptions {
            caller: Arc::new(Caller { tenant_id: Some(site.service.tenant.to_string()), ..Caller::default() }),
            running: ExecutionHandle::new(),
            ..CallOptions::default()
        };
        options.extensions.insert(ExecutionWorkers::new(Arc::new(WorkersOfTurn(Weak::clone(&self.workers)))));
        site.lines.of_worker(options.running.id(), &name, &turn.id);
        let _lines = site.lines.unrecorded(options.running.id());
        Ok(self.worker.execute(turn, context, options).await?.result)
    }
}

impl AwakeWorker for SmokeWorker {
    fn turn<'a>(&'a mut self, turn: &'a Turn, context: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        self.run(turn, context).boxed()
    }

    fn undo(&mut self) {
        self.worker.undo();
    }

    fn commit(&mut self) -> WriteDown {
        self.worker.commit()
    }

    fn commit_earlier(&mut self) -> WriteDown {
        self.worker.commit_earlier()
    }
}

#[cfg(test)]
mod tests;
