//! The settings of workers.

use crate::store::TurnEvents;
use elias_capabilities::Cause;
use elias_host::EmittedEvent;
use elias_workers::config::{Durability, GroupConfig, HealthConfig, LimitsConfig, WorkersConfig};
use elias_workers::{MailboxLimits, MemoryBudget, SocketLimits, SupervisionPolicy, SupervisionTree, WorkerKey};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Workers whose instances are in memory at a time.
pub(crate) const AWAKE: usize = 64;

/// How long a worker that has nothing to do stays in memory.
const IDLE: Duration = Duration::from_secs(60);

/// What becomes of a worker whose heap belongs to another version of the component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherVersion {
    /// Its heap stays with its timers and a handler that waits, and calls of it fail, until a version runs that it
    /// belongs to or the worker is stopped.
    #[default]
    Refuse,
    /// It begins anew, and its heap is lost, which is said in the log: for development.
    BeginAnew,
    /// The former version gives its state, and a new heap of this version takes it over: `onUpgrade`. A handler that
    /// waits goes on in the former version first. If it fails, the former version goes on serving the worker, which its
    /// [status](crate::WorkerStatus) and the log say; and [`Self::Refuse`] where that version is not there any more.
    Upgrade,
    /// The same, but the worker begins anew where it fails or the former version is not there any more, and that is
    /// said in the log with the reason: for development.
    UpgradeOrBeginAnew,
}

impl OtherVersion {
    /// Whether workers are moved.
    pub(crate) fn upgrades(self) -> bool {
        matches!(self, Self::Upgrade | Self::UpgradeOrBeginAnew)
    }

    /// Whether a worker that cannot be moved begins anew.
    pub(crate) fn begins_anew(self) -> bool {
        matches!(self, Self::BeginAnew | Self::UpgradeOrBeginAnew)
    }
}

/// What became of a worker by its checks and its supervision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerChange {
    /// It failed: too many of its turns were ended, it is not well, or it did not start as a part of its tree.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was stopped and started anew, without what it held, since it or another worker of its tree failed.
    Restarted {
        /// The name of the tree.
        tree: String,
        /// Why the other one, or this one, failed.
        reason: String,
    },
    /// It failed, and its tree with it: all workers of the tree are stopped, and take nothing.
    GivenUp {
        /// The name of the tree.
        tree: String,
        /// Why the worker failed.
        reason: String,
    },
}

/// A change in the life of a worker that was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerLifecycle {
    /// It had its first turn.
    Started,
    /// It was stopped, or begins anew: what it held is forgotten.
    Stopped,
    /// It was moved to another version of its component.
    Upgraded {
        /// The former version.
        from: String,
        /// The version that it runs in.
        to: String,
    },
}

/// Told of a change in the life of a worker.
pub(crate) type OnLifecycle = Arc<dyn Fn(&WorkerKey, WorkerLifecycle) + Send + Sync>;

/// Told of what became of a worker.
pub(crate) type OnChange = Arc<dyn Fn(&WorkerKey, WorkerChange) + Send + Sync>;

/// Told of the events that a worker emitted in a turn, after that was committed.
pub(crate) type OnEvents = Arc<dyn Fn(&WorkerKey, TurnEvents) + Send + Sync>;

/// Refuses a turn for the events that it emitted, with the message of the error that its sender gets.
pub(crate) type CheckEvents = Arc<dyn Fn(&[EmittedEvent], &Cause) -> Result<(), String> + Send + Sync>;

/// The name of the bound of memory, and the bound, unless a program has its own.
pub(crate) const MEMORY: &str = "worker-memory-bytes";
pub(crate) const MEMORY_BYTES: usize = 256 << 20;

/// The same of what waits for clients of sockets.
pub(crate) const SOCKET_MEMORY: &str = "worker-socket-bytes";
pub(crate) const SOCKET_MEMORY_BYTES: usize = 256 << 20;

/// The settings that can be changed while workers run
/// ([`RunningWorkers::configure`](crate::RunningWorkers::configure)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// How long a worker that has nothing to do stays in memory.
    pub idle: Duration,
    /// The bounds of mailboxes.
    pub mailbox: MailboxLimits,
    /// The bounds of the sockets of each worker.
    pub sockets: SocketLimits,
    /// The bound of the timers and alarms of each worker. A turn that sets more is undone.
    pub timers: TimerLimit,
    /// Units of fuel of a turn, where that is lower than the limit `fuel` of the component.
    pub turn_fuel: Option<u64>,
    /// What becomes of turns that are ended by a trap or a limit.
    pub supervision: SupervisionPolicy,
    /// When workers in memory are asked whether they are well; never where this is none.
    pub health: Option<HealthConfig>,
}

impl Default for WorkerSettings {
    /// A minute in memory; the others as their types have them.
    fn default() -> Self {
        Self {
            idle: IDLE,
            mailbox: MailboxLimits::default(),
            sockets: SocketLimits::default(),
            timers: TimerLimit::from(&LimitsConfig::default()),
            turn_fuel: None,
            supervision: SupervisionPolicy::default(),
            health: None,
        }
    }
}

impl From<&WorkersConfig> for WorkerSettings {
    fn from(config: &WorkersConfig) -> Self {
        Self {
            idle: config.idle(),
            mailbox: config.mailbox.limits(),
            sockets: config.sockets.limits(),
            timers: TimerLimit::from(&config.limits),
            turn_fuel: config.limits.fuel,
            supervision: config.supervision.policy(),
            health: config.health,
        }
    }
}

/// The bound of the timers and alarms that a worker may have set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerLimit {
    /// How many, timers and alarms together.
    pub most: usize,
    /// The setting that says so, for those who are refused.
    pub setting: &'static str,
}

impl From<&LimitsConfig> for TimerLimit {
    fn from(limits: &LimitsConfig) -> Self {
        Self { most: limits.timers as usize, setting: "timers of [workers.limits]" }
    }
}

pub(crate) struct Settings {
    pub(crate) awake: usize,
    /// Those with which workers begin.
    pub(crate) initial: WorkerSettings,
    pub(crate) other_version: OtherVersion,
    pub(crate) durability: Durability,
    /// The tags of classes.
    pub(crate) tags: BTreeMap<String, Vec<String>>,
    pub(crate) groups: Vec<GroupConfig>,
    /// Supervision trees, by name.
    pub(crate) trees: Vec<(String, SupervisionTree<WorkerKey>)>,
    pub(crate) on_change: Option<OnChange>,
    pub(crate) on_lifecycle: Option<OnLifecycle>,
    pub(crate) on_events: Option<OnEvents>,
    pub(crate) check_events: Option<CheckEvents>,
    /// What messages, calls and answers of all workers may hold.
    pub(crate) memory: Arc<MemoryBudget>,
    /// What may wait for the clients of all sockets.
    pub(crate) socket_memory: Arc<MemoryBudget>,
}
