//! The spans of an execution: what a trace shows of it, made after its end from what was measured anyway.
//!
//! Names and attributes follow the semantic conventions of OpenTelemetry where these have one. Of requests the query is
//! left out, of statements the values.

mod statement;

pub use statement::without_values;

use crate::text::cut;
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// Bytes of the message of a failed span.
pub const MESSAGE_BYTES_MAX: usize = 1 << 10;

/// The id of a trace. Not all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span in its trace. Not all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

impl Display for TraceId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_of(&self.0))
    }
}

impl Display for SpanId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_of(&self.0))
    }
}

fn hex_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(&mut text, bytes);
    text
}

/// Each request has a `traceparent` written: formatting byte by byte would take it most of a microsecond.
fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// A place in a trace, as a `traceparent` of W3C Trace Context tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` of version 0; none if it is malformed.
    #[must_use]
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (trace, span, [flags]) = (hex::<16>(trace)?, hex::<8>(span)?, hex::<1>(flags)?);
        let good = version == "00" && parts.next().is_none() && trace != [0; 16] && span != [0; 8];
        good.then_some(Self { trace: TraceId(trace), span: SpanId(span), sampled: flags & 1 == 1 })
    }

    /// The text of a `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let mut text = String::with_capacity(55);
        text.push_str("00-");
        push_hex(&mut text, &self.trace.0);
        text.push('-');
        push_hex(&mut text, &self.span.0);
        text.push_str(if self.sampled { "-01" } else { "-00" });
        text
    }
}

/// Reads bytes in lower-case hexadecimal, as W3C Trace Context has them.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in digits {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}

/// The role of a span between what caused it and what it causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// A part of another span.
    Internal,
    /// Responds to a request from outside.
    Server,
    /// Asks another server, and waits for its response.
    Client,
    /// Leaves something for others to do.
    Producer,
    /// Does what others have left.
    Consumer,
}

impl SpanKind {
    /// Its name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
}

/// An attribute.
pub type Attribute = (Cow<'static, str>, AttributeValue);

/// A span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its id in the trace.
    pub id: SpanId,
    /// The span that caused it, or that it is a part of.
    pub parent: Option<SpanId>,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its beginning, in microseconds since 1970.
    pub start_us: u64,
    /// Microseconds from its beginning to its end.
    pub duration_us: u64,
    /// Whether it failed.
    pub failed: bool,
    /// Why, if that is known.
    pub message: Option<String>,
    /// More about it.
    pub attributes: Vec<Attribute>,
}

/// The service whose execution it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanResource {
    /// The tenant.
    pub tenant: String,
    /// The component, which is the service's name.
    pub component: String,
    /// The environment.
    pub environment: String,
    /// The number of the version.
    pub version: u32,
    /// The host.
    pub host: String,
}

/// The spans of one execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionSpans {
    /// The trace.
    pub trace: TraceId,
    /// The execution's id.
    pub execution: String,
    /// Whose they are.
    pub resource: SpanResource,
    /// The spans. The first is that of the execution, or of the request that it responded to.
    pub spans: Vec<Span>,
    /// Calls and spans that were more than are kept.
    pub left_out: u32,
}

/// A call to a capability, or a span of the guest, as it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The capability; `span` for a span of the guest.
    pub capability: &'static str,
    /// What the call does; empty if its capability does only one thing.
    pub operation: &'static str,
    /// The name that the guest gave its span.
    pub name: Option<String>,
    /// From the beginning of the execution to that of the call, in microseconds.
    pub offset_us: u64,
    /// Microseconds to its end.
    pub duration_us: u64,
    /// Whether it failed.
    pub failed: bool,
    /// The id that another server was told.
    pub span: Option<SpanId>,
    /// The number of a span of the guest, from 1; 0 for a call.
    pub number: u32,
    /// The number of the span of the guest of which it is a part; 0 for none.
    pub parent: u32,
    /// What else is known of it.
    pub attributes: Vec<Attribute>,
}

/// The request before its execution: from the first byte to the end of the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSpan {
    /// Its span, which the execution's is a part of.
    pub span: SpanId,
    /// The caller's span.
    pub parent: Option<SpanId>,
    /// The beginning, in microseconds since 1970.
    pub start_us: u64,
    /// Microseconds to the end.
    pub duration_us: u64,
    /// The request's method.
    pub method: String,
    /// The request's path.
    pub path: String,
    /// The response's status; 0 without one.
    pub status: u16,
}

/// An execution as it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedExecution {
    /// Where the execution is in its trace: `span` is its own.
    pub context: TraceContext,
    /// The span that caused it.
    pub parent: Option<SpanId>,
    /// Its id.
    pub execution: String,
    /// Whose it is.
    pub resource: SpanResource,
    /// Its name: the kind of the trigger and its name, or the request's method and path.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// The request that it responds to, if it does.
    pub request: Option<RequestSpan>,
    /// Microseconds from its admission to its beginning.
    pub queued_us: u64,
    /// Its beginning, in microseconds since 1970.
    pub start_us: u64,
    /// Microseconds to its end.
    pub duration_us: u64,
    /// Whether it failed.
    pub failed: bool,
    /// The code of its error.
    pub code: Option<String>,
    /// The message of its error, of which the first line is told.
    pub message: Option<String>,
    /// Units of fuel.
    pub fuel: u64,
    /// Bytes of memory at the most.
    pub memory_bytes: u64,
    /// More about it.
    pub attributes: Vec<Attribute>,
    /// Its calls.
    pub calls: Vec<Call>,
    /// Calls that were more than are kept.
    pub left_out: u32,
}

