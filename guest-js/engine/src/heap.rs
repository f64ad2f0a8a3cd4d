//! The heap: what the build phase leaves of it in an image, and where.
//!
//! An image holds what is not zero, and an instance costs what it writes to. So in the build phase what is freed becomes zeros, large
//! blocks are kept apart from small ones, and there is room left for the instances.

use crate::phase;
use std::ffi::c_void;

unsafe extern "C" {
    fn malloc_usable_size(memory: *mut c_void) -> usize;
    fn malloc(size: usize) -> *mut c_void;
    fn __real_malloc(size: usize) -> *mut c_void;
    fn __real_free(memory: *mut c_void);
    fn __real_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
}

/// `malloc`, by the linker's `--wrap`. In the build phase what is large, bytecode and texts above all, is kept apart from what
/// is small, whose reference counts change in every request: the pages that an instance writes to, and a host has to reset,
/// are fewer and lie together.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_malloc(size: usize) -> *mut c_void {
    if phase::building() && cold::SIZES.contains(&size) {
        return cold::allocate(size);
    }
    // SAFETY: any size may be asked for.
    let block = unsafe { __real_malloc(size) };
    if phase::building() && size > *cold::SIZES.end() {
        hot::leave_out(block as usize, size);
    }
    block
}

/// Blocks that are made in the build phase and hardly written to after it. Each looks to dlmalloc like one of its own, with a flag
/// in its head that dlmalloc leaves alone, and is never given to it.
mod cold {
    use super::{__real_malloc, c_void};
    use std::cell::Cell;
    use std::ops::RangeInclusive;

    /// Bytes of a block.
    pub(super) const SIZES: RangeInclusive<usize> = 112..=16 * 1024;
    /// Bytes that are taken from dlmalloc at a time.
    const AREA_BYTES: usize = 512 * 1024;
    /// dlmalloc's: blocks are aligned so, and the word before a block is its size with three flags: the one before is in use, it
    /// is in use, and one that is free for others.
    const ALIGNMENT: usize = 16;
    const HEAD_BYTES: usize = size_of::<usize>();
    const IN_USE: usize = 3;
    const COLD: usize = 4;
    /// Areas that can be taken: an application with more has the rest where everything else is.
    pub(super) const AREAS_MAX: usize = 64;
    const CLASSES: usize = (*SIZES.end() + HEAD_BYTES).div_ceil(ALIGNMENT) + 1;

    struct Areas {
        /// Where the next block goes, and where the area ends.
        next: Cell<usize>,
        end: Cell<usize>,
        /// Blocks that were freed in the build phase, by size in units of the alignment; each has the next one's address.
        freed: [Cell<usize>; CLASSES],
        /// Where the areas are, in the order in which they were taken.
        all: [Cell<Range>; AREAS_MAX],
        count: Cell<usize>,
    }

    /// First byte, and one past the last.
    pub(super) type Range = (usize, usize);

    // SAFETY: wasm32-wasip1 without threads has one thread.
    unsafe impl Sync for Areas {}

    static AREAS: Areas = Areas {
        next: Cell::new(0),
        end: Cell::new(0),
        freed: [const { Cell::new(0) }; CLASSES],
        all: [const { Cell::new((0, 0)) }; AREAS_MAX],
        count: Cell::new(0),
    };

    /// A block of at least so many bytes.
    pub(super) fn allocate(size: usize) -> *mut c_void {
        let bytes = (size + HEAD_BYTES).next_multiple_of(ALIGNMENT);
        let freed = &AREAS.freed[bytes / ALIGNMENT];
        let block = freed.get();
        // SAFETY: blocks lie within areas that dlmalloc gave and nobody else has, each with its head before it.
        unsafe {
            if block != 0 {
                freed.set(*(block as *const usize));
                *(block as *mut usize) = 0;
                return block as *mut c_void;
            }
            if AREAS.next.get() + bytes > AREAS.end.get() {
                let count = AREAS.count.get();
                let area = if count < AREAS_MAX { __real_malloc(AREA_BYTES) as usize } else { 0 };
                if area == 0 {
                    return __real_malloc(size);
                }
                AREAS.all[count].set((area, area + AREA_BYTES));
                AREAS.count.set(count + 1);
                AREAS.next.set(area + ALIGNMENT);
                AREAS.end.set(area + AREA_BYTES);
            }
            let block = AREAS.next.get();
            AREAS.next.set(block + bytes);
            *((block - HEAD_BYTES) as *mut usize) = bytes | IN_USE | COLD;
            block as *mut c_void
        }
    }

