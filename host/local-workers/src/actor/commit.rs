//! The commit of a turn: the changes of the record, and the messages that are sent once it is stored.

use super::Actor;
use super::batch::{Departure, Effects};
use super::ownership::error_of_store;
use super::turn::NoTurn;
use crate::component::TurnFailure;
use crate::manager::Manager;
use crate::message::{Answer, Content, Message, Reply, Sender, UNDEFINED, id_of, reply_of};
use crate::settings::{TimerLimit, WorkerLifecycle};
use crate::store::{OutgoingCall, StoreError, TurnEvents, WaitingHandler, WorkerRecord, bytes_of_call};
use elias_capabilities::Cause;
use elias_capabilities::trigger::ActiveWork;
use elias_host::{
    ReplyError, ReplyResult, SocketAction, SocketSend, TimerChanges, TurnKind, TurnResult, TurnState, WorkerSend,
};
use elias_workers::{DueTimer, MemoryFull, Timers, WorkerKey};
use std::collections::VecDeque;

/// Bytes of the values of a worker's calls without an answer. They are written down with each of its turns.
const CALL_BYTES_MAX: usize = 32 << 20;

/// The least time to a timer or an alarm, in milliseconds, as in browsers: else one that is always due would cost no
/// time.
const TIMER_MS_MIN: u64 = 1;

impl Actor {
    /// Commits the first turn, with what follows.
    pub(super) async fn commit_start(
        &mut self,
        id: String,
        cause: Cause,
        result: TurnResult,
        active: ActiveWork,
    ) -> Result<(), NoTurn> {
        let is_done = result.state == TurnState::Done;
        let effects = self.take_over_turn(&cause, result, 0).await?;
        if !is_done {
            self.record.waiting = Some(self.handler(id, None, cause, None));
        }
        self.add_turn(active);
        self.hold_back(Departure::Lifecycle(WorkerLifecycle::Started));
        self.hold_back_effects(effects);
        Ok(())
    }

    /// Commits the turn of a call, a message or a socket.
    pub(super) async fn commit_message(
        &mut self,
        sender: Sender,
        Handled { id, kind, cause }: Handled,
        mut result: TurnResult,
        active: ActiveWork,
    ) {
        let answer = Ok(result.answer.take().unwrap_or_else(|| UNDEFINED.to_owned()));
        let is_done = result.state == TurnState::Done;
        let caller = sender.caller();
        // The heap of before a handler that waits is kept until it is done, and so has to be that of a commit.
        if !is_done && let Err(error) = self.flush_earlier().await {
            let answer = Err(error_of_store(&self.handle.key, &error));
            self.answer(sender, id, answer);
            return;
        }
        let sockets =
            matches!(kind, TurnKind::Open { .. } | TurnKind::Close { .. }).then(|| self.record.sockets.clone());
        // A socket that was closed stays so whatever becomes of the handler.
        if let TurnKind::Close { socket, .. } = &kind {
            self.record.sockets.remove(socket);
        }
        let handler = (!is_done).then(|| {
            let handler = self.handler(id.clone(), caller.clone(), cause.clone(), Some(self.record.turns));
            WaitingHandler { repeats: sender.repeats(), ..handler }
        });
        if let TurnKind::Open { socket, .. } = kind {
            self.record.sockets.insert(socket);
        }
        let stored = if caller.is_some() { reply_bytes(&answer) } else { 0 };
        let effects = match self.take_over_turn(&cause, result, stored).await {
            Ok(effects) => effects,
            Err(no_turn) => {
                if let Some(sockets) = sockets {
                    self.record.sockets = sockets;
                }
                let answer = Err(match no_turn {
                    NoTurn::Failed(failure) => self.error_of(failure),
                    NoTurn::Changed => error_of_store(&self.handle.key, &StoreError::NotOwner),
                });
                self.answer_and_store(sender, id, answer);
                return;
            }
        };
        self.add_turn(active);
        if handler.is_some() {
            self.record.waiting = handler;
            self.waiting_sender = sender.is_outside().then_some((id, sender));
        } else {
            if caller.is_some() {
                store_reply(&mut self.record, &id, &answer);
            }
            if sender.repeats() {
                self.record.handled.add(&id);
            }
            self.hold_back(Departure::Answer { sender, id, answer });
        }
        self.hold_back_effects(effects);
        if self.record.is_waiting()
            && let Err(error) = self.flush().await
        {
            self.lose_waiting_sender(&error);
        }
    }

