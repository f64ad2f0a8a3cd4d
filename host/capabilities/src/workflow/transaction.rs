//! Steps that are transactions of the component's own database.
//!
//! The transaction of such a step is asked first whether a former run has done the step, and its host died before the
//! journal had it. What the step did is written in the same transaction. So the database has an outcome if and only if
//! it has the effect.

use super::Workflow;
use super::context::BegunStep;
use super::contract::{Answer, StepReply};
use super::rows;
use crate::trigger::Pending;
use elias_host::capability::InstanceState;
use futures::future::FutureExt;

/// The outcome of a step that was begun, in the transaction of this instance with that number.
pub(super) fn begin(state: &mut InstanceState, transaction: u32, step: BegunStep) -> Pending<StepReply> {
    let (journal, call) = match state.context::<Workflow>().check_in(&step, "") {
        Ok(checked) => checked,
        Err(error) => return Pending::done(Err(error)),
    };
    let position = step.position;
    let read = rows::read(state, transaction, journal.id(), step);
    let answer = async move { read.await.map(|known| known.map_or(Answer::Run(position), Answer::Recorded)) };
    Pending::start(call, answer.boxed())
}

/// Writes the outcome of a step through the transaction of this instance with that number.
pub(super) fn finish(
    state: &mut InstanceState,
    transaction: u32,
    step: BegunStep,
    outcome: String,
) -> Pending<StepReply> {
    let (journal, call) = match state.context::<Workflow>().check_in(&step, &outcome) {
        Ok(checked) => checked,
        Err(error) => return Pending::done(Err(error)),
    };
    let written = rows::write(state, transaction, journal.id(), step, outcome);
    Pending::start(call, async move { written.await.map(|()| Answer::Finished) }.boxed())
}