    /// Whether a block is one of these.
    ///
    /// # Safety
    /// It must be what an allocation gave.
    pub(super) unsafe fn has(block: *mut c_void) -> bool {
        // SAFETY: every block has a head.
        unsafe { *block.cast::<usize>().sub(1) & COLD != 0 }
    }

    /// Keeps a block of zeros for the next of its size.
    ///
    /// # Safety
    /// It must be one of these, and not be used any more.
    pub(super) unsafe fn free(block: *mut c_void) {
        // SAFETY: the block is the caller's to give.
        unsafe {
            let bytes = *block.cast::<usize>().sub(1) & !7;
            let freed = &AREAS.freed[bytes / ALIGNMENT];
            *block.cast::<usize>() = freed.replace(block as usize);
        }
    }

    /// The areas, in the order in which they were taken.
    pub(super) fn areas() -> impl Iterator<Item = Range> {
        AREAS.all[..AREAS.count.get()].iter().map(Cell::get)
    }

    /// Forgets the blocks that are free, which are zeros again: no instance takes one.
    pub(super) fn seal() {
        for freed in &AREAS.freed {
            while freed.get() != 0 {
                let block = freed.get() as *mut usize;
                // SAFETY: what is in the list is free, and begins with the next one's address.
                unsafe {
                    freed.set(*block);
                    *block = 0;
                }
            }
        }
    }
}

/// Where in the heap the objects of each web module are, which all are evaluated into the image that every application starts
/// from: what an application does not use, its instances do not write to.
mod modules {
    use super::PAGE_BYTES;
    use std::cell::RefCell;
    use std::hash::{DefaultHasher, Hash, Hasher};

    /// Modules that are told apart; those beyond count as used.
    const MODULES_MAX: usize = 127;

    #[derive(Default)]
    struct Modules {
        names: Vec<String>,
        /// A bit for each module that the application uses. The first stands for what was there before them.
        used: u128,
        /// For each page from the first of the heap: a sum of its bytes, and a bit for each module whose evaluation changed it.
        pages: Vec<(u64, u128)>,
    }

    struct Slot(RefCell<Option<Modules>>);

    // SAFETY: wasm32-wasip1 without threads has one thread.
    unsafe impl Sync for Slot {}

    static MODULES: Slot = Slot(RefCell::new(None));

    /// Notes which pages up to `end` have changed since this was last called, and that it was this module's doing.
    pub(super) fn end(name: &str, start: usize, end: usize) {
        let mut slot = MODULES.0.borrow_mut();
        let modules = slot.get_or_insert_with(Modules::default);
        let bit = 1 << modules.names.len().min(MODULES_MAX);
        modules.names.push(name.to_owned());
        modules.pages.resize((end - start) / PAGE_BYTES, (0, 0));
        for (at, (sum, owners)) in modules.pages.iter_mut().enumerate() {
            // SAFETY: it lies within memory; what is looked at may change, and is not relied upon.
            let bytes = unsafe { std::slice::from_raw_parts((start + at * PAGE_BYTES) as *const u8, PAGE_BYTES) };
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            if std::mem::replace(sum, hasher.finish()) != *sum {
                *owners |= bit;
            }
        }
    }

    pub(super) fn mark_used(name: &str) {
        if let Some(modules) = &mut *MODULES.0.borrow_mut()
            && let Some(at) = modules.names.iter().position(|module| module == name)
        {
            modules.used |= 1 << at.min(MODULES_MAX);
        }
    }

    /// Whether only modules that are not used are in the page of this number.
    pub(super) fn is_idle(page: usize) -> bool {
        let slot = MODULES.0.borrow();
        let Some(modules) = &*slot else { return false };
        let owners = modules.pages.get(page).map_or(0, |(_, owners)| *owners);
        owners != 0 && owners & (modules.used | 1 | 1 << MODULES_MAX) == 0
    }