    /// Commits the turn of the answer to a call.
    pub(super) async fn commit_reply(
        &mut self,
        call: u64,
        callee: WorkerKey,
        id: String,
        result: TurnResult,
        active: ActiveWork,
    ) {
        if result.state == TurnState::Waiting && !self.record.is_waiting() && self.flush_earlier().await.is_err() {
            // The call is made again once the worker is read.
            return;
        }
        let mut handler = self.continued(&result, None);
        if let Some(handler) = &mut handler {
            // Or a handler that fails would go on with the answer for ever.
            handler.calls.remove(&call);
        }
        self.record.calls.remove(&call);
        match &mut self.record.waiting {
            // The callee keeps it: a worker that is put back asks again.
            Some(waiting) => waiting.receive(callee, id),
            None => self.hold_back(Departure::Forget { callee, id }),
        }
        self.commit_continuation(handler, result, active).await;
    }

    /// Commits the turn of a timer or an alarm.
    pub(super) async fn commit_timer(&mut self, due: &DueTimer, result: TurnResult, active: ActiveWork) {
        if result.state == TurnState::Waiting && !self.record.is_waiting() && self.flush_earlier().await.is_err() {
            // It is still due once the worker is read.
            return;
        }
        let handler = self.continued(&result, Some(due));
        self.record.timers.finish(due);
        self.commit_continuation(handler, result, active).await;
    }

    /// The handler that a turn began which nobody waits for, where it waits from now on.
    fn continued(&self, result: &TurnResult, due: Option<&DueTimer>) -> Option<WaitingHandler> {
        if result.state == TurnState::Done || self.record.is_waiting() {
            return None;
        }
        let mut handler = self.handler(result.id.clone(), None, Cause::default(), Some(self.record.turns));
        if let Some(due) = due {
            // Or a handler that fails would be called again for ever.
            handler.timers.finish(due);
        }
        Some(handler)
    }

    /// Commits a turn that a handler went on in, if one waits, or that began one which nobody waits for.
    async fn commit_continuation(
        &mut self,
        handler: Option<WaitingHandler>,
        mut result: TurnResult,
        active: ActiveWork,
    ) {
        let answer = Ok(result.answer.take().unwrap_or_else(|| UNDEFINED.to_owned()));
        let is_done = result.state == TurnState::Done;
        let was_waiting = self.record.is_waiting();
        let cause = self.record.waiting.as_ref().map(|waiting| waiting.cause.clone()).unwrap_or_default();
        let is_stored = is_done && self.record.waiting.as_ref().is_some_and(|waiting| waiting.caller.is_some());
        let stored = if is_stored { reply_bytes(&answer) } else { 0 };
        let effects = match self.take_over_turn(&cause, result, stored).await {
            Ok(effects) => effects,
            Err(NoTurn::Changed) => return,
            Err(NoTurn::Failed(failure)) => {
                if was_waiting {
                    self.undo_handler(failure).await;
                } else {
                    tracing::error!(worker = %self.handle.key, "a turn that nobody waits for failed: {failure}");
                    self.change_record(true);
                }
                return;
            }
        };
        self.add_turn(active);
        self.turn_comes_again();
        if is_done {
            if let Some(handler) = self.record.waiting.take() {
                if handler.caller.is_some() {
                    store_reply(&mut self.record, &handler.id, &answer);
                }
                if handler.repeats {
                    self.record.handled.add(&handler.id);
                }
                // First: whoever gets the answer may be called by those that are not waited for any more.
                self.hold_back(Departure::WaitsEnd);
                self.answer_handler(handler, answer);
            }
        } else if handler.is_some() {
            self.record.waiting = handler;
        }
        self.hold_back_effects(effects);
        if was_waiting || self.record.is_waiting() {
            // Why it failed is in the log: what entered comes again.
            drop(self.flush().await);
        }
    }

