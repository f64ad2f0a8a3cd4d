//! Groups: several workers behind one name, of which one gets a message.

use elias_workers::config::{Balance, GroupConfig};
use elias_workers::{WorkerGroup, WorkerKey};
use parking_lot::Mutex;
use std::collections::HashMap;

/// The groups, by class and name.
///
/// A message names a group by its name, or by that and a key: `pool` or `pool/user-42`. So a key stands wherever a
/// worker's name does: in calls of components, in the admin API, and in routes.
#[derive(Default)]
pub(crate) struct Groups(HashMap<String, HashMap<String, Group>>);

struct Group {
    balance: Balance,
    members: Mutex<WorkerGroup>,
}

impl Groups {
    pub(crate) fn new(configs: &[GroupConfig]) -> Self {
        let mut groups = Self::default();
        for config in configs {
            let group = Group { balance: config.balance, members: Mutex::new(config.group()) };
            groups.0.entry(config.class.clone()).or_default().insert(config.name.clone(), group);
        }
        groups
    }

    /// Whether a message to this worker is one to a group.
    pub(crate) fn has(&self, to: &WorkerKey) -> bool {
        self.find(to).is_some()
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
        let Some((group, key)) = self.find(to) else { return Ok(None) };
        let random = [rand::random::<u64>(), rand::random::<u64>()];
        let key = key.filter(|key| !key.is_empty()).or(id);
        let mut members = group.members.lock();
        match members.choose(group.balance, key, random, load) {
            Some(member) => Ok(Some(member.clone())),
            None => Err(format!("the group {to} gives messages to its members by key: name it with a key")),
        }
    }

    /// The group that a message to this worker is for, and the key of the message.
    fn find<'a>(&'a self, to: &'a WorkerKey) -> Option<(&'a Group, Option<&'a str>)> {
        let of_class = self.0.get(&to.class)?;
        let (name, key) = to.group_name();
        Some((of_class.get(name)?, key))
    }
}
