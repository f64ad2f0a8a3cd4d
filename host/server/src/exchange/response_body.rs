//! The body that hyper sends to the client: the content of a response. Dropping it ends the exchange.

use super::Exchange;
use crate::body::Content;
use crate::connection::{BodyPoll, note_body_poll};
use bytes::Bytes;
use elias_host::Error;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The largest piece given to an HTTP/2 stream. The time that a client has to take a piece is limited, so a piece is
/// small.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// A response's body.
pub(crate) struct ResponseBody {
    content: Content,
    /// The rest of a piece that was too large.
    rest: Bytes,
    /// Whether a piece was given.
    is_begun: bool,
    /// Last, so that the component is gone when the exchange ends.
    exchange: Exchange,
}

impl ResponseBody {
    /// Makes the response that ends an exchange once it is sent or dropped.
    pub(crate) fn respond(mut exchange: Exchange, response: Response<Content>) -> Response<Self> {
        exchange.begin_response(&response);
        response.map(|content| {
            let mut body = Self { content, rest: Bytes::new(), is_begun: false, exchange };
            if body.is_end_stream() {
                body.exchange.complete(); // hyper does not ask
            }
            body
        })
    }

    /// The next frame, whole.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))));
        }
        let frame = ready!(Pin::new(&mut self.content).poll_frame(cx));
        if let Some(Err(error)) = &frame {
            self.exchange.fail(error);
        }
        Poll::Ready(frame)
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let http2 = this.exchange.is_http2();
        if this.is_begun {
            this.exchange.is_read();
        }
        let next = this.poll_content(cx);
        if http2 {
            note_body_poll(if next.is_ready() { BodyPoll::Ready } else { BodyPoll::Pending });
        }
        let Some(frame) = ready!(next) else {
            this.exchange.complete();
            return Poll::Ready(None);
        };
        this.is_begun = true;
        let frame = match frame?.into_data() {
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            Ok(mut data) => {
                if http2 && data.len() > PIECE_BYTES_MAX {
                    this.rest = data.split_off(PIECE_BYTES_MAX);
                }
                this.exchange.sent(&data);
                Frame::data(data)
            }
        };
        if this.is_end_stream() {
            this.exchange.complete(); // hyper does not ask again
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(self.rest.len() as u64),
            content if self.rest.is_empty() => content.size_hint(),
            // Asked before the first piece only.
            _ => SizeHint::default(),
        }
    }
}