    /// Puts the worker back to what it was before the handler that waits, which failed. If that cannot be kept, the
    /// worker is read again, and what failed comes again.
    pub(super) async fn undo_handler(&mut self, failure: TurnFailure) {
        let Some(handler) = self.record.waiting.clone() else { return };
        let answer: Answer = Err(self.error_of(failure));
        self.instance = None;
        let Some(restorable) = handler.restorable_turn else {
            // Its first turn failed: there is no worker.
            if let Err(error) = self.remove().await {
                tracing::error!(worker = %self.handle.key, "a worker that failed to start is not removed: {error}");
                return;
            }
            // Or it would be started for this message again and again.
            if let Some(Message { id, sender, .. }) = self.postponed.pop_front() {
                self.answer(sender, id, answer);
            }
            return;
        };
        self.record.waiting = None;
        self.record.timers = handler.timers.clone();
        // Those that were answered meanwhile are made again, and answered again.
        let asked_again: Vec<u64> =
            handler.calls.keys().filter(|call| !self.record.calls.contains_key(call)).copied().collect();
        self.record.calls.clone_from(&handler.calls);
        self.record.sockets.clone_from(&handler.sockets);
        self.close_lost_sockets();
        if handler.caller.is_some() {
            store_reply(&mut self.record, &handler.id, &answer);
        }
        self.batch.back_to = Some(restorable);
        self.change_record(true);
        self.hold_back(Departure::WaitsEnd);
        self.answer_handler(WaitingHandler { received: VecDeque::new(), ..handler }, answer);
        self.hold_back_effects(Effects { calls: asked_again, ..Effects::default() });
        // Why it failed is in the log.
        drop(self.flush().await);
    }

    /// Answers a sender after the turns before, and stores the reply first if it is a worker, which may ask again.
    pub(super) fn answer_and_store(&mut self, sender: Sender, id: String, answer: Answer) {
        if matches!(sender, Sender::Worker { .. }) && self.is_started() && self.epoch.is_some() {
            store_reply(&mut self.record, &id, &answer);
            self.change_record(false);
        }
        self.answer_in_order(sender, id, answer);
    }

    /// Sends a call of the record to its worker. One that would close a cycle of workers that wait is answered instead.
    pub(super) fn send_call(&mut self, call: u64, is_again: bool) {
        let Some(OutgoingCall { id, to, method, value, cause }) = self.record.calls.get(&call).cloned() else { return };
        if self.record.is_waiting()
            && let Err(message) = self.manager.wait(&self.handle.key, &id, &to)
        {
            let result = ReplyResult::Error(ReplyError { name: "Error".to_owned(), message });
            self.handle.queue.lock().push_reply(Reply::new(call, id, result));
            return;
        }
        let sender = Sender::Worker { key: self.handle.key.clone(), call };
        let message = Message::new(id, Content::Value { method, value }, sender, cause);
        if is_again {
            self.manager.send_again(&to, message);
        } else {
            self.manager.send(&to, message);
        }
    }

    /// A handler that waits from now on, and what the worker was before it.
    fn handler(
        &self,
        id: String,
        caller: Option<(WorkerKey, u64)>,
        cause: Cause,
        restorable_turn: Option<u64>,
    ) -> WaitingHandler {
        let WorkerRecord { timers, calls, sockets, .. } = &self.record;
        let (timers, calls, sockets) = (timers.clone(), calls.clone(), sockets.clone());
        let received = VecDeque::new();
        WaitingHandler { id, caller, repeats: false, cause, restorable_turn, timers, calls, sockets, received }
    }

    /// Answers whoever waits for a handler that is done, after the commit.
    pub(super) fn answer_handler(&mut self, handler: WaitingHandler, answer: Answer) {
        let WaitingHandler { id, caller, received, .. } = handler;
        for (callee, id) in received {
            self.hold_back(Departure::Forget { callee, id });
        }
        let sender = match (caller, self.waiting_sender.take()) {
            (Some((key, call)), _) => Sender::Worker { key, call },
            (None, Some((_, sender))) => sender,
            // Who sent it left with a former process.
            (None, None) => Sender::Nobody,
        };
        self.hold_back(Departure::Answer { sender, id, answer });
    }

