//! `CompressionStream`, `DecompressionStream` and node:zlib: gzip (RFC 1952), zlib (RFC 1950), deflate (RFC 1951) and
//! Brotli (RFC 7932).
//!
//! It runs in the guest, so that what a bomb unpacks into is the guest's own memory, and the work is its own fuel.

mod brotli;
mod inflate;

use self::brotli::{Unbrotli, brotli_writer};
use self::inflate::{Format, Inflate};
use super::bytes::bytes_in;
use ::brotli::CompressorWriter;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use javy::quickjs::function::Opt;
use javy::quickjs::{Ctx, Exception, Function, Object, Result, TypedArray};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;

/// The error, for the message of an exception.
type Failure = Cow<'static, str>;

/// Bytes that decompressing makes room for at a time.
const CHUNK_BYTES: usize = 64 * 1024;

const CORRUPT: Failure = Cow::Borrowed("the compressed data is not valid");
const TRAILING: Failure = Cow::Borrowed("something follows the end of the compressed data");
const TRUNCATED: Failure = Cow::Borrowed("the compressed data ends too early");

/// The treatment of bytes after the end of a decoder's stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TrailingBytes {
    /// They are an error, as the Compression Standard has it.
    Refuse,
    /// As Node.js has it: a further member of gzip goes on, and anything else is passed over.
    PassOver,
}

/// Compresses or decompresses one stream.
enum Coder {
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
    Deflate(DeflateEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Inflate(Inflate),
    Unbrotli(Box<Unbrotli>),
}

struct Coders {
    open: RefCell<BTreeMap<u32, Coder>>,
    next: Cell<u32>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Coders {}

static CODERS: Coders = Coders { open: RefCell::new(BTreeMap::new()), next: Cell::new(1) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("coderNew", Function::new(ctx.clone(), start)?)?;
    native.set("coderPush", Function::new(ctx.clone(), push)?)?;
    native.set("coderFlush", Function::new(ctx.clone(), flush)?)?;
    native.set("coderEnd", Function::new(ctx.clone(), end)?)?;
    native.set("coderDrop", Function::new(ctx, |id: u32| drop(CODERS.open.borrow_mut().remove(&id)))?)
}

/// Opens a coder and gives its id. `level` is that of the format (0 to 9, Brotli's quality 0 to 11), `window` the
/// base-two logarithm of Brotli's window (10 to 24), and `node` whether a decoder takes what follows its stream's end
/// as Node.js does.
fn start(
    ctx: Ctx<'_>,
    format: String,
    compresses: bool,
    level: Opt<Option<u32>>,
    window: Opt<Option<u32>>,
    node: Opt<bool>,
) -> Result<u32> {
    let level = level.0.flatten();
    let out = Vec::new();
    let deflate_level = level.map_or_else(Compression::default, |level| Compression::new(level.min(9)));
    let trailing = if node.0.unwrap_or(false) { TrailingBytes::PassOver } else { TrailingBytes::Refuse };
    let coder = match (format.as_str(), compresses) {
        ("gzip", true) => Coder::Gzip(GzEncoder::new(out, deflate_level)),
        ("deflate", true) => Coder::Zlib(ZlibEncoder::new(out, deflate_level)),
        ("deflate-raw", true) => Coder::Deflate(DeflateEncoder::new(out, deflate_level)),
        ("brotli", true) => Coder::Brotli(Box::new(brotli_writer(level, window.0.flatten()))),
        ("gzip", false) => Coder::Inflate(Inflate::new(Format::Gzip, trailing)),
        ("deflate", false) => Coder::Inflate(Inflate::new(Format::Zlib, trailing)),
        ("deflate-raw", false) => Coder::Inflate(Inflate::new(Format::Raw, trailing)),
        ("brotli", false) => Coder::Unbrotli(Box::new(Unbrotli::new(trailing))),
        _ => return Err(Exception::throw_type(&ctx, "unknown format")),
    };
    let id = CODERS.next.get();
    CODERS.next.set(id + 1);
    CODERS.open.borrow_mut().insert(id, coder);
    Ok(id)
}

/// Puts bytes in; gives what comes out. A coder that failed is closed.
fn push<'js>(ctx: Ctx<'js>, id: u32, bytes: TypedArray<'js, u8>) -> Result<TypedArray<'js, u8>> {
    // The array could be changed by JavaScript, but none runs before this is done.
    work(ctx, id, |coder| coder.push(bytes_in(&bytes)))
}

/// Gives all that can be made of what was put in, so that a reader of it so far has it all.
fn flush(ctx: Ctx<'_>, id: u32) -> Result<TypedArray<'_, u8>> {
    work(ctx, id, Coder::flush)
}

fn work<'js>(
    ctx: Ctx<'js>,
    id: u32,
    with: impl FnOnce(&mut Coder) -> std::result::Result<Vec<u8>, Failure>,
) -> Result<TypedArray<'js, u8>> {
    let mut open = CODERS.open.borrow_mut();
    let Some(coder) = open.get_mut(&id) else { return Err(over(&ctx)) };
    match with(coder) {
        Ok(out) => TypedArray::new(ctx, out),
        Err(why) => {
            open.remove(&id);
            Err(Exception::throw_type(&ctx, &why))
        }
    }
}

/// Ends the stream; gives what is left of it. A decoder whose stream is cut short fails, unless `partial` allows it.
fn end(ctx: Ctx<'_>, id: u32, partial: Opt<bool>) -> Result<TypedArray<'_, u8>> {
    let Some(coder) = CODERS.open.borrow_mut().remove(&id) else { return Err(over(&ctx)) };
    match coder.end(partial.0.unwrap_or(false)) {
        Ok(out) => TypedArray::new(ctx, out),
        Err(why) => Err(Exception::throw_type(&ctx, &why)),
    }
}

fn over(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    Exception::throw_type(ctx, "the stream is over")
}

impl Coder {
    fn push(&mut self, bytes: &[u8]) -> std::result::Result<Vec<u8>, Failure> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Zlib(encoder) => encoder.write_all(bytes),
            Self::Deflate(encoder) => encoder.write_all(bytes),
            Self::Brotli(encoder) => encoder.write_all(bytes),
            Self::Inflate(decoder) => return decoder.push(bytes),
            Self::Unbrotli(decoder) => return decoder.push(bytes),
        }
        .map_err(|_| CORRUPT)?;
        Ok(self.take())
    }

