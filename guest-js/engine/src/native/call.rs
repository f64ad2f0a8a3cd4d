//! The message of a handler that takes JSON, and its result: of `call`, `scheduled`, `job`, `event` and
//! `events`.

use javy::quickjs::{Function, Object, Result};
use std::cell::RefCell;

struct Exchange {
    input: RefCell<String>,
    output: RefCell<Option<String>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Exchange {}

static EXCHANGE: Exchange = Exchange { input: RefCell::new(String::new()), output: RefCell::new(None) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("callInput", Function::new(ctx.clone(), || EXCHANGE.input.take())?)?;
    native.set("callOutput", Function::new(ctx, |json: String| drop(EXCHANGE.output.replace(Some(json))))?)
}

/// Keeps the input for the handler.
pub(crate) fn set_input(input: String) {
    EXCHANGE.input.replace(input);
}

/// The result of the handler; none if it gave none.
pub(crate) fn take_output() -> Option<String> {
    EXCHANGE.output.take()
}
