//! Messages on their way into mailboxes, and answers on their way back.

use super::{Manager, PANICKED};
use crate::message::{Answer, Content, Message, Reply, Sender, failed, id_of, reply_of};
use elias_capabilities::Cause;
use elias_capabilities::workers::{Error, ErrorCode};
use elias_workers::{Admission, WorkerKey};
use std::sync::Weak;
use tokio::sync::oneshot;

impl Manager {
    /// Has a worker handle a message, which begins to wait before this returns. The answer comes when the turn is
    /// committed.
    pub(crate) fn call(
        &self,
        key: WorkerKey,
        content: Content,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.call_as(None, key, content, cause)
    }

    /// The same with a message that has this id, if it is a UUID.
    pub(crate) fn call_as(
        &self,
        id: Option<String>,
        key: WorkerKey,
        content: Content,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        self.ask(key, Message::new(id_of(id), content, Sender::Outside(sender), cause), answer)
    }

    /// The same with a message that may come again with this id.
    pub(crate) fn call_once(
        &self,
        id: String,
        key: WorkerKey,
        content: Content,
        cause: Cause,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let (sender, answer) = oneshot::channel();
        self.ask(key, Message::new(id, content, Sender::Repeating(sender), cause), answer)
    }

    fn ask(
        &self,
        key: WorkerKey,
        message: Message,
        answer: oneshot::Receiver<Answer>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        self.send(&key, message);
        let manager = Weak::clone(&self.own);
        async move {
            let lost = |_| match manager.upgrade() {
                Some(manager) if !manager.is_stopping() => Err(failed(ErrorCode::Failed, format!("{key}: {PANICKED}"))),
                _ => Err(failed(ErrorCode::Unavailable, "the workers were stopped before the worker answered")),
            };
            answer.await.unwrap_or_else(lost)
        }
    }

    /// Puts a message into a mailbox: that of a member, where it is for a group. One that cannot wait there is answered
    /// with the reason.
    pub(crate) fn send(&self, to: &WorkerKey, message: Message) {
        self.deliver(to, message, false);
    }

    /// The same with a call that was made before, and is made again. Where there is no room for it now, it is not
    /// answered: it may have been handled, and is made again later.
    pub(crate) fn send_again(&self, to: &WorkerKey, message: Message) {
        self.deliver(to, message, true);
    }

    fn deliver(&self, to: &WorkerKey, mut message: Message, is_again: bool) {
        let member = match self.member_for(to, &message) {
            Ok(member) => member,
            Err(error) => return self.answer(message.sender, message.id, Err(error)),
        };
        let to = member.as_ref().unwrap_or(to);
        if let Err(error) = self.check(to, &message.sender) {
            return self.answer(message.sender, message.id, Err(error));
        }
        let (bytes, most) = (message.content.bytes(), self.live().mailbox.bytes);
        if bytes > most {
            let text = format!("{to}: the message has {bytes} bytes, and its mailbox takes {most}");
            return self.answer(message.sender, message.id, Err(failed(ErrorCode::TooLarge, text)));
        }
        if let Err(full) = message.reserve(&self.settings.memory) {
            if !is_again {
                self.answer(message.sender, message.id, Err(failed(ErrorCode::MailboxFull, format!("{to}: {full}"))));
            }
            return;
        }
        let Some(admission) = self.handle(to, |handle| handle.push(message)) else { return };
        match admission {
            Admission::Accepted | Admission::SenderWaits => {}
            Admission::AcceptedInPlaceOf(dropped) => {
                tracing::warn!(worker = %to, messages = dropped.len(), "the mailbox is full: the oldest are dropped");
                for Message { id, sender, .. } in dropped {
                    let message = format!("the mailbox of {to} is full: the message was dropped for a newer one");
                    self.answer(sender, id, Err(failed(ErrorCode::MailboxFull, message)));
                }
            }
            Admission::Refused(..) if is_again => {}
            Admission::Refused(full, Message { id, sender, .. }) => {
                self.answer(sender, id, Err(failed(ErrorCode::MailboxFull, format!("{to}: {full}"))));
            }
        }
    }

    /// Why no message can be sent to a worker.
    fn check(&self, to: &WorkerKey, sender: &Sender) -> Result<(), Error> {
        if self.is_stopping() {
            return Err(failed(ErrorCode::Unavailable, "the workers are being stopped"));
        }
        if let Some(problem) = to.problem() {
            return Err(failed(ErrorCode::Invalid, problem));
        }
        if let Some(why) = self.trees.given_up(to) {
            return Err(failed(ErrorCode::Failed, format!("{to} is stopped: {why}")));
        }
        let Some(component) = self.component(to) else {
            // What a worker sends is committed, and waits until there is one.
            return match sender {
                Sender::Worker { .. } => Ok(()),
                Sender::Outside(_) | Sender::Repeating(_) | Sender::Nobody => {
                    Err(failed(ErrorCode::Unavailable, "no component is loaded"))
                }
            };
        };
        if !component.has_class(&to.class) {
            let message = format!("the component exports no worker class {}", to.class.escape_debug());
            return Err(failed(ErrorCode::NotFound, message));
        }
        Ok(())
    }

    /// Gives an answer to whoever waits for it.
    pub(crate) fn answer(&self, sender: Sender, id: String, answer: Answer) {
        match sender {
            // Whoever asked may have left.
            Sender::Outside(waiting) | Sender::Repeating(waiting) => drop(waiting.send(answer)),
            Sender::Worker { key, call } => self.reply(&key, Reply::new(call, id, reply_of(answer))),
            Sender::Nobody => {
                if let Err(error) = answer {
                    tracing::error!("a message that nobody waits for failed: {}", error.message);
                }
            }
        }
    }

    /// Gives a worker the answer to a call that it made.
    fn reply(&self, caller: &WorkerKey, mut reply: Reply) {
        let mut directory = self.directory.lock();
        // From here on it does not wait for this any more: the callee may call it.
        directory.waits.answered(caller, &reply.id);
        // One without a task was given up, or its task panicked: it asks again when it goes on.
        if let Some(handle) = directory.handles.get(caller) {
            reply.reserve(&self.settings.memory);
            handle.queue.lock().push_reply(reply);
            handle.changed.notify_one();
        }
    }

    /// A caller has committed the reply to its call: the callee need not store it. One that has no task keeps it until
    /// there are too many, which costs it some bytes.
    pub(crate) fn forget_reply(&self, callee: &WorkerKey, id: String) {
        if let Some(handle) = self.directory.lock().handles.get(callee) {
            handle.received.lock().push(id);
        }
    }
}
