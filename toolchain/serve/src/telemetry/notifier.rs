//! Sends notifications of alerts: by the client of the capability `http`, to public addresses and the private networks
//! that the operator names, and by the operator's mail server.

use super::mail::MailServer;
use elias_capabilities::http::{GrantedClient, check_url};
use elias_names::TenantId;
use elias_platform::Notifier;
use elias_telemetry::notification::MailText;
use elias_triggers::webhook_delivery::{RESPONSE_BYTES_MAX, TIMEOUT, WebhookResponse};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use url::Url;

/// The grant of requests to the origin of a URL and to nothing else, which may be in one of the networks `private`.
///
/// # Errors
/// If it is not a URL.
pub(crate) fn grant_of(url: &str, private: &[String]) -> Result<Value, String> {
    let origin = Url::parse(url).map_err(|error| format!("must be a URL: {error}"))?.origin();
    Ok(json!({ "allow": [origin.ascii_serialization()], "private": private }))
}

/// The notifier of a platform.
pub(crate) struct PlatformNotifier {
    /// Private networks that receivers may be in, such as `10.1.0.0/16`.
    private: Vec<String>,
    mail: Option<MailServer>,
}

impl PlatformNotifier {
    pub(crate) fn new(private: Vec<String>, mail: Option<MailServer>) -> Self {
        Self { private, mail }
    }

    async fn send(
        &self,
        url: &str,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> Result<WebhookResponse, String> {
        let grant = grant_of(url, &self.private)?;
        // No connection of one tenant's is used for another's: notifications are rare, and each has its own.
        let client = GrantedClient::new(Some(&grant), Path::new(".")).map_err(|error| error.to_string())?;
        let mut fields = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::try_from(value).map_err(|error| format!("{name}: {error}"))?;
            fields.insert(HeaderName::from_static(name), value);
        }
        let sent = Arc::default();
        let response = client.post(url, fields, body, TIMEOUT, RESPONSE_BYTES_MAX, &sent).await?;
        let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(WebhookResponse { status: response.status, retry_after, body: response.body })
    }
}

impl Notifier for PlatformNotifier {
    fn check_url(&self, url: &str) -> Result<(), String> {
        let grant = grant_of(url, &self.private)?;
        // The remedy for a component, a line of elias.toml, is none for the operator of a receiver.
        check_url(Some(&grant), url).map_err(|error| match error.split_once("; add to elias.toml") {
            Some((fault, _)) => format!("{fault}; the operator can allow it (elias serve --private-network)"),
            None => error,
        })
    }

    fn can_mail(&self) -> bool {
        self.mail.is_some()
    }

    fn post<'a>(
        &'a self,
        _: &'a TenantId,
        url: &'a str,
        headers: Vec<(&'static str, String)>,
        body: String,
    ) -> BoxFuture<'a, Result<WebhookResponse, String>> {
        self.send(url, headers, body).boxed()
    }

    fn mail<'a>(&'a self, to: &'a [String], mail: MailText) -> BoxFuture<'a, Result<(), String>> {
        async move {
            match &self.mail {
                Some(server) => server.send(to, mail).await,
                None => Err("this host has no mail server".to_owned()),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn receivers_are_at_public_addresses_unless_the_operator_says_more() {
        let public = PlatformNotifier::new(Vec::new(), None);
        assert_eq!(public.check_url("https://hooks.slack.com/services/T/B/x"), Ok(()));
        for url in ["http://127.0.0.1:1/", "http://[::1]/", "http://169.254.169.254/latest", "http://10.0.0.1/", "x"] {
            assert!(public.check_url(url).is_err(), "{url}");
        }
        let refused = public.check_url("http://10.1.2.3/").expect_err("it is private");
        assert!(refused.contains("--private-network") && !refused.contains("elias.toml"), "{refused}");
        let inside = PlatformNotifier::new(vec!["10.1.0.0/16".to_owned()], None);
        assert_eq!(inside.check_url("http://10.1.2.3/"), Ok(()));
    }

    #[tokio::test]
    async fn a_redirect_into_the_network_is_not_followed() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hooks", server.local_addr().expect("it listens"));
        let notifier = PlatformNotifier::new(vec!["127.0.0.1/32".to_owned()], None);
        let answer = async {
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let mut bytes = [0; 4_096];
            assert_ne!(stream.read(&mut bytes).await.expect("a request"), 0);
            let head = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).await.expect("written");
            stream
        };
        let headers = vec![("content-type", "application/json".to_owned())];
        let (response, _stream) = tokio::join!(notifier.send(&url, headers, "{}".to_owned()), answer);
        assert_eq!(response.expect("a response").status, 302);
        let refused = PlatformNotifier::new(Vec::new(), None).send(&url, Vec::new(), String::new()).await;
        assert!(refused.is_err(), "nothing is dialled without the operator's leave");
    }
}
