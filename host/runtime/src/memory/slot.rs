//! A slot: one linear memory of a guest, reserved address space with an image mapped into it.

use super::faults;
use super::image::{FileMapping, Image};
use super::page_map::PageMap;
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

/// One in this many resets of a slot discards the pages that equal the image, so that a page which a single request
/// wrote to is not copied after every later one.
const RESETS_BETWEEN_TRIMS: u32 = 64;

/// The most bytes that a reset copies.
pub(super) const RESET_BYTES_MAX: usize = 4 << 20;

/// Nothing was [watched](Slot::watch) since the last reset or comparison.
const UNWATCHED: u8 = 0;
/// The watched memory caused no page fault, so no further page is private.
const NO_FAULTS: u8 = 1;
/// The watched memory caused a page fault, or may have.
const FAULTS: u8 = 2;

/// Address space that nobody may access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reservation {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: an address range; who has it owns what is there, and it is used from one thread at a time.
unsafe impl Send for Reservation {}
// SAFETY: as for `Send`; it has no interior mutability.
unsafe impl Sync for Reservation {}

impl Reservation {
    fn new(bytes: usize) -> io::Result<Self> {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the system chooses.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::empty(), flags) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }

    /// Maps the image over the beginning.
    fn map(self, image: &Image) -> io::Result<()> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        for FileMapping { at, len, file, offset } in image.mapped() {
            // SAFETY: the caller owns the reservation, in which nothing is accessed yet, and the image is no longer
            // than it.
            let start = unsafe { self.start.as_ptr().add(at) };
            // SAFETY: as above.
            unsafe { mmap(start.cast(), len, protection, flags, file.as_fd(), offset as u64) }?;
        }
        Ok(())
    }

    /// Takes away what was mapped over the beginning, and whatever it held.
    fn clear(self, len: usize) -> io::Result<()> {
        let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
        // SAFETY: the caller owns the reservation, and nobody accesses it any more.
        unsafe { mmap_anonymous(self.start.as_ptr().cast(), len, ProtFlags::empty(), flags) }?;
        Ok(())
    }

    fn release(self) {
        // SAFETY: the caller owns the reservation and gives it up.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) } {
            tracing::error!(%error, "the address space of an instance cannot be released");
        }
    }
}

/// Reservations that are not in use: it costs more to make and release one than to map an image into it.
#[derive(Debug)]
pub(super) struct Reservations {
    free: Mutex<Vec<Reservation>>,
    max: usize,
}

