//! The parts that the capabilities `jobs`, `events`, `workers` and `workflow` share.
//!
//! - `origin`: which execution asks a backend, and what [caused](crate::Cause) it.
//! - `clock`: the time by which their backends in memory go; `wait`: how these wait.
//! - `pending`: a call of a backend that is under way, as a resource.
//! - `error`: the error of an interface.
//! - `json`: whether a component's text is JSON.
//! - `submit`: the functions by which a component submits a job or an event.
//! - `task_group`: the tasks of whoever runs handlers or workers in one process.
//! - `text`: bounds of names, keys and other short texts.

mod clock;
#[cfg(any(feature = "events", feature = "jobs", feature = "workflow"))]
mod error;
#[cfg(any(feature = "events", feature = "jobs"))]
mod json;
#[cfg(any(feature = "events", feature = "jobs", feature = "workers"))]
mod origin;
mod pending;
#[cfg(any(feature = "events", feature = "jobs"))]
mod submit;
mod task_group;
#[cfg(any(feature = "events", feature = "jobs", feature = "workflow"))]
mod text;
#[cfg(any(feature = "events", feature = "jobs"))]
mod wait;

#[cfg(any(feature = "events", feature = "jobs", feature = "workers"))]
pub use crate::cause::Cause;
pub use clock::{Clock, ManualClock};
#[cfg(any(feature = "events", feature = "jobs", feature = "workers"))]
pub use origin::Origin;
pub use task_group::{ActiveWork, TaskGroup};

#[cfg(any(feature = "events", feature = "jobs", feature = "workflow"))]
pub(crate) use error::interface_error;
#[cfg(all(feature = "db", feature = "events", feature = "jobs"))]
pub(crate) use json::read as read_json;
#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) use json::{PAYLOAD_BYTES_MAX, check as check_json, work_on};
pub(crate) use pending::{Pending, Reply, link as link_pending};
#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) use submit::{MakeRow, Submit, submit, submit_in};
#[cfg(any(feature = "events", feature = "jobs", feature = "workflow"))]
pub(crate) use text::check as check_text;
#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) use wait::wait;
