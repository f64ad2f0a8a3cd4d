//! The workers of one service on this host: their manager, and the component that runs their turns.

use super::awake::AwakeSlots;
use super::runner::{MessageId, WorkerCallFrom};
use super::services::{ServedComponent, ServedWorkers, TurnSite, WorkerCanary};
use super::store::{PlatformWorkerStore, StoreParts};
use super::versions::HeapVersions;
use elias_api::Code;
use elias_host::SocketRequest;
use elias_local_workers::{
    CallError, CallErrorCode, Cause, ComponentSource, LocalWorkers, LocalWorkersBuilder, OtherVersion, RunningWorkers,
    SocketConnection, TimerLimit, WorkerChange, WorkerSettings, WorkerStore,
};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use elias_workers::config::{Durability, WorkersConfig};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Bytes of the heaps of a service whose workers are never stored: they are in the memory that all tenants share.
const UNSTORED_BYTES_MAX: usize = 64 << 20;

/// How long nobody has asked for the workers of a service before they are forgotten.
const RESTS_AFTER: Duration = Duration::from_secs(10);

/// The workers of a service.
pub(crate) struct ServiceWorkers {
    service: ServiceId,
    parts: Arc<StoreParts>,
    site: TurnSite,
    pub(super) store: Arc<PlatformWorkerStore>,
    /// Made when a worker is first to run.
    running: OnceCell<RunningWorkers>,
    /// When it stores turns, known once it was to be made.
    durability: OnceLock<Durability>,
    /// The table of which the manager has tags, groups and supervision trees.
    configured: Mutex<Option<Arc<WorkersConfig>>>,
    component: Arc<Mutex<Option<LoadedComponent>>>,
    /// Held while the component is loaded.
    loading: tokio::sync::Mutex<()>,
    calls: AtomicUsize,
    /// Milliseconds since `made`.
    used_ms: AtomicU64,
    made: Instant,
}

/// Components that were loaded.
struct LoadedComponent {
    served: ServedComponent,
    /// For this release, and this share of a canary.
    serves: (u64, Option<WorkerCanary>),
}

/// A call that is under way.
struct CallUnderWay<'a>(&'a ServiceWorkers);

impl ServiceWorkers {
    pub(super) fn new(service: ServiceId, parts: Arc<StoreParts>, slots: Arc<AwakeSlots>) -> Self {
        let versions = Arc::new(HeapVersions::default());
        let store = PlatformWorkerStore::new(Arc::clone(&parts), service.clone(), Arc::clone(&versions));
        Self {
            service,
            parts,
            site: TurnSite { slots, versions },
            store: Arc::new(store),
            running: OnceCell::new(),
            durability: OnceLock::new(),
            configured: Mutex::default(),
            component: Arc::default(),
            loading: tokio::sync::Mutex::default(),
            calls: AtomicUsize::new(0),
            used_ms: AtomicU64::new(0),
            made: Instant::now(),
        }
    }

    pub(super) fn service(&self) -> &ServiceId {
        &self.service
    }

    /// Has a worker handle a message.
    ///
    /// # Errors
    /// As the interface `elias:workers/workers` has them.
    pub(super) async fn call(&self, call: WorkerCallFrom) -> Result<String, CallError> {
        let _call = self.begin();
        let WorkerCallFrom { id, key, method, value, cause } = call;
        let running = self.running().await?;
        let repeated = if let MessageId::Repeating(id) = &id { Some(id.as_str()) } else { None };
        let key = running.member(key, repeated)?;
        self.check_new(&key).await?;
        match id {
            MessageId::Repeating(id) => running.call_once(id, key, method, value, cause).await,
            MessageId::Unique(id) => running.call_as(id, key, method, value, cause).await,
        }
    }

