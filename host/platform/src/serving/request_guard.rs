//! The guard of a request, from its admission to its end.
//!
//! - `ending`: what its end tells its service, its tenant and its rollout, and the record of it.
//! - `trace`: its place in a trace, and what its spans are made of.

mod ending;
mod trace;

pub use ending::{CompletedExecution, RequestOutcome};
pub(super) use ending::{source, tell_unloadable};

use super::Serving;
use super::canary::RolloutTransition;
use super::experiment::ActiveExperiment;
use super::quota::QuotaPermit;
use super::release::{CircuitKind, Release};
use super::service::{ActiveExecution, ReleaseChoice, Service, Source, State};
use crate::recorder::{self, Recorder};
use crate::spans::TraceLink;
use crate::triggers::child_traceparent;
use elias_api::{Code, Error, RecordedRun, Result};
use elias_capabilities::Cause;
use elias_delivery::clock::Clock;
use elias_delivery::supervision::{CircuitPermit, Permit};
use elias_host::{App, Caller, ErrorCode, ExecutionHandle};
use elias_names::TenantId;
use elias_telemetry::span::TraceContext;
use elias_telemetry::usage::UsageAmounts;
use elias_workers::is_uuid;
use http::{Method, Request, Uri};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// A request's admission to a service: which release responds to it, and its permits, which its execution holds as
/// long as it has an instance. The release stays the same to the request's end, whatever is deployed meanwhile.
pub struct RequestGuard {
    pub(super) service: Arc<Service>,
    pub(super) state: Arc<State>,
    release: Arc<Release>,
    is_canary: bool,
    is_mirrored: bool,
    /// The variant that responds, in an experiment.
    pub(super) assignment: Option<VariantAssignment>,
    app: App,
    circuit_permit: Option<(CircuitKind, CircuitPermit)>,
    running: ExecutionHandle,
    under_way: Option<usize>,
    started: Instant,
    clock: Clock,
    recorder: Recorder,
    transitions: mpsc::UnboundedSender<RolloutTransition>,
    /// The job, if it runs one; also a turn of a worker that handles its message.
    run: Option<RecordedRun>,
    /// The message that a turn of a worker handles, if it is no job's.
    message: Option<RecordedRun>,
    /// Where it is in its trace.
    link: Option<TraceLink>,
    /// Whether the run is recorded however many others are.
    is_recorded_anyway: bool,
    /// Whether the version is compared with others by it.
    is_compared: bool,
    /// The part of its usage that is counted already.
    booked: UsageAmounts,
    ended: bool,
}

/// The parts of an admitted request on the way to its execution.
pub(super) struct AdmittedExecution {
    pub(super) state: Arc<State>,
    pub(super) circuit_permit: (CircuitKind, CircuitPermit),
    /// The component's slot and the slot of its tenant's quota; none for a mirrored request and a turn of a worker.
    pub(super) permits: Option<(Permit, QuotaPermit)>,
    pub(super) app: App,
    pub(super) started: Instant,
    /// Whether the request is mirrored: another variant has responded to the client.
    pub(super) is_mirrored: bool,
}

/// The variant that responds, and those that get the request mirrored then: positions in the plan's list.
pub(crate) struct VariantAssignment {
    pub(crate) experiment: Arc<ActiveExperiment>,
    pub(crate) position: usize,
    pub(crate) shadows: Vec<usize>,
}

/// The kind of the source of a turn of a service worker.
pub(crate) const WORKER: &str = recorder::WORKER;

impl RequestGuard {
    /// Begins the guard of an admitted request.
    pub(super) fn begin(
        serving: &Serving,
        service: &Arc<Service>,
        chosen: ReleaseChoice<'_>,
        entered: AdmittedExecution,
    ) -> Self {
        let ReleaseChoice { release, is_canary, assignment } = chosen;
        let AdmittedExecution { state, circuit_permit, permits, app, started, is_mirrored } = entered;
        let running = ExecutionHandle::new();
        if let Some(permits) = permits {
            running.hold(permits);
        }
        Self {
            under_way: Some(service.begin(ActiveExecution {
                running: running.clone(),
                version: release.target.version,
                is_canary,
                is_mirrored,
                started_ms: serving.clock.now().unix_ms(),
                source: None,
            })),
            service: Arc::clone(service),
            release: Arc::clone(release),
            state,
            is_canary,
            is_mirrored,
            assignment,
            app,
            circuit_permit: Some(circuit_permit),
            running,
            started,
            clock: serving.clock.clone(),
            recorder: serving.recorder.clone(),
            transitions: serving.transitions.clone(),
            run: None,
            message: None,
            link: None,
            is_recorded_anyway: false,
            is_compared: true,
            booked: UsageAmounts::default(),
            ended: false,
        }
    }

