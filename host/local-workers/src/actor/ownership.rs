//! Reads a worker as its owner, and releases it.

use super::Actor;
use super::batch::Batch;
use crate::handle::WorkerCondition;
use crate::manager::Manager;
use crate::message::{Content, Message, Sender, Stop, failed, new_id};
use crate::settings::WorkerLifecycle;
use crate::sockets::{SocketClose, close_code};
use crate::store::{AcquiredWorker, StoreError, WorkerRecord};
use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::TurnKind;
use elias_workers::WorkerKey;
use std::sync::Arc;

/// How long after the store could not be read a worker goes on with what it has to do of itself, in milliseconds.
const READ_DELAY_MS: u64 = 10_000;

/// Why a socket is closed whose worker is run by another host, or cannot be read.
const MOVED: &str = "the worker cannot be reached here any more";

impl Actor {
    /// Begins to run the worker, as its owner. Whether the task is to end instead.
    pub(super) async fn begin(&mut self) -> bool {
        if self.is_given_up && self.postponed.is_empty() && self.manager.remove_handle(&self.handle, &self.record) {
            return true;
        }
        let permit = self.handle.take_unasked();
        let is_unasked = permit.is_some() && !self.manager.has_work(&self.handle, &self.record);
        match self.acquire(is_unasked).await {
            Ok(()) => false,
            // That host goes on with it. A message that came meanwhile is another matter.
            Err(StoreError::OwnedElsewhere { .. }) if is_unasked => {
                self.manager.remove_handle(&self.handle, &self.record)
            }
            Err(error) => self.refuse_all(&error).await,
        }
    }

    /// Makes this the worker's owner, reads what is kept of it, and makes its calls again that have no answer. What
    /// this knew of it before is forgotten.
    ///
    /// # Errors
    /// If another host has it, or it cannot be read.
    async fn acquire(&mut self, is_unasked: bool) -> Result<(), StoreError> {
        self.instance = None;
        self.batch = Batch::default();
        (self.is_stale, self.is_given_up) = (false, false);
        // What it held of before is read anew.
        self.memory = None;
        let AcquiredWorker { epoch, record } = self.manager.acquire(&self.handle.key, is_unasked).await?;
        let record = record.unwrap_or_else(|| WorkerRecord::new(self.handle.key.clone()));
        self.memory = match self.manager.settings.memory.reserve(record.memory_bytes()) {
            Ok(reservation) => Some(reservation),
            Err(full) => {
                self.manager.release(&self.handle.key, epoch).await;
                return Err(StoreError::MemoryFull(full.to_string()));
            }
        };
        self.epoch = Some(epoch);
        self.record = record;
        self.manager.finish_waits(&self.handle.key);
        let waiting = self.record.waiting.as_ref().map(|waiting| waiting.id.clone());
        if self.waiting_sender.as_ref().is_some_and(|(id, _)| waiting.as_ref() != Some(id)) {
            self.leave_waiting_sender();
        }
        self.resumed = waiting.or(self.resumed.take());
        self.health_due = self.manager.health.due(&self.handle.key);
        self.manager.set_due(&self.handle.key, self.record.next_due());
        self.handle.show(WorkerCondition::Asleep, &self.record);
        self.asked_at = self.manager.now();
        let calls: Vec<u64> = self.record.calls.keys().copied().collect();
        for call in calls {
            self.send_call(call, true);
        }
        self.close_lost_sockets();
        Ok(())
    }

    /// Tells the worker of its sockets that have no connection here, before anything else enters.
    pub(super) fn close_lost_sockets(&mut self) {
        let key = &self.handle.key;
        for socket in self.record.sockets.iter().rev() {
            if !self.manager.sockets.is_open(key, socket) {
                let (code, reason) = (close_code::ABNORMAL, String::new());
                let content = Content::Turn(TurnKind::Close { socket: socket.clone(), code, reason });
                let message = Message::new(new_id(), content, Sender::Nobody, Cause::default());
                self.postponed.push_front(message);
            }
        }
    }

    /// Answers everything that waits with an error: the worker cannot be used here. One that is damaged can be stopped
    /// all the same, and goes on as a new one. Whether the task is to end.
    async fn refuse_all(&mut self, error: &StoreError) -> bool {
        let key = self.handle.key.clone();
        match error {
            StoreError::OwnedElsewhere { owner } => {
                tracing::debug!(worker = %key, owner, "another host has the worker");
            }
            StoreError::QuotaExceeded(why) | StoreError::MemoryFull(why) => {
                tracing::debug!(worker = %key, why, "the worker is refused");
            }
            error => tracing::error!(worker = %key, "the worker cannot be read: {error}"),
        }
        let refusal = match error {
            // Nothing has begun.
            StoreError::Io(_) | StoreError::Unavailable(_) => {
                failed(ErrorCode::Unavailable, format!("{key} cannot be read now; see the log of the host"))
            }
            error => error_of_store(&key, error),
        };
        self.leave_waiting_sender();
        self.manager.forget_owned(&key);
        self.manager.sockets.close_worker(&key, &SocketClose::new(close_code::SERVICE_RESTART, MOVED));
        self.forget_record();
        let comes_back = matches!(error, StoreError::Io(_) | StoreError::Unavailable(_) | StoreError::MemoryFull(_));
        let again = comes_back.then(|| self.manager.now().saturating_add(READ_DELAY_MS));
        self.manager.set_due(&key, again);
        loop {
            let messages = self.handle.queue.lock().drain();
            let stops: Vec<Stop> = self.handle.stops.lock().drain(..).collect();
            let is_done = messages.is_empty() && stops.is_empty() && self.postponed.is_empty();
            if is_done && self.manager.remove_handle(&self.handle, &self.record) {
                return true;
            }
            let postponed = std::mem::take(&mut self.postponed);
            for Message { id, sender, .. } in postponed.into_iter().chain(messages) {
                self.answer(sender, id, Err(refusal.clone()));
            }
            let mut is_discarded = false;
            for stop in stops {
                let stopped = match error {
                    StoreError::Damaged(_) if is_discarded => Ok(false),
                    StoreError::Damaged(_) => discard(&self.manager, &key).await,
                    _ => Err(refusal.clone()),
                };
                is_discarded |= stopped.is_ok();
                // Whoever asked may have left.
                drop(stop.done.send(stopped));
            }
            if is_discarded {
                // Whoever was told so may have sent something already.
                return false;
            }
        }
    }

