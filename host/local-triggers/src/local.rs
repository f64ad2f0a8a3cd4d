//! Triggers that do not run yet: what a host is built with.

use crate::logs::ExecutionLogs;
#[cfg(feature = "db")]
use crate::outbox::{self, CommitNotifier};
use crate::report::RunReport;
use crate::run::{OnRun, Runner, RunnerParts};
use crate::running::RunningTriggers;
use crate::settings::{InvalidSettings, Senders, TriggerSettings};
use crate::source::ComponentSource;
use crate::webhook::WebhookSender;
use crate::worker::WorkerSender;
use crate::{deliveries, jobs, schedules};
use elias_capabilities::events::{EventReceiver, MemoryLog};
use elias_capabilities::jobs::{JobReceiver, MemoryQueue};
#[cfg(feature = "db")]
use elias_capabilities::outbox::OutboxRelay;
use elias_capabilities::trigger::Clock;
use elias_capabilities::{Events, Jobs};
use elias_host::Observer;
use elias_triggers::config::TriggersConfig;
use std::sync::Arc;

/// The triggers of one component, which do not run yet: an empty queue and an empty log of events.
pub struct LocalTriggers {
    settings: TriggerSettings,
    clock: Clock,
    queue: MemoryQueue,
    log: MemoryLog,
    jobs: JobReceiver,
    events: EventReceiver,
    #[cfg(feature = "db")]
    committed: Arc<CommitNotifier>,
    lines: Arc<ExecutionLogs>,
    on_run: Option<OnRun>,
    senders: Senders,
    history: usize,
}

/// Makes [`LocalTriggers`].
pub struct LocalTriggersBuilder {
    config: TriggersConfig,
    clock: Clock,
    on_run: Option<OnRun>,
    senders: Senders,
    history: usize,
}

impl LocalTriggers {
    /// Triggers by the system's clock, without schedules and subscriptions, and with the defaults for jobs.
    #[must_use]
    pub fn builder() -> LocalTriggersBuilder {
        LocalTriggersBuilder {
            config: TriggersConfig::default(),
            clock: Clock::system(),
            on_run: None,
            senders: Senders::default(),
            history: 0,
        }
    }

    /// The capability `jobs` over the queue. Steps of jobs and events need the capability
    /// [`Workflow`](elias_capabilities::Workflow) beside it.
    #[must_use]
    pub fn jobs(&self) -> Jobs {
        Jobs::new(Arc::new(self.queue.clone()))
    }

    /// The capability `events` over the log.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(Arc::new(self.log.clone()))
    }

    /// The log of events, for what the program itself publishes: events of the component's service workers.
    #[must_use]
    pub fn log(&self) -> MemoryLog {
        self.log.clone()
    }

    /// Hands over the outbox of the component's database, for the capability `db`
    /// ([`Db::outbox`](elias_capabilities::Db::outbox)): jobs and events of transactions.
    #[cfg(feature = "db")]
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn OutboxRelay> {
        Arc::clone(&self.committed) as _
    }

    /// The observer that the component must be loaded with for reports of its runs to have the lines that it logs
    /// ([`LoadOptions::observer`](elias_host::LoadOptions::observer)).
    #[must_use]
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.lines) as Arc<dyn Observer>
    }

    /// Runs the triggers of a component, until they are stopped or what this gives is dropped.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    #[must_use]
    pub fn start(self, component: impl Into<ComponentSource>) -> RunningTriggers {
        #[cfg(feature = "db")]
        let committed = Arc::clone(&self.committed);
        let Self { settings, clock, queue, log, jobs, events, lines, on_run, senders, history, .. } = self;
        let source = component.into();
        let parts = RunnerParts { source, settings, clock, queue, log, lines, on_run, history };
        let runner = Arc::new(Runner::new(parts));
        drop(runner.spawn(jobs::run_all(Arc::clone(&runner), jobs)));
        drop(runner.spawn(deliveries::run_all(Arc::clone(&runner), events)));
        drop(runner.spawn(schedules::run_all(Arc::clone(&runner), runner.now())));
        #[cfg(feature = "db")]
        drop(runner.spawn(outbox::run_all(Arc::clone(&runner), committed)));
        RunningTriggers::new(runner, senders)
    }
}

impl LocalTriggersBuilder {
    /// The table `[triggers]` of elias.toml, as it was read.
    #[must_use]
    pub fn config(self, config: TriggersConfig) -> Self {
        Self { config, ..self }
    }

    /// The clock that schedules, delays, retries and sleeps go by; the system's by default. Deadlines of executions are
    /// in real time whatever it is.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Tells `report` of each run that has ended. It must not wait.
    #[must_use]
    pub fn on_run(self, report: impl Fn(&RunReport) + Send + Sync + 'static) -> Self {
        Self { on_run: Some(Arc::new(report)), ..self }
    }

    /// Keeps so many of the newest runs and of the newest events, with at most 16 MiB of texts of each, for
    /// [`RunningTriggers::past_runs`] and [`RunningTriggers::past_events`]; none by default.
    #[must_use]
    pub fn history(self, items: usize) -> Self {
        Self { history: items, ..self }
    }

    /// The sender of the events of `[[triggers.webhook]]`; without, such settings cannot be used. The secret that signs
    /// is the variable of the process's environment that a webhook names.
    #[must_use]
    pub fn webhooks(mut self, sender: Arc<dyn WebhookSender>) -> Self {
        self.senders.webhooks = Some(sender);
        self
    }

    /// The sender of the events and ticks that are for service workers (`worker` of `[[triggers.event]]` and
    /// `[[triggers.schedule]]`); without, such settings cannot be used.
    #[must_use]
    pub fn workers(mut self, sender: Arc<dyn WorkerSender>) -> Self {
        self.senders.workers = Some(sender);
        self
    }

    /// The triggers.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn build(self) -> Result<LocalTriggers, InvalidSettings> {
        let Self { config, clock, on_run, senders, history } = self;
        let settings = TriggerSettings::new(config, &senders)?;
        let (queue, jobs) = MemoryQueue::new(clock.clone());
        queue.set_priorities(settings.priorities());
        let (log, events) = MemoryLog::new(clock.clone());
        Ok(LocalTriggers {
            settings,
            clock,
            queue,
            log,
            jobs,
            events,
            #[cfg(feature = "db")]
            committed: Arc::default(),
            lines: Arc::default(),
            on_run,
            senders,
            history,
        })
    }
}
