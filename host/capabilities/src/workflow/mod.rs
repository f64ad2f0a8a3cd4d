//! `elias:workflow`: steps of a job that are done once, although its handler may be run several times.
//!
//! Each job, each delivery of an event, and each turn of a service worker has a [`Journal`]. Whoever runs the handler
//! gives it, for that execution alone, as a [`JournalHandle`] in
//! [`CallOptions::extensions`](elias_host::CallOptions::extensions); executions without one get `not-in-a-job`.
//! [`MemoryJournal`] is one in the memory of this process.
//!
//! The effect of a step and its record in the journal are not one transaction, so that a host that dies in between
//! leaves the step to be done again. A step whose effect is in the component's own database can be a transaction of it:
//! the host writes the outcome into a table of that database, in the same transaction (the module `transaction`).
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
#[cfg(feature = "db")]
mod rows;
#[cfg(not(feature = "db"))]
#[path = "no_rows.rs"]
mod rows;
#[cfg(test)]
mod tests;
mod transaction;

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
        WorkflowContext::new(journal.cloned(), Arc::clone(grant), calls)
    }
}
