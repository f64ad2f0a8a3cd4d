//! What follows from a turn: its heap and record are kept, and then its messages leave and its sender is answered.

use super::Actor;
use crate::component::TurnFailure;
use crate::message::{Answer, Content, Message, Reply, Sender, UNDEFINED, new_id, reply_of};
use crate::store::{OutgoingCall, StoredWorker, WaitingHandler, WorkerRecord};
use elias_host::{EmittedEvent, ReplyError, ReplyResult, TurnResult, TurnState, WorkerSend};
use elias_workers::{DueTimer, WorkerKey};
use std::sync::Arc;

/// Answers that are kept of a worker at most. Callers fetch theirs at once; those whose answers are left were put back
/// or ended.
const ANSWERS_MAX: usize = 1_000;

/// Bytes of the values of a worker's calls without an answer. They are written down with each of its turns.
const CALL_BYTES_MAX: usize = 32 << 20;

/// How long a worker waits for a store that does not take it, in milliseconds.
const STORE_DELAY_MS: u64 = 1_000;

/// What leaves once a turn is committed.
#[derive(Default)]
struct Effects {
    /// Numbers of calls, which the record has.
    calls: Vec<u64>,
    /// Messages that nobody waits for.
    messages: Vec<WorkerSend>,
    emitted: Vec<EmittedEvent>,
}

impl Actor {
    /// Commits the first turn.
    pub(crate) async fn commit_start(&mut self, id: String, result: TurnResult) -> Result<(), TurnFailure> {
        let is_done = result.state == TurnState::Done;
        let mut record = self.record.clone();
        let effects = take_over(&mut record, result);
        if !is_done {
            record.waiting = Some(self.waiting(id, None));
        }
        self.keep(record, None).await?;
        self.release(effects);
        Ok(())
    }

    /// Commits the turn of a call or a message.
    pub(crate) async fn commit_message(&mut self, sender: Sender, id: String, mut result: TurnResult) {
        let answer = result.answer.take();
        let is_done = result.state == TurnState::Done;
        let caller = match &sender {
            Sender::Worker { key, call } => Some((key.clone(), *call)),
            Sender::Outside(_) | Sender::Nobody => None,
        };
        let mut record = self.record.clone();
        let effects = take_over(&mut record, result);
        let answer = Ok(answer.unwrap_or_else(|| UNDEFINED.to_owned()));
        let before = if is_done {
            if caller.is_some() {
                keep_answer(&mut record, &id, &answer);
            }
            None
        } else {
            record.waiting = Some(self.waiting(id.clone(), caller));
            self.heap.clone()
        };
        if let Err(failure) = self.keep(record, before).await {
            self.manager.answer(sender, id, Err(self.error_of(failure)));
            return;
        }
        if is_done {
            self.manager.answer(sender, id, answer);
        } else {
            self.waiting_sender = matches!(sender, Sender::Outside(_)).then_some(sender);
        }
        self.release(effects);
    }

    /// Commits the turn of the answer to a call.
    pub(crate) async fn commit_reply(&mut self, call: u64, callee: WorkerKey, id: String, result: TurnResult) {
        let mut record = self.record.clone();
        record.calls.remove(&call);
        if let Some(waiting) = &mut record.waiting {
            waiting.received.push((callee.clone(), id.clone()));
        }
        let is_waiting = record.is_waiting();
        if self.commit_continuation(record, result, None).await {
            // While a handler waits the callee keeps it: a worker that is put back asks again.
            if !is_waiting {
                self.manager.forget_answer(&callee, id);
            }
        }
    }

    /// Commits the turn of a timer or an alarm.
    pub(crate) async fn commit_timer(&mut self, due: &DueTimer, result: TurnResult) {
        let mut record = self.record.clone();
        record.timers.finish(due);
        self.commit_continuation(record, result, Some(due)).await;
    }

