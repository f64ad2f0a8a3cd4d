//! Exports spans and log lines by OTLP, over HTTP or gRPC.
//!
//! Whoever records an execution only puts bytes into a ring; a task for each signal sends them. While the collector is
//! away the ring drops its oldest entries and counts them, and the task tries the same batch again and again.

mod sender;

use elias_capabilities::http::PublicPost;
use elias_names::TenantId;
use elias_platform::{ExportCounts, TelemetryExporter};
use elias_telemetry::otlp::{EncodedRequest, ExecutionLogs, ExportRing, Signal, encode_logs, encode_spans};
use elias_telemetry::span::ExecutionSpans;
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use parking_lot::Mutex;
use sender::Sender;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that wait of each signal for the operator's collector.
const RING_BYTES_MAX: usize = 32 << 20;
/// Bytes that wait for the collector of a tenant, and tenants that have one at a time.
const TENANT_RING_BYTES_MAX: usize = 256 << 10;
const TENANTS_MAX: usize = 200;
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

    /// Reads the arguments. The protocol is `grpc` or `http/protobuf`; headers are `name=value`, separated by commas,
    /// as OpenTelemetry's environment variables have them.
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
    /// Spans that queues which are gone have exported.
    exported: AtomicU64,
    /// Spans of tenants that were more than have a queue, and those that queues which are gone have dropped.
    dropped: AtomicU64,
}

/// What waits of one signal.
struct Queue {
    signal: Signal,
    /// The tenant whose collector it is; none for the operator's.
    tenant: Option<TenantId>,
    ring: Mutex<ExportRing>,
    collector: Mutex<Arc<Collector>>,
    /// Something was added.
    added: Notify,
    /// Nobody waits for what may follow: the process ends, or the queue.
    urgent: Notify,
    /// Nothing is added any more: its task ends when all of it has left.
    is_closed: AtomicBool,
    /// The log says of the collector of a tenant that there is something wrong.
    is_reported: AtomicBool,
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
        let tenants = TenantQueues::new(PublicPost::new(private, false)?);
        let operator = match operator.map(Arc::new) {
            Some(collector) => {
                let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse::<IpNet>().expect("a network"));
                let client = PublicPost::new(everywhere.to_vec(), collector.protocol == OtlpProtocol::Grpc)?;
                Some(Signal::ALL.map(|signal| Queue::new(signal, None, RING_BYTES_MAX, &collector).start(&client)))
            }
            None => None,
        };
        Ok(Arc::new(Self { operator, tenants }))
    }

    /// Waits until what was recorded so far has left for the operator's collector, or a few seconds: the process is
    /// about to end.
    pub(crate) async fn flush(&self) {
        if let Some([traces, logs]) = &self.operator {
            let _ = timeout(FLUSH, async { tokio::join!(traces.flush(), logs.flush()) }).await;
        }
    }
}

impl TenantQueues {
    fn new(client: PublicPost) -> Self {
        Self { client, queues: Mutex::default(), exported: AtomicU64::new(0), dropped: AtomicU64::new(0) }
    }

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
        } else if queues.len() < TENANTS_MAX || self.remove_empty(&mut queues) {
            let collector = Arc::new(Collector::of_tenant(endpoint));
            let queue = Queue::new(Signal::Traces, Some(tenant.clone()), TENANT_RING_BYTES_MAX, &collector);
            let queue = queue.start(&self.client);
            queue.push(request);
            queues.insert(tenant.clone(), queue);
        } else {
            self.dropped.fetch_add(request.items, Ordering::Relaxed);
        }
    }

    /// Ends a queue in which nothing waits, so that another tenant has its place; says whether there was one.
    fn remove_empty(&self, queues: &mut HashMap<TenantId, Arc<Queue>>) -> bool {
        let is_empty = |queue: &Queue| queue.ring.lock().bytes() == 0;
        let Some(tenant) = queues.iter().find(|(_, queue)| is_empty(queue)).map(|(tenant, _)| tenant.clone()) else {
            return false;
        };
        let Some(queue) = queues.remove(&tenant) else { return false };
        let counts = queue.counts();
        self.exported.fetch_add(counts.exported, Ordering::Relaxed);
        self.dropped.fetch_add(counts.dropped, Ordering::Relaxed);
        queue.is_closed.store(true, Ordering::Relaxed);
        queue.added.notify_one();
        queue.urgent.notify_one();
        true
    }

    /// What became of the spans of all tenants together.
    fn counts(&self) -> ExportCounts {
        let queues = self.queues.lock();
        let (exported, dropped) = (self.exported.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed));
        let gone = ExportCounts { signal: "tenant-traces", exported, dropped, waiting_bytes: 0 };
        queues.values().map(|queue| queue.counts()).fold(gone, |sum, of| ExportCounts {
            signal: sum.signal,
            exported: sum.exported + of.exported,
            dropped: sum.dropped + of.dropped,
            waiting_bytes: sum.waiting_bytes + of.waiting_bytes,
        })
    }
}

