//! Spans and log lines as messages of OTLP, the protocol of OpenTelemetry, and what the responses to them mean.
//!
//! - `ring`: what waits to be sent, within a bound in bytes.
//! - `response`: whether to send again, by the rules of the protocol.

mod response;
mod ring;

pub use response::{ExportOutcome, grpc_outcome, http_outcome, retry_delay};
pub use ring::{Batch, ExportRing};

use crate::span::{AttributeValue, ExecutionSpans, Span, SpanId, SpanKind, SpanResource, TraceId};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind as OtlpKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan, Status};
use prost::Message;

/// The kind of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log lines.
    Logs,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Traces, Self::Logs];

    /// Its name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// The path below an endpoint over HTTP.
    #[must_use]
    pub fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }

    /// The path of the method over gRPC.
    #[must_use]
    pub fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// A request in the protocol's encoding. Those of one signal can be put one behind the other: the result is the request
/// with the content of all, as Protocol Buffers define it for fields that are repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRequest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How many spans or log lines they are.
    pub items: u64,
}

/// The log lines of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionLogs {
    /// The trace and the span of the execution, if it has them.
    pub context: Option<(TraceId, SpanId)>,
    /// The execution's id.
    pub execution: String,
    /// Whose they are.
    pub resource: SpanResource,
    /// The time of the execution's beginning, in microseconds since 1970: lines have no time of their own.
    pub start_us: u64,
    /// Level and message of each: `TRACE`, `DEBUG`, `INFO`, `WARN` or `ERROR`.
    pub lines: Vec<(String, String)>,
}

/// The name of the instrumentation scope.
const SCOPE: &str = "elias";
/// The flags of W3C Trace Context: the trace is recorded.
const FLAGS: u32 = 1;

/// A request with the spans of an execution.
#[must_use]
pub fn encode_spans(spans: &ExecutionSpans) -> EncodedRequest {
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource(&spans.resource)),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans: spans.spans.iter().map(|span| otlp_span(spans.trace, span)).collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    };
    EncodedRequest { bytes: request.encode_to_vec(), items: spans.spans.len() as u64 }
}

/// A request with the log lines of an execution.
#[must_use]
pub fn encode_logs(logs: &ExecutionLogs) -> EncodedRequest {
    let time = nanoseconds(logs.start_us);
    let (trace, span) = logs.context.map_or_else(Default::default, |(trace, span)| (trace.0.to_vec(), span.0.to_vec()));
    let record = |(level, message): &(String, String)| LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: severity(level),
        severity_text: level.clone(),
        body: Some(AnyValue { value: Some(Value::StringValue(message.clone())) }),
        attributes: vec![text("elias.execution.id", logs.execution.clone())],
        trace_id: trace.clone(),
        span_id: span.clone(),
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource(&logs.resource)),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope()),
                log_records: logs.lines.iter().map(record).collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    };
    EncodedRequest { bytes: request.encode_to_vec(), items: logs.lines.len() as u64 }
}

/// The numbers of the levels in OTLP's data model.
fn severity(level: &str) -> i32 {
    match level {
        "TRACE" => 1,
        "DEBUG" => 5,
        "WARN" => 13,
        "ERROR" => 17,
        _ => 9,
    }
}

fn resource(resource: &SpanResource) -> Resource {
    let SpanResource { tenant, component, environment, version, host } = resource;
    Resource {
        attributes: vec![
            text("service.name", component.clone()),
            text("service.namespace", tenant.clone()),
            text("service.version", version.to_string()),
            text("deployment.environment.name", environment.clone()),
            text("host.name", host.clone()),
        ],
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn otlp_span(trace: TraceId, span: &Span) -> OtlpSpan {
    let kind = match span.kind {
        SpanKind::Internal => OtlpKind::Internal,
        SpanKind::Server => OtlpKind::Server,
        SpanKind::Client => OtlpKind::Client,
        SpanKind::Producer => OtlpKind::Producer,
        SpanKind::Consumer => OtlpKind::Consumer,
    };
    let status = span
        .failed
        .then(|| Status { message: span.message.clone().unwrap_or_default(), code: StatusCode::Error as i32 });
    let attributes = span.attributes.iter().map(|(name, value)| match value {
        AttributeValue::Text(value) => text(name, value.clone().into_owned()),
        AttributeValue::Number(value) => attribute(name, Value::IntValue(*value)),
    });
    OtlpSpan {
        trace_id: trace.0.to_vec(),
        span_id: span.id.0.to_vec(),
        parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.0.to_vec()),
        flags: FLAGS,
        name: span.name.clone(),
        kind: kind as i32,
        start_time_unix_nano: nanoseconds(span.start_us),
        end_time_unix_nano: nanoseconds(span.start_us.saturating_add(span.duration_us)),
        attributes: attributes.collect(),
        status,
        ..OtlpSpan::default()
    }
}

fn nanoseconds(microseconds: u64) -> u64 {
    microseconds.saturating_mul(1_000)
}

fn text(name: &str, value: String) -> KeyValue {
    attribute(name, Value::StringValue(value))
}

fn attribute(name: &str, value: Value) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::{call, execution, ids};

    #[test]
    fn spans_are_written_as_a_collector_reads_them() {
        let spans = execution(vec![call("http", "")]).into_spans(ids());
        let encoded = encode_spans(&spans);
        assert_eq!(encoded.items, 2);
        let request = ExportTraceServiceRequest::decode(encoded.bytes.as_slice()).expect("a request");
        let of_resource = &request.resource_spans[0];
        let named = |name: &str| {
            let attributes = &of_resource.resource.as_ref().expect("a resource").attributes;
            attributes.iter().find(|attribute| attribute.key == name).and_then(|found| found.value.clone())
        };
        let value = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
        assert_eq!(named("service.name"), value("shop"));
        assert_eq!(named("service.namespace"), value("acme"));
        let [own, child] = of_resource.scope_spans[0].spans.as_slice() else { panic!("two spans") };
        assert_eq!(own.trace_id.len(), 16);
        assert_eq!((own.parent_span_id.as_slice(), &child.parent_span_id), (&[][..], &own.span_id));
        assert_eq!((own.start_time_unix_nano, own.end_time_unix_nano), (1_000_000_000, 1_000_100_000));
        assert_eq!((own.kind, own.status.clone()), (OtlpKind::Consumer as i32, None));
    }

    #[test]
    fn requests_one_behind_the_other_are_one_request() {
        let one = encode_spans(&execution(Vec::new()).into_spans(ids()));
        let two = [one.bytes.as_slice(), one.bytes.as_slice()].concat();
        let request = ExportTraceServiceRequest::decode(two.as_slice()).expect("a request");
        assert_eq!(request.resource_spans.len(), 2);
    }

    #[test]
    fn log_lines_have_their_level_and_their_trace() {
        let context = execution(Vec::new()).context;
        let logs = ExecutionLogs {
            context: Some((context.trace, context.span)),
            execution: "x".to_owned(),
            resource: execution(Vec::new()).resource,
            start_us: 5,
            lines: vec![("WARN".to_owned(), "careful".to_owned()), ("INFO".to_owned(), "fine".to_owned())],
        };
        let encoded = encode_logs(&logs);
        assert_eq!(encoded.items, 2);
        let request = ExportLogsServiceRequest::decode(encoded.bytes.as_slice()).expect("a request");
        let records = &request.resource_logs[0].scope_logs[0].log_records;
        assert_eq!((records[0].severity_number, records[1].severity_number), (13, 9));
        assert_eq!((records[0].span_id.len(), records[0].time_unix_nano), (8, 5_000));
    }
}
