//! Several implementations of a service side by side, and the copies of requests that shadows get.

use super::Serving;
use super::passage::load;
use super::release::Release;
use super::service::{Chosen, Service, State};
use super::ticket::{self, Entered, Settled, StagePlace, Ticket};
use elias_api::{Code, Error, Result};
use elias_delivery::rollout::Caller;
use elias_delivery::stages::{
    Answer, Differing, Implementation, ImplementationStats, Observation, StageChoice, StageFigures, StageTable, Stages,
};
use elias_store::now_ms;
use http::Method;
use parking_lot::{Mutex, MutexGuard};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tokio::sync::Semaphore;

/// Copies of a service's requests that are under way at once; beyond that a request is not copied.
const COPIES: usize = 8;

/// The implementations of a service, and what they did on this host since they were put side by side.
pub(crate) struct Staged {
    pub(crate) stages: Stages,
    table: StageTable,
    /// In the plan's order, the baseline first.
    pub(crate) implementations: Vec<Staging>,
    /// Names of headers in which answers may differ, in lower case.
    ignored: Vec<String>,
    slots: Arc<Semaphore>,
}

/// One of them.
pub(crate) struct Staging {
    pub(crate) release: Arc<Release>,
    stats: ImplementationStats,
    /// Copies that it was to get and did not.
    skipped: AtomicU64,
    differences: Mutex<VecDeque<Differing>>,
}

impl Staged {
    /// These implementations, each by the release that `release_of` finds for its version. `before` is the same with other releases.
    pub(crate) fn new(
        stages: Stages,
        release_of: impl Fn(u32) -> Option<Arc<Release>>,
        before: Option<&Self>,
    ) -> Result<Self> {
        let bad = |message: String| Error::new(Code::BadInput, message);
        let table = StageTable::new(&stages.id, &stages.plan).map_err(|error| bad(error.to_string()))?;
        let staging = |(position, implementation): (usize, &Implementation)| {
            let release = release_of(implementation.version);
            let release = release.ok_or_else(|| bad(format!("version {} is not there", implementation.version)))?;
            let figures = before.and_then(|before| before.figures(position)).unwrap_or_default();
            Ok(Staging {
                release,
                stats: ImplementationStats::resume(figures.observed),
                skipped: AtomicU64::new(figures.skipped),
                differences: Mutex::new(figures.differences.into()),
            })
        };
        let implementations = stages.plan.implementations.iter().enumerate().map(staging).collect::<Result<_>>()?;
        let ignored = stages.plan.ignore_headers.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self { stages, table, implementations, ignored, slots: Arc::new(Semaphore::new(COPIES)) })
    }

    /// Which of them answers a request, and which get a copy.
    pub(crate) fn choose(&self, caller: &Caller<'_>) -> StageChoice {
        self.table.choose(caller)
    }

    /// What was seen of one of them on this host.
    pub(crate) fn figures(&self, position: usize) -> Option<StageFigures> {
        let staging = self.implementations.get(position)?;
        Some(StageFigures {
            observed: staging.stats.observed(),
            skipped: staging.skipped.load(Ordering::Relaxed),
            differences: staging.differences().iter().cloned().collect(),
        })
    }

    /// Whether the implementation at a position may get copies of requests with this method.
    fn takes(&self, position: usize, method: &Method) -> bool {
        let implementation = self.stages.plan.implementations.get(position);
        *method == Method::GET || implementation.is_some_and(|implementation| implementation.shadow_unsafe)
    }

    /// Holds what the others answered against what the baseline did, if it was among those who were asked; gives those that differ.
    fn compare(&self, request: &str, answers: &[(usize, Answer)]) -> Vec<usize> {
        let mut differing = Vec::new();
        let Some((_, baseline)) = answers.iter().find(|(position, _)| *position == 0) else { return differing };
        for (position, answer) in answers {
            let Some(staging) = self.implementations.get(*position).filter(|_| *position != 0) else { continue };
            let what = baseline.difference(answer);
            staging.stats.record_comparison(what.is_some());
            if let Some(what) = what {
                differing.push(*position);
                let mut differences = staging.differences();
                differences.truncate(StageFigures::DIFFERENCES - 1);
                differences.push_front(Differing {
                    at: now_ms(),
                    request: request.to_owned(),
                    baseline: baseline.execution.clone(),
                    execution: answer.execution.clone(),
                    what,
                });
            }
        }
        differing
    }
}

impl Staging {
    fn differences(&self) -> MutexGuard<'_, VecDeque<Differing>> {
        self.differences.lock() // the list is whole after every operation
    }

    fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request of which shadows get a copy, once it was answered.
pub struct Copies {
    service: Arc<Service>,
    state: Arc<State>,
    staged: Arc<Staged>,
    answered: usize,
    shadows: Vec<usize>,
}

impl Copies {
    /// Those of a request with this method that has this ticket; none as a rule.
    #[must_use]
    pub fn of(ticket: &Ticket, method: &Method) -> Option<Self> {
        let StagePlace { staged, position: answered, shadows } = ticket.stage.as_ref()?;
        let shadows: Vec<_> = shadows.iter().copied().filter(|position| staged.takes(*position, method)).collect();
        (!shadows.is_empty()).then(|| Self {
            service: Arc::clone(&ticket.service),
            state: Arc::clone(&ticket.state),
            staged: Arc::clone(staged),
            answered: *answered,
            shadows,
        })
    }

    /// Names of headers in which answers may differ, in lower case.
    #[must_use]
    pub fn ignored(&self) -> &[String] {
        &self.staged.ignored
    }

