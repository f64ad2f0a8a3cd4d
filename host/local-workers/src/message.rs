//! Messages to workers, and their replies.

use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::{ReplyError, ReplyResult, SocketContent, TurnKind};
use elias_workers::{MemoryBudget, MemoryFull, MemoryReservation, WorkerKey, is_uuid};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How a call ended: with a value in the structured clone encoding.
pub(crate) type Answer = Result<String, Error>;

/// `undefined` in that encoding.
pub(crate) const UNDEFINED: &str = r#"[1,["undefined"]]"#;

/// Bytes that a message takes beside its content, as they are counted: its id, its cause, who waits for it.
const MESSAGE_BYTES: usize = 512;

/// A message to a worker.
#[derive(Debug)]
pub(crate) struct Message {
    /// A UUID, or the text by which its sender knows it. A message that is sent again has the same.
    pub(crate) id: String,
    pub(crate) content: Content,
    pub(crate) sender: Sender,
    pub(crate) cause: Cause,
    /// Its bytes in the memory of all workers, from when it is sent until it is handled.
    pub(crate) reservation: Option<MemoryReservation>,
}

impl Message {
    pub(crate) fn new(id: String, content: Content, sender: Sender, cause: Cause) -> Self {
        Self { id, content, sender, cause, reservation: None }
    }

    /// Reserves its bytes until it is handled.
    pub(crate) fn reserve(&mut self, memory: &Arc<MemoryBudget>) -> Result<(), MemoryFull> {
        self.reservation = Some(memory.reserve(self.content.bytes() + MESSAGE_BYTES)?);
        Ok(())
    }
}

/// What a message is.
#[derive(Debug)]
pub(crate) enum Content {
    /// For a method, or for `onMessage` where there is none.
    Value { method: Option<String>, value: String },
    /// Nothing but that the worker is to be started.
    Start,
    /// Nothing but that the worker, if there is one, is to be in memory, in the component as it is now.
    Wake,
    /// A turn of another kind, such as for its health or a socket.
    Turn(TurnKind),
}

impl Content {
    /// Bytes, by which a mailbox is bounded.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Value { method, value } => method.as_ref().map_or(0, String::len) + value.len(),
            Self::Start | Self::Wake => 0,
            Self::Turn(kind) => match kind {
                TurnKind::SocketMessage { content: SocketContent::Text(text) | SocketContent::Bytes(text), .. } => {
                    text.len()
                }
                TurnKind::Open { request, .. } => {
                    let headers = request.headers.iter().map(|(name, value)| name.len() + value.len());
                    request.url.len() + request.protocol.len() + headers.sum::<usize>()
                }
                _ => 0,
            },
        }
    }

    /// The turn that it is.
    pub(crate) fn turn(&self) -> Option<TurnKind> {
        match self {
            Self::Value { method: Some(method), value } => {
                Some(TurnKind::Call { method: method.clone(), args: value.clone() })
            }
            Self::Value { method: None, value } => Some(TurnKind::Message { message: value.clone() }),
            Self::Start | Self::Wake => None,
            Self::Turn(kind) => Some(kind.clone()),
        }
    }
}

/// Who sent a message, and waits for its answer.
#[derive(Debug)]
pub(crate) enum Sender {
    /// A handler that is not a worker, or the program. It may have left.
    Outside(oneshot::Sender<Answer>),
    /// The same, where the message comes again with the same id if it has no answer.
    Repeating(oneshot::Sender<Answer>),
    /// A worker, by the number of its call.
    Worker { key: WorkerKey, call: u64 },
    /// Nobody waits.
    Nobody,
}

impl Sender {
    /// The worker that waits, and the number of its call.
    pub(crate) fn caller(&self) -> Option<(WorkerKey, u64)> {
        match self {
            Self::Worker { key, call } => Some((key.clone(), *call)),
            Self::Outside(_) | Self::Repeating(_) | Self::Nobody => None,
        }
    }

    /// Whether somebody waits that no worker is.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self, Self::Outside(_) | Self::Repeating(_))
    }

    /// Whether the message may come again.
    pub(crate) fn repeats(&self) -> bool {
        matches!(self, Self::Repeating(_))
    }
}

/// The answer to a call that a worker made.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The number of the call, and the id of its message: numbers are used again by a worker that is put back.
    pub(crate) call: u64,
    pub(crate) id: String,
    pub(crate) result: ReplyResult,
    /// Its bytes in the memory of all workers, until it has entered.
    pub(crate) reservation: Option<MemoryReservation>,
}

impl Reply {
    pub(crate) fn new(call: u64, id: String, result: ReplyResult) -> Self {
        Self { call, id, result, reservation: None }
    }

    /// Reserves its bytes. A value for which there is no room becomes an error that says so: its caller would have to
    /// call again for it, and the callee does its work once.
    pub(crate) fn reserve(&mut self, memory: &Arc<MemoryBudget>) {
        let ReplyResult::Value(value) = &self.result else { return };
        match memory.reserve(value.len()) {
            Ok(reservation) => self.reservation = Some(reservation),
            Err(full) => {
                let message = format!("the call was handled, and there is no room for its answer: {full}");
                self.result = ReplyResult::Error(ReplyError { name: "Error".to_owned(), message });
            }
        }
    }
}

/// A request to end a worker.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) reason: Value,
    /// Told whether there was such a worker.
    pub(crate) done: oneshot::Sender<Result<bool, Error>>,
}

/// An answer, as a worker is given it.
pub(crate) fn reply_of(answer: Answer) -> ReplyResult {
    match answer {
        Ok(value) => ReplyResult::Value(value),
        Err(Error { name, message, .. }) => ReplyResult::Error(ReplyError { name, message }),
    }
}

/// A stored reply, as its caller is given it.
pub(crate) fn answer_of(result: ReplyResult) -> Answer {
    match result {
        ReplyResult::Value(value) => Ok(value),
        ReplyResult::Error(ReplyError { name, message }) => Err(Error { code: ErrorCode::Exception, name, message }),
    }
}

/// A failure that no handler threw.
pub(crate) fn failed(code: ErrorCode, message: impl Into<String>) -> Error {
    Error::new(code, message)
}

/// The id of a message: the UUID that its sender gave it, or else a new one.
pub(crate) fn id_of(given: Option<String>) -> String {
    given.filter(|id| is_uuid(id)).unwrap_or_else(new_id)
}

/// A random UUID (version 4).
pub(crate) fn new_id() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let id = new_id();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert_eq!(id.as_bytes()[14], b'4', "{id}");
        assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
        assert_ne!(id, new_id());
        assert!(is_uuid(&id));
        assert_eq!(id_of(Some(id.clone())), id);
        assert!(is_uuid(&id_of(Some("mine".to_owned()))) && is_uuid(&id_of(None)));
    }
}
