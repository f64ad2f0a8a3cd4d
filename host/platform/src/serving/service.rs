//! A service, which is a component in an environment, as requests find it.

use super::experiment::ActiveExperiment;
use super::lines::Lines;
use super::quota::TenantQuotas;
use super::release::Release;
use super::request_guard::{self, VariantAssignment};
use super::service_meter::ServiceMeter;
use super::snapshot::ServiceSnapshot;
use super::worker_fuel::WorkerFuel;
use arc_swap::{ArcSwap, Guard};
use elias_api::{Code, Error, Result, RunningExecution, VersionSettings};
use elias_capabilities::events::EventsGrant;
use elias_delivery::clock::Now;
use elias_delivery::rollout::{Assigner, Caller, FlagTable, Rollout, RolloutPlan};
use elias_delivery::supervision::{Admission, ResourceUsage, SupervisionConfig};
use elias_gateway::{GatewayConfig, Identity, Rules, SharedState};
use elias_host::ExecutionHandle;
use elias_names::{ServiceId, TenantId};
use elias_store::ReleaseTarget;
use elias_triggers::config::TriggersConfig;
use elias_workers::config::WorkersConfig;
use http::{Method, Uri};
use parking_lot::{Mutex, MutexGuard};
use serde::Deserialize;
use slab::Slab;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A component in an environment.
pub struct Service {
    pub(crate) id: ServiceId,
    state: ArcSwap<State>,
    running: Mutex<Slab<ActiveExecution>>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) sampler: super::sampler::Sampler,
    pub(crate) meter: Arc<ServiceMeter>,
    usage: Arc<ResourceUsage>,
    /// Releases that serve no more and run jobs that began on their versions, by version.
    former: Mutex<HashMap<u32, Weak<Release>>>,
    /// What the turns of its workers have used.
    pub(crate) worker_fuel: WorkerFuel,
}

/// An execution under way.
pub(super) struct ActiveExecution {
    pub(super) running: ExecutionHandle,
    pub(super) version: u32,
    pub(super) is_canary: bool,
    pub(super) is_mirrored: bool,
    pub(super) started_ms: u64,
    /// The source of the execution, once it is known.
    pub(super) source: Option<Source>,
}

/// The source of an execution; as cheap to keep as a pointer.
pub(super) enum Source {
    Request(Method, Uri),
    /// The kind of a trigger and its name.
    Trigger(&'static str, Arc<str>),
}

/// The state of a service at a moment; exchanged whole.
pub(crate) struct State {
    pub(crate) snapshot: ServiceSnapshot,
    pub(crate) release: Arc<Release>,
    pub(crate) canary: Option<Arc<Canary>>,
    pub(crate) flags: FlagTable,
    /// The running experiment, with what serves as the baseline.
    pub(crate) experiment: Option<Arc<ActiveExperiment>>,
    /// The releases that only flags and the experiment give traffic to.
    pub(crate) beside: Vec<Arc<Release>>,
    pub(crate) supervision: SupervisionConfig,
    /// The triggers that start it beside requests.
    pub(crate) triggers: Arc<TriggersConfig>,
    /// How its service workers run.
    pub(crate) workers: Arc<WorkersConfig>,
    /// By which its service workers publish events; none if they may not.
    pub(crate) events: Option<Arc<EventsGrant>>,
    /// The routes and their rules, as read and prepared once.
    pub(crate) gateway: GatewayConfig,
    pub(crate) rules: Vec<Arc<Rules>>,
    /// The state of the rules that goes on from version to version: rate limits, keys for tokens.
    pub(crate) shared: Arc<SharedState>,
    /// The concurrency limit of the component.
    pub(crate) admission: Arc<Admission>,
    pub(crate) tenant: Arc<TenantQuotas>,
}

/// The canary, which gets a part of the traffic.
pub(crate) struct Canary {
    pub(crate) release: Arc<Release>,
    rollout: Mutex<Rollout>,
    assigner: Assigner,
    /// Requests in a lower bucket are the canary's.
    buckets: AtomicU32,
}

impl Canary {
    /// The canary of a deployment whose rollout is `rollout`.
    pub(crate) fn new(release: Arc<Release>, rollout: Rollout) -> Result<Self> {
        let assigner = Assigner::new(rollout.id(), &rollout.plan().sticky);
        let assigner = assigner.map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let buckets = AtomicU32::new(rollout.buckets());
        Ok(Self { release, rollout: Mutex::new(rollout), assigner, buckets })
    }

    /// Whether this is the canary that a target asks for, at the same place of its rollout.
    pub(crate) fn is(&self, wanted: &ReleaseTarget, rollout: &Rollout) -> bool {
        self.release.target.deployment == wanted.deployment
            && self.with_rollout(|own| own.state() == rollout.state() || own.state().is_final())
    }

    /// Calls `access` with the rollout, to read or change it, under its lock. The share of the traffic follows
    /// afterwards.
    pub(crate) fn with_rollout<T>(&self, access: impl FnOnce(&mut Rollout) -> T) -> T {
        let mut rollout = self.lock();
        let done = access(&mut rollout);
        self.buckets.store(rollout.buckets(), Ordering::Relaxed);
        done
    }

