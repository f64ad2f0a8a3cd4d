//! The trait of queues, which whoever runs the host implements.

use super::contract::Error;
use crate::trigger::Origin;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A job to enqueue, within the bounds of the component's grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Which of the target's jobs it is; from 1 to 128 bytes, without control characters.
    pub name: String,
    /// A JSON text.
    pub input: String,
    /// Higher ones run first; none: as the job is configured.
    pub priority: Option<i32>,
    /// The earliest start.
    pub start: StartTime,
    /// A unique key, from 1 to 256 bytes: as long as a job with it is kept there is no second one, and its id is given.
    pub key: Option<String>,
    /// Jobs of a name with the same concurrency key, from 1 to 256 bytes, run at a time only as that name allows.
    pub concurrency_key: Option<String>,
    /// Ids of the jobs that have to be done first, at most 100.
    pub after: Vec<String>,
    /// The component that runs it, which the grant allows; none: the one that enqueues it.
    pub target: Option<String>,
}

impl NewJob {
    /// A job that the component which enqueues it runs, as soon as it can, with the settings of jobs of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, input: &Value) -> Self {
        Self {
            name: name.into(),
            input: input.to_string(),
            priority: None,
            start: StartTime::Now,
            key: None,
            concurrency_key: None,
            after: Vec::new(),
            target: None,
        }
    }
}

/// The earliest start of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTime {
    /// At once.
    Now,
    /// At this time, in milliseconds since 1970.
    At(u64),
    /// So long from now.
    After(Duration),
}

/// A queue of jobs.
///
/// Each request is done in a task of its own, to its end, also when the execution that asked ends before.
pub trait JobQueue: Send + Sync + 'static {
    /// Enqueues a job and gives its id; for a unique key that is taken, that of the job that has it.
    fn enqueue(&self, origin: Arc<Origin>, job: NewJob) -> BoxFuture<'static, Result<String, Error>>;

    /// Enqueues a job that was given its id in a component's outbox. If a job was handed over with this id before, be
    /// it over by now, nothing is done: the id is given again. A job whose unique key another one has is dropped
    /// likewise.
    fn enqueue_once(&self, origin: Arc<Origin>, id: String, job: NewJob) -> BoxFuture<'static, Result<String, Error>>;

    /// Cancels a job that waits or runs. `not-found` for one that the component did not enqueue and does not run.
    fn cancel(&self, origin: Arc<Origin>, id: String) -> BoxFuture<'static, Result<(), Error>>;
}
