//! What is told of executions, and when somebody is told: spans, series, issues and alerts, as values and state
//! machines that are told the time.

pub mod otlp;
pub mod sampling;
pub mod span;
pub mod series;
pub mod usage;
pub mod alert;
pub mod notification;
pub mod issue;
pub mod security;
pub mod sentry;
