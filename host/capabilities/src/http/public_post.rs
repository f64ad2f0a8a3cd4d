//! Messages that the host itself posts to URLs that others name, such as telemetry to a collector.

use super::client::Addresses;
use super::public::{allowed_url, client_of};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::Client;
use std::sync::Arc;

/// Bytes of a response that are read.
const BYTES_MAX: usize = 64 << 10;

/// Posts messages to public addresses, and to the networks that it was given, under the rules of a component's grant.
/// Redirects are not followed.
#[derive(Clone)]
pub struct PublicPost {
    addresses: Arc<Addresses>,
    client: Client,
}

/// The response to a message.
#[derive(Debug)]
pub struct PublicResponse {
    /// The status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The beginning of the body, 64 KiB at most.
    pub body: Vec<u8>,
    /// The trailer fields.
    pub trailers: HeaderMap,
}

impl PublicPost {
    /// A client that may dial public addresses and those of these networks. With `http2` it speaks nothing else, also
    /// without TLS, as gRPC does.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn new(networks: Vec<IpNet>, http2: bool) -> Result<Self, String> {
        let addresses = Arc::new(Addresses::new(networks));
        let client = client_of(&addresses, |builder| {
            let builder = builder.no_gzip().no_brotli().no_zstd();
            if http2 { builder.http2_prior_knowledge() } else { builder }
        })?;
        Ok(Self { addresses, client })
    }

    /// Posts a message, and reads the response within 10 s.
    ///
    /// # Errors
    /// Why there is no response.
    pub async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Result<PublicResponse, String> {
        let url = allowed_url(&self.addresses, url)?;
        let sent = self.client.post(url).headers(headers).body(body).send().await;
        let response = sent.map_err(|error| error.to_string())?;
        let (head, mut content) = http::Response::<reqwest::Body>::from(response).into_parts();
        let (mut read, mut trailers) = (Vec::new(), HeaderMap::new());
        while let Some(frame) = content.frame().await {
            match frame.map_err(|error| error.to_string())?.into_data() {
                Ok(data) => read.extend_from_slice(&data[..data.len().min(BYTES_MAX - read.len())]),
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
            // What follows of a longer one says nothing that is asked for, and might never end.
            if read.len() == BYTES_MAX {
                break;
            }
        }
        Ok(PublicResponse { status: head.status.as_u16(), headers: head.headers, body: read, trailers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_message_is_posted_where_the_networks_allow_it() {
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = server.local_addr().expect("it listens").port();
        let url = format!("http://127.0.0.1:{port}/v1/traces");
        let nowhere = PublicPost::new(Vec::new(), false).expect("a client");
        assert!(nowhere.post(&url, HeaderMap::new(), Bytes::new()).await.is_err());
        let answer = async {
            let (mut stream, _) = server.accept().await.expect("someone calls");
            let mut request = Vec::new();
            while !request.ends_with(b"message") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).await.expect("a request");
                assert_ne!(count, 0, "all of it is sent");
                request.extend_from_slice(&bytes[..count]);
            }
            let head = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\n{}";
            stream.write_all(head.as_bytes()).await.expect("written");
        };
        let post = PublicPost::new(vec!["127.0.0.0/8".parse().expect("a network")], false).expect("a client");
        let (response, ()) = tokio::join!(post.post(&url, HeaderMap::new(), Bytes::from_static(b"message")), answer);
        let response = response.expect("a response");
        assert_eq!((response.status, response.body.as_slice()), (503, b"{}".as_slice()));
        assert_eq!(response.headers["retry-after"], "7");
    }
}
