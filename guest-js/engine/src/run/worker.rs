//! The export `elias:triggers/worker`: runs the turns of a service worker.

use super::{Component, Failure};
use crate::bindings::elias::triggers::types::Exception;
use crate::bindings::exports::elias::triggers::worker::Guest as WorkerGuest;
use crate::error::ExceptionText;
use crate::event_loop::{self, StallError};
use crate::{native, runtime, uncaught};
use javy::quickjs::{Ctx, Promise, Value, promise::PromiseState};

impl WorkerGuest for Component {
    fn run(turn: String) -> Result<String, Exception> {
        native::timers::start();
        native::set_input(turn);
        let outcome = runtime::with(|ctx| run(&ctx));
        native::release_turn();
        outcome.map_err(|failure| {
            let (kind, ExceptionText { name, message, stack }) = failure.into_parts();
            let name = if kind == "exception" { name } else { kind.to_owned() };
            Exception { name, message, stack }
        })
    }
}

/// Runs the turn that is the input; gives its result.
fn run(ctx: &Ctx<'_>) -> Result<String, Failure> {
    let exception = |error| Failure::Exception(ExceptionText::catch(ctx, &error));
    let handler = native::worker::begin(ctx).map_err(exception)?.into_promise();
    if let Some(promise) = &handler {
        uncaught::expect(ctx, promise);
    }
    let state = || handler.as_ref().map_or(PromiseState::Resolved, Promise::state);
    let has_failed = || uncaught::has_kept() || state() == PromiseState::Rejected;
    // It stalls where nothing of the host is under way any more, which is how a turn ends.
    let (Ok(()) | Err(StallError)) = event_loop::run_until(ctx, has_failed);
    if let Some(Err(error)) = handler.as_ref().and_then(|promise| promise.result::<Value<'_>>()) {
        return Err(exception(error));
    }
    if let Some(thrown) = uncaught::take_kept() {
        return Err(Failure::Exception(thrown));
    }
    // The next turn of a handler that waits expects its promise again.
    uncaught::forget_expected();
    let is_done = state() != PromiseState::Pending;
    native::worker::finish(ctx, is_done).map_err(exception)?.ok_or(Failure::NeverSettles)
}