/// Microseconds of waiting that are shown as a span of their own.
const QUEUE_SHOWN_US: u64 = 100;

impl TracedExecution {
    /// Its spans. `next_id` gives ids for those that have none, of which no two are the same.
    #[must_use]
    pub fn into_spans(self, mut next_id: impl FnMut() -> SpanId) -> ExecutionSpans {
        let mut spans = Vec::with_capacity(3 + self.calls.len());
        let message = self.message.as_deref().map(first_line);
        let mut parent = self.parent;
        if let Some(request) = &self.request {
            spans.push(request.span(self.failed, self.code.as_deref()));
            parent = Some(request.span);
        }
        if self.queued_us >= QUEUE_SHOWN_US {
            spans.push(Span {
                id: next_id(),
                parent,
                name: "queue".to_owned(),
                kind: SpanKind::Internal,
                start_us: self.start_us.saturating_sub(self.queued_us),
                duration_us: self.queued_us,
                failed: false,
                message: None,
                attributes: Vec::new(),
            });
        }
        let mut attributes = vec![
            text("elias.execution.id", self.execution.clone()),
            number("elias.fuel", self.fuel),
            number("elias.memory.peak_bytes", self.memory_bytes),
        ];
        if self.left_out > 0 {
            attributes.push(number("elias.calls.left_out", self.left_out.into()));
        }
        attributes.extend(self.code.map(|code| text("error.type", code)));
        attributes.extend(self.attributes);
        spans.push(Span {
            id: self.context.span,
            parent,
            name: self.name,
            kind: self.kind,
            start_us: self.start_us,
            duration_us: self.duration_us,
            failed: self.failed,
            message,
            attributes,
        });
        let ids: Vec<_> = self.calls.iter().map(|call| call.span.unwrap_or_else(&mut next_id)).collect();
        // Spans of the guest have numbers from 1 on, in the order in which they are here.
        let of_guest: Vec<_> =
            self.calls.iter().zip(&ids).filter(|(call, _)| call.number > 0).map(|(_, id)| *id).collect();
        for (call, id) in self.calls.into_iter().zip(ids) {
            let above = (call.parent as usize).checked_sub(1).and_then(|index| of_guest.get(index).copied());
            spans.push(call.into_span(id, above.unwrap_or(self.context.span), self.start_us));
        }
        let (trace, execution, resource) = (self.context.trace, self.execution, self.resource);
        ExecutionSpans { trace, execution, resource, spans, left_out: self.left_out }
    }
}

impl RequestSpan {
    fn span(&self, failed: bool, code: Option<&str>) -> Span {
        let mut attributes =
            vec![text("http.request.method", self.method.clone()), text("url.path", self.path.clone())];
        if self.status > 0 {
            attributes.push(number("http.response.status_code", self.status.into()));
        }
        attributes.extend(code.map(|code| text("error.type", code.to_owned())));
        Span {
            id: self.span,
            parent: self.parent,
            // A path is no name: each user could have one.
            name: self.method.clone(),
            kind: SpanKind::Server,
            start_us: self.start_us,
            duration_us: self.duration_us,
            failed: failed || self.status >= 500,
            message: None,
            attributes,
        }
    }
}

impl Call {
    fn into_span(self, id: SpanId, parent: SpanId, start_us: u64) -> Span {
        let kind = match (self.capability, self.operation) {
            ("http" | "db" | "cache" | "workers", _) => SpanKind::Client,
            ("jobs", "enqueue") | ("events", "publish") => SpanKind::Producer,
            _ => SpanKind::Internal,
        };
        let name = match self.name {
            Some(name) => name,
            None if self.operation.is_empty() => self.capability.to_owned(),
            None => format!("{} {}", self.capability, self.operation),
        };
        let attributes = self.attributes.into_iter().map(|(name, value)| match value {
            AttributeValue::Text(text) if name == "db.query.text" => {
                (name, AttributeValue::Text(without_values(&text).into()))
            }
            value => (name, value),
        });
        Span {
            id,
            parent: Some(parent),
            name,
            kind,
            start_us: start_us.saturating_add(self.offset_us),
            duration_us: self.duration_us,
            failed: self.failed,
            message: None,
            attributes: attributes.collect(),
        }
    }
}

/// The first line of a message, of which the stack is a matter of the execution's record.
fn first_line(message: &str) -> String {
    cut(message.lines().next().unwrap_or_default(), MESSAGE_BYTES_MAX)
}

fn text(name: &'static str, value: String) -> Attribute {
    (Cow::Borrowed(name), AttributeValue::Text(Cow::Owned(value)))
}

fn number(name: &'static str, value: u64) -> Attribute {
    (Cow::Borrowed(name), AttributeValue::Number(i64::try_from(value).unwrap_or(i64::MAX)))
}

#[cfg(test)]
pub(crate) mod tests;
