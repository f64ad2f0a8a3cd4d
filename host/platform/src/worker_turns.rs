//! Turns of service workers in the services of this host, each as a recorded execution with a guard: circuit breakers
//! and quotas hold as for requests.

mod swapped;

use crate::platform::Inner;
use crate::platform_events;
use crate::serving::{LoadContext, Release, RequestGuard, RequestOutcome, Serving, WORKER};
use crate::trigger_runs::{ServedServices, former_release};
use crate::worker_events;
use crate::workers::{
    AwakeSlot, CanaryComponent, HeapVersion, ServedComponent, ServedWorkers, TurnSite, WorkerCanary, WorkerServices,
};
use elias_api::{Code, Error, Result, Service};
use elias_delivery::rollout::RolloutState;
use elias_host::{
    App, CallOptions, Caller, EmittedEvent, Error as HostError, ErrorCode, Turn, TurnKind, TurnOutcome, TurnResult,
    WorkerHeap,
};
use elias_local_workers::{
    AppWorker, AwakeWorker, Cause, DeploymentPhase, SwappedComponent, TurnContext, TurnEvents, TurnFailure,
    WorkerComponent, WriteDown,
};
use elias_names::{Digest, ServiceId};
use elias_store::{NewEvent, ReleaseTarget};
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::{Arc, Weak};

/// Versions of a component among which that of a heap is looked for.
const VERSIONS_MAX: u32 = 1_000;

impl WorkerServices for ServedServices {
    fn find(&self, id: &ServiceId) -> Option<ServedWorkers> {
        let service = self.platform()?.serving.service(id)?;
        let state = service.state();
        let target = &state.snapshot.target;
        let canary = state.canary.as_ref();
        Some(ServedWorkers {
            config: Arc::clone(&state.workers),
            quotas: target.tenant.quotas,
            is_stopped: target.stopped,
            release: state.release.serial,
            canary: canary.map(|canary| WorkerCanary { release: canary.release.serial, buckets: canary.buckets() }),
        })
    }

    fn refusal(&self, id: &ServiceId) -> Option<String> {
        let platform = self.platform()?;
        let service = platform.serving.service(id)?;
        let (state, now_ms) = (Arc::clone(&service.state()), platform.serving.clock.now().unix_ms());
        let of_service = || service.worker_fuel.refusal(id, state.workers.limits.fuel_per_hour, now_ms);
        let refused = state.tenant.refusal(now_ms).map(|refused| refused.error).or_else(of_service);
        refused.map(|error| error.to_string())
    }

    fn component(&self, id: &ServiceId, site: TurnSite) -> BoxFuture<'static, Result<ServedComponent>> {
        let (platform, id) = (self.platform(), id.clone());
        async move {
            let platform = platform.ok_or_else(|| Error::not_deployed(&id))?;
            let service = platform.serving.service(&id).ok_or_else(|| Error::not_deployed(&id))?;
            let state = Arc::clone(&service.state());
            let component = ReleaseWorkers::load(&platform, &id, Arc::clone(&state.release), site.clone()).await?;
            let component = Arc::new(component);
            let Some(canary) = state.canary.clone() else { return Ok(ServedComponent { component, canary: None }) };
            let canary = match ReleaseWorkers::load(&platform, &id, Arc::clone(&canary.release), site).await {
                Ok(component) => {
                    let has = Arc::new(move |key: &WorkerKey| canary.has_worker(&key.class, &key.name));
                    Some(CanaryComponent { component: Arc::new(component), has })
                }
                // It is rolled back.
                Err(error) if platform.serving.count_unloadable_canary(&service, &state, &error) => None,
                Err(error) => return Err(error),
            };
            Ok(ServedComponent { component, canary })
        }
        .boxed()
    }

    fn publish(&self, id: &ServiceId, key: &WorkerKey, event_type: &'static str, data: Value) {
        let Some(platform) = self.platform() else { return };
        publish(&platform, id, key, event_type, &data);
    }

    fn check_events(&self, id: &ServiceId, events: &[EmittedEvent], cause: &Cause) -> std::result::Result<(), String> {
        self.platform().map_or(Ok(()), |platform| worker_events::check(&platform, id, events, cause))
    }

    fn new_events(&self, id: &ServiceId, key: &WorkerKey, turns: &[TurnEvents]) -> Vec<NewEvent> {
        self.platform().map_or_else(Vec::new, |platform| worker_events::new_events(&platform, id, key, turns))
    }

    fn publish_later(&self, id: &ServiceId, events: Vec<NewEvent>) {
        let Some(platform) = self.platform() else { return };
        worker_events::publish_later(&platform, id, events);
    }

    fn events_published(&self) {
        if let Some(platform) = self.platform() {
            platform.runner.look();
        }
    }
}

