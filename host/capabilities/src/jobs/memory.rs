//! A queue in the memory of this process, for a single project: what is in it ends with the process.

use super::backend::{JobQueue, NewJob, StartTime};
use super::contract::{Error, ErrorCode};
use crate::trigger::{Clock, Origin, wait};
use elias_host::{Job, Running};
use futures::future::{BoxFuture, FutureExt, ready};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Jobs that are not over, and bytes of their inputs together.
const JOBS_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// A queue in memory. At most 10,000 jobs, with 64 MiB of inputs, can be in it. Cloning it is cheap.
///
/// It hands jobs to its [`JobReceiver`], those of a higher priority first, and is told what became of each: nothing is
/// run again by itself.
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

/// Where the jobs of a [`MemoryQueue`] come out, for whoever runs them.
pub struct JobReceiver {
    shared: Arc<Shared>,
}

/// A job that is to be run now.
#[derive(Debug, Clone)]
pub struct QueuedJob {
    /// Its id.
    pub id: String,
    /// The component that runs it.
    pub component: String,
    /// Which of the component's jobs it is.
    pub name: String,
    /// A JSON text.
    pub input: String,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Its unique key.
    pub key: Option<String>,
    /// Its concurrency key.
    pub concurrency_key: Option<String>,
    /// When it was enqueued, in milliseconds since 1970.
    pub enqueued_at: u64,
    /// Who enqueued it.
    pub origin: Arc<Origin>,
    /// The execution that runs it: it is cancelled with the job.
    pub running: Running,
}

impl QueuedJob {
    /// What the component's handler gets.
    ///
    /// # Errors
    /// If the input is not JSON. What components enqueue was checked.
    pub fn message(&self) -> serde_json::Result<Job> {
        Ok(Job {
            id: self.id.clone(),
            name: self.name.clone(),
            input: serde_json::from_str(&self.input)?,
            attempt: self.attempt,
            key: self.key.clone(),
            enqueued_at: self.enqueued_at,
        })
    }
}

struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// There may be a job, or an earlier one.
    changed: Notify,
}

/// By component, name and key.
type UniqueKey = (String, String, String);

/// All jobs that are not over, by their numbers.
#[derive(Default)]
struct State {
    last: u64,
    jobs: HashMap<u64, Entry>,
    ready: BTreeSet<(Reverse<i32>, u64)>,
    /// With the times at which they become ready.
    later: BTreeSet<(u64, u64)>,
    keys: HashMap<UniqueKey, u64>,
    bytes: usize,
}

struct Entry {
    job: QueuedJob,
    priority: i32,
    status: Status,
    /// How many of the jobs that it waits for are not over.
    blockers: usize,
    /// The jobs that wait for it.
    blocks: Vec<u64>,
}

enum Status {
    Ready,
    /// Until this time.
    Later(u64),
    /// Until other jobs are over, and then until this time.
    Blocked(u64),
    Running,
}

impl MemoryQueue {
    /// An empty queue that goes by this clock, and where its jobs come out.
    #[must_use]
    pub fn new(clock: Clock) -> (Self, JobReceiver) {
        let shared = Arc::new(Shared { state: Mutex::default(), clock, changed: Notify::new() });
        (Self { shared: Arc::clone(&shared) }, JobReceiver { shared })
    }

