//! Threads for work that takes longer than a millisecond, beside those on which guests run.
//!
//! Cryptography is what it is for: deriving a key from a password takes seconds by design. The threads are few and
//! lower in priority than those of guests; work is done in parts, by turns of those whose share of the host it is done
//! from, so that one who asks for much waits for oneself. Nothing is queued but what an instance waits for, and the
//! memory of one that is gone: an instance waits for one piece of work at a time, and the limit of instances bounds the
//! queue.

use futures::channel::oneshot;
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::task::Poll;
use std::time::Instant;

/// Threads, at most; half of the cores is the rule.
const THREADS_MAX: usize = 4;

/// How much lower than other threads their priority is.
const NICE: i32 = 5;

/// Why work that was done aside has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AsideError {
    /// The execution's deadline passed.
    #[error("the deadline passed while the host worked for the guest")]
    Deadline,
    /// The work panicked, which is a defect of the host.
    #[error("work of the host failed")]
    Failed,
}

/// Runs `work`, part by part, until it has a result.
pub(crate) fn run<T: Send + 'static>(
    share: ShareId,
    ends: Instant,
    mut work: impl FnMut() -> Poll<T> + Send + 'static,
) -> impl Future<Output = wasmtime::Result<T>> + Send + 'static {
    let (sender, result) = oneshot::channel();
    let mut sender = Some(sender);
    let part = move || {
        // Nobody waits any more, or nobody may.
        if sender.as_ref().is_none_or(oneshot::Sender::is_canceled) || Instant::now() >= ends {
            return Poll::Ready(());
        }
        work().map(|result| {
            if let Some(sender) = sender.take() {
                drop(sender.send(result)); // it goes nowhere if nobody waits
            }
        })
    };
    POOL.add(share, Box::new(part));
    async move {
        result.await.map_err(|oneshot::Canceled| {
            let stopped = if Instant::now() >= ends { AsideError::Deadline } else { AsideError::Failed };
            wasmtime::Error::from(stopped)
        })
    }
}

/// Runs `work` part by part. Nobody waits for its end.
pub(crate) fn spawn(share: ShareId, work: impl FnMut() -> Poll<()> + Send + 'static) {
    POOL.add(share, Box::new(work));
}

/// The share that work is charged to; see [`crate::schedule::Share::group`].
pub(crate) type ShareId = (usize, usize);

/// A piece of work: does a part of it, and says whether that was the last.
type Job = Box<dyn FnMut() -> Poll<()> + Send>;

/// The threads of this process and what they have to do.
static POOL: LazyLock<&'static Pool> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pool: &'static Pool = Box::leak(Box::default());
    for number in 0..(cores / 2).clamp(1, THREADS_MAX) {
        let thread = std::thread::Builder::new().name(format!("elias-aside-{number}"));
        if let Err(error) = thread.spawn(|| pool.work()) {
            tracing::error!(%error, "the thread for long-running work cannot be started");
        }
    }
    pool
});

#[derive(Default)]
struct Pool {
    turns: Mutex<Turns>,
    added: Condvar,
}

/// The waiting work, by share.
#[derive(Default)]
struct Turns {
    jobs: HashMap<ShareId, VecDeque<Job>>,
    /// Those that have jobs waiting, each once, in the order of their turns.
    order: VecDeque<ShareId>,
}

impl Turns {
    fn add(&mut self, share: ShareId, job: Job) {
        let jobs = self.jobs.entry(share).or_default();
        if jobs.is_empty() {
            self.order.push_back(share);
        }
        jobs.push_back(job);
    }

    /// The next job of whose turn it is.
    fn next(&mut self) -> Option<(ShareId, Job)> {
        let share = self.order.pop_front()?;
        let jobs = self.jobs.get_mut(&share)?;
        let job = jobs.pop_front()?;
        if jobs.is_empty() {
            self.jobs.remove(&share);
        } else {
            self.order.push_back(share);
        }
        Some((share, job))
    }
}

impl Pool {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock() // whole after every operation
    }

    fn add(&self, share: ShareId, job: Job) {
        self.turns().add(share, job);
        self.added.notify_one();
    }

    /// The endless loop of each thread.
    fn work(&self) {
        // On Linux this is of the calling thread alone. Where it fails, the work is done all the same.
        let _ = rustix::process::nice(NICE);
        loop {
            let mut turns = self.turns();
            let (share, mut job) = loop {
                match turns.next() {
                    Some(next) => break next,
                    None => self.added.wait(&mut turns),
                }
            };
            drop(turns);
            // A panic ends the job, and with it the sender of its result.
            if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(&mut job)) {
                self.turns().add(share, job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn turns_are_of_shares_and_not_of_jobs() {
        let mut turns = Turns::default();
        let (greedy, modest) = ((0, 1), (0, 2));
        for share in [greedy, greedy, greedy, modest] {
            turns.add(share, Box::new(|| Poll::Pending));
        }
        let mut order = Vec::new();
        for _ in 0..6 {
            let (share, job) = turns.next().expect("there is work");
            order.push(share);
            turns.add(share, job); // a part was done, and there is more
        }
        assert_eq!(order, [greedy, modest, greedy, modest, greedy, modest]);
    }

    #[tokio::test]
    async fn work_is_done_part_by_part() {
        let mut parts = 0;
        let work = move || {
            parts += 1;
            if parts < 5 { Poll::Pending } else { Poll::Ready(parts) }
        };
        assert_eq!(run((0, 0), later(), work).await.expect("it is done"), 5);
        let failed = run((0, 0), later(), || -> Poll<()> { panic!("a defect") }).await.expect_err("it panicked");
        assert_eq!(failed.downcast_ref(), Some(&AsideError::Failed));
        assert_eq!(run((0, 0), later(), || Poll::Ready(1)).await.expect("the threads go on"), 1);
    }

    #[tokio::test]
    async fn work_ends_with_its_deadline_and_with_who_waits_for_it() {
        let ended = run((0, 0), Instant::now(), || -> Poll<()> { Poll::Pending }).await.expect_err("its time was over");
        assert_eq!(ended.downcast_ref(), Some(&AsideError::Deadline));

        let parts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&parts);
        let endless = run((0, 0), later(), move || -> Poll<()> {
            counted.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        });
        drop(endless);
        // When the job is gone, so is its handle to the counter.
        let gone = async {
            while Arc::strong_count(&parts) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), gone).await.expect("nobody waits for it, and it ends");
    }
}
