//! Requests and failures of the last while.

use super::sync::{AtomicU64, Ordering};
use crate::clock::Now;

const SLOTS: usize = 10;

/// A ring of ten slots of time, each with its counts. Counting is one load and one addition, both relaxed.
#[derive(Debug)]
pub(super) struct Window {
    slot_ms: u64,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    /// Which slot since 1970 the counts are of.
    number: AtomicU64,
    /// Requests in the upper half, failures in the lower.
    counts: AtomicU64,
}

/// The counts of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) requests: u64,
    pub(super) failures: u64,
}

impl Counts {
    pub(super) fn failing(self) -> f64 {
        if self.requests == 0 { 0.0 } else { self.failures as f64 / self.requests as f64 }
    }
}

impl Window {
    pub(super) fn new(window_ms: u64) -> Self {
        Self { slot_ms: (window_ms / SLOTS as u64).max(1), slots: Default::default() }
    }

    pub(super) fn add(&self, failed: bool, now: Now) {
        let number = now.unix_ms() / self.slot_ms;
        let slot = &self.slots[(number % SLOTS as u64) as usize];
        let before = slot.number.load(Ordering::Relaxed);
        // Whoever wins the exchange empties the slot. What another adds between the two is lost: a few requests in
        // millions.
        if before != number
            && slot.number.compare_exchange(before, number, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            slot.counts.store(0, Ordering::Relaxed);
        }
        slot.counts.fetch_add((1 << 32) | u64::from(failed), Ordering::Relaxed);
    }

    /// The counts of the ten slots that end with the present one. Those that a clock set back has left in the future
    /// are not among them.
    pub(super) fn counts(&self, now: Now) -> Counts {
        let number = now.unix_ms() / self.slot_ms;
        let recent = number.saturating_sub(SLOTS as u64 - 1)..=number;
        let mut sum = Counts::default();
        for slot in self.slots.iter().filter(|slot| recent.contains(&slot.number.load(Ordering::Relaxed))) {
            let counts = slot.counts.load(Ordering::Relaxed);
            sum.requests += counts >> 32;
            sum.failures += counts & u64::from(u32::MAX);
        }
        sum
    }

    pub(super) fn clear(&self) {
        for slot in &self.slots {
            slot.counts.store(0, Ordering::Relaxed);
        }
    }
}