    /// Leaves memory, and has others become the owner. The task ends if nothing waits here.
    pub(super) async fn give_up(&mut self) {
        // Why it failed is in the log: then there is nothing to release.
        drop(self.flush().await);
        self.instance = None;
        // Its new owner tells it that they are closed.
        let moved = SocketClose::new(close_code::SERVICE_RESTART, MOVED);
        self.manager.sockets.close(&self.handle.key, &self.record.sockets, &moved);
        self.release_ownership().await;
        self.leave_waiting_sender();
        if let Some(handler) = &self.record.waiting {
            // Its new owner answers the caller.
            self.handle.forget_call(&handler.id);
        }
        self.handle.queue.lock().clear_replies();
        self.manager.finish_waits(&self.handle.key);
        self.manager.set_due(&self.handle.key, None);
        self.forget_record();
        self.handle.show(WorkerCondition::Asleep, &self.record);
        self.is_given_up = true;
    }

    /// Forgets what this knows of the worker, which is not its own.
    fn forget_record(&mut self) {
        self.record = WorkerRecord::new(self.handle.key.clone());
        self.memory = None;
    }

    /// Has others become the owner. What is to be done afterwards acquires the worker again.
    pub(super) async fn release_ownership(&mut self) {
        if let Some(epoch) = self.epoch.take() {
            self.manager.release(&self.handle.key, epoch).await;
        }
    }

    /// Forgets the worker, and all that it was.
    ///
    /// # Errors
    /// If it cannot be removed; then it is to be read again.
    pub(super) async fn remove(&mut self) -> Result<(), StoreError> {
        let store = Arc::clone(&self.manager.store);
        let removed = match self.epoch {
            Some(epoch) => store.remove(&self.handle.key, epoch).await,
            None => Err(StoreError::NotOwner),
        };
        if let Err(error) = removed {
            self.epoch = None;
            return Err(error);
        }
        let ended = std::mem::replace(&mut self.record, WorkerRecord::new(self.handle.key.clone()));
        let stopped = SocketClose::new(close_code::GOING_AWAY, "the worker was stopped");
        self.manager.sockets.close(&self.handle.key, &ended.sockets, &stopped);
        self.batch = Batch::default();
        self.update_memory();
        (self.refused, self.is_stale) = (None, false);
        self.manager.health.forget(&self.handle.key);
        self.manager.finish_waits(&self.handle.key);
        self.manager.set_due(&self.handle.key, None);
        if ended.turns > 0 {
            self.manager.tell_lifecycle(&self.handle.key, WorkerLifecycle::Stopped);
        }
        if let Some(handler) = ended.waiting {
            let message = format!("{} began anew, and its handler ended with it", self.handle.key);
            self.answer_handler(handler, Err(failed(ErrorCode::Failed, message)));
            self.let_all_leave();
        }
        Ok(())
    }

    /// Tells who waits for a handler that this does not see the end of.
    fn leave_waiting_sender(&mut self) {
        if let Some((id, sender)) = self.waiting_sender.take() {
            let message = format!("{} moved to another host while its handler waited", self.handle.key);
            self.answer(sender, id, Err(failed(ErrorCode::Unavailable, message)));
        }
    }
}

/// Forgets a worker that is damaged, for whoever has it stopped.
async fn discard(manager: &Manager, key: &WorkerKey) -> Result<bool, Error> {
    match manager.store.discard(key).await {
        Ok(()) => {
            tracing::warn!(worker = %key, "the worker was damaged, and is removed without its last turn");
            Ok(true)
        }
        Err(error) => {
            tracing::error!(worker = %key, "a worker that is damaged cannot be removed: {error}");
            Err(error_of_store(key, &error))
        }
    }
}

/// What whoever waits is told where the store has not done something.
pub(super) fn error_of_store(key: &WorkerKey, error: &StoreError) -> Error {
    let unavailable = |message| failed(ErrorCode::Unavailable, message);
    match error {
        StoreError::QuotaExceeded(_) | StoreError::Full(_) => {
            failed(ErrorCode::QuotaExceeded, format!("{key}: {error}"))
        }
        StoreError::Damaged(_) => unavailable(format!(
            "{key} is damaged; see the log of the host. A restart begins it anew, without what it held; on a platform \
             first copy it as of a turn that can be read: elias workers history, elias workers fork --at"
        )),
        StoreError::MemoryFull(_) => failed(ErrorCode::MailboxFull, format!("{key}: {error}")),
        StoreError::OwnedElsewhere { .. } => unavailable(format!(
            "the worker {key} runs on another host, which did not give it up in time: a turn of it takes long there, \
             or that host was just lost; send the message again in half a minute"
        )),
        StoreError::NotOwner => {
            unavailable(format!("{key} moved to another host in the turn, which was undone; send the message again"))
        }
        StoreError::Unavailable(_) => unavailable(format!(
            "{key}: the store of the workers cannot be reached; whether the message was handled is not known"
        )),
        _ => unavailable(format!("{key} cannot be used; see the log of the host")),
    }
}
