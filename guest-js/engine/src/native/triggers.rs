//! The decisions of a handler about its job or event other than returning: another attempt, no further attempt, or a
//! wait that outlives the instance.

use super::convert::UsvString;
use javy::quickjs::{Function, Object, Result};
use std::cell::{Cell, RefCell};

/// A handler's decision about its message.
pub(crate) enum Decision {
    /// It wants another attempt, after so many milliseconds or as the retry policy says.
    Retry { after_ms: Option<u64>, reason: String },
    /// It wants no further attempt.
    Reject(String),
}

struct State {
    decision: RefCell<Option<Decision>>,
    /// Whether a step waits for what the host will run the handler again for.
    suspended: Cell<bool>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for State {}

static STATE: State = State { decision: RefCell::new(None), suspended: Cell::new(false) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("retryMessage", Function::new(ctx.clone(), retry)?)?;
    native.set("rejectMessage", Function::new(ctx.clone(), reject)?)?;
    native.set("suspend", Function::new(ctx, || STATE.suspended.set(true))?)
}

fn retry(after_ms: Option<f64>, UsvString(reason): UsvString) {
    let after_ms = after_ms.map(|after| after.max(0.0) as u64);
    STATE.decision.replace(Some(Decision::Retry { after_ms, reason }));
}

fn reject(UsvString(reason): UsvString) {
    STATE.decision.replace(Some(Decision::Reject(reason)));
}

/// The last decision that the handler made; none: how it ended decides.
pub(crate) fn take_decision() -> Option<Decision> {
    STATE.decision.take()
}

/// Whether a step waits for an event or a time for which the host will run the handler again.
pub(crate) fn is_suspended() -> bool {
    STATE.suspended.get()
}
