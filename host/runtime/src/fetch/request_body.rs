//! The body of a request: the part that has arrived goes to the guest with the headers, and the rest is bounded.

use crate::execution::Meter;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wasmtime_wasi_http::Error as HttpError;

/// Bytes of a body that goes to the guest with the head.
const BYTES_MAX: u64 = 64 << 10;

/// A body, as far as it has come.
pub(super) enum RequestBody<B> {
    /// All of it.
    Whole(Vec<Bytes>),
    /// The rest is still to come.
    Part(Rest<B>),
}

/// A body of which the first frames were taken already.
pub(super) struct Rest<B> {
    taken: VecDeque<Result<Frame<Bytes>, BoxError>>,
    body: B,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B> RequestBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Wraps a body without reading it; an empty one is whole.
    pub(super) fn of(body: B) -> Self {
        match body.is_end_stream() {
            true => Self::Whole(Vec::new()),
            false => Self::Part(Rest { taken: VecDeque::new(), body }),
        }
    }

    /// Takes a small body that has come already. What has not is not waited for: the guest may not want it.
    pub(super) async fn take(mut body: B) -> Self {
        if body.size_hint().exact().is_none_or(|bytes| bytes > BYTES_MAX) {
            return Self::of(body);
        }
        let (mut taken, mut bytes, mut has_yielded) = (Vec::new(), 0, false);
        while !body.is_end_stream() {
            match poll_fn(|cx| Poll::Ready(Pin::new(&mut body).poll_frame(cx))).await {
                Poll::Ready(None) => break,
                Poll::Ready(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue }; // trailers, which the guest does not see
                    bytes += data.len() as u64;
                    taken.push(data);
                    if bytes > BYTES_MAX {
                        return Self::part(taken, None, body);
                    }
                }
                Poll::Ready(Some(Err(error))) => return Self::part(taken, Some(error.into()), body),
                // Whoever reads from the connection has its turn once: it reads bodies only when they are wanted.
                Poll::Pending if !has_yielded => {
                    has_yielded = true;
                    tokio::task::yield_now().await;
                }
                Poll::Pending => return Self::part(taken, None, body),
            }
        }
        Self::Whole(taken)
    }

    fn part(taken: Vec<Bytes>, error: Option<BoxError>, body: B) -> Self {
        let taken = taken.into_iter().map(|data| Ok(Frame::data(data))).chain(error.map(Err)).collect();
        Self::Part(Rest { taken, body })
    }
}

impl<B> Body for Rest<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.taken.pop_front() {
            Some(taken) => Poll::Ready(Some(taken)),
            None => Pin::new(&mut self.body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.taken.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let taken = self.taken.iter().flatten().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum::<u64>();
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(taken));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(taken));
        }
        hint
    }
}

/// A request's body that ends in an error where it goes over its limit.
pub(super) struct BoundedBody<B> {
    body: B,
    /// Bytes that may still come.
    left: u64,
    meter: Arc<Meter>,
}

impl<B> BoundedBody<B> {
    /// The meter is told if `body` has more than `bytes_max` bytes.
    pub(super) fn new(body: B, bytes_max: u64, meter: &Arc<Meter>) -> Self {
        Self { body, left: bytes_max, meter: Arc::clone(meter) }
    }
}

impl<B> Body for BoundedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                let why = error.into().to_string();
                return Poll::Ready(Some(Err(HttpError::InternalError(Some(why)))));
            }
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                self.meter.refuse_request();
                Poll::Ready(Some(Err(HttpError::HttpRequestBodySize(None))))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;

    /// A body of pieces; none is a time at which there is nothing yet.
    struct Pieces(VecDeque<Option<&'static str>>, u64);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece.into())))),
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.1)
        }
    }

    async fn take(pieces: &[Option<&'static str>], bytes: u64) -> (bool, Bytes) {
        match RequestBody::take(Pieces(pieces.iter().copied().collect(), bytes)).await {
            RequestBody::Whole(pieces) => (true, pieces.concat().into()),
            RequestBody::Part(rest) => (false, rest.collect().await.expect("it cannot fail").to_bytes()),
        }
    }

    #[tokio::test]
    async fn a_small_body_that_is_there_is_taken_whole_and_no_other() {
        assert_eq!(take(&[Some("a"), Some("b")], 2).await, (true, "ab".into()));
        assert_eq!(take(&[None, Some("a")], 1).await, (true, "a".into()), "after a turn of the connection's");
        assert_eq!(take(&[Some("a"), None, None, Some("b")], 2).await, (false, "ab".into()));
        assert_eq!(take(&[Some("a")], BYTES_MAX + 1).await, (false, "a".into()), "a large one is left alone");
        assert!(
            matches!(RequestBody::take(Full::new(Bytes::new())).await, RequestBody::Whole(pieces) if pieces.is_empty())
        );
        assert!(matches!(RequestBody::of(Full::new(Bytes::new())), RequestBody::Whole(pieces) if pieces.is_empty()));
        let untaken = RequestBody::of(Full::new(Bytes::from("a")));
        assert!(matches!(untaken, RequestBody::Part(rest) if rest.size_hint().exact() == Some(1)));
    }
}
