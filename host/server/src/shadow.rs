//! A request that shadows get a copy of once it is answered: what is kept of it on the way, and how they are asked.

use crate::exchange::explain;
use crate::server::Inner;
use bytes::{Bytes, BytesMut};
use elias_delivery::stages::{Answer, AnswerReader};
use elias_host::{Caller, Error, Running};
use elias_platform::{Copies, Ending, Platform, Settled, Ticket};
use http::{HeaderMap, Method, Request, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of a request's body that are kept to be sent again; a larger request is not copied.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of all bodies that are kept at once; beyond that requests are not copied.
pub(crate) const KEPT_BYTES_MAX: usize = 64 << 20;

/// What is kept of a request while it is answered.
pub(crate) struct Shadowing {
    copies: Copies,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    caller: Caller,
    kept: Arc<Kept>,
}

/// What passes by on the way to the component and back.
pub(crate) struct Kept {
    request: Mutex<Sent>,
    answer: Mutex<Answered>,
    /// Bytes that may be kept yet, of all requests.
    room: Arc<Semaphore>,
}

/// A request's body as far as it was read.
enum Sent {
    Part(BytesMut, Option<OwnedSemaphorePermit>),
    Whole(Bytes, Option<OwnedSemaphorePermit>),
    /// Too large, or cut short.
    Lost,
}

/// An answer as far as it was given.
enum Answered {
    Nothing,
    Part(AnswerReader),
    Whole(Answer),
}

impl Kept {
    fn request(&self) -> MutexGuard<'_, Sent> {
        self.request.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    fn answer(&self) -> MutexGuard<'_, Answered> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }
}

impl Shadowing {
    /// Begins to keep a request that has this ticket, if somebody is to get a copy.
    pub(crate) fn begin<B: Body>(
        ticket: &Ticket,
        request: &Request<B>,
        caller: &Caller,
        room: &Arc<Semaphore>,
    ) -> Option<Box<Self>> {
        let copies = Copies::of(ticket, request.method())?;
        let sent = match request.body().is_end_stream() {
            true => Sent::Whole(Bytes::new(), None),
            false => Sent::Part(BytesMut::new(), None),
        };
        Some(Box::new(Self {
            copies,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            caller: caller.clone(),
            kept: Arc::new(Kept {
                request: Mutex::new(sent),
                answer: Mutex::new(Answered::Nothing),
                room: Arc::clone(room),
            }),
        }))
    }

    /// Where what passes by is kept.
    pub(crate) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.kept)
    }

    /// The component answers with this head; `ended` if no body follows.
    pub(crate) fn answers<B>(&self, response: &http::Response<B>, execution: &str, ended: bool) {
        let reader =
            AnswerReader::new(execution, response.status().as_u16(), response.headers(), self.copies.ignored());
        *self.kept.answer() = if ended { Answered::Whole(reader.end()) } else { Answered::Part(reader) };
    }

    /// The component failed before it had answered.
    pub(crate) fn fails(&self, error: &Error) {
        *self.kept.answer() = Answered::Whole(failed(error, self.copies.ignored()));
    }

    /// The exchange is over: has the shadows asked, if the request and its answer came to their ends.
    pub(crate) fn end(self: Box<Self>, server: &Arc<Inner>, platform: &Platform) {
        let sent = std::mem::replace(&mut *self.kept.request(), Sent::Lost);
        let answered = std::mem::replace(&mut *self.kept.answer(), Answered::Nothing);
        let (Sent::Whole(body, room), Answered::Whole(answer)) = (sent, answered) else {
            self.copies.skip();
            return;
        };
        let (host, platform) = (Arc::clone(server), platform.clone());
        server.spawn_in_background(async move {
            let request = format!("{} {}", self.method, self.uri.path());
            let ask = async |ticket: Ticket| {
                // A request that waits for a permit goes before a mirrored one.
                ticket.running().hold(host.admission.try_enter(Some(ticket.tenant()))?);
                self.ask(ticket, body.clone()).await
            };
            self.copies.ask(&platform, &request, answer, ask).await;
            drop(room);
        });
    }

    /// Has one shadow answer.
    async fn ask(&self, mut ticket: Ticket, body: Bytes) -> Option<(Answer, Option<Settled>)> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        ticket.set_request(&self.method, &self.uri);
        ticket.prepare(request.extensions_mut(), self.caller.clone());
        let app = ticket.app().clone();
        let ignored = self.copies.ignored();
        let (answer, execution, error) = match app.fetch(request).await {
            Ok(response) => {
                let running = response.extensions().get::<Running>().cloned();
                let execution = running.as_ref().map(Running::id).unwrap_or_default();
                let reader = AnswerReader::new(execution, response.status().as_u16(), response.headers(), ignored);
                let (answer, error) = match read(response.into_body(), reader).await {
                    Ok(answer) => (answer, None),
                    Err(error) => (failed(&error, ignored), Some(error)),
                };
                let execution = match running {
                    Some(running) => Some(running.finished().await),
                    None => None,
                };
                (answer, execution, error)
            }
            Err(error) => (failed(&error, ignored), error.execution().cloned(), Some(error)),
        };
        let settled = ticket.settle(Ending {
            method: self.method.as_str(),
            path: self.uri.path(),
            status: answer.status,
            sent_bytes: 0,
            execution: execution.as_ref(),
            error: error.as_ref().map(explain),
        });
        Some((answer, settled))
    }
}