/// Publishes an event about a worker, beside what it tells of.
fn publish(platform: &Inner, id: &ServiceId, key: &WorkerKey, event_type: &'static str, data: &Value) {
    let (runner, id) = (Arc::clone(&platform.runner), id.clone());
    let event = platform_events::event(event_type, worker_events::subject_of(&id, key), data);
    tokio::spawn(async move {
        // The quota is for what tenants publish.
        if let Err(error) = runner.publish(&id.tenant, event, None).await {
            tracing::debug!(service = %id, event_type, %error, "an event about a worker was not published");
        }
    });
}

/// The workers of one release of a service.
#[derive(Clone)]
struct ReleaseWorkers {
    service: ServiceId,
    release: Arc<Release>,
    app: App,
    version: HeapVersion,
    site: TurnSite,
    platform: Weak<Inner>,
    /// The components of other versions whose heaps its workers have, the last one first: loading one takes longer than
    /// waking a worker.
    images: Arc<Mutex<Vec<(Digest, App)>>>,
}

impl ReleaseWorkers {
    /// Those of a release, which is loaded.
    async fn load(platform: &Arc<Inner>, id: &ServiceId, release: Arc<Release>, site: TurnSite) -> Result<Self> {
        let serving = &platform.serving;
        let service = serving.service(id).ok_or_else(|| Error::not_deployed(id))?;
        let state = Arc::clone(&service.state());
        let target = &state.snapshot.target;
        let observer = Arc::clone(&service.lines) as _;
        let context = LoadContext { service: id, tenant: &target.tenant, secrets: &target.secrets, observer };
        let app = release.load(&serving.loader, &context, serving.clock.now()).await?;
        let version = HeapVersion { number: release.target.version, digest: release.target.digest.clone() };
        let (platform, images) = (Arc::downgrade(platform), Arc::default());
        Ok(Self { service: id.clone(), release, app, version, site, platform, images })
    }

    /// The release of the version that a heap belongs to, also if that serves no more.
    async fn former(&self, heap: &[u8]) -> Option<Self> {
        let platform = self.platform.upgrade()?;
        let digest: Digest = WorkerHeap::component_of(heap).ok()?.parse().ok()?;
        if digest == self.version.digest {
            // It has the code of another version.
            return Some(self.clone());
        }
        let found = async {
            let target = match former_target(&platform, &self.service, &digest).await {
                // It was deleted: its component is kept for its workers, which have the grants of the one that serves.
                Err(error) if error.code() == Code::NotFound => {
                    ReleaseTarget { version: 0, digest: digest.clone(), ..self.release.target.clone() }
                }
                target => target?,
            };
            let serving = &platform.serving;
            let service = serving.service(&self.service).ok_or_else(|| Error::not_deployed(&self.service))?;
            let release = serving.former_release(&service, target);
            Self::load(&platform, &self.service, release, self.site.clone()).await
        };
        match found.await {
            Ok(former) => Some(former),
            Err(error) => {
                tracing::warn!(service = %self.service, %digest, %error, "the version of a heap cannot be loaded");
                None
            }
        }
    }

