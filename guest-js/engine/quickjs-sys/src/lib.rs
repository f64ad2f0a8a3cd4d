//! QuickJS's C API for the crate `rquickjs`, as the crate `rquickjs-sys` declares it.

#![allow(missing_docs, non_upper_case_globals, non_camel_case_types, non_snake_case, clippy::all, clippy::pedantic)]
#![allow(unsafe_op_in_unsafe_fn, unreachable_pub)]
#![no_std]

use ::core::ptr;

/// Common error message for converting between C `size_t` and Rust `usize`.
pub const SIZE_T_ERROR: &str = "conversion between C type 'size_t' and Rust type 'usize' overflowed.";

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
include!(concat!(env!("OUT_DIR"), "/inlines.rs"));
