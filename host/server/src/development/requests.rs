//! The last requests to the component of a development server, to be looked at and sent again.

use crate::body::{BodyBeginning, CapturedBody};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elias_host::{Execution, Outcome};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Body;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Requests that are kept, and bytes of all their headers and bodies. Of a body the first 64 KiB are kept.
const REQUESTS_MAX: usize = 200;
const BYTES_MAX: usize = 16 << 20;

/// The last requests.
#[derive(Default)]
pub(crate) struct RequestRing(Mutex<Ring>);

#[derive(Default)]
struct Ring {
    /// The oldest first.
    requests: VecDeque<Arc<RecordedRequest>>,
    bytes: usize,
    last: u64,
}

/// A request with its response.
pub(crate) struct RecordedRequest {
    /// Counts the requests from 1.
    pub(crate) number: u64,
    pub(crate) method: Method,
    /// Path and query as the client sent them, or `*`.
    pub(crate) target: String,
    /// The host and port of the target, if that is a whole URL, as in HTTP/2.
    pub(crate) authority: Option<Authority>,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyBeginning,
    /// In milliseconds since 1970.
    pub(crate) started_at: i64,
    pub(crate) duration_us: u64,
    /// 0 if the client left before there was a response.
    pub(crate) status: u16,
    pub(crate) response_headers: HeaderMap,
    pub(crate) response_body: BodyBeginning,
    /// The code of the error, if there was one.
    pub(crate) code: Option<&'static str>,
    /// The error with its stack, if the component failed.
    pub(crate) error: Option<String>,
    /// The execution, if the component was asked.
    pub(crate) execution: Option<Execution>,
}

/// A request in a list.
#[derive(Debug, Serialize)]
pub(super) struct RequestSummary {
    /// The number of the request, as a text.
    pub(super) id: String,
    method: String,
    /// Path and query as the client sent them.
    path: String,
    /// The time of its start, in milliseconds since 1970-01-01 UTC.
    started_at: i64,
    /// From its headers to the last byte of its response, in microseconds.
    duration_us: u64,
    /// The status of the response; 0 without one.
    status: u16,
    /// `completed`, `failed` or `cancelled`.
    outcome: &'static str,
    /// The code of the error; null without one.
    code: Option<&'static str>,
    /// The id of the execution; null without one.
    execution: Option<String>,
    /// Why it cannot be sent again; null if it can be.
    not_replayable: Option<&'static str>,
}

impl RequestRing {
    /// Adds a request that has ended. The oldest go where there is no room.
    fn add(&self, make: impl FnOnce(u64) -> RecordedRequest) {
        let mut ring = self.0.lock();
        ring.last += 1;
        let request = make(ring.last);
        ring.bytes += request.bytes();
        ring.requests.push_back(Arc::new(request));
        while ring.requests.len() > REQUESTS_MAX || ring.bytes > BYTES_MAX {
            let Some(oldest) = ring.requests.pop_front() else { break };
            ring.bytes -= oldest.bytes();
        }
    }

    /// The requests, the newest first.
    pub(super) fn list(&self) -> Vec<Arc<RecordedRequest>> {
        self.0.lock().requests.iter().rev().cloned().collect()
    }

    /// A request, by its id.
    pub(super) fn find(&self, id: &str) -> Option<Arc<RecordedRequest>> {
        let number: u64 = id.parse().ok()?;
        self.0.lock().requests.iter().find(|request| request.number == number).cloned()
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        let mut ring = self.0.lock();
        ring.requests.clear();
        ring.bytes = 0;
    }
}

