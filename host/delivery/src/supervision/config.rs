//! The table `[supervision]` of elias.toml.

use crate::setting::{InvalidSetting, WEEK_MS, within};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The supervision of a component: concurrency limit, circuit breaker and retries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SupervisionConfig {
    /// The maximum number of concurrent executions: 1 to 100,000; 200 by default.
    pub concurrency: u32,
    /// The maximum number of requests that wait for an execution slot: 0 to 100,000; 200 by default.
    pub queue: u32,
    /// The maximum time in milliseconds that a request waits for a slot: 1 to 600,000; 5,000 by default.
    pub queue_timeout_ms: u64,
    /// The number of consecutive failures that opens the circuit: 1 to 100,000; 20 by default.
    pub consecutive_failures: u32,
    /// The fraction of failed requests in the window that opens the circuit: 0.01 to 1; 0.5 by default.
    pub error_rate: f64,
    /// The minimum number of requests in the window for `error-rate` to apply: 1 to 1,000,000; 50 by default.
    pub error_rate_requests: u32,
    /// The length of the window in milliseconds: 100 to 3,600,000; 10,000 by default.
    pub window_ms: u64,
    /// The maximum of the first backoff of an open circuit in milliseconds: 1 to `backoff-max-ms`; 500 by default. It
    /// doubles each time the circuit opens again.
    pub backoff_ms: u64,
    /// The maximum backoff of an open circuit in milliseconds: 1 to 3,600,000; 30,000 by default.
    pub backoff_max_ms: u64,
    /// The number of trial requests of a half-open circuit, all of which must succeed to close it: 1 to 1,000; 3 by
    /// default.
    pub half_open_requests: u32,
    /// The number of times that the circuit may open within `restart-window-ms`: 0 to 1,000; 30 by default. One more
    /// stops the component.
    pub restarts: u32,
    /// The period in milliseconds in which `restarts` are counted: 1,000 to 604,800,000 (seven days); 600,000 by
    /// default.
    pub restart_window_ms: u64,
    /// The maximum number of retries of a failed request that has no response yet: 0 to 5; 0 by default. Only requests
    /// without a body and with an idempotent method (RFC 9110, section 9.2.2) are retried; setting it declares them
    /// safe to repeat.
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
