//! Which JavaScript was running when an instance was ended, told by the engine from the memory that was left.
//!
//! The application is not called again: only the engine's `elias_running`, which changes nothing but a text of its own. It runs
//! in the sandbox with fuel of its own, and what it gives is the guest's word.

use crate::instance::InstanceState;
use futures::FutureExt;
use std::fmt;
use wasmtime::{Store, WasmCoreDump};

/// The engine's export: gives the address of a text's address and length.
const EXPORT: &str = "elias_running";

/// Units of fuel for telling.
const FUEL: u64 = 5_000_000;

/// Bytes of the text that are read.
const TEXT_BYTES_MAX: usize = 4096;

/// The stack trace of what was running, in positions of the bundle; a context of the error that ended it.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) String);

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "running:\n{}", self.0)
    }
}

/// `error`, which ended the instance, with [`Running`] where the engine can tell.
pub(crate) fn examine(store: &mut Store<InstanceState>, error: wasmtime::Error) -> wasmtime::Error {
    let left = store.get_fuel().unwrap_or(0);
    let text = running(store, &error);
    // What it cost is not the guest's.
    let _ = store.set_fuel(left);
    match text {
        Some(text) if !text.is_empty() => error.context(Running(text)),
        _ => error,
    }
}

fn running(store: &mut Store<InstanceState>, error: &wasmtime::Error) -> Option<String> {
    let dump = error.downcast_ref::<WasmCoreDump>()?;
    for instance in dump.instances() {
        let Ok(tell) = instance.get_typed_func::<(), u32>(&mut *store, EXPORT) else { continue };
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
        let (start, length) = (number(told)?, number(told.checked_add(4)?)?.min(TEXT_BYTES_MAX));
        let text = bytes.get(start..start.checked_add(length)?)?;
        return Some(String::from_utf8_lossy(text).into_owned());
    }
    None
}
