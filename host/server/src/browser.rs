//! Browsers as clients of the admin API: the cookies of their sessions, and where a request comes from.
//!
//! A cookie goes with every request to a host, whoever made the browser send it, so it is worth something only with a
//! proof that a page of the same origin did. [`check_origin`] is that proof, and the only way from a cookie to a
//! session leads through it. There is no CORS: no other origin reads a response.

use elias_api::{Code, Error};
use elias_platform::Platform;
use http::header::{CONTENT_SECURITY_POLICY, COOKIE, ORIGIN, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::net::IpAddr;

/// The cookie of a session. Its prefix has browsers refuse it unless it is `Secure`, for this host alone and for all of
/// its paths (RFC 6265bis, 4.1.3.2).
pub(crate) const SESSION_COOKIE: &str = "__Host-elias";
/// The cookie of a sign-in at the identity provider that is not finished.
pub(crate) const SIGN_IN_COOKIE: &str = "__Host-elias-sign-in";

/// How a browser says where a request comes from (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The host and port that a request is for, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestAuthority(pub(crate) Option<Authority>);

/// The value of a cookie; `None` if it is not there or is there twice.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(cookie, _)| *cookie == name).map(|(_, value)| value);
    found.next().filter(|_| found.next().is_none())
}

/// A `Set-Cookie` for a cookie that lasts for so many seconds; 0 removes it.
pub(crate) fn set_cookie(name: &str, value: &str, same_site: &str, seconds: u64) -> Option<HeaderValue> {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}; Max-Age={seconds}");
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The origin of the console: as the operator says, else `http` and the host that the request is for.
pub(crate) fn own_origin(parts: &Parts, platform: &Platform) -> Option<String> {
    if let Some(origin) = platform.console_origin() {
        return Some(origin.to_owned());
    }
    authority(parts).map(|authority| format!("http://{authority}"))
}

/// The same, where it can be told to others: a host that only a request names may be anything, but for this machine.
pub(crate) fn trusted_origin(parts: &Parts, platform: &Platform) -> Option<String> {
    let is_trusted = platform.console_origin().is_some() || authority(parts).is_some_and(is_loopback);
    own_origin(parts, platform).filter(|_| is_trusted)
}

/// Whether a host names this machine whoever asks for it: an address of the loopback network, `localhost` or a name
/// below it (RFC 6761, 6.3). No other name server has a say in these, so that a page of another site cannot come to
/// have such a host (DNS rebinding).
pub(crate) fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let host = host.to_ascii_lowercase();
            host == "localhost" || host.ends_with(".localhost")
        }
    }
}

/// The host and port that a request is for; `None` if they are not known.
pub(crate) fn authority(parts: &Parts) -> Option<&Authority> {
    parts.extensions.get::<RequestAuthority>().and_then(|RequestAuthority(authority)| authority.as_ref())
}

/// Checks that a request was made by a page of the console's own origin, or to read by the user.
///
/// Requests that change something must say so in `Origin`, which browsers send with all of these and pages cannot
/// write. Requests that read have no `Origin` in general; there the cookie is `SameSite=Strict`, and what is left,
/// other ports of the same host, is in `Sec-Fetch-Site`.
///
/// # Errors
/// `cross-origin`.
pub(crate) fn check_origin(parts: &Parts, platform: &Platform) -> Result<(), Error> {
    let own = own_origin(parts, platform);
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    if is_same_origin(&parts.headers, own.as_deref(), is_read) {
        return Ok(());
    }
    let own = own.unwrap_or_else(|| "that of the console".to_owned());
    let message = format!(
        "requests with the cookie of a session must come from pages of {own}, and say so in `Origin`; behind a proxy \
        platform operators set --console-origin. Programs send a token: `Authorization: Bearer elias_...`"
    );
    Err(Error::new(Code::CrossOrigin, message))
}

