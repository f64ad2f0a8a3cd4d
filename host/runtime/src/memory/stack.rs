//! The native stacks that guests run on.

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap_anonymous, mprotect, munmap};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime::{StackCreator, StackMemory};

/// Bytes at a stack's top that stay with it while nobody uses it.
const KEPT_BYTES: usize = 128 << 10;

/// A stack that was used so often since the last time gives back what is deeper.
const USES_BETWEEN_TRIMS: u32 = 64;

/// Makes stacks, and keeps those that were used.
#[derive(Debug)]
pub(crate) struct Stacks {
    free: Arc<Free>,
}

#[derive(Debug)]
struct Free {
    stacks: Mutex<Vec<Mapping>>,
    max: usize,
}

impl Free {
    fn stacks(&self) -> MutexGuard<'_, Vec<Mapping>> {
        self.stacks.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
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
        let mapping = kept.map_or_else(|| Mapping::new(size), Ok)?;
        Ok(Box::new(Stack { mapping: Some(mapping), free: Arc::clone(&self.free) }))
    }
}

/// A stack in use.
struct Stack {
    /// There until it is dropped.
    mapping: Option<Mapping>,
    free: Arc<Free>,
}

impl Stack {
    fn range(&self) -> (Range<usize>, usize) {
        self.mapping.as_ref().map_or((0..0, 0), |mapping| (mapping.range(), mapping.guard))
    }
}

// SAFETY: as for `Stacks`.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.range().0.end as *mut u8
    }

    fn range(&self) -> Range<usize> {
        self.range().0
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let (range, guard) = self.range();
        (range.start - guard) as *mut u8..range.start as *mut u8
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mut mapping) = self.mapping.take() else { return };
        mapping.uses += 1;
        if mapping.uses >= USES_BETWEEN_TRIMS {
            mapping.trim();
        }
        let mut free = self.free.stacks();
        if free.len() < self.free.max {
            free.push(mapping);
        }
    }
}

/// A stack's memory and the guard below it.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    bytes: usize,
    guard: usize,
    uses: u32,
}

// SAFETY: an address range that has one owner.
unsafe impl Send for Mapping {}
// SAFETY: nothing is done with it through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: usize) -> io::Result<Self> {
        let guard = rustix::param::page_size();
        let bytes = size.next_multiple_of(guard) + guard;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        // SAFETY: a new mapping at an address that the system chooses.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, flags) }?;
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Self { start, bytes, guard, uses: 0 };
        // SAFETY: the first page of what was mapped just now.
        unsafe { mprotect(start.as_ptr().cast(), guard, MprotectFlags::empty()) }?;
        Ok(mapping)
    }

    fn is_for(&self, size: usize) -> bool {
        self.bytes - self.guard == size.next_multiple_of(self.guard)
    }

    fn range(&self) -> Range<usize> {
        let start = self.start.as_ptr() as usize;
        start + self.guard..start + self.bytes
    }

    /// Gives what is deep in the stack back to the system.
    fn trim(&mut self) {
        self.uses = 0;
        let range = self.range();
        let deep = range.len().saturating_sub(KEPT_BYTES);
        // SAFETY: nobody runs on this stack; what is given back reads as zeros.
        if let Err(error) = unsafe { madvise(range.start as *mut _, deep, Advice::LinuxDontNeed) } {
            tracing::warn!(%error, "a stack cannot be given back to the system");
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it has one owner, which gives it up.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.bytes) } {
            tracing::error!(%error, "a stack cannot be given back");
        }
    }
}
