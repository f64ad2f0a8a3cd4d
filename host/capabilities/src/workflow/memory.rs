//! A journal in the memory of this process: it outlives the executions of its job, and ends with the process.

use super::backend::{BeginAnswer, EventWait, Journal, SleepAnswer, WaitAnswer};
use super::contract::{Error, ErrorCode};
use crate::trigger::Clock;
use futures::future::{BoxFuture, FutureExt, ready};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The journal of one job. The program that runs the job keeps it from one execution to the next.
pub struct MemoryJournal {
    clock: Clock,
    steps: Mutex<Vec<Step>>,
}

/// The reason why a job is suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalWait {
    /// Its position in the journal.
    pub position: u32,
    /// When the sleep or the wait is over, in milliseconds since 1970; none for a wait without a timeout.
    pub until: Option<u64>,
    /// The event; none for a sleep.
    pub event: Option<EventWait>,
}

struct Step {
    name: String,
    kind: Kind,
}

enum Kind {
    Step { input_hash: String, outcome: Option<String> },
    Sleep { until: u64, is_over: bool },
    Wait { wait: EventWait, until: Option<u64>, answer: Option<WaitAnswer> },
}

impl Kind {
    /// The name for messages.
    fn noun(&self) -> &'static str {
        match self {
            Self::Step { .. } => "step",
            Self::Sleep { .. } => "sleep",
            Self::Wait { .. } => "wait",
        }
    }
}

impl MemoryJournal {
    /// An empty journal that goes by this clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, steps: Mutex::default() }
    }

    /// The sleeps and waits that were not over when the job last asked.
    #[must_use]
    pub fn waits(&self) -> Vec<JournalWait> {
        let steps = self.steps();
        let waits = (0..).zip(&*steps).filter_map(|(position, step)| match &step.kind {
            Kind::Sleep { until, is_over: false } => Some(JournalWait { position, until: Some(*until), event: None }),
            Kind::Wait { wait, until, answer: None } => {
                Some(JournalWait { position, until: *until, event: Some(wait.clone()) })
            }
            _ => None,
        });
        waits.collect()
    }

    /// Records the event for which the wait at this position waits, in the JSON format of CloudEvents 1.0. False if
    /// there is no such wait, or it is over.
    pub fn happened(&self, position: u32, event: String) -> bool {
        let mut steps = self.steps();
        let step = usize::try_from(position).ok().and_then(|position| steps.get_mut(position));
        match step.map(|step| &mut step.kind) {
            Some(Kind::Wait { answer: answer @ None, .. }) => {
                *answer = Some(WaitAnswer::Happened(event));
                true
            }
            _ => false,
        }
    }

    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner) // whole after every operation
    }

    /// When something is over that begins now.
    fn until(&self, time: Duration) -> u64 {
        self.clock.now().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    fn try_begin(&self, position: u32, name: String, input_hash: String) -> Result<BeginAnswer, Error> {
        let mut steps = self.steps();
        let asked = Step { name, kind: Kind::Step { input_hash: input_hash.clone(), outcome: None } };
        match at(&mut steps, position, asked)? {
            Kind::Step { input_hash: known, outcome } if *known == input_hash => {
                Ok(outcome.clone().map_or(BeginAnswer::Run, BeginAnswer::Recorded))
            }
            _ => {
                let message = format!("the step at position {position} has another input than the journal says");
                Err(Error::new(ErrorCode::NondeterministicStep, message))
            }
        }
    }

    fn try_finish(&self, position: u32, finished: String) -> Result<(), Error> {
        let mut steps = self.steps();
        let step = usize::try_from(position).ok().and_then(|position| steps.get_mut(position));
        match step.map(|step| &mut step.kind) {
            Some(Kind::Step { outcome, .. }) => {
                // The first outcome stands: it may have been replayed.
                outcome.get_or_insert(finished);
                Ok(())
            }
            _ => Err(Error::invalid(format!("no step was begun at position {position}"))),
        }
    }

    fn try_sleep(&self, position: u32, name: String, time: Duration) -> Result<SleepAnswer, Error> {
        let mut steps = self.steps();
        let asked = Step { name, kind: Kind::Sleep { until: self.until(time), is_over: false } };
        let Kind::Sleep { until, is_over } = at(&mut steps, position, asked)? else {
            return Ok(SleepAnswer::Wait);
        };
        *is_over |= *until <= self.clock.now();
        Ok(if *is_over { SleepAnswer::Elapsed } else { SleepAnswer::Wait })
    }

    fn try_wait(&self, position: u32, name: String, wait: EventWait) -> Result<WaitAnswer, Error> {
        let mut steps = self.steps();
        let until = wait.timeout.map(|timeout| self.until(timeout));
        let asked = Step { name, kind: Kind::Wait { wait, until, answer: None } };
        let Kind::Wait { until, answer, .. } = at(&mut steps, position, asked)? else {
            return Ok(WaitAnswer::Wait);
        };
        if answer.is_none() && until.is_some_and(|until| until <= self.clock.now()) {
            *answer = Some(WaitAnswer::TimedOut);
        }
        Ok(answer.clone().unwrap_or(WaitAnswer::Wait))
    }
}

/// The step at this position of the journal: the one that is asked for, if it is the next.
///
/// # Errors
/// `nondeterministic-step`, if it has something of another kind or name there.
fn at(steps: &mut Vec<Step>, position: u32, asked: Step) -> Result<&mut Kind, Error> {
    let index = usize::try_from(position).unwrap_or(usize::MAX);
    if index > steps.len() {
        return Err(Error::invalid(format!("the journal has {} steps: {position} is not the next", steps.len())));
    }
    if index == steps.len() {
        steps.push(asked);
        return Ok(&mut steps[index].kind);
    }
    let known = &mut steps[index];
    if known.name != asked.name || known.kind.noun() != asked.kind.noun() {
        let message = format!(
            "the {} {:?} is at position {position}, where the journal has the {} {:?}",
            asked.kind.noun(),
            asked.name,
            known.kind.noun(),
            known.name
        );
        return Err(Error::new(ErrorCode::NondeterministicStep, message));
    }
    Ok(&mut known.kind)
}

impl Journal for MemoryJournal {
    fn begin(&self, position: u32, name: String, input_hash: String) -> BoxFuture<'static, Result<BeginAnswer, Error>> {
        ready(self.try_begin(position, name, input_hash)).boxed()
    }

    fn finish(&self, position: u32, outcome: String) -> BoxFuture<'static, Result<(), Error>> {
        ready(self.try_finish(position, outcome)).boxed()
    }

    fn sleep(&self, position: u32, name: String, time: Duration) -> BoxFuture<'static, Result<SleepAnswer, Error>> {
        ready(self.try_sleep(position, name, time)).boxed()
    }

    fn wait_for(&self, position: u32, name: String, wait: EventWait) -> BoxFuture<'static, Result<WaitAnswer, Error>> {
        ready(self.try_wait(position, name, wait)).boxed()
    }
}
