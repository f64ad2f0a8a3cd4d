//! Decodes responses' bodies, in bounded steps that are paid for and can be cancelled between any two.
//!
//! A body is decoded where the guest reads it, on the thread and in the turn of that guest, and never ahead of it. A
//! poll does at most [`TURN`] units of work; where that makes no byte for the guest (a bomb of empty blocks, or of
//! codings within each other), it wakes itself and lets others run. The guest pays with its next host call.

use super::coding::Coding;
use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::{Buf, Bytes};
use elias_host::capability::CallMeter;
use futures::future::BoxFuture;
use http_body::{Body, Frame};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::Error;

/// Bytes of what is decoded, at each step and for the guest.
const CHUNK: usize = 16 << 10;

/// Bytes that a decoder is given at once. A table of codes takes some 20 bytes and a microsecond or two to build, so
/// that this much can take half a millisecond and make nothing.
const SLICE: usize = 4 << 10;

/// Units of fuel for a byte that is decoded.
const BYTE_IN: u64 = 100;

/// Units of fuel for a byte that comes out.
const BYTE_OUT: u64 = 30;

/// Units of fuel after which others are let run: 100 us.
const TURN: u64 = 1_000_000;

/// KiB that the decoders of one instance hold at most; further bodies wait until others have been read.
pub(super) const WINDOWS_KIB: usize = 128 << 10;

/// The largest window of zstd that is accepted, as a power of two: 8 MiB (RFC 9659).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A body whose codings are taken away.
pub(super) struct DecodedBody {
    state: State,
    work: Arc<Work>,
    /// The outermost coding, for errors.
    coding: Coding,
}

