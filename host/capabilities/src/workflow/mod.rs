//! `elias:workflow`: steps of a job that are done once, although its handler may be run several times.
//!
//! Each job, and each delivery of an event, has a [`Journal`]. Whoever runs the handler gives it, for that execution
//! alone, as a [`JournalHandle`] in [`CallOptions::extensions`](elias_host::CallOptions::extensions); executions
//! without one get `not-in-a-job`. [`MemoryJournal`] is one in the memory of this process.
//!
//! The table `[capabilities.workflow]` of elias.toml, every key of which has a default:
//!
//! - `steps` = 1000: the most steps of a job, sleeps and waits included.
//! - `outcome-bytes` = 128 KiB: the longest outcome of a step.
//! - `wait-ms` = 30 days: the longest sleep, and the longest timeout of a wait.

mod backend;
mod context;
mod contract;
mod grant;
mod link;
mod memory;
#[cfg(test)]
mod tests;

pub use backend::{BeginAnswer, EventWait, Journal, JournalHandle, SleepAnswer, WaitAnswer};
pub use context::WorkflowContext;
pub use contract::{Error, ErrorCode};
pub use grant::WorkflowGrant;
pub use memory::{JournalWait, MemoryJournal};

use elias_host::capability::{Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use serde_json::Value;
use std::sync::Arc;

/// The workflow capability.
#[derive(Debug, Default)]
pub struct Workflow;

impl Capability for Workflow {
    type Grant = WorkflowGrant;
    type Context = WorkflowContext;

    fn name(&self) -> &'static str {
        "workflow"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:workflow/steps"]
    }

    async fn configure(&self, _: &ComponentInfo, granted: Option<&Value>) -> Result<WorkflowGrant, ConfigureError> {
        WorkflowGrant::read(granted)
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        link::init(linker)
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<WorkflowGrant>) -> WorkflowContext {
        let (journal, calls) = (instance.extension::<JournalHandle>(), instance.call_meter(self.name()));
        WorkflowContext::new(journal.map(JournalHandle::journal), Arc::clone(grant), calls)
    }
}
