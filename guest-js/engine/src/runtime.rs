//! The one QuickJS runtime of this memory.

use crate::error::Thrown;
use crate::native;
use javy::quickjs::context::intrinsic;
use javy::quickjs::loader::{ImportAttributes, Loader, Resolver};
use javy::quickjs::{Context, Ctx, Error, IntoJs, Module, Result, Value, WriteOptions, module::Declared, qjs};
use javy::{Config, Runtime};
use std::cell::{Cell, UnsafeCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// QuickJS's own limit on its C stack, in bytes of the shadow stack (1 MiB, see `engine.sh`). Hosts must give at least
/// as much native stack as this much recursion needs; `elias-host` does, with `max_wasm_stack`.
const STACK_BYTES_MAX: usize = 256 * 1024;

/// Bytes of JavaScript heap at which cycles are first looked for. Most requests end before.
const GC_THRESHOLD_BYTES: usize = 16 * 1024 * 1024;

unsafe extern "C" {
    /// Of `inside-quickjs.h`.
    fn elias_allow_eval(ctx: *mut qjs::JSContext, allow: bool);
    /// Of `quickjs/json.c`.
    fn elias_install_json(ctx: *mut qjs::JSContext);
    /// Of the same.
    fn elias_parse_json(ctx: *mut qjs::JSContext, text: qjs::JSValue) -> qjs::JSValue;
    /// Of `quickjs/immortal.c`.
    fn elias_make_immortal(runtime: *mut qjs::JSRuntime, spare_atoms: i32, spare_shapes: i32);
    /// Of `quickjs/stack_traces.c`.
    fn elias_running_functions(ctx: *mut qjs::JSContext, text: *mut u8, size: usize) -> usize;
}

/// Says whether strings can be compiled as code from now on: by eval, and by the constructors of functions. Where they cannot
/// be, an EvalError is thrown. It counts for the application's own modules too, so they must be compiled before.
pub(crate) fn allow_eval(ctx: &Ctx<'_>, allow: bool) {
    // SAFETY: the context is valid; the function changes one of its pointers.
    unsafe { elias_allow_eval(ctx.as_raw().as_ptr(), allow) }
}

/// How many atoms and shapes there is room for before a table of them moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spare {
    pub(crate) atoms: i32,
    pub(crate) shapes: i32,
}

/// Makes all that lives immortal: its reference counts are not written to any more, and no cycle is looked for in it.
/// Once the web modules are there, so that an application's image differs little from the base, and again at the end of
/// the build phase, so that a request writes to what it changes, and not to what it looks at.
pub(crate) fn make_immortal(spare: Spare) {
    with(|ctx| {
        ctx.run_gc();
        // SAFETY: no JavaScript runs, and the runtime is the context's.
        unsafe { elias_make_immortal(qjs::JS_GetRuntime(ctx.as_raw().as_ptr()), spare.atoms, spare.shapes) }
    });
}

/// Bytes of the text that [`elias_running`] gives.
const RUNNING_BYTES_MAX: usize = 4096;

/// What [`elias_running`] works with: none of it is behind a lock, which would still be held by what was ended.
struct Running {
    ctx: Cell<*mut qjs::JSContext>,
    text: UnsafeCell<[u8; RUNNING_BYTES_MAX]>,
    /// Address and length of the text.
    told: Cell<[usize; 2]>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Running {}

static RUNNING: Running = Running {
    ctx: Cell::new(std::ptr::null_mut()),
    text: UnsafeCell::new([0; RUNNING_BYTES_MAX]),
    told: Cell::new([0; 2]),
};

/// The stack trace of the JavaScript that was running when the instance was ended: the address of its address and length.
/// A host calls this after a trap and never calls anything of the instance again.
#[unsafe(no_mangle)]
extern "C" fn elias_running() -> *const [usize; 2] {
    let (ctx, text) = (RUNNING.ctx.get(), RUNNING.text.get().cast::<u8>());
    let length = match ctx.is_null() {
        true => 0,
        // SAFETY: the context lives as long as the memory; the text has that many bytes and nothing else refers to it.
        false => unsafe { elias_running_functions(ctx, text, RUNNING_BYTES_MAX) },
    };
    RUNNING.told.set([text as usize, length]);
    RUNNING.told.as_ptr()
}

/// Address and length of why the instance traps: see [`tell_failure`].
struct Failure(Cell<[usize; 2]>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Failure {}

static FAILURE: Failure = Failure(Cell::new([0; 2]));

/// Keeps the JSON of a failure that could not be given as a response, for [`elias_failure`]; the instance then traps.
pub(crate) fn tell_failure(json: String) {
    let json = json.leak();
    FAILURE.0.set([json.as_ptr() as usize, json.len()]);
}

/// Why the engine itself ended the instance: the address of the address and length of a JSON text, of length 0 if it did
/// not. A host calls this after a trap.
#[unsafe(no_mangle)]
extern "C" fn elias_failure() -> *const [usize; 2] {
    FAILURE.0.as_ptr()
}

/// What JSON.parse makes of a text, whatever scripts have put in its place.
pub(crate) fn parse_json<'js>(ctx: &Ctx<'js>, json: &[u8]) -> Result<Value<'js>> {
    let text = String::from_utf8_lossy(json).into_js(ctx)?;
    // SAFETY: the text lives through the call, and what it gives is ours, or an exception that the context has.
    let value = unsafe {
        let value = elias_parse_json(ctx.as_raw().as_ptr(), text.as_raw());
        Value::from_raw(ctx.clone(), value)
    };
    // SAFETY: the tag alone is looked at.
    if unsafe { qjs::JS_IsException(value.as_raw()) } { Err(Error::Exception) } else { Ok(value) }
}

