//! One run of a guest: its store, its meter, its record, and the meaning of its end.

use crate::app::{App, AppInner};
use crate::aside::Stopped;
use crate::error::{Error, ErrorCode, Exception};
use crate::execution::{Caller, Execution, HostCalls, Outcome, Running};
use crate::instance::InstanceState;
use crate::log;
use crate::post_mortem;
use crate::pricing::{ArgumentTooLarge, HOST_CALL_BYTES_MAX};
use crate::recycling::{Export, Idle, Instance};
use serde::Deserialize;
use std::any::Any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use wasmtime::Trap;

/// What a run has taken so far, readable after the run is gone.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    fuel: AtomicU64,
    memory_peak_bytes: AtomicU64,
    memory_denied: AtomicBool,
    request_too_large: AtomicBool,
    host_calls: Mutex<Vec<HostCalls>>,
    sent_bytes: AtomicU64,
    /// Units of fuel for work that is not charged yet.
    work: AtomicU64,
}

impl Meter {
    fn host_calls(&self) -> MutexGuard<'_, Vec<HostCalls>> {
        self.host_calls.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    /// A call to a capability has ended.
    pub(crate) fn host_call(&self, capability: &'static str, time: Duration) {
        let mut all = self.host_calls();
        match all.iter_mut().find(|calls| calls.capability == capability) {
            Some(calls) => {
                calls.calls = calls.calls.saturating_add(1);
                calls.time = calls.time.saturating_add(time);
            }
            None => all.push(HostCalls { capability, calls: 1, time }),
        }
    }

    /// Work was done that is to be charged.
    pub(crate) fn works(&self, units: u64) {
        self.work.fetch_add(units, Ordering::Relaxed);
    }

    /// The units of work that was done and not charged yet; whoever takes them charges them.
    pub(crate) fn take_work(&self) -> u64 {
        // A look first: most calls find nothing, and a look is cheaper than an exchange.
        if self.work.load(Ordering::Relaxed) == 0 { 0 } else { self.work.swap(0, Ordering::Relaxed) }
    }

    /// So many bytes go to another server.
    pub(crate) fn sends(&self, bytes: u64) {
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Memory now has this many bytes. It never shrinks.
    pub(crate) fn memory(&self, bytes: u64) {
        self.memory_peak_bytes.store(bytes, Ordering::Relaxed);
    }

    /// The guest asked for more memory than its cap.
    pub(crate) fn deny_memory(&self) {
        self.memory_denied.store(true, Ordering::Relaxed);
    }

    /// The request's body went over its limit.
    pub(crate) fn refuse_request(&self) {
        self.request_too_large.store(true, Ordering::Relaxed);
    }
}

/// An instance during an execution. It tells the meter what it used when it goes, however it goes.
pub(crate) struct Metered<E: Export> {
    /// There until this is dropped.
    instance: Option<Instance<E>>,
    idle: Arc<Idle<E>>,
    has_returned: bool,
    running: Running,
    meter: Arc<Meter>,
    fuel: u64,
}

impl<E: Export> Metered<E> {
    /// An instance for one run of `app`.
    ///
    /// # Errors
    /// `overloaded`, if the host has no room for one.
    pub(crate) fn new(app: &App, record: &Record, caller: Arc<Caller>) -> Result<Self, Error> {
        let (app, idle) = (&app.inner, E::idle(app));
        let id: Arc<str> = record.running.id().into();
        let state = InstanceState::new(app, id, record.ends(app), Arc::clone(&record.meter), caller);
        let mut instance = idle.take(app, state)?;
        let store = &mut instance.store;
        store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
        let fuel = app.limits.fuel;
        let set = store
            .set_fuel(fuel)
            .and_then(|()| store.fuel_async_yield_interval(Some(app.limits.fuel_yield_interval.max(1))));
        set.map_err(|error| Error::new(ErrorCode::Internal, format!("fuel: {error:#}")))?;
        let (idle, running, meter) = (Arc::clone(idle), record.running.clone(), Arc::clone(&record.meter));
        Ok(Self { instance: Some(instance), idle, has_returned: false, running, meter, fuel })
    }

