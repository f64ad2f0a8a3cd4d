//! Runs of triggers in the services of this host, each as an execution with a guard: canaries, experiments, circuit
//! breakers, concurrency limits and quotas hold as for requests. `worker_runs` runs those for service workers.

use crate::databases::drain_outbox;
use crate::platform::Inner;
use crate::serving::{ExecutionOutcome, RequestOutcome, Serving};
use crate::triggers::{Message, Run, RunEnd, ServedTriggers, Services, TriggerBackends, WebhookDelivery, cancellation};
use crate::{webhooks, worker_runs};
use elias_api::{Code, ExecutionRecord};
use elias_capabilities::outbox::DrainOutcome;
use elias_host::{App, CallOptions, Caller, Error, ErrorCode, RunOutcome, RunResult};
use elias_names::ServiceId;
use elias_store::{ReleaseTarget, TenantScope};
use elias_triggers::queue::AttemptResult;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

/// Deployments of a service among which a version is looked for.
const DEPLOYMENTS_MAX: u32 = 1_000;

/// The source of records of what was not handed over of an outbox.
const OUTBOX: &str = "outbox";

/// The services of a platform, for its runners, which are made before the platform is.
#[derive(Default)]
pub(crate) struct ServedServices {
    platform: OnceLock<Weak<Inner>>,
}

impl ServedServices {
    /// Says which platform it is. Said once.
    pub(crate) fn bind(&self, platform: Weak<Inner>) {
        let _ = self.platform.set(platform);
    }

    pub(crate) fn platform(&self) -> Option<Arc<Inner>> {
        self.platform.get()?.upgrade()
    }
}

impl Services for ServedServices {
    fn find(&self, id: &ServiceId) -> Option<ServedTriggers> {
        served(&self.platform()?.serving, id)
    }

    fn run(&self, run: Run) -> BoxFuture<'static, RunEnd> {
        let platform = self.platform();
        async move {
            match platform {
                Some(platform) => execute(&platform, run).await,
                None => RunEnd { ending: not_run("the host is about to end"), version: None },
            }
        }
        .boxed()
    }

    fn deliver(&self, delivery: WebhookDelivery) -> BoxFuture<'static, RunEnd> {
        let platform = self.platform();
        async move {
            match platform {
                Some(platform) => {
                    let sender = platform.config.webhooks.as_deref();
                    webhooks::deliver(&platform.serving, sender, delivery).await
                }
                None => RunEnd { ending: not_run("the host is about to end"), version: None },
            }
        }
        .boxed()
    }

    fn drain_outbox(
        &self,
        id: &ServiceId,
        backends: TriggerBackends,
    ) -> BoxFuture<'static, elias_api::Result<DrainOutcome>> {
        let (platform, id) = (self.platform(), id.clone());
        async move {
            match platform {
                Some(platform) => drain_outbox(&platform.config, &platform.serving, &id, backends).await,
                None => Err(elias_api::Error::not_deployed(&id)),
            }
        }
        .boxed()
    }

    fn record_outbox(&self, id: &ServiceId, error: String) {
        let Some(platform) = self.platform() else { return };
        let serving = &platform.serving;
        let Some(service) = serving.service(id) else { return };
        let version = service.state().release.target.version;
        let ServiceId { tenant, component, environment } = id.clone();
        let record = ExecutionRecord {
            tenant,
            id: ulid::Ulid::new().to_string(),
            component,
            environment,
            version,
            source: OUTBOX.to_owned(),
            run: None,
            trace: None,
            started_at: i64::try_from(serving.clock.now().unix_ms()).unwrap_or(i64::MAX),
            duration_us: 0,
            fuel: 0,
            memory_bytes: 0,
            host_calls: Vec::new(),
            flags: BTreeMap::new(),
            status: 0,
            outcome: ExecutionOutcome::Failed.as_str().to_owned(),
            code: None,
            error: Some(error),
            lines: None,
        };
        serving.recorder.record_if(true, record, None);
    }
}

/// A service as the runner sees it, if it is served.
pub(crate) fn served(serving: &Serving, id: &ServiceId) -> Option<ServedTriggers> {
    let service = serving.service(id)?;
    let state = service.state();
    let target = &state.snapshot.target;
    let (config, quotas) = (Arc::clone(&state.triggers), target.tenant.quotas);
    Some(ServedTriggers { config, quotas, is_stopped: target.stopped })
}

fn not_run(reason: impl Into<String>) -> AttemptResult {
    AttemptResult::NotRun { times: 1, reason: reason.into() }
}

