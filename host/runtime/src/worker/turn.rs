//! Turns as JSON: what a worker is given, and what it gives. The types are those of `elias:triggers/worker`.

use crate::error::Error;
use crate::execution::Execution;
use crate::json_export;
use crate::run::ExecutionRecord;
use elias_contract::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

// The bounds of a result. The engine keeps them as well; but a component may bring another engine. Characters are
// UTF-16 units.
const RESULT_BYTES_MAX: usize = 48 << 20;
const MESSAGES_MAX: usize = 1_000;
const VALUE_CHARACTERS_MAX: usize = 1 << 20;
/// Of all messages and events together.
const VALUES_CHARACTERS_MAX: usize = 8 << 20;
/// Timers that are set at a time, and so those that a turn sets or clears.
const TIMERS_MAX: usize = 10_000;
/// Alarms that are set at a time are half as many, all of which a turn can clear and set others.
const ALARMS_MAX: usize = 2_000;
const NAME_CHARACTERS_MAX: usize = 256;

/// One turn of a worker. Values (`args`, `message`, `value`) are texts in the encoding of structured clone, which the
/// host does not look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Which of the component's classes the worker is of.
    pub class: String,
    /// The worker's name. Class and name are the same in all turns of a heap.
    pub name: String,
    /// The id of the message, a UUID. Replies and timers that go on with a handler which waits have that handler's.
    pub id: String,
    /// The time by which timers and alarms are set, in milliseconds since 1970. It does not go back from one turn of a
    /// heap to the next.
    pub now: u64,
    /// What the turn is for.
    #[serde(flatten)]
    pub kind: TurnKind,
}

/// What a turn is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TurnKind {
    /// The first turn of a new worker: makes the object, and calls `onStart`.
    Start,
    /// Calls a method.
    Call {
        /// The method's name.
        method: String,
        /// The list of its arguments.
        args: String,
    },
    /// Calls `onMessage`.
    Message {
        /// The message.
        message: String,
    },
    /// Calls `onAlarm`.
    Alarm {
        /// The alarm that is due.
        alarm: Alarm,
    },
    /// A timer of `setTimeout` or `setInterval` is due, and is not set any more.
    Timer {
        /// Its number.
        timer: u64,
    },
    /// The end of a call that the worker made to another.
    Reply {
        /// The call's number.
        call: u64,
        /// How it ended.
        #[serde(flatten)]
        result: ReplyResult,
    },
    /// The last turn: calls `onStop`.
    Stop {
        /// Why the worker stops.
        reason: Value,
    },
}

/// How a call to another worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyResult {
    /// With this value.
    Value(String),
    /// With an exception.
    Error(ReplyError),
}

/// The exception with which a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyError {
    /// The error's class, such as `TypeError`.
    pub name: String,
    /// The error's message.
    pub message: String,
}

/// A durable timer with a name: `worker.after`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// Its name.
    pub name: String,
    /// When it is due, in milliseconds since 1970.
    pub at: u64,
}

/// How a turn ended that did not fail.
#[derive(Debug, Clone)]
pub struct TurnOutcome {
    /// What the worker gave.
    pub result: TurnResult,
    /// Bytes of the pages of the heap that the turn changed.
    pub changed_bytes: u64,
    /// The record of the execution, with its cost.
    pub execution: Execution,
}

/// What a worker gave at the end of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnResult {
    /// Whether the handler is done.
    pub state: TurnState,
    /// The handler that is done or waits, by the id of its turn; else the id of this turn.
    pub id: String,
    /// What the handler returned, if it is done and was a call or a message.
    #[serde(default)]
    pub answer: Option<String>,
    /// Calls and messages to other workers, in order.
    #[serde(default)]
    pub sends: Vec<WorkerSend>,
    /// Changes of the worker's timers.
    #[serde(default)]
    pub timers: TimerChanges,
    /// The worker's own events, in order.
    #[serde(default)]
    pub emitted: Vec<EmittedEvent>,
}

impl TurnResult {
    /// Reads what a worker gave.
    ///
    /// # Errors
    /// As [`json_export::read_output`]; `trap` also for what exceeds a bound. They have ended the record.
    pub(super) fn read(record: &ExecutionRecord, output: &str) -> Result<Self, Error> {
        let too_large = |what: &str| {
            let message = format!("the result of the worker's turn has more than its interface allows: {what}");
            record.fail(Error::new(ErrorCode::Trap, message))
        };
        if output.len() > RESULT_BYTES_MAX {
            return Err(too_large("bytes"));
        }
        let result: Self = json_export::read_output(record, output)?;
        match result.exceeded() {
            Some(what) => Err(too_large(what)),
            None => Ok(result),
        }
    }

    /// Names what exceeds its bound.
    pub(super) fn exceeded(&self) -> Option<&'static str> {
        let Self { state: _, id, answer, sends, timers, emitted } = self;
        let TimerChanges { set, cleared, alarm } = timers;
        let sent = sends.iter().map(|send| &send.value);
        let values = || sent.clone().chain(emitted.iter().map(|event| &event.value));
        let of_sends = sends.iter().flat_map(|send| [Some(&send.class), Some(&send.name), send.method.as_ref()]);
        let mut names = of_sends.flatten().chain(emitted.iter().map(|event| &event.event)).chain([id]);
        [
            (sends.len() > MESSAGES_MAX, "messages"),
            (emitted.len() > MESSAGES_MAX, "events"),
            (set.len() > TIMERS_MAX || cleared.len() > TIMERS_MAX, "timers"),
            (alarm.len() > ALARMS_MAX, "alarms"),
            (names.any(|name| characters(name) > NAME_CHARACTERS_MAX), "characters of a name"),
            (alarm.iter().any(|alarm| characters(&alarm.name) > NAME_CHARACTERS_MAX), "characters of a name"),
            (values().chain(answer).any(|value| characters(value) > VALUE_CHARACTERS_MAX), "characters of a value"),
            (values().map(|value| characters(value)).sum::<usize>() > VALUES_CHARACTERS_MAX, "characters of values"),
        ]
        .into_iter()
        .find_map(|(is_exceeded, what)| is_exceeded.then_some(what))
    }
}

/// The length of a text in JavaScript: its UTF-16 units.
fn characters(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Whether a handler is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnState {
    /// It is.
    Done,
    /// It awaits other workers or durable timers, and nothing else is under way.
    Waiting,
}

/// A call or a message to another worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSend {
    /// The number with which the reply is to come; none if nobody waits for one.
    #[serde(default)]
    pub call: Option<u64>,
    /// The other worker's class.
    pub class: String,
    /// The other worker's name.
    pub name: String,
    /// The method; none for a message.
    #[serde(default)]
    pub method: Option<String>,
    /// The list of arguments, or the message.
    pub value: String,
}

/// Changes of a worker's timers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerChanges {
    /// Timers that were set, or are due at another time.
    #[serde(default)]
    pub set: Vec<SetTimer>,
    /// The numbers of timers that are not set any more.
    #[serde(default)]
    pub cleared: Vec<u64>,
    /// The alarms that were set, each in place of one of its name, or cleared.
    #[serde(default)]
    pub alarm: Vec<AlarmChange>,
}

/// A change of an alarm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmChange {
    /// Its name.
    pub name: String,
    /// When it is due, in milliseconds since 1970; none: it was cleared.
    pub at: Option<u64>,
}

/// A timer that was set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTimer {
    /// Its number.
    pub timer: u64,
    /// When it is due, in milliseconds since 1970.
    pub at: u64,
}

/// An event of the worker's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmittedEvent {
    /// The event's name.
    pub event: String,
    /// What goes with it.
    pub value: String,
}
