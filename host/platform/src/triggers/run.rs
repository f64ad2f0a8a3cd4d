//! Runs one job, from its claim to its outcome.

use super::Runner;
use super::backends::{StoredJournal, TriggerBackends};
use super::cause::child_of;
use super::publish_later::PUBLISH_LATER;
use elias_api::{JobTrigger, QueueId, Quotas, RecordedRun};
use elias_capabilities::outbox::DrainOutcome;
use elias_capabilities::trigger::Cause;
use elias_capabilities::workflow::JournalHandle;
use elias_delivery::clock::Now;
use elias_host::{EventBatch, EventMessage, Job, Tick};
use elias_names::{ServiceId, TenantId};
use elias_store::{ClaimedJob, JobOutcome};
use elias_triggers::config::{JobConfig, RetryConfig, TriggersConfig, WorkerTarget};
use elias_triggers::queue::{AttemptResult, DeadReason, Outcome, RetryPolicy, settle};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The attribute of a delivery's event that says why its transformation failed: such a delivery is dead without a run.
pub(super) const TRANSFORM_ERROR: &str = "transformerror";
/// How long the records of ticks' jobs and of dead deliveries are kept, in milliseconds.
pub(super) const TICK_KEEP_MS: u64 = 7 * 86_400_000;
pub(super) const DEAD_LETTER_KEEP_MS: u64 = 30 * 86_400_000;
/// How long a handler that waits for nothing is left alone, in milliseconds.
const SUSPENDED_FOR_NOTHING_MS: u64 = 1_000;

/// The services of a host, as the runner needs them.
pub(crate) trait Services: Send + Sync + 'static {
    /// A service, if this host serves it.
    fn find(&self, id: &ServiceId) -> Option<ServedTriggers>;

    /// Runs a handler of a service, or has a service worker of it handle the message.
    fn run(&self, run: Run) -> BoxFuture<'static, RunEnd>;

    /// Sends an event to the URL of a webhook of a service.
    fn deliver(&self, delivery: WebhookDelivery) -> BoxFuture<'static, RunEnd>;

    /// Hands over what is in the outbox of a service, to these.
    fn drain_outbox(
        &self,
        id: &ServiceId,
        backends: TriggerBackends,
    ) -> BoxFuture<'static, elias_api::Result<DrainOutcome>>;

    /// Records for the authors of a service what was not handed over of its outbox, and why.
    fn record_outbox(&self, id: &ServiceId, error: String);
}

/// The properties of a service that the runner uses.
#[derive(Debug, Clone)]
pub(crate) struct ServedTriggers {
    /// The triggers of the version that serves.
    pub(crate) config: Arc<TriggersConfig>,
    /// The quotas of its tenant.
    pub(crate) quotas: Quotas,
    /// Whether it was stopped: its jobs wait.
    pub(crate) is_stopped: bool,
}

impl ServedTriggers {
    /// The settings of a kind of jobs, which may be the defaults.
    pub(super) fn job(&self, name: &str) -> JobConfig {
        self.config.jobs.get(name).cloned().unwrap_or_default()
    }

    /// The service worker that gets the ticks of a schedule or the events of a subscription, if one does.
    pub(super) fn worker(&self, queue: &QueueId) -> Option<&WorkerTarget> {
        let name = &queue.name;
        match queue.trigger {
            JobTrigger::Schedule => self.config.schedule.iter().find(|one| one.name == *name)?.worker.as_ref(),
            JobTrigger::Event => self.config.event.iter().find(|one| one.name() == *name)?.worker.as_ref(),
            JobTrigger::Job | JobTrigger::Webhook => None,
        }
    }
}

