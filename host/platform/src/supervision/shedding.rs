//! Which requests are refused so that the others are answered in time.

use super::config::SupervisionConfig;
use std::time::Duration;

/// When requests are shed.
///
/// 1. Who finds a free place gets in.
/// 2. Who finds the queue full is shed.
/// 3. In between, the wait counts. Until the queue's p99 wait is half its timeout, all may queue. From there to the
///    timeout the share that is shed grows from none to all, so that load is taken off before those who have waited are
///    sent away for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SheddingRule {
    /// Executions at once.
    pub concurrency: u32,
    /// Requests that may wait.
    pub queue: u32,
    /// How long one may wait.
    pub queue_timeout: Duration,
}

/// How a component, or the host, is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Executions under way.
    pub running: u32,
    /// Requests that wait.
    pub queued: u32,
    /// The p99 of the recent waits in the queue.
    pub queue_wait_p99: Duration,
}

/// Why a request is shed, and when to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; retry after {retry_after_seconds} s")]
pub struct Shed {
    /// For the header `Retry-After` (RFC 9110, section 10.2.3), from 1 to 60. Spread, so that those who are shed
    /// together do not come back together.
    pub retry_after_seconds: u32,
    /// Why.
    pub reason: &'static str,
}

const RETRY_AFTER_MIN_SECONDS: u64 = 1;
const RETRY_AFTER_MAX_SECONDS: u64 = 30;

impl Shed {
    /// The error's stable name.
    #[must_use]
    pub fn code(self) -> &'static str {
        "overloaded"
    }
}

impl SheddingRule {
    /// The rule that a component's configuration asks for.
    #[must_use]
    pub fn of(config: &SupervisionConfig) -> Self {
        Self {
            concurrency: config.concurrency,
            queue: config.queue,
            queue_timeout: Duration::from_millis(config.queue_timeout_ms),
        }
    }

    /// Whether a request that comes under this load may go on. `random` is any 64 random bits.
    ///
    /// # Errors
    /// [`Shed`], to be answered with 503.
    pub fn decide(&self, load: Load, random: u64) -> Result<(), Shed> {
        if load.running < self.concurrency {
            return Ok(());
        }
        if load.queued >= self.queue {
            return Err(shed("the queue is full", load, random));
        }
        let half = self.queue_timeout / 2;
        let late = load.queue_wait_p99.saturating_sub(half).as_secs_f64();
        let share = if half.is_zero() { 0.0 } else { late / half.as_secs_f64() };
        // 53 random bits are a number from 0 to 1. The low bits are used for the spread of Retry-After.
        let chance = (random >> 11) as f64 / (1u64 << 53) as f64;
        if chance < share { Err(shed("requests wait too long", load, random)) } else { Ok(()) }
    }
}

fn shed(reason: &'static str, load: Load, random: u64) -> Shed {
    let wait = load.queue_wait_p99.as_millis().div_ceil(1000);
    let wait = u64::try_from(wait).unwrap_or(u64::MAX).clamp(RETRY_AFTER_MIN_SECONDS, RETRY_AFTER_MAX_SECONDS);
    let seconds = wait + random % (wait + 1);
    Shed { retry_after_seconds: u32::try_from(seconds).unwrap_or(u32::MAX), reason }
}
