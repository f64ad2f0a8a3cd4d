//! The workers that have something to do, now or later.

use crate::handle::WorkerHandle;
use elias_workers::{WaitGraph, WorkerKey};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// The workers of a manager.
#[derive(Default)]
pub(crate) struct Directory {
    /// The workers that have a task: which are in memory, or for which something waits.
    pub(crate) handles: HashMap<WorkerKey, Arc<WorkerHandle>>,
    /// When the timers of workers are due next, and the same by worker.
    due: BTreeSet<(u64, WorkerKey)>,
    due_of: HashMap<WorkerKey, u64>,
    /// Which workers wait for which.
    pub(crate) waits: WaitGraph,
}

impl Directory {
    /// Says when a worker goes on of itself next.
    pub(crate) fn set_due(&mut self, key: &WorkerKey, at: Option<u64>) {
        if let Some(before) = self.due_of.remove(key) {
            self.due.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.due.insert((at, key.clone()));
            self.due_of.insert(key.clone(), at);
        }
    }

    /// Takes the worker out that is due first, if it is by now.
    ///
    /// # Errors
    /// When the next one is due, if one is.
    pub(crate) fn take_due(&mut self, now: u64) -> Result<WorkerKey, Option<u64>> {
        match self.due.first().cloned() {
            Some((at, key)) if at <= now => {
                // The worker says when the next one is due once it has had its turn.
                self.set_due(&key, None);
                Ok(key)
            }
            next => Err(next.map(|(at, _)| at)),
        }
    }
}
