//! CPU scheduling: as many statements compute as there are cores, and of one component half of them while another's
//! wait.
//!
//! A connection's thread waits more than it works, for its transaction's next command or for somebody to take its rows;
//! what is to be shared is the cores. So threads take turns here, and a statement that goes on gives up its turn when
//! others wait. One inside a function of SQLite that cannot be interrupted does not keep them for longer than
//! [`STUCK`].

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

/// How long a turn is, while others wait.
const TURN: Duration = Duration::from_millis(2);

/// After this time without a word, whoever has a turn does not count.
const STUCK: Duration = Duration::from_millis(30);

/// The cores of this machine.
pub(super) static CORES: LazyLock<Cores> =
    LazyLock::new(|| Cores::new(std::thread::available_parallelism().map_or(1, usize::from)));

/// Turns on some cores.
pub(super) struct Cores {
    most: usize,
    gate: Mutex<Gate>,
    changed: Condvar,
    waiting: AtomicUsize,
    started: Instant,
}

#[derive(Default)]
struct Gate {
    running: Vec<Arc<CoreClaim>>,
    queue: Vec<Arc<CoreClaim>>,
}

/// A statement that uses a core, or waits for one.
pub(super) struct CoreClaim {
    component: u64,
    /// When it began, and when it was last heard of: in milliseconds since the cores were first used.
    since: AtomicU64,
    heard: AtomicU64,
}

impl Cores {
    fn new(most: usize) -> Self {
        Self {
            most,
            gate: Mutex::default(),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
            started: Instant::now(),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for a turn. Who has given up gets one at once: it has only to end.
    pub(super) fn enter(&self, component: u64, given_up: impl Fn() -> bool) -> Arc<CoreClaim> {
        let turn = Arc::new(CoreClaim { component, since: AtomicU64::new(0), heard: AtomicU64::new(0) });
        self.wait(&turn, given_up);
        turn
    }

    fn wait(&self, turn: &Arc<CoreClaim>, given_up: impl Fn() -> bool) {
        let mut gate = self.gate();
        gate.queue.push(Arc::clone(turn));
        self.waiting.fetch_add(1, Ordering::Relaxed);
        while !self.is_next(&gate, turn) && !given_up() {
            self.changed.wait_for(&mut gate, STUCK / 2);
        }
        gate.queue.retain(|waiting| !Arc::ptr_eq(waiting, turn));
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let now = self.now();
        turn.since.store(now, Ordering::Relaxed);
        turn.heard.store(now, Ordering::Relaxed);
        gate.running.push(Arc::clone(turn));
        if !gate.queue.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Whether a turn is free, and this the first in line that may have it.
    fn is_next(&self, gate: &Gate, turn: &Arc<CoreClaim>) -> bool {
        let stuck = self.now().saturating_sub(u64::try_from(STUCK.as_millis()).unwrap_or(0));
        let counts = gate.running.iter().filter(|running| running.heard.load(Ordering::Relaxed) >= stuck).count();
        let may = |waiting: &Arc<CoreClaim>| {
            let own = gate.running.iter().filter(|running| running.component == waiting.component).count();
            let alone = gate.queue.iter().all(|other| other.component == waiting.component);
            own < (self.most / 2).max(1) || alone
        };
        counts < self.most && gate.queue.iter().find(|waiting| may(waiting)).is_some_and(|next| Arc::ptr_eq(next, turn))
    }

    /// Ends a turn.
    pub(super) fn leave(&self, turn: &Arc<CoreClaim>) {
        let mut gate = self.gate();
        gate.running.retain(|running| !Arc::ptr_eq(running, turn));
        if !gate.queue.is_empty() {
            self.changed.notify_all();
        }
    }

    /// Continues a turn, and gives it up for a while if others wait.
    pub(super) fn go_on(&self, turn: &Arc<CoreClaim>, given_up: impl Fn() -> bool) {
        let now = self.now();
        turn.heard.store(now, Ordering::Relaxed);
        let long =
            now.saturating_sub(turn.since.load(Ordering::Relaxed)) >= u64::try_from(TURN.as_millis()).unwrap_or(0);
        if long && self.waiting.load(Ordering::Relaxed) > 0 {
            self.leave(turn);
            self.wait(turn, given_up);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn one_component_leaves_a_core_to_the_others() {
        let cores = Arc::new(Cores::new(2));
        let ended = Arc::new(AtomicBool::new(false));
        // Eight that never end of themselves.
        let hostile: Vec<_> = (0..8)
            .map(|_| {
                let (cores, ended) = (Arc::clone(&cores), Arc::clone(&ended));
                std::thread::spawn(move || {
                    let turn = cores.enter(1, || ended.load(Ordering::Relaxed));
                    while !ended.load(Ordering::Relaxed) {
                        cores.go_on(&turn, || ended.load(Ordering::Relaxed));
                        std::thread::yield_now();
                    }
                    cores.leave(&turn);
                })
            })
            .collect();
        for _ in 0..50 {
            let turn = cores.enter(2, || false);
            let gate = cores.gate();
            assert!(gate.running.iter().filter(|running| running.component == 1).count() <= 2);
            drop(gate);
            cores.leave(&turn);
        }
        ended.store(true, Ordering::Relaxed);
        for thread in hostile {
            thread.join().expect("it ends");
        }
        assert!(cores.gate().running.is_empty() && cores.gate().queue.is_empty());
    }

    #[test]
    fn who_says_nothing_keeps_nobody() {
        let cores = Cores::new(1);
        let silent = cores.enter(1, || false);
        // Without it this would never come.
        let turn = cores.enter(2, || false);
        cores.leave(&turn);
        cores.leave(&silent);
    }
}
