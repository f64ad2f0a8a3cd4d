//! The memory that SQLite takes, accounted to components.
//!
//! SQLite asks one allocator for all that it has, of every connection in the process; the platform's own store lives in
//! the same library. So a limit of the process (`sqlite3_hard_heap_limit64`) would let one component starve all others
//! and the platform. Here a thread says for whom it works, and what SQLite allocates meanwhile is charged to that
//! account until it is freed, by whichever thread. What is over the account's limit is refused, of which SQLite makes
//! `SQLITE_NOMEM`: the statement fails and the connection stays. A thread that works for nobody is not limited.
//!
//! The allocator must be set before SQLite is initialised by anyone, so it is set before `main`. Where a program
//! manages to be earlier (SQLite in a constructor of its own), databases of components are refused: see
//! [`is_installed`].

use rusqlite::ffi;
use std::alloc::Layout;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Allocations from this size on ask whether the statement may go on: what takes long allocates what it makes.
const ASKS_BYTES: usize = 64 << 10;

/// Blocks from this size on are the system's own pages, which go back to it when they are freed.
const PAGES_BYTES: usize = 1 << 20;

/// The memory that one component may have, and has.
#[derive(Debug)]
pub(super) struct Account {
    most: usize,
    used: AtomicUsize,
    refused: AtomicBool,
}

