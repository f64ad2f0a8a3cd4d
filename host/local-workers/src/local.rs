//! Workers before they run: the capability and the settings from which a host is built.

use crate::actor::run_worker;
use crate::component::ComponentSource;
use crate::manager::Manager;
use crate::message::{Answer, Content, failed};
use crate::running::RunningWorkers;
use crate::settings::{
    AWAKE, CheckEvents, MEMORY, MEMORY_BYTES, OnChange, OnEvents, OnLifecycle, OtherVersion, SOCKET_MEMORY,
    SOCKET_MEMORY_BYTES, Settings, WorkerChange, WorkerLifecycle, WorkerSettings,
};
use crate::store::{MemoryStore, StoreError, TurnEvents, WorkerStore};
use elias_capabilities::trigger::{Clock, Origin};
use elias_capabilities::workers::{ErrorCode, WorkerBackend, WorkerCall};
use elias_capabilities::{Cause, Workers};
use elias_host::EmittedEvent;
use elias_workers::config::{Durability, InvalidSetting, WorkersConfig};
use elias_workers::{MailboxLimits, MemoryBudget, SocketLimits, SupervisionPolicy, WorkerKey};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// The workers of one component, which do not run yet.
pub struct LocalWorkers {
    manager: Arc<Manager>,
}

/// Makes [`LocalWorkers`].
pub struct LocalWorkersBuilder {
    settings: Settings,
    clock: Clock,
    store: Option<Arc<dyn WorkerStore>>,
    unstored_bytes: usize,
}

impl LocalWorkers {
    /// Workers by the system's clock, with heaps in the memory of the process: 64 in memory at a time, each until it
    /// has had nothing to do for a minute.
    #[must_use]
    pub fn builder() -> LocalWorkersBuilder {
        let settings = Settings {
            awake: AWAKE,
            initial: WorkerSettings::default(),
            other_version: OtherVersion::default(),
            durability: Durability::default(),
            tags: BTreeMap::new(),
            groups: Vec::new(),
            trees: Vec::new(),
            on_change: None,
            on_lifecycle: None,
            on_events: None,
            check_events: None,
            memory: MemoryBudget::new(MEMORY, MEMORY_BYTES),
            socket_memory: MemoryBudget::new(SOCKET_MEMORY, SOCKET_MEMORY_BYTES),
        };
        let unstored_bytes = MemoryStore::BYTES_MAX;
        LocalWorkersBuilder { settings, clock: Clock::system(), store: None, unstored_bytes }
    }

    /// The capability `workers`, by which the component's other handlers call them. Calls are `unavailable` until the
    /// workers are started, and once they are stopped.
    #[must_use]
    pub fn capability(&self) -> Workers {
        Workers::new(Arc::new(CapabilityCalls(Arc::downgrade(&self.manager))))
    }

    /// Runs the workers of a component, until they are stopped or what this gives is dropped. Timers that were due
    /// meanwhile are called, and calls between workers that had no answer are made again.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn start(self, component: impl Into<ComponentSource>) -> Result<RunningWorkers, StoreError> {
        self.manager.start(component.into()).await?;
        Ok(RunningWorkers::new(self.manager))
    }
}

impl LocalWorkersBuilder {
    /// All that the table `[workers]` of elias.toml says: how long workers stay in memory, when turns are committed,
    /// the bounds of mailboxes and sockets, supervision, checks of health, tags, groups and supervision trees.
    ///
    /// # Errors
    /// For a setting that is out of its bounds.
    pub fn config(mut self, config: &WorkersConfig) -> Result<Self, InvalidSetting> {
        config.check()?;
        let settings = &mut self.settings;
        settings.tags.clone_from(&config.tags);
        settings.groups.clone_from(&config.group);
        settings.trees = config.trees();
        settings.initial = WorkerSettings::from(config);
        Ok(self.durability(config.durability))
    }

    /// Where workers are kept; in memory by default.
    #[must_use]
    pub fn store(self, store: Arc<dyn WorkerStore>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The clock that timers, backoffs and the time to leave memory go by; the system's by default. Deadlines of turns
    /// are in real time whatever it is.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Workers that are in memory at a time, at least 1. Each is one of the host's instances
    /// ([`HostBuilder::instances`](elias_host::HostBuilder::instances)).
    #[must_use]
    pub fn awake(mut self, workers: usize) -> Self {
        self.settings.awake = workers;
        self
    }

    /// How long a worker that has nothing to do stays in memory.
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.settings.initial.idle = idle;
        self
    }

    /// The bounds of mailboxes.
    #[must_use]
    pub fn mailbox(mut self, limits: MailboxLimits) -> Self {
        self.settings.initial.mailbox = limits;
        self
    }

    /// What becomes of turns that are ended by a trap or a limit.
    #[must_use]
    pub fn supervision(mut self, policy: SupervisionPolicy) -> Self {
        self.settings.initial.supervision = policy;
        self
    }

