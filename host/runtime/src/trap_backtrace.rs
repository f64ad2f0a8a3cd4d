//! The JavaScript backtrace of a trap. The engine reads it from the memory that is left of the instance: what was
//! running when the instance was ended, or why the engine itself ended it.
//!
//! The application is not called again: only the engine's `elias_failure` and `elias_running`, which change nothing but
//! a text of their own. They run in the sandbox with fuel of their own, and what they give is the guest's word.

use crate::instance::InstanceState;
use futures::FutureExt;
use std::fmt;
use wasmtime::{Store, Trap, WasmCoreDump};

/// The engine's exports: each gives the address of a text's address and length. The first tells what was running, the
/// second why the engine trapped: it could not say so in a response that was under way.
const RUNNING: &str = "elias_running";
const FAILURE: &str = "elias_failure";

/// Units of fuel for telling.
const FUEL: u64 = 5_000_000;

/// Bytes of the texts that are read. A failure's name, message and stack are bounded by the engine; JSON may double
/// them.
const RUNNING_BYTES_MAX: usize = 4096;
const FAILURE_BYTES_MAX: usize = 512 * 1024;

/// The stack trace of the running code, in positions of the bundle; a context of the error that ended it.
#[derive(Debug)]
pub(crate) struct Backtrace(pub(crate) String);

impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "running:\n{}", self.0)
    }
}

/// The failure for which the engine ended the instance, as the JSON of a failed handler; a context of the error that
/// ended it.
#[derive(Debug)]
pub(crate) struct EngineFailure(pub(crate) String);

impl fmt::Display for EngineFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the engine ended it: {}", self.0)
    }
}

/// `error`, which ended the instance, with [`EngineFailure`] or [`Backtrace`] where the engine can tell.
pub(crate) fn add_backtrace(store: &mut Store<InstanceState>, error: wasmtime::Error) -> wasmtime::Error {
    let left = store.get_fuel().unwrap_or(0);
    let trapped = matches!(error.downcast_ref::<Trap>(), Some(Trap::UnreachableCodeReached));
    let failure = trapped.then(|| tell(store, &error, FAILURE, FAILURE_BYTES_MAX)).flatten();
    let text = match failure {
        None => tell(store, &error, RUNNING, RUNNING_BYTES_MAX),
        Some(_) => None,
    };
    // The guest does not pay for it.
    let _ = store.set_fuel(left);
    match (failure, text) {
        (Some(failure), _) => error.context(EngineFailure(failure)),
        (None, Some(text)) => error.context(Backtrace(text)),
        (None, None) => error,
    }
}

/// The text that an export of the engine gives, unless it is empty.
fn tell(store: &mut Store<InstanceState>, error: &wasmtime::Error, export: &str, bytes_max: usize) -> Option<String> {
    let dump = error.downcast_ref::<WasmCoreDump>()?;
    for instance in dump.instances() {
        let Ok(tell) = instance.get_typed_func::<(), u32>(&mut *store, export) else { continue };
        // The application's, which the engine imports.
        let memory = *dump.memories().first()?;
        store.set_fuel(FUEL).ok()?;
        store.fuel_async_yield_interval(None).ok()?;
        // Polled once: the engine has nothing to wait for, and whatever else has this export does not get to wait.
        let told = tell.call_async(&mut *store, ()).now_or_never()?.ok()? as usize;
        let bytes = memory.data(&*store);
        let number = |at: usize| {
            let bytes = bytes.get(at..at.checked_add(4)?)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
        };
        let (start, length) = (number(told)?, number(told.checked_add(4)?)?.min(bytes_max));
        let text = bytes.get(start..start.checked_add(length)?)?;
        return Some(String::from_utf8_lossy(text).into_owned()).filter(|text| !text.is_empty());
    }
    None
}
