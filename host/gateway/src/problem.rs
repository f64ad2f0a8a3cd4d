//! Errors of the gateway as HTTP responses: stable codes, and problem documents (RFC 9457).

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde::Serialize;
use std::borrow::Cow;

/// The largest number of single faults that a refusal lists.
pub const MAX_ERRORS: usize = 16;

/// The longest text of a single fault, and the longest pointer, in characters.
pub const MAX_ERROR_CHARS: usize = 200;

elias_contract::error_codes! {
    /// Why a request is refused.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    #[non_exhaustive]
    pub enum Code {
        /// No route has this host and path.
        NoRoute = "no-route", 404, "Nothing is served here";
        /// The path has routes, but none for this method.
        MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here";
        /// The path has routes, but none for this API version.
        UnknownApiVersion = "unknown-api-version", 406, "This version of the API is not served here";
        /// The host is missing, malformed or too long.
        BadHost = "bad-host", 400, "The request's host is malformed";
        /// The path is written such that it can be read as another one.
        AmbiguousPath = "ambiguous-path", 400, "The request's path can be read in more than one way";
        /// There are no credentials, or wrong ones.
        Unauthenticated = "unauthenticated", 401, "Valid credentials are required";
        /// The keys that tokens are checked with are not there yet.
        AuthUnavailable = "auth-unavailable", 503, "Credentials cannot be checked at the moment";
        /// More requests than the rate limit allows.
        RateLimited = "rate-limited", 429, "Too many requests";
        /// A preflight for an origin, a method or headers that are not allowed.
        CorsRefused = "cors-refused", 403, "Cross-origin requests like this are not allowed";
        /// A body that is not of a type that can be validated.
        UnsupportedMediaType = "unsupported-media-type", 415, "The body must be plain JSON";
        /// A body over the cap of the validation.
        RequestTooLarge = "request-too-large", 413, "The request's body is too large";
        /// A body that is not JSON, or nested too deeply.
        MalformedJson = "malformed-json", 400, "The request's body is not valid JSON";
        /// Parameters or a body that the schema does not allow.
        InvalidRequest = "invalid-request", 422, "The request does not match its schema";
        /// The name of the service worker that the request is for is missing or too long.
        WorkerName = "worker-name", 400, "The request does not name a worker";
        /// The client wanted a cached response or none (`Cache-Control: only-if-cached`), and there is none.
        NotCached = "not-cached", 504, "No response is cached";
        /// A POST or PATCH without an idempotency key, where the route requires one.
        IdempotencyKeyMissing = "idempotency-key-missing", 400, "An idempotency key is required";
        /// The idempotency key is malformed, too long, or there more than once.
        IdempotencyKeyInvalid = "idempotency-key-invalid", 400, "The idempotency key is malformed";
        /// The first request with the idempotency key has not ended.
        IdempotencyConflict = "idempotency-conflict", 409, "A request with this idempotency key is being processed";
        /// The first request with the idempotency key has ended, and its response was too large to be stored.
        IdempotencyReplyNotStored = "idempotency-reply-not-stored", 409,
            "The request was processed, and its response was too large to be stored";
        /// The idempotency key came before with another method, target or body.
        IdempotencyKeyReused = "idempotency-key-reused", 422, "The idempotency key belongs to another request";
        /// A middleware of the route is not deployed.
        MiddlewareMissing = "middleware-missing", 503, "A part of this service is not there";
        /// The response could not be transformed as its route says.
        ResponseNotTransformed = "response-not-transformed", 500, "The response could not be transformed";
        /// No asset has this path, and the component is not asked.
        NoAsset = "no-asset", 404, "The file does not exist";
        /// `If-Match` names none of the asset's entity tags.
        PreconditionFailed = "precondition-failed", 412, "The file is another one by now";
        /// The range begins behind the end of the asset.
        RangeNotSatisfiable = "range-not-satisfiable", 416, "The file does not have this range";
    }
}

/// One fault of a request that does not match its schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The part of the request that has the fault.
    #[serde(rename = "in")]
    pub part: RequestPart,
    /// The position in that part: a JSON Pointer as a URI fragment (RFC 6901, section 6).
    pub pointer: String,
    /// The defect, without the value.
    pub detail: String,
}

