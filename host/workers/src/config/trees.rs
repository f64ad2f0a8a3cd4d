//! `[[workers.tree]]`: which workers are restarted where one of several fails.

use super::GroupConfig;
use crate::{RestartIntensity, RestartStrategy, SupervisedChild, SupervisionTree, WorkerKey};
use elias_delivery::duration::DurationText;
use elias_delivery::setting::{InvalidSetting, within};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Trees at most.
const TREES_MAX: usize = 100;

/// Workers in all trees at most.
const WORKERS_MAX: usize = 10_000;

/// Characters of the name of a tree at most.
const NAME_CHARACTERS_MAX: usize = 256;

/// A supervisor and its children, in the order in which they are started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TreeConfig {
    /// The name, of 1 to 256 characters, which no other tree has.
    pub name: String,
    /// Which children are restarted where one of them fails; `one-for-one` by default.
    #[serde(default)]
    pub strategy: RestartStrategy,
    /// The children.
    pub children: Vec<ChildConfig>,
    /// The number of failures within `window`, after which the next one is a failure of the tree: 0 to 10,000; 3 by
    /// default.
    #[serde(default = "default_failures")]
    pub failures: u32,
    /// The window of `failures`: 1s to 1 day; 60s by default.
    #[serde(default = "default_window")]
    pub window: DurationText,
}

/// A child of a supervisor: a worker by `class` and `name`, the members of a `group`, or another `tree`, each of which
/// is the child of one supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChildConfig {
    /// The class of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The name of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name of the group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The name of the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
}

/// What a child is.
enum Child<'a> {
    Worker(WorkerKey),
    Group(&'a str),
    Tree(&'a str),
}

fn default_failures() -> u32 {
    3
}

fn default_window() -> DurationText {
    DurationText::from_secs(60)
}

impl ChildConfig {
    /// The child; none if it is not named in one of the three ways.
    fn child(&self) -> Option<Child<'_>> {
        match (&self.class, &self.name, &self.group, &self.tree) {
            (Some(class), Some(name), None, None) => Some(Child::Worker(WorkerKey::new(class.as_str(), name.as_str()))),
            (None, None, Some(group), None) => Some(Child::Group(group)),
            (None, None, None, Some(tree)) => Some(Child::Tree(tree)),
            _ => None,
        }
    }
}

impl TreeConfig {
    /// An error about this tree; `what` continues a sentence that begins with its name.
    fn bad(&self, what: &str) -> InvalidSetting {
        InvalidSetting::new("workers.tree", format!("`{}` {what}", self.name.escape_debug()))
    }
}

/// Checks all trees: the children exist, each is the child of one supervisor, and no tree is below itself.
pub(super) fn check(trees: &[TreeConfig], groups: &[GroupConfig]) -> Result<(), InvalidSetting> {
    within("workers.tree", trees.len(), 0..=TREES_MAX)?;
    let (mut names, mut below, mut workers) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for tree in trees {
        if !(1..=NAME_CHARACTERS_MAX).contains(&tree.name.chars().count()) {
            return Err(tree.bad(&format!("must be a name of 1 to {NAME_CHARACTERS_MAX} characters")));
        }
        if !names.insert(tree.name.as_str()) {
            return Err(tree.bad("is the name of two trees"));
        }
        within("workers.tree.failures", tree.failures, 0..=10_000)?;
        within("workers.tree.window", tree.window, DurationText::from_secs(1)..=DurationText::from_secs(86_400))?;
        if tree.children.is_empty() {
            return Err(tree.bad("has no children"));
        }
        for child in &tree.children {
            let forms = "has a child that is none of { class, name }, { group } and { tree }";
            match child.child().ok_or_else(|| tree.bad(forms))? {
                Child::Tree(name) => {
                    if !trees.iter().any(|known| known.name == name) {
                        return Err(tree.bad(&format!("has the child `{}`, which is no tree", name.escape_debug())));
                    }
                    if !below.insert(name) {
                        let what = format!("has the child `{}`, which is that of another", name.escape_debug());
                        return Err(tree.bad(&what));
                    }
                }
                Child::Group(name) => {
                    let group = groups.iter().find(|group| group.name == name);
                    let unknown = || tree.bad(&format!("has the group `{}`, which is none", name.escape_debug()));
                    for member in group.ok_or_else(unknown)?.members() {
                        add_worker(tree, member, &mut workers)?;
                    }
                }
                Child::Worker(key) => {
                    if let Some(problem) = key.problem() {
                        return Err(tree.bad(&format!("has a child that is no worker: {problem}")));
                    }
                    if groups.iter().any(|group| group.key() == key) {
                        return Err(tree.bad(&format!("has {key}, which is a group and is named by `group`")));
                    }
                    add_worker(tree, key, &mut workers)?;
                }
            }
        }
    }
    within("workers.tree.children", workers.len(), 0..=WORKERS_MAX)?;
    // Each is the child of at most one: those that no root leads to are below themselves.
    let reached: usize = roots(trees).map(|root| count(root, trees)).sum();
    if reached < trees.len() {
        return Err(InvalidSetting::new("workers.tree", "has trees that are below themselves"));
    }
    Ok(())
}

fn add_worker(tree: &TreeConfig, worker: WorkerKey, workers: &mut BTreeSet<WorkerKey>) -> Result<(), InvalidSetting> {
    if workers.contains(&worker) {
        return Err(tree.bad(&format!("has {worker}, which is in a tree already")));
    }
    workers.insert(worker);
    Ok(())
}

/// The trees that are the child of none.
fn roots(trees: &[TreeConfig]) -> impl Iterator<Item = &TreeConfig> {
    let below: BTreeSet<&str> =
        trees.iter().flat_map(|tree| &tree.children).filter_map(|child| child.tree.as_deref()).collect();
    trees.iter().filter(move |tree| !below.contains(tree.name.as_str()))
}

/// The number of trees that this one leads to, itself among them.
fn count(tree: &TreeConfig, trees: &[TreeConfig]) -> usize {
    let below = tree.children.iter().filter_map(|child| child.tree.as_deref());
    let below = below.filter_map(|name| trees.iter().find(|tree| tree.name == name));
    1 + below.map(|child| count(child, trees)).sum::<usize>()
}

/// The trees that are the child of none, by name, with what is below them. The table was checked.
pub(super) fn build(trees: &[TreeConfig], groups: &[GroupConfig]) -> Vec<(String, SupervisionTree<WorkerKey>)> {
    roots(trees).map(|root| (root.name.clone(), supervisor(root, trees, groups))).collect()
}

fn supervisor(tree: &TreeConfig, trees: &[TreeConfig], groups: &[GroupConfig]) -> SupervisionTree<WorkerKey> {
    let children = tree.children.iter().filter_map(ChildConfig::child).flat_map(|child| match child {
        Child::Worker(key) => vec![SupervisedChild::Worker(key)],
        Child::Group(name) => {
            let members = groups.iter().filter(|group| group.name == name).flat_map(GroupConfig::members);
            members.map(SupervisedChild::Worker).collect()
        }
        Child::Tree(name) => {
            let below = trees.iter().filter(|tree| tree.name == name);
            below.map(|tree| SupervisedChild::Supervisor(supervisor(tree, trees, groups))).collect()
        }
    });
    let intensity = RestartIntensity { failures: tree.failures, window: tree.window.get() };
    SupervisionTree::new(tree.strategy, intensity, children)
}

/// The classes of the workers that are named, with what names them.
pub(super) fn classes(trees: &[TreeConfig]) -> impl Iterator<Item = &str> {
    trees.iter().flat_map(|tree| &tree.children).filter_map(|child| child.class.as_deref())
}
