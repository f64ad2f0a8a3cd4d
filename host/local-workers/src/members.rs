//! The member of a group that a message is for.

use crate::manager::Manager;
use crate::message::{Content, Message, Sender, failed};
use elias_capabilities::workers::{Error, ErrorCode};
use elias_workers::WorkerKey;

impl Manager {
    /// The member of a group that gets a message to this worker, by the id of one that may come again; none if that
    /// names no group.
    ///
    /// # Errors
    /// `invalid`, if the message has to have a key and has none.
    pub(crate) fn member(&self, to: &WorkerKey, id: Option<&str>) -> Result<Option<WorkerKey>, Error> {
        self.groups.member(to, id, |member| self.load(member)).map_err(|problem| failed(ErrorCode::Invalid, problem))
    }

    /// The same for this message: what is about one worker is not for a group.
    pub(crate) fn member_for(&self, to: &WorkerKey, message: &Message) -> Result<Option<WorkerKey>, Error> {
        match &message.content {
            Content::Value { .. } => {
                let repeats = matches!(message.sender, Sender::Repeating(_));
                self.member(to, repeats.then_some(message.id.as_str()))
            }
            Content::Start | Content::Wake | Content::Turn(_) if self.groups.has(to) => {
                Err(failed(ErrorCode::Invalid, format!("{to} is a group: name a member, such as {to}#1")))
            }
            Content::Start | Content::Wake | Content::Turn(_) => Ok(None),
        }
    }
}
