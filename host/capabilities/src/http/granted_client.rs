//! Requests that the host itself sends for a component, by the component's grant.

use super::client::Client;
use super::decode::WINDOWS_KIB;
use super::grant::Grant;
use bytes::Bytes;
use elias_host::capability::{CallMeter, ConfigureError};
use elias_host::grants;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use reqwest::Url;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Requests of the host that are under way for one component at a time; further ones wait for their turn.
const CONCURRENT_MAX: usize = 256;

/// A client of a component's grant, beside that of the component's own requests: a component that sends none has none.
pub struct GrantedClient {
    client: Client,
    open: Arc<Semaphore>,
}

/// The response of a server.
#[derive(Debug)]
pub struct PostResponse {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

/// Checks that a grant, the table `[capabilities.http]`, allows requests to a URL.
///
/// # Errors
/// The fault of the grant or the URL, or the line of elias.toml that is missing.
pub fn check_url(granted: Option<&Value>, url: &str) -> Result<(), String> {
    let url = Url::parse(url).map_err(|error| format!("must be a URL: {error}"))?;
    let checked = match grants::parse::<Grant>(granted) {
        Ok(grant) => grant.check(&url),
        Err(ConfigureError::NotGranted) => Err(Error::HttpRequestDenied),
        Err(error) => return Err(format!("cannot be checked: [capabilities.http]: {error}")),
    };
    let origin = url.origin().ascii_serialization();
    checked.map_err(|error| match error {
        Error::HttpRequestDenied => format!(
            "is not allowed by the grant `http`; add to elias.toml: [capabilities.http] with allow = [\"{origin}\"]"
        ),
        Error::DestinationIpProhibited => {
            let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
            let network = if host.contains(':') { format!("{host}/128") } else { format!("{host}/32") };
            format!(
                "is an address that is not public; add to elias.toml: [capabilities.http] with private = \
                 [\"{network}\"]"
            )
        }
        _ => "must have a host, and neither user nor password".to_owned(),
    })
}

impl GrantedClient {
    /// The client of a grant, the table `[capabilities.http]`, whose paths are relative to `folder`.
    ///
    /// # Errors
    /// As those of the capability for a component that imports it.
    pub fn new(granted: Option<&Value>, folder: &Path) -> Result<Self, ConfigureError> {
        let client = Client::new(grants::parse(granted)?, folder)?;
        Ok(Self { client, open: Arc::new(Semaphore::new(CONCURRENT_MAX)) })
    }

    /// Sends a POST request and reads the first `body_max` bytes of the response, all within `timeout`. Redirects are
    /// not followed. The bytes of the body are added to `sent` when the connection takes them, so that they count even
    /// if the request fails or its caller no longer waits.
    ///
    /// # Errors
    /// Why there is no response. The text names no address.
    pub async fn post(
        &self,
        url: &str,
        mut headers: HeaderMap,
        body: String,
        timeout: Duration,
        body_max: usize,
        sent: &Arc<AtomicU64>,
    ) -> Result<PostResponse, String> {
        let ends = Instant::now() + timeout;
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let sent = Arc::clone(sent);
        let body = Full::new(Bytes::from(body)).map_frame(move |frame| {
            sent.fetch_add(frame.data_ref().map_or(0, |data| data.len() as u64), Ordering::Relaxed);
            frame
        });
        let body: WasiBody = body.map_err(|never| match never {}).boxed_unsync();
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        let mut request = Request::post(url.as_str()).body(body).map_err(|error| error.to_string())?;
        *request.headers_mut() = headers;
        match tokio::time::timeout_at(ends, self.send(request, ends, body_max)).await {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err(format!("there was no response within {} s", timeout.as_secs())),
        }
    }

