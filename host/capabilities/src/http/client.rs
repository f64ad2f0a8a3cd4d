//! Sending one request to where it may go.

use super::address::is_public;
use super::body::{Received, outgoing};
use super::error::{Prohibited, from_client};
use super::grant::Grant;
use elias_host::capability::ConfigureError;
use http::header::ACCEPT_ENCODING;
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Url};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Idle connections that are kept to one host.
const IDLE_CONNECTIONS: usize = 16;
/// How long they are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// One component's way out.
pub(super) struct Client {
    grant: Grant,
    addresses: Arc<Addresses>,
    /// Decompresses what it gets.
    decoding: reqwest::Client,
    /// Gives what it gets, to guests that negotiate the coding themselves.
    raw: reqwest::Client,
}

impl Client {
    pub(super) fn new(grant: Grant, folder: &Path) -> Result<Self, ConfigureError> {
        let addresses = Arc::new(Addresses { private: grant.private.clone() });
        let authorities = match &grant.ca_file {
            None => Vec::new(),
            Some(path) => {
                authorities(&folder.join(path)).map_err(|why| ConfigureError::Invalid(format!("ca-file: {why}")))?
            }
        };
        let build = |decoding: bool| {
            let builder = ClientBuilder::new()
                .gzip(decoding)
                .brotli(decoding)
                .zstd(decoding)
                .redirect(Policy::none())
                .referer(false)
                // The host's own proxy would dial addresses that nobody checked.
                .no_proxy()
                .dns_resolver(Arc::clone(&addresses))
                .connect_timeout(Duration::from_millis(grant.connect_timeout_ms))
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .http2_adaptive_window(false)
                .tcp_nodelay(true);
            let builder = authorities.iter().cloned().fold(builder, ClientBuilder::add_root_certificate);
            builder.build().map_err(|error| ConfigureError::Unavailable(format!("no client can be made: {error}")))
        };
        let (decoding, raw) = (build(true)?, build(false)?);
        Ok(Self { grant, addresses, decoding, raw })
    }

    /// What the component was granted.
    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Sends a request; gives the response once its head is there.
    pub(super) async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: RequestOptions,
        ends: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<http::Response<WasiBody>, Error> {
        let (head, body) = request.into_parts();
        // The parser that browsers use: hosts in decimal, octal or Unicode come out in the one form that is checked and
        // dialled.
        let url = Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::HttpRequestUriInvalid);
        }
        if !self.grant.allow.iter().any(|rule| rule.allows(&url)) {
            return Err(Error::HttpRequestDenied);
        }
        // Names are resolved, and their addresses checked, when they are dialled; an address that is named is dialled.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !self.addresses.allow(address)) {
            return Err(Error::DestinationIpProhibited);
        }
        let client = if head.headers.contains_key(ACCEPT_ENCODING) { &self.raw } else { &self.decoding };
        let mut builder = client.request(head.method, url).headers(head.headers);
        if let Some(body) = outgoing(body, self.grant.request_bytes) {
            builder = builder.body(body);
        }
        let first_byte = Duration::from_millis(self.grant.first_byte_timeout_ms);
        let first_byte = options.first_byte_timeout.map_or(first_byte, |asked| asked.min(first_byte));
        let head_by = (Instant::now() + first_byte).min(ends);
        let response = tokio::time::timeout_at(head_by, builder.send()).await;
        let response = response.map_err(|_| Error::HttpResponseTimeout)?.map_err(|error| from_client(&error))?;
        let bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > self.grant.header_bytes as usize {
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(bytes).ok()));
        }
        let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let body = Received::new(body, self.grant.response_bytes, ends, options.between_bytes_timeout, place);
        Ok(http::Response::from_parts(head, body.boxed_unsync()))
    }
}

/// The certificates of a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| format!("{} is no PEM file: {error}", path.display()))
}

/// The addresses that may be dialled: public ones, and those that the grant names.
struct Addresses {
    private: Vec<IpNet>,
}

impl Addresses {
    fn allow(&self, address: IpAddr) -> bool {
        is_public(address) || self.private.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private.clone();
        Box::pin(async move {
            // The client puts the port in.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses = Self { private };
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|found| addresses.allow(found.ip())).collect();
            if allowed.is_empty() {
                return Err(Prohibited.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
