//! Notes that the application's top level makes for the report of a build: warnings, log lines, and the packages in the
//! component.

use crate::error::current_stack;
use javy::quickjs::{Ctx, qjs};
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

struct Report {
    warnings: RefCell<Vec<(&'static str, String)>>,
    logs: RefCell<Vec<(u32, String)>>,
    /// Names and versions of packages that the component says it is made with.
    dependencies: RefCell<Vec<String>>,
    /// Whether the application's top level runs; what the web APIs read while they are loaded is nobody's business.
    watching: Cell<bool>,
    /// The context, for those that are called without one while it runs.
    context: Cell<Option<NonNull<qjs::JSContext>>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Report {}

static REPORT: Report = Report {
    warnings: RefCell::new(Vec::new()),
    logs: RefCell::new(Vec::new()),
    dependencies: RefCell::new(Vec::new()),
    watching: Cell::new(false),
    context: Cell::new(None),
};

/// Runs the application's top level, and notes warnings meanwhile.
pub(crate) fn watch<R>(ctx: &Ctx<'_>, top_level: impl FnOnce() -> R) -> R {
    REPORT.context.set(Some(ctx.as_raw()));
    REPORT.watching.set(true);
    let result = top_level();
    REPORT.watching.set(false);
    REPORT.context.set(None);
    result
}

/// Notes packages that the component says it is made with, one a line.
pub(crate) fn depend_on(packages: String) {
    REPORT.dependencies.borrow_mut().extend(packages.lines().map(str::to_owned));
}

/// Notes that the top level asked for the time.
pub(crate) fn clock_was_read() {
    warn("clock-at-build", None);
}

/// Notes that the top level called `Math.random`.
pub(crate) fn random_was_read(ctx: &Ctx<'_>) {
    warn("random-at-build", Some(ctx));
}

/// Notes that the top level drew a random value, as `[build] random` lets it.
pub(crate) fn random_was_drawn(ctx: &Ctx<'_>) {
    warn("random-per-build", Some(ctx));
}

/// Notes that the top level set a timer.
pub(crate) fn timer_was_set(ctx: &Ctx<'_>) {
    warn("timer-at-build", Some(ctx));
}

/// Notes that the top level read `process.env`.
pub(crate) fn environment_was_read(ctx: &Ctx<'_>) {
    warn("environment-at-build", Some(ctx));
}

fn warn(kind: &'static str, ctx: Option<&Ctx<'_>>) {
    if !REPORT.watching.replace(false) {
        return; // also while the stack is being taken, which itself may ask for the time
    }
    let stack = match ctx {
        Some(ctx) => current_stack(ctx),
        // SAFETY: libc asks for the time in the midst of `watch`, whose caller holds the context; it is not used past
        // this.
        None => REPORT.context.get().map(|ctx| current_stack(&unsafe { Ctx::from_raw(ctx) })).unwrap_or_default(),
    };
    let mut warnings = REPORT.warnings.borrow_mut();
    if !warnings.iter().any(|(seen, at)| *seen == kind && *at == stack) {
        warnings.push((kind, stack));
    }
    REPORT.watching.set(true);
}

/// Keeps the log lines of the top level, for the terminal on which the build runs.
pub(crate) fn record_log(level: u32, message: &str) {
    REPORT.logs.borrow_mut().push((level, message.to_owned()));
}

/// The packages that were noted.
pub(crate) fn take_dependencies() -> Vec<String> {
    REPORT.dependencies.take()
}

/// The warnings that were noted: the kind of each, and the stack of its cause.
pub(crate) fn take_warnings() -> Vec<(&'static str, String)> {
    REPORT.warnings.take()
}

/// The log lines, each a level and a message.
pub(crate) fn take_logs() -> Vec<(u32, String)> {
    REPORT.logs.take()
}
