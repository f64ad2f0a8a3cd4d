//! Counts the page faults of a thread.
//!
//! A page of a private mapping becomes the mapping's own by a fault of the thread that writes to it, be it in its own
//! code or in a system call for it: while the count stays, none does. Asking for the count is much cheaper than asking
//! which pages there are. See getrusage(2), `RUSAGE_THREAD`.

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use std::sync::LazyLock;

/// Whether the system counts: some that stand in for Linux always say 0.
static IS_COUNTED: LazyLock<bool> = LazyLock::new(|| is_counted().unwrap_or(false));

/// The page faults of this thread until now; none where the system does not count them.
pub(super) fn count() -> Option<u64> {
    if *IS_COUNTED { ask() } else { None }
}

fn ask() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: there is room for what it writes.
    let result = unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: written whole, since the call succeeded.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_minflt.checked_add(usage.ru_majflt)?).ok()
}

/// Whether writing to a page that was not there counts.
fn is_counted() -> Option<bool> {
    let page = rustix::param::page_size();
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping at an address that the system chooses.
    let start = unsafe { mmap_anonymous(std::ptr::null_mut(), page, protection, MapFlags::PRIVATE) }.ok()?;
    let before = ask();
    // SAFETY: the page is this function's own, and can be written to.
    unsafe { start.cast::<u8>().write_volatile(1) };
    let after = ask();
    // SAFETY: as above; nobody accesses it any more.
    unsafe { munmap(start, page) }.ok()?;
    Some(after? > before?)
}
