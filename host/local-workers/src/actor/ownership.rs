//! Reads a worker as its owner, and releases it.

use super::Actor;
use super::batch::Batch;
use crate::handle::WorkerCondition;
use crate::message::{Content, Message, Sender, Stop, failed, new_id};
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
    /// Makes this the worker's owner, reads what is kept of it, and makes its calls again that have no answer. What
    /// this knew of it before is forgotten.
    ///
    /// # Errors
    /// If another host has it, or it cannot be read.
    pub(super) async fn acquire(&mut self) -> Result<(), StoreError> {
        self.instance = None;
        self.batch = Batch::default();
        self.is_stale = false;
        let AcquiredWorker { epoch, record } = self.manager.acquire(&self.handle.key).await?;
        self.epoch = Some(epoch);
        self.record = record.unwrap_or_else(|| WorkerRecord::new(self.handle.key.clone()));
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
            self.send_call(call);
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
                let message = Message { id: new_id(), content, sender: Sender::Nobody, cause: Cause::default() };
                self.postponed.push_front(message);
            }
        }
    }

    /// Answers everything that waits with an error: the worker cannot be used here.
    pub(super) fn refuse_all(&mut self, error: &StoreError) {
        let key = self.handle.key.clone();
        match error {
            StoreError::OwnedElsewhere { owner } => {
                tracing::debug!(worker = %key, owner, "another host has the worker");
            }
            StoreError::QuotaExceeded(why) => tracing::debug!(worker = %key, why, "the worker is refused"),
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
        self.record = WorkerRecord::new(key.clone());
        let comes_back = matches!(error, StoreError::Io(_) | StoreError::Unavailable(_));
        let again = comes_back.then(|| self.manager.now().saturating_add(READ_DELAY_MS));
        self.manager.set_due(&key, again);
        loop {
            let messages = self.handle.queue.lock().drain();
            let stops: Vec<Stop> = self.handle.stops.lock().drain(..).collect();
            let is_done = messages.is_empty() && stops.is_empty() && self.postponed.is_empty();
            if is_done && self.manager.remove_handle(&self.handle, &self.record) {
                return;
            }
            let postponed = std::mem::take(&mut self.postponed);
            for Message { id, sender, .. } in postponed.into_iter().chain(messages) {
                self.answer(sender, id, Err(refusal.clone()));
            }
            for stop in stops {
                // Whoever asked may have left.
                drop(stop.done.send(Err(refusal.clone())));
            }
        }
    }

    /// Leaves memory, and has others become the owner. Whether the task is to end, since nothing waits here.
    pub(super) async fn give_up(&mut self) -> bool {
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
        self.record = WorkerRecord::new(self.handle.key.clone());
        self.handle.show(WorkerCondition::Asleep, &self.record);
        self.postponed.is_empty() && self.manager.remove_handle(&self.handle, &self.record)
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
        (self.refused, self.is_stale) = (None, false);
        self.manager.health.forget(&self.handle.key);
        self.manager.finish_waits(&self.handle.key);
        self.manager.set_due(&self.handle.key, None);
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

/// What whoever waits is told where the store has not done something.
pub(super) fn error_of_store(key: &WorkerKey, error: &StoreError) -> Error {
    let unavailable = |message| failed(ErrorCode::Unavailable, message);
    match error {
        StoreError::QuotaExceeded(_) | StoreError::Full(_) => {
            failed(ErrorCode::QuotaExceeded, format!("{key}: {error}"))
        }
        StoreError::OwnedElsewhere { .. } => unavailable(format!(
            "the worker {key} runs on another host, which did not give it up in time: a turn of it takes long there, or \
             that host was just lost; send the message again in half a minute"
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
