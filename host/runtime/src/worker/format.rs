//! Heaps and changes of heaps as bytes. docs/reference/worker-heaps.md describes the format.
//!
//! Bytes are checked before they are used: first the checksum over all of them, then each field; nothing is allocated
//! for a number that was not compared with its bound.

use super::compression;
use super::heap::{HeapOrigin, PageChange};
use crate::error::Error;
use crate::memory::PAGE_BYTES;
use elias_contract::ErrorCode;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const MAGIC: [u8; 8] = *b"\x89ELHEAP\n";
/// The version of what has no differences, and the last one.
const VERSION_PLAIN: u16 = 1;
const VERSION: u16 = 2;
const CHECKSUM_BYTES: usize = 32;
/// Digits of a SHA-256 in hexadecimal.
const DIGEST_BYTES: usize = 64;
/// Bytes of a unit in which WebAssembly measures memories.
const MEMORY_UNIT_BYTES: u64 = 64 << 10;
/// Bytes of the longest memory that there is.
const MEMORY_BYTES_MAX: u64 = 4 << 30;
/// In a page's number: the page has the image's content again. Numbers of pages are far below it.
const IS_INITIAL: u32 = 1 << 31;
/// In a page's number: the content is the difference to what the page was before the change.
const IS_DIFFERENCE: u32 = 1 << 30;

/// The content of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole heap.
    Heap = 0,
    /// A change of a heap.
    Change = 1,
}

/// A heap or a change, as it was read.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) origin: HeapOrigin,
    pub(super) len: usize,
    pub(super) pages: BTreeMap<u32, PageChange>,
}

/// Writes pages, which are in the order of their numbers.
///
/// # Errors
/// `internal`, if they cannot be compressed.
pub(super) fn write(
    kind: Kind,
    origin: &HeapOrigin,
    len: usize,
    pages: impl Iterator<Item = (u32, PageChange)>,
) -> Result<Vec<u8>, Error> {
    let (mut numbers, mut content, mut version) = (Vec::new(), Vec::new(), VERSION_PLAIN);
    for (number, page) in pages {
        let flag = match page {
            PageChange::Initial => IS_INITIAL,
            PageChange::Content(page) => {
                content.extend_from_slice(&page);
                0
            }
            PageChange::Since { before, content: page } => {
                content.extend(before.iter().zip(page.iter()).map(|(before, now)| before ^ now));
                IS_DIFFERENCE
            }
            PageChange::Difference(difference) => {
                content.extend_from_slice(&difference);
                IS_DIFFERENCE
            }
        };
        if flag == IS_DIFFERENCE {
            version = VERSION;
        }
        numbers.push(number | flag);
    }
    let content = compression::compress(&content).map_err(|error| {
        Error::new(ErrorCode::Internal, format!("the pages of a worker's heap cannot be compressed: {error}"))
    })?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend((kind as u16).to_le_bytes());
    for digest in [&origin.component, &origin.engine, &origin.image] {
        bytes.extend_from_slice(digest.as_bytes());
    }
    bytes.extend((len as u64).to_le_bytes());
    bytes.extend((numbers.len() as u32).to_le_bytes());
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend((content.len() as u64).to_le_bytes());
    bytes.extend(content);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    Ok(bytes)
}

/// The header of the output of [`write()`]: what it belongs to. Its pages are read after it.
pub(super) struct Header<'a> {
    pub(super) origin: HeapOrigin,
    kind: Kind,
    version: u16,
    rest: Reader<'a>,
}

/// Reads the header of the output of [`write()`], whose checksum is right then. No page is decompressed.
///
/// # Errors
/// `heap-damaged`, `heap-mismatch` for a later version.
pub(super) fn read_header(kind: Kind, bytes: &[u8]) -> Result<Header<'_>, Error> {
    if !bytes.starts_with(&MAGIC) {
        return Err(damaged("they do not begin as one"));
    }
    let end = bytes.len().saturating_sub(CHECKSUM_BYTES);
    let (body, checksum) = bytes.split_at(end);
    if Sha256::digest(body)[..] != *checksum {
        return Err(damaged("their checksum differs: they were altered or cut short"));
    }
    let mut rest = Reader(body.get(MAGIC.len()..).unwrap_or_default());
    let version = u16::from_le_bytes(rest.array()?);
    if !(VERSION_PLAIN..=VERSION).contains(&version) {
        let message = format!(
            "the worker's heap is in version {version} of its format, and this host reads versions to {VERSION}: use \
             the release that wrote it, or a later one"
        );
        return Err(Error::new(ErrorCode::HeapMismatch, message));
    }
    if u16::from_le_bytes(rest.array()?) != kind as u16 {
        return Err(damaged("a heap was expected and a change is there, or the other way round"));
    }
    let origin = HeapOrigin { component: rest.digest()?, engine: rest.digest()?, image: rest.digest()? };
    Ok(Header { origin, kind, version, rest })
}