    /// Takes over into the record what a turn that has run sent and set. One that is refused is undone.
    async fn take_over_turn(&mut self, cause: &Cause, result: TurnResult, stored: usize) -> Result<Effects, NoTurn> {
        let refusal = self.refusal_of(cause, &result);
        let refusal = refusal.or_else(|| self.reserve_for(&result, stored).err().map(|full| full.to_string()));
        let Some(message) = refusal else {
            return Ok(take_over(&self.manager, &mut self.record, self.turn_now, cause.clone(), result));
        };
        self.flush_earlier().await.map_err(|_| NoTurn::Changed)?;
        self.instance = None;
        Err(refused(message).into())
    }

    /// Why a turn that has run may not be kept: it has too many calls, or events that may not be published.
    pub(super) fn refusal_of(&self, cause: &Cause, result: &TurnResult) -> Option<String> {
        let sent = sent_calls(result).map(|send| send.value.len()).sum::<usize>();
        if self.record.call_bytes() + sent > CALL_BYTES_MAX {
            return Some(format!(
                "the calls of a worker without an answer have at most {CALL_BYTES_MAX} bytes together"
            ));
        }
        self.refusal_of_timers(&result.timers).or_else(|| self.check_events(cause, result).err())
    }

    /// Why a turn may not be kept that sets more timers and alarms than a worker may have.
    fn refusal_of_timers(&self, changes: &TimerChanges) -> Option<String> {
        let TimerLimit { most, setting } = self.manager.live().timers;
        let set = changes.set.len() + changes.alarm.iter().filter(|alarm| alarm.at.is_some()).count();
        if set == 0 || self.record.timers.len() + set <= most {
            return None;
        }
        // Those that it sets anew, or clears, are to be told from others.
        let mut timers = self.record.timers.clone();
        change_timers(&mut timers, changes, 0);
        let count = timers.len();
        (count > most).then(|| {
            format!("{} would have {count} timers and alarms set; it may have {most} ({setting})", self.handle.key)
        })
    }

    /// Reserves room in memory for the calls and timers of a turn, and for its stored reply of so many bytes.
    pub(super) fn reserve_for(&mut self, result: &TurnResult, stored: usize) -> Result<(), MemoryFull> {
        // A handler that waits from now on keeps the calls and timers of before it, too.
        let begins_to_wait = !self.record.is_waiting() && result.state == TurnState::Waiting;
        let before = if begins_to_wait { self.record.undoable_bytes() } else { 0 };
        self.reserve_more(memory_of(result) + before + stored)
    }

    /// Reserves so many bytes more than the record has, until it is counted anew after the commit.
    fn reserve_more(&mut self, more: usize) -> Result<(), MemoryFull> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        if more == 0 { Ok(()) } else { memory.resize(self.record.memory_bytes() + more) }
    }

    /// Refuses a turn that has run, before anything of it is kept, for its events.
    fn check_events(&self, cause: &Cause, result: &TurnResult) -> Result<(), String> {
        match &self.manager.settings.check_events {
            Some(check) if !result.emitted.is_empty() => check(&result.emitted, cause),
            _ => Ok(()),
        }
    }

    fn hold_back_effects(&mut self, effects: Effects) {
        self.hold_back(Departure::Effects(Box::new(effects)));
    }

    /// Tells who waits for a handler whose first turn was lost.
    fn lose_waiting_sender(&mut self, error: &StoreError) {
        if let Some((id, sender)) = self.waiting_sender.take() {
            let answer = Err(error_of_store(&self.handle.key, error));
            self.answer(sender, id, answer);
        }
    }

    /// Lets leave what a committed turn sent.
    pub(super) fn release(&mut self, effects: Effects) {
        let Effects { calls, messages, events, sockets, cause } = effects;
        for call in calls {
            self.send_call(call, false);
        }
        for WorkerSend { class, name, method, value, id, .. } in messages {
            let content = Content::Value { method, value };
            let message = Message::new(id_of(id), content, Sender::Nobody, cause.clone());
            self.manager.send(&WorkerKey::new(class, name), message);
        }
        if let Some(on_events) = self.manager.settings.on_events.as_ref().filter(|_| !events.events.is_empty()) {
            on_events(&self.handle.key, events);
        }
        self.manager.sockets.deliver(&self.handle.key, sockets);
    }
}

