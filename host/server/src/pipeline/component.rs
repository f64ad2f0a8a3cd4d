//! The step of a request in which a component responds.

use crate::body::Content;
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal};
use crate::headers::{EXECUTION_ID, content_length, strip_hop_by_hop};
use bytes::Bytes;
use elias_host::{App, ExecutionHandle};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response, StatusCode, response};
use http_body::Body as _;

/// Runs a component for a request, and makes the client's response of the component's.
pub(super) async fn fetch<B>(
    exchange: &mut Exchange,
    app: &App,
    request: Request<B>,
) -> Result<Response<Content>, Failure>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let method = request.method().clone();
    exchange.note(|record| record.app = Some(app.clone()));
    let result = app.fetch(request).await;
    // A bad body is the client's fault, whatever the component made of it.
    let response = match (result, exchange.fault()) {
        (Ok(response), None) => response,
        (Err(error), None) => {
            if let Some(mirroring) = &exchange.mirroring {
                mirroring.fail(&error);
            }
            return Err(Failure::Component(error));
        }
        (Ok(_), Some(fault)) => return Err(Failure::Refused(fault)),
        (Err(error), Some(fault)) => {
            exchange.note(|record| record.execution = error.execution().cloned());
            return Err(Failure::Refused(fault));
        }
    };
    prepare(exchange, &method, response).map_err(Failure::Refused)
}

/// Makes a component's response the one that the client gets.
fn prepare(
    exchange: &mut Exchange,
    method: &Method,
    response: Response<elias_host::Body>,
) -> Result<Response<Content>, Refusal> {
    let (mut parts, body) = response.into_parts();
    let running = take_execution(&mut parts);
    add_execution_id(&mut parts, running.as_ref());
    exchange.hold_execution(running);
    if parts.status.is_informational() {
        return Err(Refusal::BadResponse);
    }
    let bodiless = is_bodiless(parts.status);
    // A component may have left a stream unread: that nothing came says nothing of the length that GET would have.
    if *method == Method::HEAD
        && !bodiless
        && let Some(bytes) = body.size_hint().exact().filter(|&bytes| bytes > 0)
    {
        parts.headers.entry(CONTENT_LENGTH).or_insert(bytes.into());
    }
    let is_empty = bodiless || *method == Method::HEAD;
    let response = Response::from_parts(parts, body);
    if let Some(mirroring) = &exchange.mirroring {
        mirroring.begin_response(&response, exchange.execution_id(), is_empty || response.body().is_end_stream());
    }
    let announced = content_length(response.headers());
    Ok(response.map(|body| {
        if is_empty {
            return Content::Empty;
        }
        let body = exchange.buffer_response(body, announced);
        match &exchange.mirroring {
            Some(mirroring) => Content::boxed(mirroring.response_body(body)),
            None => Content::Component(body),
        }
    }))
}

/// The execution behind a component's response, of which nothing goes on that is for one connection only.
pub(super) fn take_execution(parts: &mut response::Parts) -> Option<ExecutionHandle> {
    strip_hop_by_hop(&mut parts.headers);
    if parts.status == StatusCode::NO_CONTENT {
        // It must not have one (RFC 9110, 8.6). hyper removes it, but not from a response to HEAD.
        parts.headers.remove(CONTENT_LENGTH);
    }
    parts.extensions.remove::<ExecutionHandle>()
}

/// Names the execution behind a response in its headers.
pub(super) fn add_execution_id(parts: &mut response::Parts, running: Option<&ExecutionHandle>) {
    if let Some(id) = running.and_then(|running| HeaderValue::from_str(running.id()).ok()) {
        parts.headers.insert(EXECUTION_ID, id);
    }
}

/// Whether responses with a status have no body. hyper leaves these out in HTTP/1 only.
pub(super) fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED)
}
