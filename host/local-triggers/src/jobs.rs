//! Jobs, as the queue hands them out.

use crate::history::{Again, PastRun, RunKind};
use crate::run::{Message, RunOptions, Runner};
use elias_capabilities::jobs::{JobReceiver, QueuedJob};
use elias_triggers::config::JobConfig;
use elias_triggers::queue::{DeadReason, Limit, LimitReached, Outcome};
use std::sync::Arc;
use std::time::Duration;

/// How long a job waits for another one of its name or concurrency key to end before it is looked at again.
const LIMITED_PAUSE: Duration = Duration::from_millis(50);

/// Runs the jobs of a queue.
pub(crate) async fn run_all(runner: Arc<Runner>, mut jobs: JobReceiver) {
    loop {
        let job = jobs.next().await;
        let config = runner.settings().job(&job.name);
        match start(&runner, &job, &config) {
            Ok(()) => drop(runner.spawn(run(Arc::clone(&runner), job, config))),
            Err(LimitReached::Rate { wait }) => {
                let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
                runner.queue.run_again(&job.id, job.attempt, runner.clock.now().saturating_add(milliseconds));
            }
            Err(LimitReached::Concurrency | LimitReached::Keys) => {
                // The other's end is no matter of the clock, which may stand still.
                runner.queue.run_again(&job.id, job.attempt, u64::MAX);
                let queue = runner.queue.clone();
                drop(runner.spawn(async move {
                    tokio::time::sleep(LIMITED_PAUSE).await;
                    queue.wake(&job.id);
                }));
            }
        }
    }
}

/// The limits of a job: by its name, and by its name and concurrency key if it has one and there is a limit for that.
fn limits(job: &QueuedJob, config: &JobConfig) -> Vec<((String, Option<String>), Limit)> {
    let mut limits = vec![((job.name.clone(), None), config.limit())];
    if let (Some(key), Some(_)) = (&job.concurrency_key, config.key_concurrency) {
        limits.push(((job.name.clone(), Some(key.clone())), config.key_limit()));
    }
    limits
}

/// Takes a place within the limits of a job.
fn start(runner: &Runner, job: &QueuedJob, config: &JobConfig) -> Result<(), LimitReached> {
    let mut all = runner.limits.lock();
    let mut started = Vec::new();
    // The key's limit first: a rate that was taken is not given back.
    for (key, limit) in limits(job, config).into_iter().rev() {
        if let Err(reached) = all.start(key.clone(), &limit, runner.now()) {
            started.iter().for_each(|key| all.finish(key));
            return Err(reached);
        }
        started.push(key);
    }
    Ok(())
}

async fn run(runner: Arc<Runner>, job: QueuedJob, config: JobConfig) {
    let outcome = run_once(&runner, &job, &config).await;
    let mut all = runner.limits.lock();
    limits(&job, &config).iter().for_each(|(key, _)| all.finish(key));
    drop(all);
    match outcome {
        Outcome::Retry { at, attempt, .. } => runner.queue.run_again(&job.id, attempt, at.unix_ms()),
        Outcome::Suspended => {
            let journal = runner.journal(&job.id, Some(&job.id));
            runner.queue.run_again(&job.id, job.attempt, journal.due());
            // An event that came while the job was not in the queue has woken nobody.
            if journal.due() == 0 {
                runner.queue.wake(&job.id);
            }
        }
        Outcome::Done { .. } | Outcome::Dead { .. } | Outcome::Cancelled => {
            runner.forget_journal(&job.id);
            let is_done = matches!(outcome, Outcome::Done { .. });
            let id = job.id.clone();
            // First: a job is not to be in neither of the two.
            runner.history.add(|| (past(&job, runner.now().unix_ms(), outcome), Again::Job(Box::new(job))));
            runner.queue.finish(&id, is_done);
        }
    }
}

/// A job that is over.
fn past(job: &QueuedJob, at: u64, outcome: Outcome) -> PastRun {
    PastRun {
        id: job.id.clone(),
        kind: RunKind::Job,
        name: job.name.clone(),
        input: job.input.clone(),
        key: job.key.clone(),
        concurrency_key: job.concurrency_key.clone(),
        attempt: job.attempt,
        enqueued_at: job.enqueued_at,
        end: Some((at, outcome)),
    }
}

async fn run_once(runner: &Runner, job: &QueuedJob, config: &JobConfig) -> Outcome {
    // It is the first run alone that somebody waits for.
    let reporter = runner.reporters.lock().remove(&job.id);
    let journal = runner.journal(&job.id, Some(&job.id));
    let options = RunOptions {
        running: job.running.clone(),
        deadline: Some(config.timeout.get()),
        journal: Some(&journal),
        hops: job.origin.cause.hops,
        policy: config.retry.policy(),
    };
    let message = match job.message() {
        Ok(message) => Message::Job(message),
        Err(error) => {
            return Outcome::Dead { reason: DeadReason::Invalid, message: error.to_string() };
        }
    };
    runner.execute(message, options, reporter.as_ref()).await
}
