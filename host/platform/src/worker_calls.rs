//! Calls of service workers from outside, with values as JSON: by users, and by requests of routes to workers.

use crate::platform::Platform;
use crate::serving::{NotAdmitted, Service};
use crate::triggers::checked_traceparent;
use crate::workers::{MessageId, WorkerCallFrom, WorkerRunner};
use elias_api::{Code, Error, Result};
use elias_capabilities::trigger::Cause;
use elias_capabilities::workers::{Error as CallError, ErrorCode as CallErrorCode};
use elias_gateway::worker::{SocketTarget, WorkerContent, WorkerRequest};
use elias_host::SocketRequest;
use elias_local_workers::{RunningWorkers, SocketConnection};
use elias_names::ServiceId;
use elias_workers::WorkerKey;
use elias_workers::value::{ValueError, from_json, to_json};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the answer of a worker is waited for, and a socket that it opens: its handler may wait for days.
pub const ANSWER_WAIT: Duration = Duration::from_secs(120);

impl Platform {
    /// Has a worker of a service respond to a request of a route, whose body is `body` if it has one; gives the answer.
    /// `traceparent` is that of the request.
    ///
    /// # Errors
    /// `worker-exception` if the handler threw, `bad-input` for a body that is nested too deeply, `too-large`;
    /// `not-found` for the class; the tenant's quota; `worker-failed`, `mailbox-full`, `workers-unavailable`,
    /// `answer-timeout`.
    pub async fn respond_by_worker(
        &self,
        service: &Service,
        request: WorkerRequest,
        body: Value,
        traceparent: Option<String>,
    ) -> Result<Value, NotAdmitted> {
        self.serving().may_send(service).await?;
        let (key, content) = message_of(request, body);
        Ok(call(self.workers(), &service.id, key, content, traceparent).await?)
    }

    /// Opens a WebSocket of a route that ends in a worker of a service.
    ///
    /// # Errors
    /// As of [`Self::respond_by_worker`]; `worker-exception` if `onOpen` threw.
    pub async fn open_worker_socket(
        &self,
        service: &Service,
        target: SocketTarget,
        request: SocketRequest,
        traceparent: Option<String>,
    ) -> Result<SocketConnection, NotAdmitted> {
        self.serving().may_send(service).await?;
        let cause = Cause { traceparent: checked_traceparent(traceparent), hops: 0 };
        let key = WorkerKey::new(target.class, target.name);
        let opening = self.workers().open_socket(&service.id, key, request, cause);
        let opened = tokio::time::timeout(ANSWER_WAIT, opening).await.map_err(|_| {
            Error::new(Code::AnswerTimeout, format!("onOpen has not ended within {} s", ANSWER_WAIT.as_secs()))
        })?;
        Ok(opened.map_err(refusal)?)
    }
}

/// Has a worker of a server without a platform respond to a request of a route, as [`Platform::respond_by_worker`]
/// does.
///
/// # Errors
/// As there, but for quotas.
pub async fn respond_by_local_worker(workers: &RunningWorkers, request: WorkerRequest, body: Value) -> Result<Value> {
    let (key, content) = message_of(request, body);
    call_local_worker(workers, key, content).await
}

/// Has a worker of a server without a platform handle a message, or a call of a method with the list of its arguments,
/// as [`Platform::send_to_worker`] does.
///
/// # Errors
/// As there, but for quotas.
pub async fn call_local_worker(
    workers: &RunningWorkers,
    key: WorkerKey,
    (method, value): (Option<String>, Value),
) -> Result<Value> {
    let value = encoded(method.as_deref(), &value)?;
    let answer = workers.call_from(key, method, value, Cause::default());
    shown(&answered(answer, ANSWER_WAIT).await?)
}

/// The worker that a request is for, and the message or the call that it is.
fn message_of(request: WorkerRequest, body: Value) -> (WorkerKey, (Option<String>, Value)) {
    let WorkerRequest { class, name, content } = request;
    let content = match content {
        WorkerContent::Body => (None, body),
        WorkerContent::Query { method, query } => (Some(method), json!([query])),
    };
    (WorkerKey::new(class, name), content)
}

/// Has a worker handle a message, or a call of a method with the list of its arguments; gives what the handler
/// returned, once the turn is committed.
///
/// # Errors
/// `worker-exception` if the handler threw: the worker is as before the message; `answer-timeout` after two minutes:
/// the worker handles it all the same; `worker-failed`, `mailbox-full`, `workers-unavailable`; `not-found` for the
/// class; `bad-input`, `too-large`, `quota-exceeded`.
pub(crate) async fn call(
    runner: &WorkerRunner,
    service: &ServiceId,
    key: WorkerKey,
    (method, value): (Option<String>, Value),
    traceparent: Option<String>,
) -> Result<Value> {
    let value = encoded(method.as_deref(), &value)?;
    let cause = Cause { traceparent: checked_traceparent(traceparent), hops: 0 };
    let answer = runner.call(service, WorkerCallFrom { id: MessageId::Unique(None), key, method, value, cause });
    shown(&answered(answer, ANSWER_WAIT).await?)
}

