//! Workflows: jobs whose handlers have done steps.

use crate::triggers::{QueueId, StepRecord};
use serde::{Deserialize, Serialize};

/// The state of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkflowState {
    /// The workflow goes on as soon as a host has a slot for it, or when its turn in an order comes.
    Ready,
    /// A host runs the handler.
    Running,
    /// The handler sleeps until the time `until`.
    Sleeping,
    /// The handler waits for the event `waits_for`, at most until the time `until`.
    Waiting,
    /// An attempt failed; the next one begins at the time `until` and goes on with the first step that is not done.
    Retrying,
    /// The handler returned.
    Done,
    /// The job is dead: it failed and is not retried.
    Failed,
    /// The job was cancelled.
    Cancelled,
}

impl WorkflowState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Sleeping => "sleeping",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A workflow: a job, a tick or a delivery whose journal has steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkflowRecord {
    /// The id of the job.
    pub id: String,
    /// Where the job runs, and under which name.
    #[serde(flatten)]
    pub queue: QueueId,
    /// The state.
    pub state: WorkflowState,
    /// The end of a sleep, the time at which a wait is given up, or that of the next attempt, in milliseconds since
    /// 1970-01-01 UTC; null in other states, and for a wait without a timeout.
    pub until: Option<i64>,
    /// The event that is waited for: its type and the conditions, such as `order.paid {"subject":"o-1"}`; null in other
    /// states.
    pub waits_for: Option<String>,
    /// The number of steps so far: those that are over, and a sleep or a wait that is not.
    pub step_count: u32,
    /// The last step; null if only a later release knows its kind.
    pub last_step: Option<StepRecord>,
    /// The number of attempts that began.
    pub attempt: u32,
    /// The number of the version that runs the job to its end; null while any may.
    pub version: Option<u32>,
    /// The time of the enqueuing, in milliseconds since 1970-01-01 UTC.
    pub enqueued_at: i64,
    /// The time of the end, in milliseconds since 1970-01-01 UTC; null while the job is unfinished.
    pub finished_at: Option<i64>,
    /// Why the job is dead or cancelled, or why its last attempt failed; null otherwise.
    pub error: Option<String>,
}

/// A workflow with its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkflowDetails {
    /// The workflow.
    #[serde(flatten)]
    pub workflow: WorkflowRecord,
    /// Its steps in the order of the journal, the first 1,000; the steps of the job are listed in pages, too.
    pub steps: Vec<StepRecord>,
}
