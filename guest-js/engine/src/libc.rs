//! The few system functions that libc and std call in WASI preview 1, implemented over WASI 0.2, so that the engine
//! needs no adapter and a component imports only what it uses.
//!
//! wasi-libc calls each through a symbol of this form; defining the symbol here takes the import's place. What libc
//! does too slowly is here in the same way.

use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::build_report;
use crate::phase::{self, Import};

const SUCCESS: i32 = 0;
const BAD_FILE: i32 = 8;
const REALTIME: i32 = 0;

/// Eight bytes at a time: wasi-libc's compares one by one, and texts are compared in every request.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    let mut at = 0;
    // SAFETY: the caller passes that many bytes on both sides.
    unsafe {
        while length - at >= 8 {
            let a = left.add(at).cast::<u64>().read_unaligned();
            let b = right.add(at).cast::<u64>().read_unaligned();
            if a != b {
                return if a.swap_bytes() < b.swap_bytes() { -1 } else { 1 };
            }
            at += 8;
        }
        while at < length {
            let (a, b) = (*left.add(at), *right.add(at));
            if a != b {
                return i32::from(a) - i32::from(b);
            }
            at += 1;
        }
    }
    0
}

/// Milliseconds of the wall clock would do for Date; nanoseconds are what the interface carries.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_clock_time_get(clock: i32, _precision: i64, out: *mut u64) -> i32 {
    let nanoseconds = if phase::building() {
        if clock == REALTIME {
            build_report::clock_was_read();
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

/// Seeds std's hash maps. They hold no keys that a client chooses, so a constant serves, and keeps the snapshot the
/// same.
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
