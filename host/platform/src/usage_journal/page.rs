//! A file of counters that this process has mapped into its memory.
//!
//! What is added is in the kernel's page cache at once, so it survives the process however that ends; only the end of
//! the machine may lose it. An addition is a store to memory and no call of the system.

use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt};
use elias_names::TenantId;
use elias_telemetry::usage::UsageAmounts;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};
use std::io::{self, ErrorKind, Write};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers of 8 bytes in a slot: its state, the hour, the amounts, the bytes of the tenant's name and these. A slot is
/// 128 bytes, so that none is in two pages of memory.
const WORDS: usize = 16;
const STATE: usize = 0;
const HOUR: usize = 1;
const AMOUNTS: usize = 2;
const NAME_BYTES: usize = AMOUNTS + UsageAmounts::COUNT;
const NAME: usize = NAME_BYTES + 1;
/// The states of a slot.
const FREE: u64 = 0;
const IN_USE: u64 = 1;
const PROTECTION: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

const _: () = assert!(elias_names::NAME_BYTES_MAX <= (WORDS - NAME) * 8, "a name fits into a slot");

/// What a slot counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotContent {
    pub(super) tenant: TenantId,
    /// The hour, in hours since 1970.
    pub(super) hour: u64,
    pub(super) amounts: UsageAmounts,
}

/// The mapped file.
pub(super) struct Page {
    start: NonNull<AtomicU64>,
    slots: usize,
}

// SAFETY: the memory is read and written as atomic numbers only, and mapped as long as the page is there.
unsafe impl Send for Page {}
// SAFETY: likewise.
unsafe impl Sync for Page {}

impl Page {
    /// Makes a file with so many free slots, which is new; leaves none behind if it cannot.
    pub(super) fn create(folder: &Dir, name: &str, slots: usize) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = folder.open_with(name, &options)?;
        Self::of_file(file, slots).inspect_err(|_| {
            // Of a disk that is full it would take the last bytes. One that stays is deleted by the next run.
            let _ = folder.remove_file(name);
        })
    }

    /// Fills a file with so many free slots, and maps it.
    fn of_file(mut file: File, slots: usize) -> io::Result<Self> {
        let bytes = slots * WORDS * 8;
        // Written and not only extended: a page of a file with holes that finds the disk full ends the process.
        file.write_all(&vec![0; bytes])?;
        // SAFETY: a new mapping, of which nothing else in this process knows. The file has as many bytes, and nobody
        // makes it shorter: the data directory has one process, and only this crate knows of the file.
        let start = unsafe { mmap(std::ptr::null_mut(), bytes, PROTECTION, MapFlags::SHARED, &file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(ErrorKind::OutOfMemory)?;
        Ok(Self { start, slots })
    }

    /// Makes so many free slots in memory alone, for a host whose disk is full: they end with the process.
    pub(super) fn in_memory(slots: usize) -> io::Result<Self> {
        let bytes = slots * WORDS * 8;
        // SAFETY: a new mapping, of which nothing else in this process knows.
        let start = unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, PROTECTION, MapFlags::PRIVATE) }?;
        let start = NonNull::new(start.cast()).ok_or(ErrorKind::OutOfMemory)?;
        Ok(Self { start, slots })
    }

    /// The slots in use of a file that a former process left. What is no slot is skipped.
    pub(super) fn read(folder: &Dir, name: &str) -> io::Result<Vec<SlotContent>> {
        let bytes = folder.read(name)?;
        let slots = bytes.chunks_exact(WORDS * 8).filter_map(|slot| {
            let mut words = slot.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word));
            content(&std::array::from_fn(|_| words.next().unwrap_or_default()))
        });
        Ok(slots.collect())
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped for as long as `self` is there, aligned to a page of memory, and of this many numbers. Zeros
        // are valid ones.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.slots * WORDS) }
    }

    fn slot(&self, slot: usize) -> &[AtomicU64] {
        &self.words()[slot * WORDS..(slot + 1) * WORDS]
    }

    /// Begins to count in a free slot.
    pub(super) fn begin(&self, slot: usize, tenant: &TenantId, hour: u64) {
        let words = self.slot(slot);
        words[HOUR].store(hour, Ordering::Relaxed);
        words[AMOUNTS..NAME_BYTES].iter().for_each(|amount| amount.store(0, Ordering::Relaxed));
        let name = tenant.as_str().as_bytes();
        words[NAME_BYTES].store(name.len() as u64, Ordering::Relaxed);
        for (word, bytes) in words[NAME..].iter().zip(name.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
        // Last: a slot that is not in use is not read after the end of the process.
        words[STATE].store(IN_USE, Ordering::Release);
    }

    /// Adds to a slot in use.
    pub(super) fn add(&self, slot: usize, amounts: UsageAmounts) {
        for (word, amount) in self.slot(slot)[AMOUNTS..NAME_BYTES].iter().zip(amounts.to_array()) {
            if amount > 0 {
                word.fetch_add(amount, Ordering::Relaxed);
            }
        }
    }

    /// What a slot counts, if it is in use.
    pub(super) fn get(&self, slot: usize) -> Option<SlotContent> {
        let words = self.slot(slot);
        // Most are free, and the order says that the rest of one in use is there.
        if words[STATE].load(Ordering::Acquire) == FREE {
            return None;
        }
        content(&std::array::from_fn(|at| words[at].load(Ordering::Relaxed)))
    }

    /// Frees a slot.
    pub(super) fn free(&self, slot: usize) {
        self.slot(slot)[STATE].store(FREE, Ordering::Release);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: nobody has a reference into it: those of `words` do not outlive `self`.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.slots * WORDS * 8) } {
            tracing::error!(%error, "the counters of usage cannot be unmapped");
        }
    }
}

/// The content of a slot in use, whose tenant must be a name.
fn content(words: &[u64; WORDS]) -> Option<SlotContent> {
    if words[STATE] != IN_USE {
        return None;
    }
    let bytes: Vec<u8> = words[NAME..].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let name = bytes.get(..usize::try_from(words[NAME_BYTES]).ok()?)?;
    let tenant = std::str::from_utf8(name).ok()?.parse().ok()?;
    let amounts = std::array::from_fn(|at| words[AMOUNTS + at]);
    Some(SlotContent { tenant, hour: words[HOUR], amounts: UsageAmounts::from_array(amounts) })
}
