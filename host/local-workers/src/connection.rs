//! A socket from the outside: how it is opened, and what goes both ways.

use crate::manager::Manager;
use crate::message::{Answer, Content, failed};
use crate::sockets::{Outbox, SocketClose, SocketFrame, close_code};
use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_host::{SocketContent, SocketRequest, TurnKind};
use elias_workers::{SocketLimits, WorkerKey};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::{Arc, Weak};

/// An open socket of a worker, held by whoever has its connection.
///
/// Dropping it tells the worker that the connection was lost (1006).
pub struct SocketConnection {
    socket: Registered,
    /// Messages that the worker has not handled yet.
    unanswered: FuturesUnordered<BoxFuture<'static, Answer>>,
    limits: SocketLimits,
}

impl SocketConnection {
    /// Opens a socket: has the worker run a turn for it, and waits until that is committed. If this is dropped before,
    /// the worker is told that the connection was lost.
    ///
    /// # Errors
    /// As of a call; `mailbox-full` also if the worker has as many sockets as it may.
    pub(crate) async fn open(
        manager: &Arc<Manager>,
        key: WorkerKey,
        request: SocketRequest,
        cause: Cause,
    ) -> Result<Self, Error> {
        let id = format!("{:016x}", rand::random::<u64>());
        let Some(outbox) = manager.sockets.insert(&key, &id) else {
            let message = format!("{key} has {} sockets, which is the most", manager.sockets.limits().sockets);
            return Err(failed(ErrorCode::MailboxFull, message));
        };
        let mut socket = Registered { manager: Arc::downgrade(manager), key, id, outbox, is_refused: false };
        let kind = TurnKind::Open { socket: socket.id.clone(), request };
        let opened = manager.call(socket.key.clone(), Content::Turn(kind), cause).await;
        socket.is_refused = opened.is_err();
        opened?;
        Ok(Self { socket, unanswered: FuturesUnordered::new(), limits: manager.sockets.limits() })
    }

    /// The id by which the worker knows it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.socket.id
    }

    /// Its bounds.
    #[must_use]
    pub fn limits(&self) -> &SocketLimits {
        &self.limits
    }

    /// What is to be sent to the client next, waiting for it. None after a close, which ends the socket: the worker
    /// closed it, or failed, or the client does not read. Nothing is lost if this is dropped while it waits.
    pub async fn next(&mut self) -> Option<SocketFrame> {
        loop {
            if let Some(frame) = self.socket.outbox.pop() {
                return Some(frame);
            }
            if self.socket.outbox.is_over() {
                return None;
            }
            tokio::select! {
                () = self.socket.outbox.changed() => {}
                Some(answer) = self.unanswered.next() => self.take_answer(answer),
            }
        }
    }

    /// Whether [`Self::message`] is to be called: not while as many messages wait as may. [`Self::next`] takes their
    /// answers.
    #[must_use]
    pub fn takes_message(&self) -> bool {
        self.unanswered.len() < self.limits.unanswered.max(1)
    }

    /// Hands a message of the client to the worker, after those before. A message that the worker does not handle
    /// closes the socket: with 1011 if the handler threw or was ended, with 1013 if there is no room for the message
    /// or the worker cannot run.
    pub fn message(&mut self, content: SocketContent) {
        let bytes = match &content {
            SocketContent::Text(text) => text.len(),
            SocketContent::Bytes(base64) => {
                let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
                (base64.len() / 4 * 3).saturating_sub(padding)
            }
        };
        let Some(manager) = self.socket.manager.upgrade() else { return };
        if bytes > self.limits.message_bytes {
            self.socket.outbox.close(SocketClose::new(close_code::TOO_LARGE, "the message is too large"));
            return;
        }
        let kind = TurnKind::SocketMessage { socket: self.socket.id.clone(), content };
        let answer = manager.call(self.socket.key.clone(), Content::Turn(kind), Cause::default());
        self.unanswered.push(answer.boxed());
    }

    /// Tells the worker that the socket is closed, unless it closed it itself. It is told also if what this gives is
    /// dropped, which waits until it knows.
    pub fn closed(self, code: u16, reason: &str) -> impl Future<Output = ()> + Send + use<> {
        let answer = self.socket.leave(code, reason);
        async move {
            if let Some(answer) = answer {
                // Why it failed is in the log; the worker is told again when it is read.
                drop(answer.await);
            }
        }
    }

    fn take_answer(&self, answer: Answer) {
        let Err(error) = answer else { return };
        let close = match error.code {
            ErrorCode::MailboxFull | ErrorCode::Unavailable => {
                SocketClose::new(close_code::TRY_AGAIN_LATER, "the worker cannot take the message now")
            }
            _ => SocketClose::new(close_code::INTERNAL_ERROR, "the worker failed to handle the message"),
        };
        tracing::debug!(worker = %self.socket.key, "a message of a socket failed: {}", error.message);
        self.socket.outbox.close(close);
    }
}

/// A socket in the table. It leaves the table when it is dropped, and the worker is told so.
struct Registered {
    manager: Weak<Manager>,
    key: WorkerKey,
    id: String,
    outbox: Arc<Outbox>,
    /// Whether the worker does not have it.
    is_refused: bool,
}

impl Registered {
    /// Leaves the table. Gives the worker's answer if it is told of that.
    fn leave(&self, code: u16, reason: &str) -> Option<impl Future<Output = Answer> + Send + use<>> {
        let manager = self.manager.upgrade()?;
        if !manager.sockets.remove(&self.key, &self.id) {
            return None;
        }
        // Where the program ends, nobody can be told.
        if self.is_refused || tokio::runtime::Handle::try_current().is_err() {
            // It may have stayed for this one alone.
            manager.wake(&self.key);
            return None;
        }
        let kind = TurnKind::Close { socket: self.id.clone(), code, reason: reason.to_owned() };
        Some(manager.call(self.key.clone(), Content::Turn(kind), Cause::default()))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // The turn begins to wait before this is dropped, and nobody waits for its answer.
        drop(self.leave(close_code::ABNORMAL, ""));
    }
}
