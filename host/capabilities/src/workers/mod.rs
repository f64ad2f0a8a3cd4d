//! `elias:workers`: calls of service workers, by handlers of a component that are not workers themselves.
//!
//! The workers are behind the trait [`WorkerBackend`], which whoever runs them implements. An execution can be given
//! others for itself alone: [`ExecutionWorkers`].
//!
//! The table `[capabilities.workers]` of elias.toml, every key of which has a default:
//!
//! - `calls` = 100: the most calls and messages of one execution.
//! - `payload-bytes` = 1 MiB: the longest message, and list of arguments.

mod backend;
mod context;
mod contract;
mod grant;
mod link;
#[cfg(test)]
mod tests;

pub use backend::{ExecutionWorkers, WorkerBackend, WorkerCall};
pub use context::WorkersContext;
pub use contract::{Error, ErrorCode};
pub use grant::WorkersGrant;

use crate::trigger::Origin;
use backend::NoWorkers;
use elias_host::capability::{Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use serde_json::Value;
use std::sync::Arc;

/// The workers capability.
pub struct Workers {
    backend: Arc<dyn WorkerBackend>,
}

impl Workers {
    /// Calls of the workers that this backend runs.
    #[must_use]
    pub fn new(backend: Arc<dyn WorkerBackend>) -> Self {
        Self { backend }
    }

    /// The capability where no workers run: components that call workers are loaded, but each call is `unavailable`.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(Arc::new(NoWorkers))
    }
}

impl Capability for Workers {
    type Grant = WorkersGrant;
    type Context = WorkersContext;

    fn name(&self) -> &'static str {
        "workers"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:workers/workers"]
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<WorkersGrant, ConfigureError> {
        WorkersGrant::read(granted)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        link::init(linker)
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<WorkersGrant>) -> WorkersContext {
        let of_execution = instance.extension::<ExecutionWorkers>();
        let backend = of_execution.map_or_else(|| Arc::clone(&self.backend), ExecutionWorkers::backend);
        let calls = instance.call_meter(self.name());
        WorkersContext::new(backend, Arc::clone(grant), Origin::of(instance), calls)
    }
}
