//! One worker: a task that handles its queue, one turn at a time.
//!
//! - here: what is done next. `incoming`: what enters, and what becomes of it. `turn`: how a turn is tried. `journal`:
//!   its outward calls, over all attempts.
//! - `upgrade`: how a worker is moved to another version, `rollback`: how it goes back.
//! - `health`: a turn that asks the worker whether it is well.
//! - `commit`: what follows from a turn. `batch`: turns that share a commit, and what leaves after it.
//! - `ownership`: reading the worker, and leaving it to others.

mod batch;
mod commit;
mod health;
mod incoming;
mod journal;
mod ownership;
mod rollback;
mod turn;
mod upgrade;

use crate::component::TurnFailure;
use crate::handle::{WorkerCondition, WorkerHandle};
use crate::manager::Manager;
use crate::message::{Answer, Message, Reply, Sender, failed};
use crate::store::WorkerRecord;
use batch::Batch;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_workers::{Incoming, MemoryReservation, Supervisor};
use futures::FutureExt;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use turn::Instance;

/// How long a call has no answer, in milliseconds, before it is made again if nobody here handles it: its callee may
/// have gone to another host, and has stored the reply then.
const ASK_AGAIN_MS: u64 = 10_000;

/// How long a worker that left memory for another stays its owner's, in milliseconds. To release and to acquire it are
/// transactions of the store each, and where there are too few places in memory it is needed again soon.
const STAYS_OWNED_MS: u64 = 5_000;

/// Runs a worker until nothing is to be done, and nothing of it is in memory.
pub(crate) async fn run_worker(manager: Arc<Manager>, handle: Arc<WorkerHandle>) {
    let actor = Actor::new(Arc::clone(&manager), Arc::clone(&handle));
    if AssertUnwindSafe(actor.run()).catch_unwind().await.is_err() {
        manager.remove_panicked(&handle);
    }
}

/// A worker.
struct Actor {
    manager: Arc<Manager>,
    handle: Arc<WorkerHandle>,
    /// By which its owner commits; none before it is read, and after what it did was lost.
    epoch: Option<u64>,
    /// All but its heap, with what the batch has.
    record: WorkerRecord,
    /// What the record takes of the memory of all workers, while this owns the worker.
    memory: Option<MemoryReservation>,
    /// What was not committed yet.
    batch: Batch,
    /// How many turns are committed one by one.
    single_turns: u32,
    /// Its instance, while it is in memory.
    instance: Option<Instance>,
    supervisor: Supervisor,
    /// The generation of the component whose failures it counts.
    followed: Option<u64>,
    /// When it is to be asked what became of the version in which a handler waits.
    follows_at: Option<u64>,
    /// Since when it has had no turn but those that ask for its health.
    idle_since: Option<u64>,
    /// Until when it stays its owner's though it has nothing to do.
    owned_until: u64,
    /// When it may be asked for its health next.
    health_due: u64,
    /// Who waits for the handler that waits, where that is not a worker; with the id of its message.
    waiting_sender: Option<(String, Sender)>,
    /// Whether replies were dropped from the record since the last commit.
    is_stale: bool,
    /// When the calls that have no answer were made, or made again.
    asked_at: u64,
    /// The time of the turn that runs.
    turn_now: u64,
    /// Messages that left the mailbox and could not begin: they wait for the start of the worker, or until it is read.
    postponed: VecDeque<Message>,
    /// The id of the handler that waited when the worker was read from the store: its caller sends the message again.
    resumed: Option<String>,
    /// Whether the worker was given up to another host: it is acquired again only for what waits here.
    is_given_up: bool,
    /// The id of the message whose turn was to be tried again when the worker was given up, and the number of its next
    /// attempt.
    interrupted: Option<(String, u32)>,
    /// The generation of the component that refused the heap in a turn that must not be lost, and why it did.
    refused: Option<(u64, String)>,
    /// The generation of the component to which the worker could not be moved.
    not_upgraded: Option<u64>,
}

