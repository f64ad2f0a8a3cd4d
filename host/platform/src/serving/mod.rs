//! Serving: services and their releases, and the routes to them, all of which can be replaced while requests are in
//! flight.

mod canary;
mod experiment;
mod lines;
mod loader;
mod meter;
mod proofs;
mod quota;
mod release;
mod request_guard;
mod routing;
mod sampler;
mod service;
mod service_meter;
mod snapshot;
mod table;
mod worker_fuel;

pub(crate) use canary::RolloutTransition;
pub(crate) use experiment::ActiveExperiment;
pub use experiment::MirroredRequest;
pub(crate) use lines::Lines;
pub(crate) use loader::{LoadContext, Loader, compile_queue, limits};
pub(crate) use meter::{ExecutionOutcome, IdempotencyOutcome, QuotaCounts, QuotaDecision, QuotaKind};
pub(crate) use proofs::{Proofs, file_name as proof_file};
pub(crate) use release::{CircuitKind, Release};
pub(crate) use request_guard::WORKER;
pub use request_guard::{CompletedExecution, NotAdmitted, RequestGuard, RequestOutcome};
pub use routing::RoutedRequest;
pub use service::Service;
pub(crate) use service::{Canary, State, Tables};
pub(crate) use service_meter::{EndedExecution, Exemplar, SeriesKey, ServiceMeter};
pub(crate) use snapshot::{PendingAct, ServiceSnapshot, SnapshotStore};
pub(crate) use table::{Table, TableContext, own_host};

use crate::access::Access;
use crate::recorder::Recorder;
use crate::usage_journal::UsageJournal;
use arc_swap::ArcSwap;
use elias_api::{Code, Error, Result, TenantSettings};
use elias_delivery::clock::Clock;
use elias_delivery::rollout::FlagTable;
use elias_gateway::Rules;
use elias_names::{ServiceId, TenantId};
use elias_store::{ReleaseTarget, ServiceTarget};
use meter::HostMeters;
use parking_lot::Mutex;
use quota::TenantQuotas;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A moment as the gateway is told it.
pub(crate) fn gateway_now(clock: &Clock) -> elias_gateway::Now {
    elias_gateway::Now { monotonic: clock.elapsed(), unix_seconds: clock.now().unix_ms() / 1_000 }
}

/// The right to change the served state. Its holder reads the store and serves its content.
pub(crate) type UpdateGuard<'a> = tokio::sync::MutexGuard<'a, ()>;

/// Everything that serves on this host.
pub struct Serving {
    pub(crate) loader: Loader,
    pub(crate) snapshots: SnapshotStore,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) meters: HostMeters,
    /// The usage of tenants, as this host counts it.
    pub(crate) usage_journal: UsageJournal,
    access: Arc<Access>,
    context: Arc<TableContext>,
    pub(crate) table: ArcSwap<Table>,
    tenants: Mutex<HashMap<TenantId, Arc<TenantQuotas>>>,
    transitions: mpsc::UnboundedSender<RolloutTransition>,
    /// Held while the table is exchanged.
    changing: tokio::sync::Mutex<()>,
}

