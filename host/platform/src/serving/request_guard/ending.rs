//! The end of a request: what its execution tells its service, its tenant and its rollout, and the record of it.

use super::RequestGuard;
use crate::serving::canary;
use crate::serving::meter::ExecutionOutcome;
use crate::serving::release::{CircuitKind, Release};
use crate::serving::service::Service;
use crate::serving::service_meter::EndedExecution;
use crate::spans::{ExecutionTiming, microseconds};
use elias_api::{Error, ExecutionRecord, RecordedCalls};
use elias_delivery::clock::Now;
use elias_delivery::experiment::Observation;
use elias_delivery::supervision::CircuitPermit;
use elias_host::{ErrorCode, EvaluatedFlag, Execution, HostCalls, Outcome};
use elias_telemetry::usage::UsageAmounts;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

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
    pub(in crate::serving) record: ExecutionRecord,
    /// Whether it is one of those that are recorded anyway.
    pub(in crate::serving) is_taken: bool,
    /// What its spans are made of, if it has some.
    pub(in crate::serving) timing: Option<Box<ExecutionTiming>>,
}

/// Bytes that are kept of a request's method and path, and of an error.
pub(super) const SOURCE_BYTES_MAX: usize = 512;
const ERROR_BYTES_MAX: usize = 16 << 10;

impl RequestGuard {
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
        let duration_us = microseconds(duration);
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
pub(in crate::serving) fn tell_unloadable(
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
    let duration_us = microseconds(*time);
    RecordedCalls { capability: (*capability).to_owned(), calls: *calls, duration_us }
}

fn variant_of(flag: &EvaluatedFlag) -> (String, String) {
    (flag.name.to_string(), flag.variant.to_string())
}

/// The source of an execution, as it is recorded.
pub(in crate::serving) fn source(is_mirrored: bool, method: &str, path: &str) -> String {
    cut(format!("{}{method} {path}", if is_mirrored { "shadow " } else { "" }), SOURCE_BYTES_MAX)
}

/// The beginning of a text, in whole characters, as a store takes it.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    // PostgreSQL's texts have none.
    text.retain(|character| character != '\0');
    if text.len() > bytes_max {
        let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
