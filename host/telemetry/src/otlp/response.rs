//! What a response to an export means (OTLP 1.9, "Failures" and "Partial Success").

use super::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::time::Duration;

/// The longest wait that a collector may ask for: what waits meanwhile is dropped when the ring is full.
const WAIT_MAX: Duration = Duration::from_secs(300);
/// The first wait between attempts, and the longest.
const BACKOFF: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// What became of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportOutcome {
    /// The collector took it, but for some items that it rejected, which must not be sent again.
    Accepted {
        /// Items that were rejected.
        rejected: u64,
        /// Why, or a warning.
        message: String,
    },
    /// It is to be sent again, after the wait that the collector asked for if it did.
    Retry(Option<Duration>),
    /// It will not be taken, and must not be sent again.
    Refused(String),
}

/// The outcome by the response over HTTP: its status, the header `Retry-After` in seconds, and its body.
#[must_use]
pub fn http_outcome(signal: Signal, status: u16, retry_after: Option<&str>, body: &[u8]) -> ExportOutcome {
    match status {
        200..=299 => accepted(signal, body),
        429 | 502 | 503 | 504 => {
            let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
            ExportOutcome::Retry(seconds.map(|seconds| Duration::from_secs(seconds).min(WAIT_MAX)))
        }
        status => ExportOutcome::Refused(format!("the response has status {status}")),
    }
}

/// The outcome by the response over gRPC: the status code, the wait that the trailers name (`grpc-retry-pushback-ms`),
/// and the message.
#[must_use]
pub fn grpc_outcome(signal: Signal, code: u32, pushback_ms: Option<&str>, body: &[u8]) -> ExportOutcome {
    let wait = pushback_ms.and_then(|text| text.trim().parse::<u64>().ok());
    let wait = wait.map(|milliseconds| Duration::from_millis(milliseconds).min(WAIT_MAX));
    match code {
        0 => accepted(signal, body),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        1 | 4 | 10 | 11 | 14 | 15 => ExportOutcome::Retry(wait),
        // Resource exhausted: only if the collector says that it recovers.
        8 if wait.is_some() => ExportOutcome::Retry(wait),
        code => ExportOutcome::Refused(format!("the response has gRPC status {code}")),
    }
}

/// A response that says nothing readable of what was rejected says that nothing was.
fn accepted(signal: Signal, body: &[u8]) -> ExportOutcome {
    let partial = match signal {
        Signal::Traces => ExportTraceServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
        Signal::Logs => ExportLogsServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_log_records, partial.error_message)),
    };
    let (rejected, message) = partial.unwrap_or_default();
    ExportOutcome::Accepted { rejected: u64::try_from(rejected).unwrap_or(0), message }
}

/// How long to wait before the attempt after `failures` ones, with a `random` number from 0 to 1: between half and the
/// whole of a time that doubles with each.
#[must_use]
pub fn retry_delay(failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = BACKOFF.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX)).min(BACKOFF_MAX);
    let own = doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
    asked.map_or(own, |asked| asked.max(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    #[test]
    fn what_is_sent_again_is_what_the_protocol_says() {
        for status in 300..600 {
            let again = matches!(http_outcome(Signal::Traces, status, None, b""), ExportOutcome::Retry(None));
            assert_eq!(again, [429, 502, 503, 504].contains(&status), "{status}");
        }
        for code in 1..20 {
            let again = matches!(grpc_outcome(Signal::Logs, code, None, b""), ExportOutcome::Retry(None));
            assert_eq!(again, [1, 4, 10, 11, 14, 15].contains(&code), "{code}");
        }
        let wait = Some(Duration::from_millis(1_500));
        assert_eq!(grpc_outcome(Signal::Traces, 8, Some("1500"), b""), ExportOutcome::Retry(wait));
    }

    #[test]
    fn a_collector_says_how_long_to_wait_within_a_bound() {
        let waits = |text| match http_outcome(Signal::Traces, 503, Some(text), b"") {
            ExportOutcome::Retry(wait) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(waits("7"), Some(Duration::from_secs(7)));
        assert_eq!(waits("99999999999"), Some(WAIT_MAX));
        assert_eq!(waits("soon"), None);
        assert!(retry_delay(0, waits("7"), 0.0) == Duration::from_secs(7));
        for (failures, least, most) in
            [(0, 500, 1_000), (2, 2_000, 4_000), (50, 30_000, 60_000), (u32::MAX, 30_000, 60_000)]
        {
            let bounds = [0.0, 1.0].map(|random| retry_delay(failures, None, random));
            assert_eq!(bounds, [least, most].map(Duration::from_millis), "{failures}");
        }
    }

    #[test]
    fn rejected_items_are_read() {
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "too old".to_owned() };
        let body = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
        let read = ExportOutcome::Accepted { rejected: 3, message: "too old".to_owned() };
        assert_eq!(http_outcome(Signal::Traces, 200, None, &body), read);
        let whole = ExportOutcome::Accepted { rejected: 0, message: String::new() };
        for body in [b"".as_slice(), b"{}", &[0xff; 40]] {
            assert_eq!(http_outcome(Signal::Traces, 200, None, body), whole);
        }
    }
}
