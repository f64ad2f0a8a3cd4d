//! Whether workers are well, as their last checks said.

use elias_workers::WorkerKey;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Checks that are kept before those are forgotten that went well and say nothing about when the next may be.
const KEPT_MIN: usize = 1_024;

/// Whether a worker is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkerHealth {
    /// It was not checked lately: no check is declared, or it is not in memory.
    #[default]
    Unknown,
    /// Its last check went well, or not so many have failed one after another as make it unhealthy.
    Healthy,
    /// As many checks as the threshold says have failed, one after another.
    Unhealthy,
}

/// The last checks of workers. Those that failed are kept also while the worker is not in memory: else one that leaves
/// it between two checks would never be unhealthy.
#[derive(Default)]
pub(crate) struct HealthRecords(Mutex<Records>);

#[derive(Default)]
struct Records {
    checks: HashMap<WorkerKey, Check>,
    /// The number at which they are looked through.
    looked_through_at: usize,
}

struct Check {
    /// When the next may be, in milliseconds since 1970.
    due: u64,
    /// How many have failed since one went well.
    failures: u32,
    /// Why the last one failed.
    error: Option<String>,
}

impl HealthRecords {
    /// When a worker may be checked next, in milliseconds since 1970; 0 if it was not checked lately.
    pub(crate) fn due(&self, key: &WorkerKey) -> u64 {
        self.0.lock().checks.get(key).map_or(0, |check| check.due)
    }

    /// Keeps a check at this time: why it failed, if it did. Gives how many have failed since one went well.
    pub(crate) fn keep(&self, key: &WorkerKey, now: u64, due: u64, error: Option<String>) -> u32 {
        let mut records = self.0.lock();
        if records.checks.len() >= records.looked_through_at.max(KEPT_MIN) {
            records.checks.retain(|_, check| check.failures > 0 || check.due > now);
            records.looked_through_at = records.checks.len().saturating_mul(2);
        }
        let check = records.checks.entry(key.clone()).or_insert(Check { due, failures: 0, error: None });
        check.due = due;
        check.failures = if error.is_some() { check.failures.saturating_add(1) } else { 0 };
        check.error = error;
        check.failures
    }

    /// Forgets a worker, which ended.
    pub(crate) fn forget(&self, key: &WorkerKey) {
        self.0.lock().checks.remove(key);
    }

    /// The workers that were checked lately.
    pub(crate) fn checked(&self) -> Vec<WorkerKey> {
        self.0.lock().checks.keys().cloned().collect()
    }

    /// Whether a worker is well, where so many failures make it unhealthy; and why its last check failed.
    pub(crate) fn health(&self, key: &WorkerKey, threshold: u32) -> (WorkerHealth, Option<String>) {
        match self.0.lock().checks.get(key) {
            None => (WorkerHealth::Unknown, None),
            Some(check) if check.failures >= threshold => (WorkerHealth::Unhealthy, check.error.clone()),
            Some(check) => (WorkerHealth::Healthy, check.error.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_by_the_workers_that_are_checked_or_not_well() {
        let records = HealthRecords::default();
        let key = |number: u64| WorkerKey::new("A", number.to_string());
        assert_eq!(records.keep(&key(0), 0, 10, Some("ill".to_owned())), 1);
        for number in 1..100_000 {
            assert_eq!(records.keep(&key(number), number * 100, number * 100 + 10, None), 0);
        }
        assert!(records.checked().len() <= KEPT_MIN + 1, "{}", records.checked().len());
        assert_eq!(records.health(&key(0), 1), (WorkerHealth::Unhealthy, Some("ill".to_owned())));
        assert_eq!(records.health(&key(0), 2).0, WorkerHealth::Healthy);
        records.forget(&key(0));
        assert_eq!((records.health(&key(0), 1), records.due(&key(0))), ((WorkerHealth::Unknown, None), 0));
    }
}
