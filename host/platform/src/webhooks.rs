//! Webhooks: checks those that a version asks for, and delivers events to their URLs. No component runs for a delivery,
//! so neither a full concurrency limit nor an open circuit delays it.

use crate::serving::{CircuitKind, EndedExecution, ExecutionOutcome, Service, Serving, State};
use crate::spans::{ExecutionTiming, TraceLink, microseconds, unix_us};
use crate::triggers::{RunEnd, WebhookDelivery, child_traceparent, registration};
use crate::webhook_sender::{WebhookSender, WebhookTarget};
use elias_api::{Code, Error, ExecutionRecord, RecordedRun, Result, VersionSettings};
use elias_names::ServiceId;
use elias_telemetry::span::{SpanKind, TraceContext};
use elias_telemetry::usage::UsageAmounts;
use elias_triggers::config::WebhookConfig;
use elias_triggers::queue::AttemptResult;
use elias_triggers::webhook_delivery::WebhookRequest;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The kind of their executions in records.
const KIND: &str = "webhook";

/// Checks that the webhooks of a version fit its grants, and that this host can send any.
///
/// # Errors
/// `bad-input`, with the line of elias.toml to add.
pub(crate) fn check(settings: &VersionSettings, sender: Option<&dyn WebhookSender>) -> Result<()> {
    let triggers = registration::check(settings)?;
    let http = settings.capabilities.get("http");
    let allows = |url: &str| match sender {
        Some(sender) => sender.check(http, url),
        None => Err("cannot be reached: this host sends no webhooks".to_owned()),
    };
    let checked = triggers.check_webhooks(settings.capabilities.get("config"), allows);
    checked.map_err(|error| Error::new(Code::BadInput, error.to_string()))
}

/// An event as it is sent.
struct Message {
    /// The id of the event.
    id: String,
    /// The event as structured JSON.
    event: String,
    /// The request's place in the trace of what published the event.
    traceparent: String,
}

/// How a request ended.
struct DeliveryAttempt {
    ending: AttemptResult,
    /// The status of the response; 0 without one.
    status: u16,
}

impl DeliveryAttempt {
    fn without_response(ending: AttemptResult) -> Self {
        Self { ending, status: 0 }
    }
}

/// Sends an event to the URL of a webhook, as the version that serves has it.
pub(crate) async fn deliver(
    serving: &Serving,
    sender: Option<&dyn WebhookSender>,
    delivery: WebhookDelivery,
) -> RunEnd {
    let not_run = |reason: String| RunEnd { ending: AttemptResult::NotRun { times: 1, reason }, version: None };
    let WebhookDelivery { service, name, id, event, record, mut cancelled } = delivery;
    let Some(service) = serving.service(&service) else {
        return not_run(format!("{service} is not served by this host any more"));
    };
    let Some(sender) = sender else { return not_run("this host sends no webhooks".to_owned()) };
    let state = Arc::clone(&service.state());
    let link = link(serving, &state, record.cause.as_deref());
    let traceparent =
        link.map_or_else(|| child_traceparent(record.cause.as_deref()), |link| link.context.traceparent());
    let message = Message { id, event, traceparent };
    let sent_bytes = Arc::<AtomicU64>::default();
    let started = Instant::now();
    let is_cancelled = async { cancelled.wait_for(|is_cancelled| *is_cancelled).await.is_ok() };
    let sent = tokio::select! {
        sent = send(serving, sender, &service.id, &state, &name, message, &sent_bytes) => sent,
        true = is_cancelled => DeliveryAttempt::without_response(AttemptResult::Cancelled),
    };
    let (duration, sent_bytes) = (started.elapsed(), sent_bytes.load(Ordering::Relaxed));
    let (service, state, name) = (&*service, &*state, name.as_str());
    let ended = EndedDelivery { service, state, name, record, link, started, duration, sent_bytes };
    ended.record(serving, &sent);
    RunEnd { ending: sent.ending, version: Some(state.release.target.version) }
}

async fn send(
    serving: &Serving,
    sender: &dyn WebhookSender,
    service: &ServiceId,
    state: &State,
    name: &str,
    message: Message,
    sent: &Arc<AtomicU64>,
) -> DeliveryAttempt {
    let Some(webhook) = state.triggers.webhook.iter().find(|webhook| webhook.name() == name) else {
        return DeliveryAttempt::without_response(AttemptResult::Invalid(format!(
            "the version that serves has no webhook {name}"
        )));
    };
    let settings = &state.release.target.settings;
    let request = match sign(serving, service, state, webhook, message) {
        Ok(request) => request,
        Err(reason) => return DeliveryAttempt::without_response(AttemptResult::Failed(reason)),
    };
    let folder = match serving.loader.place_files(settings).await {
        Ok(folder) => folder,
        Err(error) => {
            let reason = format!("{}: {error}", error.code());
            return DeliveryAttempt::without_response(AttemptResult::NotRun { times: 1, reason });
        }
    };
    let grants = serving.loader.ceilings.grants(&state.snapshot.target.tenant, settings);
    let target = WebhookTarget { service, http: grants.get("http"), folder: &folder, url: &webhook.url, sent };
    match sender.send(target, request).await {
        Ok(response) => DeliveryAttempt { ending: response.ending(serving.clock.now()), status: response.status },
        Err(reason) => DeliveryAttempt::without_response(AttemptResult::Failed(reason)),
    }
}

