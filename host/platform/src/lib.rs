//! Tenants, immutable versions, deployments and rollouts, executions: one host that many teams share.

pub mod access;
pub mod artifacts;
pub mod clock;
pub mod error;
pub mod name;
pub mod rollout;
pub mod setting;
pub mod stages;
pub mod statistics;
pub mod store;
pub mod supervision;
pub mod transparency;
mod vault;

pub use error::{Code, Error, Result};
