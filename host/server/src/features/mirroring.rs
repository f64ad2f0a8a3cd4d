//! Mirrored requests: further variants get a copy of a request once the client has its response. Request and response
//! are captured while they are streamed.

use crate::failure::describe;
use crate::state::ServerState;
use bytes::{Bytes, BytesMut};
use elias_delivery::experiment::{ResponseReader, ResponseSummary};
use elias_gateway::middleware::FromMiddleware;
use elias_host::{Caller, Error, ExecutionHandle};
use elias_platform::{CompletedExecution, MirroredRequest, Platform, RequestGuard, RequestOutcome};
use http::{HeaderMap, Method, Request, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use parking_lot::{Mutex, MutexGuard};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a request's body that are kept to be sent again; a larger request is not mirrored.
const BODY_BYTES_MAX: usize = 1 << 20;

/// A request that is to be mirrored, until its response is sent.
pub(crate) struct Mirroring {
    mirrored: MirroredRequest,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    from_middleware: Option<FromMiddleware>,
    caller: Caller,
    captured: Arc<CaptureBuffer>,
}

/// The captured part of a request and its response.
struct CaptureBuffer {
    request: Mutex<CapturedRequest>,
    response: Mutex<CapturedResponse>,
    /// Bytes that may still be captured, of all requests.
    budget: Arc<Semaphore>,
}

/// The body of a request, as far as it was read.
enum CapturedRequest {
    Part(BytesMut, Option<OwnedSemaphorePermit>),
    Whole(Bytes, Option<OwnedSemaphorePermit>),
    /// Too large, or cut short.
    Lost,
}

/// A response, as far as it was sent.
enum CapturedResponse {
    Nothing,
    Part(ResponseReader),
    Whole(ResponseSummary),
}

impl CaptureBuffer {
    fn request(&self) -> MutexGuard<'_, CapturedRequest> {
        self.request.lock() // whole after every operation
    }

    fn response(&self) -> MutexGuard<'_, CapturedResponse> {
        self.response.lock() // whole after every operation
    }
}

impl Mirroring {
    /// Begins to capture a guarded request, if a variant is to get it.
    pub(crate) fn begin<B: Body>(
        guard: &RequestGuard,
        request: &Request<B>,
        caller: &Caller,
        budget: &Arc<Semaphore>,
    ) -> Option<Box<Self>> {
        let mirrored = MirroredRequest::of(guard, request.method())?;
        let sent = match request.body().is_end_stream() {
            true => CapturedRequest::Whole(Bytes::new(), None),
            false => CapturedRequest::Part(BytesMut::new(), None),
        };
        Some(Box::new(Self {
            mirrored,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            from_middleware: request.extensions().get().cloned(),
            caller: caller.clone(),
            captured: Arc::new(CaptureBuffer {
                request: Mutex::new(sent),
                response: Mutex::new(CapturedResponse::Nothing),
                budget: Arc::clone(budget),
            }),
        }))
    }

    /// Captures the body of the response.
    pub(crate) fn response_body<B>(&self, inner: B) -> TeeBody<B> {
        TeeBody { inner, captured: Some((Arc::clone(&self.captured), Direction::ToClient)) }
    }

    /// The component's response has these headers; `ended` if no body follows.
    pub(crate) fn begin_response<B>(&self, response: &http::Response<B>, execution: &str, ended: bool) {
        let reader =
            ResponseReader::new(execution, response.status().as_u16(), response.headers(), self.mirrored.ignored());
        *self.captured.response() =
            if ended { CapturedResponse::Whole(reader.end()) } else { CapturedResponse::Part(reader) };
    }

    /// The component failed before it had a response.
    pub(crate) fn fail(&self, error: &Error) {
        *self.captured.response() = CapturedResponse::Whole(failed(error, self.mirrored.ignored()));
    }

    /// The exchange is over: the variants get the request, if it and its response came to their ends.
    pub(crate) fn end(self: Box<Self>, server: &Arc<ServerState>, platform: &Platform) {
        let sent = std::mem::replace(&mut *self.captured.request(), CapturedRequest::Lost);
        let received = std::mem::replace(&mut *self.captured.response(), CapturedResponse::Nothing);
        let (CapturedRequest::Whole(body, room), CapturedResponse::Whole(response)) = (sent, received) else {
            self.mirrored.skip();
            return;
        };
        let (host, platform) = (Arc::clone(server), platform.clone());
        server.spawn_in_background(async move {
            let request = format!("{} {}", self.method, self.uri.path());
            let send = async |guard: RequestGuard| {
                // A request that waits for a permit goes before a mirrored one.
                guard.running().hold(host.admission.try_admit(Some(guard.tenant()))?);
                self.send(guard, body.clone()).await
            };
            self.mirrored.mirror(platform.serving(), &request, response, send).await;
            drop(room);
        });
    }

