//! What waits to be sent to one client.

use super::{SocketClose, SocketFrame, close_code};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elias_host::SocketAction;
use elias_workers::{MemoryBudget, MemoryReservation, SocketLimits};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Bytes that a message takes beside its content, as they are counted in the memory of all sockets.
const MESSAGE_BYTES: usize = 64;

/// The messages that wait for a client, within bounds.
pub(crate) struct Outbox {
    messages_max: usize,
    bytes_max: usize,
    /// What waits for the clients of all workers.
    memory: Arc<MemoryBudget>,
    queue: Mutex<Queue>,
    /// Told when there is something to be sent.
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    /// Texts and bytes, as the worker gave them.
    messages: VecDeque<SocketAction>,
    /// Their bytes.
    bytes: usize,
    /// The same in the memory of all sockets; none before the first message.
    held: Option<MemoryReservation>,
    /// What follows them. Nothing is added any more.
    close: Option<SocketClose>,
    /// Whether that was taken, too.
    is_over: bool,
}

impl Outbox {
    pub(crate) fn new(limits: &SocketLimits, memory: &Arc<MemoryBudget>) -> Self {
        Self {
            memory: Arc::clone(memory),
            messages_max: limits.waiting_messages,
            bytes_max: limits.waiting_bytes,
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Adds a message. If there are too many, the client is closed in their place: it does not read.
    pub(crate) fn push(&self, message: SocketAction) {
        let bytes = bytes_of(&message);
        let mut queue = self.queue.lock();
        if queue.close.is_some() {
            return;
        }
        if bytes > self.bytes_max {
            queue.end(SocketClose::new(close_code::TOO_LARGE, "a message to the client is too large"));
        } else if queue.messages.len() >= self.messages_max || queue.bytes + bytes > self.bytes_max {
            queue.end(SocketClose::new(close_code::TRY_AGAIN_LATER, "the client does not read what is sent"));
        } else {
            queue.messages.push_back(message);
            queue.bytes += bytes;
            if !queue.hold(&self.memory) {
                queue.end(SocketClose::new(
                    close_code::TRY_AGAIN_LATER,
                    "too much waits for the clients of all workers",
                ));
            }
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Closes the client after the messages that wait; the first reason counts.
    pub(crate) fn close(&self, close: SocketClose) {
        self.queue.lock().close.get_or_insert(close);
        self.changed.notify_one();
    }

    /// What is to be sent next; none if nothing waits.
    pub(crate) fn pop(&self) -> Option<SocketFrame> {
        let mut queue = self.queue.lock();
        if let Some(message) = queue.messages.pop_front() {
            queue.bytes -= bytes_of(&message);
            // Less is never refused.
            queue.hold(&self.memory);
            return Some(match message {
                SocketAction::Text(text) => SocketFrame::Text(text),
                SocketAction::Bytes(text) => match STANDARD.decode(text) {
                    Ok(bytes) => SocketFrame::Bytes(bytes),
                    // Only an engine that is not ours gives that.
                    Err(_) => {
                        queue.end(SocketClose::new(close_code::INTERNAL_ERROR, "the worker sent no base64"));
                        return queue.take_close();
                    }
                },
                SocketAction::Close { code, reason } => SocketFrame::Close(SocketClose { code, reason }),
            });
        }
        queue.take_close()
    }

    /// Whether everything was taken, and nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        self.queue.lock().is_over
    }

    /// Waits until there may be something to be sent.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

impl Queue {
    /// Holds what waits in the memory of all sockets; whether there is room for it.
    fn hold(&mut self, memory: &Arc<MemoryBudget>) -> bool {
        let bytes = self.bytes + MESSAGE_BYTES * self.messages.len();
        if let Some(held) = &mut self.held {
            return held.resize(bytes).is_ok();
        }
        self.held = memory.reserve(bytes).ok();
        self.held.is_some()
    }

    /// Drops what waits, and closes the client.
    fn end(&mut self, close: SocketClose) {
        self.messages.clear();
        (self.bytes, self.held) = (0, None);
        self.close.get_or_insert(close);
    }

    fn take_close(&mut self) -> Option<SocketFrame> {
        if self.is_over {
            return None;
        }
        let close = self.close.clone()?;
        self.is_over = true;
        Some(SocketFrame::Close(close))
    }
}

fn bytes_of(message: &SocketAction) -> usize {
    match message {
        SocketAction::Text(text) | SocketAction::Bytes(text) => text.len(),
        SocketAction::Close { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(waiting_messages: usize, waiting_bytes: usize) -> Outbox {
        let limits = SocketLimits { waiting_messages, waiting_bytes, ..SocketLimits::default() };
        Outbox::new(&limits, &MemoryBudget::new("test-bytes", usize::MAX))
    }

    fn text(text: &str) -> SocketAction {
        SocketAction::Text(text.to_owned())
    }

    fn close(code: u16, reason: &str) -> SocketFrame {
        SocketFrame::Close(SocketClose::new(code, reason))
    }

    #[test]
    fn messages_leave_in_order_and_the_close_after_them() {
        let outbox = outbox(10, 100);
        outbox.push(text("a"));
        outbox.push(SocketAction::Bytes("AQID".to_owned()));
        outbox.close(SocketClose::new(3000, "over"));
        outbox.close(SocketClose::new(1001, "later"));
        outbox.push(text("not sent"));
        assert_eq!(outbox.pop(), Some(SocketFrame::Text("a".to_owned())));
        assert_eq!(outbox.pop(), Some(SocketFrame::Bytes(vec![1, 2, 3])));
        assert!(!outbox.is_over());
        assert_eq!(outbox.pop(), Some(close(3000, "over")));
        assert!(outbox.is_over() && outbox.pop().is_none());
    }

    #[test]
    fn a_client_that_does_not_read_is_closed() {
        let by_number = outbox(2, 100);
        let by_bytes = outbox(100, 5);
        for message in ["ab", "cd", "ef"] {
            by_number.push(text(message));
            by_bytes.push(text(message));
        }
        let slow = || Some(close(1013, "the client does not read what is sent"));
        assert_eq!((by_number.pop(), by_bytes.pop()), (slow(), slow()));
        let of_one = outbox(2, 5);
        of_one.push(text("abcdef"));
        assert_eq!(of_one.pop(), Some(close(1009, "a message to the client is too large")));
        // Those that were read make room.
        let read = outbox(1, 5);
        for _ in 0..3 {
            read.push(text("abcde"));
            assert_eq!(read.pop(), Some(SocketFrame::Text("abcde".to_owned())));
        }
    }

    #[test]
    fn what_waits_for_all_clients_together_is_bounded_and_what_was_read_is_free() {
        let memory = MemoryBudget::new("test-bytes", 2 * MESSAGE_BYTES + 6);
        let [one, other] = [0; 2].map(|_| Outbox::new(&SocketLimits::default(), &memory));
        one.push(text("abc"));
        other.push(text("def"));
        assert_eq!(memory.reserved(), 2 * MESSAGE_BYTES + 6);
        other.push(text("g"));
        assert_eq!(other.pop(), Some(close(1013, "too much waits for the clients of all workers")));
        assert_eq!(memory.reserved(), MESSAGE_BYTES + 3, "what was dropped is free");
        assert_eq!(one.pop(), Some(SocketFrame::Text("abc".to_owned())), "others are not closed");
        assert_eq!(memory.reserved(), 0);
        one.push(text("abc"));
        drop(one);
        assert_eq!(memory.reserved(), 0, "neither is what nobody sends any more");
    }

    #[test]
    fn what_is_no_base64_closes_the_client() {
        let outbox = outbox(2, 100);
        outbox.push(SocketAction::Bytes("?".to_owned()));
        assert_eq!(outbox.pop(), Some(close(1011, "the worker sent no base64")));
        assert!(outbox.is_over());
    }
}
