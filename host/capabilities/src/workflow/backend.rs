//! The trait of journals. The program that runs jobs implements it.

use super::contract::Error;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The outcome of `begin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BeginAnswer {
    /// The step was finished, with this outcome.
    Recorded(String),
    /// It is to be done.
    Run,
}

/// The outcome of `sleep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SleepAnswer {
    /// The time is over.
    Elapsed,
    /// It is not.
    Wait,
}

/// The outcome of `wait-for`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitAnswer {
    /// The event that came, in the JSON format of CloudEvents 1.0.
    Happened(String),
    /// None came in time.
    TimedOut,
    /// None came yet.
    Wait,
}

/// The event that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWait {
    /// The type, or a pattern of types; from 1 to 256 bytes, without control characters.
    pub event_type: String,
    /// A JSON object: the filter, as `where` of a subscription.
    pub filter: String,
    /// How long, from when the journal was first asked; none: until the job is cancelled.
    pub timeout: Option<Duration>,
}

/// The journal of one job, as one of its executions uses it.
///
/// Steps, sleeps and waits are asked for in order, at positions from 0 on. Where the journal has another at a position,
/// by its kind, its name or the hash of its input, the answer is `nondeterministic-step`, and the message names both.
/// Names have from 1 to 256 bytes, without control characters. What is asked for is done in a task of its own, to its
/// end, also when the execution that asked ends before.
pub trait Journal: Send + Sync + 'static {
    /// Begins a step. `input_hash` has at most 64 bytes.
    fn begin(&self, position: u32, name: String, input_hash: String) -> BoxFuture<'static, Result<BeginAnswer, Error>>;

    /// Records the outcome of a step that was begun. `invalid` if none was at this position.
    fn finish(&self, position: u32, outcome: String) -> BoxFuture<'static, Result<(), Error>>;

    /// Sleeps so long, from when the journal was first asked.
    fn sleep(&self, position: u32, name: String, time: Duration) -> BoxFuture<'static, Result<SleepAnswer, Error>>;

    /// Waits for the first event that comes after the journal was first asked.
    fn wait_for(&self, position: u32, name: String, wait: EventWait) -> BoxFuture<'static, Result<WaitAnswer, Error>>;
}

/// The journal of the job that an execution runs, in [`CallOptions::extensions`](elias_host::CallOptions::extensions).
#[derive(Clone)]
pub struct JournalHandle {
    id: Arc<str>,
    journal: Arc<dyn Journal>,
}

impl JournalHandle {
    /// A handle to this journal. `id` is the same in all executions of its job, and no other journal of the component
    /// has it or had it before, since it is kept in the component's database: the job's own id, where no id is given
    /// twice.
    #[must_use]
    pub fn new(id: &str, journal: Arc<dyn Journal>) -> Self {
        Self { id: id.into(), journal }
    }

    /// The id of the journal.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The journal.
    pub(super) fn journal(&self) -> &dyn Journal {
        &*self.journal
    }
}

impl fmt::Debug for JournalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