    /// Sends the request to one variant.
    async fn send(
        &self,
        mut guard: RequestGuard,
        body: Bytes,
    ) -> Option<(ResponseSummary, Option<CompletedExecution>)> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        guard.set_request(&self.method, &self.uri);
        if let Some(from_middleware) = &self.from_middleware {
            request.extensions_mut().insert(from_middleware.clone());
        }
        guard.prepare(&mut request, self.caller.clone());
        let app = guard.app().clone();
        let ignored = self.mirrored.ignored();
        let (summary, execution, error) = match app.fetch(request).await {
            Ok(response) => {
                let running = response.extensions().get::<ExecutionHandle>().cloned();
                let execution = running.as_ref().map(ExecutionHandle::id).unwrap_or_default();
                let reader = ResponseReader::new(execution, response.status().as_u16(), response.headers(), ignored);
                let (summary, error) = match read(response.into_body(), reader).await {
                    Ok(summary) => (summary, None),
                    Err(error) => (failed(&error, ignored), Some(error)),
                };
                let execution = match running {
                    Some(running) => Some(running.finished().await),
                    None => None,
                };
                (summary, execution, error)
            }
            Err(error) => (failed(&error, ignored), error.execution().cloned(), Some(error)),
        };
        let completed = guard.settle(RequestOutcome {
            method: self.method.as_str(),
            path: self.uri.path(),
            received: None,
            status: summary.status,
            sent_bytes: 0,
            received_bytes: 0,
            execution: execution.as_ref(),
            error: error.as_ref().map(describe),
        });
        Some((summary, completed))
    }
}

async fn read(mut body: elias_host::Body, mut reader: ResponseReader) -> Result<ResponseSummary, Error> {
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            reader.read(data);
        }
    }
    Ok(reader.end())
}

/// The response that a client would get for a failure.
fn failed(error: &Error, ignored: &[String]) -> ResponseSummary {
    let execution = error.execution().map(|execution| execution.id.as_str()).unwrap_or_default();
    ResponseReader::new(execution, error.code().status(), &HeaderMap::new(), ignored).end()
}

/// Which way a body goes.
enum Direction {
    ToComponent,
    ToClient,
}

/// A body that is captured while it is streamed, if its request is mirrored.
pub(crate) struct TeeBody<B> {
    inner: B,
    captured: Option<(Arc<CaptureBuffer>, Direction)>,
}

impl<B> TeeBody<B> {
    /// The body of a request, which is captured if it is mirrored.
    pub(crate) fn request(inner: B, mirroring: Option<&Mirroring>) -> Self {
        let captured = mirroring.map(|mirroring| (Arc::clone(&mirroring.captured), Direction::ToComponent));
        Self { inner, captured }
    }
}

impl Direction {
    /// Captures a part of a body.
    fn capture(&self, captured: &CaptureBuffer, data: &Bytes) {
        match self {
            Self::ToComponent => {
                let mut request = captured.request();
                let CapturedRequest::Part(part, held) = &mut *request else { return };
                let more = u32::try_from(data.len()).ok().filter(|_| part.len() + data.len() <= BODY_BYTES_MAX);
                match more.and_then(|more| Arc::clone(&captured.budget).try_acquire_many_owned(more).ok()) {
                    Some(bytes) => {
                        part.extend_from_slice(data);
                        match held {
                            Some(held) => held.merge(bytes),
                            None => *held = Some(bytes),
                        }
                    }
                    None => *request = CapturedRequest::Lost,
                }
            }
            Self::ToClient => {
                if let CapturedResponse::Part(reader) = &mut *captured.response() {
                    reader.read(data);
                }
            }
        }
    }

    /// The body has ended: what was captured is whole.
    fn finish(&self, captured: &CaptureBuffer) {
        match self {
            Self::ToComponent => {
                let mut request = captured.request();
                if let CapturedRequest::Part(part, held) = &mut *request {
                    *request = CapturedRequest::Whole(std::mem::take(part).freeze(), held.take());
                }
            }
            Self::ToClient => {
                let mut response = captured.response();
                *response = match std::mem::replace(&mut *response, CapturedResponse::Nothing) {
                    CapturedResponse::Part(reader) => CapturedResponse::Whole(reader.end()),
                    other => other,
                };
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TeeBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some((captured, direction)) = &self.captured {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        direction.capture(captured, data);
                    }
                }
                None => direction.finish(captured),
                Some(Err(_)) => {}
            }
            // Nobody asks again for what has no more.
            if matches!(frame, Some(Ok(_))) && self.inner.is_end_stream() {
                direction.finish(captured);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MIRRORED_BYTES_MAX;

    /// Has a body of so many bytes pass by, of which `budget` may be captured; says whether it was captured, and what
    /// is left of the budget then.
    async fn passes(bytes: usize, budget: usize) -> (bool, usize) {
        let budget = Arc::new(Semaphore::new(budget));
        let captured = Arc::new(CaptureBuffer {
            request: Mutex::new(CapturedRequest::Part(BytesMut::new(), None)),
            response: Mutex::new(CapturedResponse::Nothing),
            budget: Arc::clone(&budget),
        });
        let pieces = vec![0; bytes].chunks(300_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let pieces = futures::stream::iter(pieces.into_iter().map(|piece| Ok::<_, Error>(Frame::data(piece))));
        let body = TeeBody {
            inner: http_body_util::StreamBody::new(pieces),
            captured: Some((Arc::clone(&captured), Direction::ToComponent)),
        };
        assert_eq!(body.collect().await.expect("it passes").to_bytes().len(), bytes, "the component gets all of it");
        let whole = matches!(&*captured.request(), CapturedRequest::Whole(body, _) if body.len() == bytes);
        (whole, budget.available_permits())
    }

    #[tokio::test]
    async fn a_body_is_captured_where_it_is_small_and_within_the_budget() {
        assert_eq!(passes(BODY_BYTES_MAX, MIRRORED_BYTES_MAX).await, (true, MIRRORED_BYTES_MAX - BODY_BYTES_MAX));
        assert_eq!(
            passes(BODY_BYTES_MAX + 1, MIRRORED_BYTES_MAX).await,
            (false, MIRRORED_BYTES_MAX),
            "it is given back"
        );
        assert_eq!(passes(700_000, 700_000).await, (true, 0));
        assert_eq!(passes(700_000, 699_999).await, (false, 699_999));
    }
}
