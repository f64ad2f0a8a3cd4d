//! The outcomes of steps in the component's database.

use super::context::BegunStep;
use super::contract::{Error, ErrorCode};
use crate::db::{self, StepRow, read_step, write_step};
use crate::trigger::Clock;
use elias_host::capability::InstanceState;
use elias_triggers::workflow::NAME_BYTES_MAX;
use futures::future::{BoxFuture, FutureExt};

/// The SQLSTATE of a row whose primary key is taken.
const TAKEN: &str = "23505";

/// The outcome of a step, through the transaction of this instance with that number; none if the step was not done.
pub(super) fn read(
    state: &mut InstanceState,
    transaction: u32,
    journal: &str,
    step: BegunStep,
) -> BoxFuture<'static, Result<Option<String>, Error>> {
    let read = read_step(state, transaction, journal, step.position);
    async move {
        let Some(known) = read.await.map_err(|error| failure(&error))? else { return Ok(None) };
        let BegunStep { position, name, input_hash } = step;
        if known.name != name {
            return Err(other_step(position, &name, &known.name));
        }
        if known.input_hash != input_hash {
            let message =
                format!("the step at position {position} has another input than the component's database says");
            return Err(Error::new(ErrorCode::NondeterministicStep, message));
        }
        Ok(Some(known.outcome))
    }
    .boxed()
}

/// Writes the outcome of a step, likewise.
pub(super) fn write(
    state: &mut InstanceState,
    transaction: u32,
    journal: &str,
    step: BegunStep,
    outcome: String,
) -> BoxFuture<'static, Result<(), Error>> {
    let BegunStep { position, name, input_hash } = step;
    let done_at = i64::try_from(Clock::system().now()).unwrap_or(i64::MAX);
    let row = StepRow { journal: journal.to_owned(), position, name, input_hash, outcome, done_at };
    let written = write_step(state, transaction, row);
    async move {
        written.await.map_err(|error| match error.sqlstate.as_deref() {
            // A host that has lost its lease may still run the job: whichever commits first has done the step.
            Some(TAKEN) => {
                let message = "another run of the job has done the step meanwhile; the next attempt has its result";
                Error::new(ErrorCode::Unavailable, message)
            }
            _ => failure(&error),
        })
    }
    .boxed()
}

/// The database has another step at this position. Components can write into the table: its name may be of any length.
fn other_step(position: u32, name: &str, known: &str) -> Error {
    let known: String = known.chars().take(NAME_BYTES_MAX).collect();
    let message =
        format!("the step {name:?} is at position {position}, where the component's database has the step {known:?}");
    Error::new(ErrorCode::NondeterministicStep, message)
}

fn failure(error: &db::Error) -> Error {
    let code = match error.code {
        db::ErrorCode::TooLarge => ErrorCode::TooLarge,
        db::ErrorCode::Timeout | db::ErrorCode::Unavailable => ErrorCode::Unavailable,
        db::ErrorCode::Database
        | db::ErrorCode::Denied
        | db::ErrorCode::UnsupportedType
        | db::ErrorCode::TransactionOver => ErrorCode::Invalid,
    };
    Error::new(code, format!("the transaction: {}", error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_the_database_is_shown_up_to_the_longest_that_a_step_has() {
        let message = other_step(3, "charge", "ship").message;
        assert!(message.contains("\"charge\" is at position 3") && message.contains("\"ship\""), "{message}");
        assert!(other_step(3, "charge", &"x".repeat(1 << 20)).message.len() < 1_000);
    }
}
