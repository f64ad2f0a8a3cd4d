//! Turns as JSON: the input of a worker and its output. The types are those of `elias:triggers/worker`.

use crate::error::Error;
use crate::execution::Execution;
use crate::json_export;
use crate::run::ExecutionRecord;
use elias_contract::ErrorCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

// The bounds of a result. The engine keeps them as well; but a component may bring another engine. Characters are
// UTF-16 units.
const RESULT_BYTES_MAX: usize = 64 << 20;
const MESSAGES_MAX: usize = 1_000;
const VALUE_CHARACTERS_MAX: usize = 1 << 20;
/// Of the whole worker: the answer of [`TurnKind::Inspect`] and [`TurnKind::Export`].
const STATE_CHARACTERS_MAX: usize = 16 << 20;
/// Of all messages and events together.
const VALUES_CHARACTERS_MAX: usize = 8 << 20;
/// Timers that are set at a time, and so those that a turn sets or clears.
const TIMERS_MAX: usize = 10_000;
/// Alarms that are set at a time are half as many, all of which a turn can clear and set others.
const ALARMS_MAX: usize = 2_000;
const NAME_CHARACTERS_MAX: usize = 256;
/// Messages to sockets, which may go to each that is open.
const SOCKET_MESSAGES_MAX: usize = 10_000;
/// Of all messages to sockets together.
const SOCKET_CHARACTERS_MAX: usize = 8 << 20;
/// Of the reason of a close (RFC 6455, 5.5.1).
const CLOSE_REASON_BYTES_MAX: usize = 123;

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

/// The reason for a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
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
    /// Looks at the worker, also while a handler waits. The answer is the value of
    /// `{ class, name, fields, context }`, in which what cannot be cloned is a string such as `[Function add]`. The
    /// turn runs code of the worker where a field is an accessor, and is to be undone.
    Inspect,
    /// Gives the worker's state as the answer, for [`Self::Upgrade`]: what structured clone can copy of its fields and
    /// context, its alarms and its sockets. `DataCloneError` with the path of what it cannot copy. It changes nothing,
    /// and is refused while a handler waits.
    Export,
    /// The first turn of a worker that another version of the component had: makes the object, and calls `onUpgrade`,
    /// or without it assigns the fields.
    ///
    /// The host keeps the worker's alarms and sockets, which the state has too, and forgets its timers, of which the
    /// new version has none: their numbers begin anew. Answers to calls of the former version are nobody's.
    Upgrade {
        /// Which version of the component had the worker, for people.
        version: String,
        /// The answer of [`Self::Export`], of at most 16,777,216 characters.
        state: String,
    },
    /// Puts the code of another version under the worker's objects, which stay as they are; so do its timers, alarms,
    /// sockets and calls. A worker that has that code already is left as it is. Fails with what does not fit, and is
    /// refused while a handler waits.
    Swap {
        /// The code's name: [`WorkerCode::name`](crate::WorkerCode::name).
        code: String,
        /// [`WorkerCode::source`](crate::WorkerCode::source).
        source: String,
    },
    /// The first turn of a worker whose heap is a copy of another one's: it has the turn's name from here on, and no
    /// sockets. Calls nothing, and is refused while a handler waits. The answer is the name of the code that the worker
    /// was swapped into, none if it was not.
    Copy {
        /// The name of the worker that was copied, which is of the same class.
        of: String,
    },
    /// Calls `onHealth`. The answer is what it returned: the worker is well unless that is `false`, or it threw.
    Health,
    /// Calls `onOpen`: a client has connected. A turn that fails has no socket, and the connection is to be closed.
    Open {
        /// The socket's id: not empty, of at most 256 characters, and no other's of this worker.
        socket: String,
        /// The request by which it was opened.
        request: SocketRequest,
    },
    /// Calls `onWebSocketMessage`. Nothing happens if the worker has closed the socket.
    SocketMessage {
        /// The socket's id.
        socket: String,
        /// The message.
        #[serde(flatten)]
        content: SocketContent,
    },
    /// Calls `onClose`: the socket is closed. Nothing happens if the worker closed it itself.
    Close {
        /// The socket's id.
        socket: String,
        /// The status code, as of RFC 6455: 1006 if the connection was lost.
        code: u16,
        /// The reason that the other side gave; may be empty.
        reason: String,
    },
}

impl TurnKind {
    /// The most characters of the answer of such a turn.
    pub(super) fn answer_characters_max(&self) -> usize {
        match self {
            Self::Inspect | Self::Export => STATE_CHARACTERS_MAX,
            _ => VALUE_CHARACTERS_MAX,
        }
    }
}

/// The request by which a socket was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketRequest {
    /// Its URL.
    pub url: String,
    /// Its header fields, names and values, in order.
    pub headers: Vec<(String, String)>,
    /// The subprotocol that was agreed on; empty without one.
    pub protocol: String,
    /// What the client takes.
    #[serde(default)]
    pub kind: SocketKind,
}

/// What a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketKind {
    /// A WebSocket.
    #[default]
    #[serde(rename = "websocket")]
    WebSocket,
    /// A stream of server-sent events: the client sends nothing, and the worker texts of `text/event-stream`.
    EventStream,
}

