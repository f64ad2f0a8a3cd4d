//! Which workers there are: messages, replies and timers get to them here.

use crate::component::{ComponentSource, WorkerComponent};
use crate::message::{Answer, Content, Message, Reply, Sender, Stop, failed, new_id, reply_of};
use crate::settings::Settings;
use crate::store::{HeapStore, StoreError, WorkerRecord};
use elias_capabilities::trigger::{Clock, TaskGroup};
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::ReplyResult;
use elias_workers::{Admission, TurnQueue, WaitGraph, WorkerKey};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, oneshot};

/// What the task of a worker does: `actor`, which is above this.
pub(crate) type RunWorker = fn(Arc<Manager>, Arc<WorkerHandle>) -> BoxFuture<'static, ()>;

/// The workers of one component.
pub(crate) struct Manager {
    source: OnceLock<ComponentSource>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn HeapStore>,
    directory: Mutex<Directory>,
    /// Permits to have an instance in memory.
    pub(crate) slots: Arc<Semaphore>,
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

#[derive(Default)]
struct Directory {
    /// The workers that have a task: which are in memory, or for which something waits.
    handles: HashMap<WorkerKey, Arc<WorkerHandle>>,
    /// When the timers of workers are due next, and the same by worker.
    due: BTreeSet<(u64, WorkerKey)>,
    due_of: HashMap<WorkerKey, u64>,
    waits: WaitGraph,
}

/// What leads to the task of a worker.
pub(crate) struct WorkerHandle {
    pub(crate) key: WorkerKey,
    pub(crate) queue: Mutex<TurnQueue<Message, Reply>>,
    pub(crate) stops: Mutex<VecDeque<Stop>>,
    /// Ids of calls whose answers their callers have committed.
    pub(crate) received: Mutex<Vec<String>>,
    /// Told when there is something new in any of them, or a timer is due.
    pub(crate) changed: Notify,
    shown: Mutex<Shown>,
}

/// What is shown of a worker.
#[derive(Clone, Copy)]
struct Shown {
    condition: WorkerCondition,
    turns: u64,
    next_due: Option<u64>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerCondition {
    /// Its instance is not in memory; the next message wakes it.
    Asleep,
    /// Its instance is in memory, and nothing is to be done.
    Idle,
    /// A turn of it runs, or is to be tried again.
    Running,
    /// A handler waits for other workers or a timer; no message enters.
    Waiting,
}

/// A worker, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Which worker.
    pub key: WorkerKey,
    /// What it does.
    pub condition: WorkerCondition,
    /// How many turns were committed.
    pub turns: u64,
    /// Messages in its mailbox.
    pub messages: usize,
    /// Messages that were dropped for newer ones, since it was last activated.
    pub dropped: u64,
    /// When its next timer or alarm is due, in milliseconds since 1970.
    pub next_due: Option<u64>,
}

impl WorkerHandle {
    /// Says what the worker does.
    pub(crate) fn show(&self, condition: WorkerCondition, record: &WorkerRecord) {
        let condition = match condition {
            WorkerCondition::Idle | WorkerCondition::Asleep if record.is_waiting() => WorkerCondition::Waiting,
            other => other,
        };
        *self.shown.lock() = Shown { condition, turns: record.turns, next_due: record.next_due() };
    }
}

impl Manager {
    pub(crate) fn new(settings: Settings, clock: Clock, store: Arc<dyn HeapStore>, run: RunWorker) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(settings.awake.max(1)));
        Arc::new_cyclic(|own| Self {
            source: OnceLock::new(),
            settings,
            clock,
            store,
            directory: Mutex::default(),
            slots,
            starved: AtomicUsize::new(0),
            pressure: Notify::new(),
            due_changed: Notify::new(),
            generation: AtomicU64::new(0),
            tasks: TaskGroup::default(),
            run,
            own: Weak::clone(own),
        })
    }

    /// Runs the workers of this component. Timers that are kept are due again, and workers that wait for others go on.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(crate) async fn start(&self, source: ComponentSource) -> Result<(), StoreError> {
        // Only a manager that was not started is given to whoever starts it.
        let _ = self.source.set(source);
        for record in self.records().await? {
            self.set_due(&record.key, record.next_due());
            if !record.calls.is_empty() {
                self.handle(&record.key, |_| ());
            }
        }
        if let Some(manager) = self.own.upgrade() {
            self.tasks.spawn(async move { manager.fire_timers().await });
        }
        Ok(())
    }

    /// The records of all workers that the store has.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) async fn records(&self) -> Result<Vec<WorkerRecord>, StoreError> {
        let store = Arc::clone(&self.store);
        let listed = tokio::task::spawn_blocking(move || store.list()).await;
        listed.map_err(|error| StoreError::Io(std::io::Error::other(error)))?
    }

    /// Has a worker handle a message, which begins to wait before this returns. The answer comes when the turn is
    /// committed.
    pub(crate) fn call(&self, key: WorkerKey, content: Content) -> impl Future<Output = Answer> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        self.send(&key, Message { id: new_id(), content, sender: Sender::Outside(sender) });
        async move {
            let lost = |_| Err(failed(ErrorCode::Unavailable, "the workers were stopped before the worker answered"));
            answer.await.unwrap_or_else(lost)
        }
    }

    /// Puts a message into a mailbox. One that cannot wait there is answered with the reason.
    pub(crate) fn send(&self, to: &WorkerKey, message: Message) {
        if let Err(error) = self.check(to, &message.sender) {
            return self.answer(message.sender, message.id, Err(error));
        }
        let admission = self.handle(to, |handle| {
            let bytes = message.content.bytes();
            handle.queue.lock().push(message, bytes)
        });
        match admission {
            Admission::Accepted | Admission::SenderWaits => {}
            Admission::AcceptedInPlaceOf(dropped) => {
                tracing::warn!(worker = %to, messages = dropped.len(), "the mailbox is full: the oldest are dropped");
                for Message { id, sender, .. } in dropped {
                    let message = format!("the mailbox of {to} is full: the message was dropped for a newer one");
                    self.answer(sender, id, Err(failed(ErrorCode::MailboxFull, message)));
                }
            }
            Admission::Refused(full, Message { id, sender, .. }) => {
                self.answer(sender, id, Err(failed(ErrorCode::MailboxFull, format!("{to}: {full}"))));
            }
        }
    }

    /// The component as it is now; none while none is loaded.
    pub(crate) fn component(&self) -> Option<Arc<dyn WorkerComponent>> {
        self.source.get().and_then(ComponentSource::current)
    }

    /// Why no message can be sent to a worker.
    fn check(&self, to: &WorkerKey, sender: &Sender) -> Result<(), Error> {
        if self.is_stopping() {
            return Err(failed(ErrorCode::Unavailable, "the workers are being stopped"));
        }
        if let Some(problem) = to.problem() {
            return Err(failed(ErrorCode::Invalid, problem));
        }
        let Some(component) = self.component() else {
            // What a worker sends is committed, and waits until there is one.
            return match sender {
                Sender::Worker { .. } => Ok(()),
                Sender::Outside(_) | Sender::Nobody => Err(failed(ErrorCode::Unavailable, "no component is loaded")),
            };
        };
        if !component.has_class(&to.class) {
            let message = format!("the component exports no worker class {}", to.class.escape_debug());
            return Err(failed(ErrorCode::NotFound, message));
        }
        Ok(())
    }

    /// Gives an answer to whoever waits for it.
    pub(crate) fn answer(&self, sender: Sender, id: String, answer: Answer) {
        match sender {
            // Whoever asked may have left.
            Sender::Outside(waiting) => drop(waiting.send(answer)),
            Sender::Worker { .. } => self.answer_again(sender, id, reply_of(answer)),
            Sender::Nobody => {
                if let Err(error) = answer {
                    tracing::error!("a message that nobody waits for failed: {}", error.message);
                }
            }
        }
    }

    /// Gives a worker the answer to a call that it may have made twice.
    pub(crate) fn answer_again(&self, sender: Sender, id: String, result: ReplyResult) {
        if let Sender::Worker { key, call } = sender {
            // From here on it does not wait for this any more: the callee may call it.
            self.directory.lock().waits.answered(&key, &id);
            self.handle(&key, |handle| handle.queue.lock().push_reply(Reply { call, id, result }));
        }
    }

    /// A caller has committed the answer to its call: the callee need not keep it. One that has no task keeps it until
    /// there are too many, which costs it some bytes.
    pub(crate) fn forget_answer(&self, callee: &WorkerKey, id: String) {
        if let Some(handle) = self.directory.lock().handles.get(callee) {
            handle.received.lock().push(id);
        }
    }

    /// Ends a worker, if there is one.
    pub(crate) fn stop_worker(&self, key: &WorkerKey, stop: Stop) {
        self.handle(key, |handle| handle.stops.lock().push_back(stop));
    }

    /// Changes the handle of a worker, whose task is started if it has none and is told.
    fn handle<T>(&self, key: &WorkerKey, change: impl FnOnce(&WorkerHandle) -> T) -> T {
        let mut directory = self.directory.lock();
        let (handle, is_new) = match directory.handles.get(key) {
            Some(handle) => (Arc::clone(handle), false),
            None => (Arc::new(self.new_handle(key)), true),
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

    fn new_handle(&self, key: &WorkerKey) -> WorkerHandle {
        WorkerHandle {
            key: key.clone(),
            queue: Mutex::new(TurnQueue::new(self.settings.mailbox)),
            stops: Mutex::default(),
            received: Mutex::default(),
            changed: Notify::new(),
            shown: Mutex::new(Shown { condition: WorkerCondition::Asleep, turns: 0, next_due: None }),
        }
    }

    /// Removes the handle of a worker whose task is about to end, unless something waits for it.
    pub(crate) fn remove_handle(&self, handle: &WorkerHandle, record: &WorkerRecord) -> bool {
        let mut directory = self.directory.lock();
        let queue = handle.queue.lock();
        let has_mail = !queue.mailbox().is_empty() || queue.mailbox().blocked() > 0;
        if has_mail
            || queue.has_next(&record.timers, self.now(), record.is_waiting())
            || !handle.stops.lock().is_empty()
        {
            return false;
        }
        directory.handles.remove(&handle.key);
        true
    }

    /// Says when the next timer of a worker is due.
    pub(crate) fn set_due(&self, key: &WorkerKey, at: Option<u64>) {
        let mut directory = self.directory.lock();
        if let Some(before) = directory.due_of.remove(key) {
            directory.due.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            directory.due.insert((at, key.clone()));
            directory.due_of.insert(key.clone(), at);
        }
        drop(directory);
        self.due_changed.notify_one();
    }

    /// Wakes workers whose timers are due.
    async fn fire_timers(&self) {
        loop {
            let changed = self.due_changed.notified();
            let now = self.now();
            let next = self.directory.lock().due.first().cloned();
            match next {
                Some((at, key)) if at <= now => {
                    // The worker says when the next one is due once it has had its turn.
                    self.set_due(&key, None);
                    self.handle(&key, |_| ());
                }
                Some((at, _)) => tokio::select! {
                    () = changed => {}
                    () = self.clock.sleep_until(at) => {}
                },
                None => changed.await,
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

    /// What the workers that have a task do.
    pub(crate) fn shown(&self) -> Vec<WorkerStatus> {
        let handles: Vec<Arc<WorkerHandle>> = self.directory.lock().handles.values().map(Arc::clone).collect();
        let shown = handles.iter().map(|handle| {
            let Shown { condition, turns, next_due } = *handle.shown.lock();
            let queue = handle.queue.lock();
            WorkerStatus {
                key: handle.key.clone(),
                condition,
                turns,
                messages: queue.mailbox().len() + queue.mailbox().blocked(),
                dropped: queue.mailbox().dropped(),
                next_due,
            }
        });
        shown.collect()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// How often the component was exchanged.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    /// The component was exchanged: workers go on in the new one, also those that the former refused.
    pub(crate) fn reload(&self) {
        self.generation.fetch_add(1, SeqCst);
        for handle in self.directory.lock().handles.values() {
            handle.changed.notify_one();
        }
    }

    /// Whether no turn begins any more.
    pub(crate) fn is_stopping(&self) -> bool {
        self.tasks.is_stopping()
    }

    /// Begins no turn any more, and waits at most so long until those that have begun are committed or undone. Gives
    /// how many were not, which are undone.
    pub(crate) async fn stop(&self, grace: Duration) -> usize {
        let cut = self.tasks.stop(grace).await;
        self.directory.lock().handles.clear();
        cut
    }

    /// Drops what is under way.
    pub(crate) fn abort(&self) {
        self.tasks.abort();
        self.directory.lock().handles.clear();
    }
}
