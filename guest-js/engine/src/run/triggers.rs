//! The exports `elias:triggers/{schedule,job,event,events}`: they run the handlers `scheduled`, `job`, `event` and
//! `events`.

use super::{Component, Failure, finish_background, run_handler};
use crate::bindings::elias::triggers::types::{Exception, Failure as RunFailure, Retry};
use crate::bindings::exports::elias::triggers::event::Guest as EventGuest;
use crate::bindings::exports::elias::triggers::events::Guest as EventsGuest;
use crate::bindings::exports::elias::triggers::job::Guest as JobGuest;
use crate::bindings::exports::elias::triggers::schedule::Guest as ScheduleGuest;
use crate::error::ExceptionText;
use crate::native::{self, Decision, Trigger};
use crate::{log, runtime};

impl ScheduleGuest for Component {
    fn run(tick: String) -> Result<(), RunFailure> {
        run(Trigger::Scheduled, tick).map(drop)
    }
}

impl JobGuest for Component {
    fn run(job: String) -> Result<String, RunFailure> {
        run(Trigger::Job, job)
    }
}

impl EventGuest for Component {
    fn run(event: String) -> Result<(), RunFailure> {
        run(Trigger::Event, event).map(drop)
    }
}

impl EventsGuest for Component {
    fn run(batch: String) -> Result<String, RunFailure> {
        run(Trigger::Events, batch)
    }
}

/// Runs the handler with its message; gives its result as JSON.
fn run(trigger: Trigger, message: String) -> Result<String, RunFailure> {
    native::timers::start();
    native::set_input(message);
    let outcome = runtime::with(|ctx| -> Result<(), Failure> {
        run_handler(&ctx, trigger)?;
        finish_background(&ctx);
        Ok(())
    });
    native::release();
    if let Some(decision) = native::take_decision() {
        // What was decided stands, also where an exception came after it.
        if let Err(Failure::Exception(thrown)) = &outcome {
            log::uncaught(thrown);
        }
        return Err(match decision {
            Decision::Retry { after_ms, reason } => RunFailure::Retry(Retry { after_ms, reason }),
            Decision::Reject(reason) => RunFailure::Reject(reason),
        });
    }
    match outcome {
        Ok(()) => Ok(native::take_output().unwrap_or_else(|| "null".into())),
        Err(Failure::NeverSettles) if native::is_suspended() => Err(RunFailure::Suspended),
        Err(failure) => {
            let (kind, ExceptionText { name, message, stack }) = failure.into_parts();
            let name = if kind == "exception" { name } else { kind.to_owned() };
            Err(RunFailure::Exception(Exception { name, message, stack }))
        }
    }
}
