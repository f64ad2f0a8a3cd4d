//! The spans of executions: which are kept, what of an execution is remembered for them, and to whom they are given.
//!
//! At the begin and the end of an execution only the decision is made and what was measured is moved; the spans are
//! made where records are written, off the request's path.

use elias_api::{ExecutionRecord, ExecutionTrace, Span as ApiSpan};
use elias_host::{TimedCall, Timeline};
use elias_names::TenantId;
use elias_telemetry::otlp::ExecutionLogs;
use elias_telemetry::sampling::{SampleRate, TraceBounds, TraceUse};
use elias_telemetry::span::{
    Attribute, AttributeValue, Call, ExecutionSpans, RequestSpan, SpanId, SpanKind, SpanResource, TraceContext,
    TracedExecution,
};
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Calls of which the times are kept in an execution that is sampled from its beginning, and in any other, which may
/// still fail or be slow.
const CALLS_SAMPLED: u32 = 128;
const CALLS_OTHERWISE: u32 = 16;

/// How traces are kept.
#[derive(Clone)]
pub struct TraceConfig {
    /// The share of traces that are kept however they end, from 0 to 1.
    pub sample_rate: f64,
    /// Milliseconds from which on an execution is slow, and its spans are kept.
    pub slow_ms: u64,
    /// How many executions' spans are kept, of each tenant.
    pub bounds: TraceBounds,
    /// Days for which spans are kept in the store.
    pub days: u32,
    /// Executions of each tenant whose spans are kept in the store.
    pub per_tenant: u32,
    /// Gets what is recorded, to send it to a collector; none: it is in the store alone.
    pub exporter: Option<Arc<dyn TelemetryExporter>>,
}

impl Default for TraceConfig {
    fn default() -> Self {
        let (bounds, exporter) = (TraceBounds::default(), None);
        Self { sample_rate: 0.01, slow_ms: 1_000, bounds, days: 3, per_tenant: 10_000, exporter }
    }
}

/// Sends what is recorded of executions to collectors. The command line provides it: the platform knows no HTTP client.
/// Nothing here waits.
pub trait TelemetryExporter: Send + Sync {
    /// Takes the spans of an execution of a tenant, whose own collector is at `endpoint` if it has one.
    fn spans(&self, tenant: &TenantId, endpoint: Option<&str>, spans: &ExecutionSpans);

    /// Whether it takes log lines.
    fn takes_logs(&self) -> bool;

    /// Takes the log lines of an execution.
    fn logs(&self, logs: &ExecutionLogs);

    /// What was sent, for the host's metrics.
    fn counts(&self) -> Vec<ExportCounts>;
}

/// What became of the spans or log lines for a collector, since the host began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportCounts {
    /// `traces` or `logs`; `tenant-traces` for the spans that go to collectors of tenants.
    pub signal: &'static str,
    /// Spans or lines that the collector has taken.
    pub exported: u64,
    /// Spans or lines that did not and will not arrive.
    pub dropped: u64,
    /// Bytes that wait.
    pub waiting_bytes: u64,
}

/// The settings by which executions are sampled, read once.
pub(crate) struct Sampling {
    rate: SampleRate,
    slow: Duration,
    pub(crate) bounds: TraceBounds,
}

impl Sampling {
    pub(crate) fn new(config: &TraceConfig) -> Self {
        let (rate, slow) = (SampleRate::new(config.sample_rate), Duration::from_millis(config.slow_ms));
        Self { rate, slow, bounds: config.bounds }
    }

    /// Whether the spans of an execution of a tenant that begins are kept, however it ends.
    pub(crate) fn keeps_from_start(
        &self,
        used: &TraceUse,
        context: &TraceContext,
        from_outside: bool,
        now_ms: u64,
    ) -> bool {
        used.keeps_from_start(context, from_outside, self.rate, &self.bounds, now_ms)
    }

    /// Whether the spans of an execution of a tenant that ended are kept: it was chosen at its beginning, or it failed
    /// or was slow.
    pub(crate) fn keeps_at_end(
        &self,
        used: &TraceUse,
        context: &TraceContext,
        has_failed: bool,
        duration: Duration,
        now_ms: u64,
    ) -> bool {
        let is_special = || has_failed || duration >= self.slow;
        context.sampled || (is_special() && used.keeps_at_end(&self.bounds, now_ms))
    }
}

/// Where an execution is in its trace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceLink {
    /// Its own span, and whether it is kept however it ends.
    pub(crate) context: TraceContext,
    /// The span that caused it.
    pub(crate) parent: Option<SpanId>,
    /// The caller's span, of a request that names one.
    pub(crate) caller: Option<SpanId>,
    pub(crate) kind: SpanKind,
}

impl TraceLink {
    /// The calls of which the execution keeps the times.
    pub(crate) fn kept_calls(&self) -> u32 {
        if self.context.sampled { CALLS_SAMPLED } else { CALLS_OTHERWISE }
    }
}

/// The id of a new span.
pub(crate) fn new_span() -> SpanId {
    SpanId(rand::random::<u64>().max(1).to_be_bytes())
}

