//! The one QuickJS runtime of this memory: makes it, and runs functions in it.

use crate::web_modules::WebModules;
use crate::{json, native, trap_report, uncaught};
use javy::quickjs::{Ctx, qjs};
use javy::{Config, Runtime};
use std::cell::UnsafeCell;
use std::collections::BTreeMap;

/// QuickJS's own limit on its C stack, in bytes of the shadow stack (1 MiB, see `engine.sh`). Hosts must give at least
/// as much native stack as this much recursion needs; `elias-host` does, with `max_wasm_stack`.
const STACK_BYTES_MAX: usize = 256 * 1024;

/// Bytes of JavaScript heap at which cycles are first looked for. Most requests end before.
const GC_THRESHOLD_BYTES: usize = 16 * 1024 * 1024;

unsafe extern "C" {
    /// Of `inside-quickjs.h`.
    fn elias_allow_eval(ctx: *mut qjs::JSContext, allow: bool);
    /// Of `quickjs/immortal.c`.
    fn elias_make_immortal(runtime: *mut qjs::JSRuntime, spare_atoms: i32, spare_shapes: i32);
}

/// Sets whether strings can be compiled as code from now on: by eval, and by the constructors of functions. Where they
/// cannot be, an EvalError is thrown. It counts for the application's own modules too, so they must be compiled before.
pub(crate) fn allow_eval(ctx: &Ctx<'_>, allow: bool) {
    // SAFETY: the context is valid; the function changes one of its pointers.
    unsafe { elias_allow_eval(ctx.as_raw().as_ptr(), allow) }
}

/// The spare room for atoms and shapes: as many can be added before their table moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare {
    pub(crate) atoms: i32,
    pub(crate) shapes: i32,
}

/// Makes all live objects immortal: nothing writes to their reference counts, and the cycle collector skips them. It
/// runs once the web modules are loaded, so that an application's image differs little from the base, and again at the
/// end of the build phase, so that a request writes only to objects that it changes, not to those that it reads.
pub(crate) fn make_immortal(spare: Spare) {
    with(|ctx| {
        ctx.run_gc();
        // SAFETY: no JavaScript runs, and the runtime is the context's.
        unsafe { elias_make_immortal(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), spare.atoms, spare.shapes) }
    });
}

struct Slot(UnsafeCell<Option<Runtime>>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Slot {}

static RUNTIME: Slot = Slot(UnsafeCell::new(None));

/// Creates the runtime, once, in the build phase.
pub(crate) fn create() -> Result<(), String> {
    let mut config = Config::default();
    config.gc_threshold(GC_THRESHOLD_BYTES).max_stack_size(STACK_BYTES_MAX).weak_ref(true);
    let runtime = Runtime::new(config).map_err(|error| format!("{error:#}"))?;
    runtime.context().runtime().set_host_promise_rejection_tracker(Some(Box::new(uncaught::track)));
    // SAFETY: one thread, and no reference to the slot's content exists before this line.
    unsafe { *RUNTIME.0.get() = Some(runtime) };
    with(|ctx| {
        trap_report::set_context(&ctx);
        json::install(&ctx);
        native::replace_builtins(&ctx)
    })
    .map_err(|error| format!("{error}"))
}

/// Runs `f` in the JavaScript context.
pub(crate) fn with<R>(f: impl FnOnce(Ctx<'_>) -> R) -> R {
    // SAFETY: one thread; the runtime is only written by `create`, before any call of this.
    let runtime = unsafe { &*RUNTIME.0.get() };
    match runtime {
        Some(runtime) => runtime.context().with(f),
        None => core::arch::wasm32::unreachable(), // not booted: no image was made by elias-build
    }
}

/// Compiles web modules and makes them loadable by name; an empty map takes back what was offered.
///
/// # Errors
/// Which module cannot be compiled, and why.
pub(crate) fn offer(modules: BTreeMap<String, String>) -> Result<(), String> {
    // SAFETY: one thread; called in the build phase, outside of `with`.
    let runtime = unsafe { &*RUNTIME.0.get() };
    if let Some(runtime) = runtime {
        let modules = WebModules::compile(modules, STACK_BYTES_MAX)?;
        runtime.context().runtime().set_loader(modules.clone(), modules);
    }
    Ok(())
}