/// The part of a request that a [`Fault`] is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestPart {
    /// The body.
    Body,
    /// The query.
    Query,
    /// The path's parameters.
    Path,
}

/// An error response of the gateway in place of the component's: a problem document (RFC 9457).
#[derive(Debug, Clone)]
pub struct Refusal(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: Option<Cow<'static, str>>,
    headers: HeaderMap,
    errors: Vec<Fault>,
    reason: Option<Cow<'static, str>>,
}

impl Refusal {
    /// A refusal that says no more than its code.
    #[must_use]
    pub fn new(code: Code) -> Self {
        let parts = Parts { code, detail: None, headers: HeaderMap::new(), errors: Vec::new(), reason: None };
        Self(Box::new(parts))
    }

    /// A 405 that lists the methods which are allowed (RFC 9110, section 15.5.6).
    #[must_use]
    pub fn method_not_allowed(allow: HeaderValue) -> Self {
        Self::new(Code::MethodNotAllowed).with_header(ALLOW, allow)
    }

    /// Adds a sentence for the client.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a header to the response, beside others of the name.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// Adds faults, of which the first [`MAX_ERRORS`] are kept.
    #[must_use]
    pub fn with_errors(mut self, errors: impl IntoIterator<Item = Fault>) -> Self {
        let room = MAX_ERRORS.saturating_sub(self.0.errors.len());
        self.0.errors.extend(errors.into_iter().take(room));
        self
    }

    /// Adds the reason for the log, which the client does not get.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The sentence for the client.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The reason for the log. It holds nothing that the client sent, and no secret.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The response's own headers, without those of the body.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The same, to add to.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.headers
    }

    /// The faults, at most [`MAX_ERRORS`].
    #[must_use]
    pub fn errors(&self) -> &[Fault] {
        &self.0.errors
    }

    /// The problem document, to which a server may want to add the execution's id.
    #[must_use]
    pub fn document(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut document = serde_json::Map::new();
        document.insert("type".into(), "about:blank".into());
        document.insert("title".into(), self.0.code.title().into());
        document.insert("status".into(), self.0.code.status().into());
        document.insert("code".into(), self.0.code.as_str().into());
        if let Some(detail) = &self.0.detail {
            document.insert("detail".into(), detail.as_ref().into());
        }
        if !self.0.errors.is_empty() {
            document.insert("errors".into(), serde_json::to_value(&self.0.errors).unwrap_or_default());
        }
        document
    }

    /// The problem document as JSON text.
    #[must_use]
    pub fn body(&self) -> String {
        serde_json::Value::Object(self.document()).to_string()
    }

    /// The whole response. Refusals are not to be kept by caches.
    #[must_use]
    pub fn into_response(self) -> Response<String> {
        let mut response = Response::new(self.body());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        *headers = self.0.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// The text, cut after [`MAX_ERROR_CHARS`] characters.
pub(crate) fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_ERROR_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_body_is_a_problem_document_and_keeps_the_reason_to_itself() {
        let refusal = Refusal::new(Code::InvalidRequest)
            .with_detail("Look at the errors.")
            .with_reason("internal")
            .with_errors(std::iter::repeat_n(
                Fault { part: RequestPart::Body, pointer: "#/age".into(), detail: "is not a number".into() },
                1000,
            ));
        let body: serde_json::Value = serde_json::from_str(&refusal.body()).expect("JSON");
        assert_eq!(body["status"], 422);
        assert_eq!(body["code"], "invalid-request");
        assert_eq!(body["errors"].as_array().map(Vec::len), Some(MAX_ERRORS));
        assert_eq!(
            body["errors"][0],
            serde_json::json!({"in": "body", "pointer": "#/age", "detail": "is not a number"})
        );
        assert!(!refusal.body().contains("internal"));
        let response = refusal.into_response();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn codes_are_distinct_and_are_errors() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| (400..600).contains(&code.status())));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = bounded(&"é".repeat(10_000));
        assert_eq!(text.chars().count(), MAX_ERROR_CHARS + 1);
    }
}
