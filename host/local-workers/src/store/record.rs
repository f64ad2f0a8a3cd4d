//! The record of a worker: its stored state beside its heap.

use elias_capabilities::Cause;
use elias_host::ReplyResult;
use elias_workers::{Timers, WorkerKey};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Bytes that a worker with a task takes beside the values in its record, as they are counted.
const RECORD_BYTES: usize = 1_024;

/// Bytes that a call takes beside its texts, as they are counted: its id, its cause, its place in the record.
const CALL_BYTES: usize = 256;

/// What is kept of a worker beside its heap. Stores keep it as JSON, by serde, and look into it by its methods alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Which worker.
    pub key: WorkerKey,
    /// How many turns were committed.
    pub turns: u64,
    /// The time of the last turn, in milliseconds since 1970. Time does not go back for a worker.
    pub now: u64,
    /// Its timers and alarms.
    #[serde(default)]
    pub(crate) timers: Timers,
    /// The handler that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waiting: Option<WaitingHandler>,
    /// Its calls to others that have no answer, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) calls: BTreeMap<u64, OutgoingCall>,
    /// Replies to calls of other workers, until the caller has committed them.
    #[serde(default, rename = "answers", skip_serializing_if = "StoredReplies::is_empty")]
    pub(crate) replies: StoredReplies,
    /// The ids of the sockets that its heap has.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) sockets: BTreeSet<String>,
    /// The messages that it has handled and that may come again.
    #[serde(default, skip_serializing_if = "HandledMessages::is_empty")]
    pub(crate) handled: HandledMessages,
    /// What it was before a deployment moved it to the version that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before_upgrade: Option<BeforeUpgrade>,
    /// The code that its heap was swapped into; none if that has the code of its own version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<SwappedCode>,
}

/// The code of a version, which the heap of another one has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwappedCode {
    /// [`WorkerCode::name`](elias_host::WorkerCode::name).
    pub name: String,
    /// The version, as `onUpgrade(from)` of a later one is told it.
    pub version: String,
}

impl WorkerRecord {
    /// Of a worker that has had no turn.
    #[must_use]
    pub fn new(key: WorkerKey) -> Self {
        Self {
            key,
            turns: 0,
            now: 0,
            timers: Timers::default(),
            waiting: None,
            calls: BTreeMap::new(),
            replies: StoredReplies::default(),
            sockets: BTreeSet::new(),
            handled: HandledMessages::default(),
            before_upgrade: None,
            code: None,
        }
    }

    /// Whether a handler waits.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// When the next timer or alarm may enter, in milliseconds since 1970.
    #[must_use]
    pub fn next_due(&self) -> Option<u64> {
        self.timers.next(self.is_waiting()).map(|(at, _)| at)
    }

    /// Whether calls of it have no answer, or it has sockets: whoever begins to run it goes on with the calls, and
    /// tells it that the connections of a former process were lost.
    #[must_use]
    pub fn has_calls(&self) -> bool {
        !self.calls.is_empty() || !self.sockets.is_empty()
    }

    /// Where a handler waits: the turn of before it, whose heap a store has to give until a commit without it. None if
    /// the worker had had no turn then.
    #[must_use]
    pub fn restorable_turn(&self) -> Option<u64> {
        self.waiting.as_ref().and_then(|waiting| waiting.restorable_turn)
    }

    /// Where a rollout that is under way moved the worker to another version: the turn of before it, whose heap a store
    /// has to give likewise.
    #[must_use]
    pub fn upgraded_from_turn(&self) -> Option<u64> {
        self.before_upgrade.as_ref().filter(|before| before.is_kept).map(|before| before.turn)
    }

    /// Bytes of the values of calls that have no answer.
    pub(crate) fn call_bytes(&self) -> usize {
        self.calls.values().map(|call| call.value.len()).sum()
    }

