//! Interrupts a statement at its deadline, or when its query was dropped.
//!
//! SQLite looks at its flag for interruption at every jump backwards, calls the progress handler after some steps, asks
//! for memory for what it makes, and reads pages of its files: each of these ends a statement that is to end. One
//! thread looks at all that run.

use super::super::output::Watch;
use super::cores::{CORES, CoreClaim};
use super::memory::{Account, on_account, on_account_until};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::InterruptHandle;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::{Duration, Instant};

/// How often what runs is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The time of a quick statement, and how often it may pass: once that is because the thread had to wait for its core.
const QUICK_TIME: Duration = Duration::from_millis(1);
const QUICK_TIMES: u32 = 3;

/// The state that a connection's hooks look at.
pub(super) struct ConnectionControl {
    pub(super) account: Arc<Account>,
    /// The component, for its share of the cores.
    component: u64,
    /// Whether what is compiled comes from the component.
    pub(super) guest: AtomicBool,
    /// Whether the statement that runs may use the outbox.
    pub(super) outbox: AtomicBool,
    /// Whether this connection is for statements that take microseconds.
    pub(super) quick: AtomicBool,
    /// Looks that a quick statement has left.
    looks: AtomicU32,
    /// When its time passes, and how often that may happen yet.
    quick_time: Mutex<(Instant, u32)>,
    /// Whether what runs is to end.
    stopped: AtomicBool,
    running: Mutex<Option<RunningStatement>>,
    interrupt: OnceLock<InterruptHandle>,
}

struct RunningStatement {
    until: Instant,
    watch: Option<Watch>,
    turn: Arc<CoreClaim>,
}

/// A component's number among those of the process.
pub(super) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl ConnectionControl {
    pub(super) fn new(account: &Arc<Account>, component: u64) -> Self {
        Self {
            account: Arc::clone(account),
            component,
            guest: AtomicBool::new(false),
            outbox: AtomicBool::new(false),
            quick: AtomicBool::new(false),
            looks: AtomicU32::new(0),
            quick_time: Mutex::new((Instant::now(), 0)),
            stopped: AtomicBool::new(false),
            running: Mutex::default(),
            interrupt: OnceLock::new(),
        }
    }

    /// The flag that ends a statement at its next jump.
    pub(super) fn interrupt_with(&self, handle: InterruptHandle) {
        let _ = self.interrupt.set(handle);
    }

    fn running(&self) -> MutexGuard<'_, Option<RunningStatement>> {
        self.running.lock()
    }

    /// Does something on the connection that may go on until then, and ends when its query is dropped.
    pub(super) fn run<T>(self: &Arc<Self>, until: Instant, watch: Option<Watch>, work: impl FnOnce() -> T) -> T {
        let over = || Instant::now() > until || watch.as_ref().is_some_and(Watch::is_closed);
        let turn = CORES.enter(self.component, over);
        self.stopped.store(over(), Ordering::Relaxed);
        *self.running() = Some(RunningStatement { until, watch: watch.clone(), turn });
        WATCHDOG.add(self);
        let done = on_account_until(&self.account, &self.stopped, Some(until), work);
        WATCHDOG.remove(self);
        if let Some(running) = self.running().take() {
            CORES.leave(&running.turn);
        }
        done
    }

    /// Runs work that may take this many calls of the progress handler, and some milliseconds: a step may read a
    /// thousand pages.
    pub(super) fn run_steps<T>(&self, looks: u32, work: impl FnOnce() -> T) -> T {
        self.looks.store(looks, Ordering::Relaxed);
        *self.quick_time.lock() = (Instant::now() + QUICK_TIME, QUICK_TIMES);
        self.stopped.store(false, Ordering::Relaxed);
        on_account(&self.account, &self.stopped, work)
    }

    /// Whether what runs is to end: for functions that take long.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The decision of the progress handler: whether to end.
    pub(super) fn progress(&self) -> bool {
        if self.quick.load(Ordering::Relaxed) {
            return self.looks.fetch_sub(1, Ordering::Relaxed) <= 1 || self.quick_time_is_over();
        }
        let turn = self.running().as_ref().map(|running| Arc::clone(&running.turn));
        if let Some(turn) = turn.filter(|_| !self.look()) {
            CORES.go_on(&turn, || self.look());
        }
        self.is_stopped()
    }

    fn quick_time_is_over(&self) -> bool {
        let mut time = self.quick_time.lock();
        let now = Instant::now();
        if now > time.0 {
            *time = (now + QUICK_TIME, time.1.saturating_sub(1));
        }
        time.1 == 0
    }

    /// Whether what runs is to end, by the time and by its query.
    fn look(&self) -> bool {
        let running = self.running();
        let over = running.as_ref().is_some_and(|running| {
            Instant::now() > running.until || running.watch.as_ref().is_some_and(Watch::is_closed)
        });
        if over {
            self.stopped.store(true, Ordering::Relaxed);
        }
        over
    }

    /// The same from another thread, which cannot wait for the progress handler.
    fn stop_if_over(&self) {
        let running = self.running();
        let over = running.as_ref().is_some_and(|running| {
            Instant::now() > running.until || running.watch.as_ref().is_some_and(Watch::is_closed)
        });
        if over {
            self.stopped.store(true, Ordering::Relaxed);
            // Under the lock: what runs next on the connection is not interrupted in its place.
            if let Some(handle) = self.interrupt.get() {
                handle.interrupt();
            }
        }
    }

    /// Does something with the component's rules on.
    pub(super) fn as_guest<T>(&self, work: impl FnOnce() -> T) -> T {
        self.guest.store(true, Ordering::Relaxed);
        let done = work();
        self.guest.store(false, Ordering::Relaxed);
        done
    }
}

static WATCHDOG: LazyLock<Watchdog> = LazyLock::new(|| {
    let thread = std::thread::Builder::new().name("elias-sqlite-watch".into());
    // Without it the progress handler ends what makes steps.
    let started = thread.spawn(|| WATCHDOG.look_after()).is_ok();
    Watchdog { running: Mutex::default(), added: Condvar::new(), started }
});

struct Watchdog {
    running: Mutex<Vec<Arc<ConnectionControl>>>,
    added: Condvar,
    started: bool,
}

impl Watchdog {
    fn running(&self) -> MutexGuard<'_, Vec<Arc<ConnectionControl>>> {
        self.running.lock()
    }

    fn add(&self, control: &Arc<ConnectionControl>) {
        if self.started {
            let mut running = self.running();
            running.push(Arc::clone(control));
            if running.len() == 1 {
                self.added.notify_one();
            }
        }
    }

    fn remove(&self, control: &Arc<ConnectionControl>) {
        self.running().retain(|running| !Arc::ptr_eq(running, control));
    }

    fn look_after(&self) {
        loop {
            let mut running = self.running();
            while running.is_empty() {
                self.added.wait(&mut running);
            }
            let all = running.clone();
            drop(running);
            for control in &all {
                control.stop_if_over();
            }
            drop(all);
            std::thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_statement_ends_by_its_steps_or_its_time() {
        let control = ConnectionControl::new(&Account::new(1 << 20), 0);
        control.quick.store(true, Ordering::Relaxed);
        // By steps, unless this thread has to wait for its core for long, more than once.
        control.run_steps(3, || assert!((0..3).any(|_| control.progress())));
        // By time alone, and not when it passes first.
        let started = Instant::now();
        control.run_steps(u32::MAX, || while !control.progress() {});
        assert!(started.elapsed() >= QUICK_TIMES * QUICK_TIME, "{:?}", started.elapsed());
    }
}
