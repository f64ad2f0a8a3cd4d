//! Asks the system which pages of a private mapping were written to, and so no longer have the file's bytes.
//!
//! A page that was written to is anonymous: present or swapped, and not of the file. That also holds for a page which
//! the system is moving at the moment. See proc_pid_pagemap(5), and
//! <https://docs.kernel.org/admin-guide/mm/pagemap.html>.

use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl};
use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The system interface that tells which pages were written to.
#[derive(Debug)]
pub(super) enum PageMap {
    /// By `PAGEMAP_SCAN`, which lists ranges: Linux 6.7.
    Scan(File),
    /// By the entries of `/proc/self/pagemap`, eight bytes a page.
    Entries(File),
    /// Not at all.
    Unknown,
}

/// The argument of the `PAGEMAP_SCAN` request: `struct pm_scan_arg`.
#[repr(C)]
#[derive(Default)]
struct ScanArgument {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// The argument, which is read again after the request.
struct ScanByReference<'a>(&'a mut ScanArgument);

// SAFETY: the request reads and writes a `struct pm_scan_arg`, and as many regions as that says there is room for.
unsafe impl Ioctl for ScanByReference<'_> {
    /// How many regions were found.
    type Output = usize;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        PAGEMAP_SCAN
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(found: IoctlOutput, _: *mut c_void) -> rustix::io::Result<usize> {
        usize::try_from(found).map_err(|_| rustix::io::Errno::OVERFLOW)
    }
}

/// `struct page_region`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: Opcode = 0xC060_6610;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;

/// Bits of an entry of `/proc/self/pagemap`.
const ENTRY_IS_PRESENT: u64 = 1 << 63;
const ENTRY_IS_SWAPPED: u64 = 1 << 62;
const ENTRY_IS_FILE: u64 = 1 << 61;

impl PageMap {
    /// The best way that this system has.
    pub(super) fn open() -> Self {
        let all = [Self::scan(), Self::entries()];
        all.into_iter().flatten().find(Self::works).unwrap_or(Self::Unknown)
    }

    pub(super) fn scan() -> Option<Self> {
        Some(Self::Scan(File::open("/proc/self/pagemap").ok()?))
    }

    pub(super) fn entries() -> Option<Self> {
        Some(Self::Entries(File::open("/proc/self/pagemap").ok()?))
    }

    /// Whether the system answers, and knows this function's own stack as written.
    pub(super) fn works(&self) -> bool {
        let page = rustix::param::page_size();
        let probe = 0_u8;
        let start = std::ptr::from_ref(&probe) as usize & !(page - 1);
        let mut found = false;
        self.written(start, page, |_| found = true).is_ok() && found
    }

    /// Calls `each` with the ranges of pages between `start` and `start + len` that are no longer the file's, as
    /// offsets in bytes from `start`; with none of them where the system does not say. Both are multiples of the page
    /// size.
    ///
    /// # Errors
    /// If the system refuses to answer.
    pub(super) fn written(&self, start: usize, len: usize, each: impl FnMut(Range<usize>)) -> io::Result<()> {
        match self {
            Self::Scan(file) => scan(file, start, len, each),
            Self::Entries(file) => read(file, start, len, each),
            Self::Unknown => Ok(()),
        }
    }

    /// Whether the system says what was written.
    pub(super) fn knows(&self) -> bool {
        !matches!(self, Self::Unknown)
    }
}

fn scan(file: &File, start: usize, len: usize, mut each: impl FnMut(Range<usize>)) -> io::Result<()> {
    let end = start + len;
    let mut at = start;
    let mut regions = [Region::default(); 128];
    while at < end {
        let mut argument = ScanArgument {
            size: size_of::<ScanArgument>() as u64,
            start: at as u64,
            end: end as u64,
            vec: regions.as_mut_ptr() as u64,
            vec_len: regions.len() as u64,
            category_inverted: PAGE_IS_FILE,
            category_mask: PAGE_IS_FILE,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT,
            ..ScanArgument::default()
        };
        // SAFETY: `vec` points to as many regions as `vec_len` says.
        let found = unsafe { ioctl(file, ScanByReference(&mut argument)) }?;
        for region in &regions[..found.min(regions.len())] {
            each(region.start as usize - start..region.end as usize - start);
        }
        let walked = argument.walk_end as usize;
        if walked <= at {
            return Err(io::Error::other("PAGEMAP_SCAN does not go on"));
        }
        at = walked;
    }
    Ok(())
}

fn read(file: &File, start: usize, len: usize, mut each: impl FnMut(Range<usize>)) -> io::Result<()> {
    const ENTRY_BYTES: usize = 8;
    let page = rustix::param::page_size();
    let mut entries = [0_u8; 512 * ENTRY_BYTES];
    let mut at = 0;
    while at < len {
        let wanted = ((len - at) / page * ENTRY_BYTES).min(entries.len());
        file.read_exact_at(&mut entries[..wanted], ((start + at) / page * ENTRY_BYTES) as u64)?;
        for entry in entries[..wanted].as_chunks::<ENTRY_BYTES>().0 {
            let entry = u64::from_ne_bytes(*entry);
            if is_written(entry) {
                each(at..at + page);
            }
            at += page;
        }
    }
    Ok(())
}

/// Whether the page of this entry is no longer the file's. One that was swapped out, or that the system is moving, is
/// not present, and is the mapping's own all the same.
fn is_written(entry: u64) -> bool {
    entry & (ENTRY_IS_PRESENT | ENTRY_IS_SWAPPED) != 0 && entry & ENTRY_IS_FILE == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_present_may_have_been_written_to() {
        for (entry, wanted) in [
            (0, false),
            (ENTRY_IS_FILE, false),
            (ENTRY_IS_PRESENT | ENTRY_IS_FILE, false),
            (ENTRY_IS_SWAPPED | ENTRY_IS_FILE, false),
            (ENTRY_IS_PRESENT, true),
            (ENTRY_IS_SWAPPED, true),
            // With the place in the swap file in the lower bits.
            (ENTRY_IS_SWAPPED | 0x0012_3456, true),
        ] {
            assert_eq!(is_written(entry), wanted, "{entry:#x}");
        }
    }
}
