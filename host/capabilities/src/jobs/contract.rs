//! The types of `elias:jobs/jobs`, and how they become those of [`JobQueue`](super::JobQueue).
//!
//! They are written by hand: types that wasmtime generates from the WIT would lift all of `after` before its length is
//! known. `tests/contract.rs` compares them with the WIT.

use super::backend::{NewJob, StartTime};
use crate::trigger::{Reply, interface_error};
use elias_host::capability::pricing::{List, Payload};
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lift, Lower};
use std::time::Duration;

/// Dependencies that are lifted at most.
const AFTER_LIFTED_MAX: usize = 1_000;

/// Why an operation failed.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum ErrorCode {
    /// A value is not one that a job can have.
    #[component(name = "invalid")]
    Invalid,
    /// The input, the key or the list of dependencies is too large.
    #[component(name = "too-large")]
    TooLarge,
    /// The component's grant or its tenant's quota is used up.
    #[component(name = "quota-exceeded")]
    QuotaExceeded,
    /// The job or the target does not exist.
    #[component(name = "not-found")]
    NotFound,
    /// The unique key belongs to another job, or the job to cancel is over.
    #[component(name = "conflict")]
    Conflict,
    /// The queue cannot be reached.
    #[component(name = "unavailable")]
    Unavailable,
}

interface_error!(outbox);

/// A job that is to be enqueued.
#[derive(ComponentType, Lift, Debug, Clone)]
#[component(record)]
pub(crate) struct EnqueueRequest {
    pub(super) name: String,
    pub(super) input: String,
    pub(super) priority: Option<i32>,
    #[component(name = "run-at-ms")]
    pub(super) run_at_ms: Option<u64>,
    #[component(name = "delay-ms")]
    pub(super) delay_ms: Option<u64>,
    pub(super) key: Option<String>,
    #[component(name = "concurrency-key")]
    pub(super) concurrency_key: Option<String>,
    pub(super) after: List<String, AFTER_LIFTED_MAX>,
    pub(super) target: Option<String>,
}

impl EnqueueRequest {
    /// The job, unchecked but for its start.
    pub(super) fn into_job(self) -> Result<NewJob, Error> {
        let Self { name, input, priority, run_at_ms, delay_ms, key, concurrency_key, after: List(after), target } =
            self;
        let start = match (run_at_ms, delay_ms) {
            (None, None) => StartTime::Now,
            (Some(at), None) => StartTime::At(at),
            (None, Some(delay)) => StartTime::After(Duration::from_millis(delay)),
            (Some(_), Some(_)) => return Err(Error::invalid("a job has either a time or a delay, not both")),
        };
        Ok(NewJob { name, input, priority, start, key, concurrency_key, after, target })
    }
}

/// The result of both functions: the job's id.
pub(super) type JobReply = Result<String, Error>;

impl Reply for JobReply {
    fn abandoned() -> Self {
        Err(Error::new(ErrorCode::Unavailable, "the queue did not answer; whether it did its work is unknown"))
    }
}

impl Payload for EnqueueRequest {
    fn units(&self) -> u64 {
        let Self { name, input, key, concurrency_key, after, target, .. } = self;
        name.units() + input.units() + key.units() + concurrency_key.units() + after.units() + target.units()
    }
}
