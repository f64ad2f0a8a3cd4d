//! Exports spans and log lines by OTLP, over HTTP or gRPC.
//!
//! Whoever records an execution only puts bytes into a ring; a task for each signal sends them. While the collector is
//! away the ring drops its oldest entries and counts them, and the task tries the same batch again and again.

use bytes::Bytes;
use elias_capabilities::http::{PublicPost, PublicResponse};
use elias_names::TenantId;
use elias_platform::{ExportCounts, TelemetryExporter};
use elias_telemetry::otlp::{
    Batch, EncodedRequest, ExecutionLogs, ExportOutcome, ExportRing, Signal, encode_logs, encode_spans, grpc_outcome,
    http_outcome, retry_delay,
};
use elias_telemetry::span::ExecutionSpans;
use http::header::{CONTENT_TYPE, RETRY_AFTER, TE};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Bytes that wait of each signal for the operator's collector.
const RING_BYTES_MAX: usize = 32 << 20;
/// Bytes that wait for the collector of a tenant, and tenants that have one at a time.
const TENANT_RING_BYTES_MAX: usize = 256 << 10;
const TENANTS_MAX: usize = 200;
/// Bytes of a request: collectors take 4 MiB over gRPC.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// How long what is recorded waits for more, to be sent together.
const GATHER: Duration = Duration::from_millis(500);
/// How long the end of the process waits for the collector.
const FLUSH: Duration = Duration::from_secs(3);

/// The way to a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtlpProtocol {
    /// Protocol Buffers over HTTP.
    Http,
    /// gRPC.
    Grpc,
}

/// A collector.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    /// The URL, to which the paths of the signals are added.
    pub(crate) endpoint: String,
    pub(crate) protocol: OtlpProtocol,
    /// Header fields of each request, such as the key of a service.
    pub(crate) headers: HeaderMap,
}

impl Collector {
    /// That of a tenant, whose endpoint was checked when it was set.
    fn of_tenant(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), protocol: OtlpProtocol::Http, headers: HeaderMap::new() }
    }

    /// Reads the arguments. The protocol is `grpc` or `http/protobuf`; headers are `name=value`, separated by commas, as
    /// OpenTelemetry's environment variables have them.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn new(endpoint: &str, protocol: &str, headers: Option<&str>) -> Result<Self, String> {
        let protocol = match protocol {
            "grpc" => OtlpProtocol::Grpc,
            "http/protobuf" => OtlpProtocol::Http,
            other => return Err(format!("the protocol must be grpc or http/protobuf, not {other}")),
        };
        let endpoint = endpoint.trim_end_matches('/');
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            return Err("the endpoint must be a URL with http:// or https://".to_owned());
        }
        let mut fields = HeaderMap::new();
        for pair in headers.unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("headers must be written as name=value,name=value")?;
            let name = HeaderName::try_from(name.trim()).map_err(|error| format!("the name of a header: {error}"))?;
            let mut value =
                HeaderValue::try_from(value.trim()).map_err(|error| format!("the value of {name}: {error}"))?;
            value.set_sensitive(true);
            fields.append(name, value);
        }
        Ok(Self { endpoint: endpoint.to_owned(), protocol, headers: fields })
    }
}

/// Exports to the operator's collector, if there is one, and to those of tenants. What waits is lost with the process,
/// after a last attempt.
pub(crate) struct OtlpExporter {
    /// Spans and log lines for the operator.
    operator: Option<[Arc<Queue>; 2]>,
    tenants: TenantQueues,
}

/// The spans that wait for the collectors of tenants.
struct TenantQueues {
    client: PublicPost,
    queues: Mutex<HashMap<TenantId, Arc<Queue>>>,
    /// Spans of tenants that were more than have a queue.
    left_out: AtomicU64,
}

