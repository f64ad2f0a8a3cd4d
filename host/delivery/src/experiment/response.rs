//! Responses to the same request, compared with each other.

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use utoipa::ToSchema;

/// Bytes of a body that are kept to show where it differs.
const BEGINNING_BYTES: usize = 4 << 10;
/// Bytes that are shown of each where bodies differ.
const SHOWN_BYTES: usize = 64;
/// Bytes of a header's value that are shown.
const VALUE_BYTES: usize = 100;
/// Headers that differ from response to response, or are the server's own.
const VOLATILE: [&str; 9] = [
    "age",
    "connection",
    "content-length",
    "date",
    "elias-execution-id",
    "server-timing",
    "set-cookie",
    "traceparent",
    "transfer-encoding",
];

/// A response, in as much as is needed to compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseSummary {
    /// The id of the execution that it comes from.
    pub execution: String,
    /// The status; for an execution that failed, the status of the host's response.
    pub status: u16,
    /// The headers, without those that differ by nature.
    headers: Vec<(String, String)>,
    bytes: u64,
    digest: [u8; 32],
    beginning: Vec<u8>,
}

/// A response that is being read. Its body may have any size.
#[derive(Debug)]
pub struct ResponseReader {
    summary: ResponseSummary,
    hash: Sha256,
}

impl ResponseReader {
    /// Begins with the response's status and headers. `ignore` names headers in which responses may differ, in lower
    /// case.
    #[must_use]
    pub fn new(execution: &str, status: u16, headers: &HeaderMap, ignore: &[String]) -> Self {
        let counts = |name: &str| !VOLATILE.contains(&name) && !ignore.iter().any(|ignored| ignored == name);
        let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            counts(name.as_str())
                .then(|| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        };
        let mut headers: Vec<_> = headers.iter().filter_map(field).collect();
        headers.sort();
        let (execution, beginning) = (execution.to_owned(), Vec::new());
        Self {
            summary: ResponseSummary { execution, status, headers, bytes: 0, digest: [0; 32], beginning },
            hash: Sha256::new(),
        }
    }

    /// A piece of the body.
    pub fn read(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        let summary = &mut self.summary;
        summary.bytes = summary.bytes.saturating_add(piece.len() as u64);
        let room = BEGINNING_BYTES.saturating_sub(summary.beginning.len());
        summary.beginning.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// The summary of the whole response.
    #[must_use]
    pub fn end(self) -> ResponseSummary {
        ResponseSummary { digest: self.hash.finalize().into(), ..self.summary }
    }
}

/// A request whose mirrored response differs from the baseline's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ResponseDifference {
    /// The time, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The method and path of the request, such as `GET /cart`.
    pub request: String,
    /// The id of the baseline's execution.
    pub baseline: String,
    /// The id of the variant's execution.
    pub execution: String,
    /// The first difference, with the baseline's value first, such as `status: 200 and 500` or `header content-type:
    /// "text/plain" and none`.
    pub what: String,
}

impl ResponseSummary {
    /// The first difference of another response from this one, as a sentence; none if they are the same in what counts.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self.status != other.status {
            return Some(format!("status: {} and {}", self.status, other.status));
        }
        if self.headers != other.headers {
            return Some(self.differing_header(other));
        }
        if (self.bytes, self.digest) == (other.bytes, other.digest) {
            return None;
        }
        let pairs = self.beginning.iter().zip(&other.beginning);
        let common = pairs.take_while(|(a, b)| a == b).count();
        let shown = |response: &Self| {
            let from = &response.beginning[common.min(response.beginning.len())..];
            String::from_utf8_lossy(&from[..from.len().min(SHOWN_BYTES)]).escape_debug().to_string()
        };
        let (a, b) = (shown(self), shown(other));
        if common == BEGINNING_BYTES {
            return Some(format!(
                "body: after the first {BEGINNING_BYTES} of {} and {} bytes",
                self.bytes, other.bytes
            ));
        }
        Some(format!("body: from byte {common} of {} and {}: \"{a}\" and \"{b}\"", self.bytes, other.bytes))
    }

    fn differing_header(&self, other: &Self) -> String {
        let (ours, theirs): (BTreeSet<_>, BTreeSet<_>) =
            (self.headers.iter().collect(), other.headers.iter().collect());
        let first = ours.symmetric_difference(&theirs).map(|(name, _)| name.as_str()).min().unwrap_or_default();
        let value = |response: &Self| {
            let values: Vec<_> =
                response.headers.iter().filter(|(name, _)| name == first).map(|(_, value)| value.as_str()).collect();
            let text: String = values.join(", ").chars().take(VALUE_BYTES).collect();
            if values.is_empty() { "none".to_owned() } else { format!("\"{}\"", text.escape_debug()) }
        };
        format!("header {first}: {} and {}", value(self), value(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &[&[u8]]) -> ResponseSummary {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let mut reader = ResponseReader::new("id", status, &headers, &["x-request".to_owned()]);
        body.iter().for_each(|piece| reader.read(piece));
        reader.end()
    }

    #[test]
    fn what_differs_is_named_and_what_differs_by_nature_is_not() {
        let base = response(200, &[("content-type", "text/plain"), ("date", "today"), ("x-request", "1")], &[b"hello"]);
        let long = vec![b'a'; BEGINNING_BYTES + 1];
        for (other, what) in [
            (response(200, &[("content-type", "text/plain"), ("x-request", "2")], &[b"hel", b"lo"]), None),
            (response(500, &[], &[]), Some("status: 200 and 500")),
            (response(200, &[], &[b"hello"]), Some("header content-type: \"text/plain\" and none")),
            (
                response(200, &[("content-type", "text/plain")], &[b"help\n!"]),
                Some("body: from byte 3 of 5 and 6: \"lo\" and \"p\\n!\""),
            ),
            (
                response(200, &[("content-type", "text/plain")], &[b"hell"]),
                Some("body: from byte 4 of 5 and 4: \"o\" and \"\""),
            ),
        ] {
            assert_eq!(base.difference(&other).as_deref(), what);
        }
        let (a, b) = (response(200, &[], &[&long]), response(200, &[], &[&long, b"b"]));
        assert_eq!(a.difference(&b).as_deref(), Some("body: after the first 4096 of 4097 and 4098 bytes"));
        assert_eq!(a.difference(&a), None);
    }
}
