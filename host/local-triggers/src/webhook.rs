//! Webhooks: events that are sent to a URL. Whoever builds the triggers gives what sends them, since this crate knows
//! no HTTP client.

use elias_delivery::clock::Now;
use elias_triggers::webhook_delivery::{WebhookRequest, WebhookResponse};
use futures::future::BoxFuture;
use std::sync::Arc;

/// Sends the requests of webhooks.
pub trait WebhookSender: Send + Sync {
    /// Sends a request by POST to a URL, within [`WEBHOOK_TIMEOUT`](crate::WEBHOOK_TIMEOUT). Of the response's body no
    /// more than [`WEBHOOK_RESPONSE_BYTES_MAX`](crate::WEBHOOK_RESPONSE_BYTES_MAX) need to be read, and redirects are
    /// not followed.
    ///
    /// # Errors
    /// Why there is no response; the delivery has failed then.
    fn send<'a>(&'a self, url: &'a str, request: WebhookRequest) -> BoxFuture<'a, Result<WebhookResponse, String>>;
}

/// A URL that gets events.
#[derive(Clone)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    /// The variable of the environment with the secret.
    pub(crate) secret: String,
    pub(crate) sender: Arc<dyn WebhookSender>,
}

impl Webhook {
    /// Sends an event, structured JSON, signed by the secret as it is set now.
    pub(crate) async fn send(&self, id: &str, event: String, now: Now) -> Result<WebhookResponse, String> {
        let Self { url, secret, sender } = self;
        let Ok(secrets) = std::env::var(secret) else {
            return Err(format!("the secret {secret} is not set: set it in .env or in the environment"));
        };
        let request = WebhookRequest::new(id, event, &secrets, now);
        let request = request.map_err(|error| format!("the secret {secret} {error}"))?;
        sender.send(url, request).await
    }
}
