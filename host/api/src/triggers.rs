//! Schedules and their ticks, jobs, events and subscriptions.

use crate::error::{Code, Error, Result};
use elias_names::{ComponentName, Environment};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;

/// The kind of trigger that enqueued a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobTrigger {
    /// A tick of a schedule.
    Schedule,
    /// A component, or a request to the admin API.
    Job,
    /// An event that a subscription matches: the job is its delivery.
    Event,
    /// An event that a webhook matches: the job is its delivery to a URL.
    Webhook,
}

impl JobTrigger {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Job => "job",
            Self::Event => "event",
            Self::Webhook => "webhook",
        }
    }
}

impl FromStr for JobTrigger {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Schedule, Self::Job, Self::Event, Self::Webhook]
            .into_iter()
            .find(|trigger| trigger.as_str() == text)
            .ok_or_else(|| Error::new(Code::BadName, "a job's trigger must be schedule, job, event or webhook"))
    }
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// The job waits for a time, for other jobs, for its turn in an order or for an event.
    Waiting,
    /// The job can run as soon as a host has a slot for it.
    Ready,
    /// A host runs the job.
    Leased,
    /// The job succeeded.
    Done,
    /// The job failed and is not retried.
    Dead,
    /// The job was cancelled.
    Cancelled,
}

impl JobState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Dead | Self::Cancelled)
    }
}

impl FromStr for JobState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Waiting, Self::Ready, Self::Leased, Self::Done, Self::Dead, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| {
                let message = "a job's state must be waiting, ready, leased, done, dead or cancelled";
                Error::new(Code::BadName, message)
            })
    }
}

/// The queue of a job within its tenant: jobs of the same component, environment, trigger and name. As a text these
/// are separated by slashes, such as `shop/production/job/resize`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct QueueId {
    /// The name of the component that runs the job.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The kind of trigger that enqueued the job.
    pub trigger: JobTrigger,
    /// The name of the job, of the schedule or of the subscription.
    pub name: String,
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.component, self.environment, self.trigger.as_str(), self.name)
    }
}

impl FromStr for QueueId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.splitn(4, '/');
        let mut part = || parts.next().unwrap_or_default();
        Ok(Self {
            component: part().parse()?,
            environment: part().parse()?,
            trigger: part().parse()?,
            name: part().to_owned(),
        })
    }
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobRecord {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. Ids sort by time.
    pub id: String,
    /// Where the job runs, and under which name.
    #[serde(flatten)]
    pub queue: QueueId,
    /// The state.
    pub state: JobState,
    /// The unique key that the job was enqueued with; null without one.
    pub key: Option<String>,
    /// The ordering key: jobs with the same one run one after the other. Null without one.
    pub ordering_key: Option<String>,
    /// The concurrency key: jobs with the same one share the `key-concurrency` of their name. Null without one.
    pub concurrency_key: Option<String>,
    /// The input, a JSON text.
    pub input: String,
    /// The priority; jobs with a higher one run first.
    pub priority: i32,
    /// The number of attempts that began.
    pub attempt: u32,
    /// The number of the version that runs the job to its end; null while any may.
    pub version: Option<u32>,
    /// The `traceparent` of what enqueued the job; null without one.
    pub cause: Option<String>,
    /// The name of who replayed the event that the job delivers; null for other jobs.
    pub replayed_by: Option<String>,
    /// The number of events that led to the job, each published by the handler of the one before.
    #[serde(default)]
    pub hops: u32,
    /// The time of the enqueuing, in milliseconds since 1970-01-01 UTC.
    pub enqueued_at: i64,
    /// The reason why the job waits: `time`, `jobs`, `order` or `event`; null in other states.
    pub waits_for: Option<String>,
    /// The time at which a waiting job is to go on, in milliseconds since 1970-01-01 UTC; null if that is not known.
    pub due: Option<i64>,
    /// Whether the job is leased and is to be cancelled.
    pub cancelling: bool,
    /// The result of a job that is done, a JSON text; null otherwise.
    pub result: Option<String>,
    /// Why the job is dead or cancelled, or why its last attempt failed; null otherwise.
    pub error: Option<String>,
    /// The time of the end, in milliseconds since 1970-01-01 UTC; null while the job is unfinished.
    pub finished_at: Option<i64>,
}

/// The kind of a step in the journal of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// A step that has ended: `step(name, work)`.
    Step,
    /// A sleep: `step.sleep`.
    Sleep,
    /// A wait for an event: `step.waitFor`.
    Wait,
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// The step returned, the sleep is over, or the event came.
    Done,
    /// The step threw, and its handler goes on from that.
    Failed,
    /// The sleep or the wait is not over.
    Waiting,
    /// The event of the wait did not come in time.
    TimedOut,
}

impl StepState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::TimedOut => "timed-out",
        }
    }
}

/// A step in the journal of a job, which its handler does not do again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StepRecord {
    /// The position in the journal, from 0.
    pub position: u32,
    /// The name.
    pub name: String,
    /// The kind of the step.
    pub kind: StepKind,
    /// The state.
    pub state: StepState,
    /// The time at which a step ended, or a sleep or a wait began, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The end of a sleep, or the time at which a wait is given up, in milliseconds since 1970-01-01 UTC; null for a
    /// step.
    pub until: Option<i64>,
    /// The event that a wait waits for: its type and the conditions, such as `order.paid {"subject":"o-1"}`; null for
    /// other steps.
    pub waits_for: Option<String>,
    /// The result of a step, or the event of a wait, a JSON text; null without one, or if it has more than some 4,000
    /// characters.
    pub result: Option<String>,
    /// The error of a step that threw; null otherwise.
    pub error: Option<String>,
}