impl Actor {
    fn new(manager: Arc<Manager>, handle: Arc<WorkerHandle>) -> Self {
        let record = WorkerRecord::new(handle.key.clone());
        let supervisor = Supervisor::new(manager.live().supervision);
        Self {
            manager,
            handle,
            epoch: None,
            record,
            memory: None,
            batch: Batch::default(),
            single_turns: 0,
            instance: None,
            supervisor,
            followed: None,
            follows_at: None,
            idle_since: None,
            owned_until: 0,
            health_due: 0,
            waiting_sender: None,
            is_stale: false,
            asked_at: 0,
            turn_now: 0,
            postponed: VecDeque::new(),
            resumed: None,
            is_given_up: false,
            interrupted: None,
            refused: None,
            not_upgraded: None,
        }
    }

    async fn run(mut self) {
        loop {
            if self.epoch.is_none() {
                if self.begin().await {
                    return;
                }
                continue;
            }
            self.forget_received();
            if self.follow_generation().await {
                continue;
            }
            if self.is_batch_full() && self.flush().await.is_err() {
                continue;
            }
            if self.handle.gives_up.swap(false, SeqCst) {
                self.give_up().await;
                continue;
            }
            if self.handle.hibernates.swap(false, SeqCst) {
                if self.flush().await.is_err() {
                    continue;
                }
                self.instance = None;
                self.owned_until = self.manager.now().saturating_add(STAYS_OWNED_MS);
            }
            self.ask_again();
            let stop = self.handle.stops.lock().pop_front();
            if let Some(stop) = stop {
                self.stop(stop).await;
                continue;
            }
            if self.check_health().await {
                continue;
            }
            if !self.record.is_waiting()
                && let Some(message) = self.postponed.pop_front()
            {
                self.take_message(message).await;
                continue;
            }
            match self.next() {
                Some(Incoming::Message(message)) => self.take_message(message).await,
                Some(Incoming::Reply(reply)) => self.take_reply(reply).await,
                Some(Incoming::Due(due)) => self.take_timer(due).await,
                None if !self.batch.is_empty() => {
                    // Why it failed is in the log; then the worker is read again.
                    drop(self.flush().await);
                }
                None => {
                    if self.rest().await {
                        return;
                    }
                }
            }
        }
    }

    /// What enters next.
    fn next(&self) -> Option<Incoming<Message, Reply>> {
        let now = self.manager.now();
        let mut queue = self.handle.queue.lock();
        // Timers, replies and a handler that waits are kept for a version that the heap belongs to, or until the worker
        // that failed too often runs again; messages are told so.
        if self.refusal().is_some() || self.supervisor.stopped_until(now).is_some() {
            return queue.pop_message().map(Incoming::Message);
        }
        queue.next(&self.record.timers, now, self.record.is_waiting())
    }

    /// Waits until there is something to do, and leaves memory if that takes long or another worker needs the place.
    /// Whether the task is to end.
    async fn rest(&mut self) -> bool {
        if self.instance.is_none() || self.manager.starved.load(SeqCst) > 0 {
            (self.instance, self.idle_since) = (None, None);
            self.handle.show(WorkerCondition::Asleep, &self.record);
            if self.is_stale {
                self.change_record(false);
                return false;
            }
            // A task that began anew would make its calls again. With open sockets it stays the owner: another host
            // that needs the worker has it given up.
            let is_bound = !self.postponed.is_empty()
                || self.waiting_sender.is_some()
                || !self.record.calls.is_empty()
                || self.manager.sockets.count(&self.handle.key) > 0;
            let stays_owned = self.owned_until > self.manager.now();
            if !is_bound && !stays_owned && !self.manager.has_work(&self.handle, &self.record) {
                self.release_ownership().await;
                return self.manager.remove_handle(&self.handle, &self.record);
            }
            let goes_on = self.goes_on_at();
            let until = if stays_owned { goes_on.min(self.owned_until) } else { goes_on };
            tokio::select! {
                () = self.handle.changed.notified() => {}
                () = self.manager.clock.sleep_until(until) => {}
            }
            return false;
        }
        let until = self.goes_on_at();
        let idle = u64::try_from(self.manager.live().idle.as_millis()).unwrap_or(u64::MAX);
        // Being asked for its health does not keep it in memory.
        let leaves = self.idle_since.get_or_insert(self.manager.now()).saturating_add(idle);
        self.handle.show(WorkerCondition::Idle, &self.record);
        let is_needed = tokio::select! {
            () = self.handle.changed.notified() => true,
            () = self.manager.pressure.notified() => false,
            () = self.manager.clock.sleep_until(until) => true,
            () = self.manager.clock.sleep_until(leaves) => false,
        };
        if !is_needed {
            (self.instance, self.idle_since) = (None, None);
        }
        false
    }

