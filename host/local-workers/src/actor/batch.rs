//! Turns that share a commit, and the messages that are sent after it.

use super::Actor;
use super::ownership::error_of_store;
use crate::component::WriteDown;
use crate::message::{Answer, Sender};
use crate::settings::WorkerLifecycle;
use crate::store::{HeapCommit, StoreError, TurnEvents, WorkerCommit};
use elias_capabilities::Cause;
use elias_capabilities::trigger::ActiveWork;
use elias_host::{SocketAction, SocketSend, WorkerSend};
use elias_workers::WorkerKey;
use elias_workers::config::Durability;
use std::sync::Arc;

/// Turns of a batch at most.
const TURNS_MAX: u32 = 256;

/// Bytes that a batch holds back at most, before the turn that exceeds it: answers, messages and events.
const BYTES_MAX: usize = 4 << 20;

/// How old a batch may become, in milliseconds, before no turn is added to it.
const AGE_MAX_MS: u64 = 5;

/// Turns that are committed one by one after one that was slow: else what is done would wait for the next slow one.
const TURNS_AFTER_SLOW: u32 = 32;

/// How long a worker waits for a store that does not take it, in milliseconds.
const STORE_DELAY_MS: u64 = 1_000;

/// What leaves once a turn is committed.
#[derive(Default)]
pub(super) struct Effects {
    /// Numbers of calls, which the record has.
    pub(super) calls: Vec<u64>,
    /// Messages that nobody waits for.
    pub(super) messages: Vec<WorkerSend>,
    pub(super) events: TurnEvents,
    pub(super) sockets: Vec<SocketSend>,
    pub(super) cause: Cause,
}

impl Effects {
    fn bytes(&self) -> usize {
        let messages = self.messages.iter().map(|message| message.value.len());
        let events = self.events.events.iter().map(|event| event.value.len());
        let sockets = self.sockets.iter().map(|sent| match &sent.action {
            SocketAction::Text(text) | SocketAction::Bytes(text) => text.len(),
            SocketAction::Close { reason, .. } => reason.len(),
        });
        messages.chain(events).chain(sockets).sum()
    }
}

/// What is held back until the commit.
pub(super) enum Departure {
    Answer {
        sender: Sender,
        id: String,
        answer: Answer,
    },
    Effects(Box<Effects>),
    /// A callee need not store its reply any more.
    Forget {
        callee: WorkerKey,
        id: String,
    },
    /// The worker's handler is done, and it waits for nobody any more.
    WaitsEnd,
    /// A change in the life of the worker.
    Lifecycle(WorkerLifecycle),
}

/// The turns and the changes of the record since the last commit.
#[derive(Default)]
pub(super) struct Batch {
    /// Turns that the heap has.
    turns: u32,
    /// Whether the record changed.
    is_changed: bool,
    /// Whether a failed commit is to be followed by a pause: something would come again at once.
    comes_again: bool,
    /// Whether the next commit is the heap of a former turn.
    pub(super) back_to: Option<u64>,
    bytes: usize,
    /// The time when it began.
    began: u64,
    departures: Vec<Departure>,
    /// Has whoever stops the workers wait for the commit.
    active: Vec<ActiveWork>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        !self.is_changed && self.departures.is_empty()
    }

    pub(super) fn has_turns(&self) -> bool {
        self.turns > 0
    }

    /// What its turns emitted.
    fn events(&self) -> Vec<TurnEvents> {
        let of = |departure: &Departure| match departure {
            Departure::Effects(effects) if !effects.events.events.is_empty() => Some(effects.events.clone()),
            _ => None,
        };
        self.departures.iter().filter_map(of).collect()
    }
}

impl Actor {
    /// Adds a turn that went well, whose changes the record has.
    pub(super) fn add_turn(&mut self, active: ActiveWork) {
        let now = self.manager.now();
        self.record.turns += 1;
        self.record.now = self.turn_now;
        let batch = self.begin_batch(now);
        batch.turns += 1;
        batch.active.push(active);
        let is_slow = now.saturating_sub(self.turn_now) >= AGE_MAX_MS;
        self.single_turns = if is_slow { TURNS_AFTER_SLOW } else { self.single_turns.saturating_sub(1) };
    }

    /// Changes the record, and nothing of the heap. After a turn that comes again by itself if the commit fails, there
    /// is a pause then.
    pub(super) fn change_record(&mut self, comes_again: bool) {
        let now = self.manager.now();
        self.record.turns += 1;
        self.begin_batch(now).comes_again |= comes_again;
    }

    /// What happens if the commit of a turn fails that comes again by itself.
    pub(super) fn turn_comes_again(&mut self) {
        self.batch.comes_again = true;
    }

    fn begin_batch(&mut self, now: u64) -> &mut Batch {
        if self.batch.is_empty() {
            self.batch.began = now;
        }
        self.batch.is_changed = true;
        &mut self.batch
    }

    /// Holds something back until the commit.
    pub(super) fn hold_back(&mut self, departure: Departure) {
        if self.batch.is_empty() {
            self.batch.began = self.manager.now();
        }
        self.batch.bytes += match &departure {
            Departure::Answer { answer: Ok(value), .. } => value.len(),
            Departure::Answer { answer: Err(error), .. } => error.message.len(),
            Departure::Effects(effects) => effects.bytes(),
            Departure::Forget { .. } | Departure::WaitsEnd | Departure::Lifecycle(_) => 0,
        };
        self.batch.departures.push(departure);
    }

