//! The linear memories of components that `elias-build` made. The host owns them: it reserves their address space,
//! fills them from images, and resets them to the images.
//!
//! - `image`: what a memory holds before an execution begins: a base that all have, and pages of its own.
//! - `file`: either, in a file that is kept and mapped.
//! - `slot`: one memory: a reservation of address space with the image's files mapped into it, private to the slot.
//! - `difference`: what a memory has that its image does not: a worker's heap.
//! - `page_map`: which pages of a slot differ from the file, asked of the system and never of the guest; `faults`:
//!   whether it has to be asked.
//! - `stack`: the native stacks that guests run on.
//!
//! # Invariants
//! 1. A reservation has one owner: a slot, or the list of free ones.
//! 2. In a slot the bytes below `Slot::len` can be read and written; what is above them, to the end of the guard, can
//!    be neither. Compiled code relies on it: it checks no bounds.
//! 3. When an execution begins, the memory has the image's bytes and the image's length; when a worker's turn begins,
//!    those of its heap: the image, the heap's difference to it, and the heap's length.
//! 4. Nothing but the guest touches a slot while the guest may run. `Slot::reset` is called between executions,
//!    `Slot::compare_part` and `Slot::undo` between a worker's turns, and `Slot::restore_part` before the guest ever
//!    runs in it; otherwise only what nobody owns any more is changed.
//! 5. The guest runs, and host functions write for it, within `Slot::watch`, on the thread that called it.
//!
//! wasmtime asks [`Memories`] for a memory while it instantiates a component, and does not say for which one:
//! [`instantiate`] leaves the image for it with the thread that polls, and takes the slot that was made of it. A memory
//! that is to be longer than its image has its length from the start, for wasmtime keeps a copy of it.

mod difference;
mod faults;
mod file;
mod image;
mod page_map;
mod slot;
mod stack;
#[cfg(test)]
mod tests;

pub(crate) use difference::{ChangedPage, Comparison, Difference, PAGE_BYTES, Page};
pub(crate) use image::{Base, Image};
pub(crate) use slot::Slot;
pub(crate) use stack::{KEPT_BYTES as STACK_KEPT_BYTES, Mapping as Stack, Stacks};

use page_map::PageMap;
use slot::Reservations;
use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

thread_local! {
    /// The memory for the component that this thread instantiates.
    static INSTANTIATED: RefCell<Handover> = const { RefCell::new(Handover { memory: None, slot: None }) };
    /// The stack that was made last for a guest of this thread.
    static STACK: RefCell<Option<Arc<Stack>>> = const { RefCell::new(None) };
}

struct Handover {
    /// The image, and the bytes that the memory is to have.
    memory: Option<(Arc<Image>, usize)>,
    slot: Option<Arc<Slot>>,
}

/// The memory allocator for wasmtime.
pub(crate) struct Memories {
    reservations: Arc<Reservations>,
    page_map: Arc<PageMap>,
}

impl Memories {
    /// Keeps up to this many reservations that are not in use.
    pub(crate) fn new(reservations: usize) -> Self {
        Self { reservations: Arc::new(Reservations::new(reservations)), page_map: Arc::new(PageMap::open()) }
    }
}

// SAFETY: by the second invariant a memory is accessible below its length and nowhere else within reservation and
// guard; it never moves; and it is the slot's alone until wasmtime drops it.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _: MemoryType,
        minimum: usize,
        _: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let memory = INSTANTIATED.with_borrow_mut(|handover| handover.memory.take());
        let memory = memory.ok_or("a component of elias-build has one memory, which it is given with its image")?;
        let (image, len) = memory;
        if image.len() != minimum {
            return Err(format!("the image has {} bytes, the memory {minimum}", image.len()));
        }
        let reserved = reserved.ok_or("memories are not reserved whole by this configuration")?;
        let slot = Slot::new(&self.reservations, &self.page_map, image, reserved, guard);
        let slot = slot.and_then(|slot| if len > minimum { slot.grow(len).map(|()| slot) } else { Ok(slot) });
        let slot = Arc::new(slot.map_err(|error| format!("the system gives no memory: {error}"))?);
        INSTANTIATED.with_borrow_mut(|handover| handover.slot = Some(Arc::clone(&slot)));
        Ok(Box::new(Memory(slot)))
    }
}

/// A slot as wasmtime knows it.
struct Memory(Arc<Slot>);

// SAFETY: as for `Memories`.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.0.len()
    }

    fn byte_capacity(&self) -> usize {
        self.0.capacity()
    }

    fn grow_to(&mut self, len: usize) -> wasmtime::Result<()> {
        Ok(self.0.grow(len)?)
    }

    fn as_ptr(&self) -> *mut u8 {
        self.0.start()
    }
}

/// Instantiates a component whose memory begins as `image`, or as this difference to it, and gives its slot beside what
/// `instantiating` gives. Yields while it restores a large difference.
///
/// # Errors
/// Those of `instantiating`; and if the component has no memory.
pub(crate) async fn instantiate<T>(
    image: &Arc<Image>,
    difference: Option<&Difference>,
    instantiating: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<(T, Arc<Slot>)> {
    let len = difference.map_or(image.len(), Difference::len);
    let mut instantiating = pin!(instantiating);
    let mut slot = None;
    let made = poll_fn(|cx| {
        let memory = slot.is_none().then(|| (Arc::clone(image), len));
        INSTANTIATED.set(Handover { memory, slot: None });
        let polled = instantiating.as_mut().poll(cx);
        let handover = INSTANTIATED.replace(Handover { memory: None, slot: None });
        slot = slot.take().or(handover.slot);
        polled
    })
    .await?;
    let slot = slot.ok_or_else(|| wasmtime::format_err!("the component has no memory"))?;
    let mut next = difference.map(|difference| (difference, 0));
    while let Some((difference, from)) = next {
        // SAFETY: no function of the guest was called in it yet, and nobody else has it.
        next = unsafe { slot.restore_part(difference, from) }.map(|from| (difference, from));
        if next.is_some() {
            // Each page is a page fault: megabytes take milliseconds, in which others have their turns.
            tokio::task::yield_now().await;
        }
    }
    Ok((made, slot))
}

/// Calls a guest: watches its memory, if that is the host's, and notes the stack that its store gets for the first call
/// and keeps for the others.
pub(crate) async fn watched<T>(
    slot: Option<&Slot>,
    noted: &mut Option<Arc<Stack>>,
    calling: impl Future<Output = T>,
) -> T {
    let mut calling = pin!(calling);
    poll_fn(|cx| {
        let mut poll = || match slot {
            Some(slot) => slot.watch(|| calling.as_mut().poll(cx)),
            None => calling.as_mut().poll(cx),
        };
        if noted.is_some() {
            return poll();
        }
        STACK.take();
        let polled = poll();
        *noted = STACK.take();
        polled
    })
    .await
}
