//! Telemetry that is sent to other servers: spans and log lines by OTLP, failures as Sentry's envelopes, and
//! notifications of alerts.

mod mail;
mod notifier;
mod otlp;
mod sentry;

pub(crate) use mail::MailServer;
pub(crate) use notifier::{PlatformNotifier, grant_of};
pub(crate) use otlp::{Collector, OtlpExporter};
pub(crate) use sentry::Envelopes;
