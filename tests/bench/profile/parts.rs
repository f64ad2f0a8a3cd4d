//! The part of a server that a sample of `perf record -g` belongs to, by what `perf script -F comm,ip,sym,dso` says of
//! it. The bench's programs have no harness for tests; those of this file are in `tests/e2e/profile_parts.rs`.

use std::collections::BTreeMap;

/// Functions of the kernel, and the part of those samples that have one of them in their stack. The first that fits
/// counts: a page fault while a response is copied is a page fault, and the client that a packet wakes up is network.
const KERNEL: [(&str, &[&str]); 7] = [
    (
        "kernel: which pages were written to",
        &["do_pagemap_scan", "pagemap_read", "__x64_sys_ioctl", "__arm64_sys_ioctl"],
    ),
    ("kernel: page faults", &["exc_page_fault", "handle_mm_fault", "do_user_addr_fault", "do_page_fault"]),
    (
        "kernel: memory system calls",
        &["do_madvise", "do_mmap", "vm_mmap_pgoff", "__vm_munmap", "do_mprotect_pkey", "__x64_sys_madvise"],
    ),
    (
        EPOLL_AND_FUTEX,
        &[
            "do_epoll_wait",
            "__x64_sys_epoll_wait",
            "do_epoll_ctl",
            "eventfd_write",
            "eventfd_read",
            "do_futex",
            "__x64_sys_futex",
        ],
    ),
    (
        "kernel: network",
        &[
            "do_writev",
            "sock_write_iter",
            "sock_read_iter",
            "sock_sendmsg",
            "sock_recvmsg",
            "__sys_sendto",
            "__sys_recvfrom",
            "__sys_sendmsg",
            "__sys_recvmsg",
            "__sys_accept4",
            "tcp_sendmsg",
            "tcp_recvmsg",
            "__x64_sys_writev",
            "__x64_sys_recvfrom",
            "__x64_sys_sendto",
        ],
    ),
    (LOG, &["ksys_write", "vfs_write"]),
    (EPOLL_AND_FUTEX, &["schedule", "__schedule", "exit_to_user_mode_loop", "irqentry_exit_to_user_mode"]),
];

const EPOLL_AND_FUTEX: &str = "kernel: epoll, futex and scheduling";
const LOG: &str = "log: formatting and writing lines";

/// Paths in Rust, and the part of the functions that name them. Of the paths in a function's name the first that is
/// here counts, and for one path the first line that it begins with.
const PATHS: [(&str, &str); 40] = [
    ("elias_host::recycling", "elias_host: instances and their memory"),
    ("elias_host::memory", "elias_host: instances and their memory"),
    ("elias_host::instance", "elias_host: instances and their memory"),
    ("elias_host::schedule", "elias_host: scheduling of guests"),
    ("elias_host", "elias_host: other"),
    ("elias_server::exchange::access_log", LOG),
    ("elias_server", "elias_server"),
    ("elias_serve::logging", LOG),
    ("elias_platform", "elias_platform"),
    ("elias_gateway", "elias_gateway"),
    ("elias_", "other crates of ELIAS"),
    ("tracing", LOG),
    ("matchers", LOG),
    ("sharded_slab", LOG),
    ("thread_local", LOG),
    ("chrono", LOG),
    ("time", LOG),
    ("wasmtime", "wasmtime"),
    ("cranelift", "wasmtime"),
    ("hyper", "hyper, h2 and http"),
    ("h2", "hyper, h2 and http"),
    ("http", "hyper, h2 and http"),
    ("httparse", "hyper, h2 and http"),
    ("httpdate", "hyper, h2 and http"),
    ("bytes", "hyper, h2 and http"),
    ("tokio", "tokio and mio"),
    ("mio", "tokio and mio"),
    ("futures", "tokio and mio"),
    ("parking_lot", "tokio and mio"),
    ("tikv_jemalloc", ALLOCATOR),
    ("__rustc", ALLOCATOR),
    ("compiler_builtins::mem", COPIES),
    ("compiler_builtins", "Rust's standard library"),
    ("ulid", "ids of executions"),
    ("rand", "ids of executions"),
    ("hashbrown", "Rust's standard library"),
    ("indexmap", "Rust's standard library"),
    ("core", "Rust's standard library"),
    ("alloc", "Rust's standard library"),
    ("std", "Rust's standard library"),
];

const ALLOCATOR: &str = "allocator";
const COPIES: &str = "copying and comparing memory";
const GUEST: &str = "guest code";
const LIBC: &str = "C library: other, and clocks";
const OTHER: &str = "other";

