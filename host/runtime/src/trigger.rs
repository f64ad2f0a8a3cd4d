//! Runs a component's handlers of triggers, `elias:triggers/{schedule,job,event,events}`. The embedder decides when to
//! fire them.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::execution::{Execution, Outcome};
use crate::instance::LoadedComponent;
use crate::json_export::{self, CallOptions, GuestException, JsonHandler};
use crate::recycling::{InstancePool, InstanceSource};
use crate::run::{self, ExecutionRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{ComponentType, Lift};

/// The interfaces, and the function that each has.
pub(crate) const SCHEDULE: &str = "elias:triggers/schedule@0.1.0";
pub(crate) const JOB: &str = "elias:triggers/job@0.1.0";
pub(crate) const EVENT: &str = "elias:triggers/event@0.1.0";
pub(crate) const EVENTS: &str = "elias:triggers/events@0.1.0";
pub(crate) const FUNCTION: &str = "run";

/// A component's `scheduled` or `event` handler, in an instance.
pub(crate) type TriggerHandler = JsonHandler<Result<(), Failure>>;
/// A component's `job` or `events` handler, in an instance.
pub(crate) type JobHandler = JsonHandler<Result<String, Failure>>;

/// One due time of a schedule, as the `scheduled` handler gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tick {
    /// The schedule's name.
    pub name: String,
    /// When it was due, in milliseconds since 1970.
    pub scheduled_time: u64,
    /// Milliseconds from then to the beginning of this attempt.
    pub late: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The schedule's input as it is configured; null without one.
    pub input: Value,
}

/// A job, as the `job` handler gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Which of the component's jobs it is.
    pub name: String,
    /// The input with which it was enqueued.
    pub input: Value,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Its unique key, if it was given one.
    pub key: Option<String>,
    /// When it was enqueued, in milliseconds since 1970.
    pub enqueued_at: u64,
}

/// An event, as the `event` handler gets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventMessage {
    /// The event in the JSON format of CloudEvents 1.0.
    #[serde(flatten)]
    pub event: Map<String, Value>,
    /// The attempt to deliver it, from 1.
    pub attempt: u32,
}

/// Events that a subscription gets at once, as the `events` handler gets them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventBatch {
    /// The name of the subscription.
    pub subscription: String,
    /// The events.
    pub events: Vec<EventMessage>,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// The handler's result.
    pub result: RunResult,
    /// The record of the execution, with its cost. Its outcome is [`Outcome::Completed`], for the handler returned.
    pub execution: Execution,
}

/// The result of a handler. An exception is not among them: it is an [`Error`], like that of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum RunResult {
    /// It is done: the result of a job; of a batch, a list with what was decided on each event, without the
    /// component's secrets; null for ticks and events.
    Done(Value),
    /// It is to be run again.
    Retry {
        /// After so long; none: as the policy for retries says.
        after: Option<Duration>,
        /// Why, for people. At most 64 KiB, without the component's secrets.
        reason: String,
    },
    /// It is never to be run again.
    Reject {
        /// Why, as above.
        reason: String,
    },
    /// It waits durably, for a time or an event that the workflow capability was told: it is to be run again when the
    /// wait is over, and that is no further attempt.
    Suspended,
}

/// `elias:triggers/types.failure`.
#[derive(ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Failure {
    #[component(name = "exception")]
    Exception(GuestException),
    #[component(name = "retry")]
    Retry(Retry),
    #[component(name = "reject")]
    Reject(String),
    #[component(name = "suspended")]
    Suspended,
}

/// `elias:triggers/types.retry`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct Retry {
    #[component(name = "after-ms")]
    after_ms: Option<u64>,
    reason: String,
}

impl Failure {
    /// The handler's result, unless it is an exception: its error ends the record.
    fn result(self, record: &ExecutionRecord) -> Result<RunResult, Error> {
        let shown = |text: &str| run::shown_text(record.component(), text);
        match self {
            Self::Exception(exception) => Err(exception.fail(record)),
            Self::Retry(retry) => {
                Ok(RunResult::Retry { after: retry.after_ms.map(Duration::from_millis), reason: shown(&retry.reason) })
            }
            Self::Reject(reason) => Ok(RunResult::Reject { reason: shown(&reason) }),
            Self::Suspended => Ok(RunResult::Suspended),
        }
    }
}

/// Runs a handler that gives no value.
pub(crate) async fn run(
    component: &Arc<LoadedComponent>,
    pool: &Arc<InstancePool<TriggerHandler>>,
    message: &(impl Serialize + Sync),
    options: CallOptions,
) -> Result<RunOutcome, Error> {
    let (result, record) =
        json_export::run(component, InstanceSource::Pool(Arc::clone(pool)), message, options).await?;
    let result = match result {
        Ok(()) => RunResult::Done(Value::Null),
        Err(failure) => failure.result(&record)?,
    };
    Ok(RunOutcome { result, execution: record.end(Outcome::Completed) })
}

/// Runs the handler of jobs.
pub(crate) async fn run_job(
    component: &Arc<LoadedComponent>,
    pool: &Arc<InstancePool<JobHandler>>,
    job: &Job,
    options: CallOptions,
) -> Result<RunOutcome, Error> {
    let (result, record) = json_export::run(component, InstanceSource::Pool(Arc::clone(pool)), job, options).await?;
    let result = match result {
        Ok(output) => RunResult::Done(json_export::read_output(&record, &output)?),
        Err(failure) => failure.result(&record)?,
    };
    Ok(RunOutcome { result, execution: record.end(Outcome::Completed) })
}

/// Runs the handler of batches.
pub(crate) async fn run_events(
    component: &Arc<LoadedComponent>,
    pool: &Arc<InstancePool<JobHandler>>,
    batch: &EventBatch,
    options: CallOptions,
) -> Result<RunOutcome, Error> {
    let (result, record) = json_export::run(component, InstanceSource::Pool(Arc::clone(pool)), batch, options).await?;
    let result = match result {
        Ok(output) => {
            let decisions = json_export::read_output(&record, &output)?;
            RunResult::Done(shown(decisions, &|text: &str| run::shown_text(record.component(), text)))
        }
        Err(failure) => failure.result(&record)?,
    };
    Ok(RunOutcome { result, execution: record.end(Outcome::Completed) })
}

/// A value whose texts are as people may see them.
fn shown(value: Value, show: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(show(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(|item| shown(item, show)).collect()),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, member)| (name, shown(member, show))).collect())
        }
        other => other,
    }
}
