//! Triggers that run, and what a program does with them.

use crate::deliveries::deliver_again;
use crate::history::{Again, PastEvent, PastRun};
use crate::report::Runs;
use crate::run::Runner;
use crate::schedules;
use crate::settings::{InvalidSettings, Senders, TriggerSettings};
use elias_capabilities::events::{EventLog, NewEvent};
use elias_capabilities::jobs::{JobQueue, ListedJob, NewJob};
use elias_capabilities::trigger::Origin;
use elias_host::ExecutionHandle;
use elias_triggers::config::TriggersConfig;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// Those who wait for reports that are remembered before those who have left are forgotten.
const REPORTERS_MAX: usize = 1_000;

/// Triggers that run. Dropping them ends all that runs at once; [`Self::stop`] lets it end.
pub struct RunningTriggers {
    runner: Arc<Runner>,
    senders: Senders,
}

/// Why something cannot be triggered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// No component is loaded.
    #[error("no component is loaded")]
    NoComponent,
    /// [`RunningTriggers::stop`] was called.
    #[error("the triggers were stopped")]
    Stopped,
    /// The settings have no schedule of this name.
    #[error("there is no schedule `{0}`")]
    NoSchedule(String),
    /// No run with this id is kept that failed for good.
    #[error("the run `{0}` does not exist, or has not failed")]
    NoFailedRun(String),
    /// The queue or the log does not take it: it is full, its key is another's, or the job does not exist.
    #[error("{0}")]
    Refused(String),
}

/// When a schedule is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextTick {
    /// The schedule's name.
    pub schedule: String,
    /// In milliseconds since 1970; none if it is disabled or never due again.
    pub due: Option<u64>,
}

impl RunningTriggers {
    pub(crate) fn new(runner: Arc<Runner>, senders: Senders) -> Self {
        Self { runner, senders }
    }

    /// The settings that hold now.
    #[must_use]
    pub fn config(&self) -> TriggersConfig {
        self.runner.settings().config.clone()
    }

    /// Has other settings hold from now on. Schedules that are in both keep their next due time.
    ///
    /// # Errors
    /// The first setting that cannot be used; the former settings hold then.
    pub fn configure(&self, config: TriggersConfig) -> Result<(), InvalidSettings> {
        self.runner.configure(TriggerSettings::new(config, &self.senders)?);
        Ok(())
    }

    /// Runs a schedule now, beside its due times; its policies do not matter.
    ///
    /// # Errors
    /// [`TriggerError::NoSchedule`], and as of [`Self::enqueue`].
    pub fn fire(&self, schedule: &str) -> Result<Runs, TriggerError> {
        self.origin()?;
        if !self.runner.settings().schedules.iter().any(|known| known.config.name == schedule) {
            return Err(TriggerError::NoSchedule(schedule.to_owned()));
        }
        let (reporter, runs) = Runs::channel();
        let (runner, name, id) = (Arc::clone(&self.runner), schedule.to_owned(), self.runner.history.tick_id());
        let runs = runs.of(id.clone());
        drop(self.runner.spawn(async move {
            let due = runner.now();
            schedules::run_tick(&runner, &name, due, (id, ExecutionHandle::new()), Some(reporter)).await;
        }));
        Ok(runs)
    }

    /// Enqueues a job.
    ///
    /// # Errors
    /// [`TriggerError::NoComponent`], [`TriggerError::Stopped`], [`TriggerError::Refused`].
    pub fn enqueue(&self, job: NewJob) -> Result<Runs, TriggerError> {
        let origin = self.origin()?;
        self.report(|| immediately(self.runner.queue.enqueue(origin, job))?.map_err(|error| error.message))
    }

    /// Publishes an event. It has a run for each subscription that it is for.
    ///
    /// # Errors
    /// [`TriggerError::NoComponent`], [`TriggerError::Stopped`], [`TriggerError::Refused`].
    pub fn publish(&self, event: NewEvent) -> Result<Runs, TriggerError> {
        let origin = self.origin()?;
        self.report(|| immediately(self.runner.log.publish(origin, event))?.map_err(|error| error.message))
    }

    /// Cancels a job that waits or runs, and those that wait for it.
    ///
    /// # Errors
    /// [`TriggerError::NoComponent`], [`TriggerError::Stopped`], [`TriggerError::Refused`].
    pub fn cancel(&self, job: &str) -> Result<(), TriggerError> {
        let cancelled = immediately(self.runner.queue.cancel(self.origin()?, job.to_owned()));
        cancelled.and_then(|cancelled| cancelled.map_err(|error| error.message)).map_err(TriggerError::Refused)
    }