/// Functions of the C library and of the allocator, by how their names begin.
const C_FUNCTIONS: [(&str, &str); 15] = [
    ("__mem", COPIES),
    ("mem", COPIES),
    ("_rjem_", ALLOCATOR),
    ("je_", ALLOCATOR),
    ("malloc", ALLOCATOR),
    ("_int_malloc", ALLOCATOR),
    ("calloc", ALLOCATOR),
    ("realloc", ALLOCATOR),
    ("free", ALLOCATOR),
    ("cfree", ALLOCATOR),
    ("_int_free", ALLOCATOR),
    ("sdallocx", ALLOCATOR),
    ("__rust_", ALLOCATOR),
    ("__rdl_", ALLOCATOR),
    ("posix_memalign", ALLOCATOR),
];

/// A line of a sample: a function, and the file that it is in.
struct Frame<'a> {
    symbol: &'a str,
    file: &'a str,
}

impl<'a> Frame<'a> {
    /// Reads `ADDRESS SYMBOL (FILE)`; a symbol may have spaces and parentheses.
    fn read(line: &'a str) -> Option<Self> {
        let (_, rest) = line.trim().split_once(' ')?;
        let (symbol, file) = rest.strip_suffix(')')?.rsplit_once(" (")?;
        Some(Self { symbol, file })
    }

    fn is_kernel(&self) -> bool {
        self.file.starts_with('[') && !matches!(self.file, "[vdso]" | "[unknown]")
    }

    /// The part of a function that does not run in the kernel.
    fn part(&self) -> &'static str {
        let Self { symbol, file } = self;
        let is_compiled =
            |ending: &str| std::path::Path::new(file).extension().is_some_and(|extension| extension == ending);
        // Compiled code is mapped from the cache, or lies in memory of its own.
        if is_compiled("component") || is_compiled("module") || is_compiled("map") || file.starts_with("//anon") {
            return GUEST;
        }
        let c_function = || C_FUNCTIONS.iter().find(|(start, _)| symbol.starts_with(start)).map(|(_, part)| *part);
        if *file == "[vdso]" || file.contains("/libc.so") || file.contains("/libm.so") || file.contains("/libc-") {
            return c_function().unwrap_or(LIBC);
        }
        if symbol.contains("::") { path_part(symbol) } else { c_function().unwrap_or(OTHER) }
    }
}

/// The part of a Rust function. Its name may begin with the standard library's (`core::ptr::drop_in_place<..>`), whose
/// own part is that of what it is about.
fn path_part(symbol: &str) -> &'static str {
    const STANDARD: [&str; 4] = ["core", "alloc", "std", "compiler_builtins"];
    let part = |path: &str| PATHS.iter().find(|(start, _)| path.starts_with(start)).map(|(_, part)| *part);
    let is_standard = |path: &str| STANDARD.contains(&path.split("::").next().unwrap_or_default());
    let paths: Vec<&str> = symbol.split(|c: char| !is_of_a_path(c)).filter(|path| is_path(path)).collect();
    let own = paths.iter().filter(|path| !is_standard(path)).find_map(|path| part(path));
    own.or_else(|| paths.iter().find_map(|path| part(path))).unwrap_or(OTHER)
}

fn is_of_a_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// Whether a word is a path that begins with a crate. (`{{closure}}` leaves a path without its beginning.)
fn is_path(word: &str) -> bool {
    word.contains("::") && !word.starts_with("::")
}

/// The part of one sample: of its innermost function, or, in the kernel, of what the kernel was asked for. None if no
/// function is known.
pub(crate) fn part_of(sample: &str) -> Option<&'static str> {
    let frames: Vec<Frame<'_>> = sample.lines().filter_map(Frame::read).collect();
    let innermost = frames.first()?;
    if !innermost.is_kernel() {
        return Some(innermost.part());
    }
    let kernel: Vec<&str> = frames.iter().take_while(|frame| frame.is_kernel()).map(|frame| frame.symbol).collect();
    let is_in = |functions: &[&str]| functions.iter().any(|function| kernel.iter().any(|name| named(name, function)));
    let part = KERNEL.iter().find(|(_, functions)| is_in(functions)).map(|(part, _)| *part);
    Some(part.unwrap_or("kernel: other"))
}

/// Whether a function of the kernel is this one, perhaps a part that the compiler made of it (`.isra.0`), or the entry
/// to it (`asm_`).
fn named(symbol: &str, function: &str) -> bool {
    let symbol = symbol.split('.').next().unwrap_or_default();
    symbol.strip_prefix("asm_").unwrap_or(symbol) == function
}

/// The share of each part in the samples of `perf script`, in percent, by the part's name.
pub(crate) fn shares(script: &str) -> BTreeMap<&'static str, f64> {
    let mut counts = BTreeMap::<&str, u32>::new();
    for sample in script.split("\n\n") {
        if let Some(part) = part_of(sample) {
            *counts.entry(part).or_default() += 1;
        }
    }
    let all = f64::from(counts.values().sum::<u32>().max(1));
    counts.into_iter().map(|(part, count)| (part, f64::from(count) * 100.0 / all)).collect()
}
