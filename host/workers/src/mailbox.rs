//! Messages that wait for a worker, in the order in which they came.

use std::collections::VecDeque;
use std::fmt;

/// What becomes of a message for a mailbox that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverflowPolicy {
    /// The message is refused.
    #[default]
    Refuse,
    /// The sender waits, in order, until there is room. At most [`MailboxLimits::senders`] wait, with messages of at
    /// most [`MailboxLimits::bytes`] together; more are refused.
    Block,
    /// The oldest messages are dropped, as many as it takes, and counted.
    DropOldest,
}

/// The bounds of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of the messages.
    pub bytes: usize,
    /// Senders that wait at a time where the policy is [`OverflowPolicy::Block`].
    pub senders: usize,
    /// What becomes of a message that does not fit.
    pub policy: OverflowPolicy,
}

impl Default for MailboxLimits {
    /// 1,000 messages and 16 MiB; further ones are refused.
    fn default() -> Self {
        Self { messages: 1_000, bytes: 16 << 20, senders: 1_000, policy: OverflowPolicy::Refuse }
    }
}

/// What became of a message that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<M> {
    /// It waits in the mailbox.
    Accepted,
    /// It waits in the mailbox, in place of these, the oldest first.
    AcceptedInPlaceOf(Vec<M>),
    /// Its sender waits; the message gets into the mailbox when there is room.
    SenderWaits,
    /// It was refused.
    Refused(MailboxFull, M),
}

/// Why a message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxFull {
    /// Messages that wait.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl fmt::Display for MailboxFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the mailbox is full: {} messages of {} bytes wait", self.messages, self.bytes)
    }
}

/// A mailbox.
#[derive(Debug)]
pub struct Mailbox<M> {
    limits: MailboxLimits,
    /// Each with its bytes.
    messages: VecDeque<(M, usize)>,
    bytes: usize,
    /// The messages of those who wait for room.
    blocked: VecDeque<(M, usize)>,
    blocked_bytes: usize,
    dropped: u64,
}

impl<M> Mailbox<M> {
    /// An empty one.
    #[must_use]
    pub fn new(limits: MailboxLimits) -> Self {
        Self { limits, messages: VecDeque::new(), bytes: 0, blocked: VecDeque::new(), blocked_bytes: 0, dropped: 0 }
    }

    /// Has it these bounds from now on. What waits already stays.
    pub fn set_limits(&mut self, limits: MailboxLimits) {
        self.limits = limits;
        self.admit_blocked();
    }

    /// Takes a message of so many bytes, if the policy lets it.
    pub fn push(&mut self, message: M, bytes: usize) -> Admission<M> {
        let full = MailboxFull { messages: self.messages.len(), bytes: self.bytes };
        // One that is alone too large never fits.
        if self.limits.messages == 0 || bytes > self.limits.bytes {
            return Admission::Refused(full, message);
        }
        if self.blocked.is_empty() && self.has_room(bytes) {
            self.append(message, bytes);
            return Admission::Accepted;
        }
        match self.limits.policy {
            OverflowPolicy::Block
                if self.blocked.len() < self.limits.senders && self.blocked_bytes + bytes <= self.limits.bytes =>
            {
                self.blocked_bytes += bytes;
                self.blocked.push_back((message, bytes));
                Admission::SenderWaits
            }
            OverflowPolicy::Refuse | OverflowPolicy::Block => Admission::Refused(full, message),
            OverflowPolicy::DropOldest => {
                let mut dropped = Vec::new();
                while !self.has_room(bytes) {
                    let Some((oldest, bytes)) = self.messages.pop_front() else { break };
                    self.bytes -= bytes;
                    dropped.push(oldest);
                }
                self.dropped += dropped.len() as u64;
                self.append(message, bytes);
                Admission::AcceptedInPlaceOf(dropped)
            }
        }
    }

    /// The oldest message, which leaves the mailbox; the messages of senders that waited for its room come in.
    pub fn pop(&mut self) -> Option<M> {
        let (message, bytes) = self.messages.pop_front()?;
        self.bytes -= bytes;
        self.admit_blocked();
        Some(message)
    }

    /// Lets messages in whose senders wait for room.
    fn admit_blocked(&mut self) {
        // One that does not fit into smaller bounds must not wait for ever.
        while let Some((_, bytes)) = self.blocked.front()
            && (self.has_room(*bytes) || self.messages.is_empty())
        {
            let Some((message, bytes)) = self.blocked.pop_front() else { break };
            self.blocked_bytes -= bytes;
            self.append(message, bytes);
        }
    }

    /// All messages, also those whose senders wait; the mailbox is empty then.
    pub fn drain(&mut self) -> Vec<M> {
        (self.bytes, self.blocked_bytes) = (0, 0);
        self.messages.drain(..).chain(self.blocked.drain(..)).map(|(message, _)| message).collect()
    }

