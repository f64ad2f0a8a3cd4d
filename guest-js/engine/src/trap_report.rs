//! The report of an instance that trapped: the JavaScript that was running, and the reason if the engine itself ended
//! it.

use javy::quickjs::{Ctx, qjs};
use std::cell::{Cell, UnsafeCell};

unsafe extern "C" {
    /// Of `quickjs/stack_traces.c`.
    fn elias_running_functions(ctx: *mut qjs::JSContext, text: *mut u8, size: usize) -> usize;
}

/// Bytes of the text that [`elias_running`] gives.
const RUNNING_BYTES_MAX: usize = 4096;

/// The state of [`elias_running`]: none of it is behind a lock, which would still be held by what was ended.
struct TrapState {
    ctx: Cell<*mut qjs::JSContext>,
    text: UnsafeCell<[u8; RUNNING_BYTES_MAX]>,
    /// Address and length of the text.
    location: Cell<[usize; 2]>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for TrapState {}

static RUNNING: TrapState = TrapState {
    ctx: Cell::new(std::ptr::null_mut()),
    text: UnsafeCell::new([0; RUNNING_BYTES_MAX]),
    location: Cell::new([0; 2]),
};

/// Sets the context whose JavaScript is reported.
pub(crate) fn set_context(ctx: &Ctx<'_>) {
    RUNNING.ctx.set(ctx.as_raw().as_ptr());
}

/// The stack trace of the JavaScript that was running when the instance was ended: the address of its address and
/// length. A host calls this after a trap and never calls anything of the instance again.
#[unsafe(no_mangle)]
extern "C" fn elias_running() -> *const [usize; 2] {
    let (ctx, text) = (RUNNING.ctx.get(), RUNNING.text.get().cast::<u8>());
    let length = match ctx.is_null() {
        true => 0,
        // SAFETY: the context lives as long as the memory; the text has that many bytes and nothing else refers to it.
        false => unsafe { elias_running_functions(ctx, text, RUNNING_BYTES_MAX) },
    };
    RUNNING.location.set([text as usize, length]);
    RUNNING.location.as_ptr()
}

/// Address and length of why the instance traps: see [`set_failure`].
struct Failure(Cell<[usize; 2]>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Failure {}

static FAILURE: Failure = Failure(Cell::new([0; 2]));

/// Keeps the JSON of a failure that could not be given as a response, for [`elias_failure`]; the instance then traps.
pub(crate) fn set_failure(json: String) {
    let json = json.leak();
    FAILURE.0.set([json.as_ptr() as usize, json.len()]);
}

/// Why the engine itself ended the instance: the address of the address and length of a JSON text, of length 0 if it
/// did not. A host calls this after a trap.
#[unsafe(no_mangle)]
extern "C" fn elias_failure() -> *const [usize; 2] {
    FAILURE.0.as_ptr()
}
