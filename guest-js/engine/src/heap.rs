//! The allocator of the engine's heap: which memory the build phase leaves in an image.
//!
//! An image holds what is not zero, and an instance costs what it writes to. So in the build phase what is freed
//! becomes zeros, large blocks are kept apart from small ones, and there is room left for the instances. A request
//! takes its small blocks from an area that the build phase left empty ([`request`]).

mod request;

use crate::phase;
use std::cell::Cell;
use std::ffi::c_void;

unsafe extern "C" {
    fn malloc_usable_size(memory: *mut c_void) -> usize;
    fn malloc(size: usize) -> *mut c_void;
    fn __real_malloc(size: usize) -> *mut c_void;
    fn __real_calloc(count: usize, size: usize) -> *mut c_void;
    fn __real_free(memory: *mut c_void);
    fn __real_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
}

/// dlmalloc's: blocks are aligned so, and the word before a block is its size with three flags: the one before is in
/// use, it is in use, and one that is free for others. It marks the blocks that are not dlmalloc's.
const ALIGNMENT: usize = 16;
const HEAD_BYTES: usize = size_of::<usize>();
const IN_USE_BEFORE: usize = 1;
const IN_USE: usize = 2;
const FOREIGN: usize = 4;

/// The flags of a block that is not dlmalloc's. It is never looked for where the one before it begins.
const FOREIGN_FLAGS: usize = IN_USE_BEFORE | IN_USE | FOREIGN;

/// The head of what follows a block.
///
/// # Safety
/// The block must be one of dlmalloc's, and in use.
unsafe fn head_behind(block: *mut c_void) -> *mut usize {
    // SAFETY: each of its blocks is followed by another head; the last one by that of the top chunk.
    unsafe { block.cast::<u8>().add(malloc_usable_size(block)).cast() }
}

/// `malloc`, by the linker's `--wrap`. In the build phase what is large, bytecode and texts above all, is kept apart
/// from what is small, which a request rather changes: the pages that an instance writes to, and a host has to reset,
/// are fewer and lie together. Reference counts are not among it: see `quickjs/immortal.c`.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_malloc(size: usize) -> *mut c_void {
    if phase::building() {
        if cold::SIZES.contains(&size) {
            return cold::allocate(size);
        }
    } else if let Some(block) = request::allocate(size) {
        return block;
    }
    // SAFETY: any size may be asked for.
    unsafe { __real_malloc(size) }
}

/// `calloc`, likewise.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_calloc(count: usize, size: usize) -> *mut c_void {
    if !phase::building()
        && let Some(bytes) = count.checked_mul(size)
        && let Some(block) = request::allocate(bytes)
    {
        // SAFETY: the block has that many bytes.
        unsafe { block.cast::<u8>().write_bytes(0, bytes) };
        return block;
    }
    // SAFETY: any size may be asked for.
    unsafe { __real_calloc(count, size) }
}

/// Whether a block is not dlmalloc's.
///
/// # Safety
/// It must be what an allocation gave.
unsafe fn is_foreign(block: *mut c_void) -> bool {
    // SAFETY: every block has a head.
    unsafe { *block.cast::<usize>().sub(1) & FOREIGN != 0 }
}

/// Blocks that are made in the build phase and hardly written to after it. Each looks to dlmalloc like one of its own,
/// with a flag in its head that dlmalloc leaves alone, and is never given to it.
mod cold {
    use super::{__real_malloc, ALIGNMENT, Cell, FOREIGN_FLAGS, HEAD_BYTES, c_void};
    use std::ops::RangeInclusive;

    /// Bytes of a block.
    pub(super) const SIZES: RangeInclusive<usize> = 112..=16 * 1024;
    /// Bytes that are taken from dlmalloc at a time.
    const AREA_BYTES: usize = 512 * 1024;
    const CLASSES: usize = (*SIZES.end() + HEAD_BYTES).div_ceil(ALIGNMENT) + 1;

    struct Areas {
        /// Where the next block goes, and where the area ends.
        next: Cell<usize>,
        end: Cell<usize>,
        /// Blocks that were freed in the build phase, by size in units of the alignment; each has the next one's
        /// address.
        freed: [Cell<usize>; CLASSES],
    }

