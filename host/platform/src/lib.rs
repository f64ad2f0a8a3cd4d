//! Tenants, immutable versions, deployments and rollouts, executions: one host that many teams share.

pub mod access;
pub mod artifacts;
pub mod error;
pub mod name;
pub mod store;
mod vault;

pub use error::{Code, Error, Result};
