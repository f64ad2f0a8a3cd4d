//! The errors for executions that a trap, an exception, a deadline or a limit ended.

use super::ExecutionRecord;
use crate::background::AsideError;
use crate::error::{Error, Exception};
use crate::execution::Meter;
use crate::instance::LoadedComponent;
use crate::pricing::{ArgumentTooLarge, HOST_CALL_BYTES_MAX};
use crate::trap_backtrace::{Backtrace, EngineFailure};
use elias_contract::ErrorCode;
use serde::Deserialize;
use std::any::Any;
use wasmtime::Trap;

/// Somebody asked for the execution's end.
pub(crate) fn cancelled() -> Error {
    Error::new(ErrorCode::Cancelled, "the execution was cancelled by hand")
}

/// The end of a guest's run: the panic of a host function, the guest's trap, or its result.
pub(crate) type GuestEnd<T> = Result<wasmtime::Result<T>, Box<dyn Any + Send>>;

/// The error for a guest's trap, or for the panic of a host function.
pub(crate) fn interpret<T>(record: &ExecutionRecord, end: GuestEnd<T>) -> Result<T, Error> {
    match end {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(trapped(record, &error)),
        Err(panic) => {
            let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(component = %record.component.info.name, %message, "a host function panicked");
            Err(Error::new(ErrorCode::Internal, format!("a host function panicked: {message}")))
        }
    }
}

fn trapped(record: &ExecutionRecord, error: &wasmtime::Error) -> Error {
    let (component, meter) = (&record.component, &record.meter);
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Error::new(ErrorCode::Overloaded, format!("all instances are in use: {error}"));
    }
    if error.downcast_ref::<AsideError>() == Some(&AsideError::Deadline) {
        return deadline_passed(record);
    }
    if let Some(EngineFailure(json)) = error.downcast_ref() {
        return handler_failed(component, meter, Some(json));
    }
    let text = component.log.text();
    let memory_cap = meter.reached_memory_cap();
    let backtrace = error.downcast_ref::<Backtrace>().map(|backtrace| text.original_stack(&backtrace.0));
    let place = backtrace.as_deref().map(innermost).unwrap_or_default();
    let error = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            let fuel = record.fuel;
            Error::new(ErrorCode::OutOfFuel, format!("the guest used up its {fuel} units of fuel{place}"))
        }
        Some(Trap::StackOverflow) => {
            Error::new(ErrorCode::StackOverflow, format!("the guest used up its stack{place}"))
        }
        _ if memory_cap.is_some() => out_of_memory(memory_cap.unwrap_or_default(), &place),
        Some(trap) => Error::new(ErrorCode::Trap, format!("the guest trapped{place}: {trap}")),
        None if error.downcast_ref::<ArgumentTooLarge>().is_some() => {
            Error::new(ErrorCode::HostCallTooLarge, format!("the guest was ended{place}: {}", error.root_cause()))
        }
        None if is_lifting_bound(error) => {
            let message = format!(
                "the guest handed more than {HOST_CALL_BYTES_MAX} bytes to the host at once{place}: hand it over in \
                 parts"
            );
            Error::new(ErrorCode::HostCallTooLarge, message)
        }
        None => Error::new(ErrorCode::Trap, format!("the guest was ended{place}: {}", error.root_cause())),
    };
    match backtrace {
        Some(backtrace) => error.with_backtrace(backtrace),
        None => error,
    }
}

/// Whether wasmtime refused to lift as much as a guest gave at once. Its error has no public type.
fn is_lifting_bound(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().starts_with("too much data is being copied between the host and the guest")
}

/// Where a stack's innermost function is: ` in NAME (FILE:LINE:COLUMN)`, or for one of the engine's with who called it.
fn innermost(stack: &str) -> String {
    let mut frames = stack.lines().filter_map(|line| line.trim().strip_prefix("at "));
    let Some(first) = frames.next() else { return String::new() };
    let is_native = |frame: &str| frame.ends_with("(native)");
    match frames.find(|frame| !is_native(frame)) {
        Some(caller) if is_native(first) => format!(" in {}, called by {caller}", first.trim_end_matches(" (native)")),
        _ => format!(" in {first}"),
    }
}

fn out_of_memory(cap: u64, place: &str) -> Error {
    let message = format!("the guest reached its memory cap of {cap} bytes{place}");
    Error::new(ErrorCode::OutOfMemory, message)
}

/// The error for a deadline that has passed.
pub(crate) fn deadline_passed(record: &ExecutionRecord) -> Error {
    Error::new(ErrorCode::Deadline, format!("the guest did not end within {} ms", record.deadline.as_millis()))
}

/// The engine's report of a failed handler; see `to_json` in guest-js/engine/src/error.rs.
#[derive(Deserialize)]
struct HandlerFailure {
    elias: String,
    name: String,
    message: String,
    stack: String,
}

/// The error that a guest gave in place of a response.
pub(crate) fn handler_failed(component: &LoadedComponent, meter: &Meter, text: Option<&str>) -> Error {
    match text.and_then(|text| serde_json::from_str::<HandlerFailure>(text).ok()) {
        Some(HandlerFailure { elias, name, message, stack }) => {
            uncaught_exception(component, meter, &elias, Exception { name, message, stack })
        }
        None => {
            let message = format!("the guest returned an error: {}", text.unwrap_or("it gave no reason"));
            Error::new(ErrorCode::Exception, message)
        }
    }
}

/// Bytes of an exception's class, and of its message and stack each, that are looked at: the limits of
/// `elias:component/call.exception`.
const NAME_BYTES_MAX: usize = 256;
const EXCEPTION_BYTES_MAX: usize = 64 << 10;

/// `text`, or its beginning.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// A text that a guest gave for people, as it may be shown: cut, and without secrets.
pub(crate) fn shown_text(component: &LoadedComponent, text: &str) -> String {
    component.log.text().redact(cut(text, EXCEPTION_BYTES_MAX)).into_owned()
}

/// The error for an exception that left a handler, its stack in original positions.
pub(crate) fn uncaught_exception(
    component: &LoadedComponent,
    meter: &Meter,
    kind: &str,
    exception: Exception,
) -> Error {
    let text = component.log.text();
    // The engine keeps to these; whoever else made the component may not.
    let Exception { name, message, stack } = exception;
    let stack = text.original_stack(cut(&stack, EXCEPTION_BYTES_MAX));
    let exception = Exception {
        name: cut(&name, NAME_BYTES_MAX).to_owned(),
        message: shown_text(component, &message),
        stack: text.redact(&stack).into_owned(),
    };
    if kind == "never-settles" {
        return Error::new(ErrorCode::NeverSettles, exception.message.clone()).with_exception(exception);
    }
    if let Some(cap) = meter.reached_memory_cap() {
        return out_of_memory(cap, &innermost(&exception.stack)).with_exception(exception);
    }
    if meter.is_request_too_large() {
        return request_too_large(component);
    }
    let message = format!("{}: {}", exception.name, exception.message);
    Error::new(ErrorCode::Exception, message).with_exception(exception)
}

/// The error for a request whose body is over its limit.
pub(crate) fn request_too_large(component: &LoadedComponent) -> Error {
    let message = format!("the request's body has more than {} bytes", component.limits.request_bytes);
    Error::new(ErrorCode::RequestTooLarge, message)
}
