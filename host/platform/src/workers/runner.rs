//! The workers of all services of a host: each service has a manager while something of it is in memory or waits.

use super::awake::{AwakeSlots, WorkerOfService};
use super::cipher::TenantKeys;
use super::commits::Commits;
use super::memory::TenantMemory;
use super::meters::WorkerMeters;
use super::ownership::{OwnerLease, Part};
use super::quota::WorkerQuotas;
use super::service::ServiceWorkers;
use super::services::{ServedWorkers, WorkerServices};
use super::store::StoreParts;
use crate::artifacts::Artifacts;
use crate::vault::Vault;
use elias_api::Result;
use elias_capabilities::Cause;
use elias_host::SocketRequest;
use elias_local_workers::{CallError, CallErrorCode, SocketConnection};
use elias_names::{ServiceId, TenantId};
use elias_store::Store;
use elias_workers::WorkerKey;
use futures::future::join_all;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long turns may go on when the host stops.
const GRACE: Duration = Duration::from_secs(10);

/// Runs the service workers of a host.
pub(crate) struct WorkerRunner {
    pub(super) parts: Arc<StoreParts>,
    pub(super) slots: Arc<AwakeSlots>,
    services: Mutex<HashMap<ServiceId, Arc<ServiceWorkers>>>,
    is_stopping: AtomicBool,
    /// What is to leave memory, until the tasks are started.
    evicted: Mutex<Option<mpsc::UnboundedReceiver<WorkerOfService>>>,
}

/// What a runner is made of, beside its services.
pub(crate) struct WorkerParts {
    pub(crate) store: Store,
    pub(crate) artifacts: Artifacts,
    pub(crate) vault: Arc<Vault>,
    /// This process among those that share the store: the host's id, a slash, and an id of its run.
    pub(crate) owner: String,
    /// Workers that are in memory at a time.
    pub(crate) awake: u32,
}

/// The id of a message.
#[derive(Debug, Clone)]
pub(crate) enum MessageId {
    /// A UUID that its sender gave it, or else a new one.
    Unique(Option<String>),
    /// That of a message that its sender may send again: the worker handles it once.
    Repeating(String),
}

/// A message to a worker from outside of workers.
#[derive(Debug, Clone)]
pub(crate) struct WorkerCallFrom {
    pub(crate) id: MessageId,
    /// Which worker of the service.
    pub(crate) key: WorkerKey,
    /// The method; none for a message.
    pub(crate) method: Option<String>,
    /// The message or the list of arguments, in the structured clone encoding.
    pub(crate) value: String,
    /// The cause of the turn.
    pub(crate) cause: Cause,
}

impl WorkerRunner {
    /// A runner that does nothing yet.
    pub(crate) fn new(parts: WorkerParts, services: Arc<dyn WorkerServices>) -> Arc<Self> {
        let WorkerParts { store, artifacts, vault, owner, awake } = parts;
        let meters = Arc::new(WorkerMeters::default());
        let (evict, evicted) = mpsc::unbounded_channel();
        let parts = StoreParts {
            keys: TenantKeys::new(store.clone(), vault),
            commits: Commits::new(store.clone(), Arc::clone(&meters)),
            quotas: WorkerQuotas::default(),
            memory: TenantMemory::of_workers(),
            socket_memory: TenantMemory::of_sockets(),
            store,
            artifacts,
            lease: OwnerLease::new(owner.clone()),
            owner,
            services,
            meters,
        };
        Arc::new(Self {
            parts: Arc::new(parts),
            slots: AwakeSlots::new(awake, evict),
            services: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            evicted: Mutex::new(Some(evicted)),
        })
    }

    /// Starts its tasks, which end with its last handle.
    pub(crate) fn start(self: &Arc<Self>) {
        if let Some(evicted) = self.evicted.lock().take() {
            tokio::spawn(super::ownership::evict(Arc::downgrade(self), evicted));
        }
        for part in [Part::Others, Part::Own] {
            tokio::spawn(super::ownership::keep(Arc::downgrade(self), part));
        }
        tokio::spawn(super::upkeep::keep_up(Arc::downgrade(self)));
    }

    /// Has a worker handle a message or a call, which starts it if it does not exist; gives what the handler returned,
    /// once the turn is committed. The worker handles it also if this future is dropped once it was polled.
    ///
    /// # Errors
    /// As the interface `elias:workers/workers` has them.
    pub(crate) async fn call(&self, service: &ServiceId, call: WorkerCallFrom) -> Result<String, CallError> {
        self.admitting(service)?.call(call).await
    }

