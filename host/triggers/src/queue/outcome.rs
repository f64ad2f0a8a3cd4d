//! The outcome of a job when an attempt to run it has ended.

use super::RetryPolicy;
use super::retry::DELAY_MAX;
use elias_delivery::clock::Now;
use std::time::Duration;

/// The backoff of jobs whose component cannot run now: it is no attempt, and goes on as long as it takes.
const POSTPONED: RetryPolicy = RetryPolicy {
    attempts: u32::MAX,
    first: Duration::from_secs(1),
    factor: 2.0,
    max: Duration::from_secs(60),
    jitter: true,
};

/// The result of an attempt to run a job or to deliver an event. [`settle`] makes an [`Outcome`] of the job of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptResult {
    /// The handler returned this result, as JSON.
    Returned(String),
    /// The handler threw, or used up a limit such as its deadline: the message with its stack.
    Failed(String),
    /// The handler asked to be run again.
    RetryRequested {
        /// The delay that it asked for; none: by the policy. At most seven days.
        after: Option<Duration>,
        /// Why.
        reason: String,
    },
    /// The handler refused the job for good.
    Rejected(String),
    /// The job can never be run: its input is not what the component takes, or the component is gone.
    Invalid(String),
    /// The component cannot run now (stopped, circuit open, overloaded) or the host stopped: the component is not to
    /// blame, and the attempt does not count.
    NotRun {
        /// How often this has happened to the job since its last attempt, from 1.
        times: u32,
        /// Why.
        reason: String,
    },
    /// The handler waits durably: it goes on when the wait is over.
    Suspended,
    /// Somebody cancelled the job.
    Cancelled,
}

/// Why a job is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// The last attempt failed.
    AttemptsUsedUp,
    /// The handler refused it.
    Rejected,
    /// It can never be run.
    Invalid,
}

impl DeadReason {
    /// Its stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsUsedUp => "attempts-used-up",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
        }
    }
}

/// The outcome of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done {
        /// Its result, as JSON.
        result: String,
    },
    /// It runs again.
    Retry {
        /// When.
        at: Now,
        /// The number of that attempt, from 1. The same again if the run did not count.
        attempt: u32,
        /// Why the last run did not succeed.
        reason: String,
    },
    /// It never runs again by itself.
    Dead {
        /// Why.
        reason: DeadReason,
        /// The message of the last run with its stack.
        message: String,
    },
    /// It waits, without an instance.
    Suspended,
    /// It was cancelled.
    Cancelled,
}

/// Decides what becomes of a job whose attempt (from 1) ended, by a random number from 0 to 1.
#[must_use]
pub fn settle(ending: AttemptResult, policy: &RetryPolicy, attempt: u32, now: Now, random: f64) -> Outcome {
    let at = |delay: Duration| {
        let delay_ms = u64::try_from(delay.min(DELAY_MAX).as_millis()).unwrap_or(u64::MAX);
        Now::from_unix_ms(now.unix_ms().saturating_add(delay_ms))
    };
    let failed = |message: String, after: Option<Duration>| match policy.delay(attempt, random) {
        Some(delay) => Outcome::Retry { at: at(after.unwrap_or(delay)), attempt: attempt + 1, reason: message },
        None => Outcome::Dead { reason: DeadReason::AttemptsUsedUp, message },
    };
    match ending {
        AttemptResult::Returned(result) => Outcome::Done { result },
        AttemptResult::Failed(message) => failed(message, None),
        AttemptResult::RetryRequested { after, reason } => failed(reason, after),
        AttemptResult::Rejected(message) => Outcome::Dead { reason: DeadReason::Rejected, message },
        AttemptResult::Invalid(message) => Outcome::Dead { reason: DeadReason::Invalid, message },
        AttemptResult::NotRun { times, reason } => {
            let delay = POSTPONED.delay(times.max(1), random).unwrap_or(POSTPONED.max);
            Outcome::Retry { at: at(delay), attempt, reason }
        }
        AttemptResult::Suspended => Outcome::Suspended,
        AttemptResult::Cancelled => Outcome::Cancelled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Now = Now::from_unix_ms(1_000_000);

    fn settled(ending: AttemptResult, attempt: u32) -> Outcome {
        settle(ending, &RetryPolicy { attempts: 3, jitter: false, ..RetryPolicy::default() }, attempt, NOW, 0.5)
    }

    fn retry(after_ms: u64, attempt: u32) -> Outcome {
        Outcome::Retry { at: Now::from_unix_ms(1_000_000 + after_ms), attempt, reason: "why".to_owned() }
    }

    #[test]
    fn failures_are_retried_until_the_attempts_are_used_up() {
        assert_eq!(settled(AttemptResult::Returned("1".to_owned()), 3), Outcome::Done { result: "1".to_owned() });
        assert_eq!(settled(AttemptResult::Failed("why".to_owned()), 1), retry(1_000, 2));
        assert_eq!(settled(AttemptResult::Failed("why".to_owned()), 2), retry(2_000, 3));
        let dead = Outcome::Dead { reason: DeadReason::AttemptsUsedUp, message: "why".to_owned() };
        assert_eq!(settled(AttemptResult::Failed("why".to_owned()), 3), dead);
    }

    #[test]
    fn a_handler_may_choose_the_delay_but_not_the_attempts() {
        let ask = |after: Option<u64>| AttemptResult::RetryRequested {
            after: after.map(Duration::from_secs),
            reason: "why".to_owned(),
        };
        assert_eq!(settled(ask(Some(30)), 1), retry(30_000, 2));
        assert_eq!(settled(ask(None), 1), retry(1_000, 2));
        assert_eq!(settled(ask(Some(u64::MAX)), 1), retry(7 * 86_400_000, 2), "at most seven days");
        assert!(matches!(settled(ask(Some(30)), 3), Outcome::Dead { .. }));
    }

    #[test]
    fn what_can_never_succeed_is_dead_at_once() {
        for (ending, reason) in [
            (AttemptResult::Rejected("why".to_owned()), DeadReason::Rejected),
            (AttemptResult::Invalid("why".to_owned()), DeadReason::Invalid),
        ] {
            assert_eq!(settled(ending, 1), Outcome::Dead { reason, message: "why".to_owned() });
        }
    }

    #[test]
    fn runs_that_the_component_is_not_to_blame_for_do_not_count() {
        for times in [1, 5, 1_000, u32::MAX] {
            let outcome = settled(AttemptResult::NotRun { times, reason: "why".to_owned() }, 3);
            let Outcome::Retry { at, attempt: 3, .. } = outcome else { panic!("{outcome:?}") };
            assert!(at.unix_ms() <= 1_060_000, "after a minute at most: {at:?}");
        }
        assert_eq!(settled(AttemptResult::Suspended, 1), Outcome::Suspended);
        assert_eq!(settled(AttemptResult::Cancelled, 1), Outcome::Cancelled);
    }
}
