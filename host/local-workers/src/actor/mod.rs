//! One worker: a task that takes what waits for it, one turn at a time.

mod commit;
mod turn;

use crate::component::TurnFailure;
use crate::manager::{Manager, WorkerCondition, WorkerHandle};
use crate::message::{Message, Reply, Sender, Stop, UNDEFINED, failed};
use crate::store::{StoredWorker, WorkerRecord};
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::{Alarm, TurnKind};
use elias_workers::{DueTimer, Incoming, Supervisor};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use turn::Instance;

/// A worker.
pub(crate) struct Actor {
    pub(crate) manager: Arc<Manager>,
    pub(crate) handle: Arc<WorkerHandle>,
    /// All but its heap, as of the last commit.
    pub(crate) record: WorkerRecord,
    /// Its heap as of the last commit; none before it was started.
    pub(crate) heap: Option<Vec<u8>>,
    /// Where a handler waits: the heap of before it.
    pub(crate) before: Option<Vec<u8>>,
    /// Its instance, while it is in memory.
    pub(crate) instance: Option<Instance>,
    pub(crate) supervisor: Supervisor,
    /// Who waits for the handler that waits, where that is not a worker.
    pub(crate) waiting_sender: Option<Sender>,
    /// Whether answers were dropped from the record since the last commit.
    pub(crate) is_stale: bool,
    /// The time of the turn that runs.
    pub(crate) turn_now: u64,
    /// A message that waits for the start of the worker.
    pub(crate) postponed: Option<Message>,
    /// The id of the handler that waited when the worker was read from the store: its caller sends the message again.
    resumed: Option<String>,
    /// The generation of the component that refused the heap in a turn that must not be lost, and why it did.
    refused: Option<(u64, String)>,
}

impl Actor {
    pub(crate) fn new(manager: Arc<Manager>, handle: Arc<WorkerHandle>) -> Self {
        let record = WorkerRecord::new(handle.key.clone());
        let supervisor = Supervisor::new(manager.settings.supervision);
        Self {
            manager,
            handle,
            record,
            heap: None,
            before: None,
            instance: None,
            supervisor,
            waiting_sender: None,
            is_stale: false,
            turn_now: 0,
            postponed: None,
            resumed: None,
            refused: None,
        }
    }

