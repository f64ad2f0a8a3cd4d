//! The variants of an experiment in a service, and mirrored requests.

use super::Serving;
use super::release::{CircuitKind, Release};
use super::request_guard::{self, AdmittedExecution, CompletedExecution, RequestGuard, VariantAssignment};
use super::routing::load;
use super::service::{ReleaseChoice, Service, State};
use elias_api::{Code, Error, Result};
use elias_delivery::experiment::{
    Experiment, Observation, ResponseDifference, ResponseSummary, Variant, VariantChoice, VariantMetrics, VariantStats,
    VariantTable,
};
use elias_delivery::rollout::Caller;
use elias_store::now_ms;
use http::Method;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;

/// Mirrored requests of a service that are under way at once; beyond that a request is not mirrored.
const MIRRORED_MAX: usize = 8;

/// The experiment of a service, with the metrics of its variants on this host.
pub(crate) struct ActiveExperiment {
    pub(crate) definition: Experiment,
    table: VariantTable,
    /// In the plan's order, the baseline first.
    pub(crate) variants: Vec<ActiveVariant>,
    /// Names of headers in which responses may differ, in lower case.
    ignored: Vec<String>,
    slots: Arc<Semaphore>,
}

/// A variant of the experiment.
pub(crate) struct ActiveVariant {
    pub(crate) release: Arc<Release>,
    stats: VariantStats,
    /// Mirrored requests that it was to get and did not.
    skipped: AtomicU64,
    differences: Mutex<VecDeque<ResponseDifference>>,
}

impl ActiveExperiment {
    /// Prepares an experiment. `release_of` finds the release of a version; `before` is the same experiment with other
    /// releases, and its metrics go on.
    pub(crate) fn new(
        definition: Experiment,
        release_of: impl Fn(u32) -> Option<Arc<Release>>,
        before: Option<&Self>,
    ) -> Result<Self> {
        let bad = |message: String| Error::new(Code::BadInput, message);
        let table = VariantTable::new(&definition.id, &definition.plan).map_err(|error| bad(error.to_string()))?;
        let activate = |(position, variant): (usize, &Variant)| {
            let release = release_of(variant.version);
            let release = release.ok_or_else(|| bad(format!("version {} does not exist", variant.version)))?;
            let metrics = before.and_then(|before| before.metrics(position)).unwrap_or_default();
            Ok(ActiveVariant {
                release,
                stats: VariantStats::resume(metrics.observed),
                skipped: AtomicU64::new(metrics.skipped),
                differences: Mutex::new(metrics.differences.into()),
            })
        };
        let variants = definition.plan.variants.iter().enumerate().map(activate).collect::<Result<_>>()?;
        let ignored = definition.plan.ignore_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self { definition, table, variants, ignored, slots: Arc::new(Semaphore::new(MIRRORED_MAX)) })
    }

    /// Chooses the variant that responds to a request, and those that get it mirrored.
    pub(crate) fn choose(&self, caller: &Caller<'_>) -> VariantChoice {
        self.table.choose(caller)
    }

    /// The metrics of a variant on this host.
    pub(crate) fn metrics(&self, position: usize) -> Option<VariantMetrics> {
        let variant = self.variants.get(position)?;
        Some(VariantMetrics {
            observed: variant.stats.observed(),
            skipped: variant.skipped.load(Ordering::Relaxed),
            differences: variant.differences().iter().cloned().collect(),
        })
    }

    /// Whether requests with this method may be mirrored to the variant at a position.
    fn may_mirror(&self, position: usize, method: &Method) -> bool {
        let variant = self.definition.plan.variants.get(position);
        *method == Method::GET || variant.is_some_and(|variant| variant.shadow_unsafe)
    }

    /// Compares the responses with the baseline's, if it is among them; returns the variants that differ.
    fn compare(&self, request: &str, responses: &[(usize, ResponseSummary)]) -> Vec<usize> {
        let mut differing = Vec::new();
        let Some((_, baseline)) = responses.iter().find(|(position, _)| *position == 0) else { return differing };
        for (position, response) in responses {
            let Some(variant) = self.variants.get(*position).filter(|_| *position != 0) else { continue };
            let what = baseline.difference(response);
            variant.stats.record_comparison(what.is_some());
            if let Some(what) = what {
                differing.push(*position);
                let mut differences = variant.differences();
                differences.truncate(VariantMetrics::DIFFERENCES - 1);
                differences.push_front(ResponseDifference {
                    at: now_ms(),
                    request: request.to_owned(),
                    baseline: baseline.execution.clone(),
                    execution: response.execution.clone(),
                    what,
                });
            }
        }
        differing
    }
}