    /// Opens a socket of a worker.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(super) async fn open_socket(
        &self,
        key: WorkerKey,
        request: SocketRequest,
        cause: Cause,
    ) -> Result<SocketConnection, CallError> {
        let _call = self.begin();
        let running = self.running().await?;
        let key = running.member(key, None)?;
        self.check_new(&key).await?;
        running.open_socket(key, request, cause).await
    }

    /// Starts a worker that does not exist.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(super) async fn start_worker(&self, key: &WorkerKey) -> Result<(), CallError> {
        let _call = self.begin();
        self.check_new(key).await?;
        self.running().await?.start_worker(key.clone()).await
    }

    /// Refuses a worker that does not exist yet, where its tenant has as many as it may.
    async fn check_new(&self, key: &WorkerKey) -> Result<(), CallError> {
        let refusal = self.store.refusal_of_new(key).await.map_err(|error| {
            tracing::warn!(service = %self.service, worker = %key, %error, "a worker cannot be looked for");
            CallError::new(CallErrorCode::Unavailable, "the platform's store cannot be reached; try again")
        })?;
        refusal.map_or(Ok(()), |refusal| Err(CallError::new(CallErrorCode::QuotaExceeded, refusal)))
    }

    /// Stops a worker.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(super) async fn stop_worker(&self, key: &WorkerKey, reason: Value) -> Result<bool, CallError> {
        let _call = self.begin();
        self.running().await?.stop_worker(key, reason).await
    }

    /// Stops a worker and starts it anew.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(super) async fn restart_worker(&self, key: &WorkerKey, reason: Value) -> Result<(), CallError> {
        let _call = self.begin();
        self.running().await?.restart_worker(key, reason).await?;
        self.store.publish(key, "worker.restarted", json!({ "class": key.class, "name": key.name }));
        Ok(())
    }

    /// Has a worker leave memory, and gives it up.
    pub(super) async fn give_up(&self, key: &WorkerKey) {
        match self.running.get() {
            Some(running) if self.store.owns(key) => running.give_up(key),
            _ => {
                if let Err(error) = self.store.give_back(key).await {
                    tracing::warn!(service = %self.service, worker = %key, %error, "a worker cannot be released");
                }
            }
        }
    }

    /// Has a worker leave memory, if it is there. It is still this host's, or its handler would be lost to who waits.
    pub(super) fn evict(&self, key: &WorkerKey) {
        if let Some(running) = self.running.get() {
            running.hibernate(key);
        }
    }

    /// Has workers that nobody owns go on here without a message, unless another host is faster. It does not wait for
    /// what they do: a handler may wait for days.
    ///
    /// # Errors
    /// If their component cannot run.
    pub(super) async fn resume(&self, keys: &[WorkerKey]) -> Result<(), CallError> {
        let _call = self.begin();
        let running = self.running().await?;
        keys.iter().for_each(|key| running.resume(key));
        Ok(())
    }

    /// The manager, made if there is none, with the component of the version that serves.
    pub(super) async fn running(&self) -> Result<&RunningWorkers, CallError> {
        self.follow().await?;
        let running = self.running.get_or_try_init(|| self.make()).await?;
        // Another version may have been deployed while it was made.
        self.configure(running);
        Ok(running)
    }

    /// Has workers run by the settings of the version that serves.
    fn configure(&self, running: &RunningWorkers) {
        let Some(served) = self.parts.services.find(&self.service) else { return };
        running.configure(settings_of(&served));
        // Each call of a worker comes here, and trees may be large.
        let mut configured = self.configured.lock();
        if configured.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &served.config)) {
            running.configure_registry(&served.config);
            *configured = Some(served.config);
        }
    }

    /// The manager, if there is one.
    pub(super) fn existing(&self) -> Option<&RunningWorkers> {
        self.running.get()
    }

    /// Whether the version that serves stores turns in another way than these workers do: others are to take their
    /// place.
    pub(super) fn is_outdated(&self) -> bool {
        let served = self.parts.services.find(&self.service);
        served.zip(self.durability.get()).is_some_and(|(served, made)| served.config.durability != *made)
    }

    async fn make(&self) -> Result<RunningWorkers, CallError> {
        let config = self.parts.services.find(&self.service).map(|served| served.config).unwrap_or_default();
        let durability = *self.durability.get_or_init(|| config.durability);
        let component = Arc::clone(&self.component);
        let current = move |key: &WorkerKey| component.lock().as_ref().map(|loaded| loaded.served.of(key));
        let workers = LocalWorkers::builder()
            .store(Arc::clone(&self.store) as Arc<dyn WorkerStore>)
            .config(&config)
            .map_err(|error| CallError::new(CallErrorCode::Unavailable, error.to_string()))?
            .durability(durability)
            .unstored_bytes(UNSTORED_BYTES_MAX)
            .memory(self.parts.memory.of(&self.service.tenant))
            .socket_memory(self.parts.socket_memory.of(&self.service.tenant))
            .on_change(self.changes())
            // Places in memory are the host's, and are taken by turns.
            .awake(usize::MAX >> 3)
            .other_version(OtherVersion::Upgrade);
        let workers = self.with_events(workers, durability).build();
        workers.start(ComponentSource::by_worker(current)).await.map_err(|error| {
            tracing::error!(service = %self.service, %error, "the workers of a service cannot run");
            let message = "the platform's store cannot be reached; try again";
            CallError::new(CallErrorCode::Unavailable, message)
        })
    }

    /// Has what workers emit be checked, and published: with the commit of a turn, or after it where there is none.
    fn with_events(&self, workers: LocalWorkersBuilder, durability: Durability) -> LocalWorkersBuilder {
        let (services, service) = (Arc::clone(&self.parts.services), self.service.clone());
        let workers = workers.check_events(move |events, cause| services.check_events(&service, events, cause));
        if durability != Durability::None {
            return workers;
        }
        let (services, service) = (Arc::clone(&self.parts.services), self.service.clone());
        workers.on_events(move |key, turn| {
            let events = services.new_events(&service, key, &[turn]);
            if !events.is_empty() {
                services.publish_later(&service, events);
            }
        })
    }

    /// Publishes what becomes of workers by their checks and supervision. The manager must not keep this, which has it.
    fn changes(&self) -> impl Fn(&WorkerKey, WorkerChange) + Send + Sync + use<> {
        let store = Arc::clone(&self.store);
        move |key, change| {
            let (event, tree, reason) = match change {
                WorkerChange::Failed { reason } => ("worker.failed", None, reason),
                WorkerChange::GivenUp { tree, reason } => ("worker.failed", Some(tree), reason),
                WorkerChange::Restarted { tree, reason } => ("worker.restarted", Some(tree), reason),
            };
            let mut data = json!({ "class": key.class, "name": key.name, "reason": reason });
            if let Some(tree) = tree {
                data["tree"] = tree.into();
            }
            store.publish(key, event, data);
        }
    }

    /// Has turns run in the component of the version that serves, and those of the canary's workers in that of the
    /// canary, loading them if they are others than before.
    pub(super) async fn follow(&self) -> Result<(), CallError> {
        let unavailable = |message: String| CallError::new(CallErrorCode::Unavailable, message);
        let served = self.parts.services.find(&self.service);
        let served = served.ok_or_else(|| unavailable(format!("{} is not served by this host", self.service)))?;
        if self.is_loaded(&served) {
            return Ok(());
        }
        let _loading = self.loading.lock().await;
        if self.is_loaded(&served) {
            return Ok(());
        }
        let loaded = self.parts.services.component(&self.service, self.site.clone()).await;
        let loaded = loaded.map_err(|error| match error.code() {
            Code::Component(_) | Code::MissingConfiguration => unavailable(format!("{}: {error}", error.code())),
            _ => unavailable(format!("{}: the component cannot be loaded now; try again", error.code())),
        })?;
        let loaded = LoadedComponent { served: loaded, serves: (served.release, served.canary) };
        let before = self.component.lock().replace(loaded);
        if let (Some(_), Some(running)) = (before, self.running.get()) {
            self.configure(running);
            running.reload();
        }
        Ok(())
    }

    /// The component that turns run in, loaded if it is not.
    ///
    /// # Errors
    /// What keeps it from being loaded.
    pub(super) async fn component(&self) -> Result<ServedComponent, CallError> {
        self.follow().await?;
        let nothing = || CallError::new(CallErrorCode::Unavailable, "no component is loaded");
        self.component.lock().as_ref().map(|loaded| loaded.served.clone()).ok_or_else(nothing)
    }

    fn is_loaded(&self, served: &ServedWorkers) -> bool {
        self.component.lock().as_ref().is_some_and(|loaded| loaded.serves == (served.release, served.canary))
    }

    /// Whether nothing of the service is in memory or waits, for a while now.
    pub(super) async fn is_resting(&self) -> bool {
        let used = Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        let rests = self.calls.load(Ordering::Relaxed) == 0
            && self.store.owned() == 0
            && self.made.elapsed().saturating_sub(used) >= RESTS_AFTER;
        // That a tree was given up is known here alone.
        let has_given_up = self.running.get().is_some_and(RunningWorkers::has_given_up);
        if !rests || has_given_up || self.has_unstored().await {
            return false;
        }
        // Timers are fired by the manager. One that cannot be asked for stays.
        matches!(self.store.has_pending().await, Ok(false))
    }

    /// Whether workers live in memory alone, as the service asks for: the store does not know of them.
    async fn has_unstored(&self) -> bool {
        let served = self.parts.services.find(&self.service);
        if served.is_none_or(|served| served.config.durability != Durability::None) {
            return false;
        }
        match self.running.get() {
            Some(running) => running.list_after(None, 1).await.is_ok_and(|workers| !workers.is_empty()),
            None => false,
        }
    }

    /// Begins no turn any more, and waits so long until those that have begun have ended; says how many had not.
    pub(super) async fn stop(&self, grace: Duration) -> usize {
        match self.running.get() {
            Some(running) => running.stop(grace).await,
            None => 0,
        }
    }

    fn begin(&self) -> CallUnderWay<'_> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        CallUnderWay(self)
    }
}

/// How the workers of a service run, within the quotas of its tenant.
fn settings_of(served: &ServedWorkers) -> WorkerSettings {
    let settings = WorkerSettings::from(&*served.config);
    let most = served.quotas.worker_timers as usize;
    if most == 0 || most >= settings.timers.most {
        return settings;
    }
    let timers = TimerLimit { most, setting: "the tenant's quota `worker-timers`" };
    WorkerSettings { timers, ..settings }
}

impl Drop for CallUnderWay<'_> {
    fn drop(&mut self) {
        let now = u64::try_from(self.0.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.used_ms.store(now, Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::Quotas;

    #[test]
    fn the_quota_of_timers_holds_where_it_is_lower_than_what_the_service_says() {
        let timers = |worker_timers| {
            let quotas = Quotas { worker_timers, ..Quotas::default() };
            let served = ServedWorkers { config: Arc::default(), quotas, is_stopped: false, release: 1, canary: None };
            settings_of(&served).timers
        };
        let own = WorkerSettings::default().timers;
        assert_eq!((timers(0), timers(u32::MAX)), (own, own));
        let lower = timers(5);
        assert!(lower.most == 5 && lower.setting.contains("`worker-timers`"), "{lower:?}");
    }
}
