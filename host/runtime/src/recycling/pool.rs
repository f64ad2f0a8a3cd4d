//! The instances of one component: makes new ones, and keeps idle ones for the next execution.

use super::instance::{Handler, Instance, Template};
use super::{Evict, Group, Instances, add_one};
use crate::error::Error;
use crate::execution::ExecutionHandle;
use crate::instance::InstanceState;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

/// The instances of one component for one of its handlers.
pub(crate) struct InstancePool<H: Handler> {
    template: Template<H>,
    host: Arc<Instances>,
    /// With whom it shares a bound.
    group: Option<Arc<Group>>,
    state: Mutex<IdleState<H>>,
}

/// The idle instances.
struct IdleState<H> {
    /// Each with the time since which it is idle; the latest last.
    instances: VecDeque<(Instance<H>, Instant)>,
    is_in_ring: bool,
    was_used: bool,
}

/// Why an instance that a worker had is dropped.
#[derive(Debug, Clone, Copy)]
pub(super) enum DropReason {
    /// Its turn was ended, or cancelled.
    Failed,
    /// Its turn left handles to host resources.
    Handles,
    /// Its turn is undone, and has grown the memory.
    Grown,
    /// Its turn is undone, and so much of the memory is its own that beginning anew is no loss.
    Written,
}

impl<H: Handler> InstancePool<H> {
    pub(crate) fn new(template: Template<H>, host: &Arc<Instances>, group: Option<Arc<Group>>) -> Arc<Self> {
        let state = IdleState { instances: VecDeque::new(), is_in_ring: false, was_used: false };
        Arc::new(Self { template, host: Arc::clone(host), group, state: Mutex::new(state) })
    }

    /// The parts of which its instances are made.
    pub(crate) fn template(&self) -> &Template<H> {
        &self.template
    }

