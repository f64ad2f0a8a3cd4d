//! Groups: several workers behind one name, of which one gets a message.

use elias_workers::config::{Balance, GroupConfig};
use elias_workers::{WorkerGroup, WorkerKey};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;

/// The groups.
///
/// A message names a group by its name, or by that and a key: `pool` or `pool/user-42`. So a key stands wherever a
/// worker's name does: in calls of components, in the admin API, and in routes.
pub(crate) struct Groups(RwLock<KnownGroups>);

struct KnownGroups {
    configs: Vec<GroupConfig>,
    /// By class and name.
    groups: HashMap<String, HashMap<String, Group>>,
}

struct Group {
    balance: Balance,
    members: Mutex<WorkerGroup>,
}

impl Groups {
    pub(crate) fn new(configs: &[GroupConfig]) -> Self {
        Self(RwLock::new(KnownGroups::new(configs)))
    }

    /// Has these be the groups from now on.
    pub(crate) fn configure(&self, configs: &[GroupConfig]) {
        if self.0.read().configs != configs {
            *self.0.write() = KnownGroups::new(configs);
        }
    }

    /// Whether a message to this worker is one to a group.
    pub(crate) fn has(&self, to: &WorkerKey) -> bool {
        self.0.read().find(to).is_some()
    }

    /// The member of a group that gets a message to this worker; none if that names no group. A message that may come
    /// again has an `id`, by which the same member gets it: that knows whether it has handled it. `load` says how much
    /// waits for a member, [`usize::MAX`] of one that takes nothing.
    ///
    /// # Errors
    /// If the message has no key and has to have one.
    pub(crate) fn member(
        &self,
        to: &WorkerKey,
        id: Option<&str>,
        load: impl Fn(&WorkerKey) -> usize,
    ) -> Result<Option<WorkerKey>, String> {
        let known = self.0.read();
        let Some((group, key)) = known.find(to) else { return Ok(None) };
        let random = [rand::random::<u64>(), rand::random::<u64>()];
        let key = key.filter(|key| !key.is_empty()).or(id);
        let mut members = group.members.lock();
        match members.choose(group.balance, key, random, load) {
            Some(member) => Ok(Some(member.clone())),
            None => Err(format!("the group {to} gives messages to its members by key: name it with a key")),
        }
    }
}

impl KnownGroups {
    fn new(configs: &[GroupConfig]) -> Self {
        let mut groups = HashMap::<String, HashMap<String, Group>>::new();
        for config in configs {
            let group = Group { balance: config.balance, members: Mutex::new(config.group()) };
            groups.entry(config.class.clone()).or_default().insert(config.name.clone(), group);
        }
        Self { configs: configs.to_vec(), groups }
    }

    /// The group that a message to this worker is for, and the key of the message.
    fn find<'a>(&'a self, to: &'a WorkerKey) -> Option<(&'a Group, Option<&'a str>)> {
        let of_class = self.groups.get(&to.class)?;
        let (name, key) = to.group_name();
        Some((of_class.get(name)?, key))
    }
}