    // SAFETY: wasm32-wasip1 without threads has one thread.
    unsafe impl Sync for Areas {}

    static AREAS: Areas = Areas { next: Cell::new(0), end: Cell::new(0), freed: [const { Cell::new(0) }; CLASSES] };

    /// Allocates a block of at least `size` bytes.
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
                let area = __real_malloc(AREA_BYTES) as usize;
                if area == 0 {
                    return __real_malloc(size);
                }
                AREAS.next.set(area + ALIGNMENT);
                AREAS.end.set(area + AREA_BYTES);
            }
            let block = AREAS.next.get();
            AREAS.next.set(block + bytes);
            *((block - HEAD_BYTES) as *mut usize) = bytes | FOREIGN_FLAGS;
            block as *mut c_void
        }
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

    /// Forgets the free blocks, which are zeros again, so that none of them is allocated.
    pub(super) fn forget_freed() {
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

struct Clearing(Cell<bool>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Clearing {}

static CLEARING: Clearing = Clearing(Cell::new(false));

/// Sets whether what is freed becomes zeros from now on, in an instance: pages that are zeros are no part of a worker's
/// heap.
pub(crate) fn clear_freed(clear: bool) {
    CLEARING.0.set(clear);
}

/// `free`, by the linker's `--wrap`. In the build phase it leaves zeros, so that what the parser and the top level
/// threw away does not end up in the image.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_free(memory: *mut c_void) {
    // SAFETY: the caller passes what an allocation gave, or null.
    unsafe {
        if memory.is_null() {
            return;
        }
        if phase::building() || CLEARING.0.get() {
            memory.cast::<u8>().write_bytes(0, malloc_usable_size(memory));
        }
        match (is_foreign(memory), phase::building()) {
            (false, _) => __real_free(memory),
            (true, true) => cold::free(memory),
            (true, false) => request::free(memory),
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
        let (foreign, fits) = (is_foreign(memory), size <= malloc_usable_size(memory));
        if foreign && size > 0 && (fits || request::extend(memory, size)) {
            return memory;
        }
        if !foreign && (fits || !phase::building()) {
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

/// Blocks up to this size are looked for in [`fill_holes`]. What is larger is itself a place where small ones lie
/// together.
const HOLE_BYTES_MAX: usize = 2048;

/// Takes the small blocks that are free among those in use, and never gives them back. What an application's top level
/// allocates after this lies together, instead of all over the heap: its image differs from the base in few pages.
pub(crate) fn fill_holes() {
    cold::forget_freed();
    for size in (0..=HOLE_BYTES_MAX).rev().step_by(ALIGNMENT) {
        // SAFETY: dlmalloc gives a block of at least that size, or null.
        unsafe {
            loop {
                let block = __real_malloc(size);
                if block.is_null() {
                    return;
                }
                // Where it was taken from a larger one, the rest of that one is free behind it.
                if *head_behind(block) & IN_USE == 0 {
                    __real_free(block);
                    break;
                }
                block.cast::<u8>().write_bytes(0, malloc_usable_size(block));
            }
        }
    }
}

/// Grows the heap once, here, instead of in every instance, and leaves the new memory all zero: an image reaches to its
/// last byte that is not.
///
/// dlmalloc writes two words there that it will not read again once the memory is back in its top chunk: where that
/// chunk began while the headroom was taken, and the head of a chunk behind it that never exists.
pub(crate) fn leave_headroom(bytes: usize) {
    cold::forget_freed();
    request::reserve();
    // SAFETY: `head` is the head of the chunk after `headroom`: dlmalloc always has one. It is the top chunk, which
    // goes back to being one with `headroom`, if a chunk that reaches to the end of memory, as only the trailing one
    // does, follows it; no other place is written to.
    unsafe {
        let headroom = malloc(bytes);
        if headroom.is_null() {
            return;
        }
        let end = core::arch::wasm32::memory_size(0) * 64 * 1024;
        let head = head_behind(headroom);
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
