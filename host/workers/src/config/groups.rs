//! `[[workers.group]]`: several workers behind one name.

use crate::group::Balance;
use crate::{WorkerGroup, WorkerKey};
use elias_delivery::setting::{InvalidSetting, within};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Groups at most.
const GROUPS_MAX: usize = 100;

/// Members of a group at most.
const SIZE_MAX: u32 = 1_000;

/// Several workers of one class behind one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GroupConfig {
    /// The name. No other group has it, and it has neither `/` nor `#`.
    pub name: String,
    /// The class of the members.
    pub class: String,
    /// How many members there are: 1 to 1,000. They are named `NAME#1`, `NAME#2` and so on.
    pub size: u32,
    /// Which member gets a message; `round-robin` by default.
    #[serde(default)]
    pub balance: Balance,
}

impl GroupConfig {
    /// What messages to the group name.
    #[must_use]
    pub fn key(&self) -> WorkerKey {
        WorkerKey::new(self.class.as_str(), self.name.as_str())
    }

    /// The members, from the first on.
    pub fn members(&self) -> impl Iterator<Item = WorkerKey> {
        (1..=self.size).map(move |number| self.member(number))
    }

    /// The members as a group, none of which had a message.
    #[must_use]
    pub fn group(&self) -> WorkerGroup {
        WorkerGroup::new(self.members())
    }

    fn member(&self, number: u32) -> WorkerKey {
        WorkerKey::new(self.class.as_str(), format!("{}#{number}", self.name))
    }
}

/// Checks all groups.
pub(super) fn check(groups: &[GroupConfig]) -> Result<(), InvalidSetting> {
    within("workers.group", groups.len(), 0..=GROUPS_MAX)?;
    let mut names = BTreeSet::new();
    for group in groups {
        within("workers.group.size", group.size, 1..=SIZE_MAX)?;
        let GroupConfig { name, size, .. } = group;
        let bad = |what: &str| InvalidSetting::new("workers.group.name", format!("`{}` {what}", name.escape_debug()));
        if name.is_empty() || name.contains(['/', '#']) {
            return Err(bad("must be a name without / and #"));
        }
        if let Some(problem) = group.member(*size).problem() {
            return Err(bad(&format!("and `class` do not name workers: {problem}")));
        }
        if !names.insert(name.as_str()) {
            return Err(bad("is the name of two groups"));
        }
    }
    Ok(())
}
