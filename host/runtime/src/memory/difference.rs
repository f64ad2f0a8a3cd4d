//! The difference of a memory to the image that it began with: its length, and the pages that differ from the image.
//!
//! Whether a page was written to is asked of the system; whether it differs is seen by comparing it with what it was
//! before. A page that has the image's bytes, or zeros beyond the image, is not part of the difference.

use super::Slot;
use super::slot::RESET_BYTES_MAX;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

/// Bytes of a page of a difference, on every system: the smallest page that systems have.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Bytes of pages after which a part of a restoration or comparison ends, and bytes of which the system is asked at a
/// time. A part so has twice as many at most, which takes less than a millisecond.
pub(super) const PART_BYTES: usize = 1 << 20;

/// Bytes of a memory of which the system is asked in one part, if hardly any of them are the slot's own.
const ASKED_BYTES: usize = 64 << 20;

/// The content of a page, [`PAGE_BYTES`] long. Differences that share a page share its bytes.
pub(crate) type Page = Arc<[u8]>;

/// A page that is not as it was: its number, and its content; none if that is the image's again.
pub(crate) type ChangedPage = (u32, Option<Page>);

/// The length of a memory, and its pages that differ from its image.
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

/// A comparison of a memory with its former content, which is made in parts.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// The address at which it goes on.
    at: usize,
    /// The pages so far that are the slot's own, and their bytes.
    own: Vec<Range<usize>>,
    own_bytes: usize,
    changed: Vec<ChangedPage>,
}

impl Slot {
    /// Puts a part of the difference's pages, from that number on, into the memory, which begins as the image and has
    /// the difference's length. The number to go on with; none after the last part.
    ///
    /// # Safety
    /// No guest runs in this memory, and nobody has a reference into it.
    pub(crate) unsafe fn restore_part(&self, difference: &Difference, from: u32) -> Option<u32> {
        debug_assert_eq!(self.len(), difference.len);
        // SAFETY: by the caller's word.
        let memory = unsafe { self.bytes_mut() };
        let mut pages = difference.pages.range(from..);
        for (&number, page) in pages.by_ref().take(PART_BYTES / PAGE_BYTES) {
            let at = number as usize * PAGE_BYTES;
            if let Some(place) = memory.get_mut(at..at + PAGE_BYTES) {
                place.copy_from_slice(page);
            }
        }
        pages.next().map(|(number, _)| *number)
    }

    /// Compares a part of the memory with `known`. After the last part, returns the pages whose bytes differ, with
    /// their present content. Pages below `from` are skipped.
    ///
    /// Which pages are the slot's own is asked of the system, unless they are few and no page fault since the last
    /// comparison can have changed them: most turns write where former ones have written.
    ///
    /// # Safety
    /// As for [`Self::restore_part`].
    pub(crate) unsafe fn compare_part(
        &self,
        from: usize,
        known: &Difference,
        comparison: &mut Comparison,
    ) -> Poll<Vec<ChangedPage>> {
        // SAFETY: by the caller's word.
        let memory: &[u8] = unsafe { self.bytes_mut() };
        if comparison.at == 0
            && let Some(own) = self.take_known_private()
        {
            comparison.at = memory.len();
            own.into_iter().for_each(|range| self.compare(memory, range, from, known, comparison));
        }
        let (mut asked, mut own) = (0, 0);
        while comparison.at < memory.len() {
            if asked >= ASKED_BYTES || own >= PART_BYTES {
                return Poll::Pending;
            }
            let part = comparison.at..memory.len().min(comparison.at + PART_BYTES);
            comparison.at = part.end;
            asked += part.len();
            for range in self.private_ranges(part) {
                own += range.len();
                self.compare(memory, range, from, known, comparison);
            }
        }
        self.set_private_bytes(comparison.own_bytes);
        if comparison.own_bytes <= PART_BYTES {
            self.remember_private(std::mem::take(&mut comparison.own));
        }
        Poll::Ready(std::mem::take(&mut comparison.changed))
    }

    /// Compares a range of the slot's own pages.
    fn compare(
        &self,
        memory: &[u8],
        range: Range<usize>,
        from: usize,
        known: &Difference,
        comparison: &mut Comparison,
    ) {
        comparison.own_bytes += range.len();
        if comparison.own_bytes <= PART_BYTES {
            comparison.own.push(range.clone());
        }
        for (number, at) in pages_of(range, from) {
            let page = &memory[at..at + PAGE_BYTES];
            let former = known.pages.get(&number);
            if former.is_some_and(|former| **former == *page) {
                continue;
            }
            match (self.is_initial(at, page), former) {
                (true, None) => {}
                (true, Some(_)) => comparison.changed.push((number, None)),
                (false, _) => comparison.changed.push((number, Some(Page::from(page)))),
            }
        }
    }

    /// Puts the bytes of `known` back wherever the memory differs, except in pages below `from`. Does nothing and
    /// returns false if the memory has grown since, which cannot be undone, or if more than [`RESET_BYTES_MAX`] are in
    /// private pages: this function does all in one part, and a new instance is then made in several.
    ///
    /// # Safety
    /// As for [`Self::restore_part`].
    pub(crate) unsafe fn undo(&self, from: usize, known: &Difference) -> bool {
        if self.len() != known.len {
            return false;
        }
        let (mut own, mut bytes) = (Vec::new(), 0);
        for start in (0..known.len).step_by(PART_BYTES) {
            for range in self.private_ranges(start..known.len.min(start + PART_BYTES)) {
                bytes += range.len();
                own.push(range);
            }
            if bytes > RESET_BYTES_MAX {
                return false;
            }
        }
        self.set_private_bytes(bytes);
        // SAFETY: by the caller's word.
        let memory = unsafe { self.bytes_mut() };
        for (number, at) in own.into_iter().flat_map(|range| pages_of(range, from)) {
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

/// The pages of a range that reach beyond the address `from`, by number, with the address of each.
fn pages_of(range: Range<usize>, from: usize) -> impl Iterator<Item = (u32, usize)> {
    // An address is below 4 GiB, so that a number fits.
    range.step_by(PAGE_BYTES).filter(move |at| at + PAGE_BYTES > from).map(|at| ((at / PAGE_BYTES) as u32, at))
}