    /// What became of a deployment of the service.
    async fn phase_of(&self, deployment: &str) -> Result<DeploymentPhase, TurnFailure> {
        let not_run = TurnFailure::NotRun;
        let platform = self.platform.upgrade().ok_or_else(|| not_run("the host is about to end".to_owned()))?;
        let service = platform.serving.service(&self.service);
        let service =
            service.ok_or_else(|| not_run(format!("{} is not served by this host any more", self.service)))?;
        let state = Arc::clone(&service.state());
        if state.release.target.deployment == deployment {
            return Ok(DeploymentPhase::Serving);
        }
        let canary = state.canary.as_ref().filter(|canary| canary.release.target.deployment == deployment);
        let rollout = canary.map(|canary| canary.with_rollout(|rollout| rollout.state()));
        let is_ended = matches!(rollout, Some(RolloutState::Aborted | RolloutState::RolledBack));
        if rollout.is_some() && !is_ended {
            return Ok(DeploymentPhase::Rollout);
        }
        let stored = stored_phase(&platform, &self.service, deployment).await;
        let stored = stored.map_err(|error| not_run(format!("{}: {error}", error.code())))?;
        stored.ok_or_else(|| {
            not_run("what became of its deployment is not the same here and in the store yet".to_owned())
        })
    }
}

/// What became of a deployment by which this host does not run the service, as the store has it.
async fn stored_phase(platform: &Inner, service: &ServiceId, deployment: &str) -> Result<Option<DeploymentPhase>> {
    let mut scope = platform.store.read(&service.tenant).await?;
    let restores = scope.restores_workers(deployment).await?;
    Ok(phase_in_store(restores, scope.service(service).await?.as_ref(), deployment))
}

/// The same by whether workers that the deployment moved go back, and by the service. None while it runs there: this
/// host has yet to follow, or its own rollback is not stored, and another host may store something else first.
fn phase_in_store(restores: bool, service: Option<&Service>, deployment: &str) -> Option<DeploymentPhase> {
    let runs = |service: &Service| service.deployment == deployment || service.canary.as_deref() == Some(deployment);
    match service {
        _ if restores => Some(DeploymentPhase::RolledBack),
        Some(service) if runs(service) => None,
        _ => Some(DeploymentPhase::Superseded),
    }
}

/// The release of the version with this component, as it served last.
async fn former_target(platform: &Inner, service: &ServiceId, digest: &Digest) -> Result<ReleaseTarget> {
    let mut scope = platform.store.read(&service.tenant).await?;
    let versions = scope.versions(&service.component, None, VERSIONS_MAX).await?;
    let version = versions.into_iter().find(|version| version.digest == *digest);
    let version = version.ok_or_else(|| Error::not_found(format_args!("the version with the component {digest}")))?;
    former_release(&mut scope, service, version.number).await
}

impl WorkerComponent for ReleaseWorkers {
    fn has_class(&self, class: &str) -> bool {
        self.app.manifest().is_some_and(|manifest| manifest.workers.iter().any(|known| known == class))
    }

    fn version(&self) -> String {
        self.version.number.to_string()
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let worker = AppWorker::wake(&self.app, heap)?;
        Ok(Box::new(ReleaseWorker {
            worker,
            slot: None,
            key: None,
            service: self.service.clone(),
            release: Arc::clone(&self.release),
            app: self.app.clone(),
            version: self.version.clone(),
            site: self.site.clone(),
            platform: Weak::clone(&self.platform),
        }))
    }

    fn predecessor<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Option<Arc<dyn WorkerComponent>>> {
        async move { self.former(heap).await.map(|former| Arc::new(former) as Arc<dyn WorkerComponent>) }.boxed()
    }

    fn swapped<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Result<SwappedComponent, String>> {
        async move {
            let (component, code) = self.swapped_into(heap).await?;
            Ok(SwappedComponent { component: Arc::new(component), code })
        }
        .boxed()
    }

    fn deployment(&self) -> Option<String> {
        Some(self.release.target.deployment.clone())
    }

    fn phase<'a>(&'a self, deployment: &'a str) -> BoxFuture<'a, Result<DeploymentPhase, TurnFailure>> {
        self.phase_of(deployment).boxed()
    }

