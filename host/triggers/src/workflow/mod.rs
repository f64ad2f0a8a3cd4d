//! Durable steps: the journal of a job, from which finished steps are answered when its handler runs again.
//!
//! A handler runs from its beginning after every crash and every wait. Each step, sleep and wait that it begins has the
//! next position in the [`Journal`]; what the journal has at that position is the answer, and the step is not done
//! again. Steps may run side by side: positions are given in the order in which they begin. What is begun at a position
//! where the journal has something else is a [`JournalError::NondeterministicStep`].

mod journal;
mod record;

#[cfg(test)]
mod tests;

pub use journal::{Begin, Journal, Sleep, Wait};
pub use record::{
    JOURNAL_BYTES_MAX, JournalError, NAME_BYTES_MAX, OUTCOME_BYTES_MAX, Record, RecordKind, STEPS_MAX, TimedOut,
    WAIT_MAX,
};
