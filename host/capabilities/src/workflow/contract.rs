//! The types of `elias:workflow/steps`, and their conversion from those of [`Journal`](super::Journal).
//!
//! `tests/contract.rs` compares them with the WIT.

use super::backend::{BeginAnswer, SleepAnswer, WaitAnswer};
use crate::trigger::{Reply, interface_error};
use elias_host::capability::pricing::Payload;
use elias_host::capability::wasmtime;
use elias_host::capability::wasmtime::component::{ComponentType, Lower};

/// Why a step failed.
#[derive(ComponentType, Lower, Debug, Clone, Copy, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
pub enum ErrorCode {
    /// The execution has no journal.
    #[component(name = "not-in-a-job")]
    NotInAJob,
    /// The journal has another step at this position.
    #[component(name = "nondeterministic-step")]
    NondeterministicStep,
    /// A value is not one that a step can have.
    #[component(name = "invalid")]
    Invalid,
    /// The outcome is too large.
    #[component(name = "too-large")]
    TooLarge,
    /// The journal has as many steps as it may.
    #[component(name = "quota-exceeded")]
    QuotaExceeded,
    /// The journal cannot be reached.
    #[component(name = "unavailable")]
    Unavailable,
}

interface_error!();

/// The outcome of a call of the journal.
#[derive(ComponentType, Lower, Debug, Clone, PartialEq, Eq)]
#[component(variant)]
pub(super) enum Answer {
    #[component(name = "recorded")]
    Recorded(String),
    #[component(name = "run")]
    Run(u32),
    #[component(name = "finished")]
    Finished,
    #[component(name = "elapsed")]
    Elapsed,
    #[component(name = "happened")]
    Happened(String),
    #[component(name = "timed-out")]
    TimedOut,
    #[component(name = "wait")]
    Wait,
}

impl Answer {
    /// To `begin` of the step at this position.
    pub(super) fn begin(answer: BeginAnswer, position: u32) -> Self {
        match answer {
            BeginAnswer::Recorded(outcome) => Self::Recorded(outcome),
            BeginAnswer::Run => Self::Run(position),
        }
    }
}

impl From<SleepAnswer> for Answer {
    fn from(answer: SleepAnswer) -> Self {
        match answer {
            SleepAnswer::Elapsed => Self::Elapsed,
            SleepAnswer::Wait => Self::Wait,
        }
    }
}

impl From<WaitAnswer> for Answer {
    fn from(answer: WaitAnswer) -> Self {
        match answer {
            WaitAnswer::Happened(event) => Self::Happened(event),
            WaitAnswer::TimedOut => Self::TimedOut,
            WaitAnswer::Wait => Self::Wait,
        }
    }
}

/// The result of all functions.
pub(super) type StepReply = Result<Answer, Error>;

impl Reply for StepReply {
    fn abandoned() -> Self {
        Err(Error::new(ErrorCode::Unavailable, "the journal did not answer; whether it has the step is unknown"))
    }
}

impl Payload for Answer {
    fn units(&self) -> u64 {
        match self {
            Self::Recorded(text) | Self::Happened(text) => text.units(),
            Self::Run(_) | Self::Finished | Self::Elapsed | Self::TimedOut | Self::Wait => 0,
        }
    }
}
