//! What follows from the failure of a worker: restarts by its supervision tree, until that is given up.

use crate::handle::WorkerStatus;
use crate::health::WorkerHealth;
use crate::manager::Manager;
use crate::message::{Content, Stop};
use crate::settings::{WorkerChange, WorkerLifecycle};
use crate::trees::Tree;
use elias_capabilities::Cause;
use elias_capabilities::workers::ErrorCode;
use elias_workers::{TreeDecision, WorkerKey};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::oneshot;

impl Manager {
    /// Says that a worker has failed: too many of its turns were ended, it is not well, or it did not start. Those that
    /// its tree names are restarted by a task of their own.
    pub(crate) fn report_failure(&self, key: &WorkerKey, reason: &str) {
        self.tell(key, WorkerChange::Failed { reason: reason.to_owned() });
        let Some(tree) = self.trees.of(key) else { return };
        let decision = tree.fail(key, reason, self.now());
        let (Some(decision), Some(manager)) = (decision, self.upgrade()) else { return };
        let (key, reason) = (key.clone(), reason.to_owned());
        self.tasks.spawn(async move { manager.follow(&tree, decision, &key, &reason).await });
    }

    /// Starts the workers of trees that do not exist, each tree in its order.
    pub(crate) fn start_trees(&self) {
        let Some(manager) = self.upgrade() else { return };
        for tree in self.trees.all() {
            // Once there is a component, whoever has loaded it says so.
            if tree.workers.first().and_then(|key| self.component(key)).is_none() {
                continue;
            }
            let manager = Arc::clone(&manager);
            self.tasks.spawn(async move { manager.start_tree(&tree).await });
        }
    }

    /// If a worker was given up with its tree, has that run again and starts its workers.
    pub(crate) async fn revive(&self, key: &WorkerKey) {
        let Some(tree) = self.trees.of(key) else { return };
        if tree.revive() {
            self.start_tree(&tree).await;
        }
    }

    async fn start_tree(&self, tree: &Arc<Tree>) {
        let _restarts = tree.restarts.lock().await;
        for key in &tree.workers {
            if !self.runs(tree) {
                return;
            }
            match self.store.summary(key).await {
                // Its owner may be another host, which is left alone.
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.start_worker_of(tree, key).await;
                }
                Err(error) => tracing::warn!(worker = %key, "it is unknown whether the worker exists: {error}"),
            }
        }
    }

    /// Does what a tree has decided since a worker of it failed.
    async fn follow(&self, tree: &Arc<Tree>, decision: TreeDecision<WorkerKey>, failed: &WorkerKey, reason: &str) {
        let name = || tree.name.clone();
        let _restarts = tree.restarts.lock().await;
        let (stop, start) = match decision {
            // Meanwhile there is another tree in its place.
            _ if !self.trees.has(tree) => return,
            // Meanwhile the tree was given up, which stops all of it.
            TreeDecision::Restart { .. } if tree.given_up().is_some() => return,
            TreeDecision::Restart { stop, start } => (stop, start),
            TreeDecision::GiveUp(stop) => (stop, Vec::new()),
        };
        if start.is_empty() {
            tracing::error!(worker = %failed, tree = tree.name, "the supervision tree is given up: {reason}");
            self.tell(failed, WorkerChange::GivenUp { tree: name(), reason: reason.to_owned() });
        } else {
            tracing::warn!(worker = %failed, tree = tree.name, workers = start.len(), "restarts follow: {reason}");
        }
        for key in &stop {
            let (done, stopped) = oneshot::channel();
            self.stop_worker(key, Stop { reason: Value::from(format!("{failed} failed: {reason}")), done });
            if let Ok(Err(error)) = stopped.await {
                tracing::error!(worker = %key, "the worker cannot be stopped for its restart: {}", error.message);
            }
        }
        for key in &start {
            // By one of those before: whatever of it has started is stopped next.
            if !self.runs(tree) {
                return;
            }
            if self.start_worker_of(tree, key).await {
                self.tell(key, WorkerChange::Restarted { tree: name(), reason: reason.to_owned() });
            }
        }
    }

    /// Whether the workers of a tree are started: it is one of those that are configured now, and was not given up.
    fn runs(&self, tree: &Arc<Tree>) -> bool {
        tree.given_up().is_none() && self.trees.has(tree)
    }

    /// Starts a worker of a tree; whether it started. That it fails to counts as a failure.
    async fn start_worker_of(&self, tree: &Tree, key: &WorkerKey) -> bool {
        tree.starts(key);
        match self.call(key.clone(), Content::Start, Cause::default()).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(worker = %key, tree = tree.name, "the worker does not start: {}", error.message);
                // Any other failure is not the worker's, which the next message starts.
                if matches!(error.code, ErrorCode::Exception | ErrorCode::Failed) {
                    self.report_failure(key, &format!("it did not start: {}", error.message));
                }
                false
            }
        }
    }

    fn tell(&self, key: &WorkerKey, change: WorkerChange) {
        if let Some(on_change) = &self.settings.on_change {
            on_change(key, change);
        }
    }

    /// Tells of a change in the life of a worker, which is committed.
    pub(crate) fn tell_lifecycle(&self, key: &WorkerKey, change: WorkerLifecycle) {
        if let Some(on_lifecycle) = &self.settings.on_lifecycle {
            on_lifecycle(key, change);
        }
    }

    /// How much waits for a worker: [`usize::MAX`] if it takes nothing, or is not well.
    pub(crate) fn load(&self, key: &WorkerKey) -> usize {
        if self.trees.given_up(key).is_some() || self.health_of(key).0 == WorkerHealth::Unhealthy {
            return usize::MAX;
        }
        let now = self.now();
        self.existing(key).map_or(0, |handle| handle.load(now))
    }

    /// Whether a worker is well, and why its last check failed, if it did.
    pub(crate) fn health_of(&self, key: &WorkerKey) -> (WorkerHealth, Option<String>) {
        let threshold = self.live().health.map(|health| health.threshold);
        threshold.map_or((WorkerHealth::Unknown, None), |threshold| self.health.health(key, threshold))
    }

    /// Adds to what is shown of a worker what its registration, its checks and its tree say.
    pub(crate) fn complete(&self, status: WorkerStatus) -> WorkerStatus {
        let (health, health_error) = self.health_of(&status.key);
        let tags = self.tags.read().get(&status.key.class).cloned().unwrap_or_default();
        WorkerStatus { health, health_error, tags, given_up: self.trees.given_up(&status.key), ..status }
    }
}
