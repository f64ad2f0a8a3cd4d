//! Ticks and events that are for the service workers of a project: between what runs its triggers and what runs its
//! workers, in one process.

use elias_local_triggers::{AttemptResult, Cause, WorkerMessage, WorkerSender};
use elias_local_workers::{CallError, CallErrorCode, RunningWorkers, WorkerKey};
use elias_workers::value::from_json;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::{Arc, OnceLock, Weak};

/// The workers of a project, for its triggers, which are set up before the workers run.
#[derive(Default)]
pub(crate) struct ProjectWorkers(OnceLock<Weak<RunningWorkers>>);

impl ProjectWorkers {
    /// Says which they are. Said once.
    pub(crate) fn bind(&self, workers: &Arc<RunningWorkers>) {
        let _ = self.0.set(Arc::downgrade(workers));
    }
}

impl WorkerSender for ProjectWorkers {
    fn send(&self, id: String, message: WorkerMessage, cause: Cause) -> BoxFuture<'static, AttemptResult> {
        let workers = self.0.get().and_then(Weak::upgrade);
        async move {
            let Some(workers) = workers else {
                return AttemptResult::NotRun { times: 1, reason: "the workers do not run".to_owned() };
            };
            let WorkerMessage { class, name, method, value } = message;
            let value = match from_json(&value) {
                Ok(value) => value,
                Err(error) => return AttemptResult::Invalid(error.to_string()),
            };
            let answer = workers.call_once(id, WorkerKey::new(class, name), method, value, cause);
            // As of a handler, what it returned is nobody's.
            answer.await.map_or_else(ending, |_| AttemptResult::Returned("null".to_owned()))
        }
        .boxed()
    }
}

/// The consequence of a message that was not handled.
fn ending(error: CallError) -> AttemptResult {
    let CallError { code, name, message } = error;
    match code {
        CallErrorCode::Invalid | CallErrorCode::TooLarge | CallErrorCode::NotFound => AttemptResult::Invalid(message),
        CallErrorCode::QuotaExceeded | CallErrorCode::Unavailable => {
            AttemptResult::NotRun { times: 1, reason: message }
        }
        CallErrorCode::Exception => AttemptResult::Failed(format!("{name}: {message}")),
        CallErrorCode::MailboxFull | CallErrorCode::Failed => AttemptResult::Failed(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_message_waits_for_workers_that_do_not_run_yet() {
        let message = WorkerMessage { class: "Cart".into(), name: "a".into(), method: None, value: json!(1) };
        let sent = ProjectWorkers::default().send("1".to_owned(), message, Cause::default()).await;
        assert!(matches!(sent, AttemptResult::NotRun { .. }), "{sent:?}");
    }

    #[test]
    fn an_exception_is_an_attempt_and_what_can_never_be_handled_is_not_tried_again() {
        let of = |code| ending(CallError { code, name: "RangeError".to_owned(), message: "3 left".to_owned() });
        assert_eq!(of(CallErrorCode::Exception), AttemptResult::Failed("RangeError: 3 left".to_owned()));
        assert_eq!(of(CallErrorCode::MailboxFull), AttemptResult::Failed("3 left".to_owned()));
        assert_eq!(of(CallErrorCode::NotFound), AttemptResult::Invalid("3 left".to_owned()));
        assert!(matches!(of(CallErrorCode::Unavailable), AttemptResult::NotRun { .. }));
    }
}
