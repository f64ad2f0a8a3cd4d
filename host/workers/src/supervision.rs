//! What becomes of a turn that was ended: by a trap, or since it took too much fuel, memory or time.

use std::collections::VecDeque;
use std::time::Duration;

/// How a worker is supervised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupervisionPolicy {
    /// How often a turn is tried, the first attempt among them; at least 1.
    pub attempts: u32,
    /// The time before the second attempt; it doubles with each further one.
    pub backoff: Duration,
    /// The longest time before an attempt.
    pub backoff_max: Duration,
    /// The restart intensity: turns of a worker that may be ended within `window` before it is stopped for a while.
    pub failures: u32,
    /// The window of the restart intensity, and how long a worker is stopped that exceeded it.
    pub window: Duration,
}

impl Default for SupervisionPolicy {
    /// Three attempts, after 100 ms, doubling up to 10 s; ten failures within a minute.
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            failures: 10,
            window: Duration::from_secs(60),
        }
    }
}

/// What becomes of a turn that was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptDecision {
    /// It is tried again at this time.
    RetryAt(u64),
    /// It is a dead letter: the worker goes on without it.
    DeadLetter,
}

/// The supervision of one worker.
#[derive(Debug)]
pub struct Supervisor {
    policy: SupervisionPolicy,
    /// When turns were ended, the last at the back.
    failures: VecDeque<u64>,
    stopped_until: u64,
}

impl Supervisor {
    /// Of a worker that has not failed.
    #[must_use]
    pub fn new(policy: SupervisionPolicy) -> Self {
        Self { policy, failures: VecDeque::new(), stopped_until: 0 }
    }

    /// Has it follow this policy from now on. Failures that were counted stay counted.
    pub fn set_policy(&mut self, policy: SupervisionPolicy) {
        self.policy = policy;
    }

    /// Decides what becomes of a turn whose attempt of this number, from 1, was ended now. Where that exceeds the
    /// restart intensity, the turn is a dead letter and the worker is stopped.
    pub fn decide(&mut self, attempt: u32, now: u64) -> AttemptDecision {
        let window = millis(self.policy.window);
        self.failures.push_back(now);
        while self.failures.front().is_some_and(|at| at.saturating_add(window) <= now) {
            self.failures.pop_front();
        }
        if self.failures.len() > self.policy.failures as usize {
            self.failures.clear();
            self.stopped_until = now.saturating_add(window);
            return AttemptDecision::DeadLetter;
        }
        if attempt >= self.policy.attempts {
            return AttemptDecision::DeadLetter;
        }
        let factor = 1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        let backoff = millis(self.policy.backoff).saturating_mul(factor).min(millis(self.policy.backoff_max));
        AttemptDecision::RetryAt(now.saturating_add(backoff))
    }

    /// Until when the worker takes no message, since it failed too often; none if it takes them.
    #[must_use]
    pub fn stopped_until(&self, now: u64) -> Option<u64> {
        (now < self.stopped_until).then_some(self.stopped_until)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_tried_again_later_and_later_and_then_never() {
        let policy = SupervisionPolicy { attempts: 5, backoff_max: Duration::from_millis(350), ..Default::default() };
        let mut supervisor = Supervisor::new(policy);
        let decisions: Vec<_> = (1..=5).map(|attempt| supervisor.decide(attempt, 1_000)).collect();
        let retry = AttemptDecision::RetryAt;
        assert_eq!(decisions, [retry(1_100), retry(1_200), retry(1_350), retry(1_350), AttemptDecision::DeadLetter]);
        assert_eq!(supervisor.stopped_until(1_000), None);
    }

    #[test]
    fn a_worker_that_fails_too_often_is_stopped_for_a_while() {
        let policy = SupervisionPolicy { failures: 2, window: Duration::from_secs(10), ..Default::default() };
        let mut supervisor = Supervisor::new(policy);
        // Two in each window are allowed.
        for now in [0, 5_000, 10_000, 15_000] {
            assert_ne!(supervisor.decide(1, now), AttemptDecision::DeadLetter, "{now}");
        }
        assert_eq!(supervisor.decide(1, 16_000), AttemptDecision::DeadLetter);
        assert_eq!(supervisor.stopped_until(25_999), Some(26_000));
        assert_eq!(supervisor.stopped_until(26_000), None);
        assert_eq!(supervisor.decide(1, 26_000), AttemptDecision::RetryAt(26_100), "it begins anew");
    }

    #[test]
    fn another_policy_goes_on_from_the_failures_that_were_counted() {
        let mut supervisor = Supervisor::new(SupervisionPolicy::default());
        assert_eq!(supervisor.decide(1, 0), AttemptDecision::RetryAt(100));
        supervisor.set_policy(SupervisionPolicy { failures: 1, ..SupervisionPolicy::default() });
        assert_eq!(supervisor.decide(1, 100), AttemptDecision::DeadLetter);
        assert_eq!(supervisor.stopped_until(100), Some(60_100));
    }

    #[test]
    fn the_backoff_does_not_overflow() {
        let policy = SupervisionPolicy { attempts: u32::MAX, failures: u32::MAX, ..Default::default() };
        assert_eq!(Supervisor::new(policy).decide(1_000, 0), AttemptDecision::RetryAt(10_000));
    }
}