impl Header<'_> {
    /// Reads what follows, for a memory of at most `memory_bytes_max` bytes.
    ///
    /// # Errors
    /// `heap-damaged`, `out-of-memory` for a longer memory.
    pub(super) fn read_pages(self, memory_bytes_max: u64) -> Result<Content, Error> {
        let Self { origin, kind, version, mut rest } = self;
        let len = u64::from_le_bytes(rest.array()?);
        if len > memory_bytes_max {
            let message = format!("the worker's memory has {len} bytes; at most {memory_bytes_max} are allowed");
            return Err(Error::new(ErrorCode::OutOfMemory, message));
        }
        if len > MEMORY_BYTES_MAX || !len.is_multiple_of(MEMORY_UNIT_BYTES) {
            return Err(damaged("no memory has this length"));
        }
        let len = usize::try_from(len).map_err(|_| damaged("no memory has this length"))?;
        let flags = match (kind, version) {
            (Kind::Heap, _) => 0,
            (Kind::Change, VERSION_PLAIN) => IS_INITIAL,
            (Kind::Change, _) => IS_INITIAL | IS_DIFFERENCE,
        };
        let numbers = rest.numbers(flags, len / PAGE_BYTES)?;
        let compressed = u64::from_le_bytes(rest.array()?);
        if compressed != rest.0.len() as u64 {
            return Err(damaged("the pages do not end where they have to"));
        }
        let with_content = numbers.iter().filter(|number| *number & IS_INITIAL == 0).count();
        let content = compression::decompress(rest.0, with_content * PAGE_BYTES)
            .map_err(|error| damaged(format!("the pages cannot be decompressed: {error}")))?;
        if content.len() != with_content * PAGE_BYTES {
            return Err(damaged("pages are missing"));
        }
        let mut content = content.chunks_exact(PAGE_BYTES);
        let pages = numbers.into_iter().map(|number| {
            let page = if number & IS_INITIAL == 0 { content.next() } else { None };
            let page = match page {
                None => PageChange::Initial,
                Some(page) if number & IS_DIFFERENCE == 0 => PageChange::Content(page.into()),
                Some(page) => PageChange::Difference(page.into()),
            };
            (number & !flags, page)
        });
        Ok(Content { origin, len, pages: pages.collect() })
    }
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::HeapDamaged, format!("the bytes are not a worker's heap: {reason}"))
}

/// What was not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or_else(|| damaged("they are too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| damaged("they are too short"))
    }

    fn digest(&mut self) -> Result<String, Error> {
        let digits = self.take(DIGEST_BYTES)?;
        if !digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(damaged("a digest is not hexadecimal"));
        }
        String::from_utf8(digits.to_vec()).map_err(|_| damaged("a digest is not hexadecimal"))
    }

    /// The numbers of pages, of a memory with so many: each is larger than the one before, and has one of the flags at
    /// most.
    fn numbers(&mut self, flags: u32, pages: usize) -> Result<Vec<u32>, Error> {
        let count = u32::from_le_bytes(self.array()?) as usize;
        if count > pages {
            return Err(damaged("they have more pages than the memory"));
        }
        let numbers = self.take(count * size_of::<u32>())?.as_chunks::<4>().0;
        let numbers: Vec<u32> = numbers.iter().map(|number| u32::from_le_bytes(*number)).collect();
        let mut beyond = 0;
        for number in &numbers {
            let plain = number & !flags;
            if plain < beyond || plain as usize >= pages || (number & flags).count_ones() > 1 {
                return Err(damaged("the pages are not in order, or not of the memory"));
            }
            beyond = plain + 1;
        }
        Ok(numbers)
    }
}