/// A handler that is to be run.
pub(crate) struct Run {
    /// The service that has the handler.
    pub(crate) service: ServiceId,
    /// The kind of the trigger and its name, for the record: `event` and the event's type.
    pub(crate) source: (&'static str, String),
    /// The job, for the record.
    pub(crate) record: RecordedRun,
    /// The input of the handler.
    pub(crate) message: Message,
    /// The service worker that gets the message in the place of the handler.
    pub(crate) worker: Option<WorkerTarget>,
    /// The version that has to run it, if not any may.
    pub(crate) version: Option<u32>,
    /// Whether that version runs it or none, also if it does not serve any more: somebody asked for it.
    pub(crate) is_pinned: bool,
    /// How long it may take.
    pub(crate) timeout: Duration,
    /// The cause of the run, for the jobs and events that it causes in turn.
    pub(crate) cause: Cause,
    /// The journal of its steps; none for a tick, a batch and a message to a worker, which remembers by itself.
    pub(crate) journal: Option<JournalHandle>,
    /// Becomes true when the run is to be ended.
    pub(crate) cancelled: watch::Receiver<bool>,
}

/// The input of a handler.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Message {
    /// `scheduled`.
    Tick(Tick),
    /// `job`.
    Job(Job),
    /// `event`.
    Event(Box<EventMessage>),
    /// `events`.
    Events(Box<EventBatch>),
}

/// An event that is to be sent to the URL of a webhook.
pub(crate) struct WebhookDelivery {
    /// The service that has the webhook.
    pub(crate) service: ServiceId,
    /// The name of the webhook.
    pub(crate) name: String,
    /// The id of the event.
    pub(crate) id: String,
    /// The event as structured JSON.
    pub(crate) event: String,
    /// The job, for the record.
    pub(crate) record: RecordedRun,
    /// Becomes true when the delivery is to be ended.
    pub(crate) cancelled: watch::Receiver<bool>,
}

/// Waits until a run is to be ended.
pub(crate) async fn cancellation(cancelled: &mut watch::Receiver<bool>) {
    if cancelled.wait_for(|is_cancelled| *is_cancelled).await.is_err() {
        // Nobody is left who could want it.
        std::future::pending::<()>().await;
    }
}

/// The end of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunEnd {
    /// How.
    pub(crate) ending: AttemptResult,
    /// The version that ran.
    pub(crate) version: Option<u32>,
}

/// The input of a tick's job.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TickInput {
    /// When it was due, in milliseconds since 1970.
    pub(super) scheduled_time: i64,
    /// The schedule's input when it was fired; null without one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(super) input: Value,
}

/// The database's clock, by its time at a claim.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunClock {
    at_claim_ms: i64,
    claimed: Instant,
}

impl RunClock {
    pub(super) fn new(at_claim_ms: i64) -> Self {
        Self { at_claim_ms, claimed: Instant::now() }
    }

    pub(super) fn now(self) -> Now {
        let since = u64::try_from(self.claimed.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now::from_unix_ms(u64::try_from(self.at_claim_ms).unwrap_or_default().saturating_add(since))
    }
}

/// The outcome of a job that was run.
#[derive(Debug)]
pub(super) enum Verdict {
    /// This.
    Outcome {
        outcome: JobOutcome,
        /// For how long its record is kept, in milliseconds, if it has ended.
        keep_ms: u64,
    },
    /// It could not be run now, and waits with all others of its queue.
    NotRun { reason: String },
}

impl Runner {
    /// Runs a claimed job. Never panics, or its slot would never be free again.
    pub(super) async fn run(self: &Arc<Self>, job: &ClaimedJob, cancelled: watch::Receiver<bool>) -> Verdict {
        match AssertUnwindSafe(self.try_run(job, cancelled)).catch_unwind().await {
            Ok(verdict) => verdict,
            Err(_) => {
                tracing::error!(job = %job.lease.id, queue = %job.queue, "running a job panicked");
                dead("internal: the host failed while it ran the job".to_owned(), DEAD_LETTER_KEEP_MS)
            }
        }
    }

