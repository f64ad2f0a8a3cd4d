//! Which version of its component the heap of each worker belongs to, while the worker runs here.

use elias_names::Digest;
use elias_workers::WorkerKey;
use parking_lot::Mutex;
use std::collections::HashMap;

/// A version of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeapVersion {
    pub(crate) number: u32,
    /// Of the component's file.
    pub(crate) digest: Digest,
}

/// The versions of the workers of a service that this host owns. Whoever runs turns says them where their pages are
/// committed, and commits store them: a component is kept for as long as there is a heap of it.
#[derive(Debug, Default)]
pub(crate) struct HeapVersions(Mutex<HashMap<WorkerKey, HeapVersion>>);

impl HeapVersions {
    /// The heap of a worker belongs to this version from here on.
    pub(crate) fn set(&self, key: &WorkerKey, version: &HeapVersion) {
        let mut versions = self.0.lock(); // the map is whole after every operation
        if versions.get(key) != Some(version) {
            versions.insert(key.clone(), version.clone());
        }
    }

    /// The version of a worker, if its turns were committed here, or its owner before said it.
    pub(super) fn get(&self, key: &WorkerKey) -> Option<HeapVersion> {
        self.0.lock().get(key).cloned()
    }

    /// The worker is not this host's any more.
    pub(super) fn forget(&self, key: &WorkerKey) {
        self.0.lock().remove(key);
    }
}
