//! The handle to a worker's task: its queue, and its status.

use crate::health::WorkerHealth;
use crate::message::{Message, Reply, Sender, Stop};
use crate::store::WorkerRecord;
use elias_workers::{Admission, MailboxLimits, TurnQueue, WorkerKey};
use parking_lot::Mutex;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use tokio::sync::Notify;

/// What leads to the task of a worker.
pub(crate) struct WorkerHandle {
    pub(crate) key: WorkerKey,
    pub(crate) queue: Mutex<TurnQueue<Message, Reply>>,
    pub(crate) stops: Mutex<VecDeque<Stop>>,
    /// Ids of calls whose answers their callers have committed.
    pub(crate) received: Mutex<Vec<String>>,
    /// The calls of other workers that wait here or are being handled, by id: the caller, and the number of its call.
    in_hand: Mutex<HashMap<String, (WorkerKey, u64)>>,
    /// Whether the worker is to leave memory and be released.
    pub(crate) gives_up: AtomicBool,
    /// Until when it takes nothing, since it failed too often; in milliseconds since 1970.
    pub(crate) stopped_until: AtomicU64,
    /// Whether the worker is to leave memory, and may stay this host's.
    pub(crate) hibernates: AtomicBool,
    /// Told when there is something new in any of them, or a timer is due.
    pub(crate) changed: Notify,
    shown: Mutex<Shown>,
}

/// What is shown of a worker.
#[derive(Clone)]
struct Shown {
    condition: WorkerCondition,
    turns: u64,
    next_due: Option<u64>,
    upgrade_error: Option<String>,
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
    /// Why the worker could not be moved to the version of the component that runs, so that a former one serves it;
    /// known while it has something to do or is in memory.
    pub upgrade_error: Option<String>,
    /// Whether it is well.
    pub health: WorkerHealth,
    /// Why its last check failed, if it did.
    pub health_error: Option<String>,
    /// The tags of its class.
    pub tags: Vec<String>,
    /// Why it was given up with its supervision tree: it is stopped, and takes nothing until it is started again.
    pub given_up: Option<String>,
}

impl WorkerHandle {
    /// Of a worker with an empty mailbox.
    pub(crate) fn new(key: WorkerKey, mailbox: MailboxLimits) -> Self {
        Self {
            key,
            queue: Mutex::new(TurnQueue::new(mailbox)),
            stops: Mutex::default(),
            received: Mutex::default(),
            in_hand: Mutex::default(),
            gives_up: AtomicBool::new(false),
            stopped_until: AtomicU64::new(0),
            hibernates: AtomicBool::new(false),
            changed: Notify::new(),
            shown: Mutex::new(Shown {
                condition: WorkerCondition::Asleep,
                turns: 0,
                next_due: None,
                upgrade_error: None,
            }),
        }
    }

    /// Puts a message into the mailbox; none if it is a call that was made again, and is there already.
    pub(crate) fn push(&self, message: Message) -> Option<Admission<Message>> {
        if let Sender::Worker { key, call } = &message.sender {
            match self.in_hand.lock().entry(message.id.clone()) {
                Entry::Occupied(_) => return None,
                Entry::Vacant(vacant) => vacant.insert((key.clone(), *call)),
            };
        }
        let bytes = message.content.bytes();
        let admission = self.queue.lock().push(message, bytes);
        match &admission {
            Admission::Accepted | Admission::SenderWaits => {}
            Admission::AcceptedInPlaceOf(dropped) => dropped.iter().for_each(|message| self.forget_call(&message.id)),
            Admission::Refused(_, message) => self.forget_call(&message.id),
        }
        Some(admission)
    }

    /// The message of this id is answered, or handled no more.
    pub(crate) fn forget_call(&self, id: &str) {
        self.in_hand.lock().remove(id);
    }

    /// The calls of other workers that wait here or are being handled, which are handled no more.
    pub(crate) fn drain_in_hand(&self) -> Vec<(String, (WorkerKey, u64))> {
        self.in_hand.lock().drain().collect()
    }

    /// Says what the worker does.
    pub(crate) fn show(&self, condition: WorkerCondition, record: &WorkerRecord) {
        let condition = match condition {
            WorkerCondition::Idle | WorkerCondition::Asleep if record.is_waiting() => WorkerCondition::Waiting,
            other => other,
        };
        let mut shown = self.shown.lock();
        (shown.condition, shown.turns, shown.next_due) = (condition, record.turns, record.next_due());
    }

    /// Says why the worker could not be moved to another version.
    pub(crate) fn show_upgrade_error(&self, error: Option<String>) {
        self.shown.lock().upgrade_error = error;
    }

    /// How much waits for it: [`usize::MAX`] if it takes nothing now.
    pub(crate) fn load(&self, now: u64) -> usize {
        if now < self.stopped_until.load(SeqCst) {
            return usize::MAX;
        }
        let is_busy = matches!(self.shown.lock().condition, WorkerCondition::Running | WorkerCondition::Waiting);
        let queue = self.queue.lock();
        queue.mailbox().len() + queue.mailbox().blocked() + usize::from(is_busy)
    }

    /// What is known here; [`Manager::complete`](crate::manager::Manager::complete) adds the rest.
    pub(crate) fn status(&self) -> WorkerStatus {
        let Shown { condition, turns, next_due, upgrade_error } = self.shown.lock().clone();
        let queue = self.queue.lock();
        WorkerStatus {
            condition,
            turns,
            messages: queue.mailbox().len() + queue.mailbox().blocked(),
            dropped: queue.mailbox().dropped(),
            next_due,
            upgrade_error,
            ..WorkerStatus::unknown(self.key.clone())
        }
    }
}

impl WorkerStatus {
    /// Of a worker of which nothing is known.
    pub(crate) fn unknown(key: WorkerKey) -> Self {
        Self {
            key,
            condition: WorkerCondition::Asleep,
            turns: 0,
            messages: 0,
            dropped: 0,
            next_due: None,
            upgrade_error: None,
            health: WorkerHealth::default(),
            health_error: None,
            tags: Vec::new(),
            given_up: None,
        }
    }
}
