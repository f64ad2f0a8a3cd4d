//! Instances between executions.
//!
//! An execution of a component of `elias-build` begins in an instance that has its image's memory and nothing else: a
//! new one, or one whose former execution ended well and whose memory was put back. Which of the two it is makes no
//! difference to the guest. An execution *ended well* if its handler returned, left no handle to a host resource, and
//! did not grow its memory. Any other end, a trap, a deadline, a panic of a host function, a caller that went away,
//! drops the instance.

use crate::app::{App, AppInner};
use crate::error::{Error, ErrorCode};
use crate::instance::{InstanceState, Usage};
use crate::memory::{self, Slot, Stack};
use crate::post_mortem;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Store;

/// Bytes of an idle instance beside the pages of its memory: its store, its tables, and what it keeps of its stack.
const INSTANCE_BYTES: usize = (64 << 10) + memory::STACK_KEPT_BYTES;

/// How often idle instances are looked at, in parts of the time after which they go.
const LOOKS: u32 = 4;

/// What may be idle on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdleLimits {
    /// Bytes of memory that idle instances may have for themselves, together. None: each execution has a new instance.
    pub bytes: u64,
    /// Milliseconds after which an instance that was not used is dropped.
    pub idle_ms: u64,
}

impl Default for IdleLimits {
    fn default() -> Self {
        Self { bytes: 48 << 20, idle_ms: 300_000 }
    }
}

/// How a host's instances were used since it was made. Those of other toolchains' components are not counted: they are never used again.
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
}

