//! A worker's heap while no turn runs: its difference to the image of its application, and the changes that turns made.

use super::format::{self, Kind};
use crate::error::Error;
use crate::memory::{Difference, PAGE_BYTES, Page};
use crate::recycling::KeptPage;
use elias_contract::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The component, engine and image that a heap belongs to, each by its SHA-256 in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeapOrigin {
    /// The component's file, for people: the bundled and the thin form of a component have the same heaps.
    pub(crate) component: String,
    /// The engine, whose addresses are in the heap.
    pub(crate) engine: String,
    /// The image, which the heap is the difference to.
    pub(crate) image: String,
}

impl HeapOrigin {
    /// Refuses a heap that belongs to something else.
    ///
    /// # Errors
    /// `heap-mismatch`.
    pub(super) fn check(&self, other: &Self) -> Result<(), Error> {
        let differs = [("engine", &self.engine, &other.engine), ("image", &self.image, &other.image)];
        let Some((what, own, others)) = differs.into_iter().find(|(_, own, others)| own != others) else {
            return Ok(());
        };
        let message = format!(
            "the worker's heap belongs to the component {} with the {what} {others}; this one has the {what} {own}",
            other.component
        );
        Err(Error::new(ErrorCode::HeapMismatch, message))
    }
}

/// The properties that the heaps of a component's workers share.
#[derive(Debug, Clone)]
pub(crate) struct HeapLayout {
    pub(crate) origin: Arc<HeapOrigin>,
    /// Bytes at the beginning of a memory that hold nothing between turns: the engine's stack.
    pub(crate) stack_bytes: usize,
}

/// The heap of a worker: the length of its memory, and the pages in which it differs from the image of the application.
/// Cloning it copies no page.
///
/// A page that equals the image's is not part of the heap, nor is one beyond the image that has only zeros, nor the
/// engine's stack, on which nothing is between turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerHeap {
    pub(super) origin: Arc<HeapOrigin>,
    pub(super) difference: Arc<Difference>,
}

impl WorkerHeap {
    /// Bytes of a page. The page of number `n` begins at the address `n * PAGE_BYTES`.
    pub const PAGE_BYTES: usize = PAGE_BYTES;

    /// SHA-256 of the component in which the worker ran, in hexadecimal.
    #[must_use]
    pub fn component(&self) -> &str {
        &self.origin.component
    }

    /// SHA-256 of the engine that the heap belongs to, in hexadecimal.
    #[must_use]
    pub fn engine(&self) -> &str {
        &self.origin.engine
    }

    /// SHA-256 of the image that the heap is the difference to, in hexadecimal.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.origin.image
    }

    /// Bytes of the worker's memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.difference.len() as u64
    }

    /// The pages, by number, in order.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = (u32, &[u8])> {
        self.difference.pages().iter().map(|(number, page)| (*number, &**page))
    }

    /// Bytes of the pages' content.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.difference.pages().len() * PAGE_BYTES) as u64
    }

    /// Takes over what turns changed since this heap.
    ///
    /// # Errors
    /// `heap-mismatch`, if the change is of another application's heap; `heap-damaged`, if it is one of another heap
    /// than this. The heap is as before.
    pub fn apply(&mut self, change: &HeapChange) -> Result<(), Error> {
        self.origin.check(&change.origin)?;
        let pages: Vec<(u32, Option<Page>)> = change
            .pages
            .iter()
            .map(|(number, page)| {
                let content = match page {
                    PageChange::Initial => None,
                    PageChange::Content(content) | PageChange::Since { content, .. } => Some(content.clone()),
                    PageChange::Difference(difference) => {
                        let before = self.difference.pages().get(number).ok_or_else(not_of_this_heap)?;
                        Some(exclusive_or(before, difference))
                    }
                };
                Ok((*number, content))
            })
            .collect::<Result<_, Error>>()?;
        Arc::make_mut(&mut self.difference).apply(change.len, pages);
        Ok(())
    }

    /// The heap as bytes, in version 1 of the format that `docs/reference/worker-heaps.md` describes. This takes a
    /// millisecond for some megabytes, and is not for threads that run futures.
    ///
    /// # Errors
    /// `internal`, if the pages cannot be compressed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let pages = self.difference.pages().iter().map(|(number, page)| (*number, PageChange::Content(page.clone())));
        format::write(Kind::Heap, &self.origin, self.difference.len(), pages)
    }

    /// Reads such bytes, of a memory of at most `memory_bytes_max` bytes, which also bounds what is allocated for them.
    /// This takes as long as [`Self::to_bytes`].
    ///
    /// # Errors
    /// `heap-damaged`, if the bytes are not as they were written; `heap-mismatch`, if they are of a later version;
    /// `out-of-memory`, if the memory is longer.
    pub fn from_bytes(bytes: &[u8], memory_bytes_max: u64) -> Result<Self, Error> {
        Self::from_header(format::read_header(Kind::Heap, bytes)?, memory_bytes_max)
    }

    /// The same for a heap that belongs to `origin`. Pages of another one are not decompressed.
    ///
    /// # Errors
    /// As of [`Self::from_bytes`]; `heap-mismatch` for a heap that belongs to something else.
    pub(crate) fn from_bytes_of(origin: &HeapOrigin, bytes: &[u8], memory_bytes_max: u64) -> Result<Self, Error> {
        let header = format::read_header(Kind::Heap, bytes)?;
        origin.check(&header.origin)?;
        Self::from_header(header, memory_bytes_max)
    }

    fn from_header(header: format::Header<'_>, memory_bytes_max: u64) -> Result<Self, Error> {
        let format::Content { origin, len, pages } = header.read_pages(memory_bytes_max)?;
        // A heap has no other.
        let content =
            |(number, page)| if let PageChange::Content(content) = page { Some((number, content)) } else { None };
        let pages = pages.into_iter().filter_map(content).collect();
        Ok(Self { origin: Arc::new(origin), difference: Arc::new(Difference::new(len, pages)) })
    }

    /// The [component](Self::component) of a heap as bytes, whose pages are not decompressed.
    ///
    /// # Errors
    /// `heap-damaged`, if the bytes were altered, cut short or are no heap; `heap-mismatch`, if they are in a later
    /// version of the format.
    pub fn component_of(bytes: &[u8]) -> Result<String, Error> {
        Ok(format::read_header(Kind::Heap, bytes)?.origin.component)
    }

    /// Refuses a heap as bytes that belongs to something else than `origin`, likewise.
    ///
    /// # Errors
    /// As of [`Self::component_of`]; `heap-mismatch` for a heap that belongs to something else.
    pub(crate) fn check_origin(origin: &HeapOrigin, bytes: &[u8]) -> Result<(), Error> {
        origin.check(&format::read_header(Kind::Heap, bytes)?.origin)
    }
}

