//! The result of draining an outbox.

/// Refused rows of which a drain says why; of further ones it gives the number.
#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
const REFUSALS_MAX: usize = 20;
/// Characters of the reason for which a row was refused.
#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
const REASON_CHARS_MAX: usize = 300;

/// The part of an outbox that was handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainOutcome {
    /// Whether nothing is left in it. Else there are many rows, or the queue or the log of events does not take them
    /// now.
    pub is_empty: bool,
    /// Rows that were refused and deleted: the component could not have sent them, or its grant has changed since.
    pub refused: u64,
    /// Why, of the first 20 at most: `row ID: REASON`.
    pub refusals: Vec<String>,
}

#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
impl DrainOutcome {
    /// Counts a row that was refused; `id` is one that can be shown.
    pub(crate) fn refuse(&mut self, id: &str, reason: &str) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_MAX {
            let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
            self.refusals.push(format!("row {id}: {reason}"));
        }
    }
}