    /// Bytes that calls without an answer and timers take in memory, which a handler that waits keeps once more to be
    /// undone: a worker may have 10,000 of them that have no values, and names that are long.
    pub(crate) fn undoable_bytes(&self) -> usize {
        bytes_of_calls(&self.calls) + self.timers.memory_bytes()
    }

    /// Bytes of what its worker may have much of: of calls and timers, of those that a handler that waits or a rollback
    /// puts the worker back to, of the answers that the handler has had, and of stored replies.
    pub(crate) fn value_bytes(&self) -> usize {
        let bytes_before = |waiting: &WaitingHandler| {
            bytes_of_calls(&waiting.calls) + waiting.timers.memory_bytes() + waiting.received_bytes()
        };
        let before = self.waiting.as_ref().map_or(0, bytes_before);
        let upgrades = self.before_upgrade.iter().flat_map(|last| std::iter::once(last).chain(last.earlier.as_deref()));
        let moved = upgrades.map(|before| bytes_of_calls(&before.calls) + before.timers.memory_bytes()).sum::<usize>();
        self.undoable_bytes() + before + moved + self.replies.bytes()
    }

    /// Bytes that it takes in memory: those of its values, and as many for the rest as a worker takes without any.
    pub(crate) fn memory_bytes(&self) -> usize {
        RECORD_BYTES + self.value_bytes()
    }
}

/// A handler that waits for other workers or timers, and what the worker was before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WaitingHandler {
    /// The id of its message.
    pub(crate) id: String,
    /// The worker that waits for its answer, and the number of that one's call.
    #[serde(default)]
    pub(crate) caller: Option<(WorkerKey, u64)>,
    /// Whether the message may come again.
    #[serde(default)]
    pub(crate) repeats: bool,
    /// What caused it.
    #[serde(default)]
    pub(crate) cause: Cause,
    /// The committed turn of before it; none if that was the worker's first.
    #[serde(default)]
    pub(crate) restorable_turn: Option<u64>,
    pub(crate) timers: Timers,
    pub(crate) calls: BTreeMap<u64, OutgoingCall>,
    #[serde(default)]
    pub(crate) sockets: BTreeSet<String>,
    /// The answers that the worker has had meanwhile, by callee and id. Their callees keep them until the handler is
    /// done: a worker that is put back asks again.
    #[serde(default)]
    pub(crate) received: VecDeque<(WorkerKey, String)>,
}

impl WaitingHandler {
    /// Answers that it remembers at most: they are written with each turn, and a handler may go on for ever.
    pub(crate) const RECEIVED_MAX: usize = StoredReplies::MAX;

    /// Remembers an answer. Of the oldest, if there are too many, the callee is not told that it may forget it: it
    /// does so when it has stored too many others.
    pub(crate) fn receive(&mut self, callee: WorkerKey, id: String) {
        if self.received.len() >= Self::RECEIVED_MAX {
            self.received.pop_front();
        }
        self.received.push_back((callee, id));
    }

    fn received_bytes(&self) -> usize {
        self.received.iter().map(|(callee, id)| callee.class.len() + callee.name.len() + id.len()).sum()
    }
}

/// What a worker was before it was moved to another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BeforeUpgrade {
    /// The deployment that moved it.
    pub(crate) deployment: String,
    /// The version of before.
    pub(crate) version: String,
    /// The last turn in that version.
    pub(crate) turn: u64,
    /// Whether the heap of that turn is kept beyond the history: while the rollout is under way.
    pub(crate) is_kept: bool,
    #[serde(default)]
    pub(crate) timers: Timers,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) calls: BTreeMap<u64, OutgoingCall>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) sockets: BTreeSet<String>,
    /// As of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<SwappedCode>,
    /// What it was before the deployment that this one is to take the place of: both may be rolled back at once. No
    /// earlier ones are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) earlier: Option<Box<BeforeUpgrade>>,
}

/// A call to another worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutgoingCall {
    pub(crate) id: String,
    pub(crate) to: WorkerKey,
    pub(crate) method: Option<String>,
    pub(crate) value: String,
    /// What caused the turn that made it.
    #[serde(default)]
    pub(crate) cause: Cause,
}