impl RecordedRequest {
    /// What it takes of the memory, about.
    fn bytes(&self) -> usize {
        let of = |headers: &HeaderMap| {
            headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64).sum::<usize>()
        };
        let bodies = self.body.beginning.len() + self.response_body.beginning.len();
        let error = self.error.as_ref().map_or(0, String::len);
        self.target.len() + of(&self.headers) + of(&self.response_headers) + bodies + error + size_of::<Self>()
    }

    /// `completed`, `failed` or `cancelled`.
    pub(super) fn outcome(&self) -> &'static str {
        match self.execution.as_ref().map(|execution| execution.outcome) {
            _ if self.code.is_some() => "failed",
            Some(Outcome::Failed(_)) => "failed",
            Some(Outcome::Cancelled) => "cancelled",
            _ if self.status == 0 => "cancelled",
            _ => "completed",
        }
    }

    /// The code of the error, also of one that came after the response had begun.
    pub(super) fn code(&self) -> Option<&'static str> {
        self.code.or_else(|| match self.execution.as_ref()?.outcome {
            Outcome::Failed(code) => Some(code.as_str()),
            Outcome::Completed | Outcome::Cancelled => None,
        })
    }

    /// Why it cannot be sent again, if it cannot be.
    pub(super) fn not_replayable(&self) -> Option<&'static str> {
        if self.headers.contains_key(http::header::UPGRADE) {
            return Some("an upgrade of the connection, such as a WebSocket, cannot be sent again");
        }
        (!self.body.is_whole).then_some(
            "its body is not known whole: it has more than 64 KiB, or the component did not read it to its end",
        )
    }

    pub(super) fn summary(&self) -> RequestSummary {
        RequestSummary {
            id: self.number.to_string(),
            method: self.method.to_string(),
            path: self.target.clone(),
            started_at: self.started_at,
            duration_us: self.duration_us,
            status: self.status,
            outcome: self.outcome(),
            code: self.code(),
            execution: self.execution.as_ref().map(|execution| execution.id.clone()),
            not_replayable: self.not_replayable(),
        }
    }

    /// All of it, as JSON.
    pub(super) fn details(&self) -> Value {
        json!({
            "summary": self.summary(),
            "version": format!("{:?}", self.version),
            "error": self.error,
            "request": { "headers": list(&self.headers), "body": body(&self.body) },
            "response": { "headers": list(&self.response_headers), "body": body(&self.response_body) },
        })
    }
}

/// Headers as a list of pairs. Bytes that are no UTF-8 are replaced.
pub(super) fn list(headers: &HeaderMap) -> Vec<[String; 2]> {
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        [name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()]
    };
    headers.iter().map(pair).collect()
}

/// A body as JSON: a text where it is one, else base64.
pub(super) fn body(known: &BodyBeginning) -> Value {
    let BodyBeginning { beginning, bytes, is_whole } = known;
    // What was cut within a character is a text all the same.
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&beginning[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) => json!({ "text": text, "bytes": bytes, "whole": is_whole }),
        None => json!({ "base64": STANDARD.encode(beginning), "bytes": bytes, "whole": is_whole }),
    }
}

/// A request that is under way, until its response is sent.
pub(crate) struct RequestCapture {
    ring: Arc<RequestRing>,
    method: Method,
    target: String,
    authority: Option<Authority>,
    version: Version,
    headers: HeaderMap,
    body: Arc<CapturedBody>,
    started_at: SystemTime,
    started: Instant,
    status: u16,
    response_headers: HeaderMap,
    response_body: CapturedBody,
    code: Option<&'static str>,
    error: Option<String>,
    failed: Option<Execution>,
}

impl RequestCapture {
    /// A request begins.
    pub(crate) fn begin<B: Body>(ring: &Arc<RequestRing>, request: &Request<B>) -> Box<Self> {
        Box::new(Self {
            ring: Arc::clone(ring),
            method: request.method().clone(),
            target: request.uri().path_and_query().map_or_else(|| request.uri().to_string(), ToString::to_string),
            authority: request.uri().authority().cloned(),
            version: request.version(),
            headers: request.headers().clone(),
            body: Arc::new(CapturedBody::new(request.body().is_end_stream())),
            started_at: SystemTime::now(),
            started: Instant::now(),
            status: 0,
            response_headers: HeaderMap::new(),
            response_body: CapturedBody::default(),
            code: None,
            error: None,
            failed: None,
        })
    }

    /// What captures its body.
    pub(crate) fn body(&self) -> Arc<CapturedBody> {
        Arc::clone(&self.body)
    }