async fn read(mut body: elias_host::Body, mut reader: AnswerReader) -> Result<Answer, Error> {
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            reader.read(data);
        }
    }
    Ok(reader.end())
}

/// What a client would see of a failure.
fn failed(error: &Error, ignored: &[String]) -> Answer {
    let execution = error.execution().map(|execution| execution.id.as_str()).unwrap_or_default();
    AnswerReader::new(execution, error.code().status(), &HeaderMap::new(), ignored).end()
}

/// Which way a body goes.
enum Way {
    ToComponent,
    ToClient,
}

/// A body of which a copy is kept as it passes by, where anyone wants it.
pub(crate) struct Copied<B> {
    inner: B,
    kept: Option<(Arc<Kept>, Way)>,
}

impl<B> Copied<B> {
    /// A request's body.
    pub(crate) fn request(inner: B, kept: Option<Arc<Kept>>) -> Self {
        Self { inner, kept: kept.map(|kept| (kept, Way::ToComponent)) }
    }

    /// An answer's body.
    pub(crate) fn answer(inner: B, kept: Arc<Kept>) -> Self {
        Self { inner, kept: Some((kept, Way::ToClient)) }
    }
}

impl Way {
    fn passes(&self, kept: &Kept, data: &Bytes) {
        match self {
            Self::ToComponent => {
                let mut request = kept.request();
                let Sent::Part(part, held) = &mut *request else { return };
                let more = u32::try_from(data.len()).ok().filter(|_| part.len() + data.len() <= BODY_BYTES_MAX);
                match more.and_then(|more| Arc::clone(&kept.room).try_acquire_many_owned(more).ok()) {
                    Some(room) => {
                        part.extend_from_slice(data);
                        match held {
                            Some(held) => held.merge(room),
                            None => *held = Some(room),
                        }
                    }
                    None => *request = Sent::Lost,
                }
            }
            Self::ToClient => {
                if let Answered::Part(reader) = &mut *kept.answer() {
                    reader.read(data);
                }
            }
        }
    }

    fn ends(&self, kept: &Kept) {
        match self {
            Self::ToComponent => {
                let mut request = kept.request();
                if let Sent::Part(part, held) = &mut *request {
                    *request = Sent::Whole(std::mem::take(part).freeze(), held.take());
                }
            }
            Self::ToClient => {
                let mut answer = kept.answer();
                *answer = match std::mem::replace(&mut *answer, Answered::Nothing) {
                    Answered::Part(reader) => Answered::Whole(reader.end()),
                    other => other,
                };
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Copied<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some((kept, way)) = &self.kept {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        way.passes(kept, data);
                    }
                }
                None => way.ends(kept),
                Some(Err(_)) => {}
            }
            // Nobody asks again for what has no more.
            if matches!(frame, Some(Ok(_))) && self.inner.is_end_stream() {
                way.ends(kept);
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

    /// Has a body of so many bytes pass by, of which `room` may be kept; says whether it was kept, and what room is left then.
    async fn passes(bytes: usize, room: usize) -> (bool, usize) {
        let room = Arc::new(Semaphore::new(room));
        let kept = Arc::new(Kept {
            request: Mutex::new(Sent::Part(BytesMut::new(), None)),
            answer: Mutex::new(Answered::Nothing),
            room: Arc::clone(&room),
        });
        let pieces = vec![0; bytes].chunks(300_000).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let pieces = futures::stream::iter(pieces.into_iter().map(|piece| Ok::<_, Error>(Frame::data(piece))));
        let body = Copied::request(http_body_util::StreamBody::new(pieces), Some(Arc::clone(&kept)));
        assert_eq!(body.collect().await.expect("it passes").to_bytes().len(), bytes, "the component gets all of it");
        let whole = matches!(&*kept.request(), Sent::Whole(kept, _) if kept.len() == bytes);
        (whole, room.available_permits())
    }

    #[tokio::test]
    async fn a_body_is_kept_where_it_is_small_and_there_is_room_for_it() {
        assert_eq!(passes(BODY_BYTES_MAX, KEPT_BYTES_MAX).await, (true, KEPT_BYTES_MAX - BODY_BYTES_MAX));
        assert_eq!(passes(BODY_BYTES_MAX + 1, KEPT_BYTES_MAX).await, (false, KEPT_BYTES_MAX), "it is given back");
        assert_eq!(passes(700_000, 700_000).await, (true, 0));
        assert_eq!(passes(700_000, 699_999).await, (false, 699_999));
    }
}
