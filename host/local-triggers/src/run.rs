//! One run of a handler, and what becomes of it.

use crate::history::History;
use crate::logs::ExecutionLogs;
use crate::report::{Reporter, RunReport};
use crate::settings::{CurrentSettings, TriggerSettings};
use crate::source::ComponentSource;
use crate::webhook::Webhook;
use crate::worker::WorkerRun;
use elias_capabilities::events::MemoryLog;
use elias_capabilities::jobs::MemoryQueue;
use elias_capabilities::trigger::{Cause, Clock, TaskGroup};
use elias_capabilities::workflow::{JournalHandle, MemoryJournal};
use elias_delivery::clock::Now;
use elias_host::{
    App, CallOptions, Error, ErrorCode, EventBatch, EventMessage, Execution, ExecutionHandle, Job, RunOutcome,
    RunResult, Tick,
};
use elias_triggers::event::{Event, Filter, TypePattern, batch_results};
use elias_triggers::queue::{AttemptResult, DeadReason, KeyLimits, Outcome, RetryPolicy, settle};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// The state that all triggers share.
pub(crate) struct Runner {
    pub(crate) source: ComponentSource,
    pub(crate) clock: Clock,
    pub(crate) queue: MemoryQueue,
    pub(crate) log: MemoryLog,
    /// The limits of jobs, by name and concurrency key.
    pub(crate) limits: Mutex<KeyLimits<(String, Option<String>)>>,
    /// The receiver of the report of the first run of a job or of the deliveries of an event, by its id.
    pub(crate) reporters: Mutex<HashMap<String, Reporter>>,
    pub(crate) history: History,
    settings: watch::Sender<Arc<TriggerSettings>>,
    lines: Arc<ExecutionLogs>,
    on_run: Option<OnRun>,
    /// The journals of jobs and deliveries that are not over, by their ids.
    journals: Mutex<HashMap<String, Arc<RunJournal>>>,
    /// The tasks, and how many handlers run in them.
    tasks: TaskGroup,
}

/// Told of every run.
pub(crate) type OnRun = Arc<dyn Fn(&RunReport) + Send + Sync>;

/// The parts of a [`Runner`].
pub(crate) struct RunnerParts {
    pub(crate) source: ComponentSource,
    pub(crate) settings: TriggerSettings,
    pub(crate) clock: Clock,
    pub(crate) queue: MemoryQueue,
    pub(crate) log: MemoryLog,
    pub(crate) lines: Arc<ExecutionLogs>,
    pub(crate) on_run: Option<OnRun>,
    /// How many runs and events are kept.
    pub(crate) history: usize,
}

/// The end of a task.
pub(crate) struct TaskEnd(oneshot::Receiver<()>);

impl TaskEnd {
    /// Waits for the end; one that panicked has ended, too.
    pub(crate) async fn wait(self) {
        // Nothing is sent: the task's sender is dropped.
        drop(self.0.await);
    }

    /// Whether the task has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        !matches!(self.0.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

/// The journal of a job or a delivery, from its first run to its end.
pub(crate) struct RunJournal {
    pub(crate) journal: Arc<MemoryJournal>,
    /// Its id, which no other has. Those of jobs and events begin anew with each process, while a component's database
    /// outlives it.
    id: String,
    /// The job, if it is of one: it is woken when something that it waits for is there.
    job: Option<String>,
    /// Told to a delivery, likewise.
    woken: Notify,
    /// Whether something came that a run waited for, and no run has begun since.
    has_news: AtomicBool,
}

/// The message that a handler is run with.
pub(crate) enum Message {
    Tick(Tick),
    Job(Job),
    Event(EventMessage),
    Events(EventBatch),
    /// Not a handler: an event that is sent to a URL.
    Webhook(WebhookMessage),
    /// Not a handler: a tick or an event that is sent to a service worker.
    Worker(WorkerRun),
}

/// An event that is sent to a URL.
pub(crate) struct WebhookMessage {
    /// The name of the webhook.
    pub(crate) name: String,
    pub(crate) webhook: Webhook,
    /// The id of the event.
    pub(crate) id: String,
    /// The event as structured JSON.
    pub(crate) event: String,
    pub(crate) attempt: u32,
}

impl Message {
    fn what(&self) -> String {
        match self {
            Self::Tick(tick) => format!("schedule {}", tick.name),
            Self::Job(job) => format!("job {}", job.name),
            Self::Event(event) => {
                let event_type = event.event.get("type").and_then(Value::as_str).unwrap_or_default();
                format!("event {event_type}")
            }
            Self::Webhook(message) => format!("webhook {}", message.name),
            Self::Worker(run) => run.what.clone(),
            Self::Events(batch) => format!("events {}", batch.subscription),
        }
    }

