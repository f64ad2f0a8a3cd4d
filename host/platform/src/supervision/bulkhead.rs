//! How many executions of a component are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts executions and bounds them, so that one component cannot take every place of the host.
#[derive(Debug)]
pub struct Bulkhead {
    limit: u32,
    running: AtomicU32,
}

/// A place in a [`Bulkhead`]; given back when dropped.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Permit {
    bulkhead: Arc<Bulkhead>,
}

impl Bulkhead {
    /// At most `limit` executions at once, at least one.
    #[must_use]
    pub fn new(limit: u32) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), running: AtomicU32::new(0) })
    }

    /// A place, if one is free.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>) -> Option<Permit> {
        let more = |running: u32| (running < self.limit).then(|| running + 1);
        self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit { bulkhead: Arc::clone(self) })
    }

    /// Executions under way.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// The most that may be.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.limit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.bulkhead.running.fetch_sub(1, Ordering::Relaxed);
    }
}
