//! Traces: what a request or a trigger has caused, as spans.

use elias_names::{ComponentName, Environment, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A span: something that took its time within a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Span {
    /// The id in the trace, 16 hexadecimal digits.
    pub id: String,
    /// The id of the span that caused it, or that it is a part of; null for the first of the trace. A span that is not
    /// kept, or that is of a program outside, can be the parent too.
    pub parent: Option<String>,
    /// The name, such as `GET`, `queue`, `db query` or `job resize`.
    pub name: String,
    /// The kind: `internal`, `server`, `client`, `producer` or `consumer`.
    pub kind: String,
    /// The time of the start, in microseconds since 1970-01-01 UTC.
    pub started_us: u64,
    /// The duration in microseconds.
    pub duration_us: u64,
    /// Whether it failed.
    #[serde(default)]
    pub failed: bool,
    /// The reason of a failure, if it is known; null otherwise.
    #[serde(default)]
    pub message: Option<String>,
    /// The attributes: texts and whole numbers, by the names of OpenTelemetry's semantic conventions.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub attributes: BTreeMap<String, Value>,
}

/// The spans of an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ExecutionTrace {
    /// The tenant of the component.
    pub tenant: TenantId,
    /// The id of the trace, 32 hexadecimal digits.
    pub trace: String,
    /// The id of the execution. Its record may not be kept, though its spans are.
    pub execution: String,
    /// The name of the component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The number of the version that ran.
    pub version: u32,
    /// The request or the trigger that started the execution, such as `GET /cart` or `job resize`.
    pub name: String,
    /// The time of the start, in microseconds since 1970-01-01 UTC.
    pub started_us: u64,
    /// The duration in microseconds, of a request to the end of its response.
    pub duration_us: u64,
    /// Whether the execution failed.
    pub failed: bool,
    /// The number of calls and spans of the execution that are more than are kept.
    pub left_out: u32,
    /// The spans. The first is that of the execution, or of the request that it responded to.
    pub spans: Vec<Span>,
}

/// A trace: all executions of a request and of what it has caused, as far as they are kept and the user may read them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Trace {
    /// The id, 32 hexadecimal digits.
    pub trace: String,
    /// The executions, the earliest first.
    pub executions: Vec<ExecutionTrace>,
    /// Whether the trace has more executions than are shown.
    pub is_cut: bool,
}

/// A trace in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TraceSummary {
    /// The id of the trace, 32 hexadecimal digits.
    pub trace: String,
    /// The request or the trigger that started its first execution, such as `GET /cart`.
    pub name: String,
    /// The component of the first execution.
    pub component: ComponentName,
    /// The environment of the first execution.
    pub environment: Environment,
    /// The time of the start, in microseconds since 1970-01-01 UTC.
    pub started_us: u64,
    /// The duration from the first start to the last end in microseconds.
    pub duration_us: u64,
    /// The number of executions.
    pub executions: u32,
    /// The number of those that failed.
    pub failed: u32,
    /// The id of the newest execution, by which the list goes on.
    pub last: String,
}

/// A filter for traces: those with an execution to which all of it applies.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct TraceFilter {
    /// Only traces with an execution of this component; absent for all.
    pub component: Option<ComponentName>,
    /// Only traces with an execution in this environment; absent for all.
    pub environment: Option<Environment>,
    /// `true` for only traces with a failed execution, `false` for only those with one that did not fail; absent for
    /// all.
    pub failed: Option<bool>,
    /// Only traces with an execution that took at least this long, in milliseconds; absent for all.
    pub min_duration_ms: Option<u32>,
    /// Only traces with an execution that started at this time or later, in milliseconds since 1970-01-01 UTC; absent
    /// for all.
    pub since: Option<i64>,
    /// Only traces with an execution that started before this time, in milliseconds since 1970-01-01 UTC; absent for
    /// all.
    pub until: Option<i64>,
}