    /// The attempt, of a batch that of each event.
    fn attempts(&self) -> Vec<u32> {
        match self {
            Self::Tick(tick) => vec![tick.attempt],
            Self::Job(job) => vec![job.attempt],
            Self::Event(event) => vec![event.attempt],
            Self::Webhook(message) => vec![message.attempt],
            Self::Worker(run) => vec![run.attempt],
            Self::Events(batch) => batch.events.iter().map(|event| event.attempt).collect(),
        }
    }
}

/// How a handler is run.
pub(crate) struct RunOptions<'a> {
    pub(crate) running: ExecutionHandle,
    pub(crate) deadline: Option<Duration>,
    pub(crate) journal: Option<&'a RunJournal>,
    /// How many events led to this run.
    pub(crate) hops: u32,
    pub(crate) policy: RetryPolicy,
}

impl Runner {
    pub(crate) fn new(parts: RunnerParts) -> Self {
        let RunnerParts { source, settings, clock, queue, log, lines, on_run, history } = parts;
        Self {
            source,
            clock,
            queue,
            log,
            limits: Mutex::default(),
            reporters: Mutex::default(),
            history: History::new(history),
            settings: watch::Sender::new(Arc::new(settings)),
            lines,
            on_run,
            journals: Mutex::default(),
            tasks: TaskGroup::default(),
        }
    }

    /// The settings that hold now.
    pub(crate) fn settings(&self) -> Arc<TriggerSettings> {
        Arc::clone(&self.settings.borrow())
    }

    /// The settings, and every change of them.
    pub(crate) fn changes(&self) -> CurrentSettings {
        self.settings.subscribe()
    }

    /// Has other settings hold from now on.
    pub(crate) fn configure(&self, settings: TriggerSettings) {
        self.queue.set_priorities(settings.priorities());
        self.settings.send_replace(Arc::new(settings));
    }

    pub(crate) fn now(&self) -> Now {
        Now::from_unix_ms(self.clock.now())
    }