    async fn try_run(self: &Arc<Self>, job: &ClaimedJob, cancelled: watch::Receiver<bool>) -> Verdict {
        let service = service_of(job);
        let Some(served) = self.services.find(&service) else {
            return Verdict::NotRun { reason: format!("{service} is not served by this host any more") };
        };
        let config = match job.queue.trigger {
            JobTrigger::Job => served.job(&job.queue.name),
            JobTrigger::Schedule | JobTrigger::Event | JobTrigger::Webhook => JobConfig::default(),
        };
        let keep_ms = match job.queue.trigger {
            JobTrigger::Job => config.retention.as_millis(),
            JobTrigger::Schedule => TICK_KEEP_MS,
            JobTrigger::Event | JobTrigger::Webhook => DEAD_LETTER_KEEP_MS,
        };
        if job.cancelled {
            let reason = "cancelled while another host ran it".to_owned();
            return Verdict::Outcome { outcome: JobOutcome::Cancelled { reason }, keep_ms };
        }
        if job.queue.trigger == JobTrigger::Event && job.queue.name == PUBLISH_LATER {
            return self.publish_later(job, &served).await;
        }
        let retry = match job.queue.trigger {
            JobTrigger::Job => config.retry,
            JobTrigger::Schedule => RetryConfig::default(),
            JobTrigger::Event => {
                let subscription = served.config.event.iter().find(|event| event.name() == job.queue.name);
                subscription.map(|subscription| subscription.retry).unwrap_or_default()
            }
            JobTrigger::Webhook => {
                let webhook = served.config.webhook.iter().find(|webhook| webhook.name() == job.queue.name);
                webhook.map(|webhook| webhook.retry).unwrap_or_default()
            }
        };
        if job.attempt > retry.attempts {
            // One that ends its host would else be run for ever.
            let why = "the host of the last attempt did not renew its lease";
            return dead(format!("{}: {why}", DeadReason::AttemptsUsedUp.as_str()), keep_ms);
        }
        let clock = RunClock::new(job.lease_until.saturating_sub_unsigned(super::queue::LEASE_MS));
        let task = match task(job, clock.now()) {
            Ok(task) => task,
            Err(reason) => return dead(format!("invalid: {reason}"), keep_ms),
        };
        let record = RecordedRun { job: job.lease.id.clone(), attempt: job.attempt, cause: job.cause.clone() };
        let (message, name) = match task {
            Task::Handler(message, name) => (message, name),
            Task::Webhook { id } => {
                let (name, event) = (job.queue.name.clone(), job.input.clone());
                let delivery = WebhookDelivery { service, name, id, event, record, cancelled };
                let end = self.services.deliver(delivery).await;
                return verdict(job, end, &retry.policy(), clock.now(), None, keep_ms);
            }
        };
        let worker = served.worker(&job.queue).cloned();
        let journal = match job.queue.trigger {
            JobTrigger::Schedule | JobTrigger::Webhook => None,
            JobTrigger::Event if worker.is_some() => None,
            JobTrigger::Job | JobTrigger::Event => match StoredJournal::open(self, job, clock).await {
                Ok(journal) => Some(journal),
                Err(error) => return Verdict::NotRun { reason: error.to_string() },
            },
        };
        // The event itself has led to what its handler does.
        let hops = job.hops.saturating_add(u32::from(job.queue.trigger == JobTrigger::Event));
        let cause = Cause { traceparent: Some(child_of(job.cause.as_deref())), hops };
        let run = Run {
            source: (job.queue.trigger.as_str(), name),
            record,
            message,
            worker,
            version: job.version,
            is_pinned: job.version.is_some() && job.replayed_by.is_some(),
            timeout: config.timeout.get(),
            cause,
            journal: journal.as_ref().map(StoredJournal::handle),
            cancelled,
            service,
        };
        let end = self.services.run(run).await;
        verdict(job, end, &retry.policy(), clock.now(), journal.as_ref(), keep_ms)
    }
}

/// The outcome of a job whose run ended.
fn verdict(
    job: &ClaimedJob,
    end: RunEnd,
    policy: &RetryPolicy,
    now: Now,
    journal: Option<&StoredJournal>,
    keep_ms: u64,
) -> Verdict {
    let RunEnd { ending, version } = end;
    if let AttemptResult::NotRun { reason, .. } = ending {
        return Verdict::NotRun { reason };
    }
    let outcome = match settle(ending, policy, job.attempt, now, rand::random()) {
        Outcome::Done { result } => JobOutcome::Done { result: Some(result) },
        Outcome::Retry { at, reason, .. } => {
            JobOutcome::Retry { in_ms: at.unix_ms().saturating_sub(now.unix_ms()), error: reason }
        }
        Outcome::Dead { reason, message } => JobOutcome::Dead { error: format!("{}: {message}", reason.as_str()) },
        Outcome::Suspended => match journal.and_then(StoredJournal::suspension) {
            Some((until, wait)) => JobOutcome::Suspended { until, wait, version },
            None => JobOutcome::Retry {
                in_ms: SUSPENDED_FOR_NOTHING_MS,
                error: "the handler suspended itself without a sleep or a wait".to_owned(),
            },
        },
        Outcome::Cancelled => JobOutcome::Cancelled { reason: "cancelled while it ran".to_owned() },
    };
    // What a delivery came to is only of interest if it failed, and there may be thousands a second.
    let is_delivery = matches!(job.queue.trigger, JobTrigger::Event | JobTrigger::Webhook);
    let is_delivered = is_delivery && matches!(outcome, JobOutcome::Done { .. });
    Verdict::Outcome { outcome, keep_ms: if is_delivered { 0 } else { keep_ms } }
}

/// The service that a job is of.
pub(super) fn service_of(job: &ClaimedJob) -> ServiceId {
    service_of_queue(&job.lease.tenant, &job.queue)
}

/// The service whose jobs are in a queue of a tenant.
pub(super) fn service_of_queue(tenant: &TenantId, queue: &QueueId) -> ServiceId {
    ServiceId { tenant: tenant.clone(), component: queue.component.clone(), environment: queue.environment }
}

pub(super) fn dead(error: String, keep_ms: u64) -> Verdict {
    Verdict::Outcome { outcome: JobOutcome::Dead { error }, keep_ms }
}

/// The task of a job.
enum Task {
    /// To run a handler with this message; and the name of what triggered it.
    Handler(Message, String),
    /// To send the event with this id to the URL of a webhook.
    Webhook { id: String },
}

/// The task of a job, read from its input.
fn task(job: &ClaimedJob, now: Now) -> Result<Task, String> {
    let name = job.queue.name.clone();
    match job.queue.trigger {
        JobTrigger::Schedule => {
            let TickInput { scheduled_time, input } = parse(&job.input)?;
            let scheduled_time = u64::try_from(scheduled_time).unwrap_or_default();
            let late = now.unix_ms().saturating_sub(scheduled_time);
            let tick = Tick { name: name.clone(), scheduled_time, late, attempt: job.attempt, input };
            Ok(Task::Handler(Message::Tick(tick), name))
        }
        JobTrigger::Job => {
            let message = Job {
                id: job.lease.id.clone(),
                name: name.clone(),
                input: parse(&job.input)?,
                attempt: job.attempt,
                key: job.key.clone(),
                enqueued_at: u64::try_from(job.enqueued_at).unwrap_or_default(),
            };
            Ok(Task::Handler(Message::Job(message), name))
        }
        JobTrigger::Event => {
            let event = event_of(job)?;
            let event_type = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            let message = EventMessage { event, attempt: job.attempt };
            Ok(Task::Handler(Message::Event(Box::new(message)), event_type))
        }
        JobTrigger::Webhook => {
            let id = event_of(job)?.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok(Task::Webhook { id })
        }
    }
}

/// The event of a delivery.
pub(super) fn event_of(job: &ClaimedJob) -> Result<Map<String, Value>, String> {
    let event: Map<String, Value> = parse(&job.input)?;
    match event.get(TRANSFORM_ERROR) {
        Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
        None => Ok(event),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(input: &str) -> Result<T, String> {
    serde_json::from_str(input).map_err(|error| format!("the input cannot be read: {error}"))
}
