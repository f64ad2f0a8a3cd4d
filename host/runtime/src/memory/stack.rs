//! The native stacks that guests run on.

use parking_lot::{Mutex, MutexGuard};
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use wasmtime::{StackCreator, StackMemory};

/// Bytes at a stack's top that it keeps while it is not in use.
pub(crate) const KEPT_BYTES: usize = 64 << 10;

/// Bytes below what is kept that are looked at: larger than the frame of a function.
const PROBED_BYTES: usize = 16 << 10;

/// Bytes below a stack that nobody may access.
const GUARD_BYTES: usize = 64 << 10;

/// Makes stacks, and keeps those that were used.
#[derive(Debug)]
pub(crate) struct Stacks {
    free: Arc<Free>,
}

#[derive(Debug)]
struct Free {
    stacks: Mutex<Vec<Arc<Mapping>>>,
    max: usize,
}

impl Free {
    fn stacks(&self) -> MutexGuard<'_, Vec<Arc<Mapping>>> {
        self.stacks.lock() // whole after every operation
    }
}

impl Stacks {
    /// Keeps up to this many that are not in use.
    pub(crate) fn new(max: usize) -> Self {
        Self { free: Arc::new(Free { stacks: Mutex::default(), max }) }
    }
}

// SAFETY: a stack is page-aligned, has a guard page below it, and one owner.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> Result<Box<dyn StackMemory>, wasmtime::Error> {
        let kept = self.free.stacks().pop_if(|stack| !zeroed && stack.is_for(size));
        let mapping = kept.map_or_else(|| Mapping::new(size).map(Arc::new), Ok)?;
        super::STACK.set(Some(Arc::clone(&mapping)));
        Ok(Box::new(Stack { mapping, free: Arc::clone(&self.free) }))
    }
}

/// A stack in use.
struct Stack {
    mapping: Arc<Mapping>,
    free: Arc<Free>,
}

// SAFETY: as for `Stacks`.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.mapping.range().end as *mut u8
    }

    fn range(&self) -> Range<usize> {
        self.mapping.range()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let start = self.mapping.range().start;
        (start - GUARD_BYTES) as *mut u8..start as *mut u8
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: nobody runs on it any more.
        unsafe { self.mapping.trim() };
        let mut free = self.free.stacks();
        if free.len() < self.free.max {
            free.push(Arc::clone(&self.mapping));
        }
    }
}

/// A stack's memory and the guard below it.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    /// Guard included.
    bytes: usize,
}

// SAFETY: an address range that has one owner.
unsafe impl Send for Mapping {}
// SAFETY: nothing is done with it through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: usize) -> io::Result<Self> {
        let bytes = Self::bytes_for(size);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the system chooses.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { start, bytes };
        // SAFETY: the beginning of what was mapped just now.
        unsafe { mprotect(start.as_ptr().cast(), GUARD_BYTES, MprotectFlags::empty()) }?;
        Ok(mapping)
    }

    fn bytes_for(size: usize) -> usize {
        size.next_multiple_of(GUARD_BYTES) + GUARD_BYTES
    }

    fn is_for(&self, size: usize) -> bool {
        self.bytes == Self::bytes_for(size)
    }

    fn range(&self) -> Range<usize> {
        let start = self.start.as_ptr() as usize;
        start + GUARD_BYTES..start + self.bytes
    }

    /// Discards the deep pages of the stack, if they were used. Deep use leaves a value just below the kept bytes,
    /// where an unused stack reads as zeros. Discarding pages that are not there would cost an interrupt of other
    /// cores.
    ///
    /// # Safety
    /// Nobody runs on this stack.
    pub(crate) unsafe fn trim(&self) {
        let range = self.range();
        let deep = range.len().saturating_sub(KEPT_BYTES);
        let probed = deep.min(PROBED_BYTES);
        // SAFETY: within the stack, above its guard, and by the caller's word nobody else's.
        let probed = unsafe { std::slice::from_raw_parts((range.start + deep - probed) as *const u8, probed) };
        if probed.iter().all(|&byte| byte == 0) {
            return;
        }
        // SAFETY: by the caller's word; what is given back reads as zeros.
        if let Err(error) = unsafe { madvise(range.start as *mut _, deep, Advice::LinuxDontNeed) } {
            tracing::warn!(%error, "the pages of a stack cannot be released");
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it has one owner, which gives it up.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) } {
            tracing::error!(%error, "a stack cannot be unmapped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_deeply_is_given_back_and_what_was_not_is_left_alone() {
        let stack = Mapping::new(1 << 20).expect("the system has room");
        let range = stack.range();
        let write = |below_top: usize| {
            // SAFETY: within the stack, which nobody runs on.
            unsafe { *((range.end - below_top) as *mut u8) = 7 };
        };
        // SAFETY: as above.
        let read = |below_top: usize| unsafe { *((range.end - below_top) as *const u8) };
        write(100);
        // SAFETY: nobody runs on it.
        unsafe { stack.trim() };
        assert_eq!(read(100), 7, "what is kept stays");
        let deep = 100 + 265_000;
        (100..=deep).step_by(1_000).for_each(write);
        assert_eq!(read(deep), 7);
        // SAFETY: as above.
        unsafe { stack.trim() };
        assert_eq!((read(100), read(deep)), (7, 0));
    }
}
