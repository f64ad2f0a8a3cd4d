//! Documents that the host itself fetches from URLs that others name: the keys of identity providers.

use super::client::Addresses;
use ipnet::IpNet;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, StatusCode, Url};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Until a response is there whole.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a document.
const BYTES_MAX: usize = 1 << 20;

/// Fetches documents from public addresses, and from the private networks that it was given, under the rules of a
/// component's grant: a URL of a stranger cannot reach the host's own network. Redirects are not followed.
#[derive(Clone)]
pub struct PublicFetch {
    addresses: Arc<Addresses>,
    client: Client,
}

impl PublicFetch {
    /// A client that may dial public addresses and those of `private` networks.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn new(private: Vec<IpNet>) -> Result<Self, String> {
        let addresses = Arc::new(Addresses::new(private));
        let client = client_of(&addresses, |builder| builder)?;
        Ok(Self { addresses, client })
    }

    /// The document at `url`, of at most 1 MiB.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        self.get_within(url, BYTES_MAX).await
    }

    /// The document at `url`, of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub async fn get_within(&self, url: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
        let request = self.client.get(allowed_url(&self.addresses, url)?);
        let (status, bytes) = self.exchange(request, bytes_max).await?;
        if !status.is_success() {
            return Err(format!("the response has status {status}, and must be successful"));
        }
        Ok(bytes)
    }

    /// The status and the content, of at most 1 MiB, of the response to a form that is sent by POST, with a value of
    /// the header `Authorization` if it is given.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn post_form(
        &self,
        url: &str,
        form: String,
        authorization: Option<&str>,
    ) -> Result<(u16, Vec<u8>), String> {
        let mut request =
            self.client.post(allowed_url(&self.addresses, url)?).body(form).header(ACCEPT, "application/json");
        request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(authorization) = authorization {
            let mut value = HeaderValue::from_str(authorization).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let (status, bytes) = self.exchange(request, BYTES_MAX).await?;
        Ok((status.as_u16(), bytes))
    }

    async fn exchange(&self, request: RequestBuilder, bytes_max: usize) -> Result<(StatusCode, Vec<u8>), String> {
        let mut response = request.send().await.map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
            if bytes.len() + chunk.len() > bytes_max {
                return Err(format!("it has more than {bytes_max} bytes"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((response.status(), bytes))
    }
}

/// A client that dials these addresses alone, and follows no redirects; `change` sets what else it is to do.
///
/// # Errors
/// Why there can be none.
pub(super) fn client_of(
    addresses: &Arc<Addresses>,
    change: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, String> {
    let builder = Client::builder().redirect(Policy::none()).referer(false).no_proxy().timeout(TIMEOUT);
    let client = change(builder.dns_resolver(Arc::clone(addresses))).build();
    client.map_err(|error| format!("no client can be made: {error}"))
}

/// The URL, if it names no address that may not be dialled. Those of names are checked when they are resolved.
pub(super) fn allowed_url(addresses: &Addresses, url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    if literal.is_some_and(|address| !addresses.allow(address)) {
        return Err(
            "its address must be public; platform operators allow a private network with --private-network".to_owned()
        );
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_networks_that_were_named_are_dialled() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = server.local_addr().expect("it listens").port();
        for url in
            [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/"), format!("http://[::1]:{port}/")]
        {
            let fetch = PublicFetch::new(Vec::new()).expect("a client");
            assert!(fetch.get(&url).await.is_err(), "{url}");
        }
        let answer = async {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.expect("written");
        };
        let fetch = PublicFetch::new(vec!["127.0.0.0/8".parse().expect("a network")]).expect("a client");
        let url = format!("http://127.0.0.1:{port}/");
        let (got, ()) = tokio::join!(fetch.get(&url), answer);
        assert_eq!(got.expect("allowed"), b"{}");
    }

    #[tokio::test]
    async fn a_form_is_sent_and_its_refusal_read() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/token", server.local_addr().expect("it listens"));
        let form = || "grant_type=x".to_owned();
        let elsewhere = PublicFetch::new(Vec::new()).expect("a client");
        assert!(elsewhere.post_form(&url, form(), None).await.is_err(), "its network was not named");
        let answer = async {
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let mut sent = Vec::new();
            while !sent.ends_with(b"grant_type=x") {
                assert!(stream.read_buf(&mut sent).await.expect("a request") > 0);
            }
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}").await.expect("written");
            String::from_utf8(sent).expect("text").to_ascii_lowercase()
        };
        let fetch = PublicFetch::new(vec!["127.0.0.0/8".parse().expect("a network")]).expect("a client");
        let (got, sent) = tokio::join!(fetch.post_form(&url, form(), Some("Basic YQ==")), answer);
        assert_eq!(got.expect("a response"), (400, b"{}".to_vec()));
        assert!(sent.starts_with("post /token ") && sent.contains("authorization: basic yq=="), "{sent}");
        assert!(sent.contains("content-type: application/x-www-form-urlencoded"), "{sent}");
    }
}
