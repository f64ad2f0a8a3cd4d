//! What a turn has done outside of its worker, over all of its attempts: the keys of its outward calls, and what calls
//! and steps gave, within the memory of all workers.

use super::Actor;
use elias_capabilities::turn::{TurnCalls, TurnJournal, uuid_of};
use elias_capabilities::workflow::{
    BeginAnswer, Error, ErrorCode, EventWait, Journal, JournalHandle, MemoryJournal, SleepAnswer, WaitAnswer,
};
use elias_host::{Alarm, TurnKind};
use elias_workers::{DueTimer, MemoryBudget, MemoryReservation};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of the results of calls that a turn may keep for a further attempt, and of its steps.
const JOURNAL_BYTES_MAX: usize = 4 << 20;

/// Bytes that a step takes beside its name and its outcome, as they are counted.
const STEP_BYTES: usize = 256;

/// The journals of a turn.
pub(super) struct AttemptJournal {
    calls: TurnJournal,
    steps: Arc<TurnSteps>,
    handle: JournalHandle,
}

impl AttemptJournal {
    /// The calls of an attempt that begins, and the steps of all attempts.
    pub(super) fn attempt(&self) -> (TurnCalls, JournalHandle) {
        (self.calls.attempt(), self.handle.clone())
    }

    /// The name of a call that a former attempt has made, and the one of these calls has not. In a turn with steps
    /// nothing is missed: what a step has called is not called again, and steps have their own order.
    pub(super) fn missed(&self, calls: &TurnCalls) -> Option<String> {
        if *self.steps.bytes.lock() > 0 { None } else { calls.missed() }
    }
}

impl Actor {
    /// The empty journals of a turn that is to be tried.
    pub(super) fn journal(&self, id: &str, kind: &TurnKind) -> AttemptJournal {
        let memory = &self.manager.settings.memory;
        let identity = self.identity(id, kind);
        let parts: Vec<&str> = identity.iter().map(String::as_str).collect();
        let steps = TurnSteps {
            journal: MemoryJournal::new(self.manager.clock.clone()),
            held: HeldBytes::new(memory),
            bytes: Mutex::default(),
        };
        let steps = Arc::new(steps);
        let handle = JournalHandle::new(&uuid_of(&parts), Arc::clone(&steps) as Arc<dyn Journal>);
        let held = HeldBytes::new(memory);
        AttemptJournal { calls: TurnJournal::new(identity, move |bytes| held.hold(bytes)), steps, handle }
    }

    /// What is the same of a turn in each attempt, also in another process and on another host, and of no other turn:
    /// the message that it handles, the reply with which its handler goes on, or what is due and when. The number of
    /// the turn is not: where commits were lost, another message may have it.
    fn identity(&self, id: &str, kind: &TurnKind) -> Vec<String> {
        let record = &self.record;
        // A turn of a handler that waits has the id of its message; that of another timer is new in each process.
        let handler = record.waiting.as_ref().map_or_else(String::new, |waiting| waiting.id.clone());
        let own = match kind {
            TurnKind::Reply { call, .. } => {
                let made = record.calls.get(call).map_or_else(|| id.to_owned(), |made| made.id.clone());
                vec!["reply".to_owned(), handler, made]
            }
            TurnKind::Timer { timer } => {
                let at = record.timers.due_at(&DueTimer::Timer(*timer)).unwrap_or_default();
                vec!["timer".to_owned(), handler, timer.to_string(), at.to_string()]
            }
            TurnKind::Alarm { alarm: Alarm { name, at } } => {
                vec!["alarm".to_owned(), handler, name.clone(), at.to_string()]
            }
            _ => vec!["message".to_owned(), id.to_owned()],
        };
        let key = &self.handle.key;
        [key.class.clone(), key.name.clone()].into_iter().chain(own).collect()
    }
}

/// Bytes of the memory of all workers that a journal holds until it is dropped.
struct HeldBytes {
    memory: Arc<MemoryBudget>,
    held: Mutex<Option<MemoryReservation>>,
}

impl HeldBytes {
    /// None yet: most turns call nothing.
    fn new(memory: &Arc<MemoryBudget>) -> Self {
        Self { memory: Arc::clone(memory), held: Mutex::new(None) }
    }

    /// Holds so many bytes in all; whether there is room for them.
    fn hold(&self, bytes: usize) -> bool {
        if bytes > JOURNAL_BYTES_MAX {
            return false;
        }
        let mut held = self.held.lock();
        if let Some(reservation) = &mut *held {
            return reservation.resize(bytes).is_ok();
        }
        *held = self.memory.reserve(bytes).ok();
        held.is_some()
    }
}

