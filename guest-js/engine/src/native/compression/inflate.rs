//! Decompresses deflate and the formats around it. flate2's reader of gzip has one error for all faults, and accepts
//! only one kind of data after the end.

use super::{CHUNK_BYTES, CORRUPT, Failure, TRAILING, TrailingBytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::borrow::Cow;

type Outcome<T> = Result<T, Failure>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zlib,
    Raw,
}

enum Stage {
    /// The part of a header that is there.
    Header(Vec<u8>),
    Body,
    /// The part of gzip's checksum and length that is there.
    Trailer(Vec<u8>),
    /// The stream, or a member of it, is whole.
    Over,
    /// The following bytes are skipped.
    Ignored,
}

pub(super) struct Inflate {
    format: Format,
    trailing: TrailingBytes,
    stage: Stage,
    inflate: Decompress,
    crc: Crc,
}

impl Inflate {
    pub(super) fn new(format: Format, trailing: TrailingBytes) -> Self {
        let stage = if format == Format::Raw { Stage::Body } else { Stage::Header(Vec::new()) };
        Self { format, trailing, stage, inflate: Decompress::new(format == Format::Zlib), crc: Crc::new() }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over | Stage::Ignored)
    }

    /// Adds input, and returns the output that is ready.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Outcome<Vec<u8>> {
        let mut out = Vec::new();
        let mut bytes = Cow::Borrowed(bytes);
        while !bytes.is_empty() {
            bytes = match std::mem::replace(&mut self.stage, Stage::Ignored) {
                Stage::Header(begun) => self.header(begun, &bytes)?,
                Stage::Body => {
                    let read = self.body(&bytes, &mut out)?;
                    bytes[read..].to_vec().into()
                }
                Stage::Trailer(begun) => self.trailer(begun, &bytes)?,
                Stage::Over => self.after(bytes)?,
                Stage::Ignored => break,
            };
        }
        Ok(out)
    }

    /// Gives what follows the header; nothing as long as it is not whole.
    fn header(&mut self, mut begun: Vec<u8>, bytes: &[u8]) -> Outcome<Cow<'static, [u8]>> {
        begun.extend_from_slice(bytes);
        let length = match self.format {
            Format::Gzip => gzip_header(&begun)?,
            Format::Zlib => zlib_header(&begun)?,
            Format::Raw => Some(0),
        };
        Ok(match length {
            None => {
                self.stage = Stage::Header(begun);
                Cow::Borrowed(&[])
            }
            Some(length) => {
                self.stage = Stage::Body;
                begun.split_off(length).into()
            }
        })
    }

    /// Gives how much of the bytes was of the body.
    fn body(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Outcome<usize> {
        let mut at = 0;
        let begin = out.len();
        self.stage = loop {
            out.reserve(CHUNK_BYTES);
            let (read, written) = (self.inflate.total_in(), out.len());
            let status = self.inflate.decompress_vec(&bytes[at..], out, FlushDecompress::None).map_err(|_| CORRUPT)?;
            let read = (self.inflate.total_in() - read) as usize;
            at += read;
            match status {
                Status::StreamEnd if self.format == Format::Gzip => break Stage::Trailer(Vec::new()),
                Status::StreamEnd => break Stage::Over,
                // Room for more was there, and nothing came: it waits for more.
                _ if at == bytes.len() && out.len() < out.capacity() => break Stage::Body,
                Status::BufError if read == 0 && out.len() == written => break Stage::Body,
                _ => {}
            }
        };
        if self.format == Format::Gzip {
            self.crc.update(&out[begin..]);
        }
        // A decoder that takes no more and is not over would be given the same bytes for ever.
        Ok(if matches!(self.stage, Stage::Body) { bytes.len() } else { at })
    }

    fn trailer(&mut self, mut begun: Vec<u8>, bytes: &[u8]) -> Outcome<Cow<'static, [u8]>> {
        let taken = bytes.len().min(8 - begun.len());
        begun.extend_from_slice(&bytes[..taken]);
        if begun.len() < 8 {
            self.stage = Stage::Trailer(begun);
        } else {
            let word = |at: usize| u32::from_le_bytes([begun[at], begun[at + 1], begun[at + 2], begun[at + 3]]);
            if word(0) != self.crc.sum() {
                return Err("incorrect data check".into());
            }
            if word(4) != self.crc.amount() {
                return Err("incorrect length check".into());
            }
            self.stage = Stage::Over;
        }
        Ok(bytes[taken..].to_vec().into())
    }

    /// The treatment of bytes that follow the end.
    fn after<'a>(&mut self, bytes: Cow<'a, [u8]>) -> Outcome<Cow<'a, [u8]>> {
        match self.trailing {
            TrailingBytes::Refuse => Err(TRAILING),
            // Members may be padded with zeros, as on tapes.
            TrailingBytes::PassOver if self.format == Format::Gzip && bytes[0] != 0 => {
                self.stage = Stage::Header(Vec::new());
                self.inflate.reset(false);
                self.crc.reset();
                Ok(bytes)
            }
            TrailingBytes::PassOver => {
                self.stage = Stage::Ignored;
                Ok(bytes)
            }
        }
    }
}

const NO_HEADER: Failure = Cow::Borrowed("incorrect header check");
const OTHER_METHOD: Failure = Cow::Borrowed("unknown compression method");

/// The length of zlib's header, which is left to the decoder (RFC 1950, 2.2); nothing if it is not whole.
fn zlib_header(bytes: &[u8]) -> Outcome<Option<usize>> {
    let [method, flags, ..] = bytes else { return Ok(None) };
    if (u16::from(*method) << 8 | u16::from(*flags)) % 31 != 0 {
        return Err(NO_HEADER);
    }
    if method & 0x0f != 8 {
        return Err(OTHER_METHOD);
    }
    Ok(Some(0))
}

const HEADER_CHECKSUM: u8 = 2;
const EXTRA_FIELD: u8 = 4;
const NAME: u8 = 8;
const COMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

/// The length of a member's header (RFC 1952, 2.3); nothing if it is not whole.
fn gzip_header(bytes: &[u8]) -> Outcome<Option<usize>> {
    if bytes.iter().zip([0x1f, 0x8b]).any(|(byte, magic)| *byte != magic) {
        return Err(NO_HEADER);
    }
    if bytes.get(2).is_some_and(|method| *method != 8) {
        return Err(OTHER_METHOD);
    }
    let Some(&flags) = bytes.get(3) else { return Ok(None) };
    if flags & RESERVED != 0 {
        return Err("unknown header flags set".into());
    }
    let mut at = 10;
    if flags & EXTRA_FIELD != 0 {
        let Some(length) = bytes.get(at..at + 2) else { return Ok(None) };
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for flag in [NAME, COMMENT] {
        if flags & flag != 0 {
            let Some(end) = bytes.get(at..).and_then(|text| text.iter().position(|byte| *byte == 0)) else {
                return Ok(None);
            };
            at += end + 1;
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        let Some(sum) = bytes.get(at..at + 2) else { return Ok(None) };
        let mut crc = Crc::new();
        crc.update(&bytes[..at]);
        if crc.sum().to_le_bytes()[..2] != *sum {
            return Err("header crc mismatch".into());
        }
        at += 2;
    }
    Ok((bytes.len() >= at).then_some(at))
}
