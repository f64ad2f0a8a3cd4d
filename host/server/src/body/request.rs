//! The body of a request as the component gets it: within the limits of size and of time.

use super::captured::CapturedBody;
use crate::failure::Refusal;
use bytes::Bytes;
use elias_host::ErrorCode;
use http_body::{Body, Frame, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Why a request's body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// Over the cap.
    #[error("the request's body is larger than {0} bytes")]
    TooLarge(u64),
    /// Too slow.
    #[error("the request's body did not continue within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The client left, or sent no valid HTTP.
    #[error("the request's body was cut short")]
    Cut,
}

/// The progress of reading a body: the component has the body, the exchange has this.
#[derive(Debug, Default)]
pub(crate) struct RequestProgress {
    bytes: AtomicU64,
    fault: OnceLock<Refusal>,
}

impl RequestProgress {
    /// Bytes that the guest got.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The fault of the body, if there was one.
    pub(crate) fn fault(&self) -> Option<Refusal> {
        self.fault.get().copied()
    }
}

/// The longest body of a request on a connection that is not read to its end.
#[derive(Debug, Default)]
pub(crate) struct UnreadBody(AtomicU64);

impl UnreadBody {
    /// A body will not be read to its end.
    pub(crate) fn leave(&self, body: SizeHint) {
        self.0.fetch_max(body.upper().unwrap_or(u64::MAX), Relaxed);
    }

    /// The most bytes that such a body may still have; 0 without one.
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A request's body.
pub(crate) struct RequestBody<B: Body> {
    inner: B,
    bytes_max: u64,
    timeout: Duration,
    /// Runs while the guest waits for the client.
    clock: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    progress: Option<Arc<RequestProgress>>,
    /// Told if the body is dropped before its end.
    unread: Option<Arc<UnreadBody>>,
    /// Gets what is read, if anyone wants to show it.
    captured: Option<Arc<CapturedBody>>,
}

impl<B: Body<Data = Bytes> + Unpin> RequestBody<B> {
    /// Wraps a body; `unread` is told if it is dropped before its end. A request without a body costs nothing.
    pub(crate) fn new(inner: B, bytes_max: u64, timeout: Duration, unread: &Arc<UnreadBody>) -> Self {
        let has_body = !inner.is_end_stream();
        let progress = has_body.then(Arc::default);
        let unread = has_body.then(|| Arc::clone(unread));
        Self { inner, bytes_max, timeout, clock: None, waiting: false, progress, unread, captured: None }
    }

    /// Has the body captured while it is read.
    pub(crate) fn captured(mut self, captured: Option<Arc<CapturedBody>>) -> Self {
        self.captured = captured;
        self
    }

    /// The progress of the body, which tells later how it ended; `None` if there is no body.
    pub(crate) fn progress(&self) -> Option<Arc<RequestProgress>> {
        self.progress.clone()
    }

    fn fail(&self, refusal: Refusal, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(progress) = &self.progress {
            let _ = progress.fault.set(refusal); // a later fault follows from the first
        }
        Poll::Ready(Some(Err(error)))
    }

    /// The body has ended as it should.
    fn note_end(&self) {
        if let Some(captured) = &self.captured {
            captured.end();
        }
    }

    /// Whether the client has been silent for too long.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let timeout = self.timeout;
        let waiting = std::mem::replace(&mut self.waiting, true);
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if !waiting {
            clock.as_mut().reset(Instant::now() + timeout);
        }
        clock.as_mut().poll(cx).is_ready()
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for RequestBody<B> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Poll::Ready(next) = Pin::new(&mut this.inner).poll_frame(cx) else {
            if this.is_late(cx) {
                return this.fail(Refusal::RequestTimeout, BodyError::Timeout(this.timeout));
            }
            return Poll::Pending;
        };
        this.waiting = false;
        match next {
            None => {
                this.note_end();
                Poll::Ready(None)
            }
            Some(Err(_)) => this.fail(Refusal::Host(ErrorCode::BadRequest), BodyError::Cut),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                let before = this.progress.as_ref().map_or(0, |progress| progress.bytes.fetch_add(bytes, Relaxed));
                if before.saturating_add(bytes) > this.bytes_max {
                    return this.fail(Refusal::Host(ErrorCode::RequestTooLarge), BodyError::TooLarge(this.bytes_max));
                }
                if let (Some(captured), Some(data)) = (&this.captured, frame.data_ref()) {
                    captured.push(data);
                }
                // Nobody asks again for what has no more.
                if this.inner.is_end_stream() {
                    this.note_end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B: Body> Drop for RequestBody<B> {
    fn drop(&mut self) {
        if let Some(unread) = &self.unread
            && !self.inner.is_end_stream()
        {
            unread.leave(self.inner.size_hint());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, StreamBody};

    type Pieces = Vec<Result<Frame<Bytes>, std::io::Error>>;

    async fn collect(pieces: Pieces, bytes_max: u64) -> (Result<usize, BodyError>, Option<Refusal>, u64) {
        let inner = StreamBody::new(futures::stream::iter(pieces));
        let body = RequestBody::new(inner, bytes_max, Duration::from_secs(3600), &Arc::default());
        let progress = body.progress().expect("a body");
        let collected = body.collect().await.map(|all| all.to_bytes().len());
        (collected, progress.fault(), progress.bytes())
    }

    fn data(bytes: usize) -> Result<Frame<Bytes>, std::io::Error> {
        Ok(Frame::data(vec![b'x'; bytes].into()))
    }

    #[tokio::test]
    async fn passes_what_is_within_the_cap() {
        let (collected, fault, bytes) = collect(vec![data(3), data(4)], 7).await;
        assert_eq!((collected.ok(), fault, bytes), (Some(7), None, 7));
    }

    #[tokio::test]
    async fn stops_at_the_cap_while_streaming() {
        let (collected, fault, _) = collect(vec![data(3), data(5)], 7).await;
        assert!(matches!(collected, Err(BodyError::TooLarge(7))));
        assert_eq!(fault, Some(Refusal::Host(ErrorCode::RequestTooLarge)));
    }

    #[tokio::test]
    async fn tells_a_client_that_left() {
        let (collected, fault, _) = collect(vec![data(3), Err(std::io::ErrorKind::UnexpectedEof.into())], 7).await;
        assert!(matches!(collected, Err(BodyError::Cut)));
        assert_eq!(fault, Some(Refusal::Host(ErrorCode::BadRequest)));
    }

    #[tokio::test]
    async fn does_not_wait_for_ever() {
        let inner = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, std::io::Error>>());
        let body = RequestBody::new(inner, 7, Duration::from_millis(1), &Arc::default());
        let progress = body.progress().expect("a body");
        assert!(matches!(body.collect().await, Err(BodyError::Timeout(_))));
        assert_eq!(progress.fault(), Some(Refusal::RequestTimeout));
    }
}