/// A message of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketContent {
    /// A text, of at most 1,048,576 characters.
    Text(String),
    /// Bytes, in base64 (RFC 4648, 4): at most 1,048,576 characters of it.
    Bytes(String),
}

/// The result of a call to another worker.
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

/// The result of a turn that did not fail, and its execution.
#[derive(Debug, Clone)]
pub struct TurnOutcome {
    /// What the worker gave.
    pub result: TurnResult,
    /// Bytes of the pages of the heap that the turn changed.
    pub changed_bytes: u64,
    /// The record of the execution, with its cost.
    pub execution: Execution,
}

/// The output of a worker at the end of a turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnResult {
    /// Whether the handler is done.
    pub state: TurnState,
    /// The handler that is done or waits, by the id of its turn; else the id of this turn.
    pub id: String,
    /// What the handler returned, if it is done and was a call, a message or for the worker's health; what
    /// [`TurnKind::Inspect`], [`TurnKind::Export`] and [`TurnKind::Copy`] give.
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
    /// What is sent to sockets of the worker, in order, once the turn is committed.
    #[serde(default)]
    pub sockets: Vec<SocketSend>,
}

impl TurnResult {
    /// Reads a worker's output, whose answer has at most `answer_max` characters.
    ///
    /// # Errors
    /// As [`json_export::read_output`]; `trap` also for what exceeds a bound. They have ended the record.
    pub(super) fn read(record: &ExecutionRecord, output: &str, answer_max: usize) -> Result<Self, Error> {
        let too_large = |what: &str| {
            let message = format!("the result of the worker's turn has more than its interface allows: {what}");
            record.fail(Error::new(ErrorCode::Trap, message))
        };
        if output.len() > RESULT_BYTES_MAX {
            return Err(too_large("bytes"));
        }
        let result: Self = json_export::read_output(record, output)?;
        match result.exceeded(answer_max) {
            Some(what) => Err(too_large(what)),
            None => Ok(result),
        }
    }

    /// Names what exceeds its bound.
    pub(super) fn exceeded(&self, answer_max: usize) -> Option<&'static str> {
        let Self { state: _, id, answer, sends, timers, emitted, sockets } = self;
        let TimerChanges { set, cleared, alarm } = timers;
        let sent = sends.iter().map(|send| &send.value);
        let values = || sent.clone().chain(emitted.iter().map(|event| &event.value));
        let of_sends = sends.iter().flat_map(|send| {
            let WorkerSend { class, name, method, id, .. } = send;
            [Some(class), Some(name), method.as_ref(), id.as_ref()]
        });
        let of_sockets = sockets.iter().map(|send| &send.socket);
        let mut names =
            of_sends.flatten().chain(emitted.iter().map(|event| &event.event)).chain([id]).chain(of_sockets);
        let socket_characters = || sockets.iter().map(|send| send.action.characters());
        [
            (sends.len() > MESSAGES_MAX, "messages"),
            (emitted.len() > MESSAGES_MAX, "events"),
            (set.len() > TIMERS_MAX || cleared.len() > TIMERS_MAX, "timers"),
            (alarm.len() > ALARMS_MAX, "alarms"),
            (names.any(|name| characters(name) > NAME_CHARACTERS_MAX), "characters of a name"),
            (alarm.iter().any(|alarm| characters(&alarm.name) > NAME_CHARACTERS_MAX), "characters of a name"),
            (values().any(|value| characters(value) > VALUE_CHARACTERS_MAX), "characters of a value"),
            (answer.as_ref().is_some_and(|answer| characters(answer) > answer_max), "characters of a value"),
            (values().map(|value| characters(value)).sum::<usize>() > VALUES_CHARACTERS_MAX, "characters of values"),
            (sockets.len() > SOCKET_MESSAGES_MAX, "messages to sockets"),
            (socket_characters().any(|count| count > VALUE_CHARACTERS_MAX), "characters of a message to a socket"),
            (socket_characters().sum::<usize>() > SOCKET_CHARACTERS_MAX, "characters of messages to sockets"),
            (!sockets.iter().all(|send| send.action.is_valid()), "the code and the reason of a close"),
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
    /// The message's UUID, if the worker gave it one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A message for a socket, or the end of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSend {
    /// The socket's id.
    pub socket: String,
    /// What it is.
    #[serde(flatten)]
    pub action: SocketAction,
}

/// A message to a socket, or its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SocketAction {
    /// A text.
    Text(String),
    /// Bytes, in base64 (RFC 4648, 4).
    Bytes(String),
    /// Closes the socket, which the worker has no more.
    Close {
        /// The status code: 1000, or from 3000 to 4999.
        code: u16,
        /// The reason, of at most 123 bytes; may be empty.
        reason: String,
    },
}

impl SocketAction {
    /// How many characters it counts.
    fn characters(&self) -> usize {
        match self {
            Self::Text(text) | Self::Bytes(text) => characters(text),
            Self::Close { .. } => 0,
        }
    }

    /// Whether it can be sent: a close has a code that an application may use, and a short reason.
    fn is_valid(&self) -> bool {
        match self {
            Self::Text(_) | Self::Bytes(_) => true,
            Self::Close { code, reason } => {
                matches!(code, 1000 | 3000..=4999) && reason.len() <= CLOSE_REASON_BYTES_MAX
            }
        }
    }
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
