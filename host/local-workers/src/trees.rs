//! Supervision trees: which of their workers are being restarted, and which trees were given up.

use elias_workers::{SupervisionTree, TreeDecision, WorkerKey};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};

/// The supervision trees, none of which is below another.
pub(crate) struct Trees {
    trees: Vec<Tree>,
    /// The tree of each worker, by its position.
    of_worker: HashMap<WorkerKey, usize>,
}

/// A supervision tree.
pub(crate) struct Tree {
    pub(crate) name: String,
    /// All workers, in the order in which they are started.
    pub(crate) workers: Vec<WorkerKey>,
    state: Mutex<TreeState>,
    /// Held while workers are started or restarted: one restart follows another.
    pub(crate) restarts: tokio::sync::Mutex<()>,
}

struct TreeState {
    supervisors: SupervisionTree<WorkerKey>,
    /// Workers that are about to be restarted: that they fail until then has no consequences.
    restarting: HashSet<WorkerKey>,
    /// Why the tree was given up.
    given_up: Option<String>,
}

impl Trees {
    pub(crate) fn new(trees: Vec<(String, SupervisionTree<WorkerKey>)>) -> Self {
        let made = trees.into_iter().map(|(name, supervisors)| Tree {
            name,
            workers: supervisors.workers(),
            state: Mutex::new(TreeState { supervisors, restarting: HashSet::new(), given_up: None }),
            restarts: tokio::sync::Mutex::default(),
        });
        let trees: Vec<Tree> = made.collect();
        let workers = trees.iter().enumerate();
        let of_worker =
            workers.flat_map(|(position, tree)| tree.workers.iter().map(move |key| (key.clone(), position)));
        let of_worker = of_worker.collect();
        Self { trees, of_worker }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.trees.len()
    }

    /// The tree at this position.
    pub(crate) fn get(&self, position: usize) -> Option<&Tree> {
        self.trees.get(position)
    }

    /// The position of a worker's tree; none if it is in none.
    pub(crate) fn position_of(&self, key: &WorkerKey) -> Option<usize> {
        self.of_worker.get(key).copied()
    }

    fn of(&self, key: &WorkerKey) -> Option<&Tree> {
        self.trees.get(self.position_of(key)?)
    }

    /// Why a worker was given up with its tree, if it was.
    pub(crate) fn given_up(&self, key: &WorkerKey) -> Option<String> {
        self.of(key)?.given_up()
    }

    /// The workers that were given up.
    pub(crate) fn all_given_up(&self) -> Vec<WorkerKey> {
        let given_up = self.trees.iter().filter(|tree| tree.given_up().is_some());
        given_up.flat_map(|tree| tree.workers.iter().cloned()).collect()
    }
}

impl Tree {
    /// Why it was given up, if it was.
    pub(crate) fn given_up(&self) -> Option<String> {
        self.state.lock().given_up.clone()
    }

    /// Decides what follows from the failure of a worker at this time; none if it is about to be restarted as it is, or
    /// the tree was given up.
    pub(crate) fn fail(&self, key: &WorkerKey, reason: &str, now: u64) -> Option<TreeDecision<WorkerKey>> {
        let mut state = self.state.lock();
        if state.given_up.is_some() || state.restarting.contains(key) {
            return None;
        }
        let decision = state.supervisors.fail(key, now)?;
        match &decision {
            TreeDecision::Restart { start, .. } => state.restarting.extend(start.iter().cloned()),
            TreeDecision::GiveUp(_) => {
                state.restarting.clear();
                let name = self.name.escape_debug();
                let why = format!("the supervision tree {name} was given up, since its workers failed too often: ");
                state.given_up = Some(format!("{why}at last {key}: {reason}"));
            }
        }
        Some(decision)
    }

    /// A worker is started: from here on its failures count.
    pub(crate) fn starts(&self, key: &WorkerKey) {
        self.state.lock().restarting.remove(key);
    }

    /// Has a tree that was given up run again, as if nothing of it had failed; whether it was given up.
    pub(crate) fn revive(&self) -> bool {
        let mut state = self.state.lock();
        let was_given_up = state.given_up.take().is_some();
        if was_given_up {
            state.supervisors.forget_failures();
        }
        was_given_up
    }
}
