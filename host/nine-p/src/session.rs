//! A connection: its messages, what is under way, and its clocks.
//!
//! All requests of a connection run in its own task, so that what it holds is gone when it ends. A request that is
//! flushed is dropped before it is answered: its fids are free again when the client learns of it.

use crate::errno::{Errno, FileError, FileResult};
use crate::fids::Fids;
use crate::limits::{Limits, MESSAGE_BYTES_MIN};
use crate::namespace::Namespace;
use crate::operations::{Context, close};
use crate::reply::Reply;
use crate::request::{Dialect, HEADER_BYTES, Request};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes that are read at once, at least.
const READ_BYTES: usize = 4_096;

/// The type of the message that agrees on a version.
const VERSION: u8 = 100;

/// Why a connection was ended by the server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Protocol(&'static str),
    #[error("the client did not attach in time")]
    AttachTimeout,
    #[error("nothing was asked for a long time")]
    Idle,
    #[error("the client did not read its responses in time")]
    WriteTimeout,
}

/// A connection.
pub(crate) struct Session<S> {
    frames: Frames<S>,
    writer: WriteHalf<S>,
    namespace: Arc<dyn Namespace>,
    limits: Limits,
    peer: String,
    /// None before a version was agreed on.
    context: Option<Arc<Context>>,
    under_way: UnderWay,
}

impl<S: AsyncRead + AsyncWrite + Send + 'static> Session<S> {
    pub(crate) fn new(stream: S, namespace: Arc<dyn Namespace>, limits: Limits, peer: String) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let frames = Frames { reader, buffer: Vec::new() };
        Self { frames, writer, namespace, limits, peer, context: None, under_way: UnderWay::default() }
    }

    /// Serves until the client leaves.
    pub(crate) async fn run(mut self) -> Result<(), SessionError> {
        let mut active = Instant::now();
        // Who has nothing attached is nobody's client, and must not keep others out for long.
        let mut unattached_since = Some(active);
        loop {
            let is_attached = self.context.as_ref().is_some_and(|context| context.fids.lock().is_attached());
            unattached_since = (!is_attached).then(|| unattached_since.unwrap_or_else(Instant::now));
            let (deadline, late) = match unattached_since {
                Some(since) => (since + self.limits.attach_timeout, SessionError::AttachTimeout),
                None => (active + self.limits.idle_timeout, SessionError::Idle),
            };
            let has_deadline = unattached_since.is_some() || self.under_way.0.is_empty();
            // Of all messages but the first the agreed size is the bound.
            let most = self.context.as_ref().map_or(self.limits.message_bytes, |context| context.message_bytes);
            tokio::select! {
                biased;
                (tag, result) = self.under_way.next() => self.respond(tag, result).await?,
                frame = self.frames.next(most) => match frame? {
                    Some(frame) => self.handle(&frame).await?,
                    None => return Ok(()),
                },
                () = sleep_until(deadline), if has_deadline => return Err(late),
            }
            active = Instant::now();
        }
    }

    async fn respond(&mut self, tag: u16, result: FileResult<Reply>) -> Result<(), SessionError> {
        let dialect = self.context.as_ref().map_or(Dialect::Plain, |context| context.dialect);
        let message = result.unwrap_or_else(Reply::Error).encode(dialect, tag);
        let write = async {
            self.writer.write_all(&message).await?;
            self.writer.flush().await
        };
        timeout(self.limits.write_timeout, write).await.map_err(|_| SessionError::WriteTimeout)?.map_err(Into::into)
    }

    async fn handle(&mut self, frame: &[u8]) -> Result<(), SessionError> {
        let (kind, tag) = (frame[4], u16::from_le_bytes([frame[5], frame[6]]));
        let body = &frame[HEADER_BYTES..];
        if kind == VERSION {
            let malformed = |_| SessionError::Protocol("the message is malformed");
            return match Request::decode(Dialect::Plain, kind, body).map_err(malformed)? {
                Request::Version { msize, version } => self.agree(tag, msize, &version).await,
                _ => Err(SessionError::Protocol("the message is malformed")),
            };
        }
        let Some(context) = self.context.clone() else {
            return Err(SessionError::Protocol("a request came before the version"));
        };
        // A response to one of two requests with a tag would be taken for that to the other.
        if self.under_way.contains(tag) {
            return Err(SessionError::Protocol("a tag was used for two requests"));
        }
        let Ok(request) = Request::decode(context.dialect, kind, body) else {
            return self.respond(tag, Err(FileError::new(Errno::Invalid, "the request is malformed"))).await;
        };
        match request {
            Request::Flush { old_tag } => {
                self.under_way.remove(old_tag);
                self.respond(tag, Ok(Reply::Flush)).await
            }
            Request::Clunk { fid } => self.clunk(&context, tag, fid, Ok(Reply::Clunk)).await,
            // The fid is forgotten all the same.
            Request::Remove { fid } => self.clunk(&context, tag, fid, Err(FileError::not_permitted())).await,
            _ if self.under_way.0.len() >= self.limits.requests => {
                self.respond(tag, Err(FileError::new(Errno::TryAgain, "too many requests are under way"))).await
            }
            request => {
                let read = match request {
                    Request::Read { fid, .. } => Some(fid),
                    _ => None,
                };
                self.under_way.0.push(Running { tag, read, future: context.perform(request).boxed() });
                Ok(())
            }
        }
    }

    /// Ends the session so far and begins a new one.
    async fn agree(&mut self, tag: u16, msize: u32, version: &str) -> Result<(), SessionError> {
        self.under_way.0.clear();
        self.context = None;
        let dialect = match version {
            "9P2000.L" => Some(Dialect::Linux),
            // What stands behind the point is an extension that a server need not know.
            _ if version == "9P2000" || version.starts_with("9P2000.") => Some(Dialect::Plain),
            _ => None,
        };
        let message_bytes = msize.min(self.limits.message_bytes);
        let Some(dialect) = dialect.filter(|_| message_bytes >= MESSAGE_BYTES_MIN) else {
            let msize = self.limits.message_bytes;
            return self.respond(tag, Ok(Reply::Version { msize, version: "unknown" })).await;
        };
        self.context = Some(Arc::new(Context {
            namespace: Arc::clone(&self.namespace),
            limits: self.limits.clone(),
            peer: self.peer.clone(),
            dialect,
            message_bytes,
            fids: Mutex::new(Fids::new(&self.limits)),
            place_bytes: Arc::new(Semaphore::new(self.limits.place_bytes.min(Semaphore::MAX_PERMITS))),
        }));
        let version = match dialect {
            Dialect::Linux => "9P2000.L",
            Dialect::Plain => "9P2000",
        };
        self.respond(tag, Ok(Reply::Version { msize: message_bytes, version })).await
    }

    /// Forgets a fid and closes its file, which ends the reads that wait for it. It is not counted among the requests
    /// under way: a client must be able to close what it has open. Until it is closed the file is counted as open, so
    /// that there are no more of these than files may be open.
    async fn clunk(
        &mut self,
        context: &Arc<Context>,
        tag: u16,
        fid: u32,
        result: FileResult<Reply>,
    ) -> Result<(), SessionError> {
        let removed = context.fids.lock().remove(fid);
        let open = match removed {
            Ok(open) => open,
            Err(error) => return self.respond(tag, Err(error)).await,
        };
        for tag in self.under_way.end_reads(fid) {
            self.respond(tag, Err(FileError::new(Errno::Interrupted, "the file was closed"))).await?;
        }
        let future = async move { close(open).await.and(result) }.boxed();
        self.under_way.0.push(Running { tag, read: None, future });
        Ok(())
    }
}

