//! The transformation of a route's JSON responses by a jq program.
//!
//! The component, the response cache and replays for idempotency keys know only the response as the component made it.
//! What the client knows is another representation, so it has other entity tags: the component's with a suffix that
//! names the program. They are changed back in the client's conditions, and those of another program match nothing.

use crate::field::{elements, weighted};
use crate::problem::{Code, Refusal};
use crate::rule::ConfigError;
use elias_contract::digest;
use elias_jq::Transform;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

/// The longest response that is transformed, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// Headers with a checksum of the content before it was transformed.
const CHECKSUMS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// The program of a route.
#[derive(Debug, Clone)]
pub struct ResponseTransform {
    program: Transform,
    /// The program's text, by which equal ones are known.
    text: Box<str>,
    /// What entity tags have at their end.
    suffix: Box<str>,
}

/// Reads the value of `response-transform`: a program, or `false` for none.
pub(crate) fn response_transform(value: &Value, at: &str) -> Result<Option<ResponseTransform>, ConfigError> {
    let text = match value {
        Value::Bool(false) => return Ok(None),
        Value::String(text) => text,
        _ => return Err(ConfigError::new(at, "must be a text with a jq program")),
    };
    let program = Transform::compile(text).map_err(|error| ConfigError::new(at, error.to_string()))?;
    let suffix = format!("-jq{}", &digest(text.as_bytes())[..8]).into();
    Ok(Some(ResponseTransform { program, text: text.as_str().into(), suffix }))
}

impl ResponseTransform {
    /// The program's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Changes the headers of a request so that the component responds with what can be transformed: the whole of a
    /// response, without a content coding. Conditions have the entity tags that the component knows.
    pub fn adapt_request(&self, headers: &mut HeaderMap) {
        if headers.contains_key(ACCEPT_ENCODING) {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        for name in [RANGE, IF_RANGE, IF_MODIFIED_SINCE] {
            headers.remove(name);
        }
        for (name, keeps_others) in [(IF_NONE_MATCH, false), (IF_MATCH, true)] {
            if !headers.contains_key(&name) {
                continue;
            }
            let own = |tag: &str| match tag.strip_suffix('"').and_then(|tag| tag.strip_suffix(&*self.suffix)) {
                Some(tag) => Some(format!("{tag}\"")),
                None => (keeps_others || tag == "*").then(|| tag.to_owned()),
            };
            let tags = elements(headers, &name).filter_map(own).collect::<Vec<_>>().join(", ");
            match HeaderValue::try_from(tags) {
                Ok(tags) if !tags.is_empty() => drop(headers.insert(name, tags)),
                _ => drop(headers.remove(name)),
            }
        }
    }

    /// Whether the content of a response is to be transformed, which then is only sent if that goes well: it is JSON,
    /// and the status says that the request succeeded.
    ///
    /// # Errors
    /// It is JSON that cannot be transformed, for it is a part or has a content coding.
    pub fn applies(&self, response: &Parts) -> Result<bool, Refusal> {
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT];
        if !response.status.is_success() || bodiless.contains(&response.status) || !is_json(&response.headers) {
            return Ok(false);
        }
        if response.status == StatusCode::PARTIAL_CONTENT {
            return Err(refusal("the component responded with a part of the content"));
        }
        if elements(&response.headers, &CONTENT_ENCODING).any(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(refusal("the component's response has a content coding"));
        }
        Ok(true)
    }

    /// The content in the place of a response's; takes some hundred milliseconds at most.
    ///
    /// # Errors
    /// [`Code::ResponseNotTransformed`], with the reason for the log: nothing of the response is to be sent.
    pub fn run(&self, content: &[u8]) -> Result<String, Refusal> {
        if content.len() > MAX_RESPONSE_BYTES {
            return Err(Self::too_large());
        }
        match self.program.run(content) {
            Ok(Some(text)) => Ok(text),
            Ok(None) => Err(refusal("the transformation has no output")),
            Err(error) => Err(refusal(error.to_string())),
        }
    }

