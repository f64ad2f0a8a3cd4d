//! One worker: a task that handles its queue, one turn at a time.
//!
//! - here: what enters, and what becomes of it. `turn`: how a turn is tried. `upgrade`: how a worker is moved to
//!   another version, `rollback`: how it goes back.
//! - `health`: a turn that asks the worker whether it is well.
//! - `commit`: what follows from a turn. `batch`: turns that share a commit, and what leaves after it.
//! - `ownership`: reading the worker, and leaving it to others.

mod batch;
mod commit;
mod health;
mod ownership;
mod rollback;
mod turn;
mod upgrade;

use crate::component::TurnFailure;
use crate::handle::{WorkerCondition, WorkerHandle};
use crate::manager::Manager;
use crate::message::{Answer, Content, Message, Reply, Sender, Stop, UNDEFINED, answer_of, failed, new_id};
use crate::store::WorkerRecord;
use batch::Batch;
use commit::Handled;
use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::{Alarm, TurnKind};
use elias_workers::{DueTimer, Incoming, MemoryReservation, Supervisor};
use futures::FutureExt;
use ownership::error_of_store;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use turn::{Instance, NoTurn};

/// How long a call has no answer, in milliseconds, before it is made again if nobody here handles it: its callee may
/// have gone to another host, and has kept the answer then.
const ASK_AGAIN_MS: u64 = 10_000;

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
    /// When it may be asked for its health next.
    health_due: u64,
    /// Who waits for the handler that waits, where that is not a worker; with the id of its message.
    waiting_sender: Option<(String, Sender)>,
    /// Whether answers were dropped from the record since the last commit.
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
            if !is_bound && !self.manager.has_work(&self.handle, &self.record) {
                self.release_ownership().await;
                return self.manager.remove_handle(&self.handle, &self.record);
            }
            let until = self.goes_on_at();
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

    async fn take_message(&mut self, message: Message) {
        let Message { id, content, sender, cause, reservation } = message;
        // A call that was made again, for its caller was put back to what it was before.
        if let Some(result) = self.record.answers.get(&id).cloned() {
            self.answer_in_order(sender, id, answer_of(result));
            return;
        }
        if self.record.handled.contains(&id) {
            self.answer_in_order(sender, id, Ok(UNDEFINED.to_owned()));
            return;
        }
        // One that is not a worker's comes again only once no handler waits: the former one has failed then.
        if self.resumed.as_ref() == Some(&id) && sender.caller().is_some() {
            // Its handler waited when the worker was read, and answers the caller that the record names.
            return;
        }
        if let Some(until) = self.supervisor.stopped_until(self.manager.now()) {
            let message = format!("{} failed too often, and takes no message until {until}", self.handle.key);
            self.answer_in_order(sender, id, Err(failed(ErrorCode::Failed, message)));
            return;
        }
        loop {
            if self.epoch.is_none() {
                // What it was is lost; the message was not begun.
                self.postponed.push_front(Message { id, content, sender, cause, reservation });
                return;
            }
            if let Content::Turn(TurnKind::SocketMessage { socket, .. } | TurnKind::Close { socket, .. }) = &content
                && !self.record.sockets.contains(socket)
            {
                // The worker closed it, or is another one by now.
                self.answer_in_order(sender, id, Ok(UNDEFINED.to_owned()));
                return;
            }
            let only_wakes = matches!(content, Content::Wake);
            if !self.is_started() && !only_wakes {
                match self.start(&cause).await {
                    Ok(()) => {
                        if self.is_batch_full()
                            && let Err(error) = self.flush().await
                        {
                            let answer = Err(error_of_store(&self.handle.key, &error));
                            self.answer(sender, id, answer);
                            return;
                        }
                    }
                    Err(NoTurn::Changed) => continue,
                    Err(NoTurn::Failed(failure)) => {
                        let answer = Err(self.error_of(failure));
                        self.answer_in_order(sender, id, answer);
                        return;
                    }
                }
            }
            if self.record.is_waiting() {
                match self.refusal() {
                    Some(refusal) => {
                        let answer = Err(self.error_of(refusal));
                        self.answer_in_order(sender, id, answer);
                    }
                    None => self.postponed.push_back(Message { id, content, sender, cause, reservation }),
                }
                return;
            }
            if only_wakes && self.is_started() {
                match self.wake().await {
                    Ok(()) => {}
                    Err(NoTurn::Changed) => continue,
                    Err(NoTurn::Failed(failure)) => {
                        let answer = Err(self.error_of(failure));
                        self.answer_in_order(sender, id, answer);
                        return;
                    }
                }
            }
            let Some(kind) = content.turn() else {
                self.answer_in_order(sender, id, Ok(UNDEFINED.to_owned()));
                return;
            };
            match self.attempt(&id, &kind, &cause).await {
                Err(NoTurn::Changed) => {}
                Err(NoTurn::Failed(failure)) => {
                    let answer = Err(self.error_of(failure));
                    self.answer_and_keep(sender, id, answer);
                    return;
                }
                Ok((result, active)) => {
                    self.commit_message(sender, Handled { id, kind, cause }, result, active).await;
                    return;
                }
            }
        }
    }

    /// The first turn.
    async fn start(&mut self, cause: &Cause) -> Result<(), NoTurn> {
        let id = new_id();
        let (result, active) = self.attempt(&id, &TurnKind::Start, cause).await?;
        self.commit_start(id, cause.clone(), result, active).await
    }

    async fn take_reply(&mut self, reply: Reply) {
        let Reply { call, id, result, reservation } = reply;
        let Some(made) = self.record.calls.get(&call).filter(|made| made.id == id) else {
            // Of a handler that was undone; nobody will ask for it again.
            return;
        };
        let (callee, cause) = (made.to.clone(), made.cause.clone());
        let turn_id = self.record.waiting.as_ref().map_or_else(|| id.clone(), |waiting| waiting.id.clone());
        let generation = self.manager.generation();
        let kind = TurnKind::Reply { call, result };
        let failure = match self.attempt(&turn_id, &kind, &cause).await {
            Ok((result, active)) => return self.commit_reply(call, callee, id, result, active).await,
            // Where the worker was read again, the call is made again.
            Err(NoTurn::Changed) => return,
            Err(NoTurn::Failed(failure)) => failure,
        };
        match failure {
            TurnFailure::OtherVersion(_) | TurnFailure::NotRun(_) => {
                if let TurnKind::Reply { call, result } = kind {
                    self.handle.queue.lock().push_reply(Reply { call, id, result, reservation });
                }
                self.wait_for_component(generation, failure);
            }
            failure if self.record.is_waiting() => self.undo_handler(failure).await,
            failure => {
                tracing::error!(worker = %self.handle.key, "the answer of {callee} is dropped: {failure:?}");
                self.record.calls.remove(&call);
                self.change_record(true);
            }
        }
    }

    async fn take_timer(&mut self, due: DueTimer) {
        let kind = match &due {
            DueTimer::Timer(timer) => TurnKind::Timer { timer: *timer },
            DueTimer::Alarm { name, at } => TurnKind::Alarm { alarm: Alarm { name: name.clone(), at: *at } },
        };
        let waiting = self.record.waiting.as_ref();
        let id = waiting.map_or_else(new_id, |waiting| waiting.id.clone());
        let cause = waiting.map(|waiting| waiting.cause.clone()).unwrap_or_default();
        let generation = self.manager.generation();
        let failure = match self.attempt(&id, &kind, &cause).await {
            Ok((result, active)) => return self.commit_timer(&due, result, active).await,
            Err(NoTurn::Changed) => return,
            Err(NoTurn::Failed(failure)) => failure,
        };
        match failure {
            TurnFailure::OtherVersion(_) | TurnFailure::NotRun(_) => self.wait_for_component(generation, failure),
            failure if self.record.is_waiting() => self.undo_handler(failure).await,
            failure => {
                tracing::error!(worker = %self.handle.key, "{due:?} failed, and is not called again: {failure:?}");
                self.record.timers.finish(&due);
                self.change_record(true);
            }
        }
    }

    /// The last turn.
    async fn stop(&mut self, stop: Stop) {
        let Stop { reason, done } = stop;
        let mut is_read = self.flush().await.is_ok();
        if is_read && self.record.is_waiting() {
            self.undo_handler(TurnFailure::Ended("the worker was stopped".to_owned())).await;
            is_read = self.epoch.is_some();
        }
        if !is_read {
            self.handle.stops.lock().push_front(Stop { reason, done });
            return;
        }
        let existed = self.is_started();
        if existed {
            let kind = TurnKind::Stop { reason };
            let mut turn = self.attempt(&new_id(), &kind, &Cause::default()).await;
            while matches!(turn, Err(NoTurn::Changed)) && self.epoch.is_some() && self.is_started() {
                // It has gone back to what it was before a deployment that was rolled back.
                turn = self.attempt(&new_id(), &kind, &Cause::default()).await;
            }
            if let Err(NoTurn::Failed(failure)) = turn {
                tracing::warn!(worker = %self.handle.key, "onStop failed, and the worker ends without it: {failure:?}");
            }
        }
        self.instance = None;
        let outcome = match self.remove().await {
            Ok(()) => {
                let postponed = std::mem::take(&mut self.postponed);
                let waiting = self.handle.queue.lock().drain();
                // What it did before does not count for the next of its name.
                self.supervisor = Supervisor::new(self.manager.live().supervision);
                self.handle.stopped_until.store(0, SeqCst);
                for Message { id, sender, .. } in postponed.into_iter().chain(waiting) {
                    let message = format!("{} was stopped before it had the message", self.handle.key);
                    self.answer(sender, id, Err(failed(ErrorCode::Failed, message)));
                }
                Ok(existed)
            }
            Err(error) => {
                tracing::error!(worker = %self.handle.key, "the worker cannot be removed: {error}");
                Err(failed(ErrorCode::Unavailable, "the worker cannot be removed; see the log of the host"))
            }
        };
        self.handle.show(WorkerCondition::Asleep, &self.record);
        // Whoever asked may have left.
        drop(done.send(outcome));
    }

    /// Whether the worker has had its first turn.
    fn is_started(&self) -> bool {
        self.record.turns > 0
    }

    /// Keeps timers and replies from entering until the component is exchanged, if this generation of it refused the
    /// heap. If it could not run a turn for long, messages that wait behind it are told so.
    fn wait_for_component(&mut self, generation: u64, failure: TurnFailure) {
        if let TurnFailure::OtherVersion(why) = &failure {
            tracing::error!(worker = %self.handle.key, "timers and replies wait for another version: {why}");
            self.refused = Some((generation, why.clone()));
            return;
        }
        let error = self.error_of(failure);
        let messages = self.handle.queue.lock().drain_messages();
        let postponed = std::mem::take(&mut self.postponed);
        for Message { id, sender, .. } in postponed.into_iter().chain(messages) {
            self.answer(sender, id, Err(error.clone()));
        }
    }

    /// Why nothing but messages enters now, which fail; none if the component was exchanged since it refused the heap.
    fn refusal(&self) -> Option<TurnFailure> {
        let (generation, why) = self.refused.as_ref()?;
        (*generation == self.manager.generation()).then(|| TurnFailure::OtherVersion(why.clone()))
    }

    /// Drops answers that their callers have committed. That is kept with the next commit, or when the task ends.
    fn forget_received(&mut self) {
        for id in self.handle.received.lock().drain(..) {
            self.is_stale |= self.record.answers.forget(&id);
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
            TurnFailure::Ended(why) => failed(ErrorCode::Failed, format!("{key}: {why}")),
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
