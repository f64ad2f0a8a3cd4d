//! A worker's heap while no turn runs: its difference to the image of its application, and the changes that turns made.

use super::format::{self, Kind};
use crate::error::Error;
use crate::memory::{ChangedPage, Difference, PAGE_BYTES, Page};
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
    /// `heap-mismatch`, if the change is of another application's heap; the heap is as before.
    pub fn apply(&mut self, change: &HeapChange) -> Result<(), Error> {
        self.origin.check(&change.origin)?;
        let pages = change.pages.iter().map(|(number, page)| (*number, page.clone()));
        Arc::make_mut(&mut self.difference).apply(change.len, pages);
        Ok(())
    }

    /// The heap as bytes, in version 1 of the format that `docs/reference/worker-heaps.md` describes. This takes a
    /// millisecond for some megabytes, and is not for threads that run futures.
    ///
    /// # Errors
    /// `internal`, if the pages cannot be compressed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let pages = self.difference.pages().iter().map(|(number, page)| (*number, Some(&**page)));
        format::write(Kind::Heap, &self.origin, self.difference.len(), pages)
    }

    /// Reads such bytes, of a memory of at most `memory_bytes_max` bytes, which also bounds what is allocated for them.
    /// This takes as long as [`Self::to_bytes`].
    ///
    /// # Errors
    /// `heap-damaged`, if the bytes are not as they were written; `heap-mismatch`, if they are of a later version;
    /// `out-of-memory`, if the memory is longer.
    pub fn from_bytes(bytes: &[u8], memory_bytes_max: u64) -> Result<Self, Error> {
        let format::Content { origin, len, pages } = format::read(Kind::Heap, bytes, memory_bytes_max)?;
        let pages = pages.into_iter().filter_map(|(number, page)| Some((number, page?))).collect();
        Ok(Self { origin: Arc::new(origin), difference: Arc::new(Difference::new(len, pages)) })
    }
}

/// The changes that turns made in a worker's heap, for a store: pages with their present content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeapChange {
    origin: Arc<HeapOrigin>,
    len: usize,
    pages: BTreeMap<u32, Option<Page>>,
}

impl HeapChange {
    /// None yet, of a memory with this length.
    pub(super) fn none(origin: &Arc<HeapOrigin>, len: usize) -> Self {
        Self { origin: Arc::clone(origin), len, pages: BTreeMap::new() }
    }

    /// Takes over what a turn changed.
    pub(super) fn extend(&mut self, len: usize, pages: Vec<ChangedPage>) {
        self.len = self.len.max(len);
        self.pages.extend(pages);
    }

    /// Bytes of the worker's memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.len as u64
    }

    /// The pages that changed, by number, in order; none in place of the content of one that has the image's again. Of
    /// [`WorkerHeap::PAGE_BYTES`] each.
    pub fn pages(&self) -> impl ExactSizeIterator<Item = (u32, Option<&[u8]>)> {
        self.pages.iter().map(|(number, page)| (*number, page.as_deref()))
    }

    /// Bytes of the pages' content. At most those of the memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.pages.values().flatten().count() * PAGE_BYTES) as u64
    }

    /// Takes over what later turns changed.
    ///
    /// # Errors
    /// `heap-mismatch`, if `later` is of another application's heap.
    pub fn merge(&mut self, later: Self) -> Result<(), Error> {
        self.origin.check(&later.origin)?;
        self.len = self.len.max(later.len);
        self.pages.extend(later.pages);
        Ok(())
    }

    /// The change as bytes; see [`WorkerHeap::to_bytes`].
    ///
    /// # Errors
    /// As of [`WorkerHeap::to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        format::write(Kind::Change, &self.origin, self.len, self.pages())
    }

    /// Reads such bytes; see [`WorkerHeap::from_bytes`].
    ///
    /// # Errors
    /// As of [`WorkerHeap::from_bytes`].
    pub fn from_bytes(bytes: &[u8], memory_bytes_max: u64) -> Result<Self, Error> {
        let format::Content { origin, len, pages } = format::read(Kind::Change, bytes, memory_bytes_max)?;
        Ok(Self { origin: Arc::new(origin), len, pages })
    }
}
