//! The response, and the guest that is still writing it.

use crate::app::AppInner;
use crate::error::{Error, ErrorCode};
use crate::execution::Outcome;
use crate::fetch::Head;
use crate::run::{self, Ended, Record};
use crate::schedule::Guest;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::time::Sleep;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode as HttpErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// A guest at work; it owns its store.
pub(crate) type GuestFuture = Pin<Box<dyn Guest<Output = Ended<()>> + Send>>;

/// A response's body. Polling it runs the guest that writes it; dropping it ends that guest.
pub struct Body {
    inner: Inner,
}

enum Inner {
    /// The guest has ended and this is all it wrote.
    Whole(Option<Bytes>),
    Streaming(Box<Streaming>),
    Over,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let streaming = match &mut self.inner {
            Inner::Over => return Poll::Ready(None),
            Inner::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Inner::Streaming(streaming) => streaming,
        };
        let Poll::Ready(polled) = streaming.poll_body(cx) else { return Poll::Pending };
        match polled {
            Polled::Frame(frame) => {
                streaming.pause();
                Poll::Ready(Some(Ok(frame)))
            }
            Polled::Failed(error) => {
                self.inner = Inner::Over;
                Poll::Ready(Some(Err(error)))
            }
            Polled::End => {
                if let Inner::Streaming(streaming) = std::mem::replace(&mut self.inner, Inner::Over) {
                    streaming.finish_in_background();
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.inner, Inner::Over | Inner::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Over | Inner::Whole(None) => SizeHint::with_exact(0),
            Inner::Whole(Some(bytes)) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Streaming(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

/// A run whose guest may still be at work. Fields drop in order: the guest before the record, which then knows its cost.
pub(crate) struct Streaming {
    guest: Option<GuestFuture>,
    body: Option<HyperOutgoingBody>,
    left: u64,
    /// Set when the guest first has to wait.
    deadline: Option<Pin<Box<Sleep>>>,
    record: Record,
    app: Arc<AppInner>,
}

/// What polling the body gave.
enum Polled {
    Frame(Frame<Bytes>),
    Failed(Error),
    End,
}

impl Streaming {
    pub(crate) fn new(app: Arc<AppInner>, guest: GuestFuture, record: Record) -> Self {
        let left = app.limits.response_bytes;
        Self { guest: Some(guest), body: None, left, deadline: None, record, app }
    }

    /// Runs the guest until it has answered, and gives the response with what there is of its body.
    pub(crate) async fn response(mut self, mut head: oneshot::Receiver<Head>) -> Result<http::Response<Body>, Error> {
        let head = poll_fn(|cx| self.poll_head(&mut head, cx)).await?;
        let (mut parts, body) = head.into_parts();
        parts.extensions.insert(self.record.running().clone());
        self.body = Some(body);
        // Most guests have ended by now and what they wrote lies ready: then the length is known, and nothing is streamed.
        let inner = match poll_fn(|cx| Poll::Ready(self.poll_whole(cx))).await {
            Whole::Bytes(bytes) => {
                self.record.end(Outcome::Completed);
                Inner::Whole(bytes)
            }
            Whole::Not => {
                self.pause();
                Inner::Streaming(Box::new(self))
            }
            Whole::Failed(error) => return Err(error),
        };
        Ok(http::Response::from_parts(parts, Body { inner }))
    }

    /// The next poll is the reader's affair, and may be long in coming.
    fn pause(&self) {
        if let Some(guest) = &self.guest {
            guest.pause();
        }
    }

    fn poll_head(
        &mut self,
        head: &mut oneshot::Receiver<Head>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<http::Response<HyperOutgoingBody>, Error>> {
        let guest = self.poll_guest(cx);
        match Pin::new(head).poll(cx) {
            Poll::Ready(Ok(Ok(response))) => match guest {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => Poll::Ready(Ok(response)),
            },
            Poll::Ready(Ok(Err(refused))) => Poll::Ready(Err(self.refused(&refused, guest))),
            // The sender is gone with the store: the guest ended without an answer.
            Poll::Ready(Err(_)) => match guest {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => {
                    Poll::Ready(Err(self.fail(Error::new(ErrorCode::NoResponse, "the guest ended without an answer"))))
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
            HttpErrorCode::InternalError(text) => run::refused(&self.app, &self.record.meter, text.as_deref()),
            other => run::refused(&self.app, &self.record.meter, Some(&format!("{other:?}"))),
        };
        self.fail(error)
    }

    /// Lets the guest go on. `Ready(Err)` has ended the record already.
    fn poll_guest(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Some(guest) = &mut self.guest else { return Poll::Ready(Ok(())) };
        if self.record.running().poll_cancelled(cx) {
            let error = Error::new(ErrorCode::Cancelled, "the execution was cancelled by hand");
            return Poll::Ready(Err(self.fail(error)));
        }
        let Poll::Ready(ended) = guest.as_mut().poll(cx) else { return Poll::Pending };
        self.guest = None;
        // Its instance is free, though its last bytes may not be on their way yet.
        self.record.running().release();
        let ended = run::ended(&self.app, &self.record.meter, ended);
        Poll::Ready(ended.map_err(|error| self.record.fail(error)))
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let ends = self.record.ends(&self.app);
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends.into())));
        deadline.as_mut().poll(cx).map(|()| {
            let error = run::deadline(&self.app);
            self.fail(error)
        })
    }

    /// Ends the guest, then the record.
    fn fail(&mut self, error: Error) -> Error {
        self.guest = None;
        self.record.fail(error)
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        if let Poll::Ready(Err(error)) = self.poll_guest(cx) {
            return Poll::Ready(Polled::Failed(error));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(Polled::End) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(bytes) {
                    Some(left) => {
                        self.left = left;
                        Poll::Ready(Polled::Frame(frame))
                    }
                    None => {
                        let limit = self.app.limits.response_bytes;
                        let error = Error::new(
                            ErrorCode::ResponseTooLarge,
                            format!("the response's body has more than {limit} bytes"),
                        );
                        Poll::Ready(Polled::Failed(self.fail(error)))
                    }
                }
            }
            Poll::Ready(Some(Err(error))) => {
                let message = format!("the guest broke off its response: {error}");
                Poll::Ready(Polled::Failed(self.fail(Error::new(ErrorCode::Exception, message))))
            }
            Poll::Ready(None) => Poll::Ready(Polled::End),
            Poll::Pending => self.poll_deadline(cx).map(Polled::Failed),
        }
    }

    /// The whole body, if the guest has ended and left at most one frame.
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Whole {
        if self.guest.is_some() {
            return Whole::Not;
        }
        let first = match self.poll_body(cx) {
            Poll::Ready(Polled::End) => return Whole::Bytes(None),
            Poll::Ready(Polled::Frame(frame)) => frame,
            Poll::Ready(Polled::Failed(error)) => return Whole::Failed(error),
            Poll::Pending => return Whole::Not,
        };
        let Ok(first) = first.into_data() else { return Whole::Not };
        // A second frame would be lost here, so only look whether there can be one.
        match &mut self.body {
            Some(body) => match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(None) => Whole::Bytes(Some(first)),
                Poll::Ready(Some(Ok(second))) => {
                    self.put_back(first, Some(second));
                    Whole::Not
                }
                _ => {
                    self.put_back(first, None);
                    Whole::Not
                }
            },
            None => Whole::Bytes(Some(first)),
        }
    }

    /// Puts frames that were read ahead in front of the body again.
    fn put_back(&mut self, first: Bytes, second: Option<Frame<Bytes>>) {
        use futures::{StreamExt, stream};
        use http_body_util::{BodyExt, BodyStream, StreamBody};
        self.left += first.len() as u64;
        if let Some(rest) = self.body.take() {
            let ahead = [Some(Frame::data(first)), second].into_iter().flatten().map(Ok);
            self.body = Some(StreamBody::new(stream::iter(ahead).chain(BodyStream::new(rest))).boxed_unsync());
        }
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

/// Whether a body is known whole.
enum Whole {
    Bytes(Option<Bytes>),
    Not,
    Failed(Error),
}
