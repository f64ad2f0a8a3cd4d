//! The trait that sends webhooks. The program that opens the platform implements it, since the platform knows no HTTP
//! client itself.

use elias_names::ServiceId;
use elias_triggers::webhook_delivery::{WebhookRequest, WebhookResponse};
use futures::future::BoxFuture;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A webhook's target, and by which right it is reached.
#[derive(Debug, Clone, Copy)]
pub struct WebhookTarget<'a> {
    /// The service whose webhook it is: its connections are no other's.
    pub service: &'a ServiceId,
    /// The component's grant of the capability `http`, the table of elias.toml; none if nothing.
    pub http: Option<&'a Value>,
    /// The folder that paths in the grant are relative to.
    pub folder: &'a Path,
    /// The URL.
    pub url: &'a str,
    /// Gets the bytes of the request's body as they are sent: they count also if the request fails, or if nobody waits
    /// for its end.
    pub sent: &'a Arc<AtomicU64>,
}

/// Sends the requests of webhooks. The command line provides it: the platform knows no HTTP client.
pub trait WebhookSender: Send + Sync {
    /// Checks that a grant of the capability `http` allows requests to a URL.
    ///
    /// # Errors
    /// The fault of the URL or the grant, with the line of elias.toml that is missing.
    fn check(&self, http: Option<&Value>, url: &str) -> Result<(), String>;

    /// Sends a request to a URL that the grant allows, within [`elias_triggers::webhook_delivery::TIMEOUT`]. Redirects
    /// are not followed.
    ///
    /// # Errors
    /// Why there is no response.
    fn send<'a>(
        &'a self,
        target: WebhookTarget<'a>,
        request: WebhookRequest,
    ) -> BoxFuture<'a, Result<WebhookResponse, String>>;
}