    pub(super) fn forget() {
        drop(MODULES.0.take());
    }
}

/// Bytes of a page as hosts see it.
const PAGE_BYTES: usize = 4096;

unsafe extern "C" {
    /// Where the linker's data ends.
    static __heap_base: u8;
}

/// The first page of the heap.
fn first_page() -> usize {
    ((&raw const __heap_base) as usize).next_multiple_of(PAGE_BYTES)
}

/// Notes that a web module has been evaluated; first, without a name, that none has.
pub(crate) fn end_module(name: &str) {
    modules::end(name, first_page(), core::arch::wasm32::memory_size(0) * 64 * 1024);
}

/// Notes that the application uses a web module; nothing if it was not evaluated before.
pub(crate) fn use_module(name: &str) {
    modules::mark_used(name);
}

/// The pages that instances write to, here and there.
///
/// Where a host resets the pages that were written to, it does so region by region, and for more than some thirty of them
/// (`MAX_REGIONS` of wasmtime's pagemap.rs) gives the memory back to the system, which under load takes ten times a request's time. A
/// middling application writes to more. It is made to write to all pages between, once in an instance: a few regions, and a
/// hundred pages to copy.
mod hot {
    use super::{PAGE_BYTES, cold, first_page, modules};
    use std::cell::Cell;
    use std::ptr;

    /// Fewer pages have few regions; more are beyond what hosts keep.
    const PAGES: std::ops::RangeInclusive<usize> = 48..=200;

    /// Fewer than the regions that a host resets one by one.
    const RANGES_MAX: usize = 24;

    /// Blocks that are noted.
    const LARGE_MAX: usize = 64;

    /// Those that are not used are zeros, and at the end.
    struct Ranges<const N: usize>([Cell<cold::Range>; N]);

    // SAFETY: wasm32-wasip1 without threads has one thread.
    unsafe impl<const N: usize> Sync for Ranges<N> {}

    static RANGES: Ranges<RANGES_MAX> = Ranges([const { Cell::new((0, 0)) }; RANGES_MAX]);
    /// Blocks that are too large for the cold areas, in the build phase: source texts above all.
    static LARGE: Ranges<LARGE_MAX> = Ranges([const { Cell::new((0, 0)) }; LARGE_MAX]);

    /// Notes a block that instances will hardly write to.
    pub(super) fn leave_out(block: usize, size: usize) {
        if let Some(free) = LARGE.0.iter().find(|range| range.get().1 == 0) {
            free.set((block, block + size));
        }
    }

    /// Notes that a block is no more.
    pub(super) fn forget(block: usize) {
        if let Some(range) = LARGE.0.iter().find(|range| range.get().0 == block) {
            range.set((0, 0));
        }
    }

    /// Notes the pages of the heap that ends at `end`, without the cold areas, without web modules that are not used, and without
    /// what was freed and is zeros.
    pub(super) fn seal(end: usize) {
        let mut pages: Vec<usize> = Vec::new();
        let mut start = first_page();
        for (area, area_end) in cold::areas().chain([(end, end)]) {
            for page in (start.next_multiple_of(PAGE_BYTES)..area / PAGE_BYTES * PAGE_BYTES).step_by(PAGE_BYTES) {
                let end = page + PAGE_BYTES;
                let large = LARGE.0.iter().map(Cell::get).any(|range| range.0 <= page && end <= range.1);
                // SAFETY: it lies within the heap; what is looked at may change, and is not relied upon.
                let bytes = unsafe { std::slice::from_raw_parts(page as *const u8, PAGE_BYTES) };
                if large || modules::is_idle((page - first_page()) / PAGE_BYTES) || bytes.iter().all(|&byte| byte == 0)
                {
                    continue;
                }
                pages.push(page);
            }
            start = area_end;
        }
        LARGE.0.iter().for_each(|range| range.set((0, 0)));
        modules::forget();
        // Pages between two that are written to are written to as well where that makes fewer regions.
        let ranges = [1, 2, 4, 8, 16, 32]
            .into_iter()
            .map(|gap| ranges_of(&pages, gap))
            .find(|ranges| ranges.len() <= RANGES_MAX);
        let Some(ranges) = ranges else { return };
        let pages: usize = ranges.iter().map(|(start, end)| (end - start) / PAGE_BYTES).sum();
        if PAGES.contains(&pages) {
            for (slot, range) in RANGES.0.iter().zip(ranges) {
                slot.set(range);
            }
        }
    }

