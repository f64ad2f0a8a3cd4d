//! `elias:events`: events that a component publishes for the subscribers to their types.
//!
//! The log is behind the trait [`EventLog`], which whoever runs the host implements; [`MemoryLog`] is one in the memory
//! of this process, for a single project.
//!
//! The table `[capabilities.events]` of elias.toml, every key of which has a default:
//!
//! - `publishes` = 100: the most events that one execution may publish.
//! - `payload-bytes` = 128 KiB: the longest data.
//! - `types` = `["**"]`: the types that it may publish, as patterns: `*` for one part, and `**` for any number of them.

mod backend;
mod context;
mod contract;
mod grant;
mod link;
mod memory;
mod outbox;
#[cfg(test)]
mod tests;

pub use backend::{EventLog, NewEvent};
pub use context::EventsContext;
pub use contract::{Error, ErrorCode};
pub use grant::EventsGrant;
pub use memory::{EventReceiver, MemoryLog, PublishedEvent};

#[cfg(all(feature = "db", feature = "jobs"))]
pub(crate) use outbox::hand_over;

use crate::trigger::Origin;
use elias_host::capability::{Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use serde_json::Value;
use std::sync::Arc;

/// The events capability.
pub struct Events {
    log: Arc<dyn EventLog>,
}

impl Events {
    /// Events that go into this log.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log }
    }
}

impl Capability for Events {
    type Grant = EventsGrant;
    type Context = EventsContext;

    fn name(&self) -> &'static str {
        "events"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:events/events"]
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<EventsGrant, ConfigureError> {
        EventsGrant::read(granted)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        link::init(linker)
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<EventsGrant>) -> EventsContext {
        let (log, calls) = (Arc::clone(&self.log), instance.call_meter(self.name()));
        EventsContext::new(log, Arc::clone(grant), Origin::of(instance), calls).in_turn(instance.extension().cloned())
    }
}
