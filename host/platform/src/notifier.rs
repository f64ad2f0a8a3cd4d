//! The trait that sends notifications. The program that opens the platform implements it, since the platform knows
//! neither an HTTP client nor a mail client itself.

use elias_names::TenantId;
use elias_telemetry::notification::MailText;
use elias_triggers::webhook_delivery::WebhookResponse;
use futures::future::BoxFuture;

/// Sends the notifications of alerts.
pub trait Notifier: Send + Sync {
    /// Checks that notifications may be posted to a URL: no private address that the operator has not allowed.
    ///
    /// # Errors
    /// The fault of the URL.
    fn check_url(&self, url: &str) -> Result<(), String>;

    /// Whether mail can be sent.
    fn can_mail(&self) -> bool;

    /// Posts a text to a URL for a tenant, within [`elias_triggers::webhook_delivery::TIMEOUT`]. Redirects are not
    /// followed.
    ///
    /// # Errors
    /// Why there is no response.
    fn post<'a>(
        &'a self,
        tenant: &'a TenantId,
        url: &'a str,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> BoxFuture<'a, Result<WebhookResponse, String>>;

    /// Sends a mail to each of the addresses, within the same time.
    ///
    /// # Errors
    /// Why the mail server did not take it.
    fn mail<'a>(&'a self, to: &'a [String], mail: MailText) -> BoxFuture<'a, Result<(), String>>;
}