    /// The pages as ranges; the first of one is at least `gap` pages behind the last of another.
    fn ranges_of(pages: &[usize], gap: usize) -> Vec<cold::Range> {
        let mut ranges: Vec<cold::Range> = Vec::new();
        for &page in pages {
            match ranges.last_mut() {
                Some(last) if page - last.1 < gap * PAGE_BYTES => last.1 = page + PAGE_BYTES,
                _ => ranges.push((page, page + PAGE_BYTES)),
            }
        }
        ranges
    }

    /// Writes to the pages, and changes nothing.
    pub(crate) fn touch() {
        for range in &RANGES.0 {
            let (start, end) = range.get();
            if end == 0 {
                return;
            }
            for page in (start..end).step_by(PAGE_BYTES) {
                // SAFETY: it lies within the heap; one thread reads and writes it.
                unsafe { ptr::write_volatile(page as *mut u8, ptr::read_volatile(page as *const u8)) };
            }
        }
    }
}

pub(crate) use hot::touch;

/// `free`, by the linker's `--wrap`. In the build phase it leaves zeros, so that what the parser and the top level threw
/// away does not end up in the image.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_free(memory: *mut c_void) {
    // SAFETY: the caller passes what an allocation gave, or null.
    unsafe {
        if memory.is_null() {
            return;
        }
        if phase::building() {
            memory.cast::<u8>().write_bytes(0, malloc_usable_size(memory));
        }
        if phase::building() {
            hot::forget(memory as usize);
        }
        match (cold::has(memory), phase::building()) {
            (false, _) => __real_free(memory),
            (true, true) => cold::free(memory),
            // The instance ends soon, and its image's page is better left alone.
            (true, false) => {}
        }
    }
}

/// `realloc`, likewise: moving must not leave a copy behind.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller passes what an allocation gave, or null; both places are at least as long as what is copied.
    unsafe {
        if memory.is_null() {
            return malloc(size);
        }
        let (cold, fits) = (cold::has(memory), size <= malloc_usable_size(memory));
        if cold && fits && size > 0 {
            return memory;
        }
        if !cold && (fits || !phase::building()) {
            return __real_realloc(memory, size);
        }
        let moved = malloc(size);
        if !moved.is_null() {
            moved.cast::<u8>().copy_from_nonoverlapping(memory.cast(), size.min(malloc_usable_size(memory)));
            __wrap_free(memory);
        }
        moved
    }
}

/// Grows the heap once, here, instead of in every instance, and leaves the new memory all zero: an image reaches to its
/// last byte that is not.
///
/// dlmalloc writes two words there that it will not read again once the memory is back in its top chunk: where that chunk
/// began while the headroom was taken, and the head of a chunk behind it that never exists.
pub(crate) fn leave_headroom(bytes: usize) {
    cold::seal();
    // SAFETY: `head` is the head of the chunk after `headroom`: dlmalloc always has one. It is the top chunk, which goes
    // back to being one with `headroom`, if a chunk that reaches to the end of memory, as only the trailing one does,
    // follows it; no other place is written to.
    unsafe {
        let headroom = malloc(bytes);
        if headroom.is_null() {
            return;
        }
        hot::seal(headroom as usize);
        let end = core::arch::wasm32::memory_size(0) * 64 * 1024;
        let head = headroom.cast::<u8>().add(malloc_usable_size(headroom)).cast::<usize>();
        let trailing = (head as usize - size_of::<usize>()).saturating_add(*head & !7);
        let trailing_head = (trailing + size_of::<usize>()) as *mut usize;
        let follows_top = trailing < end - 8 && *trailing_head == end - trailing;
        __wrap_free(headroom);
        if follows_top {
            *head = 0;
            *trailing_head = 0;
        }
    }
}
