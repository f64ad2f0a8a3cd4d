//! The manager has the handles of all workers, and delivers messages, replies and timers to them.
//!
//! - here: the handles, timers, ownership, settings. `delivery`: messages and answers.

mod delivery;

use crate::component::{ComponentSource, WorkerComponent};
use crate::directory::Directory;
use crate::groups::Groups;
use crate::handle::{WorkerHandle, WorkerStatus};
use crate::health::HealthRecords;
use crate::message::{Message, Sender, Stop, failed};
use crate::settings::{Settings, WorkerSettings};
use crate::sockets::{SocketClose, SocketTable, close_code};
use crate::store::{AcquiredWorker, StoreError, WorkerRecord, WorkerStore};
use crate::trees::Trees;
use elias_capabilities::trigger::{Clock, TaskGroup};
use elias_capabilities::workers::ErrorCode;
use elias_workers::WorkerKey;
use futures::future::{BoxFuture, join_all};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// What whoever waits is told of a worker whose task panicked.
const PANICKED: &str = "the host failed in the turn; see its log";

/// How long after a panic a worker goes on with what it has to do of itself, in milliseconds.
const RESTART_DELAY_MS: u64 = 1_000;

/// Workers that are read at a time of themselves: for timers that are due, or calls without an answer. A store has some
/// connections, and after a start there may be a hundred thousand of them.
pub(crate) const UNASKED_MAX: usize = 32;

/// Workers that are moved to another version at a time: each holds the code or its state meanwhile, as text of up to 64
/// MiB, and after a deployment all are moved.
pub(crate) const MOVES_MAX: usize = 16;

/// What the task of a worker does: `actor`, which is above this.
pub(crate) type RunWorker = fn(Arc<Manager>, Arc<WorkerHandle>) -> BoxFuture<'static, ()>;

/// The workers of one component.
pub(crate) struct Manager {
    source: OnceLock<ComponentSource>,
    pub(crate) settings: Settings,
    /// Those settings that change while workers run.
    live: RwLock<WorkerSettings>,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn WorkerStore>,
    pub(crate) groups: Groups,
    pub(crate) trees: Trees,
    /// The tags of classes.
    pub(crate) tags: RwLock<BTreeMap<String, Vec<String>>>,
    pub(crate) health: HealthRecords,
    /// The sockets that are open.
    pub(crate) sockets: SocketTable,
    directory: Mutex<Directory>,
    /// The epochs of the workers that this owns.
    owned: Mutex<HashMap<WorkerKey, u64>>,
    /// Permits to have an instance in memory.
    pub(crate) slots: Arc<Semaphore>,
    /// Permits to move a worker to another version.
    pub(crate) moves: Semaphore,
    /// Permits to read a worker of which nobody has asked for anything.
    unasked: Arc<Semaphore>,
    /// Workers that wait for a permit: those that have nothing to do then give theirs back.
    pub(crate) starved: AtomicUsize,
    pub(crate) pressure: Notify,
    /// Told when another time is the next that is due.
    due_changed: Notify,
    /// How often the component was exchanged.
    generation: AtomicU64,
    /// The tasks, and how many turns run in them.
    pub(crate) tasks: TaskGroup,
    /// What the task of a worker does.
    run: RunWorker,
    /// Itself, for its tasks.
    own: Weak<Self>,
}