impl Queue {
    /// An empty queue.
    fn new(signal: Signal, tenant: Option<TenantId>, bytes_max: usize, collector: &Arc<Collector>) -> Self {
        Self {
            signal,
            tenant,
            ring: Mutex::new(ExportRing::new(bytes_max)),
            collector: Mutex::new(Arc::clone(collector)),
            added: Notify::new(),
            urgent: Notify::new(),
            is_closed: AtomicBool::new(false),
            is_reported: AtomicBool::new(false),
            exported: AtomicU64::new(0),
            emptied: Notify::new(),
        }
    }

    /// Has its content sent from now on.
    fn start(self, client: &PublicPost) -> Arc<Self> {
        let queue = Arc::new(self);
        tokio::spawn(Sender { queue: Arc::clone(&queue), client: client.clone() }.run());
        queue
    }

    /// Waits until something was added, and for what follows it, to be sent together.
    async fn gather(&self) {
        self.added.notified().await;
        let _ = timeout(GATHER, self.urgent.notified()).await;
    }

    /// Waits until all that was added so far has left.
    async fn flush(&self) {
        loop {
            let told = self.emptied.notified();
            if self.ring.lock().bytes() == 0 {
                return;
            }
            self.added.notify_one();
            self.urgent.notify_one();
            told.await;
        }
    }

    /// Says in the log what is wrong with the collector. Of a tenant's that is said once: whoever runs it decides what
    /// it responds, and must not fill the host's log.
    fn report(&self, items: u64, reason: &str, what: &str) {
        let signal = self.signal.as_str();
        match &self.tenant {
            Some(tenant) if self.is_reported.swap(true, Ordering::Relaxed) => {
                tracing::debug!(signal, %tenant, items, reason, "{what}");
            }
            Some(tenant) => tracing::warn!(signal, %tenant, items, reason, "{what}"),
            None => tracing::warn!(signal, items, reason, "{what}"),
        }
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

    fn request() -> EncodedRequest {
        EncodedRequest { bytes: vec![0; 100], items: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn what_follows_within_the_time_is_sent_together_unless_somebody_waits() {
        let collector = Arc::new(Collector::of_tenant("http://127.0.0.1:4318"));
        let queue = Queue::new(Signal::Traces, None, 1_000, &collector);
        let began = tokio::time::Instant::now();
        queue.push(request());
        queue.push(request());
        queue.gather().await;
        assert!(began.elapsed() >= GATHER, "a second one does not end the time");
        let began = tokio::time::Instant::now();
        queue.push(request());
        queue.urgent.notify_one();
        queue.gather().await;
        assert!(began.elapsed() < GATHER);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_process_waits_for_both_signals_together() {
        let collector = Arc::new(Collector::of_tenant("http://127.0.0.1:4318"));
        // Nothing sends them: neither is ever empty.
        let queue = |signal| {
            let queue = Queue::new(signal, None, 1_000, &collector);
            queue.push(request());
            Arc::new(queue)
        };
        let tenants = TenantQueues::new(PublicPost::new(Vec::new(), false).expect("a client"));
        let exporter = OtlpExporter { operator: Some(Signal::ALL.map(queue)), tenants };
        let began = tokio::time::Instant::now();
        exporter.flush().await;
        assert!((FLUSH..2 * FLUSH).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_tenant_whose_spans_have_left_gives_its_queue_to_another() {
        // It may dial no address at all: nothing leaves.
        let queues = TenantQueues::new(PublicPost::new(Vec::new(), false).expect("a client"));
        let tenant = |at: usize| format!("t{at}").parse::<TenantId>().expect("a name");
        let push = |at: usize| queues.push(&tenant(at), "http://127.0.0.1:4318", request());
        (0..TENANTS_MAX).for_each(push);
        push(TENANTS_MAX);
        assert_eq!(queues.queues.lock().len(), TENANTS_MAX);
        assert_eq!(queues.counts().dropped, 1, "there is no place");
        let queue = Arc::clone(&queues.queues.lock()[&tenant(3)]);
        let batch = queue.ring.lock().next_batch(1_000).expect("a batch");
        queue.exported.fetch_add(batch.items, Ordering::Relaxed);
        queue.ring.lock().done(&batch);
        push(TENANTS_MAX);
        assert!(queues.queues.lock().contains_key(&tenant(TENANTS_MAX)));
        assert!(!queues.queues.lock().contains_key(&tenant(3)));
        let counts = queues.counts();
        assert_eq!((counts.exported, counts.dropped), (1, 1), "what it has exported stays counted");
        // Its task ends as well.
        let ended = Arc::downgrade(&queue);
        drop(queue);
        let is_over = async {
            while ended.strong_count() > 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(60), is_over).await.expect("it ends");
    }
}
