//! Deliveries to a subscription with batches: several jobs, and one run of the handler `events`. Each job ends as the
//! handler decided on its event.

use super::Runner;
use super::cause::child_of;
use super::queue::LEASE_MS;
use super::run::{
    DEAD_LETTER_KEEP_MS, Message, Run, RunClock, RunEnd, ServedTriggers, Verdict, dead, event_of, service_of,
};
use elias_api::{JobTrigger, RecordedRun};
use elias_capabilities::trigger::Cause;
use elias_host::{EventBatch, EventMessage};
use elias_store::{ClaimedJob, JobOutcome};
use elias_triggers::config::{JobConfig, RetryConfig, SubscriptionConfig};
use elias_triggers::event::batch_results;
use elias_triggers::queue::{AttemptResult, DeadReason, Outcome, settle};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes of the events of a batch, as JSON: a handler takes a message of 1 MiB.
const BYTES_MAX: usize = 768 << 10;

/// Jobs that are run together.
pub(super) enum Claim {
    /// One, by the handler of its trigger.
    One(Box<ClaimedJob>),
    /// Deliveries to a subscription with batches, by the handler `events`.
    Batch(Vec<ClaimedJob>),
}

/// The subscription of a delivery, if it has batches.
fn batched<'s>(served: &'s ServedTriggers, job: &ClaimedJob) -> Option<&'s SubscriptionConfig> {
    let mut subscriptions = served.config.event.iter().filter(|_| job.queue.trigger == JobTrigger::Event);
    subscriptions.find(|subscription| subscription.batch.size > 1 && subscription.name() == job.queue.name)
}

/// Puts the deliveries of a subscription with batches together, those that must run on the same version.
pub(super) fn group(jobs: Vec<ClaimedJob>, find: impl Fn(&ClaimedJob) -> Option<ServedTriggers>) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for job in jobs {
        let most = find(&job).and_then(|served| batched(&served, &job).map(|subscription| subscription.batch.size));
        let Some(most) = most.and_then(|most| usize::try_from(most).ok()).filter(|_| !job.cancelled) else {
            claims.push(Claim::One(Box::new(job)));
            continue;
        };
        let has_room = |batch: &[ClaimedJob]| {
            let bytes: usize = batch.iter().map(|other| other.input.len()).sum();
            batch.len() < most && bytes + job.input.len() <= BYTES_MAX
        };
        let place = claims.iter().rposition(|claim| match claim {
            Claim::One(_) => false,
            Claim::Batch(batch) => batch.first().is_some_and(|first| is_alike(first, &job)) && has_room(batch),
        });
        match place.and_then(|place| claims.get_mut(place)) {
            Some(Claim::Batch(batch)) => batch.push(job),
            Some(Claim::One(_)) | None => claims.push(Claim::Batch(vec![job])),
        }
    }
    claims
}

fn is_alike(one: &ClaimedJob, other: &ClaimedJob) -> bool {
    let key = |job: &ClaimedJob| (job.version, job.replayed_by.is_some());
    one.lease.tenant == other.lease.tenant && one.queue == other.queue && key(one) == key(other)
}

impl Runner {
    /// Runs claimed deliveries of a subscription together; says what becomes of each, in their order. Never panics.
    pub(super) async fn run_batch(
        self: &Arc<Self>,
        jobs: &[ClaimedJob],
        cancelled: watch::Receiver<bool>,
    ) -> Vec<Verdict> {
        match AssertUnwindSafe(self.try_run_batch(jobs, cancelled)).catch_unwind().await {
            Ok(verdicts) => verdicts,
            Err(_) => {
                let queue = jobs.first().map(|job| job.queue.to_string()).unwrap_or_default();
                tracing::error!(%queue, "running a batch panicked");
                let failed = |_: &ClaimedJob| {
                    dead("internal: the host failed while it ran the batch".to_owned(), DEAD_LETTER_KEEP_MS)
                };
                jobs.iter().map(failed).collect()
            }
        }
    }

