//! The services of a host, as the runner of workers needs them.

use super::awake::AwakeSlots;
use super::versions::HeapVersions;
use elias_api::{Quotas, Result};
use elias_capabilities::Cause;
use elias_host::EmittedEvent;
use elias_local_workers::{TurnEvents, WorkerComponent};
use elias_names::ServiceId;
use elias_store::NewEvent;
use elias_workers::WorkerKey;
use elias_workers::config::WorkersConfig;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;

/// The services of a host.
pub(crate) trait WorkerServices: Send + Sync + 'static {
    /// A service, if this host serves it.
    fn find(&self, id: &ServiceId) -> Option<ServedWorkers>;

    /// Why no turn of the service may begin now, by a quota of its tenant, if one refuses it.
    fn refusal(&self, id: &ServiceId) -> Option<String>;

    /// The component of the version that serves, and during a rollout that of the canary, loaded. Their turns take a
    /// place of `site` and say there which version their heaps belong to.
    ///
    /// # Errors
    /// What keeps it from being loaded.
    fn component(&self, id: &ServiceId, site: TurnSite) -> BoxFuture<'static, Result<ServedComponent>>;

    /// Publishes an event about a worker of a service in the log of its tenant, later: what it tells of does not wait
    /// for it.
    fn publish(&self, id: &ServiceId, key: &WorkerKey, event_type: &'static str, data: Value);

    /// Refuses the events of a turn of the service before it is committed.
    ///
    /// # Errors
    /// The message that the turn fails with.
    fn check_events(&self, id: &ServiceId, events: &[EmittedEvent], cause: &Cause) -> std::result::Result<(), String>;

    /// What is published of the events of a worker, in the name of the service.
    fn new_events(&self, id: &ServiceId, key: &WorkerKey, turns: &[TurnEvents]) -> Vec<NewEvent>;

    /// Publishes events of turns that no store has, later.
    fn publish_later(&self, id: &ServiceId, events: Vec<NewEvent>);

    /// Events were published with turns: whoever delivers them need not wait until it looks the next time.
    fn events_published(&self);
}

/// The properties of a service that the runner uses.
#[derive(Debug, Clone)]
pub(crate) struct ServedWorkers {
    /// How the workers of the version that serves run.
    pub(crate) config: Arc<WorkersConfig>,
    /// The quotas of its tenant.
    pub(crate) quotas: Quotas,
    /// Whether it was stopped: its workers rest.
    pub(crate) is_stopped: bool,
    /// The number of the release that serves, which no other of this process has.
    pub(crate) release: u64,
    /// During a rollout: the canary.
    pub(crate) canary: Option<WorkerCanary>,
}

/// A canary as it has workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WorkerCanary {
    /// The number of its release.
    pub(crate) release: u64,
    /// How many of the buckets of its rollout it has, which says which workers are its own.
    pub(crate) buckets: u32,
}

/// The components that run the workers of a service.
#[derive(Clone)]
pub(crate) struct ServedComponent {
    /// That of the version that serves.
    pub(crate) component: Arc<dyn WorkerComponent>,
    /// During a rollout: that of the canary.
    pub(crate) canary: Option<CanaryComponent>,
}

/// The component of a canary.
#[derive(Clone)]
pub(crate) struct CanaryComponent {
    pub(crate) component: Arc<dyn WorkerComponent>,
    /// Whether it runs a worker.
    pub(crate) has: Arc<dyn Fn(&WorkerKey) -> bool + Send + Sync>,
}

impl ServedComponent {
    /// The one that runs a worker.
    pub(crate) fn of(&self, key: &WorkerKey) -> Arc<dyn WorkerComponent> {
        let canary = self.canary.as_ref().filter(|canary| (canary.has)(key));
        Arc::clone(canary.map_or(&self.component, |canary| &canary.component))
    }
}

/// Where turns of a service run.
#[derive(Clone)]
pub(crate) struct TurnSite {
    /// The places in memory of this host.
    pub(crate) slots: Arc<AwakeSlots>,
    /// The versions that the heaps of the service's workers belong to.
    pub(crate) versions: Arc<HeapVersions>,
}