impl ActiveVariant {
    fn differences(&self) -> MutexGuard<'_, VecDeque<ResponseDifference>> {
        self.differences.lock() // the list is whole after every operation
    }

    fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request that is sent to further variants once it has its response.
pub struct MirroredRequest {
    service: Arc<Service>,
    state: Arc<State>,
    experiment: Arc<ActiveExperiment>,
    /// The variant that responded to the client.
    responded: usize,
    /// The variants that get the request then.
    targets: Vec<usize>,
}

impl MirroredRequest {
    /// The mirrored request of a guarded request with this method; none if no variant is to get it, as a rule.
    #[must_use]
    pub fn of(guard: &RequestGuard, method: &Method) -> Option<Self> {
        let VariantAssignment { experiment, position: responded, shadows } = guard.assignment.as_ref()?;
        let targets: Vec<_> =
            shadows.iter().copied().filter(|position| experiment.may_mirror(*position, method)).collect();
        (!targets.is_empty()).then(|| Self {
            service: Arc::clone(&guard.service),
            state: Arc::clone(&guard.state),
            experiment: Arc::clone(experiment),
            responded: *responded,
            targets,
        })
    }

    /// Names of headers in which responses may differ, in lower case.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.experiment.ignored
    }

    /// The request is not mirrored after all: it was too large, or did not come to its end.
    pub fn skip(&self) {
        self.targets
            .iter()
            .filter_map(|position| self.experiment.variants.get(*position))
            .for_each(ActiveVariant::skip);
    }

    /// Sends the request to each variant in turn, and compares all responses. `send` runs a component and completes its
    /// guard. An execution whose response differs is recorded like one that fails.
    pub async fn mirror<F>(
        &self,
        serving: &Serving,
        request: &str,
        response: ResponseSummary,
        send: impl Fn(RequestGuard) -> F,
    ) where
        F: Future<Output = Option<(ResponseSummary, Option<CompletedExecution>)>>,
    {
        let (mut responses, mut all_completed) = (vec![(self.responded, response)], Vec::new());
        for position in self.targets.iter().copied() {
            let Some(variant) = self.experiment.variants.get(position) else { continue };
            let response = match self.admit(serving, position, variant).await {
                Some((guard, _permit)) => send(guard).await,
                None => None,
            };
            match response {
                Some((response, completed)) => {
                    responses.push((position, response));
                    all_completed.extend(completed.map(|completed| (position, completed)));
                }
                None => variant.skip(),
            }
        }
        let differing = self.experiment.compare(request, &responses);
        for (position, completed) in all_completed {
            // Of a variant that responds differently from the baseline, and of the baseline then.
            let differs = differing.contains(&position) || (position == 0 && !differing.is_empty());
            let now = serving.clock.now().unix_ms();
            let is_taken = completed.is_taken || (differs && self.service.sampler.should_record(true, now));
            serving.recorder.record_if(is_taken, completed.record, completed.timing);
        }
    }

    /// Admits a mirrored request, if that keeps nobody else out: it is skipped where anything is full, open or used up.
    async fn admit(
        &self,
        serving: &Serving,
        position: usize,
        variant: &ActiveVariant,
    ) -> Option<(RequestGuard, tokio::sync::OwnedSemaphorePermit)> {
        let (started, now) = (Instant::now(), serving.clock.now());
        let (service, state, release) = (&self.service, &self.state, &variant.release);
        let permit = Arc::clone(&self.experiment.slots).try_acquire_owned().ok()?;
        let circuit_permit = (CircuitKind::Requests, release.breaker(CircuitKind::Requests).try_admit(now).ok()?);
        // A mirrored request runs where a slot is free, and takes none: the next client finds it free.
        if !state.admission.is_free() || !state.tenant.admits_mirrored(now.unix_ms()) {
            return None;
        }
        let app = match load(serving, service, state, release).await {
            Ok(app) => app,
            Err(error) => {
                tracing::warn!(
                    service = %service.id, version = release.target.version, %error,
                    "the variant for mirrored requests cannot be loaded"
                );
                request_guard::tell_unloadable(service, release, circuit_permit, &error, serving.clock.now());
                return None;
            }
        };
        let assignment = VariantAssignment { experiment: Arc::clone(&self.experiment), position, shadows: Vec::new() };
        let chosen = ReleaseChoice { release, is_canary: false, assignment: Some(assignment) };
        let entered = AdmittedExecution {
            state: Arc::clone(state),
            circuit_permit,
            permits: None,
            app,
            started,
            is_mirrored: true,
        };
        Some((RequestGuard::begin(serving, service, chosen, entered), permit))
    }
}