    /// A job is over. If it is not `done`, those that wait for it are cancelled, and those that wait for these.
    pub fn finish(&self, id: &str, done: bool) {
        let mut state = self.shared.state();
        if let Some(number) = number(id) {
            state.end(number, done);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// A job is to be run again, as this attempt and not before this time, in milliseconds since 1970.
    pub fn run_again(&self, id: &str, attempt: u32, at: u64) {
        let mut state = self.shared.state();
        if let Some(number) = number(id)
            && let Some(entry) = state.jobs.get_mut(&number).filter(|entry| matches!(entry.status, Status::Running))
        {
            entry.job.attempt = attempt;
            state.schedule(number, at);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// A job that is to be run again later is to be run now: what it waits for is there.
    pub fn wake(&self, id: &str) {
        let mut state = self.shared.state();
        if let Some(number) = number(id)
            && let Some(Entry { status: Status::Later(at), .. }) = state.jobs.get(&number)
        {
            let at = *at;
            state.later.remove(&(at, number));
            state.schedule(number, 0);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    fn add(&self, origin: Arc<Origin>, job: NewJob) -> Result<String, Error> {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        let NewJob { name, input, priority, start, key, concurrency_key, after, target } = job;
        let component = target.unwrap_or_else(|| origin.component.clone());
        let unique = key.clone().map(|key| (component.clone(), name.clone(), key));
        if let Some(known) = unique.as_ref().and_then(|unique| state.keys.get(unique)) {
            return match state.jobs.get(known) {
                Some(known) if known.job.input == input => Ok(known.job.id.clone()),
                _ => Err(Error::new(ErrorCode::Conflict, "a job with this key has another input")),
            };
        }
        if state.jobs.len() >= JOBS_MAX || state.bytes + input.len() > BYTES_MAX {
            let message = format!("the queue in memory has {} jobs: wait until some are over", state.jobs.len());
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        let mut blockers = BTreeSet::new();
        for id in &after {
            match number(id) {
                Some(number) if state.jobs.contains_key(&number) => {
                    blockers.insert(number);
                }
                Some(number) if (1..=state.last).contains(&number) => {}
                _ => return Err(Error::new(ErrorCode::NotFound, "a job in after does not exist")),
            }
        }
        state.last += 1;
        let number = state.last;
        let at = match start {
            StartTime::Now => 0,
            StartTime::At(at) => at,
            StartTime::After(delay) => now.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
        };
        for blocker in &blockers {
            if let Some(entry) = state.jobs.get_mut(blocker) {
                entry.blocks.push(number);
            }
        }
        if let Some(unique) = unique {
            state.keys.insert(unique, number);
        }
        state.bytes += input.len();
        let (id, attempt, enqueued_at, running) = (format!("job-{number}"), 1, now, Running::new());
        let job = QueuedJob {
            id: id.clone(),
            component,
            name,
            input,
            attempt,
            key,
            concurrency_key,
            enqueued_at,
            origin,
            running,
        };
        let (priority, status, blockers) = (priority.unwrap_or(0), Status::Blocked(at), blockers.len());
        state.jobs.insert(number, Entry { job, priority, status, blockers, blocks: Vec::new() });
        if blockers == 0 {
            state.schedule(number, at);
        }
        drop(state);
        self.shared.changed.notify_one();
        Ok(id)
    }

    fn remove(&self, origin: &Origin, id: &str) -> Result<(), Error> {
        let mut state = self.shared.state();
        let number = number(id).filter(|number| (1..=state.last).contains(number));
        let number = number.ok_or_else(|| Error::new(ErrorCode::NotFound, "there is no such job"))?;
        let Some(Entry { job, status, .. }) = state.jobs.get(&number) else {
            return Err(Error::new(ErrorCode::Conflict, "the job is over"));
        };
        if job.component != origin.component && job.origin.component != origin.component {
            return Err(Error::new(ErrorCode::NotFound, "there is no such job"));
        }
        if let Status::Running = status {
            // Whoever runs it says when it is over.
            job.running.cancel();
        } else {
            state.end(number, false);
        }
        Ok(())
    }
}

impl JobQueue for MemoryQueue {
    fn enqueue(&self, origin: Arc<Origin>, job: NewJob) -> BoxFuture<'static, Result<String, Error>> {
        ready(self.add(origin, job)).boxed()
    }

    fn cancel(&self, origin: Arc<Origin>, id: String) -> BoxFuture<'static, Result<(), Error>> {
        ready(self.remove(&origin, &id)).boxed()
    }
}

impl JobReceiver {
    /// The next job, once there is one that is due. If this is given up, no job is lost.
    pub async fn next(&mut self) -> QueuedJob {
        loop {
            let due = match self.shared.take() {
                Ok(job) => return job,
                Err(due) => due,
            };
            wait(&self.shared.clock, due, &self.shared.changed).await;
        }
    }

    /// The next job, if one is due by now.
    pub fn try_next(&mut self) -> Option<QueuedJob> {
        self.shared.take().ok()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    /// The next job that is due; else when there will be one.
    fn take(&self) -> Result<QueuedJob, Option<u64>> {
        let now = self.clock.now();
        let mut state = self.state();
        while let Some((at, number)) = state.later.first().copied()
            && at <= now
        {
            state.later.remove(&(at, number));
            state.schedule(number, 0);
        }
        let Some((_, number)) = state.ready.pop_first() else {
            return Err(state.later.first().map(|(due, _)| *due));
        };
        let Some(entry) = state.jobs.get_mut(&number) else { return Err(None) };
        entry.status = Status::Running;
        // Each attempt is an execution of its own.
        entry.job.running = Running::new();
        Ok(entry.job.clone())
    }
}

impl State {
    /// Makes a job ready, or has it wait until this time.
    fn schedule(&mut self, number: u64, at: u64) {
        let Some(entry) = self.jobs.get_mut(&number) else { return };
        if at == 0 {
            entry.status = Status::Ready;
            self.ready.insert((Reverse(entry.priority), number));
        } else {
            entry.status = Status::Later(at);
            self.later.insert((at, number));
        }
    }

    /// Removes a job, and those that wait for it unless it is `done`.
    fn end(&mut self, number: u64, done: bool) {
        let mut over = vec![number];
        while let Some(number) = over.pop() {
            let Some(Entry { job, priority, status, blocks, .. }) = self.jobs.remove(&number) else { continue };
            self.bytes -= job.input.len();
            match status {
                Status::Ready => {
                    self.ready.remove(&(Reverse(priority), number));
                }
                Status::Later(at) => {
                    self.later.remove(&(at, number));
                }
                Status::Blocked(_) | Status::Running => {}
            }
            if let Some(key) = job.key {
                self.keys.remove(&(job.component, job.name, key));
            }
            if done {
                blocks.into_iter().for_each(|blocked| self.unblock(blocked));
            } else {
                over.extend(blocks);
            }
        }
    }

    /// One of the jobs that this job waits for is done.
    fn unblock(&mut self, number: u64) {
        let Some(entry) = self.jobs.get_mut(&number) else { return };
        entry.blockers = entry.blockers.saturating_sub(1);
        if let (0, Status::Blocked(at)) = (entry.blockers, &entry.status) {
            let at = *at;
            self.schedule(number, at);
        }
    }
}

/// The number in a job's id.
fn number(id: &str) -> Option<u64> {
    id.strip_prefix("job-")?.parse().ok()
}
