//! What enters a worker next.

use crate::mailbox::{Admission, Mailbox, MailboxLimits};
use crate::timers::{DueTimer, Timers};
use std::collections::VecDeque;

/// What enters.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<M, R> {
    /// The answer to a call that the worker made.
    Reply(R),
    /// A timer or an alarm. It stays set until [`Timers::finish`] is told.
    Due(DueTimer),
    /// The oldest message of the mailbox.
    Message(M),
}

/// What waits for a worker: messages, and the replies to its own calls.
///
/// Replies come first, since what they go on with was begun before; then what is due; then messages in their order.
/// Where both wait, timers and messages take turns: an interval that is always due keeps no message out. While a
/// handler waits, no message and no alarm enters.
#[derive(Debug)]
pub struct TurnQueue<M, R> {
    mailbox: Mailbox<M>,
    /// Bounded by the calls that a worker may have without an answer.
    replies: VecDeque<R>,
    /// Whether a timer or an alarm was the last that entered beside replies.
    was_due: bool,
}

impl<M, R> TurnQueue<M, R> {
    /// An empty one.
    #[must_use]
    pub fn new(limits: MailboxLimits) -> Self {
        Self { mailbox: Mailbox::new(limits), replies: VecDeque::new(), was_due: false }
    }

    /// Has the mailbox these bounds from now on.
    pub fn set_limits(&mut self, limits: MailboxLimits) {
        self.mailbox.set_limits(limits);
    }

    /// Takes a message of so many bytes, if the mailbox has room.
    pub fn push(&mut self, message: M, bytes: usize) -> Admission<M> {
        self.mailbox.push(message, bytes)
    }

    /// Takes the answer to a call that the worker made.
    pub fn push_reply(&mut self, reply: R) {
        self.replies.push_back(reply);
    }

    /// What enters at this time, which leaves the queue unless it is a timer; none if nothing may.
    pub fn next(&mut self, timers: &Timers, now: u64, is_waiting: bool) -> Option<Incoming<M, R>> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(Incoming::Reply(reply));
        }
        let is_messages_turn = self.was_due && !is_waiting && !self.mailbox.is_empty();
        if let Some((at, due)) = timers.next(is_waiting)
            && at <= now
            && !is_messages_turn
        {
            self.was_due = true;
            return Some(Incoming::Due(due));
        }
        if is_waiting {
            return None;
        }
        self.was_due = false;
        self.mailbox.pop().map(Incoming::Message)
    }

    /// The oldest message, which leaves the queue, whatever else waits.
    pub fn pop_message(&mut self) -> Option<M> {
        self.mailbox.pop()
    }

    /// Whether something may enter at this time.
    #[must_use]
    pub fn has_next(&self, timers: &Timers, now: u64, is_waiting: bool) -> bool {
        !self.replies.is_empty()
            || timers.next(is_waiting).is_some_and(|(at, _)| at <= now)
            || !(is_waiting || self.mailbox.is_empty())
    }

    /// The mailbox.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox<M> {
        &self.mailbox
    }

    /// All messages, which leave the queue; the replies stay.
    pub fn drain_messages(&mut self) -> Vec<M> {
        self.mailbox.drain()
    }

    /// Forgets the replies: another host has the worker, which asks again.
    pub fn clear_replies(&mut self) {
        self.replies.clear();
    }

    /// All messages, which leave the queue, as do the replies: the worker ends.
    pub fn drain(&mut self) -> Vec<M> {
        self.clear_replies();
        self.drain_messages()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_handler_waits_only_replies_and_timers_enter() {
        let mut queue = TurnQueue::new(MailboxLimits::default());
        let mut timers = Timers::default();
        timers.set(1, 100);
        timers.set_alarm("a", Some(50));
        assert_eq!(queue.push("message", 7), Admission::Accepted);
        assert_eq!(queue.next(&timers, 99, true), None);
        assert!(!queue.has_next(&timers, 99, true));
        assert_eq!(queue.next(&timers, 100, true), Some(Incoming::Due(DueTimer::Timer(1))));
        queue.push_reply("reply");
        assert_eq!((queue.pop_message(), queue.pop_message()), (Some("message"), None), "a worker that is refused");
        assert_eq!(queue.push("message", 7), Admission::Accepted);
        assert!(queue.has_next(&timers, 0, true));
        assert_eq!(queue.next(&timers, 100, true), Some(Incoming::Reply("reply")));
        timers.clear(1);
        let alarm = DueTimer::Alarm { name: "a".into(), at: 50 };
        // A timer entered before the reply, so that it is the message's turn.
        assert_eq!(queue.next(&timers, 50, false), Some(Incoming::Message("message")));
        assert_eq!(queue.next(&timers, 50, false), Some(Incoming::Due(alarm.clone())));
        timers.finish(&alarm);
        assert_eq!(queue.next(&timers, 50, false), None);
    }

    #[test]
    fn a_timer_that_is_always_due_and_messages_take_turns() {
        let mut queue: TurnQueue<_, ()> = TurnQueue::new(MailboxLimits::default());
        let mut timers = Timers::default();
        timers.set(1, 0);
        for message in [1, 2] {
            queue.push(message, 1);
        }
        let due = || Some(Incoming::Due(DueTimer::Timer(1)));
        assert_eq!(queue.next(&timers, 0, false), due());
        assert_eq!(queue.next(&timers, 0, true), due(), "no message may enter");
        assert_eq!(queue.next(&timers, 0, false), Some(Incoming::Message(1)));
        assert_eq!(queue.next(&timers, 0, false), due());
        assert_eq!(queue.next(&timers, 0, false), Some(Incoming::Message(2)));
        assert_eq!((queue.next(&timers, 0, false), queue.next(&timers, 0, false)), (due(), due()));
        queue.push_reply(());
        queue.clear_replies();
        assert_eq!(queue.next(&timers, 0, false), due());
    }
}