/// Whether the headers of a request say that a page of the origin `own` sent it; where it `is_read`, also that the user
/// typed its address, or nothing.
pub(crate) fn is_same_origin(headers: &HeaderMap, own: Option<&str>, is_read: bool) -> bool {
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    let is_own_site = match (sites.next().map(HeaderValue::as_bytes), sites.next()) {
        (None | Some(b"same-origin"), None) => true,
        // The user typed the address, or followed a bookmark.
        (Some(b"none"), None) => is_read,
        _ => false,
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    let is_own_origin = match (origins.next(), origins.next()) {
        (None, _) => is_read,
        (Some(origin), None) => own.is_some_and(|own| origin.as_bytes() == own.as_bytes()),
        (Some(_), Some(_)) => false,
    };
    is_own_site && is_own_origin
}

/// Adds what keeps a response of the admin API from being anything but data in a browser, unless it is a document that
/// has a policy of its own.
pub(crate) fn harden(headers: &mut HeaderMap) {
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CROSS_ORIGIN_RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
}

/// Takes the cookies of the console out of a request to a component. Cookies know no ports: if both are reached at one
/// host, browsers send these to components too, which could then use the session.
pub(crate) fn withhold_cookies(headers: &mut HeaderMap) {
    let Some(value) = headers.get(COOKIE).filter(|value| names_own(value.as_bytes())) else { return };
    let pairs = value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let kept: Vec<_> = pairs.filter(|pair| !is_own(pair)).collect();
    match HeaderValue::from_bytes(&kept.join(&b"; "[..])) {
        Ok(value) if !value.is_empty() => headers.insert(COOKIE, value),
        _ => headers.remove(COOKIE),
    };
}

/// Takes the cookies of the console out of a component's response: it must not sign a browser in as somebody else.
pub(crate) fn withhold_set_cookies(headers: &mut HeaderMap) {
    if !headers.get_all(SET_COOKIE).iter().any(|value| is_own(value.as_bytes())) {
        return;
    }
    let kept: Vec<_> = headers.get_all(SET_COOKIE).iter().filter(|value| !is_own(value.as_bytes())).cloned().collect();
    headers.remove(SET_COOKIE);
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

/// Whether a text may have one of the console's cookies in it: that of a session is the beginning of both names.
fn names_own(text: &[u8]) -> bool {
    text.windows(SESSION_COOKIE.len()).any(|part| part == SESSION_COOKIE.as_bytes())
}

/// Whether a cookie, `NAME=VALUE` and what may follow, is one of the console's.
fn is_own(cookie: &[u8]) -> bool {
    let name = cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
    name == SESSION_COOKIE.as_bytes() || name == SIGN_IN_COOKIE.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_pages_of_the_same_origin_change_something() {
        let own = "http://127.0.0.1:8788";
        let check =
            |list: &[(&'static str, &'static str)], is_read: bool| is_same_origin(&headers(list), Some(own), is_read);
        let (origin, site) = ("origin", "sec-fetch-site");
        assert!(check(&[(origin, own), (site, "same-origin")], false));
        assert!(check(&[(origin, own)], false), "a browser without Fetch Metadata");
        for (what, list) in [
            ("a program, or a form of an old browser", vec![]),
            ("a form with `Referrer-Policy: no-referrer`", vec![(origin, "null")]),
            ("another site", vec![(origin, "https://evil.test"), (site, "cross-site")]),
            ("another port of the host", vec![(origin, "http://127.0.0.1:8787"), (site, "same-site")]),
            ("another scheme", vec![(origin, "https://127.0.0.1:8788")]),
            ("a longer port", vec![(origin, "http://127.0.0.1:87880")]),
            ("headers that contradict each other", vec![(origin, own), (site, "same-site")]),
            ("the address bar changes nothing", vec![(origin, own), (site, "none")]),
            ("two origins", vec![(origin, own), (origin, own)]),
            ("two sites", vec![(origin, own), (site, "same-origin"), (site, "same-origin")]),
        ] {
            assert!(!check(&list, false), "{what}");
        }
        for list in [&[][..], &[(site, "same-origin")], &[(site, "none")], &[(origin, own)]] {
            assert!(check(list, true), "{list:?}");
        }
        for list in [&[(site, "same-site")][..], &[(site, "cross-site")], &[(origin, "https://evil.test")]] {
            assert!(!check(list, true), "{list:?}");
        }
        assert!(!is_same_origin(&headers(&[(origin, own)]), None, false), "a request without a host");
    }

    #[test]
    fn only_names_that_no_name_server_gives_away_are_of_this_machine() {
        for own in [
            "localhost",
            "LOCALHOST:8787",
            "shop.localhost:1",
            "127.0.0.1:8787",
            "127.9.9.9",
            "[::1]:8787",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(&Authority::from_static(own)), "{own}");
        }
        for other in [
            "evil.test",
            "localhost.evil.test",
            "notlocalhost",
            "localhost.",
            "127.0.0.1.evil.test",
            "10.0.0.1:8787",
            "0.0.0.0",
            "[::]",
            "[fe80::1]",
        ] {
            assert!(!is_loopback(&Authority::from_static(other)), "{other}");
        }
    }

    #[test]
    fn a_cookie_is_read_once() {
        let sent = headers(&[("cookie", "a=b; __Host-elias=x; __Host-elias-sign-in=y.z"), ("cookie", "c=d=e")]);
        assert_eq!(cookie(&sent, SESSION_COOKIE), Some("x"));
        assert_eq!(cookie(&sent, SIGN_IN_COOKIE), Some("y.z"));
        assert_eq!((cookie(&sent, "c"), cookie(&sent, "d")), (Some("d=e"), None));
        let twice = headers(&[("cookie", "__Host-elias=x; __Host-elias=y")]);
        assert_eq!(cookie(&twice, SESSION_COOKIE), None, "nobody knows whose it is");
    }

    #[test]
    fn components_neither_get_the_consoles_cookies_nor_set_them() {
        let mut sent = headers(&[("cookie", "a=b; __Host-elias=x;c=d;  __Host-elias-sign-in=y; __Host-elias2=z")]);
        withhold_cookies(&mut sent);
        assert_eq!(sent.get(COOKIE).expect("the others"), "a=b; c=d; __Host-elias2=z");
        let mut only = headers(&[("cookie", "__Host-elias=x")]);
        withhold_cookies(&mut only);
        assert!(only.get(COOKIE).is_none());
        let mut response = headers(&[("set-cookie", "a=b"), ("set-cookie", "__Host-elias = x; Path=/; Secure")]);
        withhold_set_cookies(&mut response);
        assert_eq!(response.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["a=b"]);
    }
}
