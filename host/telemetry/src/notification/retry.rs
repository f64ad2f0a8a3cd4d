//! When a notification is tried again, and the circuit of a receiver that fails.

use serde::{Deserialize, Serialize};

/// Attempts at a notification; after the last one it is given up.
pub const ATTEMPTS_MAX: u32 = 12;
/// Failures in a row after which the circuit of a receiver opens.
pub const CIRCUIT_FAILURES: u32 = 3;
/// The delay after the first failure, in milliseconds.
const DELAY_MIN_MS: i64 = 10_000;
/// The longest delay, in milliseconds.
const DELAY_MAX_MS: i64 = 15 * 60_000;

/// The delay after so many failed attempts, in milliseconds: 10 seconds, doubled with each, 15 minutes at most. With
/// [`ATTEMPTS_MAX`] attempts a receiver may be away for an hour and a half.
#[must_use]
pub fn retry_delay_ms(failures: u32) -> i64 {
    // Doubled seven times it is longer than the longest delay.
    (DELAY_MIN_MS << failures.saturating_sub(1).min(7)).min(DELAY_MAX_MS)
}

/// The circuit of a receiver: while it is open, no notification is sent to it, so that one that hangs is not waited for
/// with each notification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiverCircuit {
    /// Failures in a row.
    failures: u32,
    /// When the next attempt may be made, in milliseconds since 1970, if the circuit is open.
    open_until: Option<i64>,
}

impl ReceiverCircuit {
    /// When a notification that is due may be sent: at once, or when the circuit lets an attempt through.
    #[must_use]
    pub fn ready_at(&self, now_ms: i64) -> i64 {
        // A clock that was set back must not keep it open for longer than the longest delay.
        self.open_until.map_or(now_ms, |until| until.clamp(now_ms, now_ms.saturating_add(DELAY_MAX_MS)))
    }

    /// Takes the result of an attempt into account.
    pub fn record(&mut self, succeeded: bool, now_ms: i64) {
        if succeeded {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= CIRCUIT_FAILURES {
            self.open_until = Some(now_ms.saturating_add(retry_delay_ms(self.failures)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_a_quarter_of_an_hour() {
        let delays: Vec<_> = (1..=9).map(|failures| retry_delay_ms(failures) / 1_000).collect();
        assert_eq!(delays, [10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!((retry_delay_ms(0), retry_delay_ms(u32::MAX)), (DELAY_MIN_MS, DELAY_MAX_MS));
    }

    #[test]
    fn a_circuit_opens_after_failures_in_a_row_and_closes_with_a_success() {
        let mut circuit = ReceiverCircuit::default();
        for now in 1..CIRCUIT_FAILURES {
            circuit.record(false, now.into());
            assert_eq!(circuit.ready_at(5), 5);
        }
        circuit.record(false, 100);
        assert_eq!(circuit.ready_at(200), 100 + retry_delay_ms(CIRCUIT_FAILURES));
        assert_eq!(circuit.ready_at(10_000_000), 10_000_000, "the time is over");
        assert_eq!(circuit.ready_at(i64::MIN / 2), i64::MIN / 2 + DELAY_MAX_MS, "the clock was set back");
        circuit.record(true, 200);
        assert_eq!(circuit, ReceiverCircuit::default());
    }
}
