//! The middleware of a route: each in turn gets the request, and lets it go on or responds. A call is an execution of
//! its own, with the guard of the service that it is to, and ends before the next one begins: a request never holds
//! more than one execution needs.
//!
//! A middleware is called past the gateway, so that the rules of its own routes do not hold, its own middleware among
//! them: no chain of configurations leads back to a component that was called.

use super::attempt::Attempt;
use super::whole_body;
use crate::body::{Content, ReceivedBody};
use crate::exchange::Exchange;
use crate::failure::Failure;
use bytes::Bytes;
use elias_gateway::middleware::MIDDLEWARE;
use elias_gateway::{Code, Middleware, Refusal, Rules};
use elias_host::RequestLimits;
use http::header::{CONTENT_LENGTH, EXPECT};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};

/// Bytes of the content of a response that lets its request go on which are read before the execution is ended: as long
/// as they are few, its component may go on to do what it gave to `waitUntil`.
const UNUSED_BYTES_MAX: usize = 64 << 10;

/// The result of the middleware of a route.
pub(super) enum MiddlewareOutcome {
    /// The request goes on, with this body.
    Proceed(ReceivedBody),
    /// One of them has responded.
    Respond(Response<Content>),
}

/// Sends a request to the middleware of its route, in their order. `attempt` has the caller and the service; `parts`
/// get the headers that the middleware set.
///
/// # Errors
/// One of them is not deployed, not admitted or fails, and may not be passed over; or the body is more than they take.
pub(super) async fn run(
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    rules: &Rules,
    parts: &mut Parts,
    body: ReceivedBody,
) -> Result<MiddlewareOutcome, Failure> {
    let Some(middleware) = rules.middleware() else { return Ok(MiddlewareOutcome::Proceed(body)) };
    let body = match middleware.max_body_bytes() {
        Some(bytes_max) if !body.is_end_stream() => {
            ReceivedBody::Whole(whole_body::read_for_middleware(exchange, bytes_max, body).await?)
        }
        _ => body,
    };
    for step in middleware.steps() {
        let bytes = match &body {
            ReceivedBody::Whole(bytes) if step.takes_body() => bytes.clone(),
            _ => Bytes::new(),
        };
        // Boxed: most requests have no middleware, and are not to have room for the call of one.
        match Box::pin(call(exchange, attempt, step, parts, bytes)).await {
            Ok(response) if step.proceed(response.headers(), &mut parts.headers) => {
                let status = response.status().as_u16();
                read_unused(response.into_body()).await;
                exchange.end_step(status);
            }
            Ok(mut response) => {
                response.headers_mut().remove(MIDDLEWARE);
                return Ok(MiddlewareOutcome::Respond(response));
            }
            Err(failure) if step.continues_on_error => {
                let (component, code) = (step.component.as_str(), failure.code());
                tracing::debug!(component, code, "a middleware failed, and the request goes on");
                exchange.end_failed_step(&failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(MiddlewareOutcome::Proceed(body))
}

/// Calls one middleware with this body.
async fn call(
    exchange: &mut Exchange,
    attempt: &Attempt<'_>,
    step: &Middleware,
    parts: &Parts,
    body: Bytes,
) -> Result<Response<Content>, Failure> {
    let Some(service) = attempt.platform.serving().beside(attempt.service, &step.component) else {
        let reason = format!("the middleware {} is not deployed", step.component);
        return Err(Refusal::new(Code::MiddlewareMissing).with_reason(reason).into());
    };
    let mut parts = parts.clone();
    if body.is_empty() {
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove(EXPECT);
    }
    let Middleware { timeout, fuel, memory_bytes, .. } = *step;
    parts.extensions.insert(RequestLimits { fuel, memory_bytes, deadline: Some(timeout) });
    let attempt = Attempt { service: &service, ..*attempt };
    attempt.execute(exchange, Request::from_parts(parts, Full::new(body))).await
}

/// Reads content that nobody uses, so that the execution behind it comes to its end.
async fn read_unused(mut content: Content) {
    let mut left = UNUSED_BYTES_MAX;
    while let Some(Ok(frame)) = content.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn of_content_that_nobody_uses_a_bounded_part_is_read() {
        const CHUNK_BYTES: usize = 1 << 10;
        for (chunks, expected) in [(10, 10), (10_000, UNUSED_BYTES_MAX / CHUNK_BYTES + 1)] {
            let read = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&read);
            let content = Content::stream(futures::stream::iter(0..chunks).map(move |_| {
                count.fetch_add(1, Ordering::Relaxed);
                Ok(Bytes::from(vec![b'x'; CHUNK_BYTES]))
            }));
            read_unused(content).await;
            assert_eq!(read.load(Ordering::Relaxed), expected);
        }
    }
}
