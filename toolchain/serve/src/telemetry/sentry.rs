//! Sending failures to servers that speak Sentry's protocol, by the client of the capability `http` and within a grant
//! of the host's own: the server that is configured, and no private network that nobody may name.

use elias_capabilities::http::GrantedClient;
use elias_platform::{EnvelopeResponse, EnvelopeSender, EnvelopeTarget};
use elias_telemetry::sentry::ENVELOPE_TYPE;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::uri::InvalidUri;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use parking_lot::Mutex;
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The header with the key.
const AUTHORIZATION: HeaderName = HeaderName::from_static("x-sentry-auth");
/// How long a server may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a response that are read: only its status matters.
const RESPONSE_BYTES_MAX: usize = 1_024;
/// Clients that are kept; with one more all are made anew.
const CLIENTS_MAX: usize = 1_000;

/// Clients by the origin that each may reach, and whether that may be in a private network.
#[derive(Default)]
pub(crate) struct Envelopes {
    clients: Mutex<HashMap<(String, bool), Arc<GrantedClient>>>,
}

impl Envelopes {
    /// The client of a target, made if there is none yet.
    fn client(&self, target: EnvelopeTarget<'_>) -> Result<Arc<GrantedClient>, String> {
        let url: Uri = target.url.parse().map_err(|error: InvalidUri| error.to_string())?;
        let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
            return Err("the URL must have a scheme and a host".to_owned());
        };
        let key = (format!("{scheme}://{authority}"), target.may_be_private);
        // The map is whole after every operation.
        if let Some(known) = self.clients.lock().get(&key) {
            return Ok(Arc::clone(known));
        }
        let private: &[&str] = if target.may_be_private { &["0.0.0.0/0", "::/0"] } else { &[] };
        let grant = json!({ "allow": [key.0], "private": private });
        let client = GrantedClient::new(Some(&grant), Path::new(".")).map_err(|error| error.to_string())?;
        let client = Arc::new(client);
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(key, Arc::clone(&client));
        Ok(client)
    }
}

impl EnvelopeSender for Envelopes {
    fn send<'a>(&'a self, target: EnvelopeTarget<'a>, body: String) -> BoxFuture<'a, Result<EnvelopeResponse, String>> {
        async move {
            let client = self.client(target)?;
            let mut key = HeaderValue::try_from(target.authorization).map_err(|error| error.to_string())?;
            key.set_sensitive(true);
            let headers =
                HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(ENVELOPE_TYPE)), (AUTHORIZATION, key)]);
            let sent = Arc::default();
            let response = client.post(target.url, headers, body, TIMEOUT, RESPONSE_BYTES_MAX, &sent).await?;
            let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Ok(EnvelopeResponse { status: response.status, retry_after: retry_after.map(str::to_owned) })
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn an_envelope_is_posted_with_its_key_and_a_redirect_is_not_followed() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/api/1/envelope/", server.local_addr().expect("it listens"));
        let envelopes = Envelopes::default();
        let target = EnvelopeTarget { url: &url, authorization: "Sentry sentry_key=a", may_be_private: true };
        let answer = async {
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let mut request = String::new();
            while !request.ends_with("{}\n") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).await.expect("a request");
                assert_ne!(count, 0, "{request}");
                request.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            let head =
                "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).await.expect("written");
            request
        };
        let (response, request) = tokio::join!(envelopes.send(target, "{}\n".to_owned()), answer);
        let response = response.expect("a response");
        assert_eq!((response.status, response.retry_after.as_deref()), (302, Some("5")));
        assert!(request.starts_with("POST /api/1/envelope/ HTTP/1.1\r\n"), "{request}");
        assert!(
            request.contains("x-sentry-auth: Sentry sentry_key=a\r\n") && request.contains(ENVELOPE_TYPE),
            "{request}"
        );
    }

    #[tokio::test]
    async fn a_tenant_that_is_not_trusted_reaches_no_private_network() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = server.local_addr().expect("it listens").port();
        let envelopes = Envelopes::default();
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let url = format!("http://{host}:{port}/api/1/envelope/");
            let target = EnvelopeTarget { url: &url, authorization: "Sentry", may_be_private: false };
            assert!(envelopes.send(target, String::new()).await.is_err(), "{host}");
        }
    }
}
