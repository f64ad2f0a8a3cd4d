//! Locks and atomics. Files that take it from `super::sync` are compiled a second time for the tests, with the types
//! of `shuttle` in the place of these, and so run in interleavings of threads that it chooses; see `interleavings`.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, PoisonError};
