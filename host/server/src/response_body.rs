//! What the client gets: the guest's bytes or a page of the server's own, and the end of the exchange when it is dropped.

use crate::cached::CachingBody;
use crate::exchange::Exchange;
use crate::read_ahead::GuestBody;
use crate::shadow::Copied;
use crate::stall::{self, Did};
use bytes::Bytes;
use elias_host::Error;
use futures::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The largest piece given to an HTTP/2 stream. The time that a client has to take a piece is limited, so a piece is small.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// A response's body.
pub(crate) struct ResponseBody {
    content: Content,
    /// What is left of a piece that was too large.
    rest: Bytes,
    /// Whether a piece was given.
    given: bool,
    /// Last, so that the guest is gone when the exchange ends.
    exchange: Exchange,
}

/// Where the bytes come from.
pub(crate) enum Content {
    /// All given, or nothing to give.
    Empty,
    /// The server.
    Page(Bytes),
    /// The guest.
    Guest(GuestBody),
    /// The guest, with a copy kept for shadows.
    Copied(Copied<GuestBody>),
    /// The guest, and what its page ends with in development. Trailers are left out.
    GuestPage { body: GuestBody, end: Option<Bytes> },
    /// The server, as long as it serves.
    Events(BoxStream<'static, Bytes>),
    /// The guest, whose response is stored in the cache.
    Caching(CachingBody),
    /// A file, as it is read.
    File { chunks: BoxStream<'static, Result<Bytes, Error>>, left: u64 },
    /// The guest or a file, compressed.
    Compressed(BoxStream<'static, Result<Bytes, Error>>),
}

impl Content {
    /// How many bytes there are, where that is known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match self {
            Self::Page(page) => Some(page.len() as u64),
            Self::File { left, .. } => Some(*left),
            Self::Guest(body) => body.size_hint().exact(),
            Self::Copied(body) => body.size_hint().exact(),
            Self::Caching(body) => body.size_hint().exact(),
            // What is empty may be so for HEAD alone: then the header says what GET has.
            Self::Empty | Self::GuestPage { .. } | Self::Events(_) | Self::Compressed(_) => None,
        }
    }
}

impl ResponseBody {
    pub(crate) fn new(content: Content, exchange: Exchange) -> Self {
        Self { content, rest: Bytes::new(), given: false, exchange }
    }

    /// All was sent, or there is nothing to send.
    pub(crate) fn complete(&mut self) {
        self.exchange.complete();
    }

    /// The next frame, whole.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.content {
            Content::Guest(body) => poll_guest(body, &mut self.exchange, cx),
            Content::Copied(body) => poll_guest(body, &mut self.exchange, cx),
            Content::Caching(body) => poll_guest(body, &mut self.exchange, cx),
            Content::GuestPage { body, end } => match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => Poll::Ready(Some(Ok(frame))),
                Some(Err(error)) => {
                    self.exchange.fail(&error);
                    Poll::Ready(Some(Err(error)))
                }
                _ => Poll::Ready(end.take().map(|end| Ok(Frame::data(end)))),
            },
            Content::Events(events) => {
                Poll::Ready(ready!(events.as_mut().poll_next(cx)).map(|event| Ok(Frame::data(event))))
            }
            Content::Compressed(chunks) => match ready!(chunks.as_mut().poll_next(cx)) {
                Some(Err(error)) => {
                    self.exchange.fail(&error);
                    Poll::Ready(Some(Err(error)))
                }
                chunk => Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data))),
            },
            Content::File { chunks, left } => match ready!(chunks.as_mut().poll_next(cx)) {
                Some(Err(error)) => {
                    self.exchange.fail(&error);
                    Poll::Ready(Some(Err(error)))
                }
                Some(Ok(chunk)) => {
                    *left = left.saturating_sub(chunk.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(chunk))))
                }
                None => Poll::Ready(None),
            },
            own => match std::mem::replace(own, Content::Empty) {
                Content::Page(page) => Poll::Ready(Some(Ok(Frame::data(page)))),
                _ => Poll::Ready(None),
            },
        }
    }
}

/// The next frame of what a guest writes, whoever looks on.
fn poll_guest<B: Body<Data = Bytes, Error = Error> + Unpin>(
    body: &mut B,
    exchange: &mut Exchange,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
    let frame = ready!(Pin::new(body).poll_frame(cx));
    if let Some(Err(error)) = &frame {
        exchange.fail(error);
    }
    Poll::Ready(frame)
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let http2 = this.exchange.is_http2();
        if this.given {
            this.exchange.is_read();
        }
        let next = if this.rest.is_empty() {
            this.poll_content(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.rest)))))
        };
        if http2 {
            stall::body(if next.is_ready() { Did::Gave } else { Did::Waited });
        }
        let Some(frame) = ready!(next) else {
            this.complete();
            return Poll::Ready(None);
        };
        this.given = true;
        let frame = match frame?.into_data() {
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            Ok(mut data) => {
                if http2 && data.len() > PIECE_BYTES_MAX {
                    this.rest = data.split_off(PIECE_BYTES_MAX);
                }
                this.exchange.sent(data.len());
                Frame::data(data)
            }
        };
        if this.is_end_stream() {
            this.complete(); // hyper does not ask again
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
            && match &self.content {
                Content::Empty => true,
                Content::Page(page) => page.is_empty(),
                Content::File { left, .. } => *left == 0,
                Content::Guest(body) => body.is_end_stream(),
                Content::Copied(body) => body.is_end_stream(),
                Content::Caching(body) => body.is_end_stream(),
                Content::GuestPage { .. } | Content::Events(_) | Content::Compressed(_) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(self.rest.len() as u64),
            Content::Page(page) => SizeHint::with_exact(page.len() as u64),
            Content::File { left, .. } => SizeHint::with_exact(left + self.rest.len() as u64),
            Content::Guest(body) if self.rest.is_empty() => body.size_hint(),
            Content::Copied(body) if self.rest.is_empty() => body.size_hint(),
            Content::Caching(body) if self.rest.is_empty() => body.size_hint(),
            // Asked before the first piece only.
            Content::Guest(_)
            | Content::Copied(_)
            | Content::Caching(_)
            | Content::GuestPage { .. }
            | Content::Events(_)
            | Content::Compressed(_) => SizeHint::default(),
        }
    }
}