/// A filter for jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct JobFilter {
    /// Only jobs of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only jobs in this environment; absent for all.
    pub environment: Option<Environment>,
    /// Only jobs with this trigger; absent for all.
    pub trigger: Option<JobTrigger>,
    /// Only deliveries of events, whose triggers are `event` and `webhook`.
    #[serde(skip)]
    #[param(ignore)]
    pub deliveries: bool,
    /// Only jobs, schedules or subscriptions with this name; absent for all.
    pub name: Option<String>,
    /// Only jobs in this state; absent for all.
    pub state: Option<JobState>,
    /// Only jobs that were enqueued before the one with this id; absent for all.
    pub before: Option<String>,
}

/// How many jobs a tenant has, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JobCounts {
    /// Those that wait.
    pub waiting: u64,
    /// Those that can run.
    pub ready: u64,
    /// Those that hosts run.
    pub leased: u64,
    /// Those that failed, are not retried, and whose record is still kept.
    pub dead: u64,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScheduleRecord {
    /// The name of the component that it starts.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The name of the schedule.
    pub name: String,
    /// The configuration, as in `elias.toml`.
    #[schema(value_type = Object)]
    pub config: Value,
    /// The time of the next tick, in milliseconds since 1970-01-01 UTC; null while it is paused, or has no next one.
    pub next_due: Option<i64>,
    /// Whether the schedule is paused.
    pub paused: bool,
    /// The due time of the last tick, in milliseconds since 1970-01-01 UTC; null before the first.
    pub last_due: Option<i64>,
    /// The outcome of the last run that ended: `done`, `dead` or `cancelled`; null before the first.
    pub last_outcome: Option<String>,
    /// The number of runs in a row that did not succeed.
    pub failures: u32,
    /// The revision; it grows with each change of the configuration, pause and resumption.
    pub revision: u64,
}

/// The outcome of a due time of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TickOutcome {
    /// A job was enqueued.
    Run,
    /// No job was enqueued, for the reason that is given.
    Skipped,
}

impl TickOutcome {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Skipped => "skipped",
        }
    }
}

impl FromStr for TickOutcome {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Run, Self::Skipped]
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| Error::new(Code::BadName, "a tick's outcome must be run or skipped"))
    }
}

/// A due time of a schedule, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TickRecord {
    /// The due time, in milliseconds since 1970-01-01 UTC.
    pub due: i64,
    /// The outcome.
    pub outcome: TickOutcome,
    /// Why it was skipped, or who asked for the run; null otherwise.
    pub reason: Option<String>,
    /// The id of the job; null if it was skipped.
    pub job: Option<String>,
    /// The time at which a host noticed, in milliseconds since 1970-01-01 UTC. The lateness is this less `due`.
    pub fired_at: i64,
    /// The host's process.
    pub host: String,
}

/// A schedule with its next due times and its last ticks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ScheduleDetails {
    /// The schedule.
    pub schedule: ScheduleRecord,
    /// The next ten due times, in milliseconds since 1970-01-01 UTC; empty while it is paused.
    pub next: Vec<i64>,
    /// The last 20 ticks, the last one first.
    pub ticks: Vec<TickRecord>,
}

/// An event in a tenant's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EventRecord {
    /// The position in the tenant's log. It grows from event to event, and numbers may be left out.
    pub position: u64,
    /// The id.
    pub id: String,
    /// The type, such as `order.paid`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The source, a URI reference.
    pub source: String,
    /// The subject within the source; null without one.
    pub subject: Option<String>,
    /// The data, a JSON text.
    pub data: String,
    /// When it happened, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
    /// The idempotency key that it was published with; null without one.
    pub key: Option<String>,
    /// The number of events that led to this one, each published by the handler of the one before.
    pub hops: u32,
    /// The `traceparent` of what published the event; null without one.
    pub cause: Option<String>,
    /// When it was published, in milliseconds since 1970-01-01 UTC.
    pub published_at: i64,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SubscriptionRecord {
    /// The name of the component that gets the events.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The name of the subscription.
    pub name: String,
    /// The configuration, as in `elias.toml`.
    #[schema(value_type = Object)]
    pub config: Value,
    /// The position of the last event that was matched against it.
    pub cursor: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// The revision; it grows with each change of the configuration, pause, resumption and replay.
    pub revision: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_texts_and_back() {
        let queue = QueueId {
            component: "shop".parse().expect("a name"),
            environment: Environment::Production,
            trigger: JobTrigger::Event,
            name: "order/paid".to_owned(),
        };
        assert_eq!(queue.to_string(), "shop/production/event/order/paid");
        assert_eq!(queue.to_string().parse::<QueueId>().expect("a queue"), queue);
        for wrong in ["", "shop", "shop/production/call/x", "Shop/production/job/x"] {
            assert_eq!(wrong.parse::<QueueId>().expect_err("not a queue").code(), Code::BadName, "{wrong}");
        }
    }
}
