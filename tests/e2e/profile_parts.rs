//! The parts by which the bench shows where a server's CPU goes.

#[path = "../bench/profile/parts.rs"]
mod parts;

use parts::{part_of, shares};
use std::collections::BTreeMap;

const SERVER: &str = "/srv/elias-serve";
const LIBC: &str = "/usr/lib/x86_64-linux-gnu/libc.so.6";
const SCHEDULING: &str = "kernel: epoll, futex and scheduling";
const LOG: &str = "log: formatting and writing lines";
const OTHER_OF_RUST: &str = "Rust's standard library";

/// A sample as `perf script` prints it: functions, the innermost first, each with the file that it is in.
fn sample(frames: &[(&str, &str)]) -> String {
    let frames: String = frames.iter().map(|(symbol, file)| format!("\t   7fbfd351cec1 {symbol} ({file})\n")).collect();
    format!("tokio-rt-worker \n{frames}")
}

#[test]
fn samples_of_the_kernel_belong_to_what_it_was_asked_for() {
    let cases: [(&[&str], &str); 10] = [
        (&["_raw_spin_lock", "sock_def_readable", "tcp_sendmsg", "do_writev", "do_syscall_64"], "kernel: network"),
        (&["vm_normal_page", "do_pagemap_scan", "do_syscall_64"], "kernel: which pages were written to"),
        (&["__handle_mm_fault", "exc_page_fault", "asm_exc_page_fault"], "kernel: page faults"),
        (&["clear_page", "asm_exc_page_fault", "tcp_sendmsg", "do_writev"], "kernel: page faults"),
        (&["finish_task_switch.isra.0", "__schedule", "futex_wait", "do_futex"], SCHEDULING),
        (&["finish_task_switch.isra.0", "schedule", "exit_to_user_mode_loop"], SCHEDULING),
        (&["tcp_poll", "ep_send_events", "do_epoll_wait"], SCHEDULING),
        (&["tlb_finish_mmu", "do_madvise", "do_syscall_64"], "kernel: memory system calls"),
        (&["ext4_buffered_write_iter", "vfs_write", "ksys_write"], LOG),
        (&["do_syscall_64", "entry_SYSCALL_64_after_hwframe"], "kernel: other"),
    ];
    for (functions, part) in cases {
        let mut frames: Vec<_> = functions.iter().map(|function| (*function, "[kernel.kallsyms]")).collect();
        frames.extend([("__GI___writev", LIBC), ("elias_host::memory::slot::Slot::reset", SERVER)]);
        assert_eq!(part_of(&sample(&frames)), Some(part), "{functions:?}");
    }
}

#[test]
fn functions_belong_to_the_crate_that_they_name_first() {
    for (symbol, part) in [
        ("elias_host::recycling::pool::InstancePool<H>::take", "elias_host: instances and their memory"),
        ("elias_host::fetch::handle::{{closure}}::{{closure}}", "elias_host: other"),
        (
            "<elias_host::schedule::guest::Scheduled<F> as core::future::Future>::poll",
            "elias_host: scheduling of guests",
        ),
        ("core::ptr::drop_in_place<core::option::Option<hyper::error::Error>>", "hyper, h2 and http"),
        ("<tracing_subscriber::fmt::Layer<S> as tracing_core::subscriber::Subscriber>::event", LOG),
        ("<core::panic::unwind_safe::AssertUnwindSafe<F> as core::future::Future>::poll", OTHER_OF_RUST),
        ("wasmtime_environ::module_artifacts::CompiledFunctionsTable::func_loc", "wasmtime"),
        ("tokio::runtime::context::scoped::Scoped<T>::set", "tokio and mio"),
        ("elias_api::version::Version::read", "other crates of ELIAS"),
        ("__rustc::__rdl_alloc", "allocator"),
        ("_rjem_je_arena_malloc_hard", "allocator"),
        ("<(A,B) as serde::de::Deserialize>::deserialize", "other"),
        ("sqlite3VdbeExec", "other"),
        ("[unknown]", "other"),
    ] {
        assert_eq!(part_of(&sample(&[(symbol, SERVER)])), Some(part), "{symbol}");
    }
}

#[test]
fn files_tell_guest_code_and_the_c_library() {
    for (symbol, file, part) in [
        ("wasm[0]::function[901]", "/var/cache/elias/90743-7747991b.module", "guest code"),
        ("wasm[0]::array_to_wasm_trampoline[1]", "/var/cache/elias/68cd-7747991b.component", "guest code"),
        ("[unknown]", "/tmp/perf-1808.map", "guest code"),
        ("[unknown]", "//anon", "guest code"),
        ("__memmove_avx_unaligned_erms", LIBC, "copying and comparing memory"),
        ("_int_free", LIBC, "allocator"),
        ("clock_gettime@@GLIBC_2.17", LIBC, "C library: other, and clocks"),
        ("__vdso_clock_gettime", "[vdso]", "C library: other, and clocks"),
    ] {
        assert_eq!(part_of(&sample(&[(symbol, file)])), Some(part), "{symbol} in {file}");
    }
}

#[test]
fn shares_are_percents_of_the_samples_with_a_function() {
    let guest = sample(&[("wasm[0]::function[1]", "/c/a.module")]);
    let script = [guest.clone(), guest.clone(), guest, sample(&[("mio::poll::Poll::poll", SERVER)])].join("\n");
    assert_eq!(shares(&script), BTreeMap::from([("guest code", 75.0), ("tokio and mio", 25.0)]));
    assert_eq!(shares(""), BTreeMap::new());
    assert_eq!(part_of("tokio-rt-worker \n"), None);
}
