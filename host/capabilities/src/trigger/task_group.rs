//! A group of tasks that end together, and that can be waited for.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tasks of which some do, from time to time, work that is not to be cut off: runs of handlers, turns of workers.
#[derive(Debug)]
pub struct TaskGroup {
    /// The tasks, waiting ones included; none once the group was stopped.
    tasks: Mutex<Option<JoinSet<()>>>,
    /// How much of that work is under way.
    active: Arc<watch::Sender<usize>>,
    is_stopping: AtomicBool,
}

/// Counts a piece of work as long as it is under way.
#[derive(Debug)]
pub struct ActiveWork(Arc<watch::Sender<usize>>);

impl Default for TaskGroup {
    fn default() -> Self {
        Self {
            tasks: Mutex::new(Some(JoinSet::new())),
            active: Arc::new(watch::Sender::new(0)),
            is_stopping: AtomicBool::new(false),
        }
    }
}

impl TaskGroup {
    /// Starts a task; whether the group was not stopped before.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut tasks = self.tasks.lock();
        let Some(tasks) = &mut *tasks else { return false };
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
        true
    }

    /// Begins a piece of work. The caller checks [`Self::is_stopping`] afterwards.
    #[must_use]
    pub fn begin(&self) -> ActiveWork {
        self.active.send_modify(|count| *count += 1);
        ActiveWork(Arc::clone(&self.active))
    }

    /// Whether no work is to be begun any more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(SeqCst)
    }

    /// Refuses new work, waits at most for `grace` until the work under way is over, and drops all tasks. Returns how
    /// much was not over then.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.is_stopping.store(true, SeqCst);
        let mut active = self.active.subscribe();
        // Whether the time was enough is what the count says afterwards.
        drop(tokio::time::timeout(grace, active.wait_for(|count| *count == 0)).await);
        let cut = *self.active.borrow();
        let tasks = self.tasks.lock().take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        cut
    }

    /// Refuses new work, and drops all tasks.
    pub fn abort(&self) {
        self.is_stopping.store(true, SeqCst);
        drop(self.tasks.lock().take());
    }
}

impl Drop for ActiveWork {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
