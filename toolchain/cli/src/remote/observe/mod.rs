//! Observation: status, logs, stored data and the audit trail.

pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod database;
pub(crate) mod doctor;
pub(crate) mod executions;
pub(crate) mod issues;
pub(crate) mod metrics;
pub(crate) mod security;
pub(crate) mod status;
pub(crate) mod traces;
pub(crate) mod usage;
