//! The triggers of one project, in the memory of this process: schedules by the clock, jobs and events by the backends
//! in memory of `elias-capabilities`. What waits is lost when the process ends; a platform keeps it in its store. Jobs
//! and events of transactions are in the component's database until they are handed over.

mod control;
mod deliveries;
mod jobs;
mod logs;
mod outbox;
mod run;
mod schedules;
mod settings;

pub(crate) use settings::TriggerSettings;

use control::Control;
use elias_capabilities::events::{EventReceiver, MemoryLog};
use elias_capabilities::jobs::{JobReceiver, MemoryQueue};
use elias_capabilities::outbox::OutboxRelay;
use elias_capabilities::trigger::Clock;
use elias_capabilities::{Events, Jobs};
use elias_host::Observer;
use elias_server::{AppSource, TriggerControl};
use logs::ExecutionLogs;
use outbox::Committed;
use run::Runner;
use std::sync::Arc;
use tokio::sync::watch;

/// The settings that hold now.
pub(crate) type CurrentSettings = watch::Receiver<Arc<TriggerSettings>>;

/// Triggers in memory that do not run yet.
pub(crate) struct MemoryTriggers {
    clock: Clock,
    queue: MemoryQueue,
    log: MemoryLog,
    jobs: JobReceiver,
    events: EventReceiver,
    committed: Arc<Committed>,
    lines: Arc<ExecutionLogs>,
}

impl MemoryTriggers {
    /// An empty queue and an empty log.
    pub(crate) fn new() -> Self {
        let clock = Clock::system();
        let (queue, jobs) = MemoryQueue::new(clock.clone());
        let (log, events) = MemoryLog::new(clock.clone());
        Self { clock, queue, log, jobs, events, committed: Arc::default(), lines: Arc::default() }
    }

    /// The capability `jobs` over the queue.
    pub(crate) fn jobs(&self) -> Jobs {
        Jobs::new(Arc::new(self.queue.clone()))
    }

    /// The capability `events` over the log.
    pub(crate) fn events(&self) -> Events {
        Events::new(Arc::new(self.log.clone()))
    }

    /// Who hands over the outbox of the component's database, for the capability `db`.
    pub(crate) fn outbox(&self) -> Arc<dyn OutboxRelay> {
        Arc::clone(&self.committed) as _
    }

    /// What the component must be loaded with, for its log lines to be shown by `elias trigger`.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.lines) as Arc<dyn Observer>
    }

    /// Runs the triggers of what `source` serves, until the process ends. What it gives runs one by hand.
    pub(crate) fn start(self, source: &AppSource, settings: CurrentSettings) -> Arc<dyn TriggerControl> {
        let Self { clock, queue, log, jobs, events, committed, lines } = self;
        let runner = Arc::new(Runner::new(source.clone(), settings, clock, queue, log, lines));
        tokio::spawn(jobs::run_all(Arc::clone(&runner), jobs));
        tokio::spawn(deliveries::run_all(Arc::clone(&runner), events));
        tokio::spawn(schedules::run_all(Arc::clone(&runner)));
        tokio::spawn(outbox::run_all(Arc::clone(&runner), committed));
        Arc::new(Control(runner))
    }
}