impl Serving {
    /// Serves nothing yet. What rollouts decide is sent to `transitions`.
    pub(crate) fn new(
        loader: Loader,
        snapshots: SnapshotStore,
        recorder: Recorder,
        usage_journal: UsageJournal,
        access: Arc<Access>,
        context: TableContext,
        transitions: mpsc::UnboundedSender<RolloutTransition>,
    ) -> Self {
        Self {
            loader,
            snapshots,
            clock: Clock::start(),
            recorder,
            meters: HostMeters::default(),
            usage_journal,
            access,
            context: Arc::new(context),
            table: ArcSwap::default(),
            tenants: Mutex::default(),
            transitions,
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// The domain of the services' own hosts.
    pub(crate) fn domain(&self) -> &str {
        &self.context.domain
    }

    /// All services and routes.
    pub(crate) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    /// A service, if anything was ever deployed to it.
    pub(crate) fn service(&self, id: &ServiceId) -> Option<Arc<Service>> {
        self.table.load().services.get(id).cloned()
    }

    /// Loads what a service is to serve, beside what it serves now.
    pub(crate) async fn warm(&self, target: &ServiceTarget, release: &ReleaseTarget) -> Result<Arc<Release>> {
        // Here, and not only while everybody else waits for what serves to change.
        self.loader.fetch_assets(&release.settings).await;
        let now = self.clock.now();
        let tables = Tables::read(&release.settings)?;
        let lines = self.service(&target.id).map(|service| Arc::clone(&service.lines)).unwrap_or_default();
        let observer = Arc::clone(&lines) as _;
        let context = LoadContext { service: &target.id, tenant: &target.tenant, secrets: &target.secrets, observer };
        let warm = Release::new(release.clone(), &tables.supervision, lines, now);
        warm.load(&self.loader, &context, now).await?;
        Ok(warm)
    }

    /// Waits until no other task changes the served state.
    pub(crate) async fn turn(&self) -> UpdateGuard<'_> {
        self.changing.lock().await
    }

    /// Checks that what a service is to serve would find its routes free.
    pub(crate) fn check_routes(&self, target: &ServiceTarget) -> Result<()> {
        // The hosts of its own are nobody else's.
        let names_hosts =
            Tables::read(&target.release.settings)?.gateway.routes.iter().any(|route| route.host.is_some());
        let as_before = self
            .service(&target.id)
            .is_some_and(|service| routes_of(&service.state().snapshot.target) == routes_of(target));
        if as_before || !names_hosts {
            return Ok(());
        }
        let snapshot = ServiceSnapshot::new(target.clone());
        let service = Service::new(target.id.clone(), self.state(snapshot, None, &[])?, Arc::default());
        self.table.load().check(&service, &self.context)
    }

    /// Serves these from now on: what the store says, or the snapshots of when the host last ran. Those in `saved` are
    /// in their files already.
    ///
    /// Services that are not among them go on, unless the store says that their tenant was deleted: a store that does
    /// not know a service may have lost it, and is not a reason to forget it.
    pub(crate) async fn serve_snapshots(
        &self,
        all: Vec<ServiceSnapshot>,
        deleted: &HashSet<TenantId>,
        saved: &[ServiceSnapshot],
        _turn: &UpdateGuard<'_>,
    ) -> Result<()> {
        let saved: HashMap<&ServiceId, &ServiceSnapshot> =
            saved.iter().map(|snapshot| (&snapshot.target.id, snapshot)).collect();
        let before = self.table.load_full();
        let (mut changed, mut routed) = (Vec::new(), Vec::new());
        for snapshot in all {
            let id = snapshot.target.id.clone();
            if before.services.get(&id).is_none_or(|service| service.state().snapshot.target != snapshot.target) {
                self.loader.fetch_assets(&snapshot.target.release.settings).await;
            }
            match before.services.get(&id) {
                Some(service) if service.state().snapshot.target == snapshot.target => {}
                Some(service) => {
                    let was = Arc::clone(&service.state());
                    let next = was.snapshot.with_target(snapshot.target);
                    match self.state(next.clone(), Some(&was), &[]) {
                        Ok(state) => {
                            service.exchange(state);
                            if next.target.tenant.ceilings != was.snapshot.target.tenant.ceilings {
                                // Loaded components have what the earlier ceilings allowed.
                                service.state().releases().for_each(|release| release.unload());
                            }
                            if routes_of(&next.target) != routes_of(&was.snapshot.target) {
                                routed.push(Arc::clone(service));
                            }
                            changed.push(next);
                        }
                        Err(error) => {
                            tracing::error!(
                                service = %id, %error,
                                "a service keeps serving its previous version: its state in the store is invalid"
                            );
                        }
                    }
                }
                None => match self.state(snapshot.clone(), None, &[]) {
                    Ok(state) => {
                        routed.push(self.make_service(id, state));
                        changed.push(snapshot);
                    }
                    Err(error) => {
                        tracing::error!(
                            service = %id, %error,
                            "a service cannot serve: its state in the store is invalid"
                        );
                    }
                },
            }
        }
        let were = before.services.keys().chain(saved.keys().copied());
        let gone: HashSet<_> = were.filter(|id| deleted.contains(&id.tenant)).cloned().collect();
        self.exchange(routed, gone.iter().cloned().collect()).await?;
        for snapshot in changed.iter().filter(|snapshot| saved.get(&snapshot.target.id) != Some(snapshot)) {
            self.save(snapshot).await;
        }
        for id in gone {
            self.snapshots.remove(&id).await?;
        }
        self.loader.remember(&changed).await;
        Ok(())
    }

    /// Serves this from the next request on, by releases that are loaded already where `warm` has them.
    pub(crate) async fn serve(
        &self,
        target: ServiceTarget,
        warm: &[Arc<Release>],
        _turn: &UpdateGuard<'_>,
    ) -> Result<()> {
        self.loader.fetch_assets(&target.release.settings).await;
        let before = self.table.load_full();
        let id = target.id.clone();
        let snapshot = match before.services.get(&id) {
            Some(service) => {
                let state = service.state();
                if state.snapshot.pending && state.snapshot.target.revision == target.revision {
                    return Ok(()); // a rollback that the store has yet to be told of
                }
                let snapshot = state.snapshot.with_target(target);
                self.change(service, &state, snapshot.clone(), warm).await?;
                snapshot
            }
            None => {
                let snapshot = ServiceSnapshot::new(target);
                let service = self.make_service(id, self.state(snapshot.clone(), None, warm)?);
                self.exchange(vec![service], Vec::new()).await?;
                snapshot
            }
        };
        self.save(&snapshot).await;
        self.loader.remember(&[snapshot]).await;
        Ok(())
    }

    /// Saves a snapshot to its file. A failure is only logged: the service serves all the same, and the store knows.
    async fn save(&self, snapshot: &ServiceSnapshot) {
        if let Err(error) = self.snapshots.save(snapshot).await {
            let id = &snapshot.target.id;
            tracing::error!(service = %id, %error, "the state of a service cannot be saved to the disk");
        }
    }

    /// Serves `target` without telling the store, which is unavailable.
    pub(crate) async fn serve_pending(
        &self,
        service: &Arc<Service>,
        target: ServiceTarget,
        act: PendingAct,
        warm: &[Arc<Release>],
    ) -> Result<()> {
        let _turn = self.turn().await;
        let state = service.state();
        let mut snapshot = state.snapshot.with_target(target);
        snapshot.pending = true;
        snapshot.acts = state.snapshot.acts.clone();
        snapshot.acts.push(act);
        self.change(service, &state, snapshot.clone(), warm).await?;
        self.save(&snapshot).await;
        Ok(())
    }

    /// Gives up telling the store of rollbacks: it does not know the service any more, which goes on serving.
    pub(crate) async fn forget_pending(&self, id: &ServiceId) -> Result<()> {
        let _turn = self.turn().await;
        let Some(service) = self.service(id) else { return Ok(()) };
        let state = service.state();
        let snapshot = ServiceSnapshot { pending: false, acts: Vec::new(), ..state.snapshot.clone() };
        self.change(&service, &state, snapshot.clone(), &[]).await?;
        self.save(&snapshot).await;
        Ok(())
    }

    /// Has a service that served `before` serve a snapshot.
    async fn change(
        &self,
        service: &Arc<Service>,
        before: &State,
        snapshot: ServiceSnapshot,
        warm: &[Arc<Release>],
    ) -> Result<()> {
        let routes_change = routes_of(&snapshot.target) != routes_of(&before.snapshot.target);
        service.exchange(self.state(snapshot, Some(before), warm)?);
        if routes_change {
            self.exchange(vec![Arc::clone(service)], Vec::new()).await?;
        }
        Ok(())
    }

    /// Exchanges the table for one in which these services have their present routes, and those in `gone` are no more.
    async fn exchange(&self, changed: Vec<Arc<Service>>, gone: Vec<ServiceId>) -> Result<()> {
        let (mut table, context) = (Table::clone(&self.table.load()), Arc::clone(&self.context));
        // Thousands, when a host starts.
        let making = tokio::task::spawn_blocking(move || {
            gone.iter().for_each(|id| table.remove(id));
            changed.iter().for_each(|service| table.set(service, &context));
            table
        });
        let table = making.await.map_err(|panic| Error::new(Code::Internal, format!("making the routes: {panic}")))?;
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// The state that serves a snapshot, with as much of the state before as stays the same: what is loaded, what was
    /// counted.
    fn state(&self, snapshot: ServiceSnapshot, before: Option<&State>, warm: &[Arc<Release>]) -> Result<State> {
        let now = self.clock.now();
        let target = &snapshot.target;
        let tables = Tables::read(&target.release.settings)?;
        let same_secrets = before.is_some_and(|before| before.snapshot.target.secrets == target.secrets);
        let there = before.into_iter().flat_map(State::releases);
        let there: Vec<_> = warm.iter().chain(there.filter(|_| same_secrets)).collect();
        let lines = before.map(|before| &before.release).or(there.first().copied());
        let lines = lines.map(|release| Arc::clone(&release.lines)).unwrap_or_default();
        let release_of = |wanted: &ReleaseTarget, tables: &Tables| {
            let new = || Release::new(wanted.clone(), &tables.supervision, Arc::clone(&lines), now);
            let same = |release: &&&Arc<Release>| {
                release.target.version == wanted.version && release.target.deployment == wanted.deployment
            };
            there.iter().find(same).map_or_else(new, |release| Arc::clone(release))
        };
        let release = release_of(&target.release, &tables);
        let canary = match &target.canary {
            None => None,
            Some(wanted) => {
                let rollout = service::rollout(wanted, now)?;
                match before.and_then(|before| before.canary.as_ref()) {
                    Some(canary) if same_secrets && canary.is(wanted, &rollout) => Some(Arc::clone(canary)),
                    _ => {
                        let tables = Tables::read(&wanted.settings)?;
                        let canary = Canary::new(release_of(wanted, &tables), rollout)?;
                        // From here on it is watched.
                        canary.with_rollout(|rollout| rollout.on_tick(&canary.release.stats, &release.stats, now));
                        Some(Arc::new(canary))
                    }
                }
            }
        };
        let beside = target.beside.iter().map(|wanted| Ok(release_of(wanted, &Tables::read(&wanted.settings)?)));
        let beside = beside.collect::<Result<Vec<_>>>()?;
        let experiment = match &target.experiment {
            None => None,
            Some(wanted) => match before.and_then(|before| before.experiment.as_ref()) {
                Some(active) if same_secrets && active.definition.id == wanted.id => Some(Arc::clone(active)),
                active => {
                    let all = || std::iter::once(&release).chain(&beside);
                    let of = |version| all().find(|release| release.target.version == version).cloned();
                    let same = active.filter(|active| active.definition.id == wanted.id);
                    Some(Arc::new(ActiveExperiment::new(wanted.clone(), of, same.map(AsRef::as_ref))?))
                }
            },
        };
        let flags = FlagTable::new(&target.id.to_string(), target.flags.clone());
        let flags = flags.map_err(|error| Error::new(Code::BadInput, error.to_string()))?;
        let executions_max = target.release.settings.limits.get("concurrent-executions").copied();
        let executions_max = executions_max.and_then(|most| u32::try_from(most).ok()).unwrap_or(u32::MAX);
        let executions_max = executions_max.min(self.loader.limits.concurrent_executions);
        let admission = service::admission(&tables.supervision, executions_max);
        let admission = match before {
            Some(before) if before.supervision == tables.supervision && before.admission.is_like(&admission) => {
                Arc::clone(&before.admission)
            }
            _ => admission,
        };
        let tenant = self.tenant(&target.id.tenant, &target.tenant);
        let events = self.loader.events_grant(&target.id, &target.tenant, &target.release.settings);
        let shared = before.map(|before| Arc::clone(&before.shared)).unwrap_or_default();
        let assets = table::assets(&tables.gateway, &target.release.settings.files, &self.context.artifacts)?;
        let api_keys = self.access.api_keys(&target.id);
        let rules = Rules::prepare(&tables.gateway, &shared, Some(&api_keys), assets.as_ref());
        let Tables { gateway, supervision, triggers, workers } = tables;
        Ok(State {
            snapshot,
            release,
            canary,
            flags,
            experiment,
            beside,
            supervision,
            triggers: Arc::new(triggers),
            workers: Arc::new(workers),
            events: events.map(Arc::new),
            gateway,
            rules,
            shared,
            admission,
            tenant,
        })
    }

    /// The usage of the tenant, counted for all its services together.
    fn tenant(&self, tenant: &TenantId, settings: &TenantSettings) -> Arc<TenantQuotas> {
        let mut tenants = self.tenants.lock(); // the map is whole after every operation
        match tenants.get(tenant) {
            Some(known) if *known.quotas() == settings.quotas => Arc::clone(known),
            _ => {
                let (counts, usage) = (self.meters.tenants.of(tenant), self.usage_journal.account(tenant));
                let made = TenantQuotas::new(tenant.clone(), settings.quotas, counts, usage);
                tenants.insert(tenant.clone(), Arc::clone(&made));
                self.loader.set_cpu_weight(tenant, settings.quotas.cpu_weight);
                made
            }
        }
    }

    /// The usage of each tenant that has a service.
    pub(crate) fn tenants_in_use(&self) -> Vec<(TenantId, Arc<TenantQuotas>)> {
        let tenants = self.tenants.lock();
        tenants.iter().map(|(tenant, used)| (tenant.clone(), Arc::clone(used))).collect()
    }

    /// A service that is new on this host.
    fn make_service(&self, id: ServiceId, state: State) -> Arc<Service> {
        let meter = self.meters.services.of(&id);
        Service::new(id, state, meter)
    }

    /// Unloads components without a request since `idle_ms`, and the least recently used beyond `loaded_max`.
    pub(crate) fn unload(&self, idle_ms: u64, loaded_max: usize) {
        let now = self.clock.now().unix_ms();
        let mut loaded = Vec::new();
        for service in self.table.load().services.values() {
            let state = service.state();
            for release in state.releases() {
                match release.idle_since_ms() {
                    Some(since) if now.saturating_sub(since) >= idle_ms => release.unload(),
                    Some(since) => loaded.push((since, Arc::clone(release))),
                    None => {}
                }
            }
        }
        if loaded.len() > loaded_max {
            loaded.sort_by_key(|(since, _)| *since);
            let surplus = loaded.len() - loaded_max;
            loaded.iter().take(surplus).for_each(|(_, release)| release.unload());
        }
    }
}

/// The part of a target that decides its routes.
fn routes_of(target: &ServiceTarget) -> impl PartialEq + '_ {
    let settings = &target.release.settings;
    // Files matter to routes that serve them.
    let files = settings.gateway.as_ref().map(|_| &settings.files);
    (&settings.gateway, files, &target.tenant.hosts)
}