    /// Starts a task, unless the triggers were stopped.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> TaskEnd {
        let (over, finished) = oneshot::channel();
        self.tasks.spawn(async move {
            let _over: oneshot::Sender<()> = over;
            task.await;
        });
        TaskEnd(finished)
    }

    /// Begins no run any more, waits at most so long until those that have begun are over, and drops everything else.
    /// Gives how many were not over then.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        let cut = self.tasks.stop(grace).await;
        self.reporters.lock().clear();
        cut
    }

    /// Drops what is under way.
    pub(crate) fn abort(&self) {
        self.tasks.abort();
        self.reporters.lock().clear();
    }

    /// Whether no run begins any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.tasks.is_stopping()
    }

    /// Runs a handler once, and decides what becomes of it.
    pub(crate) async fn execute(
        &self,
        message: Message,
        options: RunOptions<'_>,
        reporter: Option<&Reporter>,
    ) -> Outcome {
        let outcomes = self.execute_all(message, options, &[reporter.cloned()]).await;
        outcomes.into_iter().next().unwrap_or(Outcome::Cancelled)
    }

    /// The same, of a batch for each event; `reporters` are those of the events.
    pub(crate) async fn execute_all(
        &self,
        message: Message,
        options: RunOptions<'_>,
        reporters: &[Option<Reporter>],
    ) -> Vec<Outcome> {
        let active = self.tasks.begin();
        if self.is_stopping() {
            drop(active);
            // Whoever stops the triggers drops the task.
            return std::future::pending().await;
        }
        let RunOptions { running, deadline, journal, hops, policy } = options;
        let (what, attempts, execution) = (message.what(), message.attempts(), running.id().to_owned());
        let mut call = CallOptions { running, deadline, ..CallOptions::default() };
        let cause = Cause { traceparent: None, hops };
        call.extensions.insert(cause.clone());
        if let Some(journal) = journal {
            journal.has_news.store(false, Relaxed);
            call.extensions.insert(JournalHandle::new(&journal.id, journal.journal.clone()));
        }
        self.lines.record(&execution);
        let (endings, record) = match self.source.current() {
            Some(app) => self.run(&app, message, cause, call).await,
            None => {
                let not_run = AttemptResult::NotRun { times: 1, reason: "no component is loaded".to_owned() };
                (vec![not_run; attempts.len()], None)
            }
        };
        let now = self.now();
        let settled = |(ending, attempt): (AttemptResult, &u32)| settle(ending, &policy, *attempt, now, rand::random());
        let outcomes: Vec<Outcome> = endings.into_iter().zip(&attempts).map(settled).collect();
        let is_done = |outcome: &Outcome| matches!(outcome, Outcome::Done { .. });
        // A run is told of once: of a batch by its first event that is not done, beside those that are dead.
        let told = outcomes.iter().position(|outcome| !is_done(outcome)).unwrap_or_default();
        let lines = self.lines.take(&execution);
        for (position, (outcome, attempt)) in outcomes.iter().zip(attempts).enumerate() {
            if position == told || matches!(outcome, Outcome::Dead { .. }) {
                tell(&what, &execution, attempt, outcome);
            }
            let reporter = reporters.get(position).and_then(Option::as_ref);
            let on_run = self.on_run.as_ref().filter(|_| position == told);
            if reporter.is_none() && on_run.is_none() {
                continue;
            }
            let (what, execution, outcome, lines) = (what.clone(), execution.clone(), outcome.clone(), lines.clone());
            let report = RunReport { what, execution, attempt, outcome, record: record.clone(), lines };
            if let Some(on_run) = on_run {
                on_run(&report);
            }
            if let Some(reporter) = reporter {
                // Whoever asked may have left.
                let _ = reporter.send(report);
            }
        }
        outcomes
    }

    /// Runs a handler, or sends a webhook or a message to a worker. A batch has a result for each event. What a handler
    /// ran in has a record.
    async fn run(
        &self,
        app: &App,
        message: Message,
        cause: Cause,
        options: CallOptions,
    ) -> (Vec<AttemptResult>, Option<Execution>) {
        let outcome = match message {
            Message::Tick(tick) => app.run_schedule(&tick, options).await,
            Message::Job(job) => app.run_job(&job, options).await,
            Message::Event(event) => app.run_event(&event, options).await,
            Message::Events(batch) => {
                let (ending, record) = ending(app.run_events(&batch, options).await);
                return (batch_results(ending, batch.events.len()), record);
            }
            Message::Worker(run) => return (vec![run.send(cause).await], None),
            Message::Webhook(WebhookMessage { webhook, id, event, .. }) => {
                let ending = match webhook.send(&id, event, self.now()).await {
                    Ok(response) => response.ending(self.now()),
                    Err(reason) => AttemptResult::Failed(reason),
                };
                return (vec![ending], None);
            }
        };
        let (ending, record) = ending(outcome);
        (vec![ending], record)
    }

    /// The journal of a job or a delivery, which is made for its first run.
    pub(crate) fn journal(&self, id: &str, job: Option<&str>) -> Arc<RunJournal> {
        let mut journals = self.journals.lock();
        let journal = journals.entry(id.to_owned()).or_insert_with(|| {
            Arc::new(RunJournal {
                journal: Arc::new(MemoryJournal::new(self.clock.clone())),
                id: format!("{id} {:032x}", rand::random::<u128>()),
                job: job.map(str::to_owned),
                woken: Notify::new(),
                has_news: AtomicBool::new(false),
            })
        });
        Arc::clone(journal)
    }

    /// A job or a delivery is over.
    pub(crate) fn forget_journal(&self, id: &str) {
        self.journals.lock().remove(id);
    }

    /// Tells the jobs and deliveries that wait for an event.
    pub(crate) fn wake_those_who_wait_for(&self, event: &Event) {
        let journals: Vec<_> = self.journals.lock().values().cloned().collect();
        for journal in journals {
            let waits = journal.journal.waits().into_iter().filter_map(|wait| Some((wait.position, wait.event?)));
            let mut is_woken = false;
            for (position, wait) in waits {
                let matches =
                    wait.event_type.parse::<TypePattern>().is_ok_and(|pattern| pattern.matches(&event.event_type));
                let filter = serde_json::from_str(&wait.filter).ok().and_then(|table| Filter::parse(&table).ok());
                if matches && filter.is_some_and(|filter| filter.matches(event)) {
                    is_woken |= journal.journal.happened(position, event.to_json().to_string());
                }
            }
            if is_woken {
                journal.has_news.store(true, Relaxed);
                journal.woken.notify_one();
                if let Some(job) = &journal.job {
                    self.queue.wake(job);
                }
            }
        }
    }
}

