//! Tenants, immutable versions, deployments and rollouts, executions.

pub mod clock;
pub mod rollout;
pub mod setting;
pub mod stages;
pub mod statistics;
pub mod supervision;
