//! Which version of its component the heap of each worker belongs to, while the worker runs here.

use elias_names::Digest;
use elias_workers::WorkerKey;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;

/// A version of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeapVersion {
    /// Of the version whose code the heap has.
    pub(crate) number: u32,
    /// Of the file of the component whose image the heap is the difference to. That is another version's where a worker
    /// was swapped.
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

/// The event about a worker whose heap belonged to the version `before` and was committed in another one, by its type
/// and data: it has begun, has gone on in that version, with its heap or without, or has gone back to it. `restored` is
/// the turn that it went back to then, and the number of turns that are lost.
pub(super) fn event_of(
    WorkerKey { class, name }: &WorkerKey,
    before: Option<&HeapVersion>,
    now: &HeapVersion,
    restored: Option<(u64, u64)>,
) -> Option<(&'static str, Value)> {
    let version = now.number;
    let Some(before) = before else {
        return Some(("worker.started", json!({ "class": class, "name": name, "version": version })));
    };
    if before == now {
        return None;
    }
    let from = before.number;
    Some(match restored {
        None if before.digest == now.digest => {
            ("worker.swapped", json!({ "class": class, "name": name, "from": from, "version": version }))
        }
        None => ("worker.upgraded", json!({ "class": class, "name": name, "from": from, "version": version })),
        Some((turn, lost)) => {
            let data = json!({
                "class": class, "name": name, "from": from, "version": version, "turn": turn, "lost": lost,
            });
            ("worker.rolled-back", data)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_begins_goes_on_in_another_version_and_goes_back() {
        let version = |number: u32| HeapVersion { number, digest: Digest::of(&number.to_le_bytes()) };
        let key = WorkerKey::new("Cart", "ada");
        let event = |before: Option<u32>, now: u32, restored| {
            event_of(&key, before.map(version).as_ref(), &version(now), restored)
        };
        let data = |more: Value| {
            let mut data = json!({ "class": "Cart", "name": "ada" });
            data.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            data
        };
        assert_eq!(event(None, 1, None), Some(("worker.started", data(json!({ "version": 1 })))));
        assert_eq!(event(Some(1), 1, None), None);
        assert_eq!(event(Some(1), 1, Some((3, 1))), None, "a handler was undone");
        let upgraded = data(json!({ "from": 1, "version": 2 }));
        assert_eq!(event(Some(1), 2, None), Some(("worker.upgraded", upgraded)));
        let same_heap = HeapVersion { number: 2, digest: version(1).digest };
        let swapped = data(json!({ "from": 1, "version": 2 }));
        assert_eq!(event_of(&key, Some(&version(1)), &same_heap, None), Some(("worker.swapped", swapped)));
        let back = data(json!({ "from": 2, "version": 1, "turn": 3, "lost": 5 }));
        assert_eq!(
            event_of(&key, Some(&same_heap), &version(1), Some((3, 5))),
            Some(("worker.rolled-back", back)),
            "one that was swapped goes back, too"
        );
        let rolled_back = data(json!({ "from": 2, "version": 1, "turn": 3, "lost": 5 }));
        assert_eq!(event(Some(2), 1, Some((3, 5))), Some(("worker.rolled-back", rolled_back)));
    }
}
