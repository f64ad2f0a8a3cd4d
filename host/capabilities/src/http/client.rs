//! The HTTP client of a component, which sends requests to permitted destinations only.

use super::address::is_public;
use super::body::{ResponseBody, outgoing};
use super::coding::{ACCEPTED, Coding};
use super::decode::DecodedBody;
use super::error::{ProhibitedAddress, from_client};
use super::grant::Grant;
use elias_host::capability::{CallMeter, ConfigureError};
use futures::future::{BoxFuture, FutureExt};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, RANGE};
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder, Url};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// Idle connections that are kept to one host.
const IDLE_CONNECTIONS: usize = 16;
/// How long they are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The HTTP client of one component.
pub(super) struct Client {
    grant: Grant,
    client: reqwest::Client,
}

impl Client {
    pub(super) fn new(grant: Grant, folder: &Path) -> Result<Self, ConfigureError> {
        Self::resolving(grant, folder, Arc::new(|name| system_lookup(name).boxed()))
    }

    fn resolving(grant: Grant, folder: &Path, lookup: Arc<Lookup>) -> Result<Self, ConfigureError> {
        let addresses = Arc::new(Addresses { private: grant.private.clone(), lookup });
        let authorities = match &grant.ca_file {
            None => Vec::new(),
            Some(path) => {
                authorities(&folder.join(path)).map_err(|why| ConfigureError::Invalid(format!("ca-file: {why}")))?
            }
        };
        let builder = ClientBuilder::new()
            // It takes one coding, the first member of a gzip file, and work that nobody counts: see `decode`.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .redirect(Policy::none())
            .referer(false)
            // The host's own proxy would dial addresses that nobody checked.
            .no_proxy()
            .dns_resolver(addresses)
            .connect_timeout(Duration::from_millis(grant.connect_timeout_ms))
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .http2_adaptive_window(false)
            .tcp_nodelay(true);
        let builder = authorities.into_iter().fold(builder, ClientBuilder::add_root_certificate);
        let client = builder.build();
        let client = client.map_err(|error| ConfigureError::Unavailable(format!("no client can be made: {error}")))?;
        Ok(Self { grant, client })
    }

    /// The component's grant.
    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Sends a request; gives the response once its headers are there. Its body is decoded as it is read, and is then
    /// no more what `content-encoding` and `content-length` say of it: these are left out.
    pub(super) async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: RequestOptions,
        ends: Instant,
        permit: OwnedSemaphorePermit,
        windows: Arc<Semaphore>,
        calls: CallMeter,
    ) -> Result<http::Response<WasiBody>, Error> {
        let (mut head, body) = request.into_parts();
        // The parser that browsers use: hosts in decimal, octal or Unicode come out in the one form that is checked and
        // dialled.
        let url = Url::parse(&head.uri.to_string()).map_err(|_| Error::HttpRequestUriInvalid)?;
        self.grant.check(&url)?;
        if !head.headers.contains_key(ACCEPT_ENCODING) {
            // A range of what is encoded cannot be decoded: Fetch, 4.6, "HTTP-network-or-cache fetch".
            let accepted = if head.headers.contains_key(RANGE) { "identity" } else { ACCEPTED };
            head.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
        }
        let to_head = head.method == Method::HEAD;
        let mut builder = self.client.request(head.method, url).headers(head.headers);
        let failure = Arc::default();
        if let Some(body) = outgoing(body, self.grant.request_bytes, calls.clone(), Arc::clone(&failure)) {
            builder = builder.body(body);
        }
        let first_byte = Duration::from_millis(self.grant.first_byte_timeout_ms);
        let first_byte = options.first_byte_timeout.map_or(first_byte, |asked| asked.min(first_byte));
        let head_by = (Instant::now() + first_byte).min(ends);
        let response = tokio::time::timeout_at(head_by, builder.send()).await;
        let response = response.map_err(|_| Error::HttpResponseTimeout)?;
        let response = response.map_err(|error| from_client(&error, failure.get()))?;
        let bytes: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if bytes > self.grant.header_bytes as usize {
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(bytes).ok()));
        }
        let (mut head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        let empty = to_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let codings = if empty { Ok(Vec::new()) } else { Coding::of(&head.headers) };
        let codings = codings
            .map_err(|count| Error::HttpResponseContentCoding(Some(format!("{count} codings, one on another"))))?;
        let bytes_max = self.grant.response_bytes;
        let body = ResponseBody::new(body, bytes_max, ends, options.between_bytes_timeout, failure, permit);
        if codings.is_empty() {
            return Ok(http::Response::from_parts(head, body.boxed_unsync()));
        }
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(CONTENT_LENGTH);
        let body = DecodedBody::new(body, &codings, bytes_max, windows, calls);
        Ok(http::Response::from_parts(head, body.boxed_unsync()))
    }
}