enum State {
    /// Waits for the right to hold the decoders' windows.
    Waiting(BoxFuture<'static, Result<OwnedSemaphorePermit, AcquireError>>, Reader),
    Reading(Reader, #[expect(dead_code, reason = "held for as long as it is read")] OwnedSemaphorePermit),
    Ended,
}

/// The source of bytes: the body as it came, or a step that decodes it.
type Reader = Pin<Box<dyn AsyncBufRead + Send>>;

impl DecodedBody {
    /// `body` without `codings`, which were applied in their order. No step may make more than `bytes_max` bytes. The
    /// `windows` are those of the instance, [`WINDOWS_KIB`] permits.
    pub(super) fn new<B>(body: B, codings: &[Coding], bytes_max: u64, windows: Arc<Semaphore>, calls: CallMeter) -> Self
    where
        B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    {
        let work = Arc::new(Work { calls, turn: AtomicU64::new(0) });
        let source = Source { body, work: Arc::clone(&work), chunk: Bytes::new(), ended: false };
        let mut reader: Reader = Box::pin(source);
        for (left, coding) in codings.iter().enumerate().rev() {
            // The output of every coding but the last is decoded once more.
            let byte = if left == 0 { BYTE_OUT } else { BYTE_OUT + BYTE_IN };
            reader = Box::pin(Step {
                decoder: Decoder::Start(*coding, reader),
                buffer: vec![0; CHUNK].into(),
                at: 0,
                filled: 0,
                byte,
                left: bytes_max,
                bytes_max,
                work: Arc::clone(&work),
            });
        }
        let kib = codings.iter().map(|coding| coding.window_kib()).sum();
        let coding = codings.last().copied().unwrap_or(Coding::Gzip);
        Self { state: State::Waiting(Box::pin(windows.acquire_many_owned(kib)), reader), work, coding }
    }

    fn fail(&mut self, error: io::Error) -> Error {
        self.state = State::Ended;
        match error.downcast::<Error>() {
            Ok(own) => own,
            Err(error) => {
                tracing::debug!(%error, coding = self.coding.name(), "the body of a response cannot be decoded");
                Error::HttpResponseContentCoding(Some(self.coding.name().to_owned()))
            }
        }
    }
}

impl Body for DecodedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        this.work.turn.store(0, Ordering::Relaxed);
        loop {
            match &mut this.state {
                State::Waiting(permit, _) => {
                    let permit = ready!(permit.as_mut().poll(cx));
                    let State::Waiting(_, reader) = std::mem::replace(&mut this.state, State::Ended) else { continue };
                    match permit {
                        Ok(permit) => this.state = State::Reading(reader, permit),
                        Err(_) => return Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
                    }
                }
                State::Reading(reader, _) => {
                    let bytes = match ready!(reader.as_mut().poll_fill_buf(cx)) {
                        Ok(bytes) => Bytes::copy_from_slice(bytes),
                        Err(error) => return Poll::Ready(Some(Err(this.fail(error)))),
                    };
                    if bytes.is_empty() {
                        this.state = State::Ended;
                        continue;
                    }
                    reader.as_mut().consume(bytes.len());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

/// The cost of decoding.
struct Work {
    calls: CallMeter,
    /// Units of the poll that is under way.
    turn: AtomicU64,
}

impl Work {
    fn add(&self, units: u64) {
        self.calls.works(units);
        self.turn.fetch_add(units, Ordering::Relaxed);
    }

    /// Pending once the turn is used up: there will be another at once.
    fn poll_turn(&self, cx: &Context<'_>) -> Poll<()> {
        if self.turn.load(Ordering::Relaxed) < TURN {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The body as it came, by small slices.
struct Source<B> {
    body: B,
    work: Arc<Work>,
    chunk: Bytes,
    ended: bool,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> AsyncRead for Source<B> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        copy_from(self, cx, buffer)
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> AsyncBufRead for Source<B> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.work.poll_turn(cx));
        while this.chunk.is_empty() && !this.ended {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => this.ended = true,
                Some(Ok(frame)) => this.chunk = frame.into_data().unwrap_or_default(), // trailers have no meaning here
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            }
        }
        Poll::Ready(Ok(&this.chunk[..this.chunk.len().min(SLICE)]))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.chunk.advance(bytes);
        this.work.add(BYTE_IN * bytes as u64);
    }
}

/// One coding, taken away: holds what came out until the next step takes it.
struct Step {
    decoder: Decoder,
    buffer: Box<[u8]>,
    at: usize,
    filled: usize,
    /// Units of fuel for a byte that comes out.
    byte: u64,
    left: u64,
    bytes_max: u64,
    work: Arc<Work>,
}

impl AsyncRead for Step {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        copy_from(self, cx, buffer)
    }
}

impl AsyncBufRead for Step {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.at == this.filled {
            ready!(this.work.poll_turn(cx));
            let mut buffer = ReadBuf::new(&mut this.buffer);
            ready!(this.decoder.poll_read(cx, &mut buffer))?;
            (this.at, this.filled) = (0, buffer.filled().len());
            this.work.add(this.byte * this.filled as u64);
            match this.left.checked_sub(this.filled as u64) {
                Some(left) => this.left = left,
                None => {
                    return Poll::Ready(Err(io::Error::other(Error::HttpResponseBodySize(Some(this.bytes_max)))));
                }
            }
        }
        Poll::Ready(Ok(&this.buffer[this.at..this.filled]))
    }

    fn consume(self: Pin<&mut Self>, bytes: usize) {
        let this = self.get_mut();
        this.at = (this.at + bytes).min(this.filled);
    }
}

fn copy_from<R: AsyncBufRead>(
    mut reader: Pin<&mut R>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let bytes = ready!(reader.as_mut().poll_fill_buf(cx))?;
    let count = bytes.len().min(buffer.remaining());
    buffer.put_slice(&bytes[..count]);
    reader.consume(count);
    Poll::Ready(Ok(()))
}

/// A decoder and what is around it: how a body begins, and what may follow its end.
enum Decoder {
    /// Nothing was read: a body without a byte has nothing to decode.
    Start(Coding, Reader),
    Gzip(Box<GzipDecoder<Reader>>),
    /// A member of a gzip file ended, and another may follow (RFC 1952, 2.2).
    Member(Reader),
    Zlib(Box<ZlibDecoder<Reader>>),
    /// Deflate without zlib's header, as some servers send it.
    Raw(Box<DeflateDecoder<Reader>>),
    Brotli(Box<BrotliDecoder<Reader>>),
    Zstd(Box<ZstdDecoder<Reader>>),
    /// Bytes after the end are read, so that the connection can be used again, and ignored.
    Rest(Reader),
    Ended,
}

impl Decoder {
    /// The decoder of a body that begins with this byte.
    fn begin(coding: Coding, first: u8, reader: Reader) -> Self {
        match coding {
            Coding::Gzip => Self::Gzip(Box::new(GzipDecoder::new(reader))),
            // Deflate means zlib's format (RFC 9110, 8.4.1.2). The compression method, 8, tells it from what lacks the
            // header, as browsers tell it.
            Coding::Deflate if first & 0x0f == 8 => Self::Zlib(Box::new(ZlibDecoder::new(reader))),
            Coding::Deflate => Self::Raw(Box::new(DeflateDecoder::new(reader))),
            Coding::Brotli => Self::Brotli(Box::new(BrotliDecoder::new(reader))),
            Coding::Zstd => {
                let window = DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX);
                let mut decoder = ZstdDecoder::with_params(reader, &[window]);
                decoder.multiple_members(true); // RFC 8878, 3
                Self::Zstd(Box::new(decoder))
            }
        }
    }

    /// The active decoder, if there is one at this moment.
    fn decoding(&mut self) -> Option<&mut (dyn AsyncRead + Unpin)> {
        match self {
            Self::Gzip(decoder) => Some(decoder),
            Self::Zlib(decoder) => Some(decoder),
            Self::Raw(decoder) => Some(decoder),
            Self::Brotli(decoder) => Some(decoder),
            Self::Zstd(decoder) => Some(decoder),
            Self::Start(..) | Self::Member(_) | Self::Rest(_) | Self::Ended => None,
        }
    }

    /// Reads at least a byte unless this is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let before = buffer.filled().len();
            let next = if let Some(decoder) = self.decoding() {
                ready!(Pin::new(decoder).poll_read(cx, buffer))?;
                None
            } else {
                match self {
                    Self::Start(_, reader) | Self::Member(reader) => {
                        ready!(reader.as_mut().poll_fill_buf(cx))?.first().copied()
                    }
                    Self::Rest(reader) => {
                        let count = ready!(reader.as_mut().poll_fill_buf(cx))?.len();
                        if count > 0 {
                            reader.as_mut().consume(count);
                            continue;
                        }
                        None
                    }
                    _ => return Poll::Ready(Ok(())),
                }
            };
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            *self = std::mem::replace(self, Self::Ended).after(next);
        }
    }

    /// The step after this one, whose input goes on with the byte `next` where that was looked at.
    fn after(self, next: Option<u8>) -> Self {
        match (self, next) {
            (Self::Start(coding, reader), Some(first)) => Self::begin(coding, first, reader),
            // Zeros pad a file; whatever else follows has to be a member, as for Node's zlib and gzip itself.
            (Self::Member(reader), Some(0)) => Self::Rest(reader),
            (Self::Member(reader), Some(first)) => Self::begin(Coding::Gzip, first, reader),
            (Self::Gzip(decoder), _) => Self::Member(decoder.into_inner()),
            (Self::Zlib(decoder), _) => Self::Rest(decoder.into_inner()),
            (Self::Raw(decoder), _) => Self::Rest(decoder.into_inner()),
            (Self::Brotli(decoder), _) => Self::Rest(decoder.into_inner()),
            (Self::Start(..) | Self::Member(_) | Self::Zstd(_) | Self::Rest(_) | Self::Ended, _) => Self::Ended,
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
