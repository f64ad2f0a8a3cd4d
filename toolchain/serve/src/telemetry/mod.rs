//! What is told of executions to servers of others: spans and log lines, and notifications of alerts.

mod mail;
mod notifier;
mod otlp;

pub(crate) use mail::MailServer;
pub(crate) use notifier::PlatformNotifier;
pub(crate) use otlp::{Collector, OtlpExporter};
