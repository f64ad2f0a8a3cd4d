//! Reuses instances: one whose execution ended well waits for the next execution of its component.
//!
//! An execution of a component of `elias-build` begins in an instance that has its image's memory and nothing else: a
//! new one, or one whose former execution ended well and whose memory was put back. Which of the two it is makes no
//! difference to the guest. An execution *ended well* if its handler returned, left no handle to a host resource, and
//! did not grow its memory. Any other end, a trap, a deadline, a panic of a host function, a caller that went away,
//! drops the instance.
//!
//! - `instance`: an instance and its handler, during an execution and between two.
//! - `pool`: the instances of one component, of which the idle ones wait there.
//! - `durable`: the instance of one worker, which waits for nobody else.
//! - `discard`: an instance that is not used again, and whose memory is given back.
//! - here: all instances of a host, and what bounds them.

mod discard;
mod durable;
mod instance;
mod pool;

pub(crate) use durable::{DurableInstance, InstanceSource, KeptPage, KeptTurn};
pub(crate) use instance::{Handler, Instance, ReadyInstance, Template};
pub(crate) use pool::InstancePool;

use crate::error::Error;
use elias_contract::ErrorCode;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How often idle instances are looked at, in parts of the time after which they go.
const LOOKS: u32 = 4;

/// The limits of idle instances on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleLimits {
    /// Bytes of memory that idle instances may have for themselves, together. None: each execution has a new instance.
    pub bytes: u64,
    /// The same of the components of one [`CpuShare::group`](crate::CpuShare::group), of those that were loaded with a
    /// share: beyond it an instance takes the room of its own group's.
    pub group_bytes: u64,
    /// Milliseconds after which an instance that was not used is dropped.
    pub idle_ms: u64,
    /// Each so many executions the memory that was put back is compared with its image, byte for byte; 0: never. Should
    /// it ever differ, no instance of the host is used again.
    pub check_interval: u64,
}

impl Default for IdleLimits {
    fn default() -> Self {
        Self { bytes: 48 << 20, group_bytes: 24 << 20, idle_ms: 300_000, check_interval: 0 }
    }
}

/// Counts of a host's instances since it was made, by use. Those of other toolchains' components are not counted, since
/// they are never reused. The instance of a worker exists but is not idle; a turn is an execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InstanceCounts {
    /// Executions that began in an instance that was used before.
    pub recycled: u64,
    /// Executions that began in a new instance.
    pub created: u64,
    /// Instances that are idle.
    pub idle: u64,
    /// Bytes of memory that the idle ones have for themselves.
    pub idle_bytes: u64,
    /// Instances that exist, idle ones included.
    pub instances: u64,
    /// Instances that can exist.
    pub instances_max: u64,
    /// Executions after which the instance was dropped because they failed, or were cancelled.
    pub dropped_failed: u64,
    /// The same, because handles to host resources were left.
    pub dropped_handles: u64,
    /// The same, because memory had grown.
    pub dropped_grown: u64,
    /// The same, because so much of the memory was written to that putting it back is no gain.
    pub dropped_written: u64,
    /// Idle instances that were dropped for others, or because nobody used them.
    pub dropped_idle: u64,
    /// Memories that were compared with their images after they had been put back.
    pub checked: u64,
    /// Those that differed. Any is a defect of the host.
    pub differed: u64,
}

#[derive(Debug, Default)]
struct Counts {
    recycled: AtomicU64,
    created: AtomicU64,
    failed: AtomicU64,
    handles: AtomicU64,
    grown: AtomicU64,
    written: AtomicU64,
    idle: AtomicU64,
    checked: AtomicU64,
    differed: AtomicU64,
}

fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// The instances of one host.
pub(crate) struct Instances {
    limits: IdleLimits,
    permits: Arc<Semaphore>,
    permits_max: usize,
    idle: AtomicUsize,
    idle_bytes: AtomicUsize,
    /// Bytes of memories that are being given back.
    discarded_bytes: AtomicUsize,
    counts: Counts,
    /// Those who share a bound of idle instances, by name.
    groups: Mutex<HashMap<String, Weak<Group>>>,
    put_back: AtomicU64,
    /// The components that have idle instances, for a second chance: who was used since the last look stays.
    ring: Mutex<VecDeque<Weak<dyn Evict>>>,
    is_swept: AtomicBool,
}

impl Instances {
    pub(crate) fn new(permits: usize, limits: IdleLimits) -> Self {
        let permits = permits.min(Semaphore::MAX_PERMITS);
        Self {
            limits,
            permits: Arc::new(Semaphore::new(permits)),
            permits_max: permits,
            idle: AtomicUsize::new(0),
            idle_bytes: AtomicUsize::new(0),
            discarded_bytes: AtomicUsize::new(0),
            counts: Counts::default(),
            groups: Mutex::default(),
            put_back: AtomicU64::new(0),
            ring: Mutex::default(),
            is_swept: AtomicBool::new(false),
        }
    }

    pub(crate) fn counts(&self) -> InstanceCounts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        InstanceCounts {
            recycled: load(&self.counts.recycled),
            created: load(&self.counts.created),
            idle: self.idle.load(Ordering::Relaxed) as u64,
            idle_bytes: self.idle_bytes.load(Ordering::Relaxed) as u64,
            instances: (self.permits_max - self.permits.available_permits()) as u64,
            instances_max: self.permits_max as u64,
            dropped_failed: load(&self.counts.failed),
            dropped_handles: load(&self.counts.handles),
            dropped_grown: load(&self.counts.grown),
            dropped_written: load(&self.counts.written),
            dropped_idle: load(&self.counts.idle),
            checked: load(&self.counts.checked),
            differed: load(&self.counts.differed),
        }
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Weak<dyn Evict>>> {
        self.ring.lock() // whole after every operation
    }

