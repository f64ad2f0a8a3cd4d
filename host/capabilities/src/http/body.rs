//! Bodies of requests and responses, each with its limit.

use super::error::{RequestBodyError, from_client};
use bytes::Bytes;
use elias_host::capability::CallMeter;
use futures::StreamExt;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyStream;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use wasmtime_wasi_http::{Error, WasiBody};

/// The guest's body for the client; `None` if the request has no body. A body that exceeds its cap ends in an error,
/// and `failure` says why: by then a response can have begun, which then ends as a lost connection. Bytes that are sent
/// are counted.
pub(super) fn outgoing(
    body: WasiBody,
    bytes_max: u64,
    calls: CallMeter,
    failure: Arc<OnceLock<RequestBodyError>>,
) -> Option<reqwest::Body> {
    if body.is_end_stream() {
        return None;
    }
    let mut sent = 0;
    let chunks = BodyStream::new(body).filter_map(move |frame| {
        let chunk = match frame.map(Frame::into_data) {
            Ok(Ok(data)) => {
                sent += data.len() as u64;
                if sent > bytes_max {
                    Some(Err(RequestBodyError::TooLarge(sent)))
                } else {
                    calls.sends(data.len() as u64);
                    Some(Ok(data))
                }
            }
            Ok(Err(_trailers)) => None,
            Err(_) => Some(Err(RequestBodyError::Broken)),
        };
        if let Some(Err(failed)) = &chunk {
            let _ = failure.set(*failed);
        }
        std::future::ready(chunk)
    });
    Some(reqwest::Body::wrap_stream(chunks))
}

/// A response's body: ends in an error over its cap or past its time, and holds the permit of its request.
pub(super) struct ResponseBody {
    body: reqwest::Body,
    left: u64,
    bytes_max: u64,
    ends: Instant,
    between_bytes: Option<Duration>,
    /// Why the request's body could not be sent whole.
    failure: Arc<OnceLock<RequestBodyError>>,
    /// Set once the body has to be waited for.
    timer: Option<Pin<Box<Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl ResponseBody {
    pub(super) fn new(
        body: reqwest::Body,
        bytes_max: u64,
        ends: Instant,
        between_bytes: Option<Duration>,
        failure: Arc<OnceLock<RequestBodyError>>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { body, left: bytes_max, bytes_max, ends, between_bytes, failure, timer: None, _permit: permit }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let by = this.between_bytes.map_or(this.ends, |between| this.ends.min(Instant::now() + between));
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(by)));
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err(Error::ConnectionReadTimeout)));
        };
        this.timer = None;
        let frame = match frame {
            None => return Poll::Ready(None),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(from_client(&error, this.failure.get())))),
        };
        let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
        match this.left.checked_sub(bytes) {
            Some(left) => this.left = left,
            None => return Poll::Ready(Some(Err(Error::HttpResponseBodySize(Some(this.bytes_max))))),
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