    pub(crate) fn instance(&mut self) -> &mut Instance<E> {
        self.instance.as_mut().expect("it is there until this is dropped")
    }

    /// Ends the run of a handler that returned: its instance can be used again.
    pub(crate) fn returned(mut self) {
        self.has_returned = true;
    }
}

impl<E: Export> Drop for Metered<E> {
    fn drop(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        let store = &instance.store;
        let unsettled = store.data().charges.pending().saturating_add(self.meter.take_work());
        let left = store.get_fuel().unwrap_or(0).saturating_sub(unsettled);
        self.meter.fuel.store(self.fuel.saturating_sub(left), Ordering::Relaxed);
        self.idle.give_back(instance, self.has_returned, &self.running);
    }
}

/// The record of a run. Dropped before it was ended, it says that the run was cancelled.
pub(crate) struct Record {
    app: Arc<AppInner>,
    running: Running,
    started: Instant,
    pub(crate) meter: Arc<Meter>,
}

impl Record {
    pub(crate) fn start(app: &App, running: Running) -> Self {
        Self { app: Arc::clone(&app.inner), running, started: Instant::now(), meter: Arc::new(Meter::default()) }
    }

    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// When the run has to have ended.
    pub(crate) fn ends(&self, app: &AppInner) -> Instant {
        self.started + Duration::from_millis(app.limits.deadline_ms)
    }

    /// Ends the record, after the guest is gone.
    pub(crate) fn end(&self, outcome: Outcome) -> Execution {
        let execution = Execution {
            id: self.running.id().to_owned(),
            duration: self.started.elapsed(),
            fuel: self.meter.fuel.load(Ordering::Relaxed),
            memory_peak_bytes: self.meter.memory_peak_bytes.load(Ordering::Relaxed),
            host_calls: std::mem::take(&mut *self.meter.host_calls()),
            sent_bytes: self.meter.sent_bytes.load(Ordering::Relaxed),
            outcome,
        };
        self.running.end(execution.clone());
        execution
    }

