//! `setTimeout` and its kin, and the monotonic clock behind `performance.now`.

use super::{async_context, require};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::event_loop;
use crate::phase::{self, Import};
use javy::quickjs::{Ctx, Exception, Function, Object, Persistent, Result};
use std::cell::Cell;

/// Timers that one instance may have at a time.
const TIMERS_MAX: usize = 10_000;

struct Start(Cell<Option<u64>>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Start {}

static START: Start = Start(Cell::new(None));

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("setTimer", Function::new(ctx.clone(), set_timer)?)?;
    native.set("clearTimer", Function::new(ctx.clone(), event_loop::clear_timer)?)?;
    native.set("now", Function::new(ctx, now_ms)?)
}

fn set_timer<'js>(ctx: Ctx<'js>, callback: Function<'js>, delay_ms: f64, repeat: bool) -> Result<u32> {
    require(&ctx, Import::MonotonicClock, "setTimeout")?;
    if event_loop::timers() >= TIMERS_MAX {
        let message = format!("{TIMERS_MAX} timers are set, which is the most an instance may have");
        return Err(Exception::throw_range(&ctx, &message));
    }
    let callback = async_context::bind(ctx.clone(), callback);
    Ok(event_loop::set_timer(Persistent::save(&ctx, callback), delay_ms, repeat))
}

/// Milliseconds since this was first asked for; zero during the build.
fn now_ms() -> f64 {
    if phase::building() || !phase::wired(Import::MonotonicClock) {
        return 0.0;
    }
    let now = monotonic_clock::now();
    let start = START.0.get().unwrap_or_else(|| {
        START.0.set(Some(now));
        now
    });
    now.saturating_sub(start) as f64 / 1e6
}