    /// How many of the buckets are the canary's now.
    pub(crate) fn buckets(&self) -> u32 {
        self.buckets.load(Ordering::Relaxed)
    }

    /// Whether a service worker runs in the canary's version.
    pub(crate) fn has_worker(&self, class: &str, name: &str) -> bool {
        self.assigner.worker_bucket(class, name) < self.buckets()
    }

    fn lock(&self) -> MutexGuard<'_, Rollout> {
        self.rollout.lock() // a rollout is whole after every transition
    }
}

impl State {
    /// All releases that get traffic.
    pub(crate) fn releases(&self) -> impl Iterator<Item = &Arc<Release>> {
        std::iter::once(&self.release).chain(self.canary.as_ref().map(|canary| &canary.release)).chain(&self.beside)
    }

    /// The release of a version among those that get traffic, and whether it is the canary.
    pub(crate) fn of_version(&self, version: u32) -> Option<(&Arc<Release>, bool)> {
        let release = self.releases().find(|release| release.target.version == version)?;
        let is_canary = self.canary.as_ref().is_some_and(|canary| Arc::ptr_eq(&canary.release, release));
        Some((release, is_canary))
    }

    /// Whether requests are told apart by chance.
    pub(crate) fn chooses(&self) -> bool {
        self.canary.is_some() || self.experiment.is_some() || !self.snapshot.target.flags.is_empty()
    }

    /// Chooses the release that a request gets, and its role.
    pub(crate) fn choose(&self, caller: &Caller<'_>, identity: Option<&Identity>) -> ReleaseChoice<'_> {
        let organization = identity.and_then(|identity| identity.organization_id.as_deref());
        let flagged = self.flags.choose(organization, identity.map(|identity| &identity.claims), caller);
        let flagged =
            flagged.and_then(|version| self.releases().find(|release| u64::from(release.target.version) == version));
        if let Some(release) = flagged {
            return ReleaseChoice { release, is_canary: false, assignment: None };
        }
        if let Some(experiment) = &self.experiment {
            let choice = experiment.choose(caller);
            if let Some(variant) = experiment.variants.get(choice.responds) {
                let (experiment, shadows) = (Arc::clone(experiment), choice.shadows().collect());
                let assignment = VariantAssignment { experiment, position: choice.responds, shadows };
                return ReleaseChoice { release: &variant.release, is_canary: false, assignment: Some(assignment) };
            }
        }
        match &self.canary {
            Some(canary) if canary.assigner.bucket(caller) < canary.buckets() => {
                ReleaseChoice { release: &canary.release, is_canary: true, assignment: None }
            }
            _ => ReleaseChoice { release: &self.release, is_canary: false, assignment: None },
        }
    }
}

/// The release that a request gets, and its role.
pub(crate) struct ReleaseChoice<'a> {
    pub(crate) release: &'a Arc<Release>,
    pub(crate) is_canary: bool,
    pub(crate) assignment: Option<VariantAssignment>,
}

impl ReleaseChoice<'_> {
    /// Whether it is another release than the one that serves.
    pub(crate) fn is_beside(&self) -> bool {
        self.is_canary || self.assignment.as_ref().is_some_and(|assignment| assignment.position != 0)
    }

    /// The version that serves in its place. The variants that get the request mirrored stay the same, but for the one
    /// whose circuit is open.
    pub(crate) fn without(self, state: &State) -> ReleaseChoice<'_> {
        let assignment = self.assignment.map(|assignment| VariantAssignment {
            shadows: assignment.shadows.into_iter().filter(|position| *position != 0).collect(),
            position: 0,
            ..assignment
        });
        ReleaseChoice { release: &state.release, is_canary: false, assignment }
    }
}

impl Service {
    pub(crate) fn new(id: ServiceId, state: State, meter: Arc<ServiceMeter>) -> Arc<Self> {
        Arc::new(Self {
            id,
            lines: Arc::clone(&state.release.lines),
            state: ArcSwap::from_pointee(state),
            running: Mutex::default(),
            sampler: super::sampler::Sampler::default(),
            meter,
            usage: Arc::default(),
            former: Mutex::default(),
            worker_fuel: WorkerFuel::default(),
        })
    }

    /// The release of a version that serves no more, made by `make` unless a job runs on it already.
    pub(super) fn former(&self, version: u32, make: impl FnOnce() -> Arc<Release>) -> Arc<Release> {
        let mut former = self.former.lock(); // the map is whole after every operation
        if let Some(release) = former.get(&version).and_then(Weak::upgrade) {
            return release;
        }
        former.retain(|_, release| release.strong_count() > 0);
        let release = make();
        former.insert(version, Arc::downgrade(&release));
        release
    }

