//! A queue in the memory of this process, for a single project: what is in it ends with the process.

use super::backend::{JobQueue, NewJob, StartTime};
use super::contract::{Error, ErrorCode};
use crate::trigger::{Clock, Origin, wait};
use elias_host::{ExecutionHandle, Job};
use futures::future::{BoxFuture, FutureExt, ready};
use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Jobs that are not over, and bytes of their inputs together.
const JOBS_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// Ids that were given to jobs in outboxes and are remembered: the latest.
const GIVEN_MAX: usize = 10_000;

/// A queue in memory. At most 10,000 jobs, with 64 MiB of inputs, can be in it. Cloning it is cheap.
///
/// It hands jobs to its [`JobReceiver`], those of a higher priority first, and is told what became of each: nothing is
/// run again by itself.
#[derive(Clone)]
pub struct MemoryQueue {
    shared: Arc<Shared>,
}

/// Receives the jobs of a [`MemoryQueue`], to run them.
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
    /// The execution that enqueued it.
    pub origin: Arc<Origin>,
    /// The execution that runs it: it is cancelled with the job.
    pub running: ExecutionHandle,
}

impl QueuedJob {
    /// The input of the component's handler.
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

/// A job of a [`MemoryQueue`] that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    /// Its id.
    pub id: String,
    /// The component that runs it.
    pub component: String,
    /// Which of the component's jobs it is.
    pub name: String,
    /// A JSON text.
    pub input: String,
    /// Its unique key.
    pub key: Option<String>,
    /// Its concurrency key.
    pub concurrency_key: Option<String>,
    /// Its priority.
    pub priority: i32,
    /// When it was enqueued, in milliseconds since 1970.
    pub enqueued_at: u64,
    /// The attempt that runs or is next, from 1.
    pub attempt: u32,
    /// Its state.
    pub state: JobState,
}

/// The state of an unfinished job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is run as soon as there is a slot.
    Ready,
    /// It waits for a time, or for what it is woken by.
    Waiting {
        /// When it is run, in milliseconds since 1970; `u64::MAX` if it is woken.
        until: u64,
    },
    /// It waits until other jobs are over.
    Blocked,
    /// It runs.
    Running,
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
    jobs: HashMap<u64, JobEntry>,
    ready: BTreeSet<(Reverse<i32>, u64)>,
    /// With the times at which they become ready.
    later: BTreeSet<(u64, u64)>,
    keys: HashMap<UniqueKey, u64>,
    /// The jobs whose ids outboxes gave them, over or not, and these ids, the oldest first.
    given: HashMap<String, u64>,
    given_order: VecDeque<String>,
    bytes: usize,
    /// The priorities of jobs that are given none, by their names.
    priorities: HashMap<String, i32>,
}

struct JobEntry {
    job: QueuedJob,
    priority: i32,
    status: Status,
    /// How many of the jobs that it waits for are not over.
    blockers: usize,
    /// The jobs that wait for it.
    blocks: Vec<u64>,
}

impl JobEntry {
    fn listed(&self) -> ListedJob {
        let Self { job, status, priority, .. } = self;
        let state = match status {
            Status::Ready => JobState::Ready,
            Status::Later(until) => JobState::Waiting { until: *until },
            Status::Blocked(_) => JobState::Blocked,
            Status::Running => JobState::Running,
        };
        let QueuedJob { id, component, name, input, attempt, key, concurrency_key, enqueued_at, .. } = job.clone();
        ListedJob { id, component, name, input, key, concurrency_key, priority: *priority, enqueued_at, attempt, state }
    }
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

    /// Sets the priorities of jobs that are enqueued without one from now on, by name; others get 0.
    pub fn set_priorities(&self, priorities: HashMap<String, i32>) {
        self.shared.state().priorities = priorities;
    }

