//! What enters a worker, a message, a reply, a timer or its end, and what becomes of it.

use super::Actor;
use super::commit::Handled;
use super::ownership::error_of_store;
use super::turn::NoTurn;
use crate::component::TurnFailure;
use crate::handle::WorkerCondition;
use crate::message::{Content, Message, Reply, Stop, UNDEFINED, answer_of, failed, new_id};
use elias_capabilities::Cause;
use elias_capabilities::turn::uuid_of;
use elias_capabilities::workers::ErrorCode;
use elias_host::{Alarm, TurnKind};
use elias_workers::{DueTimer, Supervisor};
use std::sync::atomic::Ordering::SeqCst;

impl Actor {
    pub(super) async fn take_message(&mut self, message: Message) {
        let Message { id, content, sender, cause, reservation } = message;
        // A call that was made again, for its caller was put back to what it was before.
        if let Some(result) = self.record.replies.get(&id).cloned() {
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
                match self.start(&id, &cause).await {
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
                    self.answer_and_store(sender, id, answer);
                    return;
                }
                Ok((result, active)) => {
                    self.commit_message(sender, Handled { id, kind, cause }, result, active).await;
                    return;
                }
            }
        }
    }

    /// The first turn, for a message. It is the same turn where that comes again.
    async fn start(&mut self, message: &str, cause: &Cause) -> Result<(), NoTurn> {
        let id = uuid_of(&[message, "start"]);
        let (result, active) = self.attempt(&id, &TurnKind::Start, cause).await?;
        self.commit_start(id, cause.clone(), result, active).await
    }

    pub(super) async fn take_reply(&mut self, reply: Reply) {
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

    pub(super) async fn take_timer(&mut self, due: DueTimer) {
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
    pub(super) async fn stop(&mut self, stop: Stop) {
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
}
