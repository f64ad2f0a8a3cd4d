//! A request with an idempotency key: its component runs once, to the end even if its client leaves, and its response
//! is stored before it is sent.

use super::component::{add_execution_id, is_bodiless, take_execution};
use crate::body::Content;
use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal, describe};
use crate::headers::content_length;
use crate::state::ServerState;
use bytes::{Bytes, BytesMut};
use elias_delivery::supervision::{SharedPermit, UsageReservation};
use elias_gateway::middleware::FromMiddleware;
use elias_gateway::{IdempotencyKey, Identity};
use elias_host::{Body, Caller, Error, ErrorCode, ExecutionHandle};
use elias_platform::{
    KeyedRequest, KnownReply, MirroredRequest, NotAdmitted, Platform, REPLY_BYTES_MAX, RequestGuard, RequestOutcome,
    Service,
};
use futures::StreamExt;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The context that the component of a request runs with.
pub(super) struct ExecutionContext {
    pub(super) platform: Platform,
    pub(super) service: Arc<Service>,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) caller: Caller,
    pub(super) ip: IpAddr,
}

/// A request that the component was to get, with its permits.
struct Executed {
    guard: Option<RequestGuard>,
    running: Option<ExecutionHandle>,
    result: ExecutionResult,
}

/// The result of such a request.
enum ExecutionResult {
    /// With the permit, which bytes that wait for the client may need.
    Response(Response<ReadBody>, Arc<SharedPermit>),
    Failed(Failure),
    /// It did not run: another request took the key meanwhile.
    Known(KnownReply),
}

/// Responds to a request with an idempotency key.
///
/// # Errors
/// The key is another request's or another one's with it is under way; the store is not there; or as without a key.
pub(super) async fn respond(
    exchange: &mut Exchange,
    context: ExecutionContext,
    key: IdempotencyKey,
    parts: Parts,
    body: Bytes,
) -> Result<Response<Content>, Failure> {
    let (platform, service) = (context.platform.clone(), Arc::clone(&context.service));
    let from_middleware = parts.extensions.get::<FromMiddleware>().map(FromMiddleware::headers).unwrap_or_default();
    let identity = context.identity.as_deref();
    let keyed = KeyedRequest::new(&platform, &service, key, &parts, &body, identity, from_middleware);
    // Also without a permit: a response that is there takes none.
    if let Some(known) = keyed.look_up().await.map_err(NotAdmitted::from)? {
        return send_known(exchange, &platform, service, known).await;
    }
    exchange.wait_for_reader().await?;
    let server = Arc::clone(&exchange.connection.server);
    let (sender, receiver) = oneshot::channel();
    // In a task of its own: a client that leaves does not end what it began, and may send the request again. Until that
    // has ended it counts as one of the client's requests, or who sends and leaves would have as many as it likes.
    let counted = exchange.take_counted();
    Arc::clone(&server).spawn_in_background(async move {
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let executed = execute(&server, context, keyed, Request::from_parts(parts, Full::new(body))).await;
        drop(sender.send(Handover { executed: Some(executed), counted, server, method, path }));
    });
    let handed_over = receiver.await.ok().and_then(Handover::take);
    let Some((executed, counted)) = handed_over else { return Err(Refusal::Host(ErrorCode::Internal).into()) };
    exchange.hold_counted(counted);
    let Executed { guard, running, result } = executed;
    if let Some(guard) = guard {
        exchange.note(|record| record.app = Some(guard.app().clone()));
        exchange.hold_guard(guard);
    }
    exchange.hold_execution(running);
    match result {
        ExecutionResult::Known(known) => send_known(exchange, &platform, service, known).await,
        ExecutionResult::Response(response, permit) => {
            exchange.note(|record| record.idempotency = Some("executed"));
            exchange.hold_permit(permit);
            // As any other response of a component: a client that reads slowly does not keep the guest.
            let announced = content_length(response.headers());
            Ok(response.map(|body| match body {
                ReadBody::Whole(bytes) => {
                    exchange.buffer_bytes(bytes.len() as u64);
                    whole(bytes)
                }
                ReadBody::Begun(bytes, rest) => {
                    let left = announced.map(|announced| announced.saturating_sub(bytes.len() as u64));
                    let rest = exchange.buffer_response(rest, left);
                    Content::stream(futures::stream::iter([Ok(bytes)]).chain(rest.into_data_stream()))
                }
            }))
        }
        ExecutionResult::Failed(failure) => Err(failure),
    }
}

/// A request that was executed, on the way to the exchange that waits for it. If that is gone, it ends here.
struct Handover {
    /// None once it was taken.
    executed: Option<Executed>,
    counted: Vec<UsageReservation>,
    server: Arc<ServerState>,
    method: Method,
    path: String,
}

impl Handover {
    fn take(mut self) -> Option<(Executed, Vec<UsageReservation>)> {
        Some((self.executed.take()?, std::mem::take(&mut self.counted)))
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let Some(executed) = self.executed.take() else { return };
        let counted = std::mem::take(&mut self.counted);
        let (method, path) = (self.method.clone(), std::mem::take(&mut self.path));
        self.server.spawn_in_background(async move {
            executed.end(method.as_str(), &path).await;
            drop(counted);
        });
    }
}