    async fn send(&self, request: Request<WasiBody>, ends: Instant, body_max: usize) -> Result<PostResponse, Error> {
        let permit = Arc::clone(&self.open).acquire_owned().await.map_err(|_| Error::ConnectionLimitReached)?;
        // For a server that encodes all the same.
        let windows = Arc::new(Semaphore::new(WINDOWS_KIB));
        let options = RequestOptions::default();
        let response = self.client.send(request, options, ends, permit, windows, CallMeter::default()).await?;
        let (head, mut body) = response.into_parts();
        let mut read = Vec::new();
        // A body that breaks off does not change what the status says.
        while read.len() < body_max
            && let Some(Ok(frame)) = body.frame().await
        {
            if let Some(data) = frame.data_ref() {
                read.extend_from_slice(&data[..data.len().min(body_max - read.len())]);
            }
        }
        Ok(PostResponse { status: head.status.as_u16(), headers: head.headers, body: read })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[test]
    fn a_url_that_is_not_allowed_is_refused_with_the_line_to_add() {
        let grant = json!({ "allow": ["https://example.com", "http://127.0.0.1:99"] });
        assert_eq!(check_url(Some(&grant), "https://example.com/hooks"), Ok(()));
        let private = json!({ "allow": ["http://127.0.0.1:99"], "private": ["127.0.0.1/32"] });
        assert_eq!(check_url(Some(&private), "http://127.0.0.1:99/"), Ok(()));
        for (granted, url, wanted) in [
            (None, "https://example.com/a", "allow = [\"https://example.com\"]"),
            (Some(&grant), "http://example.com:8080/a", "allow = [\"http://example.com:8080\"]"),
            (Some(&grant), "http://127.0.0.1:99/", "private = [\"127.0.0.1/32\"]"),
            (Some(&grant), "https://u@example.com/", "neither user"),
            (Some(&json!({ "allowed": [] })), "https://example.com/", "[capabilities.http]"),
        ] {
            let error = check_url(granted, url).expect_err(url);
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[tokio::test]
    async fn a_request_is_posted_and_the_beginning_of_its_response_is_read() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("it listens");
        let url = format!("http://{address}/hooks");
        let grant = json!({ "allow": [format!("http://{address}")], "private": ["127.0.0.1/32"] });
        let client = GrantedClient::new(Some(&grant), Path::new(".")).expect("a client");
        let headers = HeaderMap::from_iter([("webhook-id".parse().expect("a name"), HeaderValue::from_static("1"))]);
        let answer = async {
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let mut request = String::new();
            while !request.ends_with("{}") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).await.expect("a request");
                assert_ne!(count, 0, "{request}");
                request.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            let head = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 10\r\n\r\n0123456789";
            stream.write_all(head.as_bytes()).await.expect("written");
            request
        };
        let timeout = Duration::from_secs(15);
        let sent = Arc::<AtomicU64>::default();
        let (response, request) = tokio::join!(client.post(&url, headers, "{}".to_owned(), timeout, 4, &sent), answer);
        let response = response.expect("a response");
        assert_eq!((response.status, response.body.as_slice()), (302, b"0123".as_slice()));
        assert_eq!(sent.load(Ordering::Relaxed), 2);
        assert!(request.starts_with("POST /hooks HTTP/1.1\r\n") && request.contains("webhook-id: 1\r\n"), "{request}");
        assert!(request.contains("content-length: 2\r\n") && !request.contains("chunked"), "{request}");
    }

    #[tokio::test]
    async fn a_private_address_that_the_grant_does_not_name_is_not_dialled() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("it listens");
        let grant = json!({ "allow": ["*"] });
        let client = GrantedClient::new(Some(&grant), Path::new(".")).expect("a client");
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let url = format!("http://{host}:{}/", address.port());
            let (timeout, sent) = (Duration::from_secs(5), Arc::<AtomicU64>::default());
            let refused = client.post(&url, HeaderMap::new(), "{}".to_owned(), timeout, 4, &sent).await;
            assert_eq!(refused.expect_err(host), Error::DestinationIpProhibited.to_string());
            assert_eq!(sent.load(Ordering::Relaxed), 0, "nothing was sent");
        }
    }

    #[tokio::test]
    async fn what_was_sent_counts_also_if_there_is_no_response() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("it listens");
        let grant = json!({ "allow": [format!("http://{address}")], "private": ["127.0.0.1/32"] });
        let client = GrantedClient::new(Some(&grant), Path::new(".")).expect("a client");
        let body = "x".repeat(1_000);
        let hangs_up = async {
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let (mut request, mut bytes) = (Vec::new(), [0; 4_096]);
            while !request.ends_with(body.as_bytes()) {
                let count = stream.read(&mut bytes).await.expect("a request");
                assert_ne!(count, 0, "all of the body is sent");
                request.extend_from_slice(&bytes[..count]);
            }
        };
        let (url, sent) = (format!("http://{address}/"), Arc::<AtomicU64>::default());
        let post = client.post(&url, HeaderMap::new(), body.clone(), Duration::from_secs(15), 4, &sent);
        let (response, ()) = tokio::join!(post, hangs_up);
        response.expect_err("the server hung up");
        assert_eq!(sent.load(Ordering::Relaxed), 1_000);
    }
}