    /// What becomes of workers whose heaps belong to another version of the component; refused by default.
    #[must_use]
    pub fn other_version(mut self, policy: OtherVersion) -> Self {
        self.settings.other_version = policy;
        self
    }

    /// When turns are committed: by default those of a worker that wait share a commit. With [`Durability::None`] the
    /// store is not used, and a worker that leaves memory is gone, unless a timer of it is set.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.settings.durability = durability;
        self
    }

    /// Bytes of all heaps at most where workers are [never stored](Durability::None); a turn with which there would be
    /// more is undone. 1 GiB by default.
    #[must_use]
    pub fn unstored_bytes(self, bytes: usize) -> Self {
        Self { unstored_bytes: bytes, ..self }
    }

    /// The bounds of the sockets of each worker.
    #[must_use]
    pub fn sockets(mut self, limits: SocketLimits) -> Self {
        self.settings.initial.sockets = limits;
        self
    }

    /// What messages that wait, calls without an answer, timers and stored replies may hold of the memory, of all
    /// workers together that are given this budget; 256 MiB of these workers by default. Messages for which there is no
    /// room are refused (`mailbox-full`), a turn with calls or timers for which there is none is undone, and a worker
    /// whose calls and timers do not fit is read later. Instances, and [what waits for clients of
    /// sockets](Self::socket_memory), are bounded beside it.
    #[must_use]
    pub fn memory(mut self, budget: Arc<MemoryBudget>) -> Self {
        self.settings.memory = budget;
        self
    }

    /// What may wait for the clients of sockets and event streams, of all workers together that are given this budget;
    /// 256 MiB of these workers by default. A client for whose message there is no room is closed with 1013.
    #[must_use]
    pub fn socket_memory(mut self, budget: Arc<MemoryBudget>) -> Self {
        self.settings.socket_memory = budget;
        self
    }

    /// Tells `listener` of what becomes of workers by their checks and supervision. It must not wait.
    #[must_use]
    pub fn on_change(mut self, listener: impl Fn(&WorkerKey, WorkerChange) + Send + Sync + 'static) -> Self {
        let listener: OnChange = Arc::new(listener);
        self.settings.on_change = Some(listener);
        self
    }

    /// Tells `listener` of workers that were started, stopped and moved to another version, once that is committed. It
    /// must not wait. What it is told last may be lost with the process.
    #[must_use]
    pub fn on_lifecycle(mut self, listener: impl Fn(&WorkerKey, WorkerLifecycle) + Send + Sync + 'static) -> Self {
        let listener: OnLifecycle = Arc::new(listener);
        self.settings.on_lifecycle = Some(listener);
        self
    }

    /// Tells `listener` of what a worker emits in a turn, once that is committed. It must not wait. What it is told
    /// last may be lost with the process; a store gets the same [within the commit](crate::WorkerCommit::events).
    #[must_use]
    pub fn on_events(mut self, listener: impl Fn(&WorkerKey, TurnEvents) + Send + Sync + 'static) -> Self {
        let listener: OnEvents = Arc::new(listener);
        self.settings.on_events = Some(listener);
        self
    }

    /// Has `check` look at what a turn emits, before it is committed: with an error the turn is undone, and its sender
    /// gets a `RangeError` with this message. It must not wait.
    #[must_use]
    pub fn check_events(
        mut self,
        check: impl Fn(&[EmittedEvent], &Cause) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let check: CheckEvents = Arc::new(check);
        self.settings.check_events = Some(check);
        self
    }

    /// The workers.
    #[must_use]
    pub fn build(self) -> LocalWorkers {
        let Self { settings, clock, store, unstored_bytes } = self;
        let store: Arc<dyn WorkerStore> = match settings.durability {
            Durability::None => Arc::new(MemoryStore::forgetting(unstored_bytes)),
            Durability::Batch | Durability::Turn => store.unwrap_or_else(|| Arc::new(MemoryStore::default())),
        };
        LocalWorkers {
            manager: Manager::new(settings, clock, store, |manager, handle| run_worker(manager, handle).boxed()),
        }
    }
}

/// Calls by the capability. A component must not keep its own workers in memory, which lead back to it.
struct CapabilityCalls(Weak<Manager>);

impl WorkerBackend for CapabilityCalls {
    fn call(&self, origin: Arc<Origin>, call: WorkerCall) -> BoxFuture<'static, Answer> {
        let Some(manager) = self.0.upgrade() else {
            return ready(Err(failed(ErrorCode::Unavailable, "the workers were stopped"))).boxed();
        };
        let WorkerCall { class, name, method, value, id } = call;
        let (key, content) = (WorkerKey::new(class, name), Content::Value { method, value });
        manager.call_as(id, key, content, origin.cause.clone()).boxed()
    }
}
