//! Events and ticks that are for service workers. Whoever builds the triggers gives what sends them, since this crate
//! runs no workers.

use elias_capabilities::trigger::Cause;
use elias_triggers::config::{JobConfig, WorkerMessage, WorkerTarget};
use elias_triggers::queue::AttemptResult;
use futures::future::BoxFuture;
use std::sync::Arc;

/// Sends messages to the service workers of the component.
pub trait WorkerSender: Send + Sync {
    /// Has a worker handle a message, for what `cause` says; gives what became of it. The id is the same each time when
    /// the message is sent again, and no other message has it: a worker that has handled it need not do so again.
    ///
    /// A message that cannot be handled now, such as one for workers that do not run yet, is [`AttemptResult::NotRun`];
    /// one that can never be, [`AttemptResult::Invalid`]. What the worker threw is [`AttemptResult::Failed`].
    fn send(&self, id: String, message: WorkerMessage, cause: Cause) -> BoxFuture<'static, AttemptResult>;
}

/// The service worker of a schedule or a subscription.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) target: WorkerTarget,
    pub(crate) sender: Arc<dyn WorkerSender>,
}

/// A tick or an event that is sent to a service worker.
pub(crate) struct WorkerRun {
    /// For people, as of a run of the handler.
    pub(crate) what: String,
    pub(crate) attempt: u32,
    /// The id of the message, the same for each attempt.
    id: String,
    /// The message, or why there is none.
    message: Result<WorkerMessage, String>,
    sender: Arc<dyn WorkerSender>,
}

impl Worker {
    /// An attempt to send it a message, of a run that is called `what` for people.
    pub(crate) fn run(
        &self,
        what: String,
        id: &str,
        message: Result<WorkerMessage, String>,
        attempt: u32,
    ) -> WorkerRun {
        WorkerRun { what, attempt, id: id.to_owned(), message, sender: Arc::clone(&self.sender) }
    }
}

impl WorkerRun {
    /// Sends the message. A handler that waits goes on when nobody waits for its answer any more.
    pub(crate) async fn send(self, cause: Cause) -> AttemptResult {
        let message = match self.message {
            Ok(message) => message,
            Err(reason) => return AttemptResult::Invalid(reason),
        };
        let wait = JobConfig::default().timeout.get();
        let handled = tokio::time::timeout(wait, self.sender.send(self.id, message, cause)).await;
        handled.unwrap_or_else(|_| {
            let wait = wait.as_secs();
            AttemptResult::Failed(format!("no answer within {wait} s; the worker handles the message all the same"))
        })
    }
}

/// The id of a message, the same for each of its attempts: ids of events begin anew with each process, which workers
/// in a folder outlive.
pub(crate) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
