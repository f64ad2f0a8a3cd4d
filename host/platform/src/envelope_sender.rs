//! The trait that sends failures to servers that speak Sentry's protocol. The program that opens the platform
//! implements it, since the platform knows no HTTP client itself.

use futures::future::BoxFuture;

/// Where an envelope goes.
#[derive(Debug, Clone, Copy)]
pub struct EnvelopeTarget<'a> {
    /// The URL.
    pub url: &'a str,
    /// The value of the header `X-Sentry-Auth`.
    pub authorization: &'a str,
    /// Whether it may be in a private network: it was named by those who run the host, or for a tenant that they trust.
    pub may_be_private: bool,
}

/// What a server answered to an envelope.
#[derive(Debug, Clone)]
pub struct EnvelopeResponse {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
}

/// Sends envelopes.
pub trait EnvelopeSender: Send + Sync {
    /// Posts an envelope within a time of the sender's. Redirects are not followed.
    ///
    /// # Errors
    /// Why there is no response.
    fn send<'a>(&'a self, target: EnvelopeTarget<'a>, body: String) -> BoxFuture<'a, Result<EnvelopeResponse, String>>;
}
