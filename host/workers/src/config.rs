//! The table `[workers]` of elias.toml: how the service workers of a component run.

mod groups;
mod health;
mod limits;
#[cfg(test)]
mod tests;
mod trees;

pub use crate::group::Balance;
pub use elias_delivery::setting::InvalidSetting;
pub use groups::GroupConfig;
pub use health::HealthConfig;
pub use limits::LimitsConfig;
pub use trees::{ChildConfig, TreeConfig};

use crate::{MailboxLimits, OverflowPolicy, SocketLimits, SupervisionPolicy, SupervisionTree, WorkerKey};
use elias_delivery::duration::DurationText;
use elias_delivery::setting::within;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

/// Tags of a class at most, and their characters.
const TAGS_MAX: usize = 32;
const TAG_CHARACTERS_MAX: usize = 64;

/// How the workers of a component run. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WorkersConfig {
    /// How long a worker that has nothing to do stays in memory: 1s to 1h; 60s by default.
    pub idle: DurationText,
    /// When a turn is stored; `batch` by default.
    pub durability: Durability,
    /// Whether a worker that does not exist is started when one of its files is opened; `false` by default.
    pub start_on_open: bool,
    /// For how long former states of a worker are kept, on a platform.
    pub history: HistoryConfig,
    /// The bounds of each worker's mailbox.
    pub mailbox: MailboxConfig,
    /// The bounds of the sockets of each worker.
    pub sockets: SocketsConfig,
    /// What the workers may take beside.
    pub limits: LimitsConfig,
    /// What becomes of turns that are ended by a trap or a limit.
    pub supervision: SupervisionConfig,
    /// When workers are asked whether they are well; never without this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthConfig>,
    /// The tags of classes, by class: at most 32 each, of 1 to 64 characters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Vec<String>>,
    /// Several workers behind one name, at most 100 times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<GroupConfig>,
    /// Which workers are restarted where one of several fails: at most 100 trees.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tree: Vec<TreeConfig>,
}

/// When a turn is stored. A sender has its answer, and another worker its message, only after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Turns of a worker that wait are stored together.
    #[default]
    Batch,
    /// Each turn is stored by itself.
    Turn,
    /// Never: a worker lives in memory alone, and is gone when it leaves it.
    None,
}

/// For how long former states of a worker are kept. What exceeds either bound is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HistoryConfig {
    /// The number of turns whose states are kept, the last among them: 1 to 100,000; 100 by default.
    pub turns: u32,
    /// For how long they are kept, the last one for longer: 0s to 30 days; 7 days by default.
    pub age: DurationText,
}

/// The bounds of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MailboxConfig {
    /// The number of messages that wait: 1 to 100,000; 1,000 by default.
    pub messages: u32,
    /// Their bytes: 1 KiB to 256 MiB; 16 MiB by default.
    pub bytes: u64,
    /// What becomes of a message for a mailbox that is full; `refuse` by default.
    pub overflow: Overflow,
}

/// What becomes of a message for a mailbox that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It is refused.
    #[default]
    Refuse,
    /// Its sender waits until there is room, as at most as many do as `messages` says.
    Block,
    /// The oldest messages are dropped.
    DropOldest,
}

/// The bounds of the sockets of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SocketsConfig {
    /// The number of sockets that are open at a time: 1 to 10,000; 1,000 by default.
    pub open: u32,
    /// The bytes of a message of a client: 1 to 786,432, which is the default.
    pub message_bytes: u32,
    /// The number of messages that wait for a client to read: 1 to 100,000; 1,000 by default.
    pub waiting_messages: u32,
    /// Their bytes: 1 KiB to 256 MiB; 8 MiB by default.
    pub waiting_bytes: u64,
}

/// What becomes of turns that are ended by a trap or a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SupervisionConfig {
    /// How often a turn is tried, the first attempt among them: 1 to 100; 3 by default.
    pub attempts: u32,
    /// The delay before the second attempt, which doubles with each further one: 1ms to 1h; 100ms by default.
    pub backoff: DurationText,
    /// The longest delay before an attempt: `backoff` to 1 day; 10s by default.
    pub backoff_max: DurationText,
    /// The number of turns that may be ended within `window` before the worker is stopped for as long: 1 to 10,000; 10
    /// by default.
    pub failures: u32,
    /// The window of `failures`: 1s to 1 day; 60s by default.
    pub window: DurationText,
}

/// [`SocketLimits::MESSAGE_BYTES_MAX`].
const MESSAGE_BYTES_MAX: u32 = 786_432;

const SECOND: DurationText = DurationText::from_secs(1);
const HOUR: DurationText = DurationText::from_secs(3_600);
const DAY: DurationText = DurationText::from_secs(86_400);

impl Default for WorkersConfig {
    fn default() -> Self {
        Self {
            idle: DurationText::from_secs(60),
            durability: Durability::default(),
            start_on_open: false,
            history: HistoryConfig::default(),
            mailbox: MailboxConfig::default(),
            sockets: SocketsConfig::default(),
            limits: LimitsConfig::default(),
            supervision: SupervisionConfig::default(),
            health: None,
            tags: BTreeMap::new(),
            group: Vec::new(),
            tree: Vec::new(),
        }
    }
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { turns: 100, age: DurationText::from_secs(7 * 86_400) }
    }
}

impl Default for MailboxConfig {
    fn default() -> Self {
        Self { messages: 1_000, bytes: 16 << 20, overflow: Overflow::default() }
    }
}

