//! Who may use the console of a development server, and run its triggers: whoever sits at this machine, by pages of the
//! console or without any.
//!
//! A development server has no accounts, and what the console does is as much as the project itself can do: statements
//! on its database, requests with the headers of others. Three things could reach it from outside, and are refused:
//!
//! - another machine, where the server listens on more than the loopback network, or through a proxy or a tunnel that
//!   can be told: by its headers, by the host that it asks for, or by HTTP/1.0, in which nginx asks as long as it is
//!   not told otherwise. One that hides all of this, and asks for this machine, passes for the developer;
//! - a page of another site whose host name comes to lead to this machine (DNS rebinding): its requests are of the same
//!   origin for the browser, and their `Host` gives it away;
//! - a page of another origin, which makes the browser send a request (CSRF): by `Origin` and `Sec-Fetch-Site`, and for
//!   changes by a header, or a media type, that other origins cannot send without asking first.
//!
//! Pages of the component itself are of the console's origin, and are trusted as the project is.

use crate::admin::{PeerAddress, Problem};
use crate::browser::{authority, is_loopback, is_same_origin};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use elias_api::{Code, Error};
use http::request::Parts;
use http::{HeaderName, Method, Version};

/// The header that a change must have, with any value.
const CONSOLE: HeaderName = HeaderName::from_static("elias-console");

/// Headers by which a request says that it came through a proxy.
const OF_PROXIES: [&str; 7] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"];

/// Passes on what [`check`] lets through.
pub(super) async fn guard(request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    check(&parts)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// Checks where a request to the console comes from.
///
/// # Errors
/// `cross-origin`.
fn check(parts: &Parts) -> Result<(), Error> {
    check_client(parts)?;
    if !is_read(parts) && !parts.headers.contains_key(CONSOLE) {
        let message = "a request that changes something needs the header `Elias-Console`, such as `Elias-Console: 1`";
        return Err(Error::new(Code::CrossOrigin, message));
    }
    Ok(())
}

/// Checks that a request comes from this machine, and from no page of another origin. What changes something has to
/// have something else that such a page cannot send: not all browsers say where a form is from.
///
/// # Errors
/// `cross-origin`.
pub(crate) fn check_client(parts: &Parts) -> Result<(), Error> {
    let refused = |message: &str| Err(Error::new(Code::CrossOrigin, message));
    let peer = parts.extensions.get::<PeerAddress>();
    if !peer.is_some_and(|PeerAddress(address)| address.to_canonical().is_loopback()) {
        return refused("console and triggers of a development server are for the machine that it runs on");
    }
    // No browser and no program of today asks in HTTP/1.0.
    let is_old = parts.version < Version::HTTP_11;
    if is_old || OF_PROXIES.iter().any(|name| parts.headers.contains_key(*name)) {
        return refused("a development server takes no such requests through a proxy: use its own address");
    }
    let Some(authority) = authority(parts).filter(|authority| is_loopback(authority)) else {
        return refused("console and triggers of a development server are at localhost, 127.0.0.1 and [::1] alone");
    };
    let own = format!("http://{authority}");
    // A program that is no browser sends neither of these headers.
    let is_browser = ["origin", "sec-fetch-site"].iter().any(|name| parts.headers.contains_key(*name));
    if is_browser && !is_same_origin(&parts.headers, Some(&own), is_read(parts)) {
        return refused("the request comes from a page of another origin");
    }
    Ok(())
}

fn is_read(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::RequestAuthority;
    use http::uri::Authority;

    const OWN: &str = "http://localhost:8787";

    fn is_let_through(peer: &str, host: &str, method: Method, headers: &[(&str, &str)]) -> bool {
        is_let_through_by(Version::HTTP_11, peer, host, method, headers)
    }

    fn is_let_through_by(version: Version, peer: &str, host: &str, method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = http::Request::builder().method(method).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (mut parts, _) = request.body(axum::body::Body::empty()).expect("a request").into_parts();
        parts.extensions.insert(PeerAddress(peer.parse().expect("an address")));
        parts.extensions.insert(RequestAuthority(Some(host.parse::<Authority>().expect("an authority"))));
        check(&parts).is_ok()
    }

    #[test]
    fn only_this_machine_reaches_the_console() {
        let get = |peer, host| is_let_through(peer, host, Method::GET, &[]);
        for (peer, host) in
            [("127.0.0.1", "localhost:8787"), ("::1", "[::1]:8787"), ("::ffff:127.0.0.1", "a.localhost")]
        {
            assert!(get(peer, host), "{peer} {host}");
        }
        for (peer, host) in [("192.168.1.7", "localhost:8787"), ("127.0.0.1", "evil.test:8787"), ("::1", "10.0.0.1")] {
            assert!(!get(peer, host), "{peer} {host}");
        }
        for proxy in OF_PROXIES {
            assert!(!is_let_through("127.0.0.1", "localhost", Method::GET, &[(proxy, "1")]), "{proxy}");
        }
        for (version, passes) in [(Version::HTTP_10, false), (Version::HTTP_2, true)] {
            let by = is_let_through_by(version, "127.0.0.1", "localhost", Method::GET, &[]);
            assert_eq!(by, passes, "{version:?}");
        }
    }

    #[test]
    fn pages_of_other_origins_neither_read_nor_change() {
        let (origin, site, console) = (("origin", OWN), ("sec-fetch-site", "same-origin"), ("elias-console", "1"));
        let check = |method, headers: &[(&str, &str)]| is_let_through("127.0.0.1", "localhost:8787", method, headers);
        for headers in [&[][..], &[site], &[("sec-fetch-site", "none")], &[origin, site]] {
            assert!(check(Method::GET, headers), "{headers:?}");
        }
        for method in [Method::POST, Method::DELETE] {
            assert!(check(method.clone(), &[origin, site, console]) && check(method.clone(), &[console]), "{method}");
            assert!(!check(method.clone(), &[origin, site]), "{method} without the header");
            assert!(!check(method.clone(), &[site, console]), "a browser without an origin");
        }
        for other in
            ["https://localhost:8787", "http://localhost", "http://127.0.0.1:8787", "null", "https://evil.test"]
        {
            let headers = [("origin", other), console];
            assert!(!check(Method::GET, &headers) && !check(Method::POST, &headers), "{other}");
        }
        for headers in [[("sec-fetch-site", "cross-site"), console], [("sec-fetch-site", "same-site"), console]] {
            assert!(!check(Method::GET, &headers) && !check(Method::POST, &headers), "{headers:?}");
        }
    }
}