    fn flush(&mut self) -> std::result::Result<Vec<u8>, Failure> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zlib(encoder) => encoder.flush(),
            Self::Deflate(encoder) => encoder.flush(),
            Self::Brotli(encoder) => encoder.flush(),
            // What a decoder has it has given.
            Self::Inflate(_) | Self::Unbrotli(_) => Ok(()),
        }
        .map_err(|_| CORRUPT)?;
        Ok(self.take())
    }

    /// The output of an encoder so far.
    fn take(&mut self) -> Vec<u8> {
        match self {
            Self::Gzip(encoder) => std::mem::take(encoder.get_mut()),
            Self::Zlib(encoder) => std::mem::take(encoder.get_mut()),
            Self::Deflate(encoder) => std::mem::take(encoder.get_mut()),
            Self::Brotli(encoder) => std::mem::take(encoder.get_mut()),
            Self::Inflate(_) | Self::Unbrotli(_) => Vec::new(),
        }
    }

    fn end(self, partial: bool) -> std::result::Result<Vec<u8>, Failure> {
        match self {
            Self::Gzip(encoder) => encoder.finish().map_err(|_| CORRUPT),
            Self::Zlib(encoder) => encoder.finish().map_err(|_| CORRUPT),
            Self::Deflate(encoder) => encoder.finish().map_err(|_| CORRUPT),
            Self::Brotli(encoder) => Ok(encoder.into_inner()),
            Self::Inflate(decoder) if partial || decoder.is_over() => Ok(Vec::new()),
            Self::Unbrotli(decoder) if partial || decoder.is_over() => Ok(Vec::new()),
            Self::Inflate(_) | Self::Unbrotli(_) => Err(TRUNCATED),
        }
    }
}
