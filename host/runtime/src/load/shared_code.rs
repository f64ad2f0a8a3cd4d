//! Compiled code that components of one shape share.
//!
//! What is left of a component of `elias-build` without its image is the same for all that import and export the same.
//! Its code is not read, checked, mapped and linked again for each of them.

use super::interfaces::ImportedCapability;
use crate::handlers::Exports;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::{Arc, Weak};

/// The code of a component, linked.
pub(super) struct LinkedCode {
    pub(super) exports: Exports,
    pub(super) imported: Vec<ImportedCapability>,
}

/// The code of the loaded components, by the SHA-256 of its source.
#[derive(Default)]
pub(super) struct SharedCode {
    loaded: Mutex<HashMap<String, Weak<LinkedCode>>>,
}

impl SharedCode {
    /// The code of the source with this digest, if a loaded component has it.
    pub(super) fn get(&self, digest: &str) -> Option<Arc<LinkedCode>> {
        self.loaded().get(digest)?.upgrade()
    }

    /// Shares the code of the source with this digest. Returns the other code if another component was faster.
    pub(super) fn insert(&self, digest: String, code: LinkedCode) -> Arc<LinkedCode> {
        let mut loaded = self.loaded();
        if let Some(other) = loaded.get(&digest).and_then(Weak::upgrade) {
            return other;
        }
        // What was unloaded leaves nothing behind.
        loaded.retain(|_, code| code.strong_count() > 0);
        let code = Arc::new(code);
        loaded.insert(digest, Arc::downgrade(&code));
        code
    }

    fn loaded(&self) -> MutexGuard<'_, HashMap<String, Weak<LinkedCode>>> {
        self.loaded.lock() // whole after every operation
    }
}