/// What is remembered of an execution for its spans, beside its record.
#[derive(Debug)]
pub(crate) struct ExecutionTiming {
    pub(crate) link: TraceLink,
    /// The request that it responded to, from its first byte to the end of the response.
    pub(crate) request: Option<RequestTiming>,
    pub(crate) queued: Duration,
    /// The beginning of the execution, in microseconds since 1970.
    pub(crate) start_us: u64,
    pub(crate) timeline: Option<Arc<Timeline>>,
    /// The collector of the tenant.
    pub(crate) endpoint: Option<String>,
}

#[derive(Debug)]
pub(crate) struct RequestTiming {
    pub(crate) start_us: u64,
    pub(crate) duration: Duration,
    pub(crate) method: String,
    pub(crate) path: String,
}

/// An instant of this process, in microseconds since 1970.
pub(crate) fn unix_us(instant: Instant) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    microseconds(now.saturating_sub(instant.elapsed()))
}

/// The microseconds of a duration.
pub(crate) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl ExecutionTiming {
    /// Bytes that it takes while it waits to be written, roughly.
    pub(crate) fn bytes(&self) -> usize {
        /// Of a call beside its texts.
        const CALL_BYTES: usize = 256;
        let text = |call: &TimedCall| call.texts.iter().map(|(_, text)| text.len()).sum::<usize>();
        let calls = self.timeline.iter().flat_map(|timeline| &timeline.calls);
        calls.map(|call| CALL_BYTES + text(call)).sum::<usize>() + size_of::<Self>()
    }

    /// Leaves out its calls, and counts them among those that were more than are kept.
    pub(crate) fn leave_out_calls(&mut self) {
        if let Some(timeline) = &mut self.timeline {
            let calls = u32::try_from(timeline.calls.len()).unwrap_or(u32::MAX);
            let left_out = timeline.left_out.saturating_add(calls);
            *timeline = Arc::new(Timeline { calls: Vec::new(), left_out });
        }
    }

    /// The spans of the execution with this record.
    pub(crate) fn into_spans(self, record: &ExecutionRecord, host: &str) -> ExecutionSpans {
        let Self { link, request, queued, start_us, timeline, .. } = self;
        let request = request.map(|timing| RequestSpan {
            span: link.parent.unwrap_or(link.context.span),
            parent: link.caller,
            start_us: timing.start_us,
            duration_us: microseconds(timing.duration),
            method: timing.method,
            path: timing.path,
            status: record.status,
        });
        let mut attributes = Vec::new();
        if let Some(run) = &record.run {
            attributes.push(text("elias.job.id", run.job.clone()));
            attributes.push((Cow::Borrowed("elias.job.attempt"), AttributeValue::Number(run.attempt.into())));
        }
        let traced = TracedExecution {
            context: link.context,
            parent: link.parent,
            execution: record.id.clone(),
            resource: resource(record, host),
            name: if request.is_some() { "execution".to_owned() } else { span_name(&record.source).to_owned() },
            kind: link.kind,
            request,
            queued_us: microseconds(queued),
            start_us,
            duration_us: record.duration_us,
            failed: record.outcome == "failed",
            code: record.code.clone(),
            message: record.error.clone(),
            fuel: record.fuel,
            memory_bytes: record.memory_bytes,
            attributes,
            calls: timeline.iter().flat_map(|timeline| &timeline.calls).map(call).collect(),
            left_out: timeline.as_ref().map_or(0, |timeline| timeline.left_out),
        };
        traced.into_spans(new_span)
    }
}

/// The source without what each user or worker has of its own: the path of a request, the name of a worker.
fn span_name(source: &str) -> &str {
    source.split_once('/').map_or(source, |(before, _)| before).trim_end()
}

fn resource(record: &ExecutionRecord, host: &str) -> SpanResource {
    SpanResource {
        tenant: record.tenant.to_string(),
        component: record.component.to_string(),
        environment: record.environment.to_string(),
        version: record.version,
        host: host.to_owned(),
    }
}

fn call(timed: &TimedCall) -> Call {
    let texts = timed.texts.iter().map(|(name, value)| (Cow::Borrowed(*name), AttributeValue::Text(value.clone())));
    let numbers = timed.numbers.iter().map(|(name, value)| (Cow::Borrowed(*name), AttributeValue::Number(*value)));
    Call {
        capability: timed.capability,
        operation: timed.operation,
        name: timed.name.as_deref().map(str::to_owned),
        offset_us: microseconds(timed.offset),
        duration_us: microseconds(timed.duration),
        failed: timed.failed,
        span: timed.span.map(SpanId),
        number: timed.number,
        parent: timed.parent,
        attributes: texts.chain(numbers).collect(),
    }
}

fn text(name: &'static str, value: String) -> Attribute {
    (Cow::Borrowed(name), AttributeValue::Text(value.into()))
}

