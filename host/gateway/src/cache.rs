//! The rules of a shared response cache (RFC 9111) and its header `Cache-Status` (RFC 9211). The gateway decides; the
//! host stores the responses.

use crate::field::{Comparison, add_vary, elements, lists_entity_tag};
use crate::rule::{ConfigError, Rule, within};
use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, PRAGMA, RANGE, SET_COOKIE, TRAILER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request, response};
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use serde::Deserialize;
use std::time::{Duration, SystemTime};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The longest time for which a response is fresh, and for which it is served stale after that.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// The responses of a route that are cached.
#[derive(Debug, Clone)]
pub struct CacheRules {
    max_bytes: u64,
}

/// The table `cache`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CacheTable {
    max_bytes: Option<u64>,
}

impl Rule for CacheRules {
    type Table = CacheTable;

    fn check(table: CacheTable, at: &str) -> Result<Self, ConfigError> {
        let max_bytes = within(table.max_bytes.unwrap_or(1 << 20), [1, 8 << 20], at, "max-bytes")?;
        Ok(Self { max_bytes })
    }
}

impl CacheRules {
    /// Whether a cached response may be served to a request. Requests for ranges, and those with a precondition for a
    /// change, go to the component.
    #[must_use]
    pub fn can_serve(&self, request: &request::Parts) -> bool {
        let readable = request.method == Method::GET || request.method == Method::HEAD;
        let apart = [RANGE, IF_RANGE, IF_MATCH, IF_UNMODIFIED_SINCE];
        readable && !apart.iter().any(|name| request.headers.contains_key(name))
    }

    /// Whether the response to a request may be stored. Responses to HEAD and to conditional requests may lack the
    /// body.
    #[must_use]
    pub fn can_store(&self, request: &request::Parts) -> bool {
        let conditional = [IF_NONE_MATCH, IF_MODIFIED_SINCE].iter().any(|name| request.headers.contains_key(name));
        request.method == Method::GET && !conditional && self.can_serve(request)
    }

    /// Whether a client wants a cached response or none (RFC 9111, section 5.2.1.7).
    #[must_use]
    pub fn is_only_if_cached(&self, request: &request::Parts) -> bool {
        directives(&request.headers).any(|(name, _)| name.eq_ignore_ascii_case("only-if-cached"))
    }

    /// The longest body that is stored, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// The headers to store of a response; none if it is for this client alone, does not say how long it is fresh, or
    /// is too long. `vary` are the headers that chose the route; `identified` says that the component knew the client.
    #[must_use]
    pub fn store(
        &self,
        request: &request::Parts,
        mut response: response::Parts,
        vary: &[HeaderName],
        identified: bool,
        now: SystemTime,
    ) -> Option<StoredHeaders> {
        vary.iter().for_each(|name| add_vary(&mut response.headers, name));
        let told = response.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let apart = response.headers.contains_key(SET_COOKIE) || response.headers.contains_key(TRAILER);
        if !self.can_store(request) || apart || told.is_some_and(|bytes| bytes > self.max_bytes) {
            return None;
        }
        // RFC 9111, section 3.5; who was identified otherwise than by `Authorization` is no less somebody.
        let says =
            |directive: &str| directives(&response.headers).any(|(name, _)| name.eq_ignore_ascii_case(directive));
        let known = identified || request.headers.contains_key(AUTHORIZATION);
        if known && !(says("public") || says("s-maxage") || says("must-revalidate")) {
            return None;
        }
        let options = CacheOptions { shared: true, cache_heuristic: 0.0, ..CacheOptions::default() };
        let policy = CachePolicy::new_options(&RequestView { request }, &response, now, options);
        let fresh_for = policy.time_to_live(now).min(LIFETIME_MAX);
        if !policy.is_storable() || fresh_for.is_zero() || !has_single_vary_values(&response.headers, request) {
            return None;
        }
        let held = says("must-revalidate") || says("proxy-revalidate");
        let stale_for = directives(&response.headers)
            .find(|(name, _)| name.eq_ignore_ascii_case("stale-while-revalidate") && !held)
            .and_then(|(_, seconds)| seconds.trim_matches('"').parse().ok());
        let stale_for = Duration::from_secs(stale_for.unwrap_or(0)).min(LIFETIME_MAX);
        Some(StoredHeaders {
            fresh_to: policy.age(now) + fresh_for,
            stale_for,
            status: response.status,
            headers: response.headers,
            policy,
        })
    }
}

/// A request as the crate `http-cache-semantics` reads it.
struct RequestView<'r> {
    request: &'r request::Parts,
}

impl http_cache_semantics::RequestLike for RequestView<'_> {
    fn uri(&self) -> http::Uri {
        self.request.uri.clone()
    }

    fn is_same_uri(&self, other: &http::Uri) -> bool {
        key_uri(&self.request.uri) == key_uri(other)
    }

    fn method(&self) -> &Method {
        // The response to HEAD has the headers of the response to GET.
        static GET: Method = Method::GET;
        if self.request.method == Method::HEAD { &GET } else { &self.request.method }
    }

    fn headers(&self) -> &HeaderMap {
        &self.request.headers
    }
}