    /// The request is not copied after all: it was too large, or did not come to its end.
    pub fn skip(&self) {
        self.shadows.iter().filter_map(|position| self.staged.implementations.get(*position)).for_each(Staging::skip);
    }

    /// Asks each shadow in turn, and compares what all have answered. `ask` runs a component and settles its ticket. An execution whose answer
    /// differs is recorded like one that fails.
    pub async fn ask<F>(&self, serving: &Serving, request: &str, answer: Answer, ask: impl Fn(Ticket) -> F)
    where
        F: Future<Output = Option<(Answer, Option<Settled>)>>,
    {
        let (mut answers, mut all_settled) = (vec![(self.answered, answer)], Vec::new());
        for position in self.shadows.iter().copied() {
            let Some(staging) = self.staged.implementations.get(position) else { continue };
            let answer = match self.enter(serving, position, staging).await {
                Some((ticket, _place)) => ask(ticket).await,
                None => None,
            };
            match answer {
                Some((answer, settled)) => {
                    answers.push((position, answer));
                    all_settled.extend(settled.map(|settled| (position, settled)));
                }
                None => staging.skip(),
            }
        }
        let differing = self.staged.compare(request, &answers);
        for (position, settled) in all_settled {
            // Of what answers differently from the baseline, and of the baseline where it does.
            let differs = differing.contains(&position) || (position == 0 && !differing.is_empty());
            let now = serving.clock.now().unix_ms();
            if settled.is_taken || (differs && self.service.sampler.should_record(true, now)) {
                serving.recorder.record(settled.record);
            }
        }
    }

    /// Admits a copy, if that keeps nobody else out: whatever is full, open or used up, it goes without.
    async fn enter(
        &self,
        serving: &Serving,
        position: usize,
        staging: &Staging,
    ) -> Option<(Ticket, tokio::sync::OwnedSemaphorePermit)> {
        let (started, now) = (Instant::now(), serving.clock.now());
        let (service, state, release) = (&self.service, &self.state, &staging.release);
        let copy = Arc::clone(&self.staged.slots).try_acquire_owned().ok()?;
        let entry = release.breaker.try_enter(now).ok()?;
        // A mirrored request runs where a slot is free, and takes none: the next client finds it free.
        if !state.admission.is_free() || !state.tenant.admits_copy(now.unix_ms()) {
            return None;
        }
        let app = match load(serving, service, state, release).await {
            Ok(app) => app,
            Err(error) => {
                tracing::warn!(
                    service = %service.id, version = release.target.version, %error,
                    "the variant for mirrored requests cannot be loaded"
                );
                ticket::tell_unloadable(service, release, entry, &error, serving.clock.now());
                return None;
            }
        };
        let stage = StagePlace { staged: Arc::clone(&self.staged), position, shadows: Vec::new() };
        let chosen = Chosen { release, is_canary: false, stage: Some(stage) };
        let entered = Entered { state: Arc::clone(state), entry, permits: None, app, started, is_copy: true };
        Some((Ticket::begin(serving, service, chosen, entered), copy))
    }
}

impl StagePlace {
    /// Counts an execution of the implementation that answers.
    pub(super) fn observe(&self, observation: &Observation) {
        if let Some(staging) = self.staged.implementations.get(self.position) {
            staging.stats.record(observation);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elias_delivery::stages::{AnswerReader, BetterRule, Comparison, Observed};
    use http::HeaderMap;
    use serde_json::json;

    fn staged() -> Staged {
        let plan = json!({ "implementations": [
            { "name": "base", "version": 1, "weight": 1 }, { "name": "other", "version": 2, "shadow": 100 },
        ] });
        let stages = Stages::begin(serde_json::from_value(plan).expect("a plan"));
        let target =
            json!({ "version": 1, "digest": "0".repeat(64), "settings": {}, "deployment": "d", "rollout": null });
        let target: elias_store::ReleaseTarget = serde_json::from_value(target).expect("a target");
        let now = elias_delivery::clock::Now::from_unix_ms(0);
        let release = Release::new(target, &Default::default(), Default::default(), now);
        Staged::new(stages, |_| Some(Arc::clone(&release)), None).expect("the plan is right")
    }

    fn answer(status: u16) -> Answer {
        AnswerReader::new("id", status, &HeaderMap::new(), &[]).end()
    }

    #[test]
    fn what_differs_is_kept_the_latest_first_and_not_for_ever() {
        let staged = staged();
        let most = StageFigures::DIFFERENCES;
        for number in 0..most + 5 {
            staged.compare(&format!("GET /{number}"), &[(1, answer(500)), (0, answer(200))]);
        }
        staged.compare("GET /same", &[(0, answer(200)), (1, answer(200))]);
        staged.compare("GET /alone", &[(1, answer(500))]);
        let figures = staged.figures(1).expect("there are two");
        assert_eq!(figures.differences.len(), most);
        assert_eq!(figures.differences[0].request, format!("GET /{}", most + 4));
        let others = [("other", &figures.observed)];
        let comparison = Comparison::new(("base", &Observed::default()), &others, &BetterRule::default());
        let share = comparison.implementations[1].differing.expect("some were compared").estimate;
        assert!((share - 25.0 / 26.0).abs() < 1e-9, "{share}");
        let again =
            Staged::new(staged.stages.clone(), |_| Some(Arc::clone(&staged.implementations[0].release)), Some(&staged));
        assert_eq!(again.expect("it is right").figures(1), Some(figures), "other releases go on with the figures");
    }

    #[test]
    fn only_requests_that_change_nothing_are_copied_unless_the_plan_says_so() {
        let staged = staged();
        assert!(staged.takes(1, &Method::GET));
        assert!(!staged.takes(1, &Method::POST) && !staged.takes(1, &Method::DELETE));
    }
}
