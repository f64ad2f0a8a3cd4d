//! The place of an execution in its trace, and what its spans are made of.

use super::ending::{SOURCE_BYTES_MAX, cut};
use super::{RequestGuard, RequestOutcome};
use crate::serving::meter::ExecutionOutcome;
use crate::spans::{ExecutionTiming, RequestTiming, TraceLink, new_span, unix_us};
use elias_capabilities::Cause;
use elias_telemetry::span::{SpanId, SpanKind, TraceContext};
use http::{HeaderName, HeaderValue, Request};

/// The header of W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

impl RequestGuard {
    /// Joins the trace of a request, by the `traceparent` that the server has set, as a span of its own; gives the
    /// cause of what the execution does.
    pub(super) fn join_trace_of<B>(&mut self, request: &mut Request<B>) -> Cause {
        let traceparent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let Some(parent) = traceparent.and_then(TraceContext::parse) else {
            return Cause { traceparent: traceparent.map(str::to_owned), hops: 0 };
        };
        let received = request.extensions().get::<elias_gateway::TraceContext>();
        let caller = received.and_then(|received| received.parent_id).map(SpanId);
        let context = TraceContext { span: new_span(), ..parent };
        let link = TraceLink { context, parent: Some(parent.span), caller, kind: SpanKind::Internal };
        let own = self.decide(link, caller.is_some()).context.traceparent();
        if let Ok(value) = HeaderValue::try_from(own.as_str()) {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        Cause { traceparent: Some(own), hops: 0 }
    }

    /// Joins the trace of a trigger's run or a turn, whose own span the cause names.
    pub(super) fn join_trace(&mut self, cause: &mut Cause, parent: Option<SpanId>) {
        let Some(context) = cause.traceparent.as_deref().and_then(TraceContext::parse) else { return };
        let link = TraceLink { context, parent, caller: None, kind: SpanKind::Consumer };
        cause.traceparent = Some(self.decide(link, false).context.traceparent());
    }

    /// Decides whether the spans of the execution are kept however it ends.
    fn decide(&mut self, mut link: TraceLink, from_outside: bool) -> TraceLink {
        let (used, now_ms) = (&self.state.tenant.traces, self.clock.now().unix_ms());
        let sampling = self.recorder.sampling();
        link.context.sampled = sampling.keeps_from_start(used, &link.context, from_outside, now_ms);
        self.running.keep_calls(link.kept_calls());
        self.link = Some(link);
        link
    }

    /// What its spans are made of: if its trace is kept, and of what failed or was slow.
    pub(super) fn timing(
        &self,
        outcome: &RequestOutcome<'_>,
        ended: ExecutionOutcome,
        now_ms: u64,
    ) -> Option<Box<ExecutionTiming>> {
        let (link, ran, sampling) = (self.link?, outcome.execution?, self.recorder.sampling());
        let used = &self.state.tenant.traces;
        if !sampling.keeps_at_end(used, &link.context, ended == ExecutionOutcome::Failed, ran.duration, now_ms) {
            return None;
        }
        let request = outcome.received.map(|received| RequestTiming {
            start_us: unix_us(received),
            duration: received.elapsed(),
            method: cut(outcome.method.to_owned(), SOURCE_BYTES_MAX),
            path: cut(outcome.path.to_owned(), SOURCE_BYTES_MAX),
        });
        let queued = ran.started.saturating_duration_since(self.started);
        let (start_us, timeline) = (unix_us(ran.started), ran.timeline.clone());
        let endpoint = self.state.snapshot.target.tenant.otlp_endpoint.clone();
        let mut timing = ExecutionTiming { link, request, queued, start_us, timeline, endpoint };
        if !used.keeps_calls(timing.bytes(), &sampling.bounds, now_ms) {
            timing.leave_out_calls();
        }
        Some(Box::new(timing))
    }
}