    /// Commits a turn that a handler went on in, if one waits, or that began one which nobody waits for, as what was
    /// `due` does. Whether it is kept.
    async fn commit_continuation(
        &mut self,
        mut record: WorkerRecord,
        mut result: TurnResult,
        due: Option<&DueTimer>,
    ) -> bool {
        let answer = Ok(result.answer.take().unwrap_or_else(|| UNDEFINED.to_owned()));
        let (is_done, id) = (result.state == TurnState::Done, result.id.clone());
        let effects = take_over(&mut record, result);
        let mut finished = None;
        let mut before = self.before.clone();
        if is_done {
            before = None;
            finished = record.waiting.take();
            if let Some(WaitingHandler { id, caller: Some(_), .. }) = &finished {
                keep_answer(&mut record, id, &answer);
            }
        } else if record.waiting.is_none() {
            before.clone_from(&self.heap);
            let mut handler = self.waiting(id, None);
            if let Some(due) = due {
                // Or a handler that fails would be called again for ever.
                handler.timers.finish(due);
            }
            record.waiting = Some(handler);
        }
        if let Err(failure) = self.keep(record, before).await {
            // The worker is as before: what entered is lost, as if it had thrown.
            if self.record.is_waiting() {
                self.undo_handler(failure).await;
            } else {
                tracing::error!(worker = %self.handle.key, "a turn cannot be kept: {failure:?}");
                self.manager.clock.sleep_until(self.manager.now() + STORE_DELAY_MS).await;
            }
            return false;
        }
        if let Some(handler) = finished {
            // First: whoever gets the answer may be called by those that are not waited for any more.
            self.manager.finish_waits(&self.handle.key);
            self.answer_handler(handler, answer);
        }
        self.release(effects);
        true
    }

    /// Puts the worker back to what it was before the handler that waits, which failed.
    pub(crate) async fn undo_handler(&mut self, failure: TurnFailure) {
        let Some(handler) = self.record.waiting.clone() else { return };
        let answer: Answer = Err(self.error_of(failure));
        let Some(heap) = self.before.clone() else {
            // Its first turn failed: there is no worker.
            let (store, key) = (Arc::clone(&self.manager.store), self.handle.key.clone());
            // A worker that is left in the store fails again when it goes on.
            drop(tokio::task::spawn_blocking(move || store.remove(&key)).await);
            self.instance = None;
            self.begin_anew();
            // Or it would be started for this message again and again.
            if let Some(Message { id, sender, .. }) = self.postponed.take() {
                self.manager.answer(sender, id, answer);
            }
            return;
        };
        let mut record = self.record.clone();
        record.waiting = None;
        record.turns += 1;
        record.timers = handler.timers.clone();
        // Those that were answered meanwhile are made again, and answered again.
        let asked_again: Vec<u64> =
            handler.calls.keys().filter(|call| !self.record.calls.contains_key(call)).copied().collect();
        record.calls.clone_from(&handler.calls);
        if handler.caller.is_some() {
            keep_answer(&mut record, &handler.id, &answer);
        }
        self.instance = None;
        while let Err(failure) = self.save(record.clone(), heap.clone(), None).await {
            tracing::error!(worker = %self.handle.key, "the worker cannot be put back yet: {failure:?}");
            self.manager.clock.sleep_until(self.manager.now() + STORE_DELAY_MS).await;
        }
        self.manager.finish_waits(&self.handle.key);
        self.answer_handler(WaitingHandler { received: Vec::new(), ..handler }, answer);
        for call in asked_again {
            self.send_call(call);
        }
    }

    /// Answers a sender, and keeps the answer first if it is a worker, which may ask again.
    pub(crate) async fn answer_and_keep(&mut self, sender: Sender, id: String, answer: Answer) {
        if matches!(sender, Sender::Worker { .. }) && self.heap.is_some() {
            self.keep_change(|record| keep_answer(record, &id, &answer)).await;
        }
        self.manager.answer(sender, id, answer);
    }

    /// Changes the record, and nothing of the heap. Where the store does not take it this waits: a timer that cannot be
    /// finished is due again at once.
    pub(crate) async fn keep_change(&mut self, change: impl FnOnce(&mut WorkerRecord)) {
        let Some(heap) = self.heap.clone() else { return };
        let mut record = self.record.clone();
        change(&mut record);
        let before = self.before.clone();
        if let Err(failure) = self.save(record, heap, before).await {
            tracing::error!(worker = %self.handle.key, "a change cannot be kept: {failure:?}");
            self.manager.clock.sleep_until(self.manager.now() + STORE_DELAY_MS).await;
        }
    }

    /// Sends a call of the record to its worker. One that would close a cycle of workers that wait is answered instead.
    pub(crate) fn send_call(&mut self, call: u64) {
        let Some(OutgoingCall { id, to, method, value }) = self.record.calls.get(&call).cloned() else { return };
        if self.record.is_waiting()
            && let Err(message) = self.manager.wait(&self.handle.key, &id, &to)
        {
            let result = ReplyResult::Error(ReplyError { name: "Error".to_owned(), message });
            self.handle.queue.lock().push_reply(Reply { call, id, result });
            return;
        }
        let sender = Sender::Worker { key: self.handle.key.clone(), call };
        self.manager.send(&to, Message { id, content: Content::Value { method, value }, sender });
    }

