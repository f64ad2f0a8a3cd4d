//! The CPU scheduler: as many guests run at a time as there are cores, and those of different shares take turns.
//!
//! A guest is a future, and whatever polls it pays with a thread. Left to the asynchronous runtime, each guest that can
//! run has its turn after all others, so that whoever starts more guests gets more of the CPU. Here a guest must have a
//! *core* while it is polled. As long as nobody waits for one, taking it is one atomic operation, and the guest runs on
//! the thread that polls it anyway. Else it waits in a [`queue`], at each yield anew, and its thread is free for
//! others.
//!
//! A turn is charged by the time for which it held its core. Fuel would be the same on every machine, but it does not
//! see what the kernel does for a guest (page faults, the reset of its memory), nor the host functions that it calls.

mod guest;
mod queue;
#[cfg(test)]
mod tests;

pub(crate) use guest::{Guest, Scheduled};

use guest::GuestState;
use parking_lot::{Mutex, MutexGuard};
use queue::{Charge, FairQueue, ShareKey, WEIGHT_DEFAULT, WEIGHT_MAX};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The owner of the CPU that a component's executions use, where there is not enough for all.
///
/// The CPU of guests of different groups is in proportion to the groups' weights, and within a group to those of its
/// subgroups, however many guests each has. The names mean nothing to the host. Weights are from 1 to 10,000; of
/// several components with the same names the one that was loaded last says the weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuShare {
    /// The group, such as a customer.
    pub group: String,
    /// Its weight among all groups.
    pub group_weight: u32,
    /// The part of the group, such as one of the customer's services.
    pub subgroup: String,
    /// Its weight within the group.
    pub subgroup_weight: u32,
}

impl CpuShare {
    /// The weight of those of which nothing else is said.
    pub const WEIGHT_DEFAULT: u32 = WEIGHT_DEFAULT;
    /// The largest weight; the smallest is 1.
    pub const WEIGHT_MAX: u32 = WEIGHT_MAX;

    /// A share with the usual weight, 100, at both levels.
    #[must_use]
    pub fn new(group: impl Into<String>, subgroup: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            group_weight: WEIGHT_DEFAULT,
            subgroup: subgroup.into(),
            subgroup_weight: WEIGHT_DEFAULT,
        }
    }
}

/// The load of the cores at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuLoad {
    /// Guests that may run at a time.
    pub cores: u32,
    /// Guests that run.
    pub running: u32,
    /// Guests that could run and wait for a core.
    pub waiting: u32,
}

/// For so many cores there is one guest more that may begin while nobody waits, and one at least: the threads that are
/// left to what is not a guest are more than cores, and a short guest is through before it would have come to its turn.
/// One that does not end with its first turn waits for a core.
const CORES_PER_SPARE: u32 = 8;

/// The scheduler, which assigns cores to guests.
pub(crate) struct Scheduler {
    cores: u32,
    /// Cores, and the guests that may begin beyond them.
    most: u32,
    /// How many run, and how many wait: one word, so that both are true of the same moment. Those who wait are counted
    /// with the queue's lock held. While somebody waits all cores are taken, or more, and are passed on with the lock
    /// held.
    state: AtomicU64,
    queue: Mutex<FairQueue<Arc<GuestState>>>,
}

/// A subgroup's key, held as long as a component or a guest needs it.
pub(crate) struct Share {
    scheduler: Arc<Scheduler>,
    key: ShareKey,
}

/// How many run and how many wait, as one word.
#[derive(Clone, Copy)]
struct State {
    running: u32,
    waiting: u32,
}

impl From<u64> for State {
    fn from(word: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
        Self { waiting: u32::from_be_bytes([a, b, c, d]), running: u32::from_be_bytes([e, f, g, h]) }
    }
}

impl From<State> for u64 {
    fn from(state: State) -> Self {
        Self::from(state.waiting) << 32 | Self::from(state.running)
    }
}

impl Share {
    /// The id of its group, unique in the process.
    pub(crate) fn group(&self) -> (usize, usize) {
        (Arc::as_ptr(&self.scheduler) as usize, self.key.group())
    }
}

impl Scheduler {
    /// Lets `cores` guests run at a time, one at least.
    pub(crate) fn new(cores: u32) -> Arc<Self> {
        let cores = cores.max(1);
        let most = cores.saturating_add((cores / CORES_PER_SPARE).max(1));
        Arc::new(Self { cores, most, state: AtomicU64::new(0), queue: Mutex::default() })
    }

