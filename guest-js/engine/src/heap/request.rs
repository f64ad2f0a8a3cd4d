//! The allocator of small blocks in the run phase, which lie side by side in an area of their own.
//!
//! dlmalloc would take them from what the build phase freed, here and there in the image, and each place is a page that
//! the instance copies and the host resets. Here they lie side by side in one area of zeros. A block that was freed
//! waits for the next of its size and is never joined with others, which takes a fifth of dlmalloc's instructions; the
//! area is small, so that what this wastes is bounded. Once it is used up dlmalloc gives the blocks.

use super::{__real_malloc, ALIGNMENT, FOREIGN_FLAGS, HEAD_BYTES, c_void};
use std::cell::Cell;

/// Bytes of the area; few requests need more.
const AREA_BYTES: usize = 256 * 1024;

/// Bytes of the largest block.
const SIZE_MAX: usize = 2048;

const CLASSES: usize = (SIZE_MAX + HEAD_BYTES).div_ceil(ALIGNMENT) + 1;

struct Area {
    start: Cell<usize>,
    /// Where the next block goes.
    next: Cell<usize>,
    end: Cell<usize>,
    /// Blocks that were freed, by size in units of the alignment; each has the next one's address.
    freed: [Cell<usize>; CLASSES],
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Area {}

static AREA: Area =
    Area { start: Cell::new(0), next: Cell::new(0), end: Cell::new(0), freed: [const { Cell::new(0) }; CLASSES] };

/// Takes the area from dlmalloc, at the end of the build phase.
pub(super) fn reserve() {
    // SAFETY: any size may be asked for.
    let area = unsafe { __real_malloc(AREA_BYTES) } as usize;
    if area != 0 {
        AREA.start.set(area);
        AREA.next.set(area + ALIGNMENT);
        AREA.end.set(area + AREA_BYTES);
    }
}

/// Bytes of a block for so many, with its head.
const fn block_bytes(size: usize) -> usize {
    (size + HEAD_BYTES + ALIGNMENT - 1) & !(ALIGNMENT - 1)
}

/// Allocates a block of at least `size` bytes; `None` if that is too large, or the area is used up.
#[inline]
pub(super) fn allocate(size: usize) -> Option<*mut c_void> {
    if size > SIZE_MAX {
        return None;
    }
    let bytes = block_bytes(size);
    let freed = &AREA.freed[bytes / ALIGNMENT];
    let block = freed.get();
    // SAFETY: blocks lie within the area, which nobody else has, each with its head before it; what is in a list is
    // free, and begins with the next one's address.
    unsafe {
        if block != 0 {
            freed.set(*(block as *const usize));
            return Some(block as *mut c_void);
        }
        let block = AREA.next.get();
        if block + bytes > AREA.end.get() {
            return None;
        }
        AREA.next.set(block + bytes);
        *((block - HEAD_BYTES) as *mut usize) = bytes | FOREIGN_FLAGS;
        Some(block as *mut c_void)
    }
}

/// Keeps a block for the next of its size. One of the build phase is left alone: the instance ends soon, and its
/// image's page is better not written to.
///
/// # Safety
/// It must not be dlmalloc's, and not be used any more.
pub(super) unsafe fn free(block: *mut c_void) {
    let at = block as usize;
    if at <= AREA.start.get() || at >= AREA.end.get() {
        return;
    }
    // SAFETY: the block is the caller's to give.
    unsafe {
        let bytes = *block.cast::<usize>().sub(1) & !7;
        *block.cast::<usize>() = AREA.freed[bytes / ALIGNMENT].replace(at);
    }
}

/// Makes the block that was taken last so long, if it stays small. Texts and lists that grow are mostly the last.
///
/// # Safety
/// It must not be dlmalloc's.
pub(super) unsafe fn extend(block: *mut c_void, size: usize) -> bool {
    // SAFETY: every block has a head.
    let head = unsafe { block.cast::<usize>().sub(1) };
    let at = block as usize;
    // SAFETY: as above.
    if at + (unsafe { *head } & !7) != AREA.next.get() || size > SIZE_MAX || at + block_bytes(size) > AREA.end.get() {
        return false;
    }
    AREA.next.set(at + block_bytes(size));
    // SAFETY: as above; what follows the block is free.
    unsafe { *head = block_bytes(size) | FOREIGN_FLAGS };
    true
}
