//! Headers of requests and responses: the URI and the client of a request, and the hop-by-hop fields, which are not
//! forwarded.

use crate::failure::Refusal;
use elias_host::ErrorCode;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Uri, Version};
use std::net::IpAddr;

/// The response header that names the execution; the same id stands in the log and in problem documents.
pub(crate) const EXECUTION_ID: HeaderName = HeaderName::from_static("elias-execution-id");

/// The length of a body in bytes, where its headers say it.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The two sources of a request's URI leave room for doubt.
const BAD_REQUEST: Refusal = Refusal::Host(ErrorCode::BadRequest);

/// The authority of the last request on a connection: the next one has the same, as a rule.
#[derive(Default)]
pub(crate) struct HostCache(Option<(Box<[u8]>, Authority)>);

impl HostCache {
    /// The canonical form of what a client sent as `Host` or `:authority`; `None` where that is not valid.
    fn parse(&mut self, sent: &[u8]) -> Option<Authority> {
        if let Some((known, authority)) = &self.0
            && **known == *sent
        {
            return Some(authority.clone());
        }
        let authority = canonical(Authority::try_from(sent).ok()?)?;
        self.0 = Some((sent.into(), authority.clone()));
        Some(authority)
    }
}

/// An authority as URLs are serialised (WHATWG URL, 4.5): host in lower case, IPv4 in four numbers, no default port.
/// `None` where there is no URL with it, so that `new URL(request.url)` cannot fail in a component: a port over 65,535,
/// user information, an invalid address.
fn canonical(authority: Authority) -> Option<Authority> {
    let url = url::Url::parse(&format!("http://{authority}/")).ok()?;
    let serialised = url.as_str().strip_prefix("http://")?.strip_suffix('/')?;
    if authority.as_str().contains('@') {
        return None;
    }
    if serialised == authority.as_str() { Some(authority) } else { serialised.parse().ok() }
}

/// The absolute URI of a request: the scheme is `http`, the authority that of the target, else of `Host`.
///
/// # Errors
/// [`ErrorCode::BadRequest`] where the two leave room for doubt: no `Host` in HTTP/1.1, several, a malformed one, or
/// one that contradicts `:authority`; and for targets that are not a path.
pub(crate) fn absolute_uri(
    uri: &mut Uri,
    version: Version,
    headers: &HeaderMap,
    hosts: &mut HostCache,
) -> Result<(), Refusal> {
    let mut values = headers.get_all(HOST).iter();
    let host = match (values.next(), values.next()) {
        (_, Some(_)) => return Err(BAD_REQUEST),
        (Some(host), None) if !host.is_empty() => Some(hosts.parse(host.as_bytes()).ok_or(BAD_REQUEST)?),
        (Some(_), None) => None,
        (None, None) if version == Version::HTTP_11 => return Err(BAD_REQUEST),
        (None, None) => None,
    };
    let Parts { scheme, authority, path_and_query, .. } = std::mem::take(uri).into_parts();
    let target = authority.map(|target| hosts.parse(target.as_str().as_bytes()).ok_or(BAD_REQUEST));
    let authority = match (target.transpose()?, host) {
        (Some(_), _) if scheme.is_none() => return Err(BAD_REQUEST), // authority form, which is CONNECT's
        (Some(target), Some(host)) if version == Version::HTTP_2 && target != host => return Err(BAD_REQUEST),
        (Some(target), _) => target, // RFC 9112, 3.2.2: an absolute target wins
        (None, Some(host)) => host,
        (None, None) => Authority::from_static("localhost"),
    };
    let path_and_query = match path_and_query {
        Some(path) if path.as_str().starts_with('/') => path,
        Some(path) if path.as_str().starts_with('?') => {
            PathAndQuery::try_from(format!("/{path}")).map_err(|_| BAD_REQUEST)?
        }
        None if scheme.is_some() => PathAndQuery::from_static("/"),
        _ => return Err(BAD_REQUEST),
    };
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path_and_query);
    *uri = Uri::from_parts(parts).map_err(|_| BAD_REQUEST)?;
    Ok(())
}

/// The address of a request's client: the peer of the connection or, with `hops` proxies in front, the address that the
/// outermost of them saw. Of `X-Forwarded-For` only the last values are believed, which those proxies added; anyone may
/// have written those before.
pub(crate) fn client_address(headers: &HeaderMap, peer: IpAddr, hops: u32) -> IpAddr {
    let Some(at) = (hops as usize).checked_sub(1) else { return peer };
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let addresses: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    addresses.iter().rev().nth(at).and_then(|address| address.parse().ok()).unwrap_or(peer)
}

/// Whether the client asks for a WebSocket (RFC 6455, section 4.1). Only a route to a service worker takes one: to a
/// handler `fetch` the request would look like any other, and the client would wait for a switch of protocols that
/// never comes. Other upgrades are offers, which may be ignored.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    protocols.any(|value| value.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case("websocket")))
}

/// Makes one field of several `Cookie` fields. HTTP/2 clients send a field for each cookie, and to a component that
/// joins fields by commas they would be one cookie (RFC 9113, 8.2.3); several in HTTP/1.1 are read in the same way, as
/// Node.js does.
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    let mut values = headers.get_all(COOKIE).iter();
    let Some(first) = values.next() else { return };
    let Some(second) = values.next() else { return };
    let mut joined = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(value.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, value); // in the place of all
    }
}

