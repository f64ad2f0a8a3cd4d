//! Waiting for a server or a log that is away, and saying so once.

use std::time::Duration;

/// How long to wait before the first and the later attempts.
const WAIT_FIRST: Duration = Duration::from_millis(500);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often in a row something failed.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    times: u32,
}

impl Outage {
    /// It works.
    pub(crate) fn end(&mut self, connection: &str) {
        if std::mem::take(&mut self.times) > 0 {
            tracing::info!(connection, "the connector works again");
        }
    }

    /// It failed: waits before the next attempt.
    pub(crate) async fn wait(&mut self, connection: &str, error: &str) {
        if self.times == 0 {
            tracing::warn!(connection, error, "the connector waits; trying again");
        }
        tokio::time::sleep(self.next()).await;
    }

    fn next(&mut self) -> Duration {
        let wait = WAIT_FIRST.saturating_mul(1 << self.times.min(8)).min(WAIT_MAX);
        self.times = self.times.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_their_bound() {
        let mut outage = Outage::default();
        let waits: Vec<_> = (0..8).map(|_| outage.next().as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        outage.end("nats/in/a/b");
        assert_eq!(outage.next(), WAIT_FIRST);
    }
}
