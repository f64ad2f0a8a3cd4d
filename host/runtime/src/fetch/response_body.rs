//! The body of a response. Polling it runs the guest, which is still writing it.

use super::GuestResponse;
use crate::error::Error;
use crate::execution::Outcome;
use crate::instance::LoadedComponent;
use crate::run::{self, ExecutionRecord, GuestEnd};
use crate::schedule::Guest;
use bytes::Bytes;
use elias_contract::ErrorCode;
use http_body::{Body as _, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as HttpErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// A guest at work; it owns its store.
pub(super) type GuestFuture = Pin<Box<dyn Guest<Output = GuestEnd<()>> + Send>>;

/// A response's body. Polling it runs the guest that writes it; dropping it ends that guest.
pub struct Body {
    inner: Inner,
}

enum Inner {
    /// The guest has ended, and this is all it wrote.
    Whole(VecDeque<Frame<Bytes>>),
    Streaming(Box<StreamingResponse>),
    Over,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let streaming = match &mut self.inner {
            Inner::Over => return Poll::Ready(None),
            Inner::Whole(frames) => return Poll::Ready(frames.pop_front().map(Ok)),
            Inner::Streaming(streaming) => streaming,
        };
        let Poll::Ready(polled) = streaming.poll_body(cx) else { return Poll::Pending };
        match polled {
            PolledBody::Frame(frame) => {
                streaming.pause();
                Poll::Ready(Some(Ok(frame)))
            }
            PolledBody::Failed(error) => {
                self.inner = Inner::Over;
                Poll::Ready(Some(Err(error)))
            }
            PolledBody::End => {
                if let Inner::Streaming(streaming) = std::mem::replace(&mut self.inner, Inner::Over) {
                    streaming.finish_in_background();
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Over => true,
            Inner::Whole(frames) => frames.is_empty(),
            Inner::Streaming(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Over => SizeHint::with_exact(0),
            Inner::Whole(frames) => {
                SizeHint::with_exact(frames.iter().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum())
            }
            Inner::Streaming(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

/// An execution whose guest may still be at work. Fields drop in order: the guest before the record, which then knows
/// its cost.
pub(super) struct StreamingResponse {
    guest: Option<GuestFuture>,
    body: Option<HyperOutgoingBody>,
    /// Frames that were taken out of the body to see whether it is whole.
    ahead: VecDeque<Frame<Bytes>>,
    /// Bytes that may still come, by the limit.
    left: u64,
    /// Bytes that may still come, by the response's `content-length`.
    stated: Option<u64>,
    /// The error of `wasi:http` for a body that the guest did not finish.
    broken: Option<String>,
    /// Why the response breaks off, once what came before has been passed on.
    failure: Option<Error>,
    /// Whether whoever writes to the client has had its turn before it is told of the failure.
    has_yielded: bool,
    /// Set when the guest first has to wait.
    deadline: Option<Pin<Box<Sleep>>>,
    record: ExecutionRecord,
}

/// The result of polling the body.
enum PolledBody {
    Frame(Frame<Bytes>),
    Failed(Error),
    End,
}

impl StreamingResponse {
    pub(super) fn new(guest: GuestFuture, record: ExecutionRecord) -> Self {
        Self {
            left: record.component().limits.response_bytes,
            guest: Some(guest),
            body: None,
            ahead: VecDeque::new(),
            stated: None,
            broken: None,
            failure: None,
            has_yielded: false,
            deadline: None,
            record,
        }
    }

    fn component(&self) -> &LoadedComponent {
        self.record.component()
    }

    /// Runs the guest until it has given the headers. The response has the part of the body that is written by then.
    pub(super) async fn response(
        mut self,
        mut given: oneshot::Receiver<GuestResponse>,
    ) -> Result<http::Response<Body>, Error> {
        let response = poll_fn(|cx| self.poll_headers(&mut given, cx)).await?;
        let (mut parts, body) = response.into_parts();
        parts.extensions.insert(self.record.running().clone());
        let length = parts.headers.get(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        self.stated = length.and_then(|length| length.parse().ok());
        self.body = Some(body);
        // Most guests have ended by now and what they wrote lies ready: then the length is known, and nothing is
        // streamed.
        let inner = match poll_fn(|cx| Poll::Ready(self.poll_whole(cx))).await {
            Ok(true) => {
                self.record.end(Outcome::Completed);
                Inner::Whole(std::mem::take(&mut self.ahead))
            }
            Ok(false) => {
                self.pause();
                Inner::Streaming(Box::new(self))
            }
            Err(error) => return Err(error),
        };
        Ok(http::Response::from_parts(parts, Body { inner }))
    }

    /// The next poll is the reader's affair, and may be long in coming.
    fn pause(&self) {
        if let Some(guest) = &self.guest {
            guest.pause();
        }
    }

    fn poll_headers(
        &mut self,
        given: &mut oneshot::Receiver<GuestResponse>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<http::Response<HyperOutgoingBody>, Error>> {
        let guest = self.poll_guest(cx);
        match Pin::new(given).poll(cx) {
            Poll::Ready(Ok(Ok(response))) => match guest {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(response)),
            },
            Poll::Ready(Ok(Err(refused))) => Poll::Ready(Err(self.refused(&refused, guest))),
            // The sender is gone with the store: the guest ended without a response.
            Poll::Ready(Err(_)) => match guest {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => {
                    Poll::Ready(Err(self.fail(Error::new(ErrorCode::NoResponse, "the guest ended without a response"))))
                }
            },
            Poll::Pending => match guest {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => self.poll_deadline(cx).map(Err),
            },
        }
    }

    /// The error that the guest gave in place of a response.
    fn refused(&mut self, refused: &HttpErrorCode, guest: Poll<Result<(), Error>>) -> Error {
        if let Poll::Ready(Err(error)) = guest {
            return error;
        }
        let error = match refused {
            HttpErrorCode::InternalError(text) => {
                run::handler_failed(self.component(), &self.record.meter, text.as_deref())
            }
            other => run::handler_failed(self.component(), &self.record.meter, Some(&format!("{other:?}"))),
        };
        self.fail(error)
    }

    /// Lets the guest go on. `Ready(Err)` has ended the record already.
    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(guest) = &mut self.guest else { return Poll::Ready(Ok(())) };
        if self.record.running().poll_cancelled(cx) {
            return Poll::Ready(Err(self.fail(run::cancelled())));
        }
        let Poll::Ready(ended) = guest.as_mut().poll(cx) else { return Poll::Pending };
        self.guest = None;
        // Its instance is free, though its last bytes may not be on their way yet.
        self.record.running().release();
        let ended = run::interpret(&self.record, ended);
        Poll::Ready(ended.map_err(|error| self.record.fail(error)))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let ends = self.record.ends();
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends.into())));
        deadline.as_mut().poll(cx).map(|()| {
            let error = run::deadline_passed(&self.record);
            self.fail(error)
        })
    }

    /// Ends the guest, then the record.
    fn fail(&mut self, error: Error) -> Error {
        self.guest = None;
        self.record.fail(error)
    }

    /// The next of what the guest wrote. What it wrote before it failed is passed on before the failure is.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<PolledBody> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(PolledBody::Frame(frame));
        }
        if self.failure.is_none()
            && let Poll::Ready(Err(error)) = self.poll_guest(cx)
        {
            self.failure = Some(error);
        }
        let polled = self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx));
        let waits = polled.is_pending();
        match polled {
            Poll::Ready(Some(Ok(frame))) => match self.count(&frame) {
                Ok(()) => return Poll::Ready(PolledBody::Frame(frame)),
                Err(error) => self.failure = Some(self.fail(error)),
            },
            // The guest has dropped its body unfinished, and may be about to say why.
            Poll::Ready(Some(Err(error))) => {
                self.body = None;
                self.broken = Some(error.to_string());
            }
            Poll::Ready(None) | Poll::Pending => {}
        }
        if self.failure.is_none() {
            match &self.broken {
                None if !waits => return Poll::Ready(PolledBody::End),
                Some(why) if self.guest.is_none() => {
                    let message = format!("the guest broke off its response: {why}");
                    self.failure = Some(self.fail(Error::new(ErrorCode::Exception, message)));
                }
                _ => self.failure = Some(ready!(self.poll_deadline(cx))),
            }
        }
        if !self.has_yielded {
            // A server that is told of an error drops what it has not written yet: let it write first.
            self.has_yielded = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.failure.take().map_or(PolledBody::End, PolledBody::Failed))
    }

    /// Takes a frame from what may still come.
    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), Error> {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            let limit = self.record.component().limits.response_bytes;
            Error::new(ErrorCode::ResponseTooLarge, format!("the response's body has more than {limit} bytes"))
        })?;
        if let Some(stated) = &mut self.stated {
            *stated = stated.checked_sub(bytes).ok_or_else(|| {
                Error::new(ErrorCode::Exception, "the response's body has more bytes than its content-length says")
            })?;
        }
        Ok(())
    }

    /// Whether the guest has ended and all that it wrote lies ready, which is then in `ahead`.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Result<bool, Error> {
        let mut ahead = VecDeque::new();
        let is_whole = loop {
            if self.guest.is_some() {
                break false;
            }
            match self.poll_body(cx) {
                Poll::Ready(PolledBody::Frame(frame)) => ahead.push_back(frame),
                Poll::Ready(PolledBody::End) => break true,
                Poll::Ready(PolledBody::Failed(error)) => return Err(error),
                Poll::Pending => match self.failure.take() {
                    Some(error) => return Err(error),
                    None => break false,
                },
            }
        };
        self.ahead = ahead;
        Ok(is_whole)
    }

    /// The body is out; what the guest gave to `waitUntil` goes on without anyone waiting.
    fn finish_in_background(mut self: Box<Self>) {
        if self.guest.is_none() {
            self.record.end(Outcome::Completed);
            return;
        }
        tokio::spawn(async move {
            let ended = poll_fn(|cx| match self.poll_guest(cx) {
                Poll::Pending => self.poll_deadline(cx).map(Err),
                ready @ Poll::Ready(_) => ready,
            })
            .await;
            // A failure is in the log already.
            if ended.is_ok() {
                self.record.end(Outcome::Completed);
            }
        });
    }
}
