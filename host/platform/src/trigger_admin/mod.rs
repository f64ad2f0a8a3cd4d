//! Administration of triggers: schedules, jobs, workflows, events and subscriptions.

mod events;
mod jobs;
mod replay;
mod schedules;
mod workflows;

pub use events::ReplayFrom;
pub(crate) use events::new_event;

use crate::platform::Platform;
use crate::trigger_runs;
use crate::triggers::ServedTriggers;
use elias_api::{Error, Result};
use elias_names::ServiceId;

/// Records of a list, at most.
const LISTED_MAX: u32 = 1_000;

impl Platform {
    /// A service with its triggers, which has to be served by this host.
    fn served_triggers(&self, id: &ServiceId) -> Result<ServedTriggers> {
        trigger_runs::served(self.serving(), id).ok_or_else(|| Error::not_deployed(id))
    }
}