/// What became of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PageChange {
    /// It has the image's content again.
    Initial,
    /// It has this content.
    Content(Page),
    /// It has this content, and had another one as of the last commit.
    Since { before: Page, content: Page },
    /// It has the content of then, combined with this by exclusive or: as it is written down and read. What a turn
    /// changes of a page is some bytes of it; all others are zeros, of which hardly anything is left by compression.
    Difference(Page),
}

impl PageChange {
    /// This, and then a later change.
    ///
    /// # Errors
    /// `heap-damaged`, if that does not follow this.
    fn then(&self, later: Self) -> Result<Self, Error> {
        Ok(match (self, later) {
            (Self::Since { before, .. }, Self::Since { content, .. }) => {
                Self::Since { before: before.clone(), content }
            }
            (_, Self::Since { content, .. }) => Self::Content(content),
            (Self::Content(content), Self::Difference(later)) => Self::Content(exclusive_or(content, &later)),
            (Self::Since { before, content }, Self::Difference(later)) => {
                Self::Since { before: before.clone(), content: exclusive_or(content, &later) }
            }
            (Self::Difference(difference), Self::Difference(later)) => {
                Self::Difference(exclusive_or(difference, &later))
            }
            (Self::Initial, Self::Difference(_)) => return Err(not_of_this_heap()),
            (_, later) => later,
        })
    }
}

/// Two pages, combined by exclusive or.
fn exclusive_or(one: &[u8], other: &[u8]) -> Page {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

fn not_of_this_heap() -> Error {
    let message = "the change of a worker's heap is not one of the heap that it is applied to";
    Error::new(ErrorCode::HeapDamaged, message.to_owned())
}

/// The changes that turns made in a worker's heap since its last commit, for a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapChange {
    origin: Arc<HeapOrigin>,
    len: usize,
    pages: BTreeMap<u32, PageChange>,
}

impl HeapChange {
    /// None yet, of a memory with this length.
    pub(super) fn none(origin: &Arc<HeapOrigin>, len: usize) -> Self {
        Self { origin: Arc::clone(origin), len, pages: BTreeMap::new() }
    }

    /// Takes over what a turn changed.
    pub(super) fn extend(&mut self, len: usize, pages: Vec<KeptPage>) {
        self.len = self.len.max(len);
        for KeptPage { number, before, content } in pages {
            let change = match (before, content) {
                (_, None) => PageChange::Initial,
                (None, Some(content)) => PageChange::Content(content),
                (Some(before), Some(content)) => PageChange::Since { before, content },
            };
            // What a turn changed has its content, and follows anything.
            drop(self.add(number, change));
        }
    }

    fn add(&mut self, number: u32, change: PageChange) -> Result<(), Error> {
        let change = match self.pages.get(&number) {
            Some(earlier) => earlier.then(change)?,
            None => change,
        };
        self.pages.insert(number, change);
        Ok(())
    }

    /// Bytes of the worker's memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.len as u64
    }

    /// The numbers of the pages that changed, in order, of [`WorkerHeap::PAGE_BYTES`] each.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = u32> {
        self.pages.keys().copied()
    }

    /// Bytes of the pages' content, but for those that have the image's again. At most those of the memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.pages.values().filter(|page| **page != PageChange::Initial).count() * PAGE_BYTES) as u64
    }

    /// Takes over what turns changed that came after this.
    ///
    /// # Errors
    /// `heap-mismatch`, if `later` is of another application's heap; `heap-damaged`, if it is one of another heap than
    /// this has led to. This is of no use then.
    pub fn merge(&mut self, later: Self) -> Result<(), Error> {
        self.origin.check(&later.origin)?;
        self.len = self.len.max(later.len);
        later.pages.into_iter().try_for_each(|(number, page)| self.add(number, page))
    }

    /// The change as bytes; see [`WorkerHeap::to_bytes`].
    ///
    /// # Errors
    /// As of [`WorkerHeap::to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let pages = self.pages.iter().map(|(number, page)| (*number, page.clone()));
        format::write(Kind::Change, &self.origin, self.len, pages)
    }

    /// Reads such bytes; see [`WorkerHeap::from_bytes`].
    ///
    /// # Errors
    /// As of [`WorkerHeap::from_bytes`].
    pub fn from_bytes(bytes: &[u8], memory_bytes_max: u64) -> Result<Self, Error> {
        let format::Content { origin, len, pages } =
            format::read_header(Kind::Change, bytes)?.read_pages(memory_bytes_max)?;
        Ok(Self { origin: Arc::new(origin), len, pages })
    }
}
