//! Compression of responses: the negotiation of a content coding (RFC 9110, section 12.5.3). The gateway decides; the
//! server compresses.

use crate::field::{add_vary, elements, weighted};
use crate::rule::{ConfigError, Rule, within};
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Coding {
    /// Brotli (RFC 7932).
    #[serde(rename = "br")]
    Brotli,
    /// Zstandard (RFC 8878).
    #[serde(rename = "zstd")]
    Zstd,
    /// gzip (RFC 1952).
    #[serde(rename = "gzip")]
    Gzip,
}

impl Coding {
    /// All of them, those that are preferred first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// The name in `Content-Encoding`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        Self::ALL.into_iter().find(|coding| coding.as_str().eq_ignore_ascii_case(name))
    }
}

/// The coding that a request prefers among those offered, which are in the server's order of preference.
///
/// Where a request refuses everything, also the identity, it gets the identity: a response that it may not be able to
/// read says more than a 406 (RFC 9110, section 12.5.3, leaves it to the server).
#[must_use]
pub fn negotiate(request: &HeaderMap, offered: &[Coding]) -> Option<Coding> {
    let mut weights = [None::<u16>; 3];
    let (mut any, mut identity) = (None, None);
    for (name, weight) in elements(request, &ACCEPT_ENCODING).map(weighted) {
        match Coding::named(name) {
            Some(coding) => {
                if let Some(place) = weights.get_mut(coding as usize) {
                    *place = Some(weight);
                }
            }
            None if name == "*" => any = Some(weight),
            None if name.eq_ignore_ascii_case("identity") => identity = Some(weight),
            None => {}
        }
    }
    let mut best: Option<(Coding, u16)> = None;
    for coding in offered {
        let weight = weights.get(*coding as usize).copied().flatten().or(any).unwrap_or(0);
        if weight > 0 && best.is_none_or(|(_, other)| weight > other) {
            best = Some((*coding, weight));
        }
    }
    // The identity is as good as anything unless the request names it.
    best.filter(|(_, weight)| identity.is_none_or(|identity| *weight >= identity)).map(|(coding, _)| coding)
}

/// The responses of a route that are compressed.
#[derive(Debug, Clone)]
pub struct Compression {
    codings: Vec<Coding>,
    min_bytes: u64,
    types: Vec<Box<str>>,
}

/// The table `compress`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CompressTable {
    codings: Option<Vec<String>>,
    min_bytes: Option<u64>,
    #[serde(default)]
    types: Vec<String>,
}

impl Rule for Compression {
    type Table = CompressTable;

    fn check(table: CompressTable, at: &str) -> Result<Self, ConfigError> {
        let mut codings = Vec::new();
        for name in table.codings.unwrap_or_else(|| Coding::ALL.map(|coding| coding.as_str().to_owned()).into()) {
            let coding = Coding::ALL.into_iter().find(|coding| coding.as_str() == name);
            let wrong = || {
                ConfigError::new(
                    at,
                    format!("`codings` has \"{}\": it knows br, zstd and gzip", crate::problem::bounded(&name)),
                )
            };
            codings.push(coding.filter(|coding| !codings.contains(coding)).ok_or_else(wrong)?);
        }
        if codings.is_empty() {
            return Err(ConfigError::new(at, "`codings` is empty: write `compress = false` to compress nothing"));
        }
        let is_type = |text: &String| text.len() <= 128 && text.contains('/') && !text.contains([';', ' ', '*']);
        if table.types.len() > 64 || !table.types.iter().all(is_type) {
            return Err(ConfigError::new(at, "`types` must have at most 64 media types, such as \"application/wasm\""));
        }
        let types = table.types.iter().map(|text| text.to_ascii_lowercase().into()).collect();
        let min_bytes = within(table.min_bytes.unwrap_or(1024), [0, 1 << 30], at, "min-bytes")?;
        Ok(Self { codings, min_bytes, types })
    }
}

impl Compression {
    /// The coding that a request prefers.
    #[must_use]
    pub fn negotiate(&self, request: &HeaderMap) -> Option<Coding> {
        negotiate(request, &self.codings)
    }

    /// Decides, and changes the headers of the response accordingly: the server has only to compress the body, if a
    /// coding is returned.
    ///
    /// `preferred` is the coding of [`Compression::negotiate`]; `bytes` is the length of the body, where it is known
    /// beside the header `Content-Length`.
    pub fn apply(&self, preferred: Option<Coding>, response: &mut Parts, bytes: Option<u64>) -> Option<Coding> {
        let told = response.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if bytes.or(told).is_some_and(|bytes| bytes < self.min_bytes) || !self.is_eligible(response) {
            return None;
        }
        add_vary(&mut response.headers, &ACCEPT_ENCODING);
        let coding = preferred?;
        let headers = &mut response.headers;
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.as_str()));
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_RANGES);
        if let Some(weak) = headers.get(ETAG).and_then(weaken) {
            headers.insert(ETAG, weak);
        }
        Some(coding)
    }

    /// Whether a response can be compressed and becomes smaller by it.
    fn is_eligible(&self, response: &Parts) -> bool {
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
        if response.status.is_informational()
            || response.status == StatusCode::PARTIAL_CONTENT
            || bodiless.contains(&response.status)
            || response.headers.contains_key(CONTENT_ENCODING)
            || response.headers.contains_key(CONTENT_RANGE)
            || elements(&response.headers, &CACHE_CONTROL).any(|it| it.eq_ignore_ascii_case("no-transform"))
        {
            return false;
        }
        let media_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.is_compressible_type(weighted(media_type).0)
    }

    fn is_compressible_type(&self, media_type: &str) -> bool {
        is_compressible(media_type) || self.types.iter().any(|own| own.eq_ignore_ascii_case(media_type))
    }
}

