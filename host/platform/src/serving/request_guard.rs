//! The guard of a request, from its admission to its end.
//!
//! - `trace`: its place in a trace, and what its spans are made of.

mod trace;

use super::Serving;
use super::canary::{self, RolloutTransition};
use super::experiment::ActiveExperiment;
use super::meter::ExecutionOutcome;
use super::quota::QuotaPermit;
use super::release::{CircuitKind, Release};
use super::service::{ActiveExecution, ReleaseChoice, Service, Source, State};
use super::service_meter::EndedExecution;
use crate::recorder::{self, Recorder};
use crate::spans::{ExecutionTiming, TraceLink};
use crate::triggers::child_traceparent;
use elias_api::{Code, Error, ExecutionRecord, RecordedCalls, RecordedRun, Result};
use elias_capabilities::Cause;
use elias_delivery::clock::{Clock, Now};
use elias_delivery::experiment::Observation;
use elias_delivery::supervision::{CircuitPermit, Permit};
use elias_host::{App, Caller, ErrorCode, EvaluatedFlag, Execution, ExecutionHandle, HostCalls, Outcome};
use elias_names::TenantId;
use elias_telemetry::span::TraceContext;
use elias_telemetry::usage::UsageAmounts;
use elias_workers::is_uuid;
use http::{Method, Request, Uri};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
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

/// The outcome of a request, as the server saw it.
#[derive(Debug, Clone, Default)]
pub struct RequestOutcome<'a> {
    /// The request's method; the kind of a trigger.
    pub method: &'a str,
    /// The path of its target; the trigger's name.
    pub path: &'a str,
    /// When the request was received, if this is the end of all that it led to; none for a step before, and for what no
    /// client asked for.
    pub received: Option<Instant>,
    /// The response's status; 0 if there was none. Of a failed run of a trigger that of its error.
    pub status: u16,
    /// Bytes of the response's body that were sent.
    pub sent_bytes: u64,
    /// Bytes of the request's body that were read.
    pub received_bytes: u64,
    /// The execution with its cost; none if it never ran.
    pub execution: Option<&'a Execution>,
    /// Why it failed, with its stack, in positions of the original source.
    pub error: Option<String>,
}

/// An execution that has ended.
#[derive(Debug)]
pub struct CompletedExecution {
    pub(super) record: ExecutionRecord,
    /// Whether it is one of those that are recorded anyway.
    pub(super) is_taken: bool,
    /// What its spans are made of, if it has some.
    pub(super) timing: Option<Box<ExecutionTiming>>,
}

/// The kind of the source of a turn of a service worker.
pub(crate) const WORKER: &str = recorder::WORKER;

