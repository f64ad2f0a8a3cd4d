//! The step of a request in which a service worker sends a stream of server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>): a socket that the client can only read.

use super::websocket::{failure, open_socket, socket_request};
use crate::body::Content;
use crate::config::milliseconds;
use crate::connection::{EXPIRED, expired};
use crate::exchange::Exchange;
use crate::failure::Failure;
use bytes::Bytes;
use elias_gateway::worker::SocketTarget;
use elias_host::SocketKind;
use elias_local_workers::{RunningWorkers, SocketConnection, SocketFrame};
use elias_platform::{Platform, Service};
use elias_workers::WorkerKey;
use futures::future::BoxFuture;
use futures::stream::{Stream, StreamExt};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A comment, which clients pass over: it shows whether they are there, and keeps proxies from ending the stream.
const KEEP_ALIVE: &[u8] = b":\n\n";

/// The code with which the worker is told that the server shuts down, or that nothing was sent for too long.
const GOING_AWAY: u16 = 1001;

/// Responds with the events of a worker of a platform's service, until `expires` at most.
///
/// # Errors
/// The worker refuses the stream, or cannot take it.
pub(super) async fn respond_routed(
    exchange: &mut Exchange,
    (platform, service): (&Platform, &Arc<Service>),
    target: SocketTarget,
    parts: &Parts,
    expires: Option<Instant>,
) -> Result<Response<Content>, Failure> {
    let traceparent = parts.headers.get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let request = socket_request(parts, None, SocketKind::EventStream);
    let worker = platform.open_worker_socket(service, target, request, traceparent).await.map_err(failure)?;
    exchange.served_by_host = Some(Arc::clone(service));
    Ok(response(exchange, worker, expires))
}

/// Responds with the events of a worker of a server without a platform.
///
/// # Errors
/// As of [`respond_routed`].
pub(super) async fn respond_locally(
    exchange: &mut Exchange,
    workers: &RunningWorkers,
    target: SocketTarget,
    parts: &Parts,
) -> Result<Response<Content>, Failure> {
    let key = WorkerKey::new(target.class, target.name);
    let request = socket_request(parts, None, SocketKind::EventStream);
    let worker = open_socket(workers, key, request).await?;
    Ok(response(exchange, worker, None))
}

fn response(exchange: &Exchange, worker: SocketConnection, expires: Option<Instant>) -> Response<Content> {
    let server = &exchange.connection.server;
    let stream = EventStream {
        worker,
        drains: Box::pin(server.drains()),
        expired: Box::pin(expired(expires)),
        period: milliseconds(server.config.websocket_ping_interval_ms),
        idle: milliseconds(server.config.websocket_idle_timeout_ms),
        last: Instant::now(),
    };
    let mut response = Response::new(Content::stream(stream.into_chunks().map(Ok)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A stream of events on its way to a client. If the client leaves, this is dropped, and the worker told of it.
struct EventStream {
    worker: SocketConnection,
    /// Resolves when the server shuts down.
    drains: BoxFuture<'static, ()>,
    /// Resolves when the client's credentials expire.
    expired: BoxFuture<'static, ()>,
    /// How long nothing is sent before a comment is.
    period: Duration,
    /// How long the worker may send nothing before the stream ends.
    idle: Duration,
    /// When the worker sent something last.
    last: Instant,
}

impl EventStream {
    /// What is sent, until the worker closes the stream or the server shuts down. The client then connects again.
    fn into_chunks(self) -> impl Stream<Item = Bytes> + Send {
        futures::stream::unfold(self, |mut stream| async move {
            let chunk = tokio::select! {
                () = &mut stream.drains => None,
                () = &mut stream.expired => {
                    stream.worker.closed(EXPIRED.0, EXPIRED.1).await;
                    return None;
                }
                chunk = timeout(stream.period, stream.worker.next()) => Some(chunk),
            };
            match chunk {
                Some(Ok(Some(SocketFrame::Text(text)))) => {
                    stream.last = Instant::now();
                    Some((Bytes::from(text), stream))
                }
                Some(Err(_)) if stream.last.elapsed() < stream.idle => Some((Bytes::from_static(KEEP_ALIVE), stream)),
                Some(Ok(Some(SocketFrame::Close(close)))) => {
                    stream.worker.closed(close.code, &close.reason).await;
                    None
                }
                // The engine sends no bytes to such a socket; another one's are no events.
                Some(Ok(_)) => None,
                Some(Err(_)) | None => {
                    stream.worker.closed(GOING_AWAY, "").await;
                    None
                }
            }
        })
    }
}