impl VariantAssignment {
    /// Counts an execution of the variant that responds.
    pub(super) fn observe(&self, observation: &Observation) {
        if let Some(variant) = self.experiment.variants.get(self.position) {
            variant.stats.record(observation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_delivery::experiment::{BetterRule, Comparison, ResponseReader, VariantTotals};
    use http::HeaderMap;
    use serde_json::json;

    fn experiment() -> ActiveExperiment {
        let plan = json!({ "implementations": [
            { "name": "base", "version": 1, "weight": 1 }, { "name": "other", "version": 2, "shadow": 100 },
        ] });
        let definition = Experiment::begin(serde_json::from_value(plan).expect("a plan"));
        let target =
            json!({ "version": 1, "digest": "0".repeat(64), "settings": {}, "deployment": "d", "rollout": null });
        let target: elias_store::ReleaseTarget = serde_json::from_value(target).expect("a target");
        let now = elias_delivery::clock::Now::from_unix_ms(0);
        let release = Release::new(target, &Default::default(), Default::default(), now);
        ActiveExperiment::new(definition, |_| Some(Arc::clone(&release)), None).expect("the plan is right")
    }

    fn response(status: u16) -> ResponseSummary {
        ResponseReader::new("id", status, &HeaderMap::new(), &[]).end()
    }

    #[test]
    fn differences_are_stored_the_latest_first_and_not_for_ever() {
        let experiment = experiment();
        let most = VariantMetrics::DIFFERENCES;
        for number in 0..most + 5 {
            experiment.compare(&format!("GET /{number}"), &[(1, response(500)), (0, response(200))]);
        }
        experiment.compare("GET /same", &[(0, response(200)), (1, response(200))]);
        experiment.compare("GET /alone", &[(1, response(500))]);
        let metrics = experiment.metrics(1).expect("there are two");
        assert_eq!(metrics.differences.len(), most);
        assert_eq!(metrics.differences[0].request, format!("GET /{}", most + 4));
        let others = [("other", &metrics.observed)];
        let comparison = Comparison::new(("base", &VariantTotals::default()), &others, &BetterRule::default());
        let share = comparison.variants[1].differing.expect("some were compared").estimate;
        assert!((share - 25.0 / 26.0).abs() < 1e-9, "{share}");
        let again = ActiveExperiment::new(
            experiment.definition.clone(),
            |_| Some(Arc::clone(&experiment.variants[0].release)),
            Some(&experiment),
        );
        assert_eq!(again.expect("it is right").metrics(1), Some(metrics), "other releases go on with the metrics");
    }

    #[test]
    fn only_requests_that_change_nothing_are_mirrored_unless_the_plan_says_so() {
        let experiment = experiment();
        assert!(experiment.may_mirror(1, &Method::GET));
        assert!(!experiment.may_mirror(1, &Method::POST) && !experiment.may_mirror(1, &Method::DELETE));
    }
}