/// Removes the fields that concern one connection only (RFC 9110, 7.6.1), and those that `Connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // A usual header section has none of them, and this is all it costs.
    if !headers.keys().any(is_hop_by_hop) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // Fields that frame or route a message are not connection options: naming one must not remove it.
        .filter(|name| ![http::header::CONTENT_LENGTH, HOST].contains(name))
        .collect();
    let known = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect::<Vec<_>>();
    for name in named.iter().chain(&known) {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
    const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
    [
        CONNECTION,
        KEEP_ALIVE,
        PROXY_CONNECTION,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        HTTP2_SETTINGS,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(target: &str, version: Version, hosts: &[&str]) -> Option<String> {
        let mut uri: Uri = target.parse().expect("a target that hyper lets through");
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).expect("a field value"));
        }
        absolute_uri(&mut uri, version, &headers, &mut HostCache::default()).ok().map(|()| uri.to_string())
    }

    #[test]
    fn makes_uris_absolute() {
        let cases: &[(&str, Version, &[&str], Option<&str>)] = &[
            ("/a?b=c", Version::HTTP_11, &["h.test:81"], Some("http://h.test:81/a?b=c")),
            ("http://t.test/a", Version::HTTP_11, &["h.test"], Some("http://t.test/a")),
            ("http://t.test", Version::HTTP_11, &["h.test"], Some("http://t.test/")),
            ("https://t.test/", Version::HTTP_2, &["t.test"], Some("http://t.test/")),
            ("/", Version::HTTP_10, &[], Some("http://localhost/")),
            ("/", Version::HTTP_11, &[""], Some("http://localhost/")),
            ("/", Version::HTTP_11, &["[::1]:8080"], Some("http://[::1]:8080/")),
            ("/", Version::HTTP_11, &[], None),
            ("/", Version::HTTP_11, &["a", "b"], None),
            ("/", Version::HTTP_11, &["a b"], None),
            ("/", Version::HTTP_11, &["user@a"], None),
            ("http://user@t.test/", Version::HTTP_11, &["t.test"], None),
            ("http://t.test/", Version::HTTP_2, &["other.test"], None),
            ("t.test:443", Version::HTTP_11, &["t.test"], None),
            ("/", Version::HTTP_11, &["H.Test:80"], Some("http://h.test/")),
            ("/", Version::HTTP_11, &["0x7f.1:81"], Some("http://127.0.0.1:81/")),
            ("http://T.test:80/", Version::HTTP_2, &["t.test"], Some("http://t.test/")),
            ("/", Version::HTTP_11, &["x:99999"], None),
            ("/", Version::HTTP_11, &["x:abc"], None),
            ("/", Version::HTTP_11, &["1.2.3.256"], None),
            ("/", Version::HTTP_11, &["[::1::]"], None),
            ("http://x:99999/", Version::HTTP_11, &["t.test"], None),
            ("*", Version::HTTP_11, &["t.test"], None),
        ];
        for (target, version, hosts, expected) in cases {
            assert_eq!(uri(target, *version, hosts).as_deref(), *expected, "{target} {version:?} {hosts:?}");
        }
    }

    #[test]
    fn the_cache_tells_hosts_apart() {
        let mut hosts = HostCache::default();
        for name in ["a.test", "b.test", "b.test", "a.test"] {
            let parsed = hosts.parse(name.as_bytes()).expect("valid");
            assert_eq!(parsed.as_str(), name);
        }
    }

    #[test]
    fn cookies_of_several_fields_are_one_list() {
        let mut headers = HeaderMap::new();
        join_cookies(&mut headers);
        assert!(headers.is_empty());
        for value in ["session=abc", "theme=dark; x=1", "last=\u{fe}"] {
            headers.append("cookie", HeaderValue::from_bytes(value.as_bytes()).expect("a field value"));
        }
        join_cookies(&mut headers);
        let joined: Vec<_> = headers.get_all("cookie").iter().map(HeaderValue::as_bytes).collect();
        assert_eq!(joined, ["session=abc; theme=dark; x=1; last=\u{fe}".as_bytes()]);
    }

    #[test]
    fn strips_what_is_for_one_hop() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Private"),
            ("connection", "content-length, host, \u{fe}"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("content-length", "3"),
            ("host", "a"),
            ("x-kept", "1"),
        ] {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a field value"));
        }
        strip_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "host", "x-kept"]);
    }

    #[test]
    fn only_what_trusted_proxies_added_is_believed() {
        let peer: IpAddr = [10, 0, 0, 1].into();
        for (header, hops, wanted) in [
            ("203.0.113.7", 0, "10.0.0.1"),
            ("203.0.113.7", 1, "203.0.113.7"),
            ("1.2.3.4, 203.0.113.7", 1, "203.0.113.7"),
            ("1.2.3.4, 203.0.113.7, 10.0.0.2", 2, "203.0.113.7"),
            ("203.0.113.7", 2, "10.0.0.1"),
            ("nonsense", 1, "10.0.0.1"),
        ] {
            let name = HeaderName::from_static("x-forwarded-for");
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(header))]);
            assert_eq!(client_address(&headers, peer, hops).to_string(), wanted, "{header} {hops}");
        }
    }
}