    fn state(&self) -> MutexGuard<'_, IdleState<H>> {
        self.state.lock() // whole after every operation
    }

    /// An idle instance is gone, or in use.
    fn leaves(&self, bytes: usize) {
        self.host.leaves(bytes);
        if let Some(group) = &self.group {
            group.idle_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Makes room for so many bytes more; whether there is.
    fn make_room(&self, bytes: usize) -> bool {
        let has_room = |used: &AtomicUsize, most: u64| used.load(Ordering::Relaxed) as u64 + bytes as u64 <= most;
        let limits = &self.host.limits;
        if let Some(group) = &self.group {
            while !has_room(&group.idle_bytes, limits.group_bytes) {
                if !self.host.evict(Some(group)) {
                    return false;
                }
            }
        }
        while !has_room(&self.host.idle_bytes, limits.bytes) {
            if !self.host.evict(None) {
                return false;
            }
        }
        true
    }

    /// An instance for an execution: the one that was used last, or a new one.
    pub(crate) fn take(&self, state: InstanceState) -> Result<Instance<H>, Error> {
        if self.template.image.is_none() {
            return Ok(Instance::new(&self.template.engine, state, None));
        }
        let idle = {
            let mut idle = self.state();
            idle.was_used = true;
            idle.instances.pop_back()
        };
        if let Some((mut instance, _)) = idle {
            self.leaves(instance.bytes());
            self.resume(&mut instance, state);
            return Ok(instance);
        }
        self.create(state)
    }

    /// Begins an execution in an instance that was used before.
    pub(super) fn resume(&self, instance: &mut Instance<H>, state: InstanceState) {
        add_one(&self.host.counts.recycled);
        instance.begin(state);
    }

    /// A new instance of a component whose memory is the host's.
    ///
    /// # Errors
    /// `overloaded`, if the host has no room for one.
    pub(super) fn create(&self, state: InstanceState) -> Result<Instance<H>, Error> {
        let permit = self.host.acquire_permit()?;
        add_one(&self.host.counts.created);
        Ok(Instance::new(&self.template.engine, state, Some(permit)))
    }

    /// Discards an instance that is not used again; `running` is the execution that ends with it, if one does.
    pub(super) fn discard(&self, instance: Instance<H>, running: Option<&ExecutionHandle>) {
        instance.discard(&self.host, running);
    }

    /// Notes that an instance is dropped after its execution, and why.
    pub(super) fn count_drop(&self, reason: DropReason) {
        let counts = &self.host.counts;
        add_one(match reason {
            DropReason::Failed => &counts.failed,
            DropReason::Handles => &counts.handles,
            DropReason::Grown => &counts.grown,
            DropReason::Written => &counts.written,
        });
    }

    /// Takes an instance whose execution is over: keeps it if that ended well, else discards it.
    pub(crate) fn give_back(self: &Arc<Self>, mut instance: Instance<H>, returned: bool, running: &ExecutionHandle) {
        match self.put_back(&mut instance, returned) {
            Ok(()) => self.keep(instance),
            Err(counted) => {
                if let Some(count) = counted {
                    add_one(count);
                }
                instance.discard(&self.host, Some(running));
            }
        }
    }

    /// Makes an instance as it was before its execution, or says what counts that it is dropped.
    fn put_back(&self, instance: &mut Instance<H>, returned: bool) -> Result<(), Option<&AtomicU64>> {
        let Some(slot) = &instance.slot else { return Err(None) };
        let counts = &self.host.counts;
        if instance.has_run {
            if !returned {
                return Err(Some(&counts.failed));
            }
            if !instance.store.data().table.is_empty() {
                return Err(Some(&counts.handles));
            }
            if slot.has_grown() {
                return Err(Some(&counts.grown));
            }
        }
        if !self.host.recycles() {
            return Err(None);
        }
        // Host resources of the execution go now, and not when the instance is needed next.
        instance.store.data_mut().retire();
        if std::mem::take(&mut instance.has_run) {
            // SAFETY: the guest has returned, and its store is ours.
            match unsafe { slot.reset() } {
                Ok(true) if self.host.checks() => {
                    // SAFETY: as above.
                    self.host.is_checked(unsafe { slot.is_image() });
                    if !self.host.recycles() {
                        return Err(None);
                    }
                }
                Ok(true) => {}
                Ok(false) => return Err(Some(&counts.written)),
                Err(error) => {
                    tracing::error!(%error, "the memory of an instance cannot be restored; the instance is not reused");
                    return Err(None);
                }
            }
            if let Some(stack) = &instance.stack {
                // SAFETY: as above.
                unsafe { stack.trim() };
            }
        }
        Ok(())
    }

    /// Lets an instance wait for the next execution; another goes if there is no room.
    fn keep(self: &Arc<Self>, instance: Instance<H>) {
        let bytes = instance.bytes();
        if !self.make_room(bytes) {
            return add_one(&self.host.counts.idle);
        }
        self.host.idle.fetch_add(1, Ordering::Relaxed);
        self.host.idle_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(group) = &self.group {
            group.idle_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        let is_new = {
            let mut idle = self.state();
            idle.instances.push_back((instance, Instant::now()));
            !std::mem::replace(&mut idle.is_in_ring, true)
        };
        if is_new {
            let this: Weak<Self> = Arc::downgrade(self);
            self.host.ring().push_back(this);
        }
        self.host.keep_swept();
    }
}

impl<H: Handler> Evict for InstancePool<H> {
    fn is_of(&self, group: &Arc<Group>) -> bool {
        self.group.as_ref().is_some_and(|own| Arc::ptr_eq(own, group))
    }

    fn evict(&self, insists: bool) -> (Option<Box<dyn Send>>, bool) {
        let mut idle = self.state();
        let has_chance = std::mem::take(&mut idle.was_used) && !insists;
        let evicted = if has_chance { None } else { idle.instances.pop_front() };
        idle.is_in_ring = !idle.instances.is_empty();
        let evicted = evicted.map(|(instance, _)| {
            self.leaves(instance.bytes());
            Box::new(instance) as Box<dyn Send>
        });
        (evicted, idle.is_in_ring)
    }

    fn sweep(&self, before: Instant, old: &mut Vec<Box<dyn Send>>) -> bool {
        let mut idle = self.state();
        while let Some((instance, _)) = idle.instances.pop_front_if(|(_, since)| *since < before) {
            self.leaves(instance.bytes());
            old.push(Box::new(instance));
        }
        idle.is_in_ring = !idle.instances.is_empty();
        idle.is_in_ring
    }
}

impl<H: Handler> Drop for InstancePool<H> {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let gone: Vec<_> = state.instances.drain(..).map(|(instance, _)| instance.bytes()).collect();
        gone.into_iter().for_each(|bytes| self.leaves(bytes));
    }
}