/// Whether content of this media type becomes smaller by compression, as texts do. Parameters do not matter.
#[must_use]
pub fn is_compressible(media_type: &str) -> bool {
    let media_type = weighted(media_type).0.to_ascii_lowercase();
    let known = [
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "application/x-javascript",
        "application/xml",
        "font/otf",
        "font/ttf",
        "image/bmp",
        "image/svg+xml",
        "image/x-icon",
    ];
    match media_type.as_str() {
        // Each event is to arrive when it happens, and not when a block of the coding is full.
        "text/event-stream" => false,
        it if it.starts_with("text/") || it.ends_with("+json") || it.ends_with("+xml") => true,
        it => known.contains(&it),
    }
}

/// A strong entity tag says that the bytes are the same, which they are not once compressed.
fn weaken(tag: &HeaderValue) -> Option<HeaderValue> {
    let bytes = tag.as_bytes();
    if bytes.starts_with(b"W/") {
        return None;
    }
    HeaderValue::from_bytes(&[b"W/", bytes].concat()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse_rule;
    use http::Response;
    use http::header::VARY;
    use serde_json::{Value, json};

    #[test]
    fn the_coding_is_the_one_that_the_request_prefers() {
        for (accepted, expected) in [
            ("gzip, deflate, br, zstd", Some("br")),
            ("gzip, zstd", Some("zstd")),
            ("GZIP", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("br;q=0.5, gzip;q=0.8", Some("gzip")),
            ("br;q=0, *", Some("zstd")),
            ("*;q=0", None),
            ("br;q=0, gzip;q=0, zstd;q=0", None),
            ("identity, br;q=0.5", None),
            ("identity;q=0.5, br;q=0.5", Some("br")),
            ("identity;q=0", None),
            ("identity;q=0, gzip;q=0.001", Some("gzip")),
            ("deflate", None),
            ("br;q=nonsense", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(negotiate(&headers, &Coding::ALL).map(Coding::as_str), expected, "{accepted}");
        }
        assert_eq!(negotiate(&HeaderMap::new(), &Coding::ALL), None);
    }

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn applied(table: Value, status: u16, pairs: Pairs<'_>, bytes: Option<u64>) -> (Option<Coding>, HeaderMap) {
        let compression = parse_rule::<Compression>(&table, "compress").expect("a table");
        let mut response = Response::builder().status(status);
        for (name, value) in pairs {
            response = response.header(*name, *value);
        }
        let mut parts = response.body(()).expect("a response").into_parts().0;
        let coding = compression.apply(Some(Coding::Brotli), &mut parts, bytes);
        (coding, parts.headers)
    }

    #[test]
    fn a_compressed_response_says_so() {
        let json = ("content-type", "application/problem+json; charset=utf-8");
        let (coding, headers) = applied(
            json!({}),
            200,
            &[json, ("etag", "\"a\""), ("content-length", "5000"), ("accept-ranges", "bytes")],
            None,
        );
        assert_eq!(coding, Some(Coding::Brotli));
        assert_eq!(headers[CONTENT_ENCODING], "br");
        assert_eq!(headers[ETAG], "W/\"a\"");
        assert_eq!(headers[VARY], "accept-encoding");
        assert!(!headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(ACCEPT_RANGES));
        let (_, headers) = applied(json!({}), 200, &[json, ("etag", "W/\"a\"")], None);
        assert_eq!(headers[ETAG], "W/\"a\"");
    }

    #[test]
    fn what_gains_nothing_stays_as_it_is() {
        let text = ("content-type", "text/plain");
        let same: &[(u16, Pairs<'_>, Option<u64>)] = &[
            (200, &[text, ("content-length", "1023")], None),
            (200, &[text], Some(10)),
            (200, &[("content-type", "image/png")], None),
            (200, &[("content-type", "text/event-stream")], None),
            (200, &[], None),
            (200, &[text, ("content-encoding", "gzip")], None),
            (200, &[text, ("cache-control", "public, No-Transform")], None),
            (206, &[text, ("content-range", "bytes 0-1/2")], None),
            (204, &[text], None),
            (304, &[text], None),
        ];
        for (status, pairs, bytes) in same {
            let (coding, headers) = applied(json!({}), *status, pairs, *bytes);
            assert_eq!(coding, None, "{status} {pairs:?}");
            assert_eq!(headers.len(), pairs.len(), "{headers:?}");
        }
        let own = json!({ "types": ["application/x-own"], "min-bytes": 0, "codings": ["gzip"] });
        assert!(applied(own, 200, &[("content-type", "application/x-own")], Some(1)).0.is_some());
    }

    #[test]
    fn tables_are_checked() {
        for (table, part) in [
            (json!({ "codings": ["deflate"] }), "deflate"),
            (json!({ "codings": ["br", "br"] }), "br"),
            (json!({ "codings": [] }), "codings"),
            (json!({ "types": ["text"] }), "types"),
            (json!({ "level": 9 }), "level"),
        ] {
            let message = parse_rule::<Compression>(&table, "compress").expect_err(part).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
