//! The types that threads share. Files that take them from `super::sync` are compiled a second time for the tests,
//! with the types of `shuttle` in the place of these, and so run in interleavings of threads that it chooses; see
//! `interleavings`.

pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