    /// Messages that wait, without those whose senders wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Bytes of the messages that wait.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Senders that wait for room.
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.blocked.len()
    }

    /// Messages that were dropped for newer ones since the mailbox was made.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.messages.len() < self.limits.messages && self.bytes + bytes <= self.limits.bytes
    }

    fn append(&mut self, message: M, bytes: usize) {
        self.bytes += bytes;
        self.messages.push_back((message, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(messages: usize, bytes: usize, policy: OverflowPolicy) -> Mailbox<u32> {
        Mailbox::new(MailboxLimits { messages, bytes, senders: 1, policy })
    }

    #[test]
    fn a_full_mailbox_refuses_by_number_and_by_bytes() {
        let mut full = mailbox(2, 10, OverflowPolicy::Refuse);
        assert_eq!((full.push(1, 5), full.push(2, 5)), (Admission::Accepted, Admission::Accepted));
        assert_eq!(full.push(3, 0), Admission::Refused(MailboxFull { messages: 2, bytes: 10 }, 3));
        assert_eq!(full.pop(), Some(1));
        assert_eq!(full.push(4, 6), Admission::Refused(MailboxFull { messages: 1, bytes: 5 }, 4));
        assert_eq!(full.push(5, 5), Admission::Accepted);
        assert_eq!((full.pop(), full.pop(), full.pop()), (Some(2), Some(5), None));
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let mut dropping = mailbox(3, 10, OverflowPolicy::DropOldest);
        for message in 1..=3 {
            assert_eq!(dropping.push(message, 3), Admission::Accepted);
        }
        assert_eq!(dropping.push(4, 7), Admission::AcceptedInPlaceOf(vec![1, 2]));
        assert_eq!((dropping.dropped(), dropping.len(), dropping.bytes()), (2, 2, 10));
        assert!(
            matches!(dropping.push(5, 11), Admission::Refused(_, 5)),
            "it never fits, so nothing is dropped for it"
        );
        assert_eq!(dropping.drain(), [3, 4]);
    }

    #[test]
    fn senders_wait_in_order_and_not_too_many() {
        let mut blocking = mailbox(1, 10, OverflowPolicy::Block);
        assert_eq!(blocking.push(1, 1), Admission::Accepted);
        assert_eq!(blocking.push(2, 1), Admission::SenderWaits);
        assert!(matches!(blocking.push(3, 1), Admission::Refused(_, 3)), "one sender waits already");
        assert_eq!((blocking.len(), blocking.blocked()), (1, 1));
        assert_eq!((blocking.pop(), blocking.pop(), blocking.pop()), (Some(1), Some(2), None));
        assert_eq!(blocking.bytes(), 0);
    }

    #[test]
    fn other_bounds_hold_for_what_comes_and_let_in_whoever_waits() {
        let mut changed = mailbox(1, 10, OverflowPolicy::Block);
        assert_eq!((changed.push(1, 6), changed.push(2, 6)), (Admission::Accepted, Admission::SenderWaits));
        changed.set_limits(MailboxLimits { messages: 2, bytes: 20, senders: 1, policy: OverflowPolicy::Refuse });
        assert_eq!((changed.len(), changed.blocked()), (2, 0), "there is room now");
        assert!(matches!(changed.push(3, 1), Admission::Refused(_, 3)));
        changed.set_limits(MailboxLimits { messages: 1, bytes: 20, senders: 1, policy: OverflowPolicy::Block });
        assert_eq!(changed.push(4, 12), Admission::SenderWaits);
        changed.set_limits(MailboxLimits { messages: 1, bytes: 5, senders: 1, policy: OverflowPolicy::Refuse });
        assert_eq!((changed.pop(), changed.pop(), changed.pop(), changed.pop()), (Some(1), Some(2), Some(4), None));
    }

    #[test]
    fn senders_that_wait_hold_no_more_bytes_than_the_mailbox() {
        let limits = MailboxLimits { messages: 1, bytes: 10, senders: 100, policy: OverflowPolicy::Block };
        let mut blocking = Mailbox::new(limits);
        assert_eq!((blocking.push(1, 10), blocking.push(2, 6)), (Admission::Accepted, Admission::SenderWaits));
        assert!(matches!(blocking.push(3, 5), Admission::Refused(_, 3)), "eleven bytes would wait");
        assert_eq!(blocking.push(4, 4), Admission::SenderWaits);
        assert_eq!((blocking.pop(), blocking.push(5, 6)), (Some(1), Admission::SenderWaits), "one came in");
        assert_eq!(blocking.drain(), [2, 4, 5]);
        assert_eq!((blocking.push(6, 10), blocking.push(7, 10)), (Admission::Accepted, Admission::SenderWaits));
    }
}