/// The certificates of a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Certificate::from_pem_bundle(&pem).map_err(|error| format!("{} must be a PEM file: {error}", path.display()))
}

/// How names become addresses.
type Lookup = dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync;

async fn system_lookup(name: String) -> std::io::Result<Vec<SocketAddr>> {
    // The client puts the port in.
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

/// The addresses that may be dialled: public ones, and those that the grant names. A name is looked up once for a dial,
/// and what is dialled is what was checked.
#[derive(Clone)]
pub(super) struct Addresses {
    private: Vec<IpNet>,
    lookup: Arc<Lookup>,
}

impl Addresses {
    /// Public addresses and those of these networks, as the system resolves names.
    pub(super) fn new(private: Vec<IpNet>) -> Self {
        Self { private, lookup: Arc::new(|name| system_lookup(name).boxed()) }
    }

    pub(super) fn allow(&self, address: IpAddr) -> bool {
        may_dial(&self.private, address)
    }
}

/// Whether an address may be dialled: it is public, or in one of these networks.
fn may_dial(private: &[IpNet], address: IpAddr) -> bool {
    is_public(address) || private.iter().any(|network| network.contains(&address.to_canonical()))
}

impl Grant {
    /// Checks that requests to a URL are allowed. The addresses of a name are checked when they are dialled.
    pub(super) fn check(&self, url: &Url) -> Result<(), Error> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::HttpRequestUriInvalid);
        }
        if !self.allow.iter().any(|rule| rule.allows(url)) {
            return Err(Error::HttpRequestDenied);
        }
        // An address that is named is dialled without being resolved.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| !may_dial(&self.private, address)) {
            return Err(Error::DestinationIpProhibited);
        }
        Ok(())
    }
}

impl Resolve for Addresses {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.clone();
        Box::pin(async move {
            let found = (addresses.lookup)(name.as_str().to_owned()).await?;
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|found| addresses.allow(found.ip())).collect();
            if allowed.is_empty() {
                return Err(ProhibitedAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Empty;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_name_whose_address_changes_leads_nowhere_private() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it listens").port();
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lookups);
        // 192.0.2.1 is for documentation; the grant calls it allowed, and nobody answers there.
        let answers = [vec!["192.0.2.1"], vec!["127.0.0.1"], vec!["127.0.0.1", "192.0.2.1"], vec!["127.0.0.1"]];
        let lookup = move |_: String| {
            let answer = &answers[counted.fetch_add(1, Ordering::Relaxed)];
            let addresses = answer.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 0)).collect();
            async move { Ok(addresses) }.boxed()
        };
        let grant = serde_json::json!({
            "allow": [format!("http://rebinds.test:{port}")], "private": ["192.0.2.1/32"], "connect-timeout-ms": 100,
        });
        let grant = serde_json::from_value(grant).expect("a grant");
        let client = Client::resolving(grant, Path::new("."), Arc::new(lookup)).expect("a client");
        let mut prohibited = Vec::new();
        for _ in 0..4 {
            let body: WasiBody = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = http::Request::get(format!("http://rebinds.test:{port}/")).body(body).expect("a request");
            let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("a permit");
            let ends = Instant::now() + Duration::from_secs(60);
            let error = client
                .send(
                    request,
                    RequestOptions::default(),
                    ends,
                    permit,
                    Arc::new(Semaphore::new(0)),
                    CallMeter::default(),
                )
                .await
                .expect_err("nobody answers");
            prohibited.push(matches!(error, Error::DestinationIpProhibited));
        }
        assert_eq!(prohibited, [false, true, false, true]);
        assert_eq!(lookups.load(Ordering::Relaxed), 4, "what is dialled was not looked up again");
        assert!(listener.accept().now_or_never().is_none(), "somebody dialled the loopback");
    }
}