    /// When there is something to do of which nobody tells.
    fn goes_on_at(&self) -> u64 {
        let runs_again = self.supervisor.stopped_until(self.manager.now()).unwrap_or(u64::MAX);
        let asks_again = self.asked_at.saturating_add(ASK_AGAIN_MS);
        let goes_on = if self.record.calls.is_empty() { runs_again } else { runs_again.min(asks_again) };
        [self.health_due(), self.follows_at()].into_iter().flatten().fold(goes_on, u64::min)
    }

    /// Makes the calls again that have had no answer for a while. A callee that has them here takes them once.
    fn ask_again(&mut self) {
        let now = self.manager.now();
        let takes_replies = self.refusal().is_none() && self.supervisor.stopped_until(now).is_none();
        if self.record.calls.is_empty() || !takes_replies {
            self.asked_at = now;
        }
        // What is not committed was not called.
        if now.saturating_sub(self.asked_at) < ASK_AGAIN_MS || !self.batch.is_empty() {
            return;
        }
        self.asked_at = now;
        let calls: Vec<u64> = self.record.calls.keys().copied().collect();
        for call in calls {
            self.send_call(call, true);
        }
    }

    /// Has the record's bytes counted as they are now. More of them were refused by the turn that would have made them.
    fn update_memory(&mut self) {
        if let Some(memory) = &mut self.memory {
            // Where an error that is kept for a caller does not fit, the record is counted as it was.
            drop(memory.resize(self.record.memory_bytes()));
        }
    }

    /// Whether the worker has had its first turn.
    fn is_started(&self) -> bool {
        self.record.turns > 0
    }

    /// Why nothing but messages enters now, which fail; none if the component was exchanged since it refused the heap.
    fn refusal(&self) -> Option<TurnFailure> {
        let (generation, why) = self.refused.as_ref()?;
        (*generation == self.manager.generation()).then(|| TurnFailure::OtherVersion(why.clone()))
    }

    /// Drops replies that their callers have committed. That is written with the next commit, or when the task ends.
    fn forget_received(&mut self) {
        for id in self.handle.received.lock().drain(..) {
            self.is_stale |= self.record.replies.forget(&id);
        }
    }

    /// Gives an answer to whoever waits for it.
    fn answer(&self, sender: Sender, id: String, answer: Answer) {
        self.handle.forget_call(&id);
        self.manager.answer(sender, id, answer);
    }

    /// A failure, as a caller is told it.
    fn error_of(&self, failure: TurnFailure) -> Error {
        let key = &self.handle.key;
        match failure {
            TurnFailure::Thrown { name, message } => Error { code: ErrorCode::Exception, name, message },
            TurnFailure::Ended(why) | TurnFailure::Nondeterministic(why) => {
                failed(ErrorCode::Failed, format!("{key}: {why}"))
            }
            TurnFailure::NotRun(why) | TurnFailure::OtherVersion(why) => {
                failed(ErrorCode::Unavailable, format!("{key}: {why}"))
            }
            TurnFailure::Unusable(why) => {
                tracing::error!(worker = %key, "{why}");
                failed(ErrorCode::Unavailable, format!("{key} cannot be used; see the log of the host"))
            }
        }
    }
}
