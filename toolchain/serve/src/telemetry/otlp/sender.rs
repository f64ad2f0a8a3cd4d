//! Sends what waits in a queue to its collector, over HTTP or gRPC.

use super::{OtlpProtocol, Queue};
use bytes::Bytes;
use elias_capabilities::http::{PublicPost, PublicResponse};
use elias_telemetry::otlp::{Batch, ExportOutcome, Signal, grpc_outcome, http_outcome, retry_delay};
use http::HeaderValue;
use http::header::{CONTENT_TYPE, RETRY_AFTER, TE};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::sleep;

/// Bytes of a request: collectors take 4 MiB over gRPC.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Sends what waits in a queue, until it is closed.
pub(super) struct Sender {
    pub(super) queue: Arc<Queue>,
    pub(super) client: PublicPost,
}

impl Sender {
    pub(super) async fn run(self) {
        loop {
            if self.queue.ring.lock().bytes() == 0 {
                self.queue.emptied.notify_waiters();
                if self.queue.is_closed.load(Ordering::Relaxed) {
                    return;
                }
                self.queue.gather().await;
            }
            let next = self.queue.ring.lock().next_batch(REQUEST_BYTES_MAX);
            if let Some(batch) = next {
                self.deliver(&batch).await;
                self.queue.ring.lock().done(&batch);
            }
        }
    }

    /// Sends a batch, again and again until the collector has taken or refused it.
    async fn deliver(&self, batch: &Batch) {
        let bytes = Bytes::copy_from_slice(&batch.bytes);
        let mut failures = 0_u32;
        loop {
            let (wait, reason) = match self.send(bytes.clone()).await {
                Ok(ExportOutcome::Accepted { rejected, message }) => {
                    let rejected = rejected.min(batch.items);
                    self.queue.exported.fetch_add(batch.items - rejected, Ordering::Relaxed);
                    self.queue.ring.lock().drop_items(rejected);
                    if !message.is_empty() {
                        self.queue.report(rejected, &Shown(&message).to_string(), "the collector says");
                    }
                    return;
                }
                Ok(ExportOutcome::Refused(reason)) => {
                    self.queue.ring.lock().drop_items(batch.items);
                    self.queue.report(batch.items, &reason, "the collector does not take telemetry");
                    return;
                }
                Ok(ExportOutcome::Retry(wait)) => (wait, "it is busy".to_owned()),
                Err(reason) => (None, reason),
            };
            if failures == 0 {
                self.queue.report(batch.items, &reason, "the collector cannot be reached; retrying");
            }
            sleep(retry_delay(failures, wait, rand::random())).await;
            failures = failures.saturating_add(1);
        }
    }

    async fn send(&self, message: Bytes) -> Result<ExportOutcome, String> {
        let Self { queue, client } = self;
        let collector = Arc::clone(&queue.collector.lock());
        let (signal, mut headers) = (queue.signal, collector.headers.clone());
        match collector.protocol {
            OtlpProtocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                let url = format!("{}{}", collector.endpoint, signal.http_path());
                let response = client.post(&url, headers, message).await?;
                let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                Ok(http_outcome(signal, response.status, retry_after, &response.body))
            }
            OtlpProtocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                let url = format!("{}{}", collector.endpoint, signal.grpc_path());
                let response = client.post(&url, headers, grpc_frame(&message)).await?;
                Ok(outcome_of_grpc(signal, &response))
            }
        }
    }
}

/// Bytes before a message of gRPC: whether it is compressed, and its length.
const GRPC_PREFIX: usize = 5;

/// A message as gRPC frames it.
fn grpc_frame(message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(GRPC_PREFIX + message.len());
    framed.push(0);
    // A request is smaller than a single entry of the ring.
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    Bytes::from(framed)
}

fn outcome_of_grpc(signal: Signal, response: &PublicResponse) -> ExportOutcome {
    // A response without a message has its status in the header section.
    let field = |name: &str| {
        let value = response.trailers.get(name).or_else(|| response.headers.get(name));
        value.and_then(|value| value.to_str().ok())
    };
    match field("grpc-status").and_then(|text| text.parse::<u32>().ok()) {
        Some(code) => {
            let message = response.body.get(GRPC_PREFIX..).unwrap_or_default();
            grpc_outcome(signal, code, field("grpc-retry-pushback-ms"), message)
        }
        // No gRPC server, but a proxy before it.
        None if response.status == 200 => ExportOutcome::Refused("the response has no gRPC status".to_owned()),
        None => http_outcome(signal, response.status, None, &[]),
    }
}

/// A text of the collector's, without control characters and not at any length.
struct Shown<'a>(&'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().take(500).try_for_each(|character| write!(f, "{}", character.escape_debug()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName};

    #[test]
    fn the_status_of_grpc_is_in_trailers_or_headers() {
        let response = |status, headers: &[(&'static str, &'static str)], trailers: &[(&'static str, &'static str)]| {
            let map = |fields: &[(&'static str, &'static str)]| {
                let field = |(name, value): &(&'static str, &'static str)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                };
                HeaderMap::from_iter(fields.iter().map(field))
            };
            PublicResponse { status, headers: map(headers), body: vec![0; GRPC_PREFIX], trailers: map(trailers) }
        };
        let outcome = |response| outcome_of_grpc(Signal::Traces, &response);
        let accepted = ExportOutcome::Accepted { rejected: 0, message: String::new() };
        assert_eq!(outcome(response(200, &[], &[("grpc-status", "0")])), accepted);
        assert_eq!(outcome(response(200, &[("grpc-status", "14")], &[])), ExportOutcome::Retry(None));
        assert_eq!(outcome(response(503, &[], &[])), ExportOutcome::Retry(None));
        assert!(matches!(outcome(response(200, &[], &[])), ExportOutcome::Refused(_)));
        assert_eq!(&grpc_frame(b"abc")[..], b"\0\0\0\0\x03abc");
    }

    #[test]
    fn texts_of_a_collector_steer_no_terminal() {
        assert_eq!(Shown("a\u{1b}[2J\n").to_string(), "a\\u{1b}[2J\\n");
        assert_eq!(Shown(&"x".repeat(9_999)).to_string().len(), 500);
    }
}