    /// A permit for a new instance; evicts an idle one if there is no other.
    fn acquire_permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
                return Ok(permit);
            }
            if !self.evict(None) {
                let message = format!("all {} instances of this host are in use", self.permits_max);
                return Err(Error::new(ErrorCode::Overloaded, message));
            }
        }
    }

    /// The group with this name.
    pub(crate) fn group(&self, name: &str) -> Arc<Group> {
        let mut groups = self.groups.lock(); // whole after every operation
        if let Some(known) = groups.get(name).and_then(Weak::upgrade) {
            return known;
        }
        groups.retain(|_, group| group.strong_count() > 0);
        let made = Arc::new(Group::default());
        groups.insert(name.to_owned(), Arc::downgrade(&made));
        made
    }

    /// Whether instances are used again.
    fn recycles(&self) -> bool {
        self.limits.bytes > 0 && self.counts.differed.load(Ordering::Relaxed) == 0
    }

    /// Whether the memory that was put back now is one of those that are compared with their images.
    fn checks(&self) -> bool {
        let interval = self.limits.check_interval;
        interval > 0 && self.put_back.fetch_add(1, Ordering::Relaxed) % interval == interval - 1
    }

    /// Says whether a memory that was put back is its image.
    fn is_checked(&self, is_image: bool) {
        add_one(&self.counts.checked);
        if !is_image {
            add_one(&self.counts.differed);
            tracing::error!(
                "a defect of the host: the memory of an instance was restored incorrectly; no instance is reused until \
                 the host is restarted"
            );
        }
    }

    /// Drops an idle instance of a component that was not used lately, of the group if there is one; false if none is
    /// idle.
    fn evict(&self, of: Option<&Arc<Group>>) -> bool {
        let evicted = self.find_idle(of);
        if evicted.is_some() {
            add_one(&self.counts.idle);
        }
        evicted.is_some() // and is dropped here, when the ring is free
    }

    fn find_idle(&self, of: Option<&Arc<Group>>) -> Option<Box<dyn Send>> {
        // Held all the while, or another would take what is being looked at for all that there is.
        let mut ring = self.ring();
        let all = ring.len();
        for look in 0..3 * all {
            let next = ring.pop_front()?;
            let Some(idle) = next.upgrade() else { continue };
            if of.is_some_and(|group| !idle.is_of(group)) {
                ring.push_back(next);
                continue;
            }
            // Everybody has one second chance, and nobody two.
            let insists = look >= 2 * all;
            let (evicted, remains) = idle.evict(insists);
            if remains {
                ring.push_back(next);
            }
            if evicted.is_some() {
                return evicted;
            }
        }
        None
    }

    /// Drops what was idle for too long.
    fn sweep(&self) {
        let Some(before) = Instant::now().checked_sub(Duration::from_millis(self.limits.idle_ms)) else { return };
        let mut old = Vec::new();
        self.ring().retain(|next| next.upgrade().is_some_and(|idle| idle.sweep(before, &mut old)));
        self.counts.idle.fetch_add(old.len() as u64, Ordering::Relaxed);
    }

    /// Looks at idle instances from time to time, as long as there are any.
    fn keep_swept(self: &Arc<Self>) {
        if self.is_swept.load(Ordering::Relaxed) || self.is_swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let swept = SweepGuard(Arc::downgrade(self));
        let every = Duration::from_millis((self.limits.idle_ms / u64::from(LOOKS)).max(10));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(instances) = swept.0.upgrade() else { return };
                instances.sweep();
                if instances.idle.load(Ordering::Relaxed) == 0 {
                    return;
                }
            }
        });
    }

    /// An idle instance is gone, or in use.
    fn leaves(&self, bytes: usize) {
        self.idle.fetch_sub(1, Ordering::Relaxed);
        self.idle_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Says that nobody looks at the idle instances any more, also if the runtime ends that did.
struct SweepGuard(Weak<Instances>);

impl Drop for SweepGuard {
    fn drop(&mut self) {
        if let Some(instances) = self.0.upgrade() {
            instances.is_swept.store(false, Ordering::Relaxed);
        }
    }
}

/// Components that share a bound of idle instances.
#[derive(Debug, Default)]
pub(crate) struct Group {
    idle_bytes: AtomicUsize,
}

/// A component's idle instances, for those who need room.
trait Evict: Send + Sync {
    /// Whether they are the group's.
    fn is_of(&self, group: &Arc<Group>) -> bool;
    /// Takes out the one that is idle for longest, unless they were used since the last call and the caller does not
    /// insist; and whether there are more.
    fn evict(&self, insists: bool) -> (Option<Box<dyn Send>>, bool);
    /// Takes out those that are idle since before this time; and whether there are more.
    fn sweep(&self, before: Instant, old: &mut Vec<Box<dyn Send>>) -> bool;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_memory_that_differs_no_instance_is_used_again() {
        let instances = Instances::new(1, IdleLimits { check_interval: 2, ..IdleLimits::default() });
        assert_eq!([(); 4].map(|()| instances.checks()), [false, true, false, true]);
        instances.is_checked(true);
        assert!(instances.recycles());
        instances.is_checked(false);
        instances.is_checked(true);
        assert!(!instances.recycles());
        assert_eq!((instances.counts().checked, instances.counts().differed), (3, 1));
    }
}
