//! Triggers, which start code beside a request: time, jobs and events, and the steps of a job that survive a crash.
//!
//! Pure state machines: they read no clock, no store and no network. They are told the time
//! ([`elias_delivery::clock::Now`]) and random numbers, and answer with decisions that others carry out.
//!
//! - [`config`]: the table `[triggers]` of elias.toml.
//! - [`schedule`]: cron lines in time zones, and what becomes of each due time.
//! - [`queue`]: retries, priorities, the order between tenants, concurrency and rates of jobs.
//! - [`event`]: CloudEvents, which subscription an event is for, transformations, webhooks.
//! - [`webhook_delivery`]: the request of a webhook, and what its response means.
//! - [`workflow`]: the journal of a job's steps.
//! - [`duration`]: durations as elias.toml writes them, which other tables have too.

pub mod config;
pub mod event;
pub mod queue;
pub mod schedule;
pub mod webhook_delivery;
pub mod workflow;

pub use elias_delivery::duration;