/// What waits of one signal.
struct Queue {
    signal: Signal,
    ring: Mutex<ExportRing>,
    collector: Mutex<Arc<Collector>>,
    /// Something was added, or the process ends.
    added: Notify,
    exported: AtomicU64,
    /// Told when all that was in the ring has left it.
    emptied: Notify,
}

impl OtlpExporter {
    /// Starts the export. The operator's collector may be anywhere, those of tenants at public addresses and in the
    /// private networks that the operator names.
    ///
    /// # Errors
    /// Why there is no client.
    pub(crate) fn start(operator: Option<Collector>, private: Vec<IpNet>) -> Result<Arc<Self>, String> {
        let tenants = TenantQueues {
            client: PublicPost::new(private, false)?,
            queues: Mutex::default(),
            left_out: AtomicU64::new(0),
        };
        let operator = match operator.map(Arc::new) {
            Some(collector) => {
                let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse::<IpNet>().expect("a network"));
                let client = PublicPost::new(everywhere.to_vec(), collector.protocol == OtlpProtocol::Grpc)?;
                Some(Signal::ALL.map(|signal| Queue::start(signal, RING_BYTES_MAX, &collector, &client)))
            }
            None => None,
        };
        Ok(Arc::new(Self { operator, tenants }))
    }

    /// Waits until what was recorded so far has left for the operator's collector, or a few seconds: the process is
    /// about to end.
    pub(crate) async fn flush(&self) {
        for queue in self.operator.iter().flatten() {
            let emptied = async {
                loop {
                    let told = queue.emptied.notified();
                    if queue.ring.lock().bytes() == 0 {
                        return;
                    }
                    queue.added.notify_one();
                    told.await;
                }
            };
            let _ = timeout(FLUSH, emptied).await;
        }
    }
}

impl TenantQueues {
    /// Has spans sent to the collector of their tenant. Where the tenant names another one than before, what waits goes
    /// there too.
    fn push(&self, tenant: &TenantId, endpoint: &str, request: EncodedRequest) {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.get(tenant) {
            let mut collector = queue.collector.lock();
            if collector.endpoint != endpoint {
                *collector = Arc::new(Collector::of_tenant(endpoint));
            }
            drop(collector);
            queue.push(request);
        } else if queues.len() < TENANTS_MAX {
            let collector = Arc::new(Collector::of_tenant(endpoint));
            let queue = Queue::start(Signal::Traces, TENANT_RING_BYTES_MAX, &collector, &self.client);
            queue.push(request);
            queues.insert(tenant.clone(), queue);
        } else {
            self.left_out.fetch_add(request.items, Ordering::Relaxed);
        }
    }

    /// What became of the spans of all tenants together.
    fn counts(&self) -> ExportCounts {
        let dropped = self.left_out.load(Ordering::Relaxed);
        let none = ExportCounts { signal: "tenant-traces", exported: 0, dropped, waiting_bytes: 0 };
        self.queues.lock().values().map(|queue| queue.counts()).fold(none, |sum, of| ExportCounts {
            signal: sum.signal,
            exported: sum.exported + of.exported,
            dropped: sum.dropped + of.dropped,
            waiting_bytes: sum.waiting_bytes + of.waiting_bytes,
        })
    }
}

impl Queue {
    /// An empty queue whose content is sent from now on.
    fn start(signal: Signal, bytes_max: usize, collector: &Arc<Collector>, client: &PublicPost) -> Arc<Self> {
        let queue = Arc::new(Self {
            signal,
            ring: Mutex::new(ExportRing::new(bytes_max)),
            collector: Mutex::new(Arc::clone(collector)),
            added: Notify::new(),
            exported: AtomicU64::new(0),
            emptied: Notify::new(),
        });
        tokio::spawn(Sender { queue: Arc::clone(&queue), client: client.clone() }.run());
        queue
    }

    fn push(&self, request: EncodedRequest) {
        self.ring.lock().push(request);
        self.added.notify_one();
    }