impl Account {
    /// An account of at most `most` bytes.
    pub(super) fn new(most: u64) -> Arc<Self> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Arc::new(Self { most, used: AtomicUsize::new(0), refused: AtomicBool::new(false) })
    }

    /// Bytes that SQLite has for it.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether more than a quarter is in use.
    pub(super) fn is_strained(&self) -> bool {
        self.used() > self.most / 4
    }

    /// Whether something was refused since this was last asked.
    pub(super) fn was_refused(&self) -> bool {
        self.refused.swap(false, Ordering::Relaxed)
    }

    fn charge(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.most);
        let charged = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if !charged {
            self.refused.store(true, Ordering::Relaxed);
        }
        charged
    }

    fn credit(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The component that a thread works for.
#[derive(Clone, Copy)]
struct Work {
    account: NonNull<Account>,
    /// Whether what is under way is to end. It is looked at when something large is allocated, or a page is read.
    stopped: NonNull<AtomicBool>,
    /// When it is to end, if whoever reads pages is to look at the clock too.
    until: Option<Instant>,
}

/// Pages that are read between two looks at the clock.
const LOOK_READS: u32 = 32;

thread_local! {
    static WORK: Cell<Option<Work>> = const { Cell::new(None) };
    /// Whether the work was told to end by [`is_to_end`].
    static TOLD: Cell<bool> = const { Cell::new(false) };
    /// Looks of [`is_to_end`].
    static READS: Cell<u32> = const { Cell::new(0) };
}

/// Whether the work of this thread is to end; said once of each piece of work, since SQLite goes on reading to undo
/// what was done. Sets the flag itself where the time is over: another thread that is to set it may wait for a core.
pub(super) fn is_to_end() -> bool {
    let Some(work) = WORK.get() else { return false };
    // SAFETY: it outlives the work that it is set for.
    let stopped = unsafe { work.stopped.as_ref() };
    let reads = READS.replace(READS.get().wrapping_add(1));
    if reads.is_multiple_of(LOOK_READS) && work.until.is_some_and(|until| Instant::now() > until) {
        stopped.store(true, Ordering::Relaxed);
    }
    stopped.load(Ordering::Relaxed) && !TOLD.replace(true)
}

/// Does something for an account. Large allocations fail once `stopped` is set, and one read of a file does.
pub(super) fn on_account<T>(account: &Arc<Account>, stopped: &AtomicBool, work: impl FnOnce() -> T) -> T {
    on_account_until(account, stopped, None, work)
}

/// The same for work whose reads of files set `stopped` themselves once the time is over.
pub(super) fn on_account_until<T>(
    account: &Arc<Account>,
    stopped: &AtomicBool,
    until: Option<Instant>,
    work: impl FnOnce() -> T,
) -> T {
    struct Restore(Option<Work>);
    impl Drop for Restore {
        fn drop(&mut self) {
            WORK.set(self.0);
        }
    }
    TOLD.set(false);
    let (account, stopped) = (NonNull::from(&**account), NonNull::from(stopped));
    let _restore = Restore(WORK.replace(Some(Work { account, stopped, until })));
    work()
}

/// The header of every block.
#[repr(C, align(16))]
struct Header {
    size: usize,
    /// The account that it is charged to, of which it holds a reference; or null.
    account: *const Account,
}

const HEADER: usize = size_of::<Header>();

/// The bytes of a block and its header, as SQLite's sizes are.
fn whole(size: usize) -> usize {
    size + HEADER
}

// SAFETY, of the functions below: SQLite gives them blocks that they have made and that are not freed yet, and sizes
// above zero. A block's account is alive as long as the block, which holds a reference to it.

unsafe extern "C" fn malloc(size: c_int) -> *mut c_void {
    let Ok(size) = usize::try_from(size) else { return ptr::null_mut() };
    let mut account = ptr::null();
    if let Some(work) = WORK.get() {
        // SAFETY: both outlive the work that they are set for.
        let (owner, stopped) = unsafe { (work.account.as_ref(), work.stopped.as_ref()) };
        if (size >= ASKS_BYTES && stopped.load(Ordering::Relaxed)) || !owner.charge(whole(size)) {
            return ptr::null_mut();
        }
        account = work.account.as_ptr().cast_const();
        // SAFETY: it is that of an Arc, which is alive.
        unsafe { Arc::increment_strong_count(account) };
    }
    // SAFETY: as above.
    unsafe {
        let block = pages::allocate(whole(size)).cast::<Header>();
        if block.is_null() {
            release(account, whole(size));
            return ptr::null_mut();
        }
        block.write(Header { size, account });
        block.add(1).cast()
    }
}

/// Gives back what a block was charged.
unsafe fn release(account: *const Account, bytes: usize) {
    if !account.is_null() {
        // SAFETY: the block's reference keeps it alive, and is given up here.
        unsafe {
            (*account).credit(bytes);
            Arc::decrement_strong_count(account);
        }
    }
}

unsafe fn header(block: *mut c_void) -> *mut Header {
    // SAFETY: as above.
    unsafe { block.cast::<Header>().sub(1) }
}

unsafe extern "C" fn free(block: *mut c_void) {
    if block.is_null() {
        return;
    }
    // SAFETY: as above.
    unsafe {
        let header = header(block);
        let Header { size, account } = header.read();
        pages::free(header.cast(), whole(size));
        release(account, whole(size));
    }
}

unsafe extern "C" fn realloc(block: *mut c_void, size: c_int) -> *mut c_void {
    let Ok(size) = usize::try_from(size) else { return ptr::null_mut() };
    // SAFETY: as above.
    unsafe {
        let header = header(block);
        let Header { size: before, account } = header.read();
        if size > before {
            if let Some(work) = WORK.get()
                && size >= ASKS_BYTES
                && work.stopped.as_ref().load(Ordering::Relaxed)
            {
                return ptr::null_mut();
            }
            if !account.is_null() && !(*account).charge(size - before) {
                return ptr::null_mut();
            }
        }
        let moved = pages::reallocate(header.cast(), whole(before), whole(size)).cast::<Header>();
        if moved.is_null() {
            if size > before && !account.is_null() {
                (*account).credit(size - before);
            }
            return ptr::null_mut();
        }
        if size < before && !account.is_null() {
            (*account).credit(before - size);
        }
        moved.write(Header { size, account });
        moved.add(1).cast()
    }
}

unsafe extern "C" fn size(block: *mut c_void) -> c_int {
    // SAFETY: as above.
    let size = if block.is_null() { 0 } else { unsafe { (*header(block)).size } };
    c_int::try_from(size).unwrap_or(c_int::MAX)
}

unsafe extern "C" fn round_up(size: c_int) -> c_int {
    size.saturating_add(7) & !7
}

unsafe extern "C" fn init(_: *mut c_void) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shut_down(_: *mut c_void) {}

/// Blocks: small ones of the program's allocator, large ones of the system.
mod pages {
    use super::{Layout, PAGES_BYTES};
    use std::ptr;

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, 16).unwrap_or(Layout::new::<u128>())
    }

    #[cfg(target_os = "linux")]
    fn is_paged(bytes: usize) -> bool {
        bytes >= PAGES_BYTES
    }

    #[cfg(not(target_os = "linux"))]
    fn is_paged(bytes: usize) -> bool {
        let _ = (bytes, PAGES_BYTES);
        false
    }

    /// Bytes that are not set, or null.
    pub(super) unsafe fn allocate(bytes: usize) -> *mut u8 {
        #[cfg(target_os = "linux")]
        if is_paged(bytes) {
            let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: new pages, of nobody's.
            let mapped = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, kind, -1, 0) };
            return if mapped == libc::MAP_FAILED { ptr::null_mut() } else { mapped.cast() };
        }
        // SAFETY: the size is not zero: a header is in it.
        unsafe { std::alloc::alloc(layout(bytes)) }
    }

    /// Frees what was allocated with this size.
    pub(super) unsafe fn free(block: *mut u8, bytes: usize) {
        #[cfg(target_os = "linux")]
        if is_paged(bytes) {
            // SAFETY: these are the pages that were mapped.
            unsafe { libc::munmap(block.cast(), bytes) };
            return;
        }
        // SAFETY: it was allocated so.
        unsafe { std::alloc::dealloc(block, layout(bytes)) };
    }

    /// Changes a block's size; null, and the block is as it was, if that cannot be.
    pub(super) unsafe fn reallocate(block: *mut u8, before: usize, bytes: usize) -> *mut u8 {
        #[cfg(target_os = "linux")]
        if is_paged(before) && is_paged(bytes) {
            // SAFETY: these are the pages that were mapped.
            let moved = unsafe { libc::mremap(block.cast(), before, bytes, libc::MREMAP_MAYMOVE) };
            return if moved == libc::MAP_FAILED { ptr::null_mut() } else { moved.cast() };
        }
        // SAFETY: both blocks are of the sizes that are said here.
        unsafe {
            if !is_paged(before) && !is_paged(bytes) {
                return std::alloc::realloc(block, layout(before), bytes);
            }
            let moved = allocate(bytes);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, before.min(bytes));
                free(block, before);
            }
            moved
        }
    }
}

