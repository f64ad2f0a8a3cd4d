//! The record of a step in a journal, and the errors of recording one.

use elias_delivery::clock::Now;
use std::time::Duration;

/// Steps, sleeps and waits of the longest journal.
pub const STEPS_MAX: u32 = 10_000;
/// Bytes of the largest outcome: 1 MiB.
pub const OUTCOME_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the largest journal, names and outcomes together: 64 MiB.
pub const JOURNAL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the longest name of a step, sleep or wait.
pub const NAME_BYTES_MAX: usize = 256;
/// The longest sleep and wait: 366 days.
pub const WAIT_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The record at a position of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its position, from 0.
    pub position: u32,
    /// The name that the handler gave it.
    pub name: String,
    /// The kind of the step.
    pub kind: RecordKind,
}

/// The kind of a recorded step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordKind {
    /// A step that is finished.
    Step {
        /// The hash of its input.
        input_hash: String,
        /// Its result or error, as JSON.
        outcome: String,
    },
    /// A sleep that began.
    Sleep {
        /// When it is over.
        until: Now,
    },
    /// A wait for an event that began.
    Wait {
        /// The wait: the event's type and filter, as the handler gave them.
        wanted: String,
        /// When it is given up.
        until: Now,
        /// The event, as JSON, or that it was given up; none while it is waited for.
        outcome: Option<Result<String, TimedOut>>,
    },
}

/// A wait that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedOut;

impl Record {
    /// The bytes that count towards [`JOURNAL_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        let kind = match &self.kind {
            RecordKind::Step { input_hash, outcome } => input_hash.len() + outcome.len(),
            RecordKind::Sleep { .. } => 0,
            RecordKind::Wait { wanted, outcome, .. } => {
                wanted.len() + outcome.as_ref().and_then(|outcome| outcome.as_ref().ok()).map_or(0, String::len)
            }
        };
        self.name.len() + kind
    }

    /// How an error names it: `step charge`.
    pub(super) fn title(&self) -> String {
        let kind = match self.kind {
            RecordKind::Step { .. } => "step",
            RecordKind::Sleep { .. } => "sleep",
            RecordKind::Wait { .. } => "wait",
        };
        format!("{kind} {}", self.name)
    }
}

/// Why a step cannot be begun or recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The handler does not do what it did when it ran before.
    #[error("step {position} was `{expected}` when the handler ran before, and is `{found}` now")]
    NondeterministicStep {
        /// The position, from 0.
        position: u32,
        /// The step in the journal.
        expected: String,
        /// The step that the handler began.
        found: String,
    },
    /// There are too many steps.
    #[error("a job must have at most {STEPS_MAX} steps")]
    TooManySteps,
    /// The result of a step is too large.
    #[error("the result of a step must have at most {OUTCOME_BYTES_MAX} bytes")]
    OutcomeTooLarge,
    /// All results together are too large.
    #[error("the steps of a job must have at most {JOURNAL_BYTES_MAX} bytes together")]
    JournalTooLarge,
    /// The name of a step is not one.
    #[error("the name of a step must be a text of 1 to {NAME_BYTES_MAX} bytes without control characters")]
    InvalidName,
    /// A sleep or wait is too long.
    #[error("a sleep or wait must last at most 366 days")]
    TooLong,
    /// A step is finished that was not begun, or was finished already.
    #[error("step {position} is not running")]
    NotRunning {
        /// The position, from 0.
        position: u32,
    },
}

impl JournalError {
    /// The error's stable name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NondeterministicStep { .. } => "nondeterministic-step",
            Self::TooManySteps => "too-many-steps",
            Self::OutcomeTooLarge => "outcome-too-large",
            Self::JournalTooLarge => "journal-too-large",
            Self::InvalidName => "invalid-name",
            Self::TooLong => "too-long",
            Self::NotRunning { .. } => "not-running",
        }
    }
}