/// Sends a response that no component makes now.
async fn send_known(
    exchange: &mut Exchange,
    platform: &Platform,
    service: Arc<Service>,
    known: KnownReply,
) -> Result<Response<Content>, Failure> {
    exchange.note(|record| record.idempotency = Some(known.as_str()));
    match known {
        KnownReply::Replay(response) => {
            platform.serving().may_send(&service).await?;
            exchange.served_by_host = Some(service);
            Ok(response.map(whole))
        }
        KnownReply::Refusal(refusal) => Err(refusal.into()),
    }
}

/// Admits a request, takes its key and has the component respond. The response is stored when this returns.
async fn execute(
    server: &ServerState,
    context: ExecutionContext,
    keyed: KeyedRequest,
    mut request: Request<Full<Bytes>>,
) -> Executed {
    let ExecutionContext { platform, service, identity, caller, ip } = context;
    let admitted = platform.serving().admit(&service, request.headers(), Some(ip), identity.as_deref()).await;
    let mut guard = match admitted {
        Ok(guard) => guard,
        Err(refused) => return Executed::refused(refused.into()),
    };
    guard.set_request(request.method(), request.uri());
    guard.prepare(&mut request, caller);
    if let Some(mirrored) = MirroredRequest::of(&guard, request.method()) {
        mirrored.skip(); // a request that must not run twice
    }
    let app = guard.app().clone();
    let permit = server.admit(Some(guard.tenant())).await;
    let Some(permit) = permit else {
        guard.refuse();
        return Executed::failed(guard, None, Refusal::Host(ErrorCode::Overloaded).into());
    };
    let permit = Arc::new(permit);
    guard.running().hold(Arc::clone(&permit));
    // Last: from here on the component has all that it needs to run, for as long as its deadline.
    match keyed.claim(Duration::from_millis(app.limits().deadline_ms)).await {
        Ok(None) => {}
        Ok(Some(known)) => return Executed { guard: None, running: None, result: ExecutionResult::Known(known) },
        Err(error) => return Executed::refused(NotAdmitted::from(error).into()),
    }
    let response = match app.fetch(request).await {
        Ok(response) => response,
        Err(error) => {
            keyed.release().await;
            return Executed::failed(guard, None, Failure::Component(error));
        }
    };
    let (mut parts, body) = response.into_parts();
    let running = take_execution(&mut parts);
    if parts.status.is_informational() {
        keyed.release().await;
        return Executed::failed(guard, running, Refusal::BadResponse.into());
    }
    let body = if is_bodiless(parts.status) { Ok(ReadBody::Whole(Bytes::new())) } else { read(body).await };
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            keyed.release().await;
            return Executed::failed(guard, running, Failure::Component(error));
        }
    };
    let stored = match &body {
        ReadBody::Whole(bytes) => Some(bytes),
        ReadBody::Begun(..) => None,
    };
    keyed.end(&parts, stored).await;
    add_execution_id(&mut parts, running.as_ref());
    let result = ExecutionResult::Response(Response::from_parts(parts, body), permit);
    Executed { guard: Some(guard), running, result }
}

impl Executed {
    /// It was not admitted.
    fn refused(failure: Failure) -> Self {
        Self { guard: None, running: None, result: ExecutionResult::Failed(failure) }
    }

    fn failed(guard: RequestGuard, running: Option<ExecutionHandle>, failure: Failure) -> Self {
        Self { guard: Some(guard), running, result: ExecutionResult::Failed(failure) }
    }

    /// Nobody waits for the response any more.
    async fn end(self, method: &str, path: &str) {
        let Self { guard: Some(guard), running, result } = self else { return };
        let (status, failed, error) = match &result {
            ExecutionResult::Response(response, _) => (response.status().as_u16(), None, None),
            ExecutionResult::Failed(failure) => {
                let error = match failure {
                    Failure::Component(error) => Some(describe(error)),
                    Failure::Refused(_) | Failure::Gateway(_) | Failure::NotAdmitted(_) => None,
                };
                (failure.entry().1, failure.execution().cloned(), error)
            }
            ExecutionResult::Known(_) => return,
        };
        drop(result); // with the rest of a long body, for which the execution would wait
        let execution = match running {
            Some(running) => Some(running.finished().await),
            None => failed,
        };
        let execution = execution.as_ref();
        guard.end(RequestOutcome {
            method,
            path,
            received: None,
            status,
            sent_bytes: 0,
            received_bytes: 0,
            execution,
            error,
        });
    }
}

/// A response's body, as far as it was read.
enum ReadBody {
    Whole(Bytes),
    /// The beginning of one that is too long to be stored, and the rest.
    Begun(Bytes, Body),
}

/// Reads a response's body, if it is short enough to be stored. Trailers are left out.
async fn read(mut body: Body) -> Result<ReadBody, Error> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            bytes.extend_from_slice(data);
        }
        if bytes.len() > REPLY_BYTES_MAX {
            return Ok(ReadBody::Begun(bytes.freeze(), body));
        }
    }
    Ok(ReadBody::Whole(bytes.freeze()))
}

fn whole(bytes: Bytes) -> Content {
    if bytes.is_empty() { Content::Empty } else { Content::Whole(bytes) }
}