/// A message whose turn went well.
pub(super) struct Handled {
    pub(super) id: String,
    pub(super) kind: TurnKind,
    pub(super) cause: Cause,
}

/// The failure of a turn that has run and is not kept.
pub(super) fn refused(message: String) -> TurnFailure {
    TurnFailure::Thrown { name: "RangeError".to_owned(), message }
}

/// Takes over into the record what a turn of this time sent and set.
pub(super) fn take_over(
    manager: &Manager,
    record: &mut WorkerRecord,
    now: u64,
    cause: Cause,
    result: TurnResult,
) -> Effects {
    let TurnResult { sends, timers, emitted, sockets, .. } = result;
    let least = now.saturating_add(TIMER_MS_MIN);
    for SocketSend { socket, action } in &sockets {
        if matches!(action, SocketAction::Close { .. }) {
            record.sockets.remove(socket);
        }
    }
    change_timers(&mut record.timers, &timers, least);
    let events = TurnEvents { events: emitted, cause: cause.clone() };
    let mut effects = Effects { events, sockets, cause, ..Effects::default() };
    for send in sends {
        match send.call {
            Some(call) => {
                let WorkerSend { class, name, method, value, id, .. } = send;
                // Callees store replies by id: no two calls of the worker have the same.
                let id = id.filter(|id| record.calls.values().all(|call| call.id != *id));
                let (id, to, cause) = (id_of(id), WorkerKey::new(class, name), effects.cause.clone());
                // A call that is made again is for the same member, which has stored the reply.
                let to = manager.member(&to, None).ok().flatten().unwrap_or(to);
                record.calls.insert(call, OutgoingCall { id, to, method, value, cause });
                effects.calls.push(call);
            }
            None => effects.messages.push(send),
        }
    }
    effects
}

/// Changes timers and alarms as a turn did, which are due at this time at the earliest.
fn change_timers(timers: &mut Timers, changes: &TimerChanges, least: u64) {
    for timer in &changes.cleared {
        timers.clear(*timer);
    }
    for timer in &changes.set {
        timers.set(timer.timer, timer.at.max(least));
    }
    for alarm in &changes.alarm {
        timers.set_alarm(alarm.name.as_str(), alarm.at);
        // The worker knows the alarm by its time.
        timers.delay_alarm(&alarm.name, least);
    }
}

/// The calls that a turn has made.
fn sent_calls(result: &TurnResult) -> impl Iterator<Item = &WorkerSend> {
    result.sends.iter().filter(|send| send.call.is_some())
}

/// Bytes that the calls, timers and alarms take in memory that a turn has made and set.
fn memory_of(result: &TurnResult) -> usize {
    let bytes = |WorkerSend { class, name, method, value, .. }: &WorkerSend| {
        bytes_of_call(class, name, method.as_deref(), value)
    };
    let alarms = result.timers.alarm.iter().filter(|alarm| alarm.at.is_some());
    let alarms = alarms.map(|alarm| Timers::BYTES_EACH + alarm.name.len());
    sent_calls(result).map(bytes).sum::<usize>() + alarms.sum::<usize>() + Timers::BYTES_EACH * result.timers.set.len()
}

/// Bytes of an answer, as they are stored for a worker that may ask again.
fn reply_bytes(answer: &Answer) -> usize {
    answer.as_ref().map_or(0, String::len)
}

/// Stores an answer as the reply to a worker that may ask again.
pub(super) fn store_reply(record: &mut WorkerRecord, id: &str, answer: &Answer) {
    let forgotten = record.replies.store(id, reply_of(answer.clone()));
    if forgotten > 0 {
        tracing::warn!(worker = %record.key, forgotten, "replies that their callers did not take are forgotten");
    }
}