    /// The tenant of the service.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.id.tenant
    }

    /// The usage of its requests on this host.
    #[must_use]
    pub fn usage(&self) -> &Arc<ResourceUsage> {
        &self.usage
    }

    /// The state that it serves now.
    pub(crate) fn state(&self) -> Guard<Arc<State>> {
        self.state.load()
    }

    /// Serves this from the next request on.
    pub(crate) fn exchange(&self, state: State) {
        self.state.store(Arc::new(state));
    }

    fn running(&self) -> MutexGuard<'_, Slab<ActiveExecution>> {
        self.running.lock() // the slab is whole after every operation
    }

    pub(super) fn begin(&self, execution: ActiveExecution) -> usize {
        self.running().insert(execution)
    }

    /// Sets what began an execution.
    pub(super) fn set_source(&self, key: usize, source: Source) {
        if let Some(execution) = self.running().get_mut(key) {
            execution.source = Some(source);
        }
    }

    pub(crate) fn end(&self, key: usize) {
        self.running().try_remove(key);
    }

    /// Ends an execution that is under way; says whether there was one.
    pub(crate) fn cancel(&self, execution: &str) -> bool {
        let running = self.running();
        let found = running.iter().find(|(_, under_way)| under_way.running.id() == execution);
        found.map(|(_, under_way)| under_way.running.cancel()).is_some()
    }

    /// The number of executions under way.
    pub(crate) fn running_count(&self) -> usize {
        self.running().len()
    }

    /// The executions under way.
    pub(crate) fn executions(&self) -> Vec<String> {
        self.running().iter().map(|(_, under_way)| under_way.running.id().to_owned()).collect()
    }

    /// The executions under way, described.
    pub(crate) fn under_way(&self) -> Vec<RunningExecution> {
        let describe = |under_way: &ActiveExecution| RunningExecution {
            id: under_way.running.id().to_owned(),
            component: self.id.component.clone(),
            environment: self.id.environment,
            version: under_way.version,
            canary: under_way.is_canary,
            started_at: i64::try_from(under_way.started_ms).unwrap_or(i64::MAX),
            source: match &under_way.source {
                None => String::new(),
                Some(Source::Request(method, uri)) => {
                    request_guard::source(under_way.is_mirrored, method.as_str(), uri.path())
                }
                Some(Source::Trigger(kind, name)) => request_guard::source(under_way.is_mirrored, kind, name),
            },
        };
        self.running().iter().map(|(_, under_way)| describe(under_way)).collect()
    }
}

/// The tables of a version's settings that are read here.
pub(crate) struct Tables {
    pub(crate) gateway: GatewayConfig,
    pub(crate) supervision: SupervisionConfig,
    pub(crate) triggers: TriggersConfig,
    pub(crate) workers: WorkersConfig,
}

impl Tables {
    /// Reads and checks them.
    pub(crate) fn read(settings: &VersionSettings) -> Result<Self> {
        let bad = |message: String| Error::new(Code::BadInput, message);
        let gateway = settings.gateway.as_ref().map(GatewayConfig::parse).transpose();
        let gateway = gateway.map_err(|error| bad(error.to_string()))?.unwrap_or_default();
        let supervision = match &settings.supervision {
            Some(table) => {
                serde_json::from_value(table.clone()).map_err(|error| bad(format!("[supervision]: {error}")))?
            }
            None => SupervisionConfig::default(),
        };
        supervision.check().map_err(|error| bad(error.to_string()))?;
        let triggers = match &settings.triggers {
            Some(table) => TriggersConfig::deserialize(table).map_err(|error| bad(format!("[triggers]: {error}")))?,
            None => TriggersConfig::default(),
        };
        let workers = match &settings.workers {
            Some(table) => WorkersConfig::deserialize(table).map_err(|error| bad(format!("[workers]: {error}")))?,
            None => WorkersConfig::default(),
        };
        workers.check().map_err(|error| bad(error.to_string()))?;
        Ok(Self { gateway, supervision, triggers, workers })
    }
}

/// The rollout of a deployment: as it was stored, or from its beginning.
pub(crate) fn rollout(release: &ReleaseTarget, now: Now) -> Result<Rollout> {
    let bad = |message: String| Error::new(Code::Internal, message);
    match &release.rollout {
        Some(stored) => {
            serde_json::from_value(stored.clone()).map_err(|error| bad(format!("a stored rollout: {error}")))
        }
        None => {
            let started = Rollout::start(release.deployment.clone(), RolloutPlan::default(), now);
            Ok(started.map_err(|error| bad(error.to_string()))?.0)
        }
    }
}

/// The concurrency limit of a component, as its version asks for it, but not above the limit of its executions, so that
/// each holder of a slot also gets an execution.
pub(crate) fn admission(config: &SupervisionConfig, executions_max: u32) -> Arc<Admission> {
    let slots = config.concurrency.min(executions_max);
    Arc::new(Admission::new(slots, config.queue, Duration::from_millis(config.queue_timeout_ms)))
}

/// A route of a service, with its rules.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) service: Arc<Service>,
    pub(crate) rules: Arc<Rules>,
}