/// Whether SQLite's memory is accounted. It is not if SQLite was initialised before this could be set up.
pub(super) fn is_installed() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let methods = ffi::sqlite3_mem_methods {
            xMalloc: Some(malloc),
            xFree: Some(free),
            xRealloc: Some(realloc),
            xSize: Some(size),
            xRoundup: Some(round_up),
            xInit: Some(init),
            xShutdown: Some(shut_down),
            pAppData: ptr::null_mut(),
        };
        // SAFETY: SQLite copies the methods, and refuses them if it is in use.
        let set = unsafe { ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, ptr::from_ref(&methods)) };
        set == ffi::SQLITE_OK
    })
}

/// Runs before `main`, and so before anybody can have opened a database.
#[used]
#[cfg_attr(
    any(target_os = "linux", target_os = "android", target_os = "freebsd"),
    unsafe(link_section = ".init_array")
)]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(windows, unsafe(link_section = ".CRT$XCU"))]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        is_installed();
    }
    before_main
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_charged_and_credited_by_whichever_thread() {
        assert!(is_installed());
        let (account, stopped) = (Account::new(10 << 20), AtomicBool::new(false));
        let connection = on_account(&account, &stopped, || {
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let large = connection.query_row("SELECT length(zeroblob(9000000))", [], |row| row.get::<_, i64>(0));
            assert_eq!(large.unwrap(), 9_000_000);
            let two =
                connection.query_row("SELECT max(hex(zeroblob(4000000)), 'a')", [], |row| row.get::<_, String>(0));
            assert!(two.is_err() && account.was_refused());
            connection
        });
        assert!(account.used() > 0);
        // For nobody: there is no limit.
        let free = connection.query_row("SELECT length(hex(zeroblob(9000000)))", [], |row| row.get::<_, i64>(0));
        assert_eq!(free.unwrap(), 18_000_000);
        std::thread::spawn(move || drop(connection)).join().unwrap();
        assert!(account.used() < 1 << 20, "{}", account.used());
    }

    #[test]
    fn what_was_stopped_allocates_nothing_large() {
        let (account, stopped) = (Account::new(100 << 20), AtomicBool::new(false));
        on_account(&account, &stopped, || {
            let connection = rusqlite::Connection::open_in_memory().unwrap();
            let query = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            stopped.store(true, Ordering::Relaxed);
            assert!(query("SELECT length(zeroblob(1000))").is_ok());
            assert!(query("SELECT length(hex(zeroblob(1000000)))").is_err());
            stopped.store(false, Ordering::Relaxed);
            assert!(query("SELECT length(hex(zeroblob(1000000)))").is_ok());
        });
    }

    #[test]
    fn blocks_keep_what_is_in_them_when_they_grow_and_shrink() {
        // SAFETY: the block is this test's own.
        unsafe {
            let mut block = malloc(1000).cast::<u8>();
            for at in 0..1000 {
                block.add(at).write((at % 251) as u8);
            }
            for bytes in [100_000, 2_000_000, 9_000_000, 1_500_000, 1000] {
                block = realloc(block.cast(), bytes).cast();
                assert_eq!(size(block.cast()), bytes);
                assert!((0..1000).all(|at| block.add(at).read() == (at % 251) as u8), "{bytes}");
            }
            free(block.cast());
        }
    }
}