/// The steps of a turn. A worker waits by timers, and so has no durable sleeps and waits.
struct TurnSteps {
    journal: MemoryJournal,
    held: HeldBytes,
    /// Bytes of the steps so far.
    bytes: Mutex<usize>,
}

impl TurnSteps {
    /// Holds so many bytes more.
    fn grow(&self, more: usize) -> Result<(), Error> {
        let mut bytes = self.bytes.lock();
        let grown = bytes.saturating_add(more);
        if !self.held.hold(grown) {
            let message = format!(
                "the results of the steps of a turn have at most {JOURNAL_BYTES_MAX} bytes together, and all workers \
                 what is left of `worker-memory-bytes`"
            );
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        *bytes = grown;
        Ok(())
    }
}

/// Why a worker has no durable sleeps and waits.
fn no_sleep<T: Send + 'static>() -> BoxFuture<'static, Result<T, Error>> {
    let message = "a service worker waits by setTimeout, worker.after or its messages, and not by step.sleep and \
                   step.waitFor";
    ready(Err(Error::new(ErrorCode::NotInAJob, message))).boxed()
}

impl Journal for TurnSteps {
    fn begin(&self, position: u32, name: String, input_hash: String) -> BoxFuture<'static, Result<BeginAnswer, Error>> {
        match self.grow(STEP_BYTES + name.len()) {
            Ok(()) => self.journal.begin(position, name, input_hash),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn finish(&self, position: u32, outcome: String) -> BoxFuture<'static, Result<(), Error>> {
        match self.grow(outcome.len()) {
            Ok(()) => self.journal.finish(position, outcome),
            Err(error) => ready(Err(error)).boxed(),
        }
    }

    fn sleep(&self, _: u32, _: String, _: Duration) -> BoxFuture<'static, Result<SleepAnswer, Error>> {
        no_sleep()
    }

    fn wait_for(&self, _: u32, _: String, _: EventWait) -> BoxFuture<'static, Result<WaitAnswer, Error>> {
        no_sleep()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_capabilities::trigger::Clock;

    fn steps(memory: usize) -> TurnSteps {
        let memory = MemoryBudget::new("test-bytes", memory);
        TurnSteps {
            journal: MemoryJournal::new(Clock::system()),
            held: HeldBytes::new(&memory),
            bytes: Mutex::default(),
        }
    }

    async fn begin(steps: &TurnSteps, position: u32, name: &str) -> Result<BeginAnswer, ErrorCode> {
        steps.begin(position, name.to_owned(), String::new()).await.map_err(|error| error.code)
    }

    #[tokio::test]
    async fn a_further_attempt_has_the_steps_of_a_former_one_in_their_order() {
        let steps = steps(usize::MAX);
        assert_eq!(begin(&steps, 0, "charge").await, Ok(BeginAnswer::Run));
        steps.finish(0, "{}".to_owned()).await.expect("it was begun");
        assert_eq!(begin(&steps, 0, "charge").await, Ok(BeginAnswer::Recorded("{}".to_owned())));
        assert_eq!(begin(&steps, 0, "ship").await, Err(ErrorCode::NondeterministicStep));
        let slept = steps.sleep(1, "a day".to_owned(), Duration::from_secs(1)).await.map_err(|error| error.code);
        assert_eq!(slept, Err(ErrorCode::NotInAJob));
    }

    #[tokio::test]
    async fn steps_are_bounded_by_their_bytes_and_by_the_memory_of_all_workers() {
        let outcome = |bytes: usize| "x".repeat(bytes);
        let bounded = steps(usize::MAX);
        assert_eq!(begin(&bounded, 0, "a").await, Ok(BeginAnswer::Run));
        let refused = bounded.finish(0, outcome(JOURNAL_BYTES_MAX)).await.expect_err("it is too large");
        assert_eq!(refused.code, ErrorCode::TooLarge);
        bounded.finish(0, outcome(JOURNAL_BYTES_MAX / 2)).await.expect("it is within the bound");
        let crowded = steps(STEP_BYTES + 10);
        assert_eq!(begin(&crowded, 0, "a").await, Ok(BeginAnswer::Run));
        assert!(crowded.finish(0, outcome(10)).await.is_err());
        assert_eq!(crowded.finish(0, outcome(9)).await, Ok(()));
    }
}
