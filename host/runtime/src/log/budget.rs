//! Bounds the bytes of log lines that each component may write in a second, by a token bucket for each.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The budgets of all components, by digest.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    all: Mutex<HashMap<String, Arc<Budget>>>,
}

impl Budgets {
    /// The budget of one component. Instances of the same component share it.
    pub(crate) fn of(&self, digest: &str, bytes_per_second: u32) -> Arc<Budget> {
        let mut all = self.all.lock();
        if let Some(budget) = all.get(digest) {
            return Arc::clone(budget);
        }
        // Components come and go; those that nobody uses any more are forgotten.
        all.retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_full());
        let budget = Arc::new(Budget::new(bytes_per_second, Instant::now()));
        all.insert(digest.to_owned(), Arc::clone(&budget));
        budget
    }
}

/// A token bucket. It fills by a number of bytes each second, up to a second's worth.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_per_second: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    bytes: f64,
    at: Instant,
    dropped: u64,
}

impl Budget {
    fn new(bytes_per_second: u32, now: Instant) -> Self {
        let bytes = f64::from(bytes_per_second);
        Self { bytes_per_second: bytes, state: Mutex::new(State { bytes, at: now, dropped: 0 }) }
    }

    /// Takes a line's bytes: `None` if the line is to be dropped, else how many were dropped since the last that was
    /// not.
    pub(super) fn take(&self, bytes: usize) -> Option<u64> {
        self.take_at(bytes, Instant::now())
    }

    fn take_at(&self, bytes: usize, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let passed = now.saturating_duration_since(state.at).as_secs_f64();
        state.bytes = (state.bytes + passed * self.bytes_per_second).min(self.bytes_per_second);
        state.at = now;
        if state.bytes < bytes as f64 {
            state.dropped += 1;
            return None;
        }
        state.bytes -= bytes as f64;
        Some(std::mem::take(&mut state.dropped))
    }

    /// Whether a line of this many bytes must be dropped; a dropped line is counted. Ask before any work for the line.
    pub(super) fn lacks(&self, bytes: usize) -> bool {
        let mut state = self.state.lock();
        let refilled = state.bytes + state.at.elapsed().as_secs_f64() * self.bytes_per_second;
        let lacks = refilled.min(self.bytes_per_second) < bytes as f64;
        state.dropped += u64::from(lacks);
        lacks
    }

    fn is_full(&self) -> bool {
        let state = self.state.lock();
        let passed = state.at.elapsed().as_secs_f64();
        state.bytes + passed * self.bytes_per_second >= self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_over_is_known_and_counted_before_the_line_is_made() {
        let budget = Budget::new(100, Instant::now());
        assert!(!budget.lacks(100));
        assert!(budget.lacks(101));
        assert_eq!(budget.take(1), Some(1));
    }

    #[test]
    fn drops_and_counts_what_is_over() {
        let start = Instant::now();
        let budget = Budget::new(100, start);
        assert_eq!(budget.take_at(60, start), Some(0));
        assert_eq!(budget.take_at(60, start), None);
        assert_eq!(budget.take_at(60, start), None);
        assert_eq!(budget.take_at(60, start + Duration::from_millis(300)), Some(2));
        assert_eq!(budget.take_at(1, start + Duration::from_millis(300)), Some(0));
        assert_eq!(
            budget.take_at(101, start + Duration::from_secs(60)),
            None,
            "a line can never be more than a second's worth"
        );
    }
}