    /// Opens a socket of a worker, which is started if it does not exist.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(crate) async fn open_socket(
        &self,
        service: &ServiceId,
        key: WorkerKey,
        request: SocketRequest,
        cause: Cause,
    ) -> Result<SocketConnection, CallError> {
        self.admitting(service)?.open_socket(key, request, cause).await
    }

    /// Makes workers of a service ready to handle messages, so that what still fails then is one worker's affair.
    ///
    /// # Errors
    /// As of [`Self::call`]: the service is not served here, its component cannot be loaded, or a quota refuses turns.
    pub(crate) async fn ready(&self, service: &ServiceId) -> Result<(), CallError> {
        self.admitting(service)?.running().await.map(drop)
    }

    /// Starts a worker. One that exists is left as it is.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(crate) async fn start_worker(&self, service: &ServiceId, key: &WorkerKey) -> Result<(), CallError> {
        self.workers(service)?.start_worker(key).await
    }

    /// Stops a worker, which is forgotten then; says whether there was one.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(crate) async fn stop_worker(
        &self,
        service: &ServiceId,
        key: &WorkerKey,
        reason: Value,
    ) -> Result<bool, CallError> {
        self.workers(service)?.stop_worker(key, reason).await
    }

    /// Stops a worker and starts it anew, without what it held.
    ///
    /// # Errors
    /// As of [`Self::call`].
    pub(crate) async fn restart_worker(
        &self,
        service: &ServiceId,
        key: &WorkerKey,
        reason: Value,
    ) -> Result<(), CallError> {
        self.workers(service)?.restart_worker(key, reason).await
    }

    /// The workers of a service that this host serves, which are made if there are none.
    pub(super) fn workers(&self, service: &ServiceId) -> Result<Arc<ServiceWorkers>, CallError> {
        self.served(service)?;
        let workers = self.entry(service);
        if !workers.is_outdated() {
            return Ok(workers);
        }
        self.retire(workers);
        Ok(self.entry(service))
    }

    /// The workers of a service that this host serves, unless a quota refuses turns of it now.
    fn admitting(&self, service: &ServiceId) -> Result<Arc<ServiceWorkers>, CallError> {
        let workers = self.workers(service)?;
        match self.parts.services.refusal(service) {
            Some(refusal) => Err(CallError::new(CallErrorCode::QuotaExceeded, refusal)),
            None => Ok(workers),
        }
    }

    /// Ends the workers of a service. A turn that takes long delays nothing else.
    fn retire(&self, workers: Arc<ServiceWorkers>) {
        let mut services = self.services.lock();
        if services.get(workers.service()).is_some_and(|known| Arc::ptr_eq(known, &workers)) {
            services.remove(workers.service());
            tokio::spawn(async move { workers.stop(GRACE).await });
        }
    }

    /// The service, if its workers may run.
    fn served(&self, service: &ServiceId) -> Result<ServedWorkers, CallError> {
        let unavailable = |message: String| CallError::new(CallErrorCode::Unavailable, message);
        if self.is_stopping() {
            return Err(unavailable("the host is about to end".to_owned()));
        }
        let served = self.parts.services.find(service);
        let served = served.ok_or_else(|| unavailable(format!("{service} is not served by this host")))?;
        if served.is_stopped {
            let message = format!("{service} was stopped; start it with: elias start {}", service.component);
            return Err(unavailable(message));
        }
        Ok(served)
    }

    /// The workers of a service, for what needs no component too.
    pub(super) fn entry(&self, service: &ServiceId) -> Arc<ServiceWorkers> {
        let mut services = self.services.lock(); // the map is whole after every operation
        let workers = services.entry(service.clone()).or_insert_with(|| {
            Arc::new(ServiceWorkers::new(service.clone(), Arc::clone(&self.parts), Arc::clone(&self.slots)))
        });
        Arc::clone(workers)
    }

    /// The workers of a service, if there is something of them.
    pub(super) fn existing(&self, service: &ServiceId) -> Option<Arc<ServiceWorkers>> {
        self.services.lock().get(service).cloned()
    }

    /// All services of which there is something.
    pub(super) fn all(&self) -> Vec<Arc<ServiceWorkers>> {
        self.services.lock().values().cloned().collect()
    }

    /// Forgets the workers of services that have nothing in memory, nothing that waits and nobody who asks.
    pub(super) async fn drop_resting(&self) {
        for workers in self.all() {
            if !workers.is_resting().await {
                continue;
            }
            let is_unused = {
                let mut services = self.services.lock();
                // The map's handle and this one: whoever gets one from the map does so under its lock.
                let is_unused = Arc::strong_count(&workers) == 2;
                if is_unused {
                    services.remove(workers.service());
                }
                is_unused
            };
            if is_unused {
                workers.stop(Duration::ZERO).await;
            }
        }
    }

    /// Ends the workers of services that were stopped, that this host does not serve any more, or whose version stores
    /// turns in another way.
    pub(super) fn stop_stopped(&self) {
        let may_run = |service: &ServiceId| self.parts.services.find(service).is_some_and(|served| !served.is_stopped);
        for workers in self.all() {
            if !may_run(workers.service()) || workers.is_outdated() {
                self.retire(workers);
            }
        }
    }

    /// Ends the turns that run, within some seconds, and gives up all workers, for the end of the process.
    pub(crate) async fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        let stopped = join_all(self.all().iter().map(|workers| workers.stop(GRACE))).await;
        let undone: usize = stopped.into_iter().sum();
        if undone > 0 {
            tracing::warn!(turns = undone, "turns of workers had not ended, and are undone");
        }
        if let Err(error) = super::ownership::end(self).await {
            tracing::warn!(%error, "other hosts get the workers of this one when its lease ends");
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// The places that workers of this host have in memory.
    pub(crate) fn slots(&self) -> &Arc<AwakeSlots> {
        &self.slots
    }

    /// Its counters.
    pub(crate) fn meters(&self) -> &WorkerMeters {
        &self.parts.meters
    }

    /// Workers in memory, by tenant.
    pub(crate) fn awake(&self) -> Vec<(TenantId, u64)> {
        self.slots.held()
    }
}
