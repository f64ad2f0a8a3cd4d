//! `elias:jobs`: jobs that a component enqueues, and that its handler `job` runs later.
//!
//! The queue is behind the trait [`JobQueue`], which whoever runs the host implements; [`MemoryQueue`] is one in the
//! memory of this process, for a single project.
//!
//! The table `[capabilities.jobs]` of elias.toml, every key of which has a default:
//!
//! - `enqueues` = 100: the most jobs that one execution may enqueue or cancel.
//! - `payload-bytes` = 128 KiB: the longest input.
//! - `targets` = none: the other components whose jobs it may enqueue, by their names.

mod backend;
mod context;
mod contract;
mod grant;
mod link;
mod memory;
mod outbox;
#[cfg(test)]
mod tests;

pub use backend::{JobQueue, NewJob, StartTime};
pub use context::JobsContext;
pub use contract::{Error, ErrorCode};
pub use grant::JobsGrant;
pub use memory::{JobReceiver, JobState, ListedJob, MemoryQueue, QueuedJob};

#[cfg(all(feature = "db", feature = "events"))]
pub(crate) use outbox::hand_over;

use crate::trigger::Origin;
use elias_host::capability::{Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use serde_json::Value;
use std::sync::Arc;

/// The jobs capability.
pub struct Jobs {
    queue: Arc<dyn JobQueue>,
}

impl Jobs {
    /// Jobs that this queue takes.
    #[must_use]
    pub fn new(queue: Arc<dyn JobQueue>) -> Self {
        Self { queue }
    }
}

impl Capability for Jobs {
    type Grant = JobsGrant;
    type Context = JobsContext;

    fn name(&self) -> &'static str {
        "jobs"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:jobs/jobs"]
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<JobsGrant, ConfigureError> {
        JobsGrant::read(granted)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        link::init(linker)
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<JobsGrant>) -> JobsContext {
        let (queue, calls) = (Arc::clone(&self.queue), instance.call_meter(self.name()));
        JobsContext::new(queue, Arc::clone(grant), Origin::of(instance), calls).in_turn(instance.extension().cloned())
    }
}
