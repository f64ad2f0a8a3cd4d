//! The JavaScript engines that were compiled, each in a linker that all components made with it share.

use crate::error::Error;
use crate::instance::InstanceState;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::sync::Arc;
use wasmtime::component::Linker;

/// Whether loading may compile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompilePolicy {
    /// Components that are not in the cache are compiled.
    Allowed,
    /// Only what is in the cache is loaded.
    Forbidden,
}

/// A linker that has an engine.
pub(super) struct EngineLinker {
    pub(super) linker: Linker<InstanceState>,
    /// The sections by which a thin component imports the engine.
    pub(super) import: Vec<u8>,
    /// Bytes of the engine's stack; see [`elias_contract::image::stack_bytes`].
    pub(super) stack_bytes: usize,
}

/// For each engine, by digest, a linker that has it.
#[derive(Default)]
pub(super) struct EngineLinkers {
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

/// An engine's linker, once there is one. The lock is held while the engine is compiled, so that an engine which many
/// components bring at once is compiled once.
type Slot = Mutex<Option<Arc<EngineLinker>>>;

impl EngineLinkers {
    /// The linker of an engine that a component brought before; none if none did.
    ///
    /// # Errors
    /// [`Busy`].
    pub(super) fn get(&self, digest: &str, compiling: CompilePolicy) -> Result<Option<Arc<EngineLinker>>, Busy> {
        let slot = self.slots().get(digest).cloned();
        slot.map_or(Ok(None), |slot| lock(&slot, compiling).map(|linker| linker.clone()))
    }

    /// The linker of an engine; `make` makes it if it is new. None if `make` makes none, or another is at it and must
    /// not be waited for.
    ///
    /// # Errors
    /// Those of `make`.
    pub(super) fn get_or_make(
        &self,
        digest: &str,
        compiling: CompilePolicy,
        make: impl FnOnce() -> Result<Option<EngineLinker>, Error>,
    ) -> Result<Option<Arc<EngineLinker>>, Error> {
        let slot = Arc::clone(self.slots().entry(digest.to_owned()).or_default());
        let Ok(mut linker) = lock(&slot, compiling) else { return Ok(None) };
        if let Some(linker) = linker.as_ref() {
            return Ok(Some(Arc::clone(linker)));
        }
        match make() {
            Ok(Some(made)) => Ok(Some(Arc::clone(linker.insert(Arc::new(made))))),
            none => {
                self.forget(digest, &slot);
                none.map(|_| None)
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.slots.lock() // the map is whole after every operation
    }

    /// Removes a slot in which there is nothing, unless another is at it: components that are refused leave nothing
    /// behind.
    fn forget(&self, digest: &str, slot: &Arc<Slot>) {
        let mut slots = self.slots();
        // A holder of the slot got it from the map, which is ours here.
        if Arc::strong_count(slot) == 2 {
            slots.remove(digest);
        }
    }
}

/// The engine is being compiled, which must not be waited for.
pub(super) struct Busy;

/// Locks a slot, once nobody compiles into it.
fn lock(slot: &Slot, compiling: CompilePolicy) -> Result<MutexGuard<'_, Option<Arc<EngineLinker>>>, Busy> {
    match (slot.try_lock(), compiling) {
        (Some(linker), _) => Ok(linker),
        (None, CompilePolicy::Allowed) => Ok(slot.lock()),
        (None, CompilePolicy::Forbidden) => Err(Busy),
    }
}
