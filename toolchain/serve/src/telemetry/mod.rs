//! What is told of executions to servers of others.

mod otlp;

pub(crate) use otlp::{Collector, OtlpExporter};
