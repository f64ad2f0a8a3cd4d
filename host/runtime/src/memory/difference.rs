//! The difference of a memory to the image that it began with: its length, and the pages that are not the image's.
//!
//! Whether a page was written to is asked of the system; whether it differs is seen by comparing it with what it was
//! before. A page that has the image's bytes, or zeros beyond the image, is not part of the difference.

use super::Slot;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes of a page of a difference, on every system: the smallest page that systems have.
pub(crate) const PAGE_BYTES: usize = 4096;

/// The content of a page, [`PAGE_BYTES`] long. Differences that share a page share its bytes.
pub(crate) type Page = Arc<[u8]>;

/// A page that is not as it was: its number, and its content; none if that is the image's again.
pub(crate) type ChangedPage = (u32, Option<Page>);

/// What a memory has that its image does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    len: usize,
    pages: BTreeMap<u32, Page>,
}

impl Difference {
    /// Of a memory with this length. Pages that lie beyond it are left out.
    pub(crate) fn new(len: usize, pages: BTreeMap<u32, Page>) -> Self {
        let mut difference = Self { len, pages };
        difference.pages.retain(|&number, page| is_within(number, len) && page.len() == PAGE_BYTES);
        difference
    }

    /// Bytes of the memory.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The pages that differ, by number.
    pub(crate) fn pages(&self) -> &BTreeMap<u32, Page> {
        &self.pages
    }

    /// Puts pages into it that changed, of a memory that is `len` bytes long by now.
    pub(crate) fn apply(&mut self, len: usize, changes: impl IntoIterator<Item = ChangedPage>) {
        self.len = self.len.max(len);
        for (number, page) in changes {
            match page {
                Some(page) if is_within(number, self.len) && page.len() == PAGE_BYTES => {
                    self.pages.insert(number, page);
                }
                Some(_) => {}
                None => {
                    self.pages.remove(&number);
                }
            }
        }
    }
}

/// Whether a memory of this length has the page.
fn is_within(number: u32, len: usize) -> bool {
    (number as usize) < len / PAGE_BYTES
}

impl Slot {
    /// Makes the memory, which is the image's and has the difference's length, what the difference says.
    ///
    /// # Safety
    /// No guest runs in this memory, and nobody has a reference into it.
    pub(crate) unsafe fn restore(&self, difference: &Difference) {
        debug_assert_eq!(self.len(), difference.len);
        // SAFETY: by the caller's word.
        let memory = unsafe { self.bytes_mut() };
        for (&number, page) in &difference.pages {
            let at = number as usize * PAGE_BYTES;
            if let Some(place) = memory.get_mut(at..at + PAGE_BYTES) {
                place.copy_from_slice(page);
            }
        }
    }

    /// The pages whose bytes are not those of `known`, with what they are now. Those that lie below `from` are passed
    /// over.
    ///
    /// # Safety
    /// As for [`Self::restore`].
    pub(crate) unsafe fn changes(&self, from: usize, known: &Difference) -> Vec<ChangedPage> {
        // SAFETY: by the caller's word.
        let memory: &[u8] = unsafe { self.bytes_mut() };
        let mut changed = Vec::new();
        for (number, at) in self.own_pages(from) {
            let page = &memory[at..at + PAGE_BYTES];
            let former = known.pages.get(&number);
            if former.is_some_and(|former| **former == *page) {
                continue;
            }
            match (self.is_initial(at, page), former) {
                (true, None) => {}
                (true, Some(_)) => changed.push((number, None)),
                (false, _) => changed.push((number, Some(Page::from(page)))),
            }
        }
        changed
    }

    /// Puts the bytes of `known` back wherever the memory has others, but for pages that lie below `from`. False, and
    /// nothing is done, if the memory grew since: that cannot be taken back.
    ///
    /// # Safety
    /// As for [`Self::restore`].
    pub(crate) unsafe fn undo(&self, from: usize, known: &Difference) -> bool {
        if self.len() != known.len {
            return false;
        }
        let own = self.own_pages(from);
        // SAFETY: by the caller's word.
        let memory = unsafe { self.bytes_mut() };
        for (number, at) in own {
            let page = &mut memory[at..at + PAGE_BYTES];
            match known.pages.get(&number) {
                // To compare first: a copy makes a page that is the same dirty for the processor's caches.
                Some(former) if **former == *page => {}
                Some(former) => page.copy_from_slice(former),
                None if self.is_initial(at, page) => {}
                None => self.fill_initial(at, page),
            }
        }
        true
    }
}
