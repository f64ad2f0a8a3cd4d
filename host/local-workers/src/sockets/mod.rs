//! The open sockets of workers, and what waits to be sent to each of them.
//!
//! A socket is a connection of this process. Which sockets a worker has is in its heap and in its
//! [record](crate::WorkerRecord): those that no connection belongs to any more are closed when the worker is read.

mod outbox;

pub(crate) use outbox::Outbox;

use elias_host::{SocketAction, SocketSend};
use elias_workers::{MemoryBudget, SocketLimits, WorkerKey};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::Arc;

/// What is sent to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketFrame {
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The end of the socket. Nothing follows.
    Close(SocketClose),
}

/// Why a socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketClose {
    /// The status code, as of RFC 6455.
    pub code: u16,
    /// The reason, of at most 123 bytes; may be empty.
    pub reason: String,
}

impl SocketClose {
    pub(crate) fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

/// The codes with which a host closes sockets (RFC 6455, 7.4.1, and IANA's registry).
pub(crate) mod close_code {
    /// The worker or the process ends.
    pub(crate) const GOING_AWAY: u16 = 1001;
    /// The connection was lost.
    pub(crate) const ABNORMAL: u16 = 1006;
    /// A message is too large.
    pub(crate) const TOO_LARGE: u16 = 1009;
    /// The worker failed.
    pub(crate) const INTERNAL_ERROR: u16 = 1011;
    /// The worker moved: it can be reached by a new connection.
    pub(crate) const SERVICE_RESTART: u16 = 1012;
    /// The worker cannot take a message now, or the client does not read.
    pub(crate) const TRY_AGAIN_LATER: u16 = 1013;
}

/// The sockets of the workers of one component, by worker and id.
pub(crate) struct SocketTable {
    limits: RwLock<SocketLimits>,
    /// What waits for all clients.
    memory: Arc<MemoryBudget>,
    open: Mutex<HashMap<WorkerKey, HashMap<String, Arc<Outbox>>>>,
}

impl SocketTable {
    pub(crate) fn new(limits: SocketLimits, memory: Arc<MemoryBudget>) -> Self {
        Self { limits: RwLock::new(limits), memory, open: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> SocketLimits {
        *self.limits.read()
    }

    /// Has sockets that are opened from now on these bounds.
    pub(crate) fn set_limits(&self, limits: SocketLimits) {
        *self.limits.write() = limits;
    }

    /// Adds a socket; none if the worker has as many as it may.
    pub(crate) fn insert(&self, key: &WorkerKey, id: &str) -> Option<Arc<Outbox>> {
        let limits = self.limits();
        let mut open = self.open.lock();
        let count = open.get(key).map_or(0, HashMap::len);
        if count >= limits.sockets {
            return None;
        }
        let outbox = Arc::new(Outbox::new(&limits, &self.memory));
        open.entry(key.clone()).or_default().insert(id.to_owned(), Arc::clone(&outbox));
        Some(outbox)
    }

    /// Removes a socket; whether it was there.
    pub(crate) fn remove(&self, key: &WorkerKey, id: &str) -> bool {
        take(&mut self.open.lock(), key, id).is_some()
    }

    /// Whether a socket has a connection.
    pub(crate) fn is_open(&self, key: &WorkerKey, id: &str) -> bool {
        self.open.lock().get(key).is_some_and(|sockets| sockets.contains_key(id))
    }

    /// How many sockets of a worker have a connection, those among them that are being opened.
    pub(crate) fn count(&self, key: &WorkerKey) -> usize {
        self.open.lock().get(key).map_or(0, HashMap::len)
    }

    /// Has what a committed turn sent wait for the clients. A socket that was closed meanwhile is passed over.
    pub(crate) fn deliver(&self, key: &WorkerKey, sends: Vec<SocketSend>) {
        if sends.is_empty() {
            return;
        }
        let mut open = self.open.lock();
        for SocketSend { socket, action } in sends {
            if let SocketAction::Close { code, reason } = action {
                if let Some(outbox) = take(&mut open, key, &socket) {
                    outbox.close(SocketClose { code, reason });
                }
            } else if let Some(outbox) = open.get(key).and_then(|sockets| sockets.get(&socket)) {
                outbox.push(action);
            }
        }
    }

    /// Closes sockets of a worker that does not have them any more, and is told nothing of them.
    pub(crate) fn close<'a>(&self, key: &WorkerKey, ids: impl IntoIterator<Item = &'a String>, close: &SocketClose) {
        let mut open = self.open.lock();
        for id in ids {
            if let Some(outbox) = take(&mut open, key, id) {
                outbox.close(close.clone());
            }
        }
    }

    /// The same for all sockets of a worker.
    pub(crate) fn close_worker(&self, key: &WorkerKey, close: &SocketClose) {
        let sockets = self.open.lock().remove(key).unwrap_or_default();
        sockets.values().for_each(|outbox| outbox.close(close.clone()));
    }

    /// The same for all.
    pub(crate) fn close_all(&self, close: &SocketClose) {
        let all = std::mem::take(&mut *self.open.lock());
        all.values().flat_map(HashMap::values).for_each(|outbox| outbox.close(close.clone()));
    }
}

/// Takes a socket out of the table.
fn take(open: &mut HashMap<WorkerKey, HashMap<String, Arc<Outbox>>>, key: &WorkerKey, id: &str) -> Option<Arc<Outbox>> {
    let sockets = open.get_mut(key)?;
    let outbox = sockets.remove(id);
    if sockets.is_empty() {
        open.remove(key);
    }
    outbox
}