fn add_one(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// The instances of one host.
pub(crate) struct Instances {
    limits: IdleLimits,
    places: Arc<Semaphore>,
    places_max: usize,
    idle: AtomicUsize,
    idle_bytes: AtomicUsize,
    counts: Counts,
    /// The components that have idle instances, for a second chance: who was used since the last look stays.
    ring: Mutex<VecDeque<Weak<dyn Evict>>>,
    is_swept: AtomicBool,
}

impl Instances {
    pub(crate) fn new(places: usize, limits: IdleLimits) -> Self {
        let places = places.min(Semaphore::MAX_PERMITS);
        Self {
            limits,
            places: Arc::new(Semaphore::new(places)),
            places_max: places,
            idle: AtomicUsize::new(0),
            idle_bytes: AtomicUsize::new(0),
            counts: Counts::default(),
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
            instances: (self.places_max - self.places.available_permits()) as u64,
            instances_max: self.places_max as u64,
            dropped_failed: load(&self.counts.failed),
            dropped_handles: load(&self.counts.handles),
            dropped_grown: load(&self.counts.grown),
            dropped_written: load(&self.counts.written),
            dropped_idle: load(&self.counts.idle),
        }
    }

    fn ring(&self) -> MutexGuard<'_, VecDeque<Weak<dyn Evict>>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    /// A place for a new instance; that of an idle one if there is no other.
    fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return Ok(place);
            }
            if !self.evict() {
                let message = format!("all {} instances of this host are in use", self.places_max);
                return Err(Error::new(ErrorCode::Overloaded, message));
            }
        }
    }

    /// Drops an idle instance of a component that was not used lately; false if none is idle.
    fn evict(&self) -> bool {
        let evicted = self.find_idle();
        if evicted.is_some() {
            add_one(&self.counts.idle);
        }
        evicted.is_some() // and is dropped here, when the ring is free
    }

    fn find_idle(&self) -> Option<Box<dyn Send>> {
        // Held all the while, or another would take what is being looked at for all that there is.
        let mut ring = self.ring();
        let all = ring.len();
        for look in 0..3 * all {
            let next = ring.pop_front()?;
            let Some(idle) = next.upgrade() else { continue };
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
        let swept = Swept(Arc::downgrade(self));
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
struct Swept(Weak<Instances>);

impl Drop for Swept {
    fn drop(&mut self) {
        if let Some(instances) = self.0.upgrade() {
            instances.is_swept.store(false, Ordering::Relaxed);
        }
    }
}

/// A component's idle instances, for those who need room.
trait Evict: Send + Sync {
    /// Takes out the one that is idle for longest, unless they were used since the last call and the caller does not insist; and
    /// whether there are more.
    fn evict(&self, insists: bool) -> (Option<Box<dyn Send>>, bool);
    /// Takes out those that are idle since before this time; and whether there are more.
    fn sweep(&self, before: Instant, old: &mut Vec<Box<dyn Send>>) -> bool;
}

/// What an execution calls.
pub(crate) trait Export: Sized + Send + Sync + 'static {
    /// Instantiates the component.
    fn instantiate(
        app: &AppInner,
        store: &mut Store<InstanceState>,
    ) -> impl Future<Output = wasmtime::Result<Self>> + Send;

    /// The component's idle instances of this export.
    fn idle(app: &App) -> &Arc<Idle<Self>>;
}

/// The idle instances of one component by one export.
pub(crate) struct Idle<E> {
    host: Arc<Instances>,
    state: Mutex<IdleState<E>>,
}

struct IdleState<E> {
    /// Each with the time since which it is idle; the latest last.
    instances: VecDeque<(Instance<E>, Instant)>,
    is_in_ring: bool,
    was_used: bool,
}

impl<E: Export> Idle<E> {
    pub(crate) fn new(host: &Arc<Instances>) -> Arc<Self> {
        let state = IdleState { instances: VecDeque::new(), is_in_ring: false, was_used: false };
        Arc::new(Self { host: Arc::clone(host), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, IdleState<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    /// An instance for an execution: the one that was used last, or a new one.
    pub(crate) fn take(&self, app: &AppInner, state: InstanceState) -> Result<Instance<E>, Error> {
        if app.image.is_none() {
            return Ok(Instance::new(app, state, None));
        }
        let idle = {
            let mut idle = self.state();
            idle.was_used = true;
            idle.instances.pop_back()
        };
        if let Some((mut instance, _)) = idle {
            self.host.leaves(instance.bytes());
            add_one(&self.host.counts.recycled);
            let usage = instance.usage;
            *instance.store.data_mut() = state;
            instance.store.data_mut().limiter.begin(usage);
            return Ok(instance);
        }
        let place = self.host.place()?;
        add_one(&self.host.counts.created);
        Ok(Instance::new(app, state, Some(place)))
    }

    /// Keeps an instance whose execution is over, if it ended well.
    pub(crate) fn give_back(self: &Arc<Self>, mut instance: Instance<E>, returned: bool) {
        let Some(slot) = &instance.slot else { return };
        let counts = &self.host.counts;
        if instance.has_run {
            if !returned {
                return add_one(&counts.failed);
            }
            if !instance.store.data().table.is_empty() {
                return add_one(&counts.handles);
            }
            if slot.has_grown() {
                return add_one(&counts.grown);
            }
        }
        if self.host.limits.bytes == 0 {
            return;
        }
        // What the execution held of the host goes now, and not when the instance is needed next.
        instance.store.data_mut().retire();
        if std::mem::take(&mut instance.has_run) {
            // SAFETY: the guest has returned, and its store is ours.
            match unsafe { slot.reset() } {
                Ok(true) => {}
                Ok(false) => return add_one(&counts.written),
                Err(error) => {
                    tracing::error!(%error, "a memory could not be put back; the instance is not used again");
                    return;
                }
            }
            if let Some(stack) = &instance.stack {
                // SAFETY: as above.
                unsafe { stack.trim() };
            }
        }
        self.keep(instance);
    }

    /// Lets an instance wait for the next execution; another goes if there is no room.
    fn keep(self: &Arc<Self>, instance: Instance<E>) {
        let bytes = instance.bytes();
        while self.host.idle_bytes.load(Ordering::Relaxed) + bytes > self.host.limits.bytes as usize {
            if !self.host.evict() {
                return add_one(&self.host.counts.idle);
            }
        }
        self.host.idle.fetch_add(1, Ordering::Relaxed);
        self.host.idle_bytes.fetch_add(bytes, Ordering::Relaxed);
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

impl<E: Export> Evict for Idle<E> {
    fn evict(&self, insists: bool) -> (Option<Box<dyn Send>>, bool) {
        let mut idle = self.state();
        let has_chance = std::mem::take(&mut idle.was_used) && !insists;
        let evicted = if has_chance { None } else { idle.instances.pop_front() };
        idle.is_in_ring = !idle.instances.is_empty();
        let evicted = evicted.map(|(instance, _)| {
            self.host.leaves(instance.bytes());
            Box::new(instance) as Box<dyn Send>
        });
        (evicted, idle.is_in_ring)
    }

    fn sweep(&self, before: Instant, old: &mut Vec<Box<dyn Send>>) -> bool {
        let mut idle = self.state();
        while let Some((instance, _)) = idle.instances.pop_front_if(|(_, since)| *since < before) {
            self.host.leaves(instance.bytes());
            old.push(Box::new(instance));
        }
        idle.is_in_ring = !idle.instances.is_empty();
        idle.is_in_ring
    }
}

impl<E> Drop for Idle<E> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (instance, _) in state.instances.drain(..) {
            self.host.leaves(instance.bytes());
        }
    }
}

/// An instance, or the store for one. Fields drop in order: the place last.
pub(crate) struct Instance<E> {
    pub(crate) store: Store<InstanceState>,
    /// There once it is instantiated.
    exports: Option<E>,
    /// Its memory, if that is the host's.
    slot: Option<Arc<Slot>>,
    /// The stack that the store keeps.
    stack: Option<Arc<Stack>>,
    /// Whether the guest was called since the memory was the image's.
    has_run: bool,
    /// What it takes of its limits when an execution begins.
    usage: Usage,
    _place: Option<OwnedSemaphorePermit>,
}

impl<E> Instance<E> {
    fn new(app: &AppInner, state: InstanceState, place: Option<OwnedSemaphorePermit>) -> Self {
        let mut store = Store::new(&app.engine, state);
        store.limiter(|state| &mut state.limiter);
        Self { store, exports: None, slot: None, stack: None, has_run: false, usage: Usage::default(), _place: place }
    }

    /// Bytes that it has for itself.
    fn bytes(&self) -> usize {
        INSTANCE_BYTES + self.slot.as_ref().map_or(0, |slot| slot.private_bytes())
    }
}

impl<E: Export> Instance<E> {
    /// What an execution needs, which is about to call the guest; instantiates the component if it was not yet.
    ///
    /// # Errors
    /// If it cannot be instantiated.
    pub(crate) async fn ready(&mut self, app: &AppInner) -> wasmtime::Result<Ready<'_, E>> {
        let Self { store, exports, slot, stack, has_run, usage, .. } = self;
        *has_run = true;
        if exports.is_none() {
            let made = match &app.image {
                None => E::instantiate(app, store).await?,
                Some(image) => {
                    let (made, memory) = memory::instantiate(image, E::instantiate(app, store)).await?;
                    *slot = Some(memory);
                    made
                }
            };
            // To be instantiated is not the execution's affair: it has the same fuel in a new instance as in a used one. No code
            // of the guest has run, but for what fills its table.
            store.set_fuel(app.limits.fuel)?;
            *usage = store.data().limiter.usage();
            *exports = Some(made);
        }
        let exports = exports.as_ref().ok_or_else(|| wasmtime::format_err!("it was instantiated"))?;
        Ok(Ready { store, exports, stack })
    }
}

/// An instance whose guest is about to be called.
pub(crate) struct Ready<'a, E> {
    pub(crate) store: &'a mut Store<InstanceState>,
    pub(crate) exports: &'a E,
    stack: &'a mut Option<Arc<Stack>>,
}

impl<E> Ready<'_, E> {
    /// Calls the guest.
    ///
    /// # Errors
    /// What ended the guest, and what it was doing.
    pub(crate) async fn call<T>(
        self,
        call: impl AsyncFnOnce(&E, &mut Store<InstanceState>) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let Self { store, exports, stack } = self;
        let called = memory::noting_stack(stack, call(exports, &mut *store)).await;
        called.map_err(|error| post_mortem::examine(store, error))
    }
}
