//! What leaves the host about components: notifications of alerts.

mod mail;
mod notifier;

pub(crate) use mail::MailServer;
pub(crate) use notifier::PlatformNotifier;