/// The replies that a worker has stored for other workers, the oldest first. Callers fetch theirs at once; those whose
/// replies are left were put back or ended, or have gone on with one handler for long.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct StoredReplies(VecDeque<(String, ReplyResult)>);

impl StoredReplies {
    /// Replies at most.
    pub(crate) const MAX: usize = 1_000;
    /// Bytes of them at most, by which a record is bounded that is written with each turn. One alone may have more.
    pub(crate) const BYTES_MAX: usize = 16 << 20;

    /// Stores the reply to the call of this id. Gives how many older ones are forgotten for it.
    pub(crate) fn store(&mut self, id: &str, result: ReplyResult) -> usize {
        self.forget(id);
        let mut bytes = self.bytes() + bytes_of(id, &result);
        let mut forgotten = 0;
        while self.0.len() >= Self::MAX || bytes > Self::BYTES_MAX {
            let Some((id, result)) = self.0.pop_front() else { break };
            bytes -= bytes_of(&id, &result);
            forgotten += 1;
        }
        self.0.push_back((id.to_owned(), result));
        forgotten
    }

    /// The reply to the call of this id.
    pub(crate) fn get(&self, id: &str) -> Option<&ReplyResult> {
        self.0.iter().find(|(stored, _)| stored == id).map(|(_, result)| result)
    }

    /// Forgets the reply to the call of this id; whether there was one.
    pub(crate) fn forget(&mut self, id: &str) -> bool {
        let position = self.0.iter().position(|(stored, _)| stored == id);
        position.and_then(|position| self.0.remove(position)).is_some()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(|(id, result)| bytes_of(id, result)).sum()
    }
}

/// The ids of the last messages that a worker has handled and that may come again, the oldest first: a trigger sends
/// its message until it is told that it was handled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct HandledMessages(VecDeque<String>);

impl HandledMessages {
    /// Ids at most. They are written with each turn.
    pub(crate) const MAX: usize = 128;
    /// Bytes of the longest id.
    pub(crate) const ID_BYTES_MAX: usize = 64;