/// A request that is not answered yet.
struct Running {
    tag: u16,
    /// The fid that it reads, if it does.
    read: Option<u32>,
    future: BoxFuture<'static, FileResult<Reply>>,
}

/// The requests that are not answered yet: few, so that a list is enough.
#[derive(Default)]
struct UnderWay(Vec<Running>);

impl UnderWay {
    /// Waits for the next that is done; for ever if there is none.
    async fn next(&mut self) -> (u16, FileResult<Reply>) {
        poll_fn(|context| {
            for position in 0..self.0.len() {
                if let Poll::Ready(result) = self.0[position].future.poll_unpin(context) {
                    return Poll::Ready((self.0.swap_remove(position).tag, result));
                }
            }
            Poll::Pending
        })
        .await
    }

    fn contains(&self, tag: u16) -> bool {
        self.0.iter().any(|running| running.tag == tag)
    }

    fn remove(&mut self, tag: u16) {
        self.0.retain(|running| running.tag != tag);
    }

    /// Ends the reads of a fid; gives their tags.
    fn end_reads(&mut self, fid: u32) -> Vec<u16> {
        self.0.extract_if(.., |running| running.read == Some(fid)).map(|running| running.tag).collect()
    }
}

/// Reads messages. A read that is dropped loses nothing.
struct Frames<S> {
    reader: ReadHalf<S>,
    buffer: Vec<u8>,
}

impl<S: AsyncRead> Frames<S> {
    /// The next message, of at most so many bytes; none if the client has left.
    async fn next(&mut self, most: u32) -> Result<Option<Vec<u8>>, SessionError> {
        loop {
            let mut wanted = READ_BYTES;
            if let Some(size) = self.buffer.first_chunk::<4>() {
                let size = u32::from_le_bytes(*size);
                let bytes = size as usize;
                if bytes < HEADER_BYTES || size > most {
                    return Err(SessionError::Protocol("a message has too few or too many bytes"));
                }
                if self.buffer.len() >= bytes {
                    let rest = self.buffer.split_off(bytes);
                    return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
                }
                wanted = wanted.max(bytes - self.buffer.len());
            }
            self.buffer.reserve(wanted);
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let is_between = self.buffer.is_empty();
                return if is_between { Ok(None) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) };
            }
        }
    }
}

#[cfg(test)]
mod tests;
