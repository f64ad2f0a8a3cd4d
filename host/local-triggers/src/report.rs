//! Reports of runs, for those who subscribe to them.

use crate::logs::LoggedLine;
use elias_host::Execution;
use elias_triggers::queue::Outcome;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The result of one run of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The handler and what it was run for, such as `job resize`, `schedule nightly` or `event order.paid`.
    pub what: String,
    /// The execution's id.
    pub execution: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Its outcome. With [`Outcome::Retry`] or [`Outcome::Suspended`] it runs again.
    pub outcome: Outcome,
    /// The record of the execution, with its cost; none if no handler ran.
    pub record: Option<Execution>,
    /// The log lines of the execution, at most 200 lines; none if the component was not loaded with
    /// [`LocalTriggers::observer`](crate::LocalTriggers::observer).
    pub lines: Vec<LoggedLine>,
}

/// The receiver of the report of a run.
pub(crate) type Reporter = UnboundedSender<RunReport>;

/// The first runs of what was triggered by hand: one of a tick or of a job, and one of an event for each subscription
/// that it is for. Dropping it changes nothing about them.
#[derive(Debug)]
pub struct Runs {
    id: Option<String>,
    reports: UnboundedReceiver<RunReport>,
}

impl Runs {
    /// Runs that are told of by the reporter.
    pub(crate) fn channel() -> (Reporter, Self) {
        let (reporter, reports) = unbounded_channel();
        (reporter, Self { id: None, reports })
    }

    pub(crate) fn of(self, id: String) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The id of the job, the event or the tick.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The next run that has ended; none when there are no more, or the triggers were stopped.
    pub async fn next(&mut self) -> Option<RunReport> {
        self.reports.recv().await
    }
}
