//! The runner of each host: fires the schedules that are due, claims and runs jobs, delivers events.
//!
//! There is no leader. What is to be done is in the store, every host may do it, and the store's transactions decide
//! who has: a tick is whoever's who inserts it, a job is leased for as long as heartbeats extend it, the events of a
//! subscription are whoever's who moves its cursor. A host that dies loses its leases, and what it writes late is
//! refused by the epoch of the lease.
//!
//! - [`Runner`]: what the parts share, and their tasks. It ends with its last handle.
//! - `scheduler`: due schedules, and those that have lost their next tick.
//! - `queue`: claiming what `looks` find, in the order of `plan` and within the `limits`; `run`: one job, to its end;
//!   `event_batch`: several deliveries in one run; `batch_waits`: those that wait for others.
//! - `hints`: from host to host, that there are jobs.
//! - `outbox`: jobs and events of components' transactions, from their databases into the store.
//! - `batch`: what many write, in one transaction; `writes`: their jobs, events and steps.
//! - `deliver`: events to subscriptions, `replay` once more; `waits`: events to the jobs that wait for them.
//! - `retention`: events that are not kept any more.
//! - [`TriggerBackends`]: the queue, the log of events and the journals, for the components' capabilities.
//! - [`registration`]: the schedules, subscriptions and webhooks of a version that begins to serve.
//!
//! It knows no platform: the services of the host are behind the trait [`Services`].

mod backends;
mod batch_waits;
mod cause;
mod dead_job;
mod deliver;
mod event_batch;
mod hints;
mod limits;
mod looks;
mod meters;
mod new_job;
mod outbox;
mod plan;
mod publish_later;
mod queue;
pub(crate) mod registration;
mod replay;
mod retention;
mod run;
mod runner;
mod scheduler;
mod step_records;
#[cfg(test)]
mod tests;
mod waits;
mod workflow_records;
mod writes;

pub use backends::TriggerBackends;
pub(crate) use cause::{checked as checked_traceparent, child_of as child_traceparent};
pub(crate) use deliver::{cloud_event, source_of};
pub(crate) use meters::LatencyKind;
pub(crate) use new_job::JobRequest;
pub(crate) use replay::Replay;
pub(crate) use retention::events_kept_ms;
pub(crate) use run::{Message, Run, RunEnd, ServedTriggers, Services, WebhookDelivery, cancellation};
pub(crate) use runner::Runner;
pub(crate) use scheduler::{FAILING_RUNS, LATE};
pub(crate) use step_records::{ROWS_OF_STEP, step_records};
pub(crate) use workflow_records::workflow_record;
