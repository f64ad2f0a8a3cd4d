//! The run phase: the exports by which a host runs the handlers.

mod triggers;
mod worker;

use crate::bindings::exports::elias::component::call::{Exception, Guest as CallGuest};
use crate::bindings::exports::elias::component::fetch::Guest as FetchGuest;
use crate::bindings::exports::wasi::http::incoming_handler::Guest as HttpGuest;
use crate::bindings::wasi::http::types::{ErrorCode, IncomingRequest, ResponseOutparam};
use crate::error::ExceptionText;
use crate::event_loop::{self, StallError};
use crate::native::{self, Trigger};
use crate::{application, log, runtime, trap_report, uncaught};
use javy::quickjs::{Ctx, Promise, Value, promise::PromiseState};

/// The component's exports.
pub(crate) struct Component;

/// How a handler failed.
enum Failure {
    /// An exception left it.
    Exception(ExceptionText),
    /// It awaits what can never happen.
    NeverSettles,
    /// The body of its response does.
    NeverEnds,
}

impl Failure {
    fn into_parts(self) -> (&'static str, ExceptionText) {
        let message = match self {
            Self::Exception(thrown) => return ("exception", thrown),
            Self::NeverSettles => {
                "the handler awaits a promise that nothing can settle: no timer is set and nothing is under way"
            }
            Self::NeverEnds => {
                "the response's body never ends: its stream is not closed, no timer is set and nothing is under way; \
                 close the stream, end the response or close the writer"
            }
        };
        ("never-settles", ExceptionText { name: "Error".into(), message: message.into(), stack: String::new() })
    }
}

impl HttpGuest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        native::set_request(request);
        native::set_response_out(out, false);
        answer();
    }
}

impl FetchGuest for Component {
    fn handle(message: Vec<u8>, request: Option<IncomingRequest>, out: ResponseOutparam) -> Option<Vec<u8>> {
        native::set_message(message, request);
        native::set_response_out(out, true);
        answer();
        native::take_response_message()
    }
}

/// Answers the request that was set.
fn answer() {
    native::timers::start();
    let outcome = runtime::with(|ctx| {
        run_fetch(&ctx)?;
        // A body that was handed over whole may still be on its way.
        if event_loop::run_until(&ctx, native::response_finished).is_err() {
            return Err(Failure::NeverSettles);
        }
        finish_background(&ctx);
        Ok(())
    });
    if let Err(failure) = outcome {
        fail(failure);
    }
    native::release();
}

/// Answers with the failure, if no headers were sent; breaks the response off if they were.
fn fail(failure: Failure) {
    // An exception that broke the body off is the reason, whatever came of it.
    let failure = native::take_response_failure().map_or(failure, Failure::Exception);
    let state = native::take_response_state();
    let failure = match (failure, &state) {
        (Failure::NeverSettles, native::ResponseState::Body(_) | native::ResponseState::Held { .. }) => {
            Failure::NeverEnds
        }
        (failure, _) => failure,
    };
    let (kind, thrown) = failure.into_parts();
    match state {
        native::ResponseState::Waiting(Some(out)) | native::ResponseState::Held { out, .. } => {
            ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some(thrown.to_json(kind)))));
        }
        state @ (native::ResponseState::Body(_) | native::ResponseState::Broken) => {
            // `wasi:http` takes no reason with a body that is broken off: the host reads it after the trap.
            trap_report::set_failure(thrown.to_json(kind));
            event_loop::run_deferred();
            drop(state);
            core::arch::wasm32::unreachable();
        }
        native::ResponseState::Waiting(None) | native::ResponseState::Finished => log::uncaught(&thrown),
    }
}

impl CallGuest for Component {
    fn call(input: String) -> Result<String, Exception> {
        native::timers::start();
        native::set_input(input);
        let outcome = runtime::with(|ctx| -> Result<(), Failure> {
            run_handler(&ctx, Trigger::Call)?;
            finish_background(&ctx);
            Ok(())
        });
        native::release();
        match outcome {
            Ok(()) => Ok(native::take_output().unwrap_or_else(|| "null".into())),
            Err(failure) => {
                let (kind, ExceptionText { name, message, stack }) = failure.into_parts();
                let name = if kind == "exception" { name } else { kind.to_owned() };
                Err(Exception { name, message, stack })
            }
        }
    }
}

/// Calls the application's `fetch`, and sends what it gave, or what its promise was fulfilled with.
fn run_fetch(ctx: &Ctx<'_>) -> Result<(), Failure> {
    let exception = |error| Failure::Exception(ExceptionText::catch(ctx, &error));
    let called =
        application::implementation(ctx).and_then(|application| native::fetch_handler::call(ctx, &application));
    let Some(mut response) = called.map_err(exception)? else {
        return run_handler(ctx, Trigger::Fetch);
    };
    if let Some(promise) = response.as_promise() {
        response = fulfilled(ctx, promise)?;
    }
    match native::fetch_handler::finish(ctx, &response).map_err(exception)?.into_promise() {
        Some(promise) => settle(ctx, &promise),
        None => Ok(()),
    }
}

/// The value of a fulfilled promise. No job is run after the one that settles it: a response need not wait for them.
fn fulfilled<'js>(ctx: &Ctx<'js>, promise: &Promise<'js>) -> Result<Value<'js>, Failure> {
    uncaught::expect(ctx, promise);
    let is_settled = || promise.state() != PromiseState::Pending;
    while !is_settled() && event_loop::run_one_job(ctx) {}
    if !is_settled() {
        event_loop::run_until(ctx, is_settled).map_err(|StallError| Failure::NeverSettles)?;
    }
    match promise.result::<Value<'_>>() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Failure::Exception(ExceptionText::catch(ctx, &error))),
        None => Err(Failure::NeverSettles),
    }
}

/// Calls the handler and, if it gave a promise, turns the loop until that settles.
fn run_handler(ctx: &Ctx<'_>, trigger: Trigger) -> Result<(), Failure> {
    let returned = native::handler(ctx, trigger)
        .and_then(|handler| handler.call::<_, Value<'_>>((application::implementation(ctx)?,)))
        .map_err(|error| Failure::Exception(ExceptionText::catch(ctx, &error)))?;
    match returned.into_promise() {
        Some(promise) => settle(ctx, &promise),
        None => Ok(()),
    }
}

fn settle<'js>(ctx: &Ctx<'js>, promise: &Promise<'js>) -> Result<(), Failure> {
    uncaught::expect(ctx, promise);
    event_loop::run_until(ctx, || promise.state() != PromiseState::Pending)
        .map_err(|StallError| Failure::NeverSettles)?;
    match promise.result::<Value<'_>>() {
        Some(Err(error)) => Err(Failure::Exception(ExceptionText::catch(ctx, &error))),
        _ => Ok(()),
    }
}

/// Waits for what was given to `waitUntil`, and for what that gives to it in turn.
fn finish_background(ctx: &Ctx<'_>) {
    loop {
        let background = native::take_background();
        if background.is_empty() {
            return;
        }
        for promise in background {
            let Ok(promise) = promise.restore(ctx) else { continue };
            if let Err(failure) = settle(ctx, &promise) {
                log::uncaught(&failure.into_parts().1);
            }
        }
    }
}