    /// The refusal of a response that is too large.
    #[must_use]
    pub fn too_large() -> Refusal {
        refusal(format!("the component's response has more than {MAX_RESPONSE_BYTES} bytes"))
    }

    /// Changes the headers of a response: to those of the content of so many bytes that was transformed, or of one that
    /// HEAD does not have; of 304 the entity tag. Others are left as they are.
    pub fn adapt_response(&self, response: &mut Parts, transformed: bool, bytes: Option<usize>) {
        if !transformed && response.status != StatusCode::NOT_MODIFIED {
            return;
        }
        let headers = &mut response.headers;
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()?.strip_suffix('"'));
        let tag = tag.and_then(|tag| HeaderValue::try_from(format!("{tag}{}\"", self.suffix)).ok());
        match tag {
            Some(tag) => drop(headers.insert(ETAG, tag)),
            None => drop(headers.remove(ETAG)),
        }
        for name in [LAST_MODIFIED, ACCEPT_RANGES, CONTENT_RANGE, CONTENT_LENGTH].iter().chain(&CHECKSUMS) {
            headers.remove(name);
        }
        if let Some(bytes) = bytes {
            headers.insert(CONTENT_LENGTH, bytes.into());
        }
    }
}

/// Whether the content is JSON by its type.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = weighted(media_type).0.to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn refusal(reason: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(Code::ResponseNotTransformed).with_reason(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;
    use serde_json::json;

    fn transform(program: &str) -> ResponseTransform {
        response_transform(&json!(program), "response-transform").expect("a program").expect("some")
    }

    fn response(status: u16, pairs: &[(&str, &str)]) -> Parts {
        let mut builder = Response::builder().status(status);
        for (name, value) in pairs {
            builder = builder.header(*name, *value);
        }
        builder.body(()).expect("a response").into_parts().0
    }

    #[test]
    fn values_are_checked() {
        assert!(response_transform(&json!(false), "t").expect("none").is_none());
        for (wrong, part) in [
            (json!({}), "text"),
            (json!(".["), "not a jq expression"),
            (json!("env"), "the filter `env`"),
            (json!("x".repeat(5_000)), "4096 bytes"),
        ] {
            let error = response_transform(&wrong, "gateway.response-transform").expect_err(part);
            assert!(error.to_string().contains(part) && error.at() == "gateway.response-transform", "{error}");
        }
    }

    #[test]
    fn json_of_requests_that_succeeded_is_transformed_and_nothing_else_is() {
        let transform = transform(".a");
        let applies = |status: u16, pairs: &[(&str, &str)]| {
            transform.applies(&response(status, pairs)).map_err(|error| error.code())
        };
        let json = ("content-type", "application/json; charset=utf-8");
        let problem = ("content-type", "application/vnd.shop+JSON");
        type Case<'a> = (u16, &'a [(&'a str, &'a str)], bool);
        let cases: [Case<'_>; 9] = [
            (200, &[json], true),
            (201, &[problem], true),
            (200, &[json, ("content-encoding", "identity")], true),
            (404, &[json], false),
            (304, &[json], false),
            (204, &[json], false),
            (200, &[("content-type", "text/html")], false),
            (200, &[("content-type", "application/x-ndjson")], false),
            (200, &[], false),
        ];
        for (status, pairs, wanted) in cases {
            assert_eq!(applies(status, pairs), Ok(wanted), "{status} {pairs:?}");
        }
        let cases: [(u16, &[(&str, &str)]); 2] = [(206, &[json]), (200, &[json, ("content-encoding", "gzip")])];
        for (status, pairs) in cases {
            assert_eq!(applies(status, pairs), Err(Code::ResponseNotTransformed), "{status} {pairs:?}");
        }
    }

    #[test]
    fn what_fails_gives_nothing_of_the_content_and_says_why_in_the_log_only() {
        assert_eq!(
            transform("{ a, n: (.b | length) }").run(br#"{"a":1.10,"b":[1,2]}"#).expect("JSON"),
            r#"{"a":1.10,"n":2}"#
        );
        let long = format!("[\"{}\"]", "x".repeat(MAX_RESPONSE_BYTES));
        for (program, content, part) in [
            ("last(range(1000000000))", "{}", "steps"),
            (".a.b", "{\"a\":\"secret\"}", "cannot index"),
            ("empty", "{}", "no output"),
            (".[]", "[1,2]", "more than one output"),
            (".", "{", "not JSON"),
            (".", "", "not JSON"),
            (".", long.as_str(), "more than 1048576 bytes"),
        ] {
            let refusal = transform(program).run(content.as_bytes()).expect_err(part);
            assert_eq!((refusal.code(), refusal.status().as_u16()), (Code::ResponseNotTransformed, 500));
            let reason = refusal.reason().expect("a reason");
            assert!(reason.contains(part), "{reason}");
            assert!(!refusal.body().contains("secret") && refusal.detail().is_none());
        }
    }

    #[test]
    fn the_component_is_asked_for_what_can_be_transformed() {
        let transform = transform(".a");
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept-encoding", "gzip, br"),
            ("range", "bytes=0-1"),
            ("if-range", "\"a\""),
            ("if-modified-since", "Wed, 21 Oct 2015 07:28:00 GMT"),
            ("accept", "application/json"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        transform.adapt_request(&mut headers);
        assert_eq!(headers["accept-encoding"], "identity");
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "accept-encoding"]);
        let mut none = HeaderMap::new();
        transform.adapt_request(&mut none);
        assert!(none.is_empty());
    }

    #[test]
    fn entity_tags_are_the_programs_own_and_lead_back_to_those_of_the_component() {
        let (ours, other) = (transform(".a"), transform(".b"));
        let tag_of = |transform: &ResponseTransform, tag: &str| {
            let mut parts =
                response(200, &[("etag", tag), ("content-length", "9"), ("last-modified", "x"), ("digest", "x")]);
            transform.adapt_response(&mut parts, true, Some(3));
            assert_eq!(parts.headers["content-length"], "3");
            assert!(!parts.headers.contains_key("last-modified") && !parts.headers.contains_key("digest"));
            parts.headers.get(ETAG).map(|tag| tag.to_str().expect("text").to_owned())
        };
        let (strong, weak) = (tag_of(&ours, "\"v1\"").expect("a tag"), tag_of(&ours, "W/\"v1\"").expect("a tag"));
        let foreign = tag_of(&other, "\"v1\"").expect("a tag");
        assert!(strong.starts_with("\"v1-jq") && weak == format!("W/{strong}") && foreign != strong);
        assert_eq!(tag_of(&ours, "malformed"), None);
        let asked = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::try_from(value).expect("a value"));
            ours.adapt_request(&mut headers);
            headers.get(name).map(|value| value.to_str().expect("text").to_owned())
        };
        assert_eq!(
            asked("if-none-match", &format!("{weak}, {foreign}, \"v0\", {strong}")).as_deref(),
            Some("W/\"v1\", \"v1\"")
        );
        assert_eq!(asked("if-none-match", &foreign), None, "the client has what another program made");
        assert_eq!(asked("if-none-match", "*").as_deref(), Some("*"));
        assert_eq!(asked("if-match", &format!("{strong}, \"v0\"")).as_deref(), Some("\"v1\", \"v0\""));
        let mut unchanged = response(304, &[("etag", "\"v1\"")]);
        ours.adapt_response(&mut unchanged, false, None);
        assert_eq!(unchanged.headers[ETAG], strong.as_str());
        let mut page = response(200, &[("etag", "\"v1\""), ("content-length", "9")]);
        ours.adapt_response(&mut page, false, None);
        assert!(page.headers[ETAG] == "\"v1\"" && page.headers[CONTENT_LENGTH] == "9");
    }
}
