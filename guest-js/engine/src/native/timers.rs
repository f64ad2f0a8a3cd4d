//! `setTimeout` and its kin, and the monotonic clock behind `performance.now`.

use super::{async_context, require};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::phase::{self, Import};
use crate::{build_report, event_loop};
use javy::quickjs::function::Opt;
use javy::quickjs::{Ctx, Exception, Function, Object, Persistent, Result};
use std::cell::Cell;

/// The resolution of the clock that scripts see, in nanoseconds: "coarsen time" of High Resolution Time (section 4), 5
/// microseconds as for an isolated context. A finer one would help to measure caches of the processor.
const RESOLUTION_NS: u64 = 5_000;

/// Timers that one instance may have at a time.
const TIMERS_MAX: usize = 10_000;

struct Start {
    /// The monotonic clock at the start of what runs, if there is one.
    clock: Cell<Option<u64>>,
    /// Milliseconds that scripts have seen pass before: of a worker, until its turn began.
    elapsed_ms: Cell<f64>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Start {}

static START: Start = Start { clock: Cell::new(None), elapsed_ms: Cell::new(0.0) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("setTimer", Function::new(ctx.clone(), set_timer)?)?;
    native.set("queueTask", Function::new(ctx.clone(), queue_task)?)?;
    native.set("clearTimer", Function::new(ctx.clone(), event_loop::clear_timer)?)?;
    native.set("now", Function::new(ctx, now_ms)?)
}

/// Sets a timer. One that is `immediate` stands for a task, which a worker's turn does not end without.
fn set_timer<'js>(
    ctx: Ctx<'js>,
    callback: Function<'js>,
    delay_ms: f64,
    repeat: bool,
    immediate: Opt<bool>,
) -> Result<u32> {
    if phase::building() {
        // It could never be due: no time passes during the build, and no request is there yet. Packages that sweep
        // their caches set one when they are imported, and an exception would keep them from being built at all.
        build_report::timer_was_set(&ctx);
        return Ok(event_loop::unused_timer());
    }
    require(&ctx, Import::MonotonicClock, "setTimeout")?;
    if event_loop::timers() >= TIMERS_MAX {
        let message = format!("{TIMERS_MAX} timers are set, which is the most an instance may have");
        return Err(Exception::throw_range(&ctx, &message));
    }
    let callback = async_context::bind(ctx.clone(), callback);
    Ok(event_loop::set_timer(Persistent::save(&ctx, callback), delay_ms, repeat, immediate.0.unwrap_or(false)))
}

/// Calls `callback` in a later turn of the event loop, after what was queued before it. It needs no clock.
fn queue_task<'js>(ctx: Ctx<'js>, callback: Function<'js>) {
    let callback = async_context::bind(ctx.clone(), callback);
    event_loop::queue_task(Persistent::save(&ctx, callback));
}

/// Notes that the instance, or a turn of its worker, starts now, if it has a clock.
pub(crate) fn start() {
    if phase::wired(Import::MonotonicClock) {
        START.clock.set(Some(monotonic_clock::now()));
    }
}

/// Sets the clock that scripts see to this many milliseconds, from which it goes on.
pub(super) fn set_elapsed(milliseconds: f64) {
    START.elapsed_ms.set(milliseconds);
}

/// Forgets the time at the end of a worker's turn.
pub(super) fn stop() {
    START.clock.set(None);
    START.elapsed_ms.set(0.0);
}

/// Milliseconds since the instance, or its worker, started; zero during the build.
fn now_ms() -> f64 {
    let elapsed = match START.clock.get() {
        Some(start) => {
            let elapsed = monotonic_clock::now().saturating_sub(start);
            (elapsed - elapsed % RESOLUTION_NS) as f64 / 1e6
        }
        None => 0.0,
    };
    START.elapsed_ms.get() + elapsed
}