    /// Runs the worker until nothing is to be done, and nothing of it is in memory.
    pub(crate) async fn run(mut self) {
        if let Err(why) = self.load().await {
            self.refuse_all(&why);
            return;
        }
        loop {
            self.forget_received();
            let stop = self.handle.stops.lock().pop_front();
            if let Some(stop) = stop {
                self.stop(stop).await;
                continue;
            }
            if !self.record.is_waiting()
                && let Some(message) = self.postponed.take()
            {
                self.take_message(message).await;
                continue;
            }
            let now = self.manager.now();
            let next = if self.refusal().is_some() {
                // Timers, replies and a handler that waits are kept for a version that the heap belongs to.
                self.handle.queue.lock().pop_message().map(Incoming::Message)
            } else {
                self.handle.queue.lock().next(&self.record.timers, now, self.record.is_waiting())
            };
            match next {
                Some(Incoming::Message(message)) => self.take_message(message).await,
                Some(Incoming::Reply(reply)) => self.take_reply(reply).await,
                Some(Incoming::Due(due)) => self.take_timer(due).await,
                None => {
                    if self.rest().await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits until there is something to do, and leaves memory if that takes long or another worker needs the place.
    /// Whether the task is to end.
    async fn rest(&mut self) -> bool {
        if self.instance.is_none() || self.manager.starved.load(SeqCst) > 0 {
            self.instance = None;
            self.handle.show(WorkerCondition::Asleep, &self.record);
            if self.is_stale {
                self.keep_change(|_| ()).await;
            }
            // A task that began anew would make its calls again.
            let is_bound = self.postponed.is_some() || self.waiting_sender.is_some() || !self.record.calls.is_empty();
            if !is_bound && self.manager.remove_handle(&self.handle, &self.record) {
                return true;
            }
            self.handle.changed.notified().await;
            return false;
        }
        let idle = u64::try_from(self.manager.settings.idle.as_millis()).unwrap_or(u64::MAX);
        let leaves = self.manager.now().saturating_add(idle);
        self.handle.show(WorkerCondition::Idle, &self.record);
        let is_needed = tokio::select! {
            () = self.handle.changed.notified() => true,
            () = self.manager.pressure.notified() => false,
            () = self.manager.clock.sleep_until(leaves) => false,
        };
        if !is_needed {
            self.instance = None;
        }
        false
    }

    /// Reads what is kept of the worker, and makes its calls again that have no answer.
    async fn load(&mut self) -> Result<(), String> {
        let (store, key) = (Arc::clone(&self.manager.store), self.handle.key.clone());
        let loaded = tokio::task::spawn_blocking(move || store.load(&key)).await;
        let loaded = loaded.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let Some(StoredWorker { record, heap, before }) = loaded else { return Ok(()) };
        (self.record, self.heap, self.before) = (record, Some(heap), before);
        self.resumed = self.record.waiting.as_ref().map(|waiting| waiting.id.clone());
        self.manager.set_due(&self.handle.key, self.record.next_due());
        self.handle.show(WorkerCondition::Asleep, &self.record);
        let calls: Vec<u64> = self.record.calls.keys().copied().collect();
        for call in calls {
            self.send_call(call);
        }
        Ok(())
    }

    /// Answers everything that waits with an error: the worker cannot be used.
    fn refuse_all(&mut self, why: &str) {
        tracing::error!(worker = %self.handle.key, "the worker cannot be read: {why}");
        loop {
            let messages = self.handle.queue.lock().drain();
            let stops: Vec<Stop> = self.handle.stops.lock().drain(..).collect();
            if messages.is_empty() && stops.is_empty() && self.manager.remove_handle(&self.handle, &self.record) {
                return;
            }
            let message = format!("the worker {} cannot be read; see the log of the host", self.handle.key);
            for Message { id, sender, .. } in messages {
                self.manager.answer(sender, id, Err(failed(ErrorCode::Unavailable, message.clone())));
            }
            for stop in stops {
                // Whoever asked may have left.
                drop(stop.done.send(Err(failed(ErrorCode::Unavailable, message.clone()))));
            }
        }
    }

    async fn take_message(&mut self, message: Message) {
        let Message { id, content, sender } = message;
        // A call that was made again, for its caller was put back to what it was before.
        if let Some(answer) = self.record.answers.get(&id) {
            self.manager.answer_again(sender, id, answer.clone());
            return;
        }
        if self.resumed.as_ref() == Some(&id) {
            // Its handler waited when the process ended, and has answered the caller that the record names.
            return;
        }
        if let Some(until) = self.supervisor.stopped_until(self.manager.now()) {
            let message = format!("{} failed too often, and takes no message until {until}", self.handle.key);
            self.manager.answer(sender, id, Err(failed(ErrorCode::Failed, message)));
            return;
        }
        loop {
            if self.heap.is_none()
                && let Err(failure) = self.start().await
            {
                self.manager.answer(sender, id, Err(self.error_of(failure)));
                return;
            }
            if self.record.is_waiting() {
                match self.refusal() {
                    Some(refusal) => self.manager.answer(sender, id, Err(self.error_of(refusal))),
                    None => self.postponed = Some(Message { id, content, sender }),
                }
                return;
            }
            let Some(kind) = content.turn() else {
                self.manager.answer(sender, id, Ok(UNDEFINED.to_owned()));
                return;
            };
            match self.attempt(&id, &kind).await {
                Err(TurnFailure::BeganAnew) => {}
                Err(failure) => {
                    let answer = Err(self.error_of(failure));
                    self.answer_and_keep(sender, id, answer).await;
                    return;
                }
                Ok((result, _active)) => {
                    self.commit_message(sender, id, result).await;
                    return;
                }
            }
        }
    }

    /// The first turn.
    async fn start(&mut self) -> Result<(), TurnFailure> {
        let id = crate::message::new_id();
        let (result, _active) = self.attempt(&id, &TurnKind::Start).await?;
        self.commit_start(id, result).await
    }

    async fn take_reply(&mut self, reply: Reply) {
        let Reply { call, id, result } = reply;
        let Some(made) = self.record.calls.get(&call).filter(|made| made.id == id) else {
            // Of a handler that was undone; nobody will ask for it again.
            return;
        };
        let callee = made.to.clone();
        let turn_id = self.record.waiting.as_ref().map_or_else(|| id.clone(), |waiting| waiting.id.clone());
        let generation = self.manager.generation();
        let kind = TurnKind::Reply { call, result };
        match self.attempt(&turn_id, &kind).await {
            Err(TurnFailure::BeganAnew) => {}
            Err(TurnFailure::OtherVersion(why)) => {
                self.refuse(generation, why);
                if let TurnKind::Reply { call, result } = kind {
                    self.handle.queue.lock().push_reply(Reply { call, id, result });
                }
            }
            Err(failure) if self.record.is_waiting() => self.undo_handler(failure).await,
            Err(failure) => {
                tracing::error!(worker = %self.handle.key, "the answer of {callee} is dropped: {failure:?}");
                self.keep_change(|record| drop(record.calls.remove(&call))).await;
            }
            Ok((result, _active)) => self.commit_reply(call, callee, id, result).await,
        }
    }

    async fn take_timer(&mut self, due: DueTimer) {
        let kind = match &due {
            DueTimer::Timer(timer) => TurnKind::Timer { timer: *timer },
            DueTimer::Alarm { name, at } => TurnKind::Alarm { alarm: Alarm { name: name.clone(), at: *at } },
        };
        let id = self.record.waiting.as_ref().map_or_else(crate::message::new_id, |waiting| waiting.id.clone());
        let generation = self.manager.generation();
        match self.attempt(&id, &kind).await {
            Err(TurnFailure::BeganAnew) => {}
            Err(TurnFailure::OtherVersion(why)) => self.refuse(generation, why),
            Err(failure) if self.record.is_waiting() => self.undo_handler(failure).await,
            Err(failure) => {
                tracing::error!(worker = %self.handle.key, "{due:?} failed, and is not called again: {failure:?}");
                self.keep_change(|record| record.timers.finish(&due)).await;
            }
            Ok((result, _active)) => self.commit_timer(&due, result).await,
        }
    }

    /// The last turn.
    async fn stop(&mut self, stop: Stop) {
        let Stop { reason, done } = stop;
        if self.record.is_waiting() {
            self.undo_handler(TurnFailure::Ended("the worker was stopped".to_owned())).await;
        }
        let existed = self.heap.is_some();
        if existed && let Err(failure) = self.attempt(&crate::message::new_id(), &TurnKind::Stop { reason }).await {
            tracing::warn!(worker = %self.handle.key, "onStop failed, and the worker ends without it: {failure:?}");
        }
        let (store, key) = (Arc::clone(&self.manager.store), self.handle.key.clone());
        let removed = tokio::task::spawn_blocking(move || store.remove(&key)).await;
        let removed =
            removed.map_err(|error| error.to_string()).and_then(|gone| gone.map_err(|error| error.to_string()));
        self.instance = None;
        let outcome = match removed {
            Ok(()) => {
                self.begin_anew();
                let postponed = self.postponed.take();
                let waiting = self.handle.queue.lock().drain();
                for Message { id, sender, .. } in postponed.into_iter().chain(waiting) {
                    let message = format!("{} was stopped before it had the message", self.handle.key);
                    self.manager.answer(sender, id, Err(failed(ErrorCode::Failed, message)));
                }
                Ok(existed)
            }
            Err(why) => {
                tracing::error!(worker = %self.handle.key, "the worker cannot be removed: {why}");
                Err(failed(ErrorCode::Unavailable, "the worker cannot be removed; see the log of the host"))
            }
        };
        self.handle.show(WorkerCondition::Asleep, &self.record);
        // Whoever asked may have left.
        drop(done.send(outcome));
    }

    /// Forgets all that the worker was.
    pub(crate) fn begin_anew(&mut self) {
        let ended = std::mem::replace(&mut self.record, WorkerRecord::new(self.handle.key.clone()));
        (self.heap, self.before, self.refused) = (None, None, None);
        self.manager.finish_waits(&self.handle.key);
        self.manager.set_due(&self.handle.key, None);
        if let Some(handler) = ended.waiting {
            let message = format!("{} began anew, and its handler ended with it", self.handle.key);
            self.answer_handler(handler, Err(failed(ErrorCode::Failed, message)));
        }
    }

    /// Keeps timers and replies from entering until the component is exchanged: this generation of it refused the heap.
    fn refuse(&mut self, generation: u64, why: String) {
        tracing::error!(worker = %self.handle.key, "timers and replies wait for another version: {why}");
        self.refused = Some((generation, why));
    }

    /// Why nothing but messages enters now, which fail; none if the component was exchanged since it refused the heap.
    fn refusal(&self) -> Option<TurnFailure> {
        let (generation, why) = self.refused.as_ref()?;
        (*generation == self.manager.generation()).then(|| TurnFailure::OtherVersion(why.clone()))
    }

    /// Drops answers that their callers have committed. That is kept with the next commit, or when the task ends.
    fn forget_received(&mut self) {
        for id in self.handle.received.lock().drain(..) {
            self.is_stale |= self.record.answers.remove(&id).is_some();
        }
    }

    /// A failure, as a caller is told it.
    pub(crate) fn error_of(&self, failure: TurnFailure) -> Error {
        let key = &self.handle.key;
        match failure {
            TurnFailure::Thrown { name, message } => Error { code: ErrorCode::Exception, name, message },
            TurnFailure::Ended(why) => failed(ErrorCode::Failed, format!("{key}: {why}")),
            TurnFailure::NotRun(why) | TurnFailure::OtherVersion(why) => {
                failed(ErrorCode::Unavailable, format!("{key}: {why}"))
            }
            TurnFailure::BeganAnew => failed(ErrorCode::Failed, format!("{key} began anew")),
            TurnFailure::Unusable(why) => {
                tracing::error!(worker = %key, "{why}");
                failed(ErrorCode::Unavailable, format!("{key} cannot be used; see the log of the host"))
            }
        }
    }
}