    /// The component that responds.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The tenant whose service it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.service.id.tenant
    }

    /// The request's execution, which holds the request's permits.
    #[must_use]
    pub fn running(&self) -> &ExecutionHandle {
        &self.running
    }

    /// The number of the version that responds.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.release.target.version
    }

    /// The number of the release that responds, which no other of this process has.
    #[must_use]
    pub fn release(&self) -> u64 {
        self.release.serial
    }

    /// Whether the version that responds is a canary.
    #[must_use]
    pub fn is_canary(&self) -> bool {
        self.is_canary
    }

    /// Says which request it is, for who lists what runs.
    pub fn set_request(&self, method: &Method, uri: &Uri) {
        if let Some(under_way) = self.under_way {
            self.service.set_source(under_way, Source::Request(method.clone(), uri.clone()));
        }
    }

    /// Says which trigger it is by its kind and name, for who lists what runs, and the job and the cause for the
    /// record. The cause then says whether its trace is kept.
    pub(crate) fn set_run(&mut self, kind: &'static str, name: &str, run: RecordedRun, cause: &mut Cause) {
        if let Some(under_way) = self.under_way {
            self.service.set_source(under_way, Source::Trigger(kind, name.into()));
        }
        let parent = run.cause.as_deref().and_then(TraceContext::parse).map(|parent| parent.span);
        self.run = Some(run);
        self.join_trace(cause, parent);
    }

    /// Says which worker's turn it is, for who lists what runs, and for the record the id of the message that it
    /// handles, which attempt it is, and the cause. The message of a job has the job's id; those of all others are
    /// UUIDs. The cause is then that of what the turn does: a span of its own in the trace of the message, or in a new
    /// trace.
    pub(crate) fn set_turn(&mut self, worker: &str, id: &str, attempt: u32, cause: &mut Cause) {
        let handled = Some(RecordedRun { job: id.to_owned(), attempt, cause: cause.traceparent.clone() });
        if is_uuid(id) {
            self.message = handled;
        } else {
            self.run = handled;
        }
        if let Some(under_way) = self.under_way {
            self.service.set_source(under_way, Source::Trigger(WORKER, worker.into()));
        }
        self.service.lines.of_worker(self.running.id(), worker, id);
        let parent = cause.traceparent.as_deref().and_then(TraceContext::parse).map(|parent| parent.span);
        cause.traceparent = Some(child_traceparent(cause.traceparent.as_deref()));
        self.join_trace(cause, parent);
    }

    /// Has the run of a trigger recorded though it went well and its service has more runs than are recorded: its
    /// handler asked for another, or for none.
    pub(crate) fn record_anyway(&mut self) {
        self.is_recorded_anyway = true;
    }

    /// Has a turn that no message asked for not counted where versions are compared: only a canary has those by which
    /// workers are moved to it.
    pub(crate) fn leave_out_of_comparison(&mut self) {
        self.is_compared = false;
    }

    /// Tells the host on whose behalf the request runs, by which name it can be cancelled, and what causes the jobs and
    /// events of its execution: the request, by its `traceparent`, which the server has set. Removes headers that the
    /// component would take for those of its middleware.
    pub fn prepare<B>(&mut self, request: &mut Request<B>, mut caller: Caller) {
        self.release.remove_reserved_headers(request);
        caller.tenant_id = Some(self.service.id.tenant.to_string());
        let cause = self.join_trace_of(request);
        let extensions = request.extensions_mut();
        extensions.insert(cause);
        extensions.insert(Arc::new(caller));
        extensions.insert(self.running.clone());
    }

    /// The request does not run: the host had no permit for it. What it holds of its service and its tenant is given
    /// back at once, for the client may take as long as it likes to read that it was refused.
    pub fn refuse(&mut self) {
        self.running.release();
        self.leave();
    }

    /// Counts the usage so far: an execution, if `is_execution`, and bytes of the bodies of its request and response.
    /// To be called before a part of the response leaves, so that no client has what is not counted. The fuel is known
    /// when the execution has ended, and is counted by the next call or at the end.
    pub fn book(&mut self, is_execution: bool, received_bytes: u64, sent_bytes: u64) {
        let execution = self.running.execution();
        let executions = u64::from(is_execution || execution.is_some());
        let (fuel, to_others) = execution.map_or((0, 0), |ran| (ran.fuel, ran.sent_bytes));
        let bytes_out = sent_bytes.saturating_add(to_others);
        self.book_amounts(UsageAmounts { executions, fuel, bytes_in: received_bytes, bytes_out });
    }

    fn book_amounts(&mut self, amounts: UsageAmounts) {
        let more = amounts.since(&self.booked);
        self.booked = amounts.max(&self.booked);
        self.state.tenant.usage.book(more, self.clock.now().unix_ms());
    }

    fn leave(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            self.service.end(under_way);
        }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.leave();
        if !self.ended {
            // Its log lines would else stay for ever.
            self.service.lines.take(self.running.id());
        }
    }
}

/// Why a service does not take a request now.
#[derive(Debug)]
pub struct NotAdmitted {
    /// The reason.
    pub error: Error,
    /// Seconds after which to try again.
    pub retry_after_seconds: Option<u64>,
}

impl From<Error> for NotAdmitted {
    fn from(error: Error) -> Self {
        let busy = matches!(
            error.code(),
            Code::BulkheadFull | Code::StoreUnavailable | Code::Component(ErrorCode::Overloaded)
        );
        Self { error, retry_after_seconds: busy.then_some(1) }
    }
}

pub(super) fn require_circuit_permit(
    service: &Service,
    circuit_permit: std::result::Result<CircuitPermit, elias_delivery::supervision::CircuitRefusal>,
) -> Result<CircuitPermit, NotAdmitted> {
    circuit_permit.map_err(|refused| {
        let code = match refused.state {
            elias_delivery::supervision::BreakerState::Stopped => Code::Stopped,
            _ => Code::CircuitOpen,
        };
        let error = Error::new(code, format!("{}: {refused}", service.id));
        NotAdmitted { error, retry_after_seconds: Some(refused.retry_after.as_secs().max(1)) }
    })
}