    fn counts(&self) -> ExportCounts {
        let ring = self.ring.lock();
        ExportCounts {
            signal: self.signal.as_str(),
            exported: self.exported.load(Ordering::Relaxed),
            dropped: ring.dropped(),
            waiting_bytes: ring.bytes() as u64,
        }
    }
}

impl TelemetryExporter for OtlpExporter {
    fn spans(&self, tenant: &TenantId, endpoint: Option<&str>, spans: &ExecutionSpans) {
        if self.operator.is_none() && endpoint.is_none() {
            return;
        }
        let request = encode_spans(spans);
        if let Some(endpoint) = endpoint {
            self.tenants.push(tenant, endpoint, request.clone());
        }
        if let Some([traces, _]) = &self.operator {
            traces.push(request);
        }
    }

    fn takes_logs(&self) -> bool {
        self.operator.is_some()
    }

    fn logs(&self, logs: &ExecutionLogs) {
        if let Some([_, lines]) = &self.operator {
            lines.push(encode_logs(logs));
        }
    }

    fn counts(&self) -> Vec<ExportCounts> {
        let operator = self.operator.iter().flatten().map(|queue| queue.counts());
        operator.chain([self.tenants.counts()]).collect()
    }
}

/// Sends what waits in a queue, for as long as the process runs.
struct Sender {
    queue: Arc<Queue>,
    client: PublicPost,
}

impl Sender {
    async fn run(self) {
        loop {
            if self.queue.ring.lock().bytes() == 0 {
                self.queue.emptied.notify_waiters();
                self.queue.added.notified().await;
                // The next ones come with it. Whoever waits for the end says so, and it is sent at once.
                let _ = timeout(GATHER, self.queue.added.notified()).await;
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
        let signal = self.queue.signal.as_str();
        let bytes = Bytes::copy_from_slice(&batch.bytes);
        let mut failures = 0_u32;
        loop {
            let (wait, reason) = match self.send(bytes.clone()).await {
                Ok(ExportOutcome::Accepted { rejected, message }) => {
                    let rejected = rejected.min(batch.items);
                    self.queue.exported.fetch_add(batch.items - rejected, Ordering::Relaxed);
                    self.queue.ring.lock().drop_items(rejected);
                    if !message.is_empty() {
                        tracing::warn!(signal, rejected, message = %Shown(&message), "the collector says");
                    }
                    return;
                }
                Ok(ExportOutcome::Refused(reason)) => {
                    self.queue.ring.lock().drop_items(batch.items);
                    tracing::warn!(signal, items = batch.items, %reason, "the collector does not take telemetry");
                    return;
                }
                Ok(ExportOutcome::Retry(wait)) => (wait, "it is busy".to_owned()),
                Err(reason) => (None, reason),
            };
            if failures == 0 {
                tracing::warn!(signal, %reason, "the collector cannot be reached; retrying");
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

    #[test]
    fn a_collector_is_read_as_the_environment_names_it() {
        let read = Collector::new("http://127.0.0.1:4318/", "http/protobuf", Some("api-key=a=b, x-team = t"))
            .expect("it is good");
        assert_eq!((read.endpoint.as_str(), read.protocol), ("http://127.0.0.1:4318", OtlpProtocol::Http));
        assert_eq!(
            (&read.headers["api-key"], &read.headers["x-team"]),
            (&"a=b".parse::<HeaderValue>().expect("a value"), &"t".parse().expect("a value"))
        );
        assert!(!format!("{read:?}").contains("a=b"), "a key is not shown");
        for (endpoint, protocol, headers) in [
            ("127.0.0.1:4317", "grpc", None),
            ("http://a", "http/json", None),
            ("http://a", "grpc", Some("key")),
            ("http://a", "grpc", Some("a b=c")),
            ("http://a", "grpc", Some("a=b\u{7}")),
        ] {
            assert!(Collector::new(endpoint, protocol, headers).is_err(), "{endpoint} {protocol} {headers:?}");
        }
    }

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
