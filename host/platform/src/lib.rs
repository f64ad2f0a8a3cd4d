//! Tenants, immutable versions, deployments and rollouts, executions.