/// The log lines of an execution; none if it has none.
pub(crate) fn logs(record: &ExecutionRecord, link: Option<&TraceLink>, host: &str) -> Option<ExecutionLogs> {
    let lines: Vec<_> =
        record.log_lines().map(|(level, message)| (level.to_ascii_uppercase(), message.to_owned())).collect();
    let start_us = u64::try_from(record.started_at).unwrap_or(0).saturating_mul(1_000);
    let context = link.map(|link| (link.context.trace, link.context.span));
    let (execution, resource) = (record.id.clone(), resource(record, host));
    (!lines.is_empty()).then_some(ExecutionLogs { context, execution, resource, start_us, lines })
}

/// The spans of an execution as the store has them.
pub(crate) fn stored(record: &ExecutionRecord, spans: &ExecutionSpans) -> ExecutionTrace {
    let first = spans.spans.first();
    ExecutionTrace {
        tenant: record.tenant.clone(),
        trace: spans.trace.to_string(),
        execution: record.id.clone(),
        component: record.component.clone(),
        environment: record.environment,
        version: record.version,
        name: record.source.clone(),
        started_us: first.map_or(0, |span| span.start_us),
        duration_us: first.map_or(record.duration_us, |span| span.duration_us),
        failed: record.outcome == "failed",
        left_out: spans.left_out,
        spans: spans.spans.iter().map(api_span).collect(),
    }
}

fn api_span(span: &elias_telemetry::span::Span) -> ApiSpan {
    let value = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => Value::from(text.as_ref()),
        AttributeValue::Number(number) => Value::from(*number),
    };
    ApiSpan {
        id: span.id.to_string(),
        parent: span.parent.map(|parent| parent.to_string()),
        name: span.name.clone(),
        kind: span.kind.as_str().to_owned(),
        started_us: span.start_us,
        duration_us: span.duration_us,
        failed: span.failed,
        message: span.message.clone(),
        attributes: span.attributes.iter().map(|(name, of)| (name.to_string(), value(of))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_records::completed;
    use serde_json::json;

    fn record() -> ExecutionRecord {
        ExecutionRecord {
            source: "GET /cart/42".to_owned(),
            started_at: 5,
            lines: Some(json!([["info", "a line"], ["warn"], 5])),
            ..completed()
        }
    }

    fn timing() -> ExecutionTiming {
        let context = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let link = TraceLink {
            context: context.expect("a context"),
            parent: Some(SpanId([2; 8])),
            caller: Some(SpanId([3; 8])),
            kind: SpanKind::Internal,
        };
        let request = RequestTiming {
            start_us: 4_000,
            duration: Duration::from_micros(2_000),
            method: "GET".to_owned(),
            path: "/cart/42".to_owned(),
        };
        ExecutionTiming {
            link,
            request: Some(request),
            queued: Duration::ZERO,
            start_us: 5_000,
            timeline: None,
            endpoint: None,
        }
    }

    #[test]
    fn a_request_and_its_execution_are_spans_of_the_callers_trace() {
        let (record, timing) = (record(), timing());
        assert_eq!((timing.link.kept_calls(), timing.bytes() < 1_000), (CALLS_SAMPLED, true));
        let spans = timing.into_spans(&record, "h1");
        let stored = stored(&record, &spans);
        assert_eq!((stored.name.as_str(), stored.started_us, stored.duration_us), ("GET /cart/42", 4_000, 2_000));
        let parents: Vec<_> = stored.spans.iter().map(|span| (span.name.as_str(), span.parent.as_deref())).collect();
        let [caller, gateway] = [[3_u8; 8], [2; 8]].map(|id| SpanId(id).to_string());
        assert_eq!(parents, [("GET", Some(caller.as_str())), ("execution", Some(gateway.as_str()))]);
        assert_eq!(stored.spans[0].attributes["http.response.status_code"], 200);
    }

    #[test]
    fn calls_that_are_left_out_are_counted() {
        let call = TimedCall {
            capability: "db",
            operation: "query",
            name: None,
            offset: Duration::ZERO,
            duration: Duration::ZERO,
            failed: false,
            span: None,
            number: 0,
            parent: 0,
            texts: Vec::new(),
            numbers: Vec::new(),
        };
        let timeline = Timeline { calls: vec![call.clone(), call], left_out: 3 };
        let mut timing = ExecutionTiming { timeline: Some(Arc::new(timeline)), ..timing() };
        timing.leave_out_calls();
        let spans = timing.into_spans(&record(), "h1");
        assert_eq!((spans.spans.len(), spans.left_out), (2, 5), "the request and the execution stay");
    }

    #[test]
    fn names_of_spans_leave_out_what_each_has_of_its_own() {
        for (source, name) in
            [("GET /cart/42", "GET"), ("job resize", "job resize"), ("worker Cart/ada", "worker Cart"), ("", "")]
        {
            assert_eq!(span_name(source), name);
        }
    }

    #[test]
    fn lines_that_are_none_are_left_out() {
        let logs = logs(&record(), Some(&timing().link), "h1").expect("a line");
        assert_eq!(logs.lines, [("INFO".to_owned(), "a line".to_owned())]);
        assert_eq!(logs.start_us, 5_000);
        assert!(super::logs(&ExecutionRecord { lines: None, ..record() }, None, "h1").is_none());
    }
}