    fn restores(&self, key: &WorkerKey, version: &str, heap: &[u8]) {
        // One that cannot be read is refused when the worker wakes.
        if let Some(digest) = WorkerHeap::component_of(heap).ok().and_then(|digest| digest.parse().ok()) {
            let version = HeapVersion { number: version.parse().unwrap_or_default(), digest };
            self.site.versions.set(key, &version);
        }
    }

    fn upgrade_failed(&self, _: &WorkerKey) {
        if let Some(platform) = self.platform.upgrade()
            && let Some(service) = platform.serving.service(&self.service)
        {
            platform.serving.count_failed_upgrade(&service, &self.release);
        }
    }
}

/// A worker that is awake in a release.
struct ReleaseWorker {
    worker: AppWorker,
    /// Its place in memory, from its first turn on.
    slot: Option<AwakeSlot>,
    /// Which worker it is, from its first turn on.
    key: Option<WorkerKey>,
    service: ServiceId,
    release: Arc<Release>,
    app: App,
    version: HeapVersion,
    site: TurnSite,
    platform: Weak<Inner>,
}

impl ReleaseWorker {
    async fn run(&mut self, turn: &Turn, context: TurnContext) -> Result<TurnResult, TurnFailure> {
        let ended = || TurnFailure::NotRun("the host is about to end".to_owned());
        let platform = self.platform.upgrade().ok_or_else(ended)?;
        let key = WorkerKey::new(turn.class.clone(), turn.name.clone());
        self.key.get_or_insert_with(|| key.clone());
        if matches!(turn.kind, TurnKind::Health) && self.slot.is_some() {
            // Who has rested for longest is still that: else a worker that nobody needs would never make room.
            return self.execute(&platform, &key, turn, context).await;
        }
        self.take_slot(&platform, &key).await?;
        let result = self.execute(&platform, &key, turn, context).await;
        if let Some(slot) = &mut self.slot {
            slot.rest();
        }
        result
    }

    /// Has a place in memory for the worker, for as long as it is awake.
    async fn take_slot(&mut self, platform: &Inner, key: &WorkerKey) -> Result<(), TurnFailure> {
        if let Some(slot) = &mut self.slot {
            slot.begin();
            return Ok(());
        }
        let quotas =
            platform.serving.service(&self.service).map(|service| service.state().snapshot.target.tenant.quotas);
        let most = quotas.map_or(0, |quotas| quotas.awake_workers);
        let worker = (self.service.clone(), key.clone());
        self.slot = Some(self.site.slots.take(worker, most).await.map_err(TurnFailure::NotRun)?);
        Ok(())
    }

    async fn execute(
        &mut self,
        platform: &Inner,
        key: &WorkerKey,
        turn: &Turn,
        mut context: TurnContext,
    ) -> Result<TurnResult, TurnFailure> {
        let serving = &platform.serving;
        let mut guard = self.admit(serving).await?;
        let name = key.to_string();
        guard.set_turn(&name, &turn.id, context.attempt, &mut context.cause);
        let is_move = matches!(turn.kind, TurnKind::Export | TurnKind::Upgrade { .. } | TurnKind::Swap { .. });
        if is_move || matches!(turn.kind, TurnKind::Inspect | TurnKind::Copy { .. }) {
            guard.leave_out_of_comparison();
        }
        let options = CallOptions {
            caller: Arc::new(Caller { tenant_id: Some(self.service.tenant.to_string()), ..Caller::default() }),
            running: guard.running().clone(),
            ..CallOptions::default()
        };
        let attempt = context.attempt;
        let outcome = self.worker.execute(turn, context, options).await;
        platform.workers.meters().turn();
        let (status, error, execution) = match &outcome {
            Ok(outcome) => (0, None, Some(&outcome.execution)),
            Err(error) => (status(error), Some(describe(error)), error.execution()),
        };
        self.spend(serving, execution.map_or(0, |execution| execution.fuel));
        let ended =
            RequestOutcome { method: WORKER, path: &name, status, execution, error, ..RequestOutcome::default() };
        guard.end(ended);
        match outcome {
            Ok(TurnOutcome { result, .. }) => Ok(result),
            Err(error) => {
                let code = error.code();
                let failure = TurnFailure::from(error);
                if let TurnFailure::Ended(reason) = &failure {
                    let data = json!({
                        "class": key.class,
                        "name": key.name,
                        "version": self.version.number,
                        "attempt": attempt,
                        "code": code.as_str(),
                        "reason": reason,
                    });
                    publish(platform, &self.service, key, "worker.failed", &data);
                }
                Err(failure)
            }
        }
    }