    async fn try_run_batch(self: &Arc<Self>, jobs: &[ClaimedJob], cancelled: watch::Receiver<bool>) -> Vec<Verdict> {
        let Some(first) = jobs.first() else { return Vec::new() };
        let service = service_of(first);
        let Some(served) = self.services.find(&service) else {
            let reason = format!("{service} is not served by this host any more");
            return jobs.iter().map(|_| Verdict::NotRun { reason: reason.clone() }).collect();
        };
        let retry = batched(&served, first).map(|subscription| subscription.retry).unwrap_or_default();
        let clock = RunClock::new(first.lease_until.saturating_sub_unsigned(LEASE_MS));
        let (mut events, mut verdicts) = (Vec::new(), Vec::with_capacity(jobs.len()));
        for job in jobs {
            verdicts.push(match batch_event(job, &retry) {
                Ok(event) => {
                    events.push(event);
                    None
                }
                Err(verdict) => Some(verdict),
            });
        }
        // The events themselves have led to what their handler does.
        let hops = jobs.iter().map(|job| job.hops).max().unwrap_or_default().saturating_add(1);
        let traceparent = jobs.iter().find_map(|job| job.cause.clone());
        let cause = Cause { traceparent: Some(child_of(traceparent.as_deref())), hops };
        let (count, name) = (events.len(), first.queue.name.clone());
        let attempt = jobs.iter().map(|job| job.attempt).max().unwrap_or(1);
        let mut endings = Vec::new();
        if count > 0 {
            let run = Run {
                source: (first.queue.trigger.as_str(), name.clone()),
                record: RecordedRun { job: first.lease.id.clone(), attempt, cause: traceparent },
                message: Message::Events(Box::new(EventBatch { subscription: name, events })),
                // A worker gets one event at a time.
                worker: None,
                version: first.version,
                is_pinned: first.version.is_some() && first.replayed_by.is_some(),
                timeout: JobConfig::default().timeout.get(),
                cause,
                // Each event has its own job, and a journal is of one.
                journal: None,
                cancelled,
                service,
            };
            let RunEnd { ending, .. } = self.services.run(run).await;
            endings = batch_results(ending, count);
        }
        let mut endings = endings.into_iter();
        let mut verdict = |(job, decided): (&ClaimedJob, Option<Verdict>)| match decided {
            Some(verdict) => verdict,
            None => match endings.next() {
                Some(ending) => verdict_of(job, ending, &retry, clock),
                None => Verdict::NotRun { reason: "the batch did not end".to_owned() },
            },
        };
        jobs.iter().zip(verdicts).map(&mut verdict).collect()
    }
}

/// The event of a delivery; what becomes of it if it cannot be in a batch.
fn batch_event(job: &ClaimedJob, retry: &RetryConfig) -> Result<EventMessage, Verdict> {
    if job.attempt > retry.attempts {
        let why = "the host of the last attempt did not renew its lease";
        return Err(dead(format!("{}: {why}", DeadReason::AttemptsUsedUp.as_str()), DEAD_LETTER_KEEP_MS));
    }
    match event_of(job) {
        Ok(event) => Ok(EventMessage { event, attempt: job.attempt }),
        Err(reason) => Err(dead(format!("invalid: {reason}"), DEAD_LETTER_KEEP_MS)),
    }
}

/// The outcome of a delivery whose part of the batch ended in this way.
fn verdict_of(job: &ClaimedJob, ending: AttemptResult, retry: &RetryConfig, clock: RunClock) -> Verdict {
    if let AttemptResult::NotRun { reason, .. } = ending {
        return Verdict::NotRun { reason };
    }
    let now = clock.now();
    let (outcome, keep_ms) = match settle(ending, &retry.policy(), job.attempt, now, rand::random()) {
        Outcome::Done { .. } => (JobOutcome::Done { result: None }, 0),
        Outcome::Retry { at, reason, .. } => {
            let in_ms = at.unix_ms().saturating_sub(now.unix_ms());
            (JobOutcome::Retry { in_ms, error: reason }, DEAD_LETTER_KEEP_MS)
        }
        Outcome::Dead { reason, message } => {
            (JobOutcome::Dead { error: format!("{}: {message}", reason.as_str()) }, DEAD_LETTER_KEEP_MS)
        }
        // One of the batch was cancelled, or the host ends: the store knows which, and the others begin anew.
        Outcome::Cancelled | Outcome::Suspended => (JobOutcome::Released, DEAD_LETTER_KEEP_MS),
    };
    Verdict::Outcome { outcome, keep_ms }
}
