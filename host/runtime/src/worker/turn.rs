//! Turns as JSON: what a worker is given, and what it gives. The types are those of `elias:triggers/worker`.

use crate::execution::Execution;
use serde::{Deserialize, Deserializer, Serialize};

/// One turn of a worker. Values (`args`, `message`, `value`) are texts in the encoding of structured clone, which the
/// host does not look into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Which of the component's classes the worker is of.
    pub class: String,
    /// The worker's name. Class and name are the same in all turns of a heap.
    pub name: String,
    /// The id of the message, a UUID; of a reply, the id of the turn that it belongs to.
    pub id: String,
    /// The time at which the turn begins, in milliseconds since 1970.
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
    /// A timer of `setTimeout` or `setInterval` is due.
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
    /// Calls `onStop`.
    Stop {
        /// Why the worker stops.
        reason: String,
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
    /// The record of the execution, with its cost.
    pub execution: Execution,
}

/// What a worker gave at the end of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnResult {
    /// Whether the handler is done.
    pub state: TurnState,
    /// What it returned, if it is done and was a call or a message.
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
    /// Timers that were set.
    #[serde(default)]
    pub set: Vec<SetTimer>,
    /// The numbers of timers that were cleared.
    #[serde(default)]
    pub cleared: Vec<u64>,
    /// All alarms that are set from now on; none if they are as before.
    #[serde(default, deserialize_with = "alarms", skip_serializing_if = "Option::is_none")]
    pub alarm: Option<Vec<Alarm>>,
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

/// The alarms where the member is there: `null` for none at all.
fn alarms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Alarm>>, D::Error> {
    Ok(Some(Option::<Vec<Alarm>>::deserialize(deserializer)?.unwrap_or_default()))
}
