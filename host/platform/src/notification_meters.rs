//! The counts of notifications of this host, for its metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of notifications on this host.
#[derive(Debug, Default)]
pub(crate) struct NotificationMeters {
    delivered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
}

impl NotificationMeters {
    /// Counts an attempt that delivered its notification.
    pub(crate) fn delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an attempt that failed.
    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts notifications that were given up, after their attempts or for newer ones.
    pub(crate) fn given_up(&self, count: u64) {
        self.given_up.fetch_add(count, Ordering::Relaxed);
    }

    /// Attempts by their result, and notifications that were given up.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("delivered", of(&self.delivered)), ("failed", of(&self.failed)), ("given-up", of(&self.given_up))]
    }
}