    /// There is no response of the component, or not all of it. `execution`: the one that failed, if there was one.
    pub(crate) fn fail(&mut self, code: &'static str, error: Option<String>, execution: Option<Execution>) {
        (self.code, self.error, self.failed) = (Some(code), error, execution);
    }

    /// The response begins.
    pub(crate) fn begin_response<B>(&mut self, response: &Response<B>) {
        (self.status, self.response_headers) = (response.status().as_u16(), response.headers().clone());
    }

    /// A piece of the response goes to the client.
    pub(crate) fn sent(&self, piece: &[u8]) {
        self.response_body.push(piece);
    }

    /// All of the response was given away.
    pub(crate) fn complete(&self) {
        self.response_body.end();
    }

    /// The request is over, and so is its execution, if there was one.
    pub(crate) fn end(self: Box<Self>, execution: Option<&Execution>) {
        let milliseconds = self.started_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let duration_us = self.started.elapsed().as_micros();
        let this = *self;
        let (body, response_body) = (this.body.beginning(), this.response_body.beginning());
        this.ring.add(|number| RecordedRequest {
            number,
            method: this.method,
            target: this.target,
            authority: this.authority,
            version: this.version,
            headers: this.headers,
            body,
            started_at: i64::try_from(milliseconds).unwrap_or(i64::MAX),
            duration_us: u64::try_from(duration_us).unwrap_or(u64::MAX),
            status: this.status,
            response_headers: this.response_headers,
            response_body,
            code: this.code,
            error: this.error,
            execution: execution.cloned().or(this.failed),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http_body_util::Full;

    fn record(ring: &Arc<RequestRing>, target: &str, sent: &[u8]) {
        let request = Request::get(target).header("x-a", "b").body(Full::new(Bytes::new())).expect("a request");
        let mut capture = RequestCapture::begin(ring, &request);
        capture.begin_response(&Response::builder().status(201).body(()).expect("a response"));
        capture.sent(sent);
        capture.complete();
        capture.end(None);
    }

    #[test]
    fn the_last_requests_are_kept_within_their_bounds() {
        let ring = Arc::new(RequestRing::default());
        for _ in 0..=REQUESTS_MAX {
            record(&ring, "/a?b", b"text");
        }
        let kept = ring.list();
        assert_eq!((kept.len(), kept[0].number), (REQUESTS_MAX, REQUESTS_MAX as u64 + 1));
        assert!(ring.find("1").is_none() && ring.find("2").is_some() && ring.find("x").is_none());
        let large = vec![b'a'; 1 << 20];
        for _ in 0..REQUESTS_MAX {
            record(&ring, "/a", &large);
        }
        assert!(ring.0.lock().bytes <= BYTES_MAX);
        assert!(!ring.list()[0].response_body.is_whole);
        for _ in 0..REQUESTS_MAX * 2 {
            record(&ring, &format!("/{}", "a".repeat(60_000)), &large);
        }
        let state = ring.0.lock();
        assert!(state.bytes <= BYTES_MAX && state.requests.len() < REQUESTS_MAX, "{}", state.requests.len());
        drop(state);
        ring.clear();
        assert_eq!((ring.list().len(), ring.0.lock().bytes), (0, 0));
    }

    #[test]
    fn a_request_is_shown_with_its_bodies() {
        let ring = Arc::new(RequestRing::default());
        record(&ring, "/a?b", "ä".as_bytes());
        let details = ring.find("1").expect("it is there").details();
        assert_eq!((&details["summary"]["path"], &details["summary"]["status"]), (&json!("/a?b"), &json!(201)));
        assert_eq!(details["request"]["headers"], json!([["x-a", "b"]]));
        assert_eq!(details["response"]["body"], json!({ "text": "ä", "bytes": 2, "whole": true }));
        let shown = |bytes: &'static [u8]| {
            body(&BodyBeginning { beginning: Bytes::from_static(bytes), bytes: 9, is_whole: false })
        };
        assert_eq!(shown(b"a\xc3")["text"], "a", "cut within a character");
        assert_eq!(shown(b"\xff\x00")["base64"], "/wA=");
    }
}