    /// Answers a sender after the turns before are committed; at once if all are.
    pub(super) fn answer_in_order(&mut self, sender: Sender, id: String, answer: Answer) {
        if self.batch.is_empty() {
            self.answer(sender, id, answer);
        } else {
            self.hold_back(Departure::Answer { sender, id, answer });
        }
    }

    /// Whether the batch takes no further turn.
    pub(super) fn is_batch_full(&self) -> bool {
        let batch = &self.batch;
        !batch.is_empty()
            && (self.manager.settings.durability == Durability::Turn
                || self.single_turns > 0
                || self.record.is_waiting()
                || batch.turns >= TURNS_MAX
                || batch.bytes >= BYTES_MAX
                || self.manager.now().saturating_sub(batch.began) >= AGE_MAX_MS)
    }

    /// Commits the batch, and lets leave what it held back. If that fails, whoever waits is told so, and the worker is
    /// to be read again: what the batch did is lost.
    ///
    /// # Errors
    /// Why it failed.
    pub(super) async fn flush(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let write_down = match &mut self.instance {
            Some(instance) if self.batch.has_turns() => Some(instance.worker.commit()),
            _ => None,
        };
        self.commit(write_down).await
    }

    /// The same before a turn is added that has run: that one is still to be committed.
    pub(super) async fn flush_earlier(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let write_down = match &mut self.instance {
            Some(instance) if self.batch.has_turns() => Some(instance.worker.commit_earlier()),
            _ => None,
        };
        self.commit(write_down).await
    }

    async fn commit(&mut self, write_down: Option<WriteDown>) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut self.batch);
        let committed = self.store_batch(&batch, write_down).await;
        match committed {
            Ok(()) => {
                self.is_stale = false;
                self.update_memory();
                self.manager.set_due(&self.handle.key, self.record.next_due());
                // A store in memory has nobody wait, and the queue may never be empty: others have their turns, too.
                // Not after the answers: whoever has one finds the worker as the commit left it.
                tokio::task::yield_now().await;
                for departure in batch.departures {
                    self.let_leave(departure);
                }
                Ok(())
            }
            Err(error) => {
                self.lose(batch, &error).await;
                Err(error)
            }
        }
    }

    async fn store_batch(&mut self, batch: &Batch, write_down: Option<WriteDown>) -> Result<(), StoreError> {
        let Some(epoch) = self.epoch else { return Err(StoreError::NotOwner) };
        let heap = match (write_down, batch.back_to) {
            (Some(write_down), _) => write_down.run().await?,
            (None, Some(turn)) => HeapCommit::BackTo(turn),
            (None, None) if batch.has_turns() => {
                return Err(StoreError::Damaged("the instance left memory before its commit".to_owned()));
            }
            (None, None) => HeapCommit::Unchanged,
        };
        let store = Arc::clone(&self.manager.store);
        store.commit(WorkerCommit { epoch, record: self.record.clone(), heap, events: batch.events() }).await
    }

    /// Tells whoever waits for a batch that it was lost.
    async fn lose(&mut self, batch: Batch, error: &StoreError) {
        tracing::error!(worker = %self.handle.key, turns = batch.turns, "turns cannot be kept: {error}");
        self.instance = None;
        // It goes on as the store has it.
        self.epoch = None;
        let lost = error_of_store(&self.handle.key, error);
        let asks_again = matches!(error, StoreError::Unavailable(_) | StoreError::NotOwner);
        for departure in batch.departures {
            match departure {
                // It may be committed all the same, or another host has the worker: the one that called asks again, and
                // is told what became of it.
                Departure::Answer { sender: Sender::Worker { .. }, id, .. } if asks_again => {
                    self.handle.forget_call(&id);
                }
                Departure::Answer { sender, id, .. } => self.answer(sender, id, Err(lost.clone())),
                Departure::Effects(_) | Departure::Forget { .. } | Departure::WaitsEnd | Departure::Lifecycle(_) => {}
            }
        }
        if batch.comes_again && !matches!(error, StoreError::NotOwner) {
            drop(batch.active);
            self.manager.clock.sleep_until(self.manager.now().saturating_add(STORE_DELAY_MS)).await;
        }
    }

    /// Lets leave all that is held back: the worker is removed, and no commit follows.
    pub(super) fn let_all_leave(&mut self) {
        for departure in std::mem::take(&mut self.batch).departures {
            self.let_leave(departure);
        }
    }

    /// Lets leave what was held back.
    fn let_leave(&mut self, departure: Departure) {
        match departure {
            Departure::Answer { sender, id, answer } => self.answer(sender, id, answer),
            Departure::Effects(effects) => self.release(*effects),
            Departure::Forget { callee, id } => self.manager.forget_reply(&callee, id),
            Departure::WaitsEnd => self.manager.finish_waits(&self.handle.key),
            Departure::Lifecycle(change) => self.manager.tell_lifecycle(&self.handle.key, change),
        }
    }
}