    async fn admit(&self, serving: &Serving) -> Result<RequestGuard, TurnFailure> {
        let Some(service) = serving.service(&self.service) else {
            return Err(TurnFailure::NotRun(format!("{} is not served by this host any more", self.service)));
        };
        // Stopped, failing, or over a quota: another time it may go.
        let (most, now_ms) = (service.state().workers.limits.fuel_per_hour, serving.clock.now().unix_ms());
        if let Some(error) = service.worker_fuel.refusal(&self.service, most, now_ms) {
            return Err(TurnFailure::NotRun(format!("{}: {error}", error.code())));
        }
        let admitted = serving.admit_turn(&service, &self.release, &self.app).await;
        admitted.map_err(|refused| TurnFailure::NotRun(format!("{}: {}", refused.error.code(), refused.error)))
    }

    /// Counts the fuel of a turn that has run.
    fn spend(&self, serving: &Serving, fuel: u64) {
        if let Some(service) = serving.service(&self.service) {
            let most = service.state().workers.limits.fuel_per_hour;
            service.worker_fuel.spend(most, fuel, serving.clock.now().unix_ms());
        }
    }

    /// The pages that are committed next belong to this version: of turns that are undone nothing is said.
    fn say_version(&self) {
        if let Some(key) = &self.key {
            self.site.versions.set(key, &self.version);
        }
    }
}

impl AwakeWorker for ReleaseWorker {
    fn turn<'a>(&'a mut self, turn: &'a Turn, context: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        self.run(turn, context).boxed()
    }

    fn undo(&mut self) {
        self.worker.undo();
    }

    fn commit(&mut self) -> WriteDown {
        self.say_version();
        self.worker.commit()
    }

    fn commit_earlier(&mut self) -> WriteDown {
        self.say_version();
        self.worker.commit_earlier()
    }
}

/// The status of a turn that failed, for the circuit: one whose handler threw has answered its sender, and says nothing
/// about the component.
fn status(error: &HostError) -> u16 {
    match error.code() {
        ErrorCode::Exception | ErrorCode::NeverSettles => 0,
        code => code.status(),
    }
}

/// A failure with its stack, in positions of the original source.
fn describe(error: &HostError) -> String {
    match error.stack().filter(|stack| !stack.is_empty()) {
        Some(stack) => format!("{error}\n{stack}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_names::Environment;

    #[test]
    fn a_deployment_that_runs_by_the_store_is_not_over_though_this_host_does_not_run_it() {
        let service = |deployment: &str, canary: Option<&str>| Service {
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
            revision: 1,
            version: 1,
            deployment: deployment.to_owned(),
            canary: canary.map(str::to_owned),
            stopped: false,
            flags: Vec::new(),
            experiment: None,
        };
        let phase = |restores, service: Option<Service>| phase_in_store(restores, service.as_ref(), "d2");
        // A rollback that was made here while the store was away, and is to be stored; a rollout that began elsewhere.
        assert_eq!(phase(false, Some(service("d1", Some("d2")))), None);
        assert_eq!(phase(false, Some(service("d2", None))), None);
        assert_eq!(phase(true, Some(service("d1", None))), Some(DeploymentPhase::RolledBack));
        assert_eq!(phase(false, Some(service("d3", None))), Some(DeploymentPhase::Superseded));
        assert_eq!(phase(false, None), Some(DeploymentPhase::Superseded));
    }
}
