//! Executions: the record of one, its caller, the handle to it, and the meter of its resource usage.

mod handle;
mod meter;
mod timeline;

pub use handle::ExecutionHandle;
pub use meter::{CallMeter, HostCall};
pub use timeline::{DETAIL_BYTES_MAX, SPAN, SpanId, TimedCall, Timeline};

pub(crate) use meter::Meter;
pub(crate) use timeline::SPAN_NAME_BYTES_MAX;

use elias_contract::ErrorCode;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The record of one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Its id, unique and sortable by time: a ULID, 26 characters.
    pub id: String,
    /// When it began.
    pub started: Instant,
    /// Wall clock from the request to the end of everything the guest did.
    pub duration: Duration,
    /// Units of fuel used.
    pub fuel: u64,
    /// The most bytes of linear memory that the instance had.
    pub memory_peak_bytes: u64,
    /// The calls to capabilities, in the order of the first calls.
    pub host_calls: Vec<HostCalls>,
    /// The calls, each with its time; none if there was none, or none was to be kept.
    pub timeline: Option<Arc<Timeline>>,
    /// The feature flags that it evaluated: the first 32, each with its last variant.
    pub flags: Vec<EvaluatedFlag>,
    /// Bytes of the bodies of requests that it sent to other servers.
    pub sent_bytes: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// An execution's calls to one capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostCalls {
    /// The capability's name.
    pub capability: &'static str,
    /// How many there were.
    pub calls: u32,
    /// From their beginnings to their ends, in sum: those that were under way at the same time count each.
    pub time: Duration,
}

/// A feature flag that an execution evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatedFlag {
    /// The flag's name; at most 128 bytes of it.
    pub name: Box<str>,
    /// The name of the variant; at most 128 bytes of it.
    pub variant: Box<str>,
}

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The guest responded and ended.
    Completed,
    /// It failed.
    Failed(ErrorCode),
    /// The caller gave up, and the guest was ended.
    Cancelled,
}

/// On whose behalf an execution runs, as components see it in `ctx`. In a request's extensions it tells
/// [`crate::App::fetch`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The id of the component's tenant.
    pub tenant_id: Option<String>,
    /// The user who was authenticated.
    pub user_id: Option<String>,
    /// The organization of that user.
    pub organization_id: Option<String>,
    /// The claims of the token that authenticated the request: a JSON object.
    pub claims: Option<String>,
    /// The address of the client that sent the request, as far as it is trusted.
    pub client_address: Option<IpAddr>,
}
