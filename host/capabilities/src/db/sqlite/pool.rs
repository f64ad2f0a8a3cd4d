//! Connections on threads of their own, which open on demand and close when they are idle.

use super::super::bindings::Error;
use super::connection::{Session, Settings};
use super::error::error;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long an idle connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long it stays open while more than half of [`CONNECTIONS`] are.
const IDLE_TIMEOUT_WHEN_MANY: Duration = Duration::from_secs(1);

/// The most connections, and so threads, of all files together.
const CONNECTIONS: usize = 1_024;

/// The connections that are open now.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// One of [`CONNECTIONS`].
struct ConnectionSlot;

impl ConnectionSlot {
    fn new() -> Option<Self> {
        let more = |open: usize| (open < CONNECTIONS).then_some(open + 1);
        OPEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task for a connection. It gets an error if no connection can be opened.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Session, Error>) + Send>;

/// The right to use a connection, and perhaps to write. It is given back when the job is done.
pub(super) struct Permits {
    _write: Option<OwnedSemaphorePermit>,
    _connection: OwnedSemaphorePermit,
}

/// A thread. It has its own handle while it is busy, and the pool has it while it is idle: so it ends when the pool
/// does.
struct Worker {
    id: u64,
    jobs: Sender<Task>,
}

struct Task {
    job: Job,
    permits: Permits,
    worker: Worker,
}

/// A file's connections.
pub(super) struct Pool {
    settings: Arc<Settings>,
    connections: Arc<Semaphore>,
    /// SQLite lets one write at a time. Waiting in line here is fair, and takes no connection.
    writer: Arc<Semaphore>,
    idle: Mutex<Vec<Worker>>,
    ids: AtomicU64,
}

impl Pool {
    pub(super) fn new(settings: Arc<Settings>, connections: u32) -> Arc<Self> {
        Arc::new(Self {
            settings,
            connections: Arc::new(Semaphore::new(connections as usize)),
            writer: Arc::new(Semaphore::new(1)),
            idle: Mutex::default(),
            ids: AtomicU64::new(0),
        })
    }

    /// Waits until a connection may be used.
    pub(super) async fn acquire(&self, writes: bool) -> Permits {
        let acquire = async |semaphore: &Arc<Semaphore>| {
            Arc::clone(semaphore).acquire_owned().await.expect("the semaphores are never closed")
        };
        let write = if writes { Some(acquire(&self.writer).await) } else { None };
        Permits { _write: write, _connection: acquire(&self.connections).await }
    }

    /// Runs a job on an idle connection, or on a new one.
    pub(super) fn dispatch(self: &Arc<Self>, permits: Permits, job: Job) {
        let (mut job, mut permits) = (job, permits);
        loop {
            let worker = self.idle().pop();
            let Some(worker) = worker else { break };
            let jobs = worker.jobs.clone();
            match jobs.send(Task { job, permits, worker }) {
                Ok(()) => return,
                Err(SendError(task)) => (job, permits) = (task.job, task.permits),
            }
        }
        let Some(open) = ConnectionSlot::new() else {
            return job(Err(Error::unavailable("the host has no thread for a connection")));
        };
        let (jobs, receiver) = channel();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (pool, settings) = (Arc::downgrade(self), Arc::clone(&self.settings));
        let thread = std::thread::Builder::new().name("elias-sqlite".into());
        match thread.spawn(move || work(&pool, &settings, id, &receiver, &open)) {
            Ok(_) => drop(jobs.send(Task { job, permits, worker: Worker { id, jobs: jobs.clone() } })),
            Err(_) => job(Err(Error::unavailable("the host has no thread for a connection"))),
        }
    }

    fn idle(&self) -> parking_lot::MutexGuard<'_, Vec<Worker>> {
        self.idle.lock()
    }
}

/// The loop of a connection's thread.
fn work(pool: &Weak<Pool>, settings: &Arc<Settings>, id: u64, receiver: &Receiver<Task>, _: &ConnectionSlot) {
    let mut session = match Session::open_for_guest(settings) {
        Ok(session) => session,
        Err(failed) => {
            if let Ok(Task { job, .. }) = receiver.recv() {
                job(Err(error(&failed)));
            }
            return;
        }
    };
    loop {
        let many = OPEN.load(Ordering::Relaxed) > CONNECTIONS / 2;
        match receiver.recv_timeout(if many { IDLE_TIMEOUT_WHEN_MANY } else { IDLE_TIMEOUT }) {
            Ok(Task { job, permits, worker }) => {
                job(Ok(&mut session));
                let tidy = session.tidy();
                let Some(pool) = pool.upgrade() else { return };
                if !tidy {
                    return;
                }
                pool.idle().push(worker);
                drop(permits);
            }
            Err(RecvTimeoutError::Timeout) => {
                let Some(pool) = pool.upgrade() else { return };
                let mut idle = pool.idle();
                let before = idle.len();
                idle.retain(|worker| worker.id != id);
                if idle.len() < before {
                    return;
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
