//! Supervision trees: which of their workers are being restarted, and which trees were given up.

use elias_workers::{SupervisionTree, TreeDecision, WorkerKey};
use parking_lot::{Mutex, RwLock};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The supervision trees, none of which is below another.
pub(crate) struct Trees(RwLock<KnownTrees>);

struct KnownTrees {
    trees: Vec<Arc<Tree>>,
    /// The tree of each worker.
    of_worker: HashMap<WorkerKey, Arc<Tree>>,
}

/// A supervision tree.
pub(crate) struct Tree {
    pub(crate) name: String,
    /// All workers, in the order in which they are started.
    pub(crate) workers: Vec<WorkerKey>,
    /// The tree as it is configured, of which nothing has failed.
    configured: SupervisionTree<WorkerKey>,
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
        let made = trees.into_iter().map(|(name, configured)| Arc::new(Tree::new(name, configured)));
        Self(RwLock::new(KnownTrees::new(made.collect())))
    }

    /// Has these be the trees from now on. One that is as it was keeps what has failed of it, and whether it was given
    /// up.
    pub(crate) fn configure(&self, trees: Vec<(String, SupervisionTree<WorkerKey>)>) {
        let mut known = self.0.write();
        let configured = trees.into_iter().map(|(name, configured)| {
            let same = known.trees.iter().find(|tree| tree.name == name && tree.configured == configured);
            same.map_or_else(|| Arc::new(Tree::new(name, configured)), Arc::clone)
        });
        let configured = configured.collect();
        *known = KnownTrees::new(configured);
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Tree>> {
        self.0.read().trees.clone()
    }

    /// The tree of a worker; none if it is in none.
    pub(crate) fn of(&self, key: &WorkerKey) -> Option<Arc<Tree>> {
        self.0.read().of_worker.get(key).map(Arc::clone)
    }

    /// Whether a tree is still one of these.
    pub(crate) fn has(&self, tree: &Arc<Tree>) -> bool {
        self.0.read().trees.iter().any(|known| Arc::ptr_eq(known, tree))
    }

    /// Why a worker was given up with its tree, if it was.
    pub(crate) fn given_up(&self, key: &WorkerKey) -> Option<String> {
        self.0.read().of_worker.get(key)?.given_up()
    }

    /// The workers that were given up.
    pub(crate) fn all_given_up(&self) -> Vec<WorkerKey> {
        let known = self.0.read();
        let given_up = known.trees.iter().filter(|tree| tree.given_up().is_some());
        given_up.flat_map(|tree| tree.workers.iter().cloned()).collect()
    }
}

impl KnownTrees {
    fn new(trees: Vec<Arc<Tree>>) -> Self {
        let of_tree = |tree: &Arc<Tree>| {
            let tree = Arc::clone(tree);
            tree.workers.clone().into_iter().map(move |key| (key, Arc::clone(&tree)))
        };
        let of_worker = trees.iter().flat_map(of_tree).collect();
        Self { trees, of_worker }
    }
}

impl Tree {
    fn new(name: String, configured: SupervisionTree<WorkerKey>) -> Self {
        let state = TreeState { supervisors: configured.clone(), restarting: HashSet::new(), given_up: None };
        let workers = configured.workers();
        Self { name, workers, configured, state: Mutex::new(state), restarts: tokio::sync::Mutex::default() }
    }

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