    /// The key of a share.
    pub(crate) fn share(self: &Arc<Self>, share: &CpuShare) -> Arc<Share> {
        let CpuShare { group, group_weight, subgroup, subgroup_weight } = share;
        let key = self.queue().hold((group, *group_weight), (subgroup, *subgroup_weight));
        Arc::new(Share { scheduler: Arc::clone(self), key })
    }

    /// Sets the weight of a group, from its next turn on.
    pub(crate) fn set_weight(&self, group: &str, weight: u32) {
        self.queue().set_weight(group, weight);
    }

    /// The present load of the cores.
    pub(crate) fn load(&self) -> CpuLoad {
        let State { running, waiting } = self.state.load(Ordering::Relaxed).into();
        CpuLoad { cores: self.cores, running, waiting }
    }

    fn queue(&self) -> MutexGuard<'_, FairQueue<Arc<GuestState>>> {
        self.queue.lock() // nothing panics within it but a defect
    }

    /// Changes the state if `change` says how; gives whether it did.
    fn update(&self, change: impl Fn(State) -> Option<State>) -> bool {
        let change = |word: u64| change(word.into()).map(u64::from);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }

    /// A core, if one is free and nobody waits.
    fn try_take(&self) -> bool {
        self.update(|State { running, waiting }| {
            (waiting == 0 && running < self.most).then_some(State { running: running + 1, waiting })
        })
    }

    /// A core at once, or a place in the queue; says which.
    fn take_or_wait(&self, turn: &Arc<GuestState>) -> bool {
        if self.try_take() {
            return true;
        }
        let mut queue = self.queue();
        loop {
            // A core may have been given back meanwhile, which takes no lock while nobody waits.
            if self.try_take() {
                return true;
            }
            let waits = |State { running, waiting }| {
                (running >= self.most || waiting > 0).then_some(State { running, waiting: waiting + 1 })
            };
            if self.update(waits) {
                turn.wait_at(queue.push(turn.key(), Arc::clone(turn)));
                return false;
            }
        }
    }

    /// Gives a core back after `nanoseconds`; `again` waits for the next one. Says whether it does: if nobody else
    /// waits it need not.
    fn give_back(&self, key: ShareKey, charge: Charge, nanoseconds: u64, again: Option<&Arc<GuestState>>) -> bool {
        let alone = |State { running, waiting }| {
            let may_go_on = again.is_none() || running <= self.cores;
            (waiting == 0 && may_go_on).then_some(State { running: running - 1, waiting })
        };
        if self.update(alone) {
            return false;
        }
        let mut queue = self.queue();
        queue.served(key, charge, nanoseconds);
        if let Some(turn) = again {
            self.update(|State { running, waiting }| Some(State { running, waiting: waiting + 1 }));
            turn.wait_at(queue.push(key, Arc::clone(turn)));
        }
        self.pass_on(queue);
        true
    }

    /// Gives a core that is free to whose turn it is, unless it was one beyond the cores.
    fn pass_on(&self, mut queue: MutexGuard<'_, FairQueue<Arc<GuestState>>>) {
        let beyond =
            |State { running, waiting }| (running > self.cores).then_some(State { running: running - 1, waiting });
        if self.update(beyond) {
            return;
        }
        match queue.pop() {
            Some((next, _, charge)) => {
                self.update(|State { running, waiting }| Some(State { running, waiting: waiting - 1 }));
                next.grant(charge);
                drop(queue);
                next.wake_task();
            }
            None => {
                self.update(|State { running, waiting }| Some(State { running: running - 1, waiting }));
            }
        }
    }

    /// Takes a guest out of the queue that will not run again, or not soon; gives back its core if it was just given
    /// one.
    fn leave(&self, turn: &GuestState) {
        let mut queue = self.queue();
        if let Some(place) = turn.place()
            && queue.leave(turn.key(), place).is_some()
        {
            self.update(|State { running, waiting }| Some(State { running, waiting: waiting - 1 }));
        } else if let Some(charge) = turn.take_grant() {
            queue.served(turn.key(), charge, 0);
            self.pass_on(queue);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.scheduler.queue().give_up(self.key);
    }
}