    /// The jobs that are not over, in the order in which they were enqueued.
    #[must_use]
    pub fn jobs(&self) -> Vec<ListedJob> {
        self.runner.queue.list()
    }

    /// The ticks and deliveries that were begun and the jobs that are over, the newest first, as far as
    /// [`LocalTriggersBuilder::history`](crate::LocalTriggersBuilder::history) keeps them. Jobs that were cancelled
    /// before they ran are not among them.
    #[must_use]
    pub fn past_runs(&self) -> Vec<PastRun> {
        self.runner.history.runs()
    }

    /// The events that were published, the oldest first, likewise.
    #[must_use]
    pub fn past_events(&self) -> Vec<PastEvent> {
        self.runner.history.events()
    }

    /// Runs once more what failed for good, with all its attempts: a job under its id, an event for the subscription
    /// alone that failed, a tick as a new one. Steps that were finished are done again.
    ///
    /// # Errors
    /// [`TriggerError::NoFailedRun`], [`TriggerError::NoSchedule`], [`TriggerError::NoComponent`],
    /// [`TriggerError::Stopped`]; [`TriggerError::Refused`], for a subscription that is not there any more too.
    pub fn retry(&self, id: &str) -> Result<(), TriggerError> {
        self.origin()?;
        let history = &self.runner.history;
        // Forgotten first: what runs again may have failed again at once.
        let (run, again) = history.take_failed(id).ok_or_else(|| TriggerError::NoFailedRun(id.to_owned()))?;
        let begun = match again.clone() {
            Again::Tick => self.fire(&run.name).map(drop),
            Again::Job(job) => self.runner.queue.retry(*job).map_err(|error| TriggerError::Refused(error.message)),
            Again::Delivery(event, hops) => {
                let settings = self.runner.settings();
                let subscription = settings.subscriptions.iter().find(|known| known.name == run.name);
                let gone = || TriggerError::Refused(format!("the subscription `{}` does not exist any more", run.name));
                subscription.ok_or_else(gone).map(|known| deliver_again(&self.runner, known, *event, hops))
            }
        };
        if begun.is_err() {
            history.add(|| (run, again));
        }
        begun
    }

    /// Forgets a run that failed for good.
    ///
    /// # Errors
    /// [`TriggerError::NoFailedRun`].
    pub fn discard(&self, id: &str) -> Result<(), TriggerError> {
        let failed = self.runner.history.take_failed(id);
        failed.map(drop).ok_or_else(|| TriggerError::NoFailedRun(id.to_owned()))
    }

    /// When the schedules are due next, in the order of the settings.
    #[must_use]
    pub fn next_ticks(&self) -> Vec<NextTick> {
        let (settings, now) = (self.runner.settings(), self.runner.now());
        let next = settings.schedules.iter().map(|known| {
            let due = if known.config.enabled { known.schedule.arm(now) } else { None };
            NextTick { schedule: known.config.name.clone(), due: due.map(elias_delivery::clock::Now::unix_ms) }
        });
        next.collect()
    }

    /// Begins no run any more, and waits at most `grace` until those that have begun are over. What is not over then is
    /// ended, and what waits is lost. Gives the number of runs that were ended.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.runner.stop(grace).await
    }

    /// The origin of runs that are triggered by hand is the component itself.
    fn origin(&self) -> Result<Arc<Origin>, TriggerError> {
        if self.runner.is_stopping() {
            return Err(TriggerError::Stopped);
        }
        let app = self.runner.source.current().ok_or(TriggerError::NoComponent)?;
        let (component, version) = (app.name().to_owned(), app.version().to_owned());
        Ok(Arc::new(Origin { component, version, ..Origin::default() }))
    }

    /// Begins what is reported by the id that it gets.
    fn report(&self, begin: impl FnOnce() -> Result<String, String>) -> Result<Runs, TriggerError> {
        let (reporter, runs) = Runs::channel();
        // It cannot run before the reporter is known to whoever runs it.
        let mut reporters = self.runner.reporters.lock();
        let id = begin().map_err(TriggerError::Refused)?;
        if reporters.len() >= REPORTERS_MAX {
            reporters.retain(|_, reporter| !reporter.is_closed());
        }
        reporters.insert(id.clone(), reporter);
        Ok(runs.of(id))
    }
}

impl Drop for RunningTriggers {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

/// The value of a future that does not wait: the backends in memory have none that do.
fn immediately<T>(future: BoxFuture<'static, T>) -> Result<T, String> {
    future.now_or_never().ok_or_else(|| "the queue does not answer".to_owned())
}