/// Whether the request has each header of the response's `Vary` at most once: `http-cache-semantics` compares only the
/// first of several values.
fn has_single_vary_values(response: &HeaderMap, request: &request::Parts) -> bool {
    elements(response, &VARY).all(|name| name != "*" && request.headers.get_all(name).iter().nth(1).is_none())
}

/// The directives of `Cache-Control`, with their values.
fn directives(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    elements(headers, &CACHE_CONTROL).map(|element| element.split_once('=').unwrap_or((element, "")))
}

/// The status and the headers of a cached response, with its caching policy.
#[derive(Debug)]
pub struct StoredHeaders {
    policy: CachePolicy,
    /// The age at which it is stale, and for how long after that it may be given while another is fetched.
    fresh_to: Duration,
    stale_for: Duration,
    status: StatusCode,
    headers: HeaderMap,
}

/// The freshness of a cached response (RFC 9111, section 4.2), for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It is served.
    Fresh,
    /// It is served while it is revalidated.
    Stale,
    /// It belongs to another request, or is too old.
    Unusable,
}

impl StoredHeaders {
    /// Whether the response can be served to a request.
    #[must_use]
    pub fn freshness(&self, request: &request::Parts, now: SystemTime) -> Freshness {
        let age = self.policy.age(now);
        if !has_single_vary_values(&self.headers, request) {
            return Freshness::Unusable;
        }
        match self.policy.before_request(&RequestView { request }, now) {
            BeforeRequest::Fresh(_) if age < self.fresh_to => Freshness::Fresh,
            BeforeRequest::Stale { matches: true, .. }
                if (self.fresh_to..self.fresh_to + self.stale_for).contains(&age)
                    && !request.headers.contains_key(PRAGMA)
                    && directives(&request.headers).next().is_none() =>
            {
                Freshness::Stale
            }
            _ => Freshness::Unusable,
        }
    }

    /// Whether it is the response to such a request, however old.
    #[must_use]
    pub fn is_of(&self, request: &request::Parts, now: SystemTime) -> bool {
        matches!(
            self.policy.before_request(&RequestView { request }, now),
            BeforeRequest::Fresh(_) | BeforeRequest::Stale { matches: true, .. }
        )
    }

    /// How long it can be served, fresh or stale.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.fresh_to + self.stale_for
    }

    /// Bytes that it takes, about: what it says, and what the request said.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // The policy has a copy of either.
        4 * self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum::<usize>()
    }

    /// The header section of the response to a request: as stored, with its age, or 304 if the client has the response.
    #[must_use]
    pub fn response(&self, request: &request::Parts, now: SystemTime) -> response::Parts {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        (parts.status, parts.headers) = (self.status, self.headers.clone());
        let age = self.policy.age(now).as_secs();
        parts.headers.insert(AGE, age.into());
        let left = i64::try_from(self.fresh_to.as_secs()).unwrap_or(i64::MAX) - i64::try_from(age).unwrap_or(i64::MAX);
        mark(&mut parts.headers, &format!("hit; ttl={left}"));
        if self.status == StatusCode::OK && self.is_known(request) {
            parts.status = StatusCode::NOT_MODIFIED;
            for name in [CONTENT_LENGTH, CONTENT_TYPE] {
                parts.headers.remove(name);
            }
        }
        parts
    }

    /// RFC 9110, section 13.2.2.
    fn is_known(&self, request: &request::Parts) -> bool {
        if request.headers.contains_key(IF_NONE_MATCH) {
            let Some(tag) = self.headers.get(ETAG).and_then(|tag| tag.to_str().ok()) else { return false };
            let opaque = HeaderValue::from_str(tag.strip_prefix("W/").unwrap_or(tag));
            return opaque.is_ok_and(|tag| lists_entity_tag(&request.headers, &IF_NONE_MATCH, &tag, Comparison::Weak));
        }
        let since = request.headers.get(IF_MODIFIED_SINCE);
        since.is_some() && since == self.headers.get(LAST_MODIFIED)
    }
}

/// The part of a cache key that is the request's URI: one for all spellings of a host that name the same routes. The
/// port stays: the component sees it in `request.url` and may put it into what it sends, so that a response which was
/// cached for one client's port must not be another's (an unkeyed port is a way to poison a cache).
#[must_use]
pub fn key_uri(uri: &http::Uri) -> String {
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let host = crate::host::normalize(authority).unwrap_or(authority.into());
    let port = uri.port_u16().filter(|port| *port != 80).map(|port| format!(":{port}")).unwrap_or_default();
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    format!("{host}{port}{path}")
}

/// Adds what the cache did to `Cache-Status`, behind the entries of caches nearer to the origin.
pub fn mark(headers: &mut HeaderMap, what: &str) {
    if let Ok(value) = HeaderValue::try_from(format!("elias; {what}")) {
        headers.append(CACHE_STATUS, value);
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
