//! The allocator of the process.
//!
//! A server that was attacked, or had a busy hour, has to be small again afterwards. The C library's allocator keeps
//! what lies below a block that is still in use; this one returns pages that nobody used for a while, whatever lies
//! beside them, and does so from a thread of its own. C libraries (SQLite, compression) use it too.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// jemalloc's options (see its manual's section TUNING): pages go two seconds after their last use.
// SAFETY: nobody else defines this symbol, for which jemalloc looks.
#[unsafe(export_name = "malloc_conf")]
static OPTIONS: Options = Options(c"background_thread:true,dirty_decay_ms:2000,muzzy_decay_ms:0".as_ptr());

/// A C string that is never changed.
struct Options(#[expect(dead_code, reason = "jemalloc reads it")] *const std::ffi::c_char);

// SAFETY: it points to a constant.
unsafe impl Sync for Options {}
