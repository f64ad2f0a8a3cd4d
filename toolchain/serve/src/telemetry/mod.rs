//! What is told of executions to servers of others: spans and log lines, failures as envelopes, and
//! notifications of alerts.

mod mail;
mod notifier;
mod otlp;
mod sentry;

pub(crate) use mail::MailServer;
pub(crate) use notifier::{PlatformNotifier, grant_of};
pub(crate) use otlp::{Collector, OtlpExporter};
pub(crate) use sentry::Envelopes;
