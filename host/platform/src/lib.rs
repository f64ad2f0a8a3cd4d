//! Tenants, immutable versions, deployments and rollouts, executions.

pub mod transparency;