impl Manager {
    pub(crate) fn new(settings: Settings, clock: Clock, store: Arc<dyn WorkerStore>, run: RunWorker) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(settings.awake.max(1)));
        let (groups, trees) = (Groups::new(&settings.groups), Trees::new(settings.trees.clone()));
        let tags = RwLock::new(settings.tags.clone());
        let sockets = SocketTable::new(settings.initial.sockets, Arc::clone(&settings.socket_memory));
        let live = RwLock::new(settings.initial);
        Arc::new_cyclic(|own| Self {
            source: OnceLock::new(),
            groups,
            trees,
            tags,
            health: HealthRecords::default(),
            settings,
            live,
            clock,
            store,
            sockets,
            directory: Mutex::default(),
            owned: Mutex::default(),
            slots,
            moves: Semaphore::new(MOVES_MAX),
            unasked: Arc::new(Semaphore::new(UNASKED_MAX)),
            starved: AtomicUsize::new(0),
            pressure: Notify::new(),
            due_changed: Notify::new(),
            generation: AtomicU64::new(0),
            tasks: TaskGroup::default(),
            run,
            own: Weak::clone(own),
        })
    }

    /// Runs the workers of this component. Timers that are kept are due again, workers that wait for others go on, and
    /// those of supervision trees are started.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) async fn start(&self, source: ComponentSource) -> Result<(), StoreError> {
        // Only a manager that was not started is given to whoever starts it.
        let _ = self.source.set(source);
        for summary in self.store.pending().await? {
            self.set_due(&summary.key, if summary.has_calls { Some(0) } else { summary.next_due });
        }
        if let Some(manager) = self.own.upgrade() {
            self.tasks.spawn(async move { manager.fire_timers().await });
        }
        self.start_trees();
        Ok(())
    }

    /// The component that runs a worker now; none while none is loaded.
    pub(crate) fn component(&self, key: &WorkerKey) -> Option<Arc<dyn WorkerComponent>> {
        self.source.get().and_then(|source| source.current(key))
    }

    /// Ends a worker, if there is one.
    pub(crate) fn stop_worker(&self, key: &WorkerKey, stop: Stop) {
        self.handle(key, |handle| handle.stops.lock().push_back(stop));
    }

    /// Changes the handle of a worker, whose task is started if it has none and is told.
    fn handle<T>(&self, key: &WorkerKey, change: impl FnOnce(&WorkerHandle) -> T) -> T {
        self.handle_or(key, None, change)
    }

    /// The same, where a task that is started does so with this permit if nobody has asked the worker for anything.
    fn handle_or<T>(
        &self,
        key: &WorkerKey,
        unasked: Option<OwnedSemaphorePermit>,
        change: impl FnOnce(&WorkerHandle) -> T,
    ) -> T {
        let mut directory = self.directory.lock();
        let (handle, is_new) = match directory.handles.get(key) {
            Some(handle) => (Arc::clone(handle), false),
            None => (Arc::new(WorkerHandle::new(key.clone(), self.live().mailbox, unasked)), true),
        };
        let changed = change(&handle);
        // Once the workers were stopped nothing is kept that no task would take: whoever waits for it is told so.
        if is_new
            && let Some(manager) = self.own.upgrade()
            && self.tasks.spawn((self.run)(manager, Arc::clone(&handle)))
        {
            directory.handles.insert(key.clone(), Arc::clone(&handle));
        }
        drop(directory);
        handle.changed.notify_one();
        changed
    }

    /// Whether something waits for a worker that may enter now.
    pub(crate) fn has_work(&self, handle: &WorkerHandle, record: &WorkerRecord) -> bool {
        let queue = handle.queue.lock();
        !queue.mailbox().is_empty()
            || queue.mailbox().blocked() > 0
            || queue.has_next(&record.timers, self.now(), record.is_waiting())
            || !handle.stops.lock().is_empty()
    }

    /// Removes the handle of a worker whose task is about to end, unless something waits for it.
    pub(crate) fn remove_handle(&self, handle: &WorkerHandle, record: &WorkerRecord) -> bool {
        let mut directory = self.directory.lock();
        if self.has_work(handle, record) {
            return false;
        }
        directory.handles.remove(&handle.key);
        true
    }

    /// Removes the handle of a worker whose task panicked, and answers all that waits for it.
    pub(crate) fn remove_panicked(&self, handle: &WorkerHandle) {
        tracing::error!(worker = %handle.key, "the task of the worker panicked");
        self.directory.lock().handles.remove(&handle.key);
        self.finish_waits(&handle.key);
        let error = || failed(ErrorCode::Failed, format!("{}: {PANICKED}", handle.key));
        // No lock is held where others are told.
        let messages = handle.queue.lock().drain();
        let in_hand = handle.drain_in_hand();
        let stops: Vec<Stop> = handle.stops.lock().drain(..).collect();
        for Message { id, sender, .. } in messages {
            if sender.is_outside() {
                self.answer(sender, id, Err(error()));
            }
        }
        // The calls of workers, those among them that it was handling.
        for (id, (key, call)) in in_hand {
            self.answer(Sender::Worker { key, call }, id, Err(error()));
        }
        for stop in stops {
            // Whoever asked may have left.
            drop(stop.done.send(Err(error())));
        }
        // What it was about to do for itself is done by another task.
        self.set_due(&handle.key, Some(self.now().saturating_add(RESTART_DELAY_MS)));
    }

    /// Has a worker leave memory after the turn that runs, and its ownership released.
    pub(crate) fn give_up(&self, key: &WorkerKey) {
        if let Some(handle) = self.directory.lock().handles.get(key) {
            handle.gives_up.store(true, SeqCst);
            handle.changed.notify_one();
        }
    }

    /// Has a worker leave memory after the turn that runs.
    pub(crate) fn hibernate(&self, key: &WorkerKey) {
        if let Some(handle) = self.directory.lock().handles.get(key) {
            handle.hibernates.store(true, SeqCst);
            handle.changed.notify_one();
        }
    }

    /// Has a worker go on with what it has to do without a message: timers that are due, and calls without an answer.
    /// One without a task is read when others are that go on of themselves.
    pub(crate) fn resume(&self, key: &WorkerKey) {
        let mut directory = self.directory.lock();
        if let Some(handle) = directory.handles.get(key) {
            handle.changed.notify_one();
            return;
        }
        directory.set_due(key, Some(0));
        drop(directory);
        self.due_changed.notify_one();
    }

    /// Has the task of a worker, if it has one, look whether there is something to do or it may end.
    pub(crate) fn wake(&self, key: &WorkerKey) {
        if let Some(handle) = self.directory.lock().handles.get(key) {
            handle.changed.notify_one();
        }
    }

    /// Says when the next timer of a worker is due.
    pub(crate) fn set_due(&self, key: &WorkerKey, at: Option<u64>) {
        self.directory.lock().set_due(key, at);
        self.due_changed.notify_one();
    }

    /// Wakes workers whose timers are due, and those that are to go on. Those without a task are read a few at a time.
    async fn fire_timers(&self) {
        loop {
            let changed = self.due_changed.notified();
            let due = self.directory.lock().take_due(self.now());
            match due {
                Ok(key) => {
                    // Nobody closes the semaphore.
                    let Ok(permit) = Arc::clone(&self.unasked).acquire_owned().await else { return };
                    self.handle_or(&key, Some(permit), |_| ());
                }
                Err(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = self.clock.sleep_until(at) => {}
                },
                Err(None) => changed.await,
            }
        }
    }

    /// Has a worker wait for its call; the error names the cycle that this would close.
    pub(crate) fn wait(&self, caller: &WorkerKey, call: &str, callee: &WorkerKey) -> Result<(), String> {
        let mut directory = self.directory.lock();
        directory.waits.wait(caller, call, callee).map_err(|cycle| cycle.to_string())
    }

    /// The handler of a worker is done.
    pub(crate) fn finish_waits(&self, caller: &WorkerKey) {
        self.directory.lock().waits.finish(caller);
    }

    /// What the workers that have a task do, by class and name: those after this one, up to the last of them.
    pub(crate) fn shown(&self, after: Option<&WorkerKey>, last: Option<&WorkerKey>) -> Vec<WorkerStatus> {
        let is_asked = |key: &WorkerKey| after.is_none_or(|after| key > after) && last.is_none_or(|last| key <= last);
        let handles: Vec<Arc<WorkerHandle>> = {
            let directory = self.directory.lock();
            directory.handles.values().filter(|handle| is_asked(&handle.key)).map(Arc::clone).collect()
        };
        let mut all: HashMap<WorkerKey, WorkerStatus> =
            handles.iter().map(|handle| (handle.key.clone(), handle.status())).collect();
        // Those that were given up are kept nowhere.
        for key in self.trees.all_given_up().into_iter().filter(is_asked) {
            all.entry(key.clone()).or_insert_with(|| WorkerStatus::unknown(key));
        }
        all.into_values().map(|status| self.complete(status)).collect()
    }

    /// What a worker does, if it has a task or was given up.
    pub(crate) fn shown_one(&self, key: &WorkerKey) -> Option<WorkerStatus> {
        let status = self.existing(key).map(|handle| handle.status());
        let is_given_up = self.trees.given_up(key).is_some();
        let status = status.or_else(|| is_given_up.then(|| WorkerStatus::unknown(key.clone())));
        status.map(|status| self.complete(status))
    }

    /// The handle of a worker, if it has a task.
    pub(crate) fn existing(&self, key: &WorkerKey) -> Option<Arc<WorkerHandle>> {
        self.directory.lock().handles.get(key).map(Arc::clone)
    }

    /// Itself, for a task.
    pub(crate) fn upgrade(&self) -> Option<Arc<Self>> {
        self.own.upgrade()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// How often the component was exchanged.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// The settings as they are now.
    pub(crate) fn live(&self) -> WorkerSettings {
        *self.live.read()
    }

    /// Changes the settings, also for workers that have a task.
    pub(crate) fn configure(&self, settings: WorkerSettings) {
        // A handle that is made meanwhile has the new ones.
        let directory = self.directory.lock();
        if self.live() == settings {
            return;
        }
        *self.live.write() = settings;
        self.sockets.set_limits(settings.sockets);
        for handle in directory.handles.values() {
            handle.queue.lock().set_limits(settings.mailbox);
            handle.changed.notify_one();
        }
    }

    /// The component was exchanged: workers go on in the new one, also those that the former refused.
    pub(crate) fn reload(&self) {
        self.generation.fetch_add(1, SeqCst);
        for handle in self.directory.lock().handles.values() {
            handle.changed.notify_one();
        }
        // The former one may have had no such class.
        self.start_trees();
    }

    /// Whether no turn begins any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.tasks.is_stopping()
    }

    /// Begins no turn any more, waits at most so long until those that have begun are committed or undone, and releases
    /// the workers. Gives how many turns were not over, which are undone.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        self.sockets.close_all(&SocketClose::new(close_code::GOING_AWAY, "the workers are being stopped"));
        let cut = self.tasks.stop(grace).await;
        self.directory.lock().handles.clear();
        let owned: Vec<(WorkerKey, u64)> = self.owned.lock().drain().collect();
        join_all(owned.iter().map(|(key, epoch)| self.release(key, *epoch))).await;
        cut
    }

    /// Makes a task the owner of a worker, and reads its record. Where nobody has asked for the worker, one that
    /// another host has stays that host's.
    ///
    /// # Errors
    /// As of [`WorkerStore::acquire`].
    pub(crate) async fn acquire(&self, key: &WorkerKey, is_unasked: bool) -> Result<AcquiredWorker, StoreError> {
        let acquiring = if is_unasked { self.store.acquire_unasked(key) } else { self.store.acquire(key) };
        let acquired = acquiring.await?;
        self.owned.lock().insert(key.clone(), acquired.epoch);
        Ok(acquired)
    }

    /// A worker is not this manager's: it cannot be acquired.
    pub(crate) fn forget_owned(&self, key: &WorkerKey) {
        self.owned.lock().remove(key);
    }

    /// Has others become the owner of a worker.
    pub(crate) async fn release(&self, key: &WorkerKey, epoch: u64) {
        self.owned.lock().remove(key);
        if let Err(error) = self.store.release(key, epoch).await {
            tracing::warn!(worker = %key, "the worker cannot be released: {error}");
        }
    }

    /// Drops what is under way.
    pub(crate) fn abort(&self) {
        self.sockets.close_all(&SocketClose::new(close_code::GOING_AWAY, "the workers were stopped"));
        self.tasks.abort();
        self.directory.lock().handles.clear();
    }
}
