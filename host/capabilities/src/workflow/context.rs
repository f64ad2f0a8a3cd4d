//! The context of one instance: its position in the journal of the job that it runs.

use super::backend::{EventWait, JournalHandle};
use super::contract::{Answer, Error, ErrorCode, StepReply};
use super::grant::WorkflowGrant;
use crate::trigger::{Pending, check_text};
use elias_host::capability::{CallMeter, HostCall};
use elias_triggers::workflow::NAME_BYTES_MAX;
use futures::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an event's type, and of the hash of an input.
const EVENT_TYPE_BYTES_MAX: usize = 256;
const INPUT_HASH_BYTES_MAX: usize = 64;

/// Bytes of a filter.
pub(super) const FILTER_BYTES_MAX: usize = 8 << 10;

/// The state of one instance for the journal.
pub struct WorkflowContext {
    /// None if what runs is neither a job, nor the delivery of an event, nor a turn of a service worker.
    journal: Option<JournalHandle>,
    grant: Arc<WorkflowGrant>,
    /// The position of the next step.
    next: u32,
    calls: CallMeter,
}

/// A step that was begun, as a component names it again for a transaction.
pub(super) struct BegunStep {
    pub(super) position: u32,
    pub(super) name: String,
    pub(super) input_hash: String,
}

/// Refuses a hash of an input that is too long.
fn check_input_hash(input_hash: &str) -> Result<(), Error> {
    if input_hash.len() > INPUT_HASH_BYTES_MAX {
        return Err(Error::invalid(format!("the hash of an input has at most {INPUT_HASH_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// A call of the journal that has begun, or why it may not begin.
type JournalCall = Result<BoxFuture<'static, StepReply>, Error>;

impl WorkflowContext {
    pub(super) fn new(journal: Option<JournalHandle>, grant: Arc<WorkflowGrant>, calls: CallMeter) -> Self {
        Self { journal, grant, next: 0, calls }
    }

    fn journal(&self) -> Result<&JournalHandle, Error> {
        self.journal.as_ref().ok_or_else(|| {
            let message = "steps, sleeps and waits are for jobs and single events, and steps also for turns of service \
                           workers; batches and other handlers have none";
            Error::new(ErrorCode::NotInAJob, message)
        })
    }

    /// The next position, and the journal that has it.
    fn step(&mut self, name: &str) -> Result<(JournalHandle, u32), Error> {
        let journal = self.journal()?.clone();
        check_text("the step's name", name, NAME_BYTES_MAX).map_err(Error::invalid)?;
        let position = self.next;
        if u64::from(position) >= self.grant.steps {
            let message = format!("a job may have {} steps, sleeps and waits included (steps)", self.grant.steps);
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        self.next += 1;
        Ok((journal, position))
    }

    fn check_wait(&self, ms: u64) -> Result<Duration, Error> {
        if ms > self.grant.wait_ms {
            let message = format!("{ms} ms are longer than a sleep or wait may be: wait-ms is {}", self.grant.wait_ms);
            return Err(Error::invalid(message));
        }
        Ok(Duration::from_millis(ms))
    }

    /// Checks a step that is read or written in a transaction, with its outcome; gives the journal, and the call.
    pub(super) fn check_in(&self, step: &BegunStep, outcome: &str) -> Result<(JournalHandle, HostCall), Error> {
        let journal = self.journal()?.clone();
        self.check_begun(step.position)?;
        check_text("the step's name", &step.name, NAME_BYTES_MAX).map_err(Error::invalid)?;
        check_input_hash(&step.input_hash)?;
        self.check_outcome(outcome)?;
        let mut call = self.calls.begin().named("step in a transaction");
        call.text("elias.step.name", &step.name);
        Ok((journal, call))
    }

    /// Refuses a position at which no step was begun.
    fn check_begun(&self, position: u32) -> Result<(), Error> {
        if position < self.next {
            return Ok(());
        }
        Err(Error::invalid(format!("no step was begun at position {position}")))
    }

    fn check_outcome(&self, outcome: &str) -> Result<(), Error> {
        let (bytes, most) = (outcome.len(), self.grant.outcome_bytes);
        if bytes as u64 > most {
            let message = format!("the outcome has {bytes} bytes; outcome-bytes is {most}");
            return Err(Error::new(ErrorCode::TooLarge, message));
        }
        Ok(())
    }

    /// Starts a call about the step of this name.
    fn start(&self, operation: &'static str, step: &str, asked: JournalCall) -> Pending<StepReply> {
        match asked {
            Ok(running) => {
                let mut call = self.calls.begin().named(operation);
                if !step.is_empty() {
                    call.text("elias.step.name", step);
                }
                Pending::start(call, running)
            }
            Err(error) => Pending::done(Err(error)),
        }
    }

    /// Begins the next step.
    pub(super) fn begin(&mut self, name: String, input_hash: String) -> Pending<StepReply> {
        let asked = self.try_begin(name.clone(), input_hash);
        self.start("begin", &name, asked)
    }

    fn try_begin(&mut self, name: String, input_hash: String) -> JournalCall {
        check_input_hash(&input_hash)?;
        let (handle, position) = self.step(&name)?;
        let begun = handle.journal().begin(position, name, input_hash);
        Ok(async move { begun.await.map(|answer| Answer::begin(answer, position)) }.boxed())
    }

    /// Records the outcome of the step at a position.
    pub(super) fn finish(&self, position: u32, outcome: String) -> Pending<StepReply> {
        let asked = self.try_finish(position, outcome);
        self.start("finish", "", asked)
    }

    fn try_finish(&self, position: u32, outcome: String) -> JournalCall {
        let handle = self.journal()?;
        self.check_begun(position)?;
        self.check_outcome(&outcome)?;
        let finished = handle.journal().finish(position, outcome);
        Ok(async move { finished.await.map(|()| Answer::Finished) }.boxed())
    }

    /// Sleeps.
    pub(super) fn sleep(&mut self, name: String, ms: u64) -> Pending<StepReply> {
        let asked = self.try_sleep(name.clone(), ms);
        self.start("sleep", &name, asked)
    }

    fn try_sleep(&mut self, name: String, ms: u64) -> JournalCall {
        let time = self.check_wait(ms)?;
        let (handle, position) = self.step(&name)?;
        let slept = handle.journal().sleep(position, name, time);
        Ok(async move { slept.await.map(Answer::from) }.boxed())
    }

    /// Waits for an event.
    pub(super) fn wait_for(
        &mut self,
        name: String,
        event_type: String,
        filter: String,
        timeout_ms: Option<u64>,
    ) -> Pending<StepReply> {
        let asked = self.try_wait_for(name.clone(), event_type, filter, timeout_ms);
        self.start("wait", &name, asked)
    }

    fn try_wait_for(
        &mut self,
        name: String,
        event_type: String,
        filter: String,
        timeout_ms: Option<u64>,
    ) -> JournalCall {
        check_text("the event's type", &event_type, EVENT_TYPE_BYTES_MAX).map_err(Error::invalid)?;
        if filter.len() > FILTER_BYTES_MAX || serde_json::from_str::<Map<String, Value>>(&filter).is_err() {
            return Err(Error::invalid(format!(
                "the filter must be a JSON object of at most {FILTER_BYTES_MAX} bytes"
            )));
        }
        let timeout = timeout_ms.map(|ms| self.check_wait(ms)).transpose()?;
        let (handle, position) = self.step(&name)?;
        let waited = handle.journal().wait_for(position, name, EventWait { event_type, filter, timeout });
        Ok(async move { waited.await.map(Answer::from) }.boxed())
    }
}