impl Default for SocketsConfig {
    fn default() -> Self {
        Self { open: 1_000, message_bytes: MESSAGE_BYTES_MAX, waiting_messages: 1_000, waiting_bytes: 8 << 20 }
    }
}

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: DurationText::from_millis(100),
            backoff_max: DurationText::from_secs(10),
            failures: 10,
            window: DurationText::from_secs(60),
        }
    }
}

impl WorkersConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first one that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let Self {
            idle,
            durability: _,
            start_on_open: _,
            history,
            mailbox,
            sockets,
            limits,
            supervision,
            health,
            tags,
            group,
            tree,
        } = self;
        within("workers.idle", *idle, SECOND..=HOUR)?;
        within("workers.history.turns", history.turns, 1..=100_000)?;
        within("workers.history.age", history.age, DurationText::from_secs(0)..=DurationText::from_secs(30 * 86_400))?;
        within("workers.mailbox.messages", mailbox.messages, 1..=100_000)?;
        within("workers.mailbox.bytes", mailbox.bytes, 1 << 10..=256 << 20)?;
        within("workers.sockets.open", sockets.open, 1..=10_000)?;
        within("workers.sockets.message-bytes", sockets.message_bytes, 1..=MESSAGE_BYTES_MAX)?;
        within("workers.sockets.waiting-messages", sockets.waiting_messages, 1..=100_000)?;
        within("workers.sockets.waiting-bytes", sockets.waiting_bytes, 1 << 10..=256 << 20)?;
        limits.check()?;
        within("workers.supervision.attempts", supervision.attempts, 1..=100)?;
        within("workers.supervision.backoff", supervision.backoff, DurationText::from_millis(1)..=HOUR)?;
        within("workers.supervision.backoff-max", supervision.backoff_max, supervision.backoff..=DAY)?;
        within("workers.supervision.failures", supervision.failures, 1..=10_000)?;
        within("workers.supervision.window", supervision.window, SECOND..=DAY)?;
        health.as_ref().map_or(Ok(()), HealthConfig::check)?;
        for (class, tags) in tags {
            let is_tag = |tag: &String| (1..=TAG_CHARACTERS_MAX).contains(&tag.chars().count());
            if tags.len() > TAGS_MAX || !tags.iter().all(is_tag) {
                let class = class.escape_debug();
                let what =
                    format!("`{class}` must have at most {TAGS_MAX} tags of 1 to {TAG_CHARACTERS_MAX} characters");
                return Err(InvalidSetting::new("workers.tags", what));
            }
        }
        groups::check(group)?;
        trees::check(tree, group)
    }

    /// Checks that all classes that groups, trees and tags name are among those of the component.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first one that is not.
    pub fn check_classes(&self, classes: &[String]) -> Result<(), InvalidSetting> {
        let groups = self.group.iter().map(|group| ("workers.group", group.class.as_str()));
        let trees = trees::classes(&self.tree).map(|class| ("workers.tree", class));
        let tags = self.tags.keys().map(|class| ("workers.tags", class.as_str()));
        let unknown = groups.chain(trees).chain(tags).find(|(_, class)| !classes.iter().any(|known| known == class));
        unknown.map_or(Ok(()), |(key, class)| {
            let what = format!("names the worker class {}, which the component does not export", class.escape_debug());
            Err(InvalidSetting::new(key, what))
        })
    }

    /// The supervision trees that are the child of none, by name. The table was [checked](Self::check).
    #[must_use]
    pub fn trees(&self) -> Vec<(String, SupervisionTree<WorkerKey>)> {
        trees::build(&self.tree, &self.group)
    }

    /// The group that a message to this worker is for, if it names one, with or without a key. Such a worker gets no
    /// message.
    #[must_use]
    pub fn group_of(&self, key: &WorkerKey) -> Option<&GroupConfig> {
        let (name, _) = key.group_name();
        self.group.iter().find(|group| group.class == key.class && group.name == name)
    }

    /// The tags of a class.
    #[must_use]
    pub fn tags_of(&self, class: &str) -> &[String] {
        self.tags.get(class).map_or(&[], Vec::as_slice)
    }

    /// How long a worker that has nothing to do stays in memory.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.idle.get()
    }
}

impl MailboxConfig {
    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> MailboxLimits {
        let messages = self.messages as usize;
        MailboxLimits {
            messages,
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            senders: messages,
            policy: match self.overflow {
                Overflow::Refuse => OverflowPolicy::Refuse,
                Overflow::Block => OverflowPolicy::Block,
                Overflow::DropOldest => OverflowPolicy::DropOldest,
            },
        }
    }
}

impl SocketsConfig {
    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> SocketLimits {
        SocketLimits {
            sockets: self.open as usize,
            message_bytes: self.message_bytes as usize,
            waiting_messages: self.waiting_messages as usize,
            waiting_bytes: usize::try_from(self.waiting_bytes).unwrap_or(usize::MAX),
            ..SocketLimits::default()
        }
    }
}

impl SupervisionConfig {
    /// The policy.
    #[must_use]
    pub fn policy(&self) -> SupervisionPolicy {
        SupervisionPolicy {
            attempts: self.attempts,
            backoff: self.backoff.get(),
            backoff_max: self.backoff_max.get(),
            failures: self.failures,
            window: self.window.get(),
        }
    }
}