/// Runs a handler as an execution of its service, or has a service worker of it handle the message.
async fn execute(platform: &Inner, mut run: Run) -> RunEnd {
    if let Some(target) = run.worker.take() {
        return RunEnd { ending: worker_runs::execute(&platform.workers, &target, run).await, version: None };
    }
    let serving = &platform.serving;
    let Some(service) = serving.service(&run.service) else {
        return RunEnd {
            ending: not_run(format!("{} is not served by this host any more", run.service)),
            version: None,
        };
    };
    let former = match former(platform, &run.service, run.version.filter(|_| run.is_pinned)).await {
        Ok(former) => former,
        Err(error) if error.code() == Code::NotFound => {
            return RunEnd { ending: AttemptResult::Invalid(error.to_string()), version: None };
        }
        Err(error) => return RunEnd { ending: not_run(error.to_string()), version: None },
    };
    let mut guard = match serving.admit_run(&service, run.version, former).await {
        Ok(guard) => guard,
        // Stopped, failing, busy, over a quota, or impossible to load: another time it may go.
        Err(refused) => {
            let reason = format!("{}: {}", refused.error.code(), refused.error);
            return RunEnd { ending: not_run(reason), version: None };
        }
    };
    let Run { source: (kind, name), record, message, timeout, mut cause, journal, mut cancelled, .. } = run;
    guard.set_run(kind, &name, record, &mut cause);
    let version = Some(guard.version());
    let mut options = CallOptions {
        caller: Arc::new(Caller { tenant_id: Some(guard.tenant().to_string()), ..Caller::default() }),
        running: guard.running().clone(),
        deadline: Some(timeout),
        ..CallOptions::default()
    };
    options.extensions.insert(cause);
    if let Some(journal) = journal {
        options.extensions.insert(journal);
    }
    let app = guard.app().clone();
    let mut running = std::pin::pin!(handle(&app, &message, options));
    let result = tokio::select! {
        result = &mut running => result,
        () = cancellation(&mut cancelled) => {
            guard.running().cancel();
            running.await
        }
    };
    if has_decided(&message, &result) {
        guard.record_anyway();
    }
    let ending = ending(&result);
    let (status, error, execution) = match &result {
        Ok(outcome) => (0, None, Some(&outcome.execution)),
        Err(error) => (error.code().status(), Some(describe(error)), error.execution()),
    };
    let ended = RequestOutcome { method: kind, path: &name, status, execution, error, ..RequestOutcome::default() };
    guard.end(ended);
    RunEnd { ending, version }
}

/// The version of a run that must have that one and no other, if there is such.
async fn former(
    platform: &Inner,
    service: &ServiceId,
    pinned: Option<u32>,
) -> Result<Option<ReleaseTarget>, elias_api::Error> {
    let Some(version) = pinned else { return Ok(None) };
    let mut scope = platform.store.read(&service.tenant).await?;
    former_release(&mut scope, service, version).await.map(Some)
}

/// A version as it served in an environment by the last of its deployments that are kept.
///
/// # Errors
/// `not-found` for one that was never deployed there, or that was deleted since; `store-unavailable`.
pub(crate) async fn former_release(
    scope: &mut TenantScope,
    service: &ServiceId,
    number: u32,
) -> Result<ReleaseTarget, elias_api::Error> {
    let version = scope.version(&service.component, number).await?;
    let deployments = scope.deployments(service, None, DEPLOYMENTS_MAX).await?;
    let deployment = deployments.into_iter().find(|deployment| deployment.version == number).ok_or_else(|| {
        let ServiceId { component, environment, .. } = service;
        let message = format!("version {number} of component `{component}` was never deployed in {environment}");
        elias_api::Error::new(Code::NotFound, message)
    })?;
    let (digest, settings) = (version.digest, version.settings);
    Ok(ReleaseTarget { version: number, digest, settings, deployment: deployment.id, rollout: None })
}

async fn handle(app: &App, message: &Message, options: CallOptions) -> Result<RunOutcome, Error> {
    match message {
        Message::Tick(tick) => app.run_schedule(tick, options).await,
        Message::Job(job) => app.run_job(job, options).await,
        Message::Event(event) => app.run_event(event, options).await,
        Message::Events(batch) => app.run_events(batch, options).await,
    }
}

/// Whether a handler has asked for a retry or rejected something, be it one event of a batch.
fn has_decided(message: &Message, result: &Result<RunOutcome, Error>) -> bool {
    let Ok(outcome) = result else { return false };
    match &outcome.result {
        RunResult::Retry { .. } | RunResult::Reject { .. } => true,
        RunResult::Done(decisions) if matches!(message, Message::Events(_)) => {
            decisions.as_array().is_some_and(|decisions| decisions.iter().any(|decision| !decision.is_null()))
        }
        RunResult::Done(_) | RunResult::Suspended => false,
    }
}

/// The consequence of a run for its job.
fn ending(result: &Result<RunOutcome, Error>) -> AttemptResult {
    match result {
        Ok(RunOutcome { result: RunResult::Done(value), .. }) => AttemptResult::Returned(value.to_string()),
        Ok(RunOutcome { result: RunResult::Retry { after, reason }, .. }) => {
            AttemptResult::RetryRequested { after: *after, reason: reason.clone() }
        }
        Ok(RunOutcome { result: RunResult::Reject { reason }, .. }) => AttemptResult::Rejected(reason.clone()),
        Ok(RunOutcome { result: RunResult::Suspended, .. }) => AttemptResult::Suspended,
        Err(error) => match error.code() {
            ErrorCode::Cancelled => AttemptResult::Cancelled,
            ErrorCode::Overloaded => not_run(error.to_string()),
            ErrorCode::MissingExport | ErrorCode::RequestTooLarge => AttemptResult::Invalid(error.to_string()),
            code => AttemptResult::Failed(format!("{code}: {}", describe(error))),
        },
    }
}

/// A failure with its stack, in positions of the original source.
fn describe(error: &Error) -> String {
    match error.stack().filter(|stack| !stack.is_empty()) {
        Some(stack) => format!("{error}\n{stack}"),
        None => error.to_string(),
    }
}
