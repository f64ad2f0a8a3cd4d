//! Jobs, ticks and deliveries as the records of a platform's jobs.

use super::refused;
use elias_api::{Code, EnqueueRequest, EnqueuedJob, Error, JobRecord, JobState, JobTrigger, QueueId, Result};
use elias_capabilities::jobs::{JobState as Queued, ListedJob, NewJob, StartTime};
use elias_local_triggers::{Outcome, PastRun, RunKind, RunningTriggers, TriggerError};
use elias_names::{ComponentName, Environment};
use elias_server::JobChange;
use elias_triggers::queue::Priority;
use std::cmp::Reverse;
use std::collections::HashSet;

/// All that are kept, the newest first.
pub(super) fn list(component: &ComponentName, triggers: &RunningTriggers) -> Vec<JobRecord> {
    let unfinished = triggers.jobs();
    let ids: HashSet<&str> = unfinished.iter().map(|job| job.id.as_str()).collect();
    let past = triggers.past_runs();
    // A job that is run again is not over.
    let over = past.iter().filter(|run| !ids.contains(run.id.as_str())).map(|run| of_past(component, run));
    let mut all: Vec<_> = unfinished.iter().rev().map(|job| of_queue(component, job)).chain(over).collect();
    all.sort_by_key(|job| Reverse(job.enqueued_at));
    all
}

fn of_queue(component: &ComponentName, job: &ListedJob) -> JobRecord {
    let (state, waits_for, due) = match job.state {
        Queued::Ready => (JobState::Ready, None, None),
        Queued::Waiting { until: u64::MAX } => (JobState::Waiting, Some("event"), None),
        Queued::Waiting { until } => (JobState::Waiting, Some("time"), i64::try_from(until).ok()),
        Queued::Blocked => (JobState::Waiting, Some("jobs"), None),
        Queued::Running => (JobState::Leased, None, None),
    };
    let begun = if state == JobState::Leased { job.attempt } else { job.attempt.saturating_sub(1) };
    JobRecord {
        state,
        key: job.key.clone(),
        concurrency_key: job.concurrency_key.clone(),
        priority: job.priority,
        attempt: begun,
        waits_for: waits_for.map(str::to_owned),
        due,
        ..record(&job.id, queue(component, JobTrigger::Job, &job.name), &job.input, job.enqueued_at)
    }
}

fn of_past(component: &ComponentName, run: &PastRun) -> JobRecord {
    let trigger = match run.kind {
        RunKind::Schedule => JobTrigger::Schedule,
        RunKind::Job => JobTrigger::Job,
        RunKind::Event => JobTrigger::Event,
        RunKind::Webhook => JobTrigger::Webhook,
    };
    let (state, result, error) = match run.end.as_ref().map(|(_, outcome)| outcome) {
        Some(Outcome::Done { result }) => (JobState::Done, Some(result.clone()), None),
        Some(Outcome::Dead { message, .. }) => (JobState::Dead, None, Some(message.clone())),
        Some(Outcome::Cancelled) => (JobState::Cancelled, None, None),
        Some(Outcome::Retry { .. } | Outcome::Suspended) | None => (JobState::Leased, None, None),
    };
    JobRecord {
        state,
        key: run.key.clone(),
        concurrency_key: run.concurrency_key.clone(),
        attempt: run.attempt,
        result,
        error,
        finished_at: run.end.as_ref().and_then(|(at, _)| i64::try_from(*at).ok()),
        ..record(&run.id, queue(component, trigger, &run.name), &run.input, run.enqueued_at)
    }
}

fn queue(component: &ComponentName, trigger: JobTrigger, name: &str) -> QueueId {
    QueueId { component: component.clone(), environment: Environment::Dev, trigger, name: name.to_owned() }
}

/// A record without what only some jobs have.
fn record(id: &str, queue: QueueId, input: &str, enqueued_at: u64) -> JobRecord {
    JobRecord {
        id: id.to_owned(),
        queue,
        state: JobState::Ready,
        key: None,
        ordering_key: None,
        concurrency_key: None,
        input: input.to_owned(),
        priority: 0,
        attempt: 0,
        version: None,
        cause: None,
        replayed_by: None,
        hops: 0,
        enqueued_at: i64::try_from(enqueued_at).unwrap_or(i64::MAX),
        waits_for: None,
        due: None,
        cancelling: false,
        result: None,
        error: None,
        finished_at: None,
    }
}

/// The name of an outcome that ends a run.
pub(super) fn name_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done { .. } => JobState::Done.as_str(),
        Outcome::Cancelled => JobState::Cancelled.as_str(),
        Outcome::Dead { .. } | Outcome::Retry { .. } | Outcome::Suspended => JobState::Dead.as_str(),
    }
}

pub(super) fn enqueue(triggers: &RunningTriggers, request: EnqueueRequest) -> Result<EnqueuedJob> {
    let input = request.input.to_string();
    request.check(&input)?;
    let EnqueueRequest { name, priority, run_at, key, concurrency_key, after, .. } = request;
    if let Some(Err(error)) = priority.map(Priority::new) {
        return Err(Error::new(Code::BadInput, format!("the priority {error}")));
    }
    let existing = key.is_some() && triggers.jobs().iter().any(|job| job.name == name && job.key == key);
    let start = run_at.map_or(StartTime::Now, |at| StartTime::At(u64::try_from(at).unwrap_or_default()));
    let job = NewJob { name, input, priority, start, key, concurrency_key, after, target: None };
    let runs = triggers.enqueue(job).map_err(refused)?;
    Ok(EnqueuedJob { id: runs.id().unwrap_or_default().to_owned(), existing })
}

pub(super) fn change(triggers: &RunningTriggers, id: &str, change: JobChange) -> Result<()> {
    let changed = match change {
        JobChange::Cancel => triggers.cancel(id),
        JobChange::Retry => triggers.retry(id),
        JobChange::Discard => triggers.discard(id),
    };
    changed.map_err(|error| match error {
        TriggerError::NoFailedRun(_) | TriggerError::Refused(_) if !is_known(triggers, id) => {
            Error::not_found(format_args!("the job `{}`", id.escape_debug()))
        }
        TriggerError::NoFailedRun(_) => Error::new(Code::WrongState, "the job is not dead"),
        other => refused(other),
    })
}

fn is_known(triggers: &RunningTriggers, id: &str) -> bool {
    triggers.jobs().iter().any(|job| job.id == id) || triggers.past_runs().iter().any(|run| run.id == id)
}