struct Slot(UnsafeCell<Option<Runtime>>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Slot {}

static RUNTIME: Slot = Slot(UnsafeCell::new(None));

/// Creates the runtime, once, in the build phase.
pub(crate) fn create() -> std::result::Result<(), String> {
    let mut config = Config::default();
    config.gc_threshold(GC_THRESHOLD_BYTES).max_stack_size(STACK_BYTES_MAX).weak_ref(true);
    let runtime = Runtime::new(config).map_err(|error| format!("{error:#}"))?;
    runtime.context().runtime().set_host_promise_rejection_tracker(Some(Box::new(native::uncaught::track)));
    // SAFETY: one thread, and no reference to the slot's content exists before this line.
    unsafe { *RUNTIME.0.get() = Some(runtime) };
    with(|ctx| {
        RUNNING.ctx.set(ctx.as_raw().as_ptr());
        // SAFETY: the context is valid and has its global object.
        unsafe { elias_install_json(ctx.as_raw().as_ptr()) };
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
pub(crate) fn offer(modules: BTreeMap<String, String>) -> std::result::Result<(), String> {
    // SAFETY: one thread; called in the build phase, outside of `with`.
    let runtime = unsafe { &*RUNTIME.0.get() };
    if let Some(runtime) = runtime {
        let compiled = modules.into_iter().map(|(name, source)| {
            let bytecode = compile_without_source(&name, &source)?;
            Ok((name, bytecode))
        });
        let compiled = Rc::new(compiled.collect::<std::result::Result<BTreeMap<_, _>, String>>()?);
        let modules = || WebModules(Rc::clone(&compiled));
        runtime.context().runtime().set_loader(modules(), modules());
    }
    Ok(())
}

/// The bytecode of web modules by name, for `import` between them. The application itself is one module: its imports were bundled.
struct WebModules(Rc<BTreeMap<String, Vec<u8>>>);

type Attributes<'js> = Option<ImportAttributes<'js>>;

impl Resolver for WebModules {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, base: &str, name: &str, _: Attributes<'js>) -> Result<String> {
        // What an application imports by name is a web module that was loaded before it.
        if let Some(capability) = name.strip_prefix("elias/") {
            return Ok(match capability {
                "forms" => "elias:web/forms/index.js".to_owned(),
                "test" => "elias:web/testing/index.js".to_owned(),
                _ => format!("elias:web/capabilities/{capability}.js"),
            });
        }
        if let Some(builtin) = name.strip_prefix("node:") {
            return Ok(format!("elias:web/node/{builtin}.js"));
        }
        Ok(if name == native::MODULE { name.to_owned() } else { resolve_relative(base, name) })
    }
}

impl Loader for WebModules {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Attributes<'js>) -> Result<Module<'js, Declared>> {
        if name == native::MODULE {
            return Module::declare_def::<native::Native, _>(ctx.clone(), name);
        }
        let Some(bytecode) = self.0.get(name) else { return Err(Error::new_loading(name)) };
        // SAFETY: the bytecode was written just now by the same QuickJS.
        unsafe { Module::load(ctx.clone(), bytecode) }
    }
}

/// Bytecode of a web module without its text, which `Function.prototype.toString` would show and every image would carry.
/// It is compiled in a runtime of its own, since a context keeps every module that it ever declared.
fn compile_without_source(name: &str, source: &str) -> std::result::Result<Vec<u8>, String> {
    let fail = |error: Error| format!("compiling {name}: {error}");
    let runtime = javy::quickjs::Runtime::new().map_err(fail)?;
    runtime.set_max_stack_size(STACK_BYTES_MAX);
    runtime.set_loader(Unlinked, Unlinked);
    let context = Context::custom::<(intrinsic::Eval, intrinsic::RegExpCompiler)>(&runtime).map_err(fail)?;
    context.with(|ctx| {
        let options = WriteOptions { strip_source: true, strip_debug: true, ..WriteOptions::default() };
        let written = Module::declare(ctx.clone(), name, source).and_then(|module| module.write(options));
        written.map_err(|error| Thrown::catch(&ctx, &error).message)
    })
}

/// Stands for whatever a module imports while it is compiled; nothing is linked there.
struct Unlinked;

impl Resolver for Unlinked {
    fn resolve<'js>(&mut self, _: &Ctx<'js>, _: &str, name: &str, _: Attributes<'js>) -> Result<String> {
        Ok(name.to_owned())
    }
}

impl Loader for Unlinked {
    fn load<'js>(&mut self, ctx: &Ctx<'js>, name: &str, _: Attributes<'js>) -> Result<Module<'js, Declared>> {
        Module::declare(ctx.clone(), name, "")
    }
}

/// `../b/c.js` seen from `elias:web/a/d.js` is `elias:web/b/c.js`.
fn resolve_relative(base: &str, name: &str) -> String {
    if !name.starts_with('.') {
        return name.to_owned();
    }
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