/// Bytes that are kept of a request's method and path, and of an error.
const SOURCE_BYTES_MAX: usize = 512;
const ERROR_BYTES_MAX: usize = 16 << 10;

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

    /// The request has ended.
    pub fn end(mut self, outcome: RequestOutcome<'_>) {
        if let Some(completed) = self.settle(outcome) {
            self.recorder.record_if(completed.is_taken, completed.record, completed.timing);
        }
    }

    /// The request has ended, which is said once; gives what is to be recorded of it, if it ever ran.
    pub fn settle(&mut self, outcome: RequestOutcome<'_>) -> Option<CompletedExecution> {
        self.ended = true;
        // Of a client that left before there was a response, the server does not know what ran.
        let ran = outcome.execution.or_else(|| self.running.execution()).cloned();
        let outcome = RequestOutcome { execution: ran.as_ref(), ..outcome };
        let now = self.clock.now();
        let (duration, fuel) = outcome.execution.map_or((self.started.elapsed(), 0), |ran| (ran.duration, ran.fuel));
        let execution_outcome = outcome.execution.map(|ran| ran.outcome);
        // A client that leaves, and a request that is wrong, say nothing about the component.
        let failed = outcome.status >= 500;
        // Nor does a host that has no permit left.
        let cancelled = matches!(execution_outcome, Some(Outcome::Cancelled | Outcome::Failed(ErrorCode::Cancelled)));
        let outside = cancelled || matches!(execution_outcome, Some(Outcome::Failed(ErrorCode::Overloaded)));
        let counts = outcome.execution.is_some() && !outside;
        let failed = failed && !cancelled;
        let is_turn = matches!(self.circuit_permit, Some((CircuitKind::Workers, _)));
        if let Some(circuit_permit) = self.circuit_permit.take()
            && counts
        {
            tell(&self.service, &self.release, circuit_permit, failed, now);
        }
        if counts && self.is_compared {
            // Of a turn whose handler threw the circuit is not told, but a version in which more of them do is worse.
            let failed = failed || (is_turn && matches!(execution_outcome, Some(Outcome::Failed(_))));
            self.release.stats.record(failed, duration, fuel);
            if let Some(assignment) = &self.assignment {
                let memory_peak_bytes = outcome.execution.map_or(0, |ran| ran.memory_peak_bytes);
                assignment.observe(&Observation { latency: duration, fuel, memory_peak_bytes, failed });
            }
            if failed && self.is_canary {
                self.judge();
            }
        }
        self.state.tenant.spend(fuel, now.unix_ms());
        let to_others = outcome.execution.map_or(0, |ran| ran.sent_bytes);
        let bytes_out = outcome.sent_bytes.saturating_add(to_others);
        self.state.tenant.sent(bytes_out, now.unix_ms());
        let executions = u64::from(outcome.execution.is_some());
        self.book_amounts(UsageAmounts { executions, fuel, bytes_in: outcome.received_bytes, bytes_out });
        let lines = self.service.lines.take(self.running.id());
        let failed = !cancelled && (failed || matches!(execution_outcome, Some(Outcome::Failed(_))));
        outcome.execution?;
        let ended = match (cancelled, failed) {
            (true, _) => ExecutionOutcome::Cancelled,
            (false, true) => ExecutionOutcome::Failed,
            (false, false) => ExecutionOutcome::Completed,
        };
        let kind = match (is_turn, &self.run) {
            (true, _) => CircuitKind::Workers,
            (false, Some(_)) => CircuitKind::Triggers,
            (false, None) => CircuitKind::Requests,
        };
        let memory_bytes = outcome.execution.map_or(0, |ran| ran.memory_peak_bytes);
        self.service.meter.record(&EndedExecution { kind, outcome: ended, duration, fuel, memory_bytes });
        let timed_out = execution_outcome == Some(Outcome::Failed(ErrorCode::Deadline));
        self.service.meter.record_limits(timed_out, memory_bytes, self.app.limits().memory_bytes);
        let sampler = &self.service.sampler;
        let is_taken = match &self.run {
            None => sampler.should_record(failed, now.unix_ms()),
            Some(run) => {
                // Whoever looks at runs looks for these, and retries bound how many there are.
                let is_special = ended != ExecutionOutcome::Completed || run.attempt > 1 || self.is_recorded_anyway;
                is_special || sampler.should_record_run(self.recorder.runs_per_second(), now.unix_ms())
            }
        };
        if is_taken && let Some(link) = &self.link {
            self.service.meter.set_exemplar(duration, &link.context.trace.to_string(), now.unix_ms());
        }
        let timing = self.timing(&outcome, ended, now.unix_ms());
        Some(CompletedExecution { record: self.record(outcome, duration, fuel, ended, lines), is_taken, timing })
    }

    fn record(
        &self,
        outcome: RequestOutcome<'_>,
        duration: Duration,
        fuel: u64,
        ended: ExecutionOutcome,
        lines: Option<serde_json::Value>,
    ) -> ExecutionRecord {
        let execution_outcome = outcome.execution.map(|ran| ran.outcome);
        let id = &self.service.id;
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        ExecutionRecord {
            tenant: id.tenant.clone(),
            id: self.running.id().to_owned(),
            component: id.component.clone(),
            environment: id.environment,
            version: self.version(),
            source: source(self.is_mirrored, outcome.method, outcome.path),
            run: self.run.clone().or_else(|| self.message.clone()),
            trace: self.link.map(|link| link.context.trace.to_string()),
            started_at: i64::try_from(self.clock.now().unix_ms().saturating_sub(duration_us / 1_000))
                .unwrap_or(i64::MAX),
            duration_us,
            fuel,
            memory_bytes: outcome.execution.map_or(0, |ran| ran.memory_peak_bytes),
            host_calls: outcome.execution.map_or_else(Vec::new, |ran| ran.host_calls.iter().map(recorded).collect()),
            flags: outcome.execution.map_or_else(BTreeMap::new, |ran| ran.flags.iter().map(variant_of).collect()),
            status: outcome.status,
            outcome: ended.as_str().to_owned(),
            code: match execution_outcome {
                Some(Outcome::Failed(code)) => Some(code.as_str().to_owned()),
                _ => None,
            },
            error: outcome.error.map(|error| cut(error, ERROR_BYTES_MAX)),
            lines,
        }
    }

    /// Asks the rollout what the canary's failure means.
    fn judge(&self) {
        let event = canary::judge_failure(&self.state, self.clock.now());
        canary::tell(&self.transitions, &self.service, &self.release, event);
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

/// Tells a release's circuit breaker how an execution ended.
fn tell(
    service: &Service,
    release: &Release,
    (circuit, circuit_permit): (CircuitKind, CircuitPermit),
    failed: bool,
    now: Now,
) {
    let breaker = release.breaker(circuit);
    let before = breaker.state();
    breaker.record(circuit_permit, !failed, now);
    let state = breaker.state();
    if state != before {
        let reason = breaker.health(now).reason;
        let (version, circuit) = (release.target.version, circuit.as_str());
        tracing::warn!(service = %service.id, version, circuit, ?state, %reason, "circuit breaker");
    }
}

/// Tells a release's circuit breaker that an execution could not load it. A host or a store that had no time for it
/// says nothing about the release: then nothing is told, and the result is false.
pub(super) fn tell_unloadable(
    service: &Service,
    release: &Release,
    circuit_permit: (CircuitKind, CircuitPermit),
    error: &Error,
    now: Now,
) -> bool {
    let at_fault = canary::is_at_fault(error);
    if at_fault {
        tell(service, release, circuit_permit, true, now);
    }
    at_fault
}

fn recorded(calls: &HostCalls) -> RecordedCalls {
    let HostCalls { capability, calls, time } = calls;
    let duration_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    RecordedCalls { capability: (*capability).to_owned(), calls: *calls, duration_us }
}

fn variant_of(flag: &EvaluatedFlag) -> (String, String) {
    (flag.name.to_string(), flag.variant.to_string())
}

/// The source of an execution, as it is recorded.
pub(super) fn source(is_mirrored: bool, method: &str, path: &str) -> String {
    cut(format!("{}{method} {path}", if is_mirrored { "shadow " } else { "" }), SOURCE_BYTES_MAX)
}

/// The beginning of a text, in whole characters, as a store takes it.
fn cut(mut text: String, bytes_max: usize) -> String {
    // PostgreSQL's texts have none.
    text.retain(|character| character != '\0');
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
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