    /// Ends the record with a failure, which is logged, and gives the error that carries it.
    pub(crate) fn fail(&self, error: Error) -> Error {
        log::failure(&self.app, self.running.id(), &error);
        let execution = self.end(Outcome::Failed(error.code()));
        error.with_execution(execution)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.running.execution().is_none() {
            self.end(Outcome::Cancelled);
        }
    }
}

/// Somebody asked for the execution's end.
pub(crate) fn cancelled() -> Error {
    Error::new(ErrorCode::Cancelled, "the execution was cancelled by hand")
}

/// How a guest's run ended: the panic of a host function, the guest's trap, or what it gave.
pub(crate) type Ended<T> = Result<wasmtime::Result<T>, Box<dyn Any + Send>>;

/// What a guest's trap, or the panic of a host function, means.
pub(crate) fn ended<T>(app: &AppInner, meter: &Meter, ended: Ended<T>) -> Result<T, Error> {
    match ended {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(trapped(app, meter, &error)),
        Err(panic) => {
            let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            tracing::error!(component = %app.name, %message, "a host function panicked");
            Err(Error::new(ErrorCode::Internal, format!("a host function panicked: {message}")))
        }
    }
}

fn trapped(app: &AppInner, meter: &Meter, error: &wasmtime::Error) -> Error {
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return Error::new(ErrorCode::Overloaded, format!("all instances are in use: {error}"));
    }
    if error.downcast_ref::<Stopped>() == Some(&Stopped::Deadline) {
        return deadline(app);
    }
    if let Some(post_mortem::Failure(json)) = error.downcast_ref() {
        return refused(app, meter, Some(json));
    }
    let running = error.downcast_ref::<post_mortem::Running>().map(|running| app.original_stack(&running.0));
    let place = running.as_deref().map(innermost).unwrap_or_default();
    let error = match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            let fuel = app.limits.fuel;
            Error::new(ErrorCode::OutOfFuel, format!("the guest used up its {fuel} units of fuel{place}"))
        }
        Some(Trap::StackOverflow) => {
            Error::new(ErrorCode::StackOverflow, format!("the guest used up its stack{place}"))
        }
        _ if meter.memory_denied.load(Ordering::Relaxed) => out_of_memory(app, &place),
        Some(trap) => Error::new(ErrorCode::Trap, format!("the guest trapped{place}: {trap}")),
        None if error.downcast_ref::<ArgumentTooLarge>().is_some() => {
            Error::new(ErrorCode::HostCallTooLarge, format!("the guest was ended{place}: {}", error.root_cause()))
        }
        None if is_lifting_bound(error) => {
            let message = format!(
                "the guest handed more than {HOST_CALL_BYTES_MAX} bytes to the host at once{place}: hand it over in parts"
            );
            Error::new(ErrorCode::HostCallTooLarge, message)
        }
        None => Error::new(ErrorCode::Trap, format!("the guest was ended{place}: {}", error.root_cause())),
    };
    match running {
        Some(running) => error.with_running(running),
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

fn out_of_memory(app: &AppInner, place: &str) -> Error {
    let message = format!("the guest reached its memory cap of {} bytes{place}", app.limits.memory_bytes);
    Error::new(ErrorCode::OutOfMemory, message)
}

/// The error for a deadline that has passed.
pub(crate) fn deadline(app: &AppInner) -> Error {
    Error::new(ErrorCode::Deadline, format!("the guest did not end within {} ms", app.limits.deadline_ms))
}

/// What the engine says of a failed handler; see `to_json` in guest-js/engine/src/error.rs.
#[derive(Deserialize)]
struct Thrown {
    elias: String,
    name: String,
    message: String,
    stack: String,
}

/// The error that a guest gave in place of a response.
pub(crate) fn refused(app: &AppInner, meter: &Meter, text: Option<&str>) -> Error {
    match text.and_then(|text| serde_json::from_str::<Thrown>(text).ok()) {
        Some(Thrown { elias, name, message, stack }) => thrown(app, meter, &elias, Exception { name, message, stack }),
        None => {
            let message = format!("the guest answered with an error: {}", text.unwrap_or("it gave no reason"));
            Error::new(ErrorCode::Exception, message)
        }
    }
}

/// Bytes of an exception's class, and of its message and stack each, that are looked at: the limits of `elias:component/call.exception`.
const NAME_BYTES_MAX: usize = 256;
const EXCEPTION_BYTES_MAX: usize = 64 << 10;

/// `text`, or its beginning.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The error for an exception that left a handler, its stack in original positions.
pub(crate) fn thrown(app: &AppInner, meter: &Meter, kind: &str, exception: Exception) -> Error {
    // The engine keeps to these; whoever else made the component may not.
    let Exception { name, message, stack } = exception;
    let stack = app.original_stack(cut(&stack, EXCEPTION_BYTES_MAX));
    let exception = Exception {
        name: cut(&name, NAME_BYTES_MAX).to_owned(),
        message: app.redact(cut(&message, EXCEPTION_BYTES_MAX)).into_owned(),
        stack: app.redact(&stack).into_owned(),
    };
    if kind == "never-settles" {
        return Error::new(ErrorCode::NeverSettles, exception.message.clone()).with_exception(exception);
    }
    if meter.memory_denied.load(Ordering::Relaxed) {
        return out_of_memory(app, &innermost(&exception.stack)).with_exception(exception);
    }
    if meter.request_too_large.load(Ordering::Relaxed) {
        return too_large(app);
    }
    let message = format!("{}: {}", exception.name, exception.message);
    Error::new(ErrorCode::Exception, message).with_exception(exception)
}

/// The error for a request whose body is over its limit.
pub(crate) fn too_large(app: &AppInner) -> Error {
    let message = format!("the request's body has more than {} bytes", app.limits.request_bytes);
    Error::new(ErrorCode::RequestTooLarge, message)
}