    /// A handler that waits from now on, and what the worker was before it.
    fn waiting(&self, id: String, caller: Option<(WorkerKey, u64)>) -> WaitingHandler {
        let (timers, calls) = (self.record.timers.clone(), self.record.calls.clone());
        WaitingHandler { id, caller, timers, calls, received: Vec::new() }
    }

    /// Answers whoever waits for a handler that is done.
    pub(super) fn answer_handler(&mut self, handler: WaitingHandler, answer: Answer) {
        let WaitingHandler { id, caller, received, .. } = handler;
        for (callee, id) in received {
            self.manager.forget_answer(&callee, id);
        }
        let sender = match (caller, self.waiting_sender.take()) {
            (Some((key, call)), _) => Sender::Worker { key, call },
            (None, Some(sender)) => sender,
            // Who sent it left with a former process.
            (None, None) => Sender::Nobody,
        };
        self.manager.answer(sender, id, answer);
    }

    /// Commits the turn of the instance.
    async fn keep(&mut self, mut record: WorkerRecord, before: Option<Vec<u8>>) -> Result<(), TurnFailure> {
        record.turns += 1;
        record.now = self.turn_now;
        if record.call_bytes() > CALL_BYTES_MAX {
            self.instance = None;
            let message =
                format!("the calls of a worker without an answer have at most {CALL_BYTES_MAX} bytes together");
            return Err(TurnFailure::Thrown { name: "RangeError".to_owned(), message });
        }
        let Some(instance) = &mut self.instance else {
            return Err(TurnFailure::NotRun("the worker is not in memory".to_owned()));
        };
        let write_down = instance.worker.commit();
        let written = tokio::task::spawn_blocking(write_down).await;
        let heap = written.map_err(|error| TurnFailure::Unusable(error.to_string())).flatten();
        let kept = match heap {
            Ok(heap) => self.save(record, heap, before).await,
            Err(failure) => Err(failure),
        };
        if kept.is_err() {
            // It goes on as the store has it.
            self.instance = None;
        }
        kept
    }

    /// Keeps the worker in the store; from then on it is what was given.
    async fn save(&mut self, record: WorkerRecord, heap: Vec<u8>, before: Option<Vec<u8>>) -> Result<(), TurnFailure> {
        let store = Arc::clone(&self.manager.store);
        let saved = tokio::task::spawn_blocking(move || {
            let worker = StoredWorker { record, heap, before };
            store.save(&worker).map(|()| worker)
        });
        let saved = saved.await.map_err(|error| TurnFailure::Unusable(error.to_string()))?;
        let saved = saved.map_err(|error| TurnFailure::Unusable(format!("the turn cannot be kept: {error}")))?;
        let StoredWorker { record, heap, before } = saved;
        (self.record, self.heap, self.before) = (record, Some(heap), before);
        self.is_stale = false;
        self.manager.set_due(&self.handle.key, self.record.next_due());
        Ok(())
    }

    /// Lets leave what a committed turn sent.
    fn release(&mut self, effects: Effects) {
        let Effects { calls, messages, emitted } = effects;
        for call in calls {
            self.send_call(call);
        }
        for WorkerSend { class, name, method, value, .. } in messages {
            let content = Content::Value { method, value };
            self.manager.send(&WorkerKey::new(class, name), Message { id: new_id(), content, sender: Sender::Nobody });
        }
        if let Some(on_event) = &self.manager.settings.on_event {
            emitted.iter().for_each(|event| on_event(&self.handle.key, event));
        }
    }
}

/// Takes over into the record what a turn sent and set.
fn take_over(record: &mut WorkerRecord, result: TurnResult) -> Effects {
    let TurnResult { sends, timers, emitted, .. } = result;
    for timer in timers.cleared {
        record.timers.clear(timer);
    }
    for timer in timers.set {
        record.timers.set(timer.timer, timer.at);
    }
    for alarm in timers.alarm {
        record.timers.set_alarm(alarm.name, alarm.at);
    }
    let mut effects = Effects { emitted, ..Effects::default() };
    for send in sends {
        match send.call {
            Some(call) => {
                let WorkerSend { class, name, method, value, .. } = send;
                let to = WorkerKey::new(class, name);
                record.calls.insert(call, OutgoingCall { id: new_id(), to, method, value });
                effects.calls.push(call);
            }
            None => effects.messages.push(send),
        }
    }
    effects
}

/// Keeps an answer for a worker that may ask again.
fn keep_answer(record: &mut WorkerRecord, id: &str, answer: &Answer) {
    if record.answers.len() >= ANSWERS_MAX {
        tracing::warn!(worker = %record.key, "an answer that its caller did not take is forgotten");
        record.answers.pop_first();
    }
    record.answers.insert(id.to_owned(), reply_of(answer.clone()));
}
