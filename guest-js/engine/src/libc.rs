//! The few system functions that libc and std ask of WASI preview 1, over WASI 0.2, so that the engine needs no adapter
//! and a component imports only what it uses.
//!
//! wasi-libc calls each through a symbol of this form; defining the symbol here takes the import's place.

use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::phase::{self, Import};
use std::ffi::c_void;

const SUCCESS: i32 = 0;
const BAD_FILE: i32 = 8;
const REALTIME: i32 = 0;

/// Milliseconds of the wall clock would do for Date; nanoseconds are what the interface carries.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_clock_time_get(clock: i32, _precision: i64, out: *mut u64) -> i32 {
    let nanoseconds = if phase::building() {
        if clock == REALTIME {
            crate::build::clock_was_read();
            phase::source_date().saturating_mul(1_000_000_000)
        } else {
            0
        }
    } else if clock == REALTIME && phase::wired(Import::WallClock) {
        let now = wall_clock::now();
        now.seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(now.nanoseconds))
    } else if clock != REALTIME && phase::wired(Import::MonotonicClock) {
        monotonic_clock::now()
    } else {
        phase::source_date().saturating_mul(1_000_000_000)
    };
    // SAFETY: libc passes a valid, aligned place for the result.
    unsafe { out.write(nanoseconds) };
    SUCCESS
}

/// Seeds std's hash maps. They hold no keys that a client chooses, so a constant serves, and keeps the snapshot the same.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_random_get(buffer: *mut u8, length: usize) -> i32 {
    // SAFETY: libc passes a buffer of that length.
    unsafe { std::slice::from_raw_parts_mut(buffer, length) }.fill(0x5e);
    SUCCESS
}

/// Standard output and error do not exist; what is written there is dropped.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_write(
    _fd: i32,
    vectors: *const [usize; 2],
    count: usize,
    written: *mut usize,
) -> i32 {
    // SAFETY: libc passes `count` vectors of pointer and length, and a place for the result.
    unsafe {
        let total = std::slice::from_raw_parts(vectors, count).iter().map(|[_, length]| length).sum();
        written.write(total);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_environ_sizes_get(count: *mut usize, bytes: *mut usize) -> i32 {
    // SAFETY: libc passes valid places for the results.
    unsafe {
        count.write(0);
        bytes.write(0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_environ_get(_environ: *mut *mut u8, _buffer: *mut u8) -> i32 {
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_close(_fd: i32) -> i32 {
    BAD_FILE
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_seek(_fd: i32, _offset: i64, _whence: i32, _out: *mut u64) -> i32 {
    BAD_FILE
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_fdstat_get(_fd: i32, _out: *mut u8) -> i32 {
    BAD_FILE
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_proc_exit(_code: i32) -> ! {
    core::arch::wasm32::unreachable()
}

unsafe extern "C" {
    fn malloc_usable_size(memory: *mut c_void) -> usize;
    fn malloc(size: usize) -> *mut c_void;
    fn __real_free(memory: *mut c_void);
    fn __real_realloc(memory: *mut c_void, size: usize) -> *mut c_void;
}

/// `free`, by the linker's `--wrap`. In the build phase it leaves zeros, so that what the parser and the top level threw
/// away does not end up in the image.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_free(memory: *mut c_void) {
    // SAFETY: the caller passes what an allocation gave, or null.
    unsafe {
        if phase::building() && !memory.is_null() {
            memory.cast::<u8>().write_bytes(0, malloc_usable_size(memory));
        }
        __real_free(memory);
    }
}

/// `realloc`, likewise: moving must not leave a copy behind.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller passes what an allocation gave, or null; both places are at least as long as what is copied.
    unsafe {
        if !phase::building() || memory.is_null() || size <= malloc_usable_size(memory) {
            return __real_realloc(memory, size);
        }
        let moved = malloc(size);
        if !moved.is_null() {
            moved.cast::<u8>().copy_from_nonoverlapping(memory.cast(), malloc_usable_size(memory));
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
    // SAFETY: `head` is the head of the chunk after `headroom`: dlmalloc always has one. It is the top chunk, which goes
    // back to being one with `headroom`, if a chunk that reaches to the end of memory, as only the trailing one does,
    // follows it; no other place is written to.
    unsafe {
        let headroom = malloc(bytes);
        if headroom.is_null() {
            return;
        }
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