/// The request, signed by the secret as it is set now.
fn sign(
    serving: &Serving,
    service: &ServiceId,
    state: &State,
    webhook: &WebhookConfig,
    message: Message,
) -> std::result::Result<WebhookRequest, String> {
    let name = &webhook.secret;
    let ServiceId { component, environment, .. } = service;
    let remedy = format!("set it with: elias secrets set {component} {name} --env {environment}");
    let Some(sealed) = state.snapshot.target.secrets.get(name) else {
        return Err(format!("the secret {name} is not set for {component} in {environment}; {remedy}"));
    };
    let secret = serving.loader.vault.open_sealed(service, name, sealed).map_err(|error| error.to_string())?;
    let Message { id, event, traceparent } = message;
    let request = WebhookRequest::new(&id, event, &secret, serving.clock.now());
    let request = request.map(|request| request.with_traceparent(traceparent));
    request.map_err(|error| format!("the secret {name} {error}; {remedy}"))
}

/// The place of a delivery in the trace of what published its event.
fn link(serving: &Serving, state: &State, cause: Option<&str>) -> Option<TraceLink> {
    let mut context = TraceContext::parse(&child_traceparent(cause))?;
    let (used, now_ms) = (&state.tenant.traces, serving.clock.now().unix_ms());
    context.sampled = serving.recorder.sampling().keeps_from_start(used, &context, false, now_ms);
    let parent = cause.and_then(TraceContext::parse).map(|parent| parent.span);
    Some(TraceLink { context, parent, caller: None, kind: SpanKind::Client })
}

/// A delivery that has ended.
struct EndedDelivery<'a> {
    service: &'a Service,
    state: &'a State,
    name: &'a str,
    record: RecordedRun,
    link: Option<TraceLink>,
    started: Instant,
    duration: Duration,
    sent_bytes: u64,
}

impl EndedDelivery<'_> {
    /// Counts it, and records it as an execution that took no fuel.
    fn record(self, serving: &Serving, sent: &DeliveryAttempt) {
        let (outcome, error) = match &sent.ending {
            AttemptResult::Returned(_) => (ExecutionOutcome::Completed, None),
            AttemptResult::Failed(reason)
            | AttemptResult::Rejected(reason)
            | AttemptResult::RetryRequested { reason, .. } => (ExecutionOutcome::Failed, Some(reason.clone())),
            AttemptResult::Cancelled => (ExecutionOutcome::Cancelled, None),
            // Nothing was sent, and the job says why.
            AttemptResult::Invalid(_) | AttemptResult::NotRun { .. } | AttemptResult::Suspended => return,
        };
        let now_ms = serving.clock.now().unix_ms();
        self.state.tenant.sent(self.sent_bytes, now_ms);
        let amounts = UsageAmounts { bytes_out: self.sent_bytes, ..UsageAmounts::default() };
        self.state.tenant.usage.book(amounts, now_ms);
        let (kind, duration) = (CircuitKind::Triggers, self.duration);
        self.service.meter.record(&EndedExecution { kind, outcome, duration, fuel: 0, memory_bytes: 0 });
        // As of runs of handlers: whoever looks at deliveries looks for these.
        let is_special = outcome != ExecutionOutcome::Completed || self.record.attempt > 1;
        let runs_per_second = serving.recorder.runs_per_second();
        let is_taken = is_special || self.service.sampler.should_record_run(runs_per_second, now_ms);
        let ServiceId { tenant, component, environment } = self.service.id.clone();
        let duration_us = microseconds(self.duration);
        let record = ExecutionRecord {
            tenant,
            id: ulid::Ulid::new().to_string(),
            component,
            environment,
            version: self.state.release.target.version,
            source: format!("{KIND} {}", self.name),
            run: Some(self.record),
            trace: self.link.map(|link| link.context.trace.to_string()),
            started_at: i64::try_from(now_ms.saturating_sub(duration_us / 1_000)).unwrap_or(i64::MAX),
            duration_us,
            fuel: 0,
            memory_bytes: 0,
            host_calls: Vec::new(),
            flags: BTreeMap::new(),
            status: sent.status,
            outcome: outcome.as_str().to_owned(),
            code: None,
            error,
            lines: None,
        };
        let timing = self.link.filter(|link| {
            let (sampling, used) = (serving.recorder.sampling(), &self.state.tenant.traces);
            sampling.keeps_at_end(used, &link.context, outcome == ExecutionOutcome::Failed, self.duration, now_ms)
        });
        let timing = timing.map(|link| {
            let (queued, start_us) = (Duration::ZERO, unix_us(self.started));
            let endpoint = self.state.snapshot.target.tenant.otlp_endpoint.clone();
            Box::new(ExecutionTiming { link, request: None, queued, start_us, timeline: None, endpoint })
        });
        serving.recorder.record_if(is_taken, record, timing);
    }
}