    /// A job is over. If it is not `done`, those that wait for it are cancelled, and those that wait for these.
    pub fn finish(&self, id: &str, done: bool) {
        let mut state = self.shared.state();
        if let Some(number) = state.number(id) {
            state.end(number, done);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// A job is to be run again, as this attempt and not before this time, in milliseconds since 1970.
    pub fn run_again(&self, id: &str, attempt: u32, at: u64) {
        let mut state = self.shared.state();
        if let Some(number) = state.number(id)
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
        if let Some(number) = state.number(id)
            && let Some(JobEntry { status: Status::Later(at), .. }) = state.jobs.get(&number)
        {
            let at = *at;
            state.later.remove(&(at, number));
            state.schedule(number, 0);
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Enqueues a job that is over once more, with its id. All its attempts are before it again.
    ///
    /// # Errors
    /// `quota-exceeded` if the queue is full; `conflict` if the job is not over, or another one has its unique key.
    pub fn retry(&self, job: QueuedJob) -> Result<(), Error> {
        let mut state = self.shared.state();
        if state.number(&job.id).is_some_and(|number| state.jobs.contains_key(&number)) {
            return Err(Error::new(ErrorCode::Conflict, "the job is not over"));
        }
        let unique = job.key.clone().map(|key| (job.component.clone(), job.name.clone(), key));
        if unique.as_ref().is_some_and(|unique| state.keys.contains_key(unique)) {
            return Err(Error::new(ErrorCode::Conflict, "another job has its unique key"));
        }
        state.check_room(job.input.len())?;
        let priority = state.priorities.get(&job.name).copied().unwrap_or(0);
        state.last += 1;
        let number = state.last;
        state.remember(job.id.clone(), number);
        state.bytes += job.input.len();
        if let Some(unique) = unique {
            state.keys.insert(unique, number);
        }
        let job = QueuedJob { attempt: 1, running: ExecutionHandle::new(), ..job };
        let entry = JobEntry { job, priority, status: Status::Blocked(0), blockers: 0, blocks: Vec::new() };
        state.jobs.insert(number, entry);
        state.schedule(number, 0);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// The jobs that are not over, in the order in which they were enqueued.
    #[must_use]
    pub fn list(&self) -> Vec<ListedJob> {
        let state = self.shared.state();
        let mut numbers: Vec<u64> = state.jobs.keys().copied().collect();
        numbers.sort_unstable();
        numbers.iter().filter_map(|number| state.jobs.get(number)).map(JobEntry::listed).collect()
    }

    /// Adds a job, with its id if it was given one.
    fn add(&self, origin: Arc<Origin>, given: Option<String>, job: NewJob) -> Result<String, Error> {
        let now = self.shared.clock.now();
        let mut state = self.shared.state();
        if let Some(id) = given.as_ref().filter(|id| state.given.contains_key(*id)) {
            return Ok(id.clone());
        }
        let NewJob { name, input, priority, start, key, concurrency_key, after, target } = job;
        let priority = priority.or_else(|| state.priorities.get(&name).copied()).unwrap_or(0);
        let component = target.unwrap_or_else(|| origin.component.clone());
        let unique = key.clone().map(|key| (component.clone(), name.clone(), key));
        if let Some(known) = unique.as_ref().and_then(|unique| state.keys.get(unique)) {
            return match state.jobs.get(known) {
                Some(known) if known.job.input == input => Ok(known.job.id.clone()),
                _ => Err(Error::new(ErrorCode::Conflict, "a job with this key has another input")),
            };
        }
        state.check_room(input.len())?;
        let mut blockers = BTreeSet::new();
        for id in &after {
            match state.number(id) {
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
        if let Some(id) = &given {
            state.remember(id.clone(), number);
        }
        let id = given.unwrap_or_else(|| format!("job-{number}"));
        let (attempt, enqueued_at, running) = (1, now, ExecutionHandle::new());
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
        let (status, blockers) = (Status::Blocked(at), blockers.len());
        state.jobs.insert(number, JobEntry { job, priority, status, blockers, blocks: Vec::new() });
        if blockers == 0 {
            state.schedule(number, at);
        }
        drop(state);
        self.shared.changed.notify_one();
        Ok(id)
    }

    fn remove(&self, origin: &Origin, id: &str) -> Result<(), Error> {
        let mut state = self.shared.state();
        let number = state.number(id).filter(|number| (1..=state.last).contains(number));
        let number = number.ok_or_else(|| Error::new(ErrorCode::NotFound, "the component has no job with this id"))?;
        let Some(JobEntry { job, status, .. }) = state.jobs.get(&number) else {
            return Err(Error::new(ErrorCode::Conflict, "the job is over"));
        };
        if job.component != origin.component && job.origin.component != origin.component {
            return Err(Error::new(ErrorCode::NotFound, "the component has no job with this id"));
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
        ready(self.add(origin, None, job)).boxed()
    }

    fn enqueue_once(&self, origin: Arc<Origin>, id: String, job: NewJob) -> BoxFuture<'static, Result<String, Error>> {
        ready(self.add(origin, Some(id), job)).boxed()
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
        entry.job.running = ExecutionHandle::new();
        Ok(entry.job.clone())
    }
}

impl State {
    /// The number of a job, by its id.
    fn number(&self, id: &str) -> Option<u64> {
        self.given.get(id).copied().or_else(|| id.strip_prefix("job-")?.parse().ok())
    }

    /// Checks that a job with an input of so many bytes has room.
    fn check_room(&self, bytes: usize) -> Result<(), Error> {
        if self.jobs.len() >= JOBS_MAX || self.bytes + bytes > BYTES_MAX {
            let message = format!("the queue in memory has {} jobs: wait until some are over", self.jobs.len());
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        Ok(())
    }

    /// Remembers an id that a job was given, and forgets the oldest if there are too many.
    fn remember(&mut self, id: String, number: u64) {
        if self.given.insert(id.clone(), number).is_some() {
            return; // a job that is retried
        }
        if self.given_order.len() >= GIVEN_MAX
            && let Some(oldest) = self.given_order.pop_front()
        {
            self.given.remove(&oldest);
        }
        self.given_order.push_back(id);
    }

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
            let Some(JobEntry { job, priority, status, blocks, .. }) = self.jobs.remove(&number) else { continue };
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