impl RunJournal {
    /// When a run that waits is to go on, in milliseconds since 1970: at once if what it waits for came meanwhile.
    pub(crate) fn due(&self) -> u64 {
        if self.has_news.load(Relaxed) {
            return 0;
        }
        // A run that waits for an event alone is woken; until then it is looked at once in a while.
        self.journal.waits().iter().filter_map(|wait| wait.until).min().unwrap_or(u64::MAX)
    }

    /// Waits until a run that waits is to go on.
    pub(crate) async fn wait(&self, clock: &Clock) {
        tokio::select! {
            () = clock.sleep_until(self.due()) => {}
            () = self.woken.notified() => {}
        }
    }
}

/// How a run ended, and the record of its execution.
fn ending(outcome: Result<RunOutcome, Error>) -> (AttemptResult, Option<Execution>) {
    let record = match &outcome {
        Ok(outcome) => Some(outcome.execution.clone()),
        Err(error) => error.execution().cloned(),
    };
    let ending = match outcome.map(|outcome| outcome.result) {
        Ok(RunResult::Done(value)) => AttemptResult::Returned(value.to_string()),
        Ok(RunResult::Retry { after, reason }) => AttemptResult::RetryRequested { after, reason },
        Ok(RunResult::Reject { reason }) => AttemptResult::Rejected(reason),
        Ok(RunResult::Suspended) => AttemptResult::Suspended,
        Err(error) => match error.code() {
            ErrorCode::Cancelled => AttemptResult::Cancelled,
            ErrorCode::MissingExport => AttemptResult::Invalid(error.to_string()),
            ErrorCode::Overloaded => AttemptResult::NotRun { times: 1, reason: error.to_string() },
            _ => {
                let stack = error.stack().map(|stack| format!("\n{stack}")).unwrap_or_default();
                AttemptResult::Failed(format!("{error}{stack}"))
            }
        },
    };
    (ending, record)
}

/// Writes what became of a run into the log.
fn tell(what: &str, execution: &str, attempt: u32, outcome: &Outcome) {
    match outcome {
        Outcome::Done { .. } => tracing::info!(execution, attempt, "{what} is done"),
        Outcome::Suspended => tracing::info!(execution, attempt, "{what} waits"),
        Outcome::Cancelled => tracing::info!(execution, attempt, "{what} was cancelled"),
        Outcome::Retry { reason, .. } => {
            tracing::warn!(execution, attempt, "{what} is tried again: {}", first_line(reason));
        }
        Outcome::Dead { reason: DeadReason::AttemptsUsedUp, message } => {
            tracing::error!(execution, attempt, "{what} failed for good: {}", first_line(message));
        }
        Outcome::Dead { message, .. } => {
            tracing::error!(execution, attempt, "{what} is not run again: {}", first_line(message));
        }
    }
}

/// A reason without its stack, which the host has written already.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
