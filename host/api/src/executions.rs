//! Executions: recorded, running, and their log lines.

use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A recorded execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExecutionRecord {
    /// The tenant of the component.
    pub tenant: TenantId,
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. Ids sort by time.
    pub id: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The number of the version that ran.
    pub version: u32,
    /// The method and path of the request that started the execution, such as `GET /cart`; prefixed with `shadow ` for
    /// a mirrored request. Of the run of a trigger its kind and its name: `schedule nightly`, `job resize`,
    /// `event order.paid`, `webhook partner`; of rows of an outbox that were not handed over `outbox`.
    pub source: String,
    /// The job that the execution ran; null for a request.
    #[serde(default)]
    pub run: Option<RecordedRun>,
    /// The id of the trace that the execution belongs to, 32 hexadecimal digits: that of the request's `traceparent`,
    /// which jobs, events and requests to other services take along. Null for a record of an older release, and where
    /// no handler ran.
    #[serde(default)]
    pub trace: Option<String>,
    /// The time of the start, in milliseconds since 1970-01-01 UTC.
    pub started_at: i64,
    /// The wall-clock duration in microseconds.
    pub duration_us: u64,
    /// The fuel used, in units of fuel.
    pub fuel: u64,
    /// The peak linear memory of the instance in bytes.
    pub memory_bytes: u64,
    /// The calls of the component to capabilities, in total per capability.
    #[serde(default)]
    pub host_calls: Vec<RecordedCalls>,
    /// The variants of the feature flags that the execution evaluated, by name: of each flag the last one, and of more
    /// than 32 flags those of the first.
    #[serde(default)]
    pub flags: BTreeMap<String, String>,
    /// The HTTP status of the response; 0 if there was no response. Of a failed run of a trigger the status that a
    /// request would have got.
    pub status: u16,
    /// The outcome: `completed`, `failed` or `cancelled`.
    pub outcome: String,
    /// The error code of a failed execution, such as `deadline`; null otherwise.
    pub code: Option<String>,
    /// The error message with the stack trace, in positions of the original source; null without an error.
    pub error: Option<String>,
    /// The log lines of the execution, each as `[level, message]`; null without log lines.
    #[schema(value_type = Option<Object>)]
    pub lines: Option<Value>,
}

impl ExecutionRecord {
    /// The service that ran.
    #[must_use]
    pub fn service(&self) -> ServiceId {
        let (tenant, component) = (self.tenant.clone(), self.component.clone());
        ServiceId { tenant, component, environment: self.environment }
    }

    /// The level and the message of each log line. Entries of another shape are skipped.
    pub fn log_lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.lines.as_ref().and_then(Value::as_array);
        lines.into_iter().flatten().filter_map(|line| Some((line.get(0)?.as_str()?, line.get(1)?.as_str()?)))
    }
}

/// The job that an execution ran: also a tick of a schedule and the delivery of an event are jobs. Of a turn of a
/// service worker the message that it handled, which is a job's where a trigger sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordedRun {
    /// The id of the job; else the message's, a UUID.
    pub job: String,
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The `traceparent` of what enqueued the job; null without one.
    pub cause: Option<String>,
}

/// The calls of an execution to a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecordedCalls {
    /// The name of the capability, such as `db`.
    pub capability: String,
    /// The number of calls.
    pub calls: u32,
    /// The sum of the durations of the calls in microseconds. Concurrent calls each count in full.
    pub duration_us: u64,
}

/// A filter for recorded executions.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ExecutionFilter {
    /// Only executions of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only executions in this environment; absent for all.
    pub environment: Option<Environment>,
    /// Only runs of the job with this id, a tick or a delivery too, and turns of service workers that handled it or the
    /// message with this id; absent for all.
    pub job: Option<String>,
    /// Only executions of the trace with this id, 32 hexadecimal digits: a request, and all that it has caused. A whole
    /// `traceparent` stands for its trace. Absent for all.
    pub trace: Option<String>,
    /// `true` for only failed executions, `false` for only those that did not fail; absent for all.
    pub failed: Option<bool>,
    /// Only executions that started before the one with this id; absent for all.
    pub before: Option<String>,
}

/// An execution that is running on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RunningExecution {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. The execution can be cancelled with it.
    pub id: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The number of the version that runs.
    pub version: u32,
    /// Whether the version is a canary.
    pub canary: bool,
    /// The time when the request was admitted, in milliseconds since 1970-01-01 UTC.
    pub started_at: i64,
    /// The method and path of the request that started the execution, such as `GET /cart`; prefixed with `shadow ` for
    /// a mirrored request.
    pub source: String,
}

/// A filter for running executions.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct RunningFilter {
    /// Only executions of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only executions in this environment; absent for all.
    pub environment: Option<Environment>,
}

/// A log line in a stream of log lines.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct FollowedLine {
    /// The id of the execution that wrote the line.
    pub execution: String,
    /// The service worker whose turn the execution is, `CLASS/NAME` with control characters escaped; null for others.
    pub worker: Option<String>,
    /// The id of the message that the worker handles, a job's where it is the message of one; null for others.
    pub message_id: Option<String>,
    /// The level: `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub level: &'static str,
    /// The message.
    pub message: String,
    /// The structured fields of the line as `name=value` pairs, separated by spaces; empty without fields.
    pub fields: String,
}
