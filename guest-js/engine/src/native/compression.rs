//! `CompressionStream`, `DecompressionStream` and node:zlib: gzip (RFC 1952), zlib (RFC 1950) and deflate (RFC 1951).
//!
//! It runs in the guest, so that what a bomb unpacks into is the guest's own memory, and the work is its own fuel. Brotli is
//! not there: its dictionary and tables would add a megabyte to every image.

use flate2::write::{DeflateEncoder, GzDecoder, GzEncoder, ZlibEncoder};
use flate2::{Compression, Decompress, FlushDecompress, Status};
use javy::quickjs::{Ctx, Exception, Function, Object, Result, TypedArray};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::Write;

/// Bytes that decompressing makes room for at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Compresses or decompresses one stream.
enum Coder {
    Gzip(GzEncoder<Vec<u8>>),
    Zlib(ZlibEncoder<Vec<u8>>),
    Deflate(DeflateEncoder<Vec<u8>>),
    Gunzip(GzDecoder<Vec<u8>>),
    /// With whether its end was seen.
    Inflate(Decompress, bool),
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
    native.set("coderEnd", Function::new(ctx.clone(), end)?)?;
    native.set("coderDrop", Function::new(ctx, |id: u32| drop(CODERS.open.borrow_mut().remove(&id)))?)
}

/// Opens a coder and gives its id.
fn start(ctx: Ctx<'_>, format: String, compresses: bool) -> Result<u32> {
    let (out, level) = (Vec::new(), Compression::default());
    let coder = match (format.as_str(), compresses) {
        ("gzip", true) => Coder::Gzip(GzEncoder::new(out, level)),
        ("deflate", true) => Coder::Zlib(ZlibEncoder::new(out, level)),
        ("deflate-raw", true) => Coder::Deflate(DeflateEncoder::new(out, level)),
        ("gzip", false) => Coder::Gunzip(GzDecoder::new(out)),
        ("deflate", false) => Coder::Inflate(Decompress::new(true), false),
        ("deflate-raw", false) => Coder::Inflate(Decompress::new(false), false),
        _ => return Err(Exception::throw_type(&ctx, "there is no such format")),
    };
    let id = CODERS.next.get();
    CODERS.next.set(id + 1);
    CODERS.open.borrow_mut().insert(id, coder);
    Ok(id)
}

/// Puts bytes in; gives what comes out. A coder that failed is closed.
fn push<'js>(ctx: Ctx<'js>, id: u32, bytes: TypedArray<'js, u8>) -> Result<TypedArray<'js, u8>> {
    // The array could be changed by JavaScript, but none runs before this is done.
    let bytes = bytes.as_bytes().unwrap_or_default();
    let mut open = CODERS.open.borrow_mut();
    let Some(coder) = open.get_mut(&id) else { return Err(over(&ctx)) };
    match coder.push(bytes) {
        Ok(out) => TypedArray::new(ctx, out),
        Err(why) => {
            open.remove(&id);
            Err(Exception::throw_type(&ctx, why))
        }
    }
}

/// Ends the stream; gives what is left of it.
fn end(ctx: Ctx<'_>, id: u32) -> Result<TypedArray<'_, u8>> {
    let Some(coder) = CODERS.open.borrow_mut().remove(&id) else { return Err(over(&ctx)) };
    match coder.end() {
        Ok(out) => TypedArray::new(ctx, out),
        Err(why) => Err(Exception::throw_type(&ctx, why)),
    }
}

fn over(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    Exception::throw_type(ctx, "the stream is over")
}

const CORRUPT: &str = "the compressed data is not valid";
const TRAILING: &str = "something follows the end of the compressed data";
const TRUNCATED: &str = "the compressed data ends too early";

impl Coder {
    fn push(&mut self, bytes: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
        match self {
            Self::Gzip(encoder) => {
                encoder.write_all(bytes).map_err(|_| CORRUPT)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Zlib(encoder) => {
                encoder.write_all(bytes).map_err(|_| CORRUPT)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Deflate(encoder) => {
                encoder.write_all(bytes).map_err(|_| CORRUPT)?;
                Ok(std::mem::take(encoder.get_mut()))
            }
            Self::Gunzip(decoder) => {
                write_up_to_end(decoder, bytes)?;
                decoder.flush().map_err(|_| CORRUPT)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Self::Inflate(inflate, ended) => pump(inflate, ended, bytes),
        }
    }

    fn end(self) -> std::result::Result<Vec<u8>, &'static str> {
        match self {
            Self::Gzip(encoder) => encoder.finish().map_err(|_| CORRUPT),
            Self::Zlib(encoder) => encoder.finish().map_err(|_| CORRUPT),
            Self::Deflate(encoder) => encoder.finish().map_err(|_| CORRUPT),
            Self::Gunzip(mut decoder) => {
                // The crate has one error for too few bytes and for a wrong sum. A whole stream takes no byte more.
                if matches!(decoder.write(&[0]), Ok(0)) {
                    decoder.finish().map_err(|_| CORRUPT)
                } else {
                    Err(TRUNCATED)
                }
            }
            Self::Inflate(_, ended) => {
                if ended {
                    Ok(Vec::new())
                } else {
                    Err(TRUNCATED)
                }
            }
        }
    }
}

/// Writes all of it to a decoder, which takes nothing past its stream's end.
fn write_up_to_end(decoder: &mut impl Write, mut bytes: &[u8]) -> std::result::Result<(), &'static str> {
    while !bytes.is_empty() {
        match decoder.write(bytes) {
            Ok(0) => return Err(TRAILING),
            Ok(written) => bytes = &bytes[written..],
            Err(_) => return Err(CORRUPT),
        }
    }
    Ok(())
}

fn pump(inflate: &mut Decompress, ended: &mut bool, mut bytes: &[u8]) -> std::result::Result<Vec<u8>, &'static str> {
    let mut out = Vec::new();
    loop {
        if *ended {
            return if bytes.is_empty() { Ok(out) } else { Err(TRAILING) };
        }
        out.reserve(CHUNK_BYTES);
        let (read, written) = (inflate.total_in(), out.len());
        let status = inflate.decompress_vec(bytes, &mut out, FlushDecompress::None).map_err(|_| CORRUPT)?;
        let read = (inflate.total_in() - read) as usize;
        bytes = &bytes[read..];
        match status {
            Status::StreamEnd => *ended = true,
            // Room for more was there, and nothing came: it waits for more.
            _ if bytes.is_empty() && out.len() < out.capacity() => return Ok(out),
            Status::BufError if read == 0 && out.len() == written => return Ok(out),
            _ => {}
        }
    }
}
