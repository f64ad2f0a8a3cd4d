//! The table `[supervision]` of elias.toml.

use crate::setting::{InvalidSetting, WEEK_MS, within};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a component is supervised. Every key has a default; times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SupervisionConfig {
    /// Executions at once: the bulkhead. From 1 to 100,000.
    pub concurrency: u32,
    /// Requests that may wait for one of them. At most 100,000.
    pub queue: u32,
    /// How long one may wait there. From 1 ms to 10 minutes.
    pub queue_timeout_ms: u64,
    /// Failures in a row that open the circuit. From 1 to 100,000.
    pub consecutive_failures: u32,
    /// Share of the window's requests whose failure opens the circuit. From 0.01 to 1.
    pub error_rate: f64,
    /// Requests that the window must have before the share says anything. From 1 to 1,000,000.
    pub error_rate_requests: u32,
    /// The window. From 100 ms to one hour.
    pub window_ms: u64,
    /// The longest first wait in the open state; doubled with each opening that follows. From 1 ms to `backoff-max-ms`.
    pub backoff_ms: u64,
    /// The longest wait in the open state. At most one hour.
    pub backoff_max_ms: u64,
    /// Requests that are let through to try, all of which must succeed to close the circuit. From 1 to 1,000.
    pub half_open_requests: u32,
    /// Openings that are put up with in `restart-window-ms`. One more stops the component. At most 1,000.
    pub restarts: u32,
    /// The time in which openings are counted. From one second to seven days.
    pub restart_window_ms: u64,
    /// How often a request of an idempotent method (RFC 9110, section 9.2.2) without a body is tried again if it failed without an
    /// answer. None unless it is said: it marks them as safe to repeat. At most 5.
    pub retries: u32,
}

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self {
            concurrency: 200,
            queue: 200,
            queue_timeout_ms: 5_000,
            consecutive_failures: 20,
            error_rate: 0.5,
            error_rate_requests: 50,
            window_ms: 10_000,
            backoff_ms: 500,
            backoff_max_ms: 30_000,
            half_open_requests: 3,
            // A component of which every trial fails is stopped after some seven minutes.
            restarts: 30,
            restart_window_ms: 600_000,
            retries: 0,
        }
    }
}

impl SupervisionConfig {
    /// Checks every key.
    ///
    /// # Errors
    /// [`InvalidSetting`] for the first key that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        within("supervision.concurrency", self.concurrency, 1..=100_000)?;
        within("supervision.queue", self.queue, 0..=100_000)?;
        within("supervision.queue-timeout-ms", self.queue_timeout_ms, 1..=600_000)?;
        within("supervision.consecutive-failures", self.consecutive_failures, 1..=100_000)?;
        within("supervision.error-rate", self.error_rate, 0.01..=1.0)?;
        within("supervision.error-rate-requests", self.error_rate_requests, 1..=1_000_000)?;
        within("supervision.window-ms", self.window_ms, 100..=3_600_000)?;
        within("supervision.backoff-max-ms", self.backoff_max_ms, 1..=3_600_000)?;
        within("supervision.backoff-ms", self.backoff_ms, 1..=self.backoff_max_ms)?;
        within("supervision.half-open-requests", self.half_open_requests, 1..=1_000)?;
        within("supervision.restarts", self.restarts, 0..=1_000)?;
        within("supervision.restart-window-ms", self.restart_window_ms, 1_000..=WEEK_MS)?;
        within("supervision.retries", self.retries, 0..=5)
    }
}