    /// Adds an id; the oldest goes if there are too many.
    pub(crate) fn add(&mut self, id: &str) {
        if self.0.len() >= Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back(id.to_owned());
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.0.iter().any(|known| known == id)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes that a call takes in memory.
pub(crate) fn bytes_of_call(class: &str, name: &str, method: Option<&str>, value: &str) -> usize {
    CALL_BYTES + class.len() + name.len() + method.map_or(0, str::len) + value.len()
}

/// Bytes that calls take in memory.
fn bytes_of_calls(calls: &BTreeMap<u64, OutgoingCall>) -> usize {
    let bytes = |OutgoingCall { to, method, value, .. }: &OutgoingCall| {
        bytes_of_call(&to.class, &to.name, method.as_deref(), value)
    };
    calls.values().map(bytes).sum()
}

fn bytes_of(id: &str, result: &ReplyResult) -> usize {
    let value = match result {
        ReplyResult::Value(value) => value.len(),
        ReplyResult::Error(error) => error.name.len() + error.message.len(),
    };
    id.len() + value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_replies_are_bounded_by_number_and_bytes_and_the_oldest_go() {
        let value = |bytes: usize| ReplyResult::Value("x".repeat(bytes));
        let mut replies = StoredReplies::default();
        for number in 0..StoredReplies::MAX {
            assert_eq!(replies.store(&number.to_string(), value(1)), 0);
        }
        assert_eq!(replies.store("more", value(1)), 1);
        assert_eq!((replies.get("0"), replies.get("more")), (None, Some(&value(1))));
        assert_eq!(replies.store("more", value(2)), 0, "in place of the one of its id");
        assert!(replies.store("large", value(StoredReplies::BYTES_MAX)) >= StoredReplies::MAX - 1);
        assert!(replies.forget("large") && !replies.forget("large") && replies.is_empty());
    }

    #[test]
    fn the_last_answers_of_a_handler_that_goes_on_are_remembered() {
        let text =
            r#"{ "id": "1", "timers": {}, "calls": {}, "received": [[{ "class": "A", "name": "a" }, "first"]] }"#;
        let mut handler: WaitingHandler = serde_json::from_str(text).expect("it is read");
        for number in 0..WaitingHandler::RECEIVED_MAX {
            handler.receive(WorkerKey::new("A", "a"), number.to_string());
        }
        assert_eq!(handler.received.len(), WaitingHandler::RECEIVED_MAX);
        assert_eq!(handler.received.front(), Some(&(WorkerKey::new("A", "a"), "0".to_owned())));
    }

    #[test]
    fn calls_that_a_rollback_brings_back_are_counted() {
        let key = WorkerKey::new("A", "a");
        let call = OutgoingCall {
            id: "id".to_owned(),
            to: key.clone(),
            method: None,
            value: "x".repeat(100),
            cause: Cause::default(),
        };
        let mut record = WorkerRecord::new(key);
        let empty = record.memory_bytes();
        record.before_upgrade = Some(BeforeUpgrade {
            deployment: "d".to_owned(),
            version: "1".to_owned(),
            turn: 1,
            is_kept: true,
            timers: Timers::default(),
            calls: BTreeMap::from([(1, call)]),
            sockets: BTreeSet::new(),
            code: None,
            earlier: None,
        });
        assert!(record.memory_bytes() >= empty + 100);
    }

    #[test]
    fn the_names_of_calls_callees_and_alarms_are_counted_as_values_are() {
        let mut record = WorkerRecord::new(WorkerKey::new("A", "a"));
        let (empty, to, cause) = (record.memory_bytes(), WorkerKey::new("B", "x".repeat(100)), Cause::default());
        let method = Some("y".repeat(200));
        record
            .calls
            .insert(1, OutgoingCall { id: "id".to_owned(), to: to.clone(), method, value: String::new(), cause });
        let with_call = record.memory_bytes();
        assert!(with_call >= empty + 300, "{with_call}");
        assert_eq!(record.call_bytes(), 0, "the bound of their values is another one");
        let text = r#"{ "id": "1", "timers": {}, "calls": {} }"#;
        let mut handler: WaitingHandler = serde_json::from_str(text).expect("it is read");
        handler.receive(to, "id".to_owned());
        record.waiting = Some(handler);
        let with_handler = record.memory_bytes();
        assert!(with_handler >= with_call + 100, "{with_handler}");
        record.timers.set_alarm("z".repeat(100), Some(1));
        assert!(record.memory_bytes() >= with_handler + 100);
    }

    #[test]
    fn the_last_messages_are_remembered() {
        let mut handled = HandledMessages::default();
        (0..=HandledMessages::MAX).for_each(|number| handled.add(&number.to_string()));
        let last = HandledMessages::MAX.to_string();
        assert_eq!((handled.contains("0"), handled.contains("1"), handled.contains(&last)), (false, true, true));
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut record = WorkerRecord::new(WorkerKey::new("A", "a"));
        record.replies.store("1", ReplyResult::Value("2".to_owned()));
        record.handled.add("job");
        let cause = Cause { traceparent: Some("00-1-2-3".to_owned()), hops: 2 };
        let call = OutgoingCall { id: "1".into(), to: record.key.clone(), method: None, value: "3".into(), cause };
        record.calls.insert(7, call);
        record.code = Some(SwappedCode { name: "0123".to_owned(), version: "2".to_owned() });
        let text = serde_json::to_string(&record).expect("it is written");
        assert!(text.contains(r#""answers":[["1","#), "as stores have it: {text}");
        assert_eq!(serde_json::from_str::<WorkerRecord>(&text).expect("it is read"), record);
    }
}