/// A message or the arguments of a call, encoded.
fn encoded(method: Option<&str>, value: &Value) -> Result<String> {
    method.map_or(Ok(()), check_method)?;
    from_json(value).map_err(|error| {
        let code = if error == ValueError::TooLarge { Code::TooLarge } else { Code::BadInput };
        Error::new(code, error.to_string())
    })
}

/// Checks the name of a method, which has the bounds of a worker's.
fn check_method(method: &str) -> Result<()> {
    let characters = method.encode_utf16().count();
    if (1..=WorkerKey::CHARACTERS_MAX).contains(&characters) {
        return Ok(());
    }
    let message = format!("method: must have from 1 to {} characters, not {characters}", WorkerKey::CHARACTERS_MAX);
    Err(Error::new(Code::BadInput, message))
}

/// Checks a class and a name.
///
/// # Errors
/// `bad-input`.
pub(crate) fn check_worker(key: &WorkerKey) -> Result<()> {
    key.problem().map_or(Ok(()), |problem| Err(Error::new(Code::BadInput, problem)))
}

/// The answer to a call, if it comes within this time.
async fn answered(call: impl Future<Output = Result<String, CallError>>, wait: Duration) -> Result<String> {
    in_time(call, wait).await?.map_err(refusal)
}

/// What a call ends with, if it ends within this time.
pub(crate) async fn in_time(
    call: impl Future<Output = Result<String, CallError>>,
    wait: Duration,
) -> Result<Result<String, CallError>> {
    tokio::time::timeout(wait, call).await.map_err(|_| {
        let message = format!("no answer within {} s; the worker handles the message all the same", wait.as_secs());
        Error::new(Code::AnswerTimeout, message)
    })
}

/// A value that a worker gave.
///
/// # Errors
/// `worker-failed` if it is none.
pub(crate) fn shown(text: &str) -> Result<Value> {
    to_json(text)
        .map_err(|error| Error::new(Code::WorkerFailed, format!("the worker's answer cannot be read: {error}")))
}

/// A call without an answer, as those outside are told.
#[must_use]
pub fn refusal(error: CallError) -> Error {
    let CallError { code, name, message } = error;
    match code {
        CallErrorCode::Exception => Error::new(Code::WorkerException, format!("{name}: {message}")),
        CallErrorCode::Invalid => Error::new(Code::BadInput, message),
        CallErrorCode::TooLarge => Error::new(Code::TooLarge, message),
        CallErrorCode::QuotaExceeded => Error::new(Code::QuotaExceeded, message),
        CallErrorCode::NotFound => Error::new(Code::NotFound, message),
        CallErrorCode::MailboxFull => Error::new(Code::MailboxFull, message),
        CallErrorCode::Failed => Error::new(Code::WorkerFailed, message),
        CallErrorCode::Unavailable => Error::new(Code::WorkersUnavailable, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_method_has_bounds() {
        assert!(check_method("add").is_ok());
        for method in [String::new(), "x".repeat(257)] {
            assert_eq!(check_method(&method).expect_err("out of bounds").code(), Code::BadInput);
        }
    }

    #[test]
    fn a_class_and_a_name_have_bounds() {
        assert!(check_worker(&WorkerKey::new("Cart", "../\0")).is_ok());
        for key in [WorkerKey::new("Cart", "x".repeat(257)), WorkerKey::new("", "x")] {
            assert_eq!(check_worker(&key).expect_err("out of bounds").code(), Code::BadInput);
        }
    }

    #[tokio::test]
    async fn an_answer_is_not_waited_for_without_an_end() {
        let never = std::future::pending();
        assert_eq!(answered(never, Duration::ZERO).await.expect_err("too late").code(), Code::AnswerTimeout);
        let now = std::future::ready(Ok("[1,2]".to_owned()));
        assert_eq!(answered(now, ANSWER_WAIT).await.expect("an answer"), "[1,2]");
    }

    #[test]
    fn an_exception_is_told_with_its_name() {
        let thrown = CallError { code: CallErrorCode::Exception, name: "RangeError".into(), message: "3 left".into() };
        let error = refusal(thrown);
        assert_eq!((error.code(), error.to_string().as_str()), (Code::WorkerException, "RangeError: 3 left"));
        assert_eq!(refusal(CallError::new(CallErrorCode::NotFound, "no class")).code(), Code::NotFound);
        assert_eq!(shown("{}").expect_err("not a value").code(), Code::WorkerFailed);
    }
}
