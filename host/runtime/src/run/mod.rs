//! Runs an execution: takes an instance for it, measures what it uses, and records how it ended.
//!
//! - `end`: what the end of a guest means, as an error.

mod end;

pub(crate) use end::{
    GuestEnd, cancelled, deadline_passed, handler_failed, interpret, request_too_large, shown_text, uncaught_exception,
};

use crate::error::Error;
use crate::execution::{Caller, Execution, ExecutionHandle, Meter, Outcome};
use crate::instance::{ExecutionBounds, InstanceState, LoadedComponent};
use crate::limits::RequestLimits;
use crate::pricing::HOST_CALL_BYTES_MAX;
use crate::recycling::{Handler, Instance, InstanceSource, ReadyInstance};
use elias_contract::ErrorCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An instance during an execution. It tells the meter what it used when it goes, however it goes.
pub(crate) struct ActiveInstance<H: Handler> {
    /// There until this is dropped.
    instance: Option<Instance<H>>,
    source: InstanceSource<H>,
    has_returned: bool,
    running: ExecutionHandle,
    meter: Arc<Meter>,
    fuel: u64,
}

impl<H: Handler> ActiveInstance<H> {
    /// An instance for an execution of the component; `extensions` are for its capabilities.
    ///
    /// # Errors
    /// `overloaded`, if the host has no room for one.
    pub(crate) fn new(
        source: InstanceSource<H>,
        record: &ExecutionRecord,
        caller: Arc<Caller>,
        extensions: Option<Arc<http::Extensions>>,
    ) -> Result<Self, Error> {
        let id: Arc<str> = record.running.id().into();
        let (component, limits) = (&record.component, &record.component.limits);
        let bounds = record.bounds();
        let state = InstanceState::new(component, id, bounds, Arc::clone(&record.meter), caller, extensions);
        let mut instance = source.take(state)?;
        let store = &mut instance.store;
        store.set_hostcall_fuel(HOST_CALL_BYTES_MAX);
        let fuel = bounds.fuel;
        let set = store
            .set_fuel(fuel)
            .and_then(|()| store.fuel_async_yield_interval(Some(limits.fuel_yield_interval.max(1))));
        set.map_err(|error| Error::new(ErrorCode::Internal, format!("fuel: {error:#}")))?;
        let (running, meter) = (record.running.clone(), Arc::clone(&record.meter));
        Ok(Self { instance: Some(instance), source, has_returned: false, running, meter, fuel })
    }

    /// The data of its store.
    pub(crate) fn state(&mut self) -> &mut InstanceState {
        self.instance.as_mut().expect("it is there until this is dropped").store.data_mut()
    }

    /// Prepares a call of the handler; instantiates the component if it was not yet.
    ///
    /// # Errors
    /// If it cannot be instantiated.
    pub(crate) async fn ready(&mut self) -> wasmtime::Result<ReadyInstance<'_, H>> {
        let instance = self.instance.as_mut().expect("it is there until this is dropped");
        instance.ready(self.source.template()).await
    }

    /// Ends the execution of a handler that returned: its instance can be used again, or has its worker's turn.
    pub(crate) fn returned(mut self) {
        self.has_returned = true;
    }
}

impl<H: Handler> Drop for ActiveInstance<H> {
    fn drop(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        let store = &instance.store;
        let unsettled = store.data().charges.pending().saturating_add(self.meter.take_work());
        let left = store.get_fuel().unwrap_or(0).saturating_sub(unsettled);
        self.meter.set_fuel(self.fuel.saturating_sub(left));
        self.source.give_back(instance, self.has_returned, &self.running);
    }
}

/// The record of an execution, as it comes about. Dropped before it was ended, it says that the execution was
/// cancelled.
pub(crate) struct ExecutionRecord {
    component: Arc<LoadedComponent>,
    running: ExecutionHandle,
    started: Instant,
    deadline: Duration,
    fuel: u64,
    memory_bytes: u64,
    pub(crate) meter: Arc<Meter>,
}

/// The longest deadline. An instant that is much later cannot be represented on every system.
const DEADLINE_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl ExecutionRecord {
    /// Begins the record of an execution with this deadline; none: the component's own.
    pub(crate) fn start(
        component: &Arc<LoadedComponent>,
        running: ExecutionHandle,
        deadline: Option<Duration>,
    ) -> Self {
        let deadline = deadline.unwrap_or_else(|| Duration::from_millis(component.limits.deadline_ms));
        let (component, deadline) = (Arc::clone(component), deadline.min(DEADLINE_MAX));
        let (fuel, memory_bytes) = (component.limits.fuel, component.limits.memory_bytes);
        let started = Instant::now();
        let meter = Arc::new(Meter::new(started, running.kept_calls()));
        Self { component, running, started, deadline, fuel, memory_bytes, meter }
    }

    /// The record of an execution with these bounds, where they are lower.
    pub(crate) fn limited(mut self, limits: RequestLimits) -> Self {
        let RequestLimits { fuel, memory_bytes, deadline } = limits;
        self.fuel = fuel.unwrap_or(self.fuel).min(self.fuel);
        self.memory_bytes = memory_bytes.unwrap_or(self.memory_bytes).min(self.memory_bytes);
        self.deadline = deadline.unwrap_or(self.deadline).min(self.deadline);
        self
    }

    /// The component that runs.
    pub(crate) fn component(&self) -> &Arc<LoadedComponent> {
        &self.component
    }

    pub(crate) fn running(&self) -> &ExecutionHandle {
        &self.running
    }

    /// What the execution may take.
    fn bounds(&self) -> ExecutionBounds {
        ExecutionBounds { ends: self.ends(), fuel: self.fuel, memory_bytes: self.memory_bytes }
    }

    /// When the execution has to have ended.
    pub(crate) fn ends(&self) -> Instant {
        self.started + self.deadline
    }

    /// Ends the record, after the guest is gone.
    pub(crate) fn end(&self, outcome: Outcome) -> Execution {
        let execution = self.meter.take_record(self.running.id(), self.started.elapsed(), outcome);
        self.running.end(execution.clone());
        execution
    }

    /// Ends the record with a failure, which is logged, and gives the error that carries it.
    pub(crate) fn fail(&self, error: Error) -> Error {
        self.component.log.failure(self.running.id(), &error);
        let execution = self.end(Outcome::Failed(error.code()));
        error.with_execution(execution)
    }
}

impl Drop for ExecutionRecord {
    fn drop(&mut self) {
        if self.running.execution().is_none() {
            self.end(Outcome::Cancelled);
        }
    }
}