impl Reservations {
    pub(super) fn new(max: usize) -> Self {
        Self { free: Mutex::default(), max }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Reservation>> {
        self.free.lock() // whole after every operation
    }

    fn take(&self, bytes: usize) -> io::Result<Reservation> {
        let free = self.free().pop_if(|reservation| reservation.bytes == bytes);
        free.map_or_else(|| Reservation::new(bytes), Ok)
    }

    fn give_back(&self, reservation: Reservation) {
        let mut free = self.free();
        if free.len() < self.max {
            free.push(reservation);
        } else {
            drop(free);
            reservation.release();
        }
    }
}

impl Drop for Reservations {
    fn drop(&mut self) {
        self.free().drain(..).for_each(Reservation::release);
    }
}

/// The memory of one instance.
#[derive(Debug)]
pub(crate) struct Slot {
    reservation: Reservation,
    /// Bytes without the guard.
    capacity: usize,
    /// Bytes that can be accessed.
    len: AtomicUsize,
    image: Arc<Image>,
    pool: Arc<Reservations>,
    page_map: Arc<PageMap>,
    resets: AtomicU32,
    /// Bytes in private pages, as of the last reset or comparison.
    private_bytes: AtomicUsize,
    /// The private pages, which the guest wrote to, as of the last reset or comparison; none if the system has to be
    /// asked.
    private_pages: Mutex<Option<Vec<Range<usize>>>>,
    /// The page faults that were seen since then: `UNWATCHED`, `NO_FAULTS` or `FAULTS`.
    seen: AtomicU8,
}

impl Slot {
    pub(super) fn new(
        pool: &Arc<Reservations>,
        page_map: &Arc<PageMap>,
        image: Arc<Image>,
        capacity: usize,
        guard: usize,
    ) -> io::Result<Self> {
        if image.len() > capacity {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let reservation = pool.take(capacity + guard)?;
        if let Err(error) = reservation.map(&image) {
            reservation.release(); // with whatever was mapped
            return Err(error);
        }
        Ok(Self {
            reservation,
            capacity,
            len: image.len().into(),
            image,
            pool: Arc::clone(pool),
            page_map: Arc::clone(page_map),
            resets: AtomicU32::new(0),
            private_bytes: AtomicUsize::new(0),
            private_pages: Mutex::new(None),
            seen: AtomicU8::new(UNWATCHED),
        })
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.reservation.start.as_ptr()
    }

    /// Bytes that can be accessed.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes in the slot's private pages when it was last reset or compared.
    pub(crate) fn private_bytes(&self) -> usize {
        self.private_bytes.load(Ordering::Relaxed)
    }

    /// Whether the guest has more memory than it began with. It cannot be taken back.
    pub(crate) fn has_grown(&self) -> bool {
        self.grown_bytes() > 0
    }

    /// Bytes of memory that the guest asked for.
    pub(crate) fn grown_bytes(&self) -> usize {
        self.len() - self.image.len()
    }

    /// Makes the memory `len` bytes long. The new ones are zeros.
    ///
    /// The system must not make one large page of them by itself (`khugepaged`): pages that nobody wrote to would then
    /// be private without a page fault, and what is written to them later would be missed by whoever counts faults.
    /// What was mapped from files has no such pages.
    pub(super) fn grow(&self, len: usize) -> io::Result<()> {
        let old = self.len();
        if len > self.capacity || len < old {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: within the reservation, and above what is accessed yet.
        let start = unsafe { self.start().add(old) };
        // SAFETY: as above; it is anonymous, and was never accessible.
        match unsafe { madvise(start.cast(), len - old, Advice::LinuxNoHugepage) } {
            // A system without such pages does not know the advice.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
        // SAFETY: as above.
        unsafe { mprotect(start.cast(), len - old, MprotectFlags::READ | MprotectFlags::WRITE) }?;
        self.len.store(len, Ordering::Relaxed);
        Ok(())
    }

    /// Runs something that may write to the memory, on this thread: the guest, and host functions for it. The count of
    /// page faults tells whether further pages can have become private.
    pub(crate) fn watch<T>(&self, run: impl FnOnce() -> T) -> T {
        // Should it panic, that is what stays.
        let former = self.seen.swap(FAULTS, Ordering::Relaxed);
        let before = faults::count();
        let result = run();
        if former != FAULTS && before.is_some() && before == faults::count() {
            self.seen.store(NO_FAULTS, Ordering::Relaxed);
        }
        result
    }

    /// The private pages as they were [remembered](Self::remember_private), if no page fault since the last look can
    /// have changed them.
    pub(super) fn take_known_private(&self) -> Option<Vec<Range<usize>>> {
        let known = self.private_pages.lock().take(); // set whole
        let is_current = self.seen.swap(UNWATCHED, Ordering::Relaxed) == NO_FAULTS;
        known.filter(|_| is_current)
    }

    /// Remembers the private pages, all of them, which were just looked at.
    pub(super) fn remember_private(&self, pages: Vec<Range<usize>>) {
        *self.private_pages.lock() = Some(pages);
    }

    /// The private pages; none if they have more than [`RESET_BYTES_MAX`]. The system is asked unless no page fault since
    /// the last reset can have changed them.
    fn written(&self) -> io::Result<Option<Vec<Range<usize>>>> {
        if let Some(known) = self.take_known_private() {
            return Ok(Some(known));
        }
        let (mut written, mut bytes) = (Vec::new(), 0);
        self.page_map.written(self.start() as usize, self.image.len(), |range| {
            bytes += range.len();
            if bytes <= RESET_BYTES_MAX {
                written.push(range);
            }
        })?;
        Ok((bytes <= RESET_BYTES_MAX).then_some(written))
    }

    /// Puts the image's bytes back wherever the guest wrote to. Does nothing and returns false if that is more than
    /// [`RESET_BYTES_MAX`]: a new instance is then cheaper, and the guest has paid for a few bytes of each page only.
    ///
    /// # Errors
    /// If the system does not say what was written. The memory is then not to be used again.
    ///
    /// # Safety
    /// No guest runs in this memory, and nobody has a reference into it.
    pub(crate) unsafe fn reset(&self) -> io::Result<bool> {
        debug_assert!(!self.has_grown());
        // SAFETY: accessible, by the invariants, and by the caller's word nobody else's at the moment.
        let memory = unsafe { std::slice::from_raw_parts_mut(self.start(), self.image.len()) };
        if !self.page_map.knows() {
            // The file's bytes are there again, whatever was written.
            discard_pages(memory)?;
            return Ok(true);
        }
        let Some(written) = self.written()? else { return Ok(false) };
        let mut bytes = written.iter().map(Range::len).sum::<usize>();
        let trims = self.resets.fetch_add(1, Ordering::Relaxed) % RESETS_BETWEEN_TRIMS == RESETS_BETWEEN_TRIMS - 1;
        for range in &written {
            for (place, image) in self.image.parts(range.clone()) {
                if trims {
                    bytes -= trim(&mut memory[place], image)?;
                } else {
                    memory[place].copy_from_slice(image);
                }
            }
        }
        self.private_bytes.store(bytes, Ordering::Relaxed);
        if !trims {
            self.remember_private(written);
        }
        Ok(true)
    }

    /// Discards the guest's writes to `bytes` bytes of the memory from `at`, which then have the file's bytes again, or
    /// zeros. False if the memory ends before `at`.
    ///
    /// # Errors
    /// If the system does not take it.
    pub(crate) fn discard(&mut self, at: usize, bytes: usize) -> io::Result<bool> {
        let end = self.len().min(at.saturating_add(bytes));
        if at >= end {
            return Ok(false);
        }
        // SAFETY: accessible, by the invariants, and nobody else has the slot.
        discard_pages(unsafe { std::slice::from_raw_parts_mut(self.start().add(at), end - at) })?;
        Ok(true)
    }

    /// All of the memory.
    ///
    /// # Safety
    /// As for [`Self::reset`], as long as the reference is there.
    #[allow(clippy::mut_from_ref)] // what it leads to is no part of `self`, and the caller vouches for it
    pub(super) unsafe fn bytes_mut(&self) -> &mut [u8] {
        // SAFETY: accessible, by the invariants, and by the caller's word nobody else's at the moment.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len()) }
    }

    /// The ranges within `part` of the memory whose pages can differ from the image: the private ones. All of `part`, if
    /// the system does not say which pages are private.
    pub(super) fn private_ranges(&self, part: Range<usize>) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let asked = self.page_map.written(self.start() as usize + part.start, part.len(), |range| {
            ranges.push(part.start + range.start..part.start + range.end);
        });
        if let Err(error) = &asked {
            tracing::warn!(%error, "the system does not say which pages were written to; all of them are compared");
        }
        if asked.is_err() || !self.page_map.knows() {
            ranges.clear();
            ranges.push(part);
        }
        ranges
    }

    /// Notes how many bytes the private pages have.
    pub(super) fn set_private_bytes(&self, bytes: usize) {
        self.private_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether a page has what the memory began with: the image's bytes, or zeros beyond it.
    pub(super) fn is_initial(&self, at: usize, page: &[u8]) -> bool {
        if at >= self.image.len() {
            return page.iter().all(|&byte| byte == 0);
        }
        let mut parts = self.image.parts(at..at + page.len());
        parts.all(|(place, image)| page[place.start - at..place.end - at] == *image)
    }

    /// Writes that into it.
    pub(super) fn fill_initial(&self, at: usize, page: &mut [u8]) {
        if at >= self.image.len() {
            return page.fill(0);
        }
        for (place, image) in self.image.parts(at..at + page.len()) {
            page[place.start - at..place.end - at].copy_from_slice(image);
        }
    }

    /// Whether the memory is the image's, byte for byte.
    ///
    /// # Safety
    /// As for [`Self::reset`].
    pub(crate) unsafe fn is_image(&self) -> bool {
        // SAFETY: by the caller's word.
        !self.has_grown() && unsafe { self.begins_as_image() }
    }

    /// Whether the memory has the image's bytes, as far as the image goes.
    ///
    /// # Safety
    /// As for [`Self::reset`].
    pub(super) unsafe fn begins_as_image(&self) -> bool {
        // SAFETY: accessible, by the invariants, and by the caller's word nobody writes to it.
        let memory = unsafe { std::slice::from_raw_parts(self.start(), self.image.len()) };
        self.image.parts(0..memory.len()).all(|(place, image)| memory[place] == *image)
    }

    /// Bytes that the memory began with.
    #[cfg(test)]
    pub(super) fn image_len(&self) -> usize {
        self.image.len()
    }
}

/// Copies the image's bytes into the pages that differ, and discards the others. Returns how many bytes it discarded.
fn trim(memory: &mut [u8], image: &[u8]) -> io::Result<usize> {
    let page = rustix::param::page_size();
    let mut discarded = 0;
    for (current, wanted) in memory.chunks_mut(page).zip(image.chunks(page)) {
        if current == wanted {
            discard_pages(current)?;
            discarded += current.len();
        } else {
            current.copy_from_slice(wanted);
        }
    }
    Ok(discarded)
}

/// Discards a slot's private copies of pages, which then have the file's bytes again.
fn discard_pages(pages: &mut [u8]) -> io::Result<()> {
    // SAFETY: a private mapping of a file, of which nothing but this reference is in use: what is read next is the
    // file's.
    unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), Advice::LinuxDontNeed) }?;
    Ok(())
}

impl Drop for Slot {
    fn drop(&mut self) {
        match self.reservation.clear(self.len()) {
            Ok(()) => self.pool.give_back(self.reservation),
            Err(error) => {
                tracing::error!(%error, "the memory of an instance cannot be cleared; its address space is released");
                self.reservation.release();
            }
        }
    }
}
