//! The step of a request in which a service worker responds, in the place of its component's `fetch`.

use super::whole_body;
use crate::body::{Content, ReceivedBody};
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use bytes::Bytes;
use elias_api::Code;
use elias_gateway::Rules;
use elias_gateway::worker::{WorkerContent, WorkerRequest};
use elias_host::ErrorCode;
use elias_local_workers::RunningWorkers;
use elias_platform::{NotAdmitted, Platform, Service};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;
use std::sync::Arc;

/// Responds with the answer of a worker as JSON.
///
/// # Errors
/// The body is not JSON; or the worker gives no answer.
pub(super) async fn respond(
    exchange: &mut Exchange,
    (platform, service): (&Platform, Arc<Service>),
    request: WorkerRequest,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Content>, Failure> {
    let body = message(&request, body)?;
    let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let answer = platform.respond_by_worker(&service, request, body, traceparent).await.map_err(failure)?;
    exchange.served_by_host = Some(service);
    Ok(in_json(&answer))
}

/// The same by a worker of a server without a platform.
///
/// # Errors
/// As of [`respond`].
pub(super) async fn respond_locally(
    workers: &RunningWorkers,
    request: WorkerRequest,
    body: &[u8],
) -> Result<Response<Content>, Failure> {
    let body = message(&request, body)?;
    let answer = elias_platform::respond_by_local_worker(workers, request, body).await;
    Ok(in_json(&answer.map_err(|error| failure(error.into()))?))
}

/// Reads the body of a request to a worker, which the schema of its route may be for.
///
/// # Errors
/// The body is too slow, damaged or too large, or not what the schema allows.
pub(super) async fn read_body(
    exchange: &mut Exchange,
    (rules, checks_body): (&Rules, bool),
    request: &WorkerRequest,
    body: ReceivedBody,
) -> Result<Bytes, Failure> {
    match request.content {
        _ if checks_body => whole_body::read_checked(exchange, rules.max_body_bytes(), body).await,
        WorkerContent::Body => whole_body::read_message(exchange, body).await,
        WorkerContent::Query { .. } => Ok(Bytes::new()),
    }
}

/// The message of a request with a body.
fn message(request: &WorkerRequest, body: &[u8]) -> Result<Value, Failure> {
    match request.content {
        WorkerContent::Body => serde_json::from_slice(body).map_err(|_| refused(elias_gateway::Code::MalformedJson)),
        WorkerContent::Query { .. } => Ok(Value::Null),
    }
}

fn in_json(answer: &Value) -> Response<Content> {
    let mut response = Response::new(Content::Whole(Bytes::from(answer.to_string())));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn refused(code: elias_gateway::Code) -> Failure {
    elias_gateway::Refusal::new(code).into()
}

/// Why a worker gave no answer, as the client is told it: no more than if the component's `fetch` had failed.
fn failure(refusal: NotAdmitted) -> Failure {
    match refusal.error.code() {
        Code::WorkerException => {
            tracing::debug!(error = %refusal.error, "a worker threw");
            Refusal::Host(ErrorCode::Exception).into()
        }
        // Nested too deeply.
        Code::BadInput => refused(elias_gateway::Code::MalformedJson),
        Code::TooLarge => refused(elias_gateway::Code::RequestTooLarge),
        // Another version of the component serves than the one whose routes these are.
        Code::NotFound => Refusal::Unavailable.into(),
        _ => refusal.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_api::Error;

    #[test]
    fn a_client_learns_no_internals() {
        for (code, told, status) in [
            (Code::WorkerException, "exception", 500),
            (Code::BadInput, "malformed-json", 400),
            (Code::TooLarge, "request-too-large", 413),
            (Code::NotFound, "unavailable", 503),
            (Code::WorkerFailed, "worker-failed", 503),
            (Code::MailboxFull, "mailbox-full", 503),
            (Code::AnswerTimeout, "answer-timeout", 504),
            (Code::QuotaExceeded, "quota-exceeded", 429),
        ] {
            let failure = failure(NotAdmitted::from(Error::new(code, "secret")));
            assert_eq!((failure.code(), failure.entry().1), (told, status));
        }
    }
}
