//! Telemetry of executions: spans, series, issues, alerts and notifications, as values and state machines that are
//! given the time.

pub mod alert;
pub mod issue;
pub mod notification;
pub mod otlp;
pub mod sampling;
pub mod security;
pub mod sentry;
pub mod series;
pub mod span;
mod text;
mod time;
pub mod usage;
