//! The state machine of a rollout.

use super::assign::buckets_of;
use super::judgement::{self, Judgement, REQUESTS_MIN, alpha};
use super::plan::RolloutPlan;
use super::state::{RolloutError, RolloutEvent, RolloutState, RolloutStatus};
use super::stats::{ReleaseStats, Snapshot, VersionMetrics};
use crate::clock::Now;
use crate::setting::InvalidSetting;
use serde::{Deserialize, Serialize};

/// A rollout. Serialized, it is what a host needs to go on with it after a restart: at the same step, in a new round.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rollout {
    id: String,
    plan: RolloutPlan,
    state: RolloutState,
    since_ms: u64,
    reason: String,
    /// Rounds begun; each has its share of the false alarms.
    rounds: u32,
    /// The base's counts from before this round.
    reference: Option<VersionMetrics>,
    /// The present round. Counts do not outlive a process, so it does not either.
    #[serde(skip)]
    round: Option<Round>,
}

/// A stretch of time in which canary and base are compared.
#[derive(Debug, Clone)]
struct Round {
    canary_at_start: Snapshot,
    base_at_start: Snapshot,
    /// For how long it has been watched.
    held_ms: u64,
    ticked_ms: u64,
    canary: VersionMetrics,
    base: VersionMetrics,
    waiting: String,
}

/// The most that a gap between two ticks counts: a clock that jumps forward is not a step that has held.
const TICK_MAX_MS: u64 = 5_000;

/// When a round is still undecided after this many times `every-ms`, the next begins.
const ROUND_MAX: u64 = 4;

const REASON_MAX_CHARS: usize = 500;

impl Rollout {
    /// Begins at the first step. The id also decides who is in the canary.
    ///
    /// # Errors
    /// [`InvalidSetting`] if the plan cannot be used.
    pub fn start(id: String, plan: RolloutPlan, now: Now) -> Result<(Self, RolloutEvent), InvalidSetting> {
        plan.check()?;
        let state = RolloutState::Running { step: 0 };
        let reason = "the rollout begins".to_owned();
        let event = RolloutEvent { at_ms: now.unix_ms(), from: None, to: state, reason: reason.clone() };
        let since_ms = now.unix_ms();
        Ok((Self { id, plan, state, since_ms, reason, rounds: 0, reference: None, round: None }, event))
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its plan.
    #[must_use]
    pub fn plan(&self) -> &RolloutPlan {
        &self.plan
    }

    /// The last transition again, of a rollout that has ended: for one whose end could not be stored at once.
    #[must_use]
    pub fn ended(&self) -> Option<RolloutEvent> {
        let (to, reason) = (self.state, self.reason.clone());
        to.is_final().then_some(RolloutEvent { at_ms: self.since_ms, from: None, to, reason })
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> RolloutState {
        self.state
    }

    /// Percent of the requests that go to the canary.
    #[must_use]
    pub fn percent(&self) -> f64 {
        match self.state {
            RolloutState::Running { step } | RolloutState::Paused { step } => {
                self.plan.steps.get(step).copied().unwrap_or_default()
            }
            RolloutState::Promoted => 100.0,
            RolloutState::Aborted | RolloutState::RolledBack => 0.0,
        }
    }

    /// The same as a number of buckets: who is in a lower one (see [`super::Assigner`]) is in the canary.
    #[must_use]
    pub fn buckets(&self) -> u32 {
        buckets_of(self.percent())
    }

    /// Takes the result of a request that the canary served, after it was recorded in `canary`. Only failures matter:
    /// for others the call may be left out. May roll back.
    pub fn on_result(
        &mut self,
        failed: bool,
        canary: &ReleaseStats,
        base: &ReleaseStats,
        now: Now,
    ) -> Option<RolloutEvent> {
        if !failed || self.state.is_final() {
            return None;
        }
        let Some(round) = &self.round else {
            self.begin_round(canary, base, now);
            return None;
        };
        let since = |stats: &ReleaseStats, start: &Snapshot| {
            let (requests, failures) = stats.counts();
            (requests.saturating_sub(start.requests()), failures.saturating_sub(start.failures()))
        };
        let canary = since(canary, &round.canary_at_start);
        let base = since(base, &round.base_at_start);
        let reference = self.reference.map(|reference| (reference.requests, reference.failures));
        let base = if base.0 < REQUESTS_MIN { reference } else { Some(base) };
        match judgement::errors(canary, base, &self.plan, alpha(self.rounds)) {
            Judgement::Bad(reason) => Some(self.change(RolloutState::RolledBack, reason, now)),
            Judgement::Good | Judgement::Unclear(_) => None,
        }
    }

    /// Takes the passing of time: to be called about once a second; longer gaps than 5 s count as 5 s. May roll back,
    /// go on to the next step, promote.
    pub fn on_tick(&mut self, canary: &ReleaseStats, base: &ReleaseStats, now: Now) -> Option<RolloutEvent> {
        if self.state.is_final() {
            return None;
        }
        let Some(round) = &mut self.round else {
            self.begin_round(canary, base, now);
            return None;
        };
        let elapsed_ms = now.unix_ms().saturating_sub(round.ticked_ms).min(TICK_MAX_MS);
        round.ticked_ms = now.unix_ms();
        round.held_ms = round.held_ms.saturating_add(elapsed_ms);
        let canary_since = canary.snapshot().since(&round.canary_at_start);
        round.canary = canary_since.figures();
        round.base = base.snapshot().since(&round.base_at_start).figures();
        let known = if round.base.requests < REQUESTS_MIN { self.reference } else { Some(round.base) };
        let (held_ms, requests) = (round.held_ms, round.canary.requests);
        // With all requests, it is compared with what the base did before: latency and fuel then differ by the hour
        // too, and no more requests of the base will come to make it clear. Failures still count.
        let alone = round.base.requests < REQUESTS_MIN && self.percent() >= 100.0;
        let unclear = match judgement::everything(&canary_since, known.as_ref(), &self.plan, alpha(self.rounds)) {
            Judgement::Bad(reason) => return Some(self.change(RolloutState::RolledBack, reason, now)),
            Judgement::Unclear(_) if alone => {
                let figures = canary_since.figures();
                let known = known.map(|known| (known.requests, known.failures));
                let failures = (figures.requests, figures.failures);
                match judgement::errors(failures, known, &self.plan, alpha(self.rounds)) {
                    Judgement::Unclear(reason) => Some(reason),
                    Judgement::Good | Judgement::Bad(_) => None,
                }
            }
            Judgement::Unclear(reason) => Some(reason),
            Judgement::Good => None,
        };
        let needed = self.plan.requests;
        let enough = requests >= needed;
        let waiting = if let RolloutState::Paused { .. } = self.state {
            "to be resumed".to_owned()
        } else if !enough {
            format!("needs {needed} requests, has {requests}")
        } else if held_ms < self.plan.every_ms {
            format!("needs {} s, has {} s", self.plan.every_ms.div_ceil(1000), held_ms / 1000)
        } else if let Some(unclear) = unclear {
            unclear
        } else {
            return Some(self.advance(now));
        };
        round_waits(&mut self.round, waiting);
        if enough && held_ms >= self.plan.every_ms.saturating_mul(ROUND_MAX) {
            self.begin_round(canary, base, now);
        }
        None
    }

    /// Holds it at its step.
    ///
    /// # Errors
    /// [`RolloutError`] if it has ended or is paused.
    pub fn pause(&mut self, reason: &str, now: Now) -> Result<RolloutEvent, RolloutError> {
        match self.state {
            RolloutState::Running { step } => Ok(self.change(RolloutState::Paused { step }, reason.to_owned(), now)),
            RolloutState::Paused { .. } => Err(RolloutError::AlreadyPaused),
            _ => Err(RolloutError::Finished),
        }
    }

    /// Lets it go on, with its step from the start.
    ///
    /// # Errors
    /// [`RolloutError`] if it has ended or is not paused.
    pub fn resume(&mut self, reason: &str, now: Now) -> Result<RolloutEvent, RolloutError> {
        match self.state {
            RolloutState::Paused { step } => Ok(self.change(RolloutState::Running { step }, reason.to_owned(), now)),
            RolloutState::Running { .. } => Err(RolloutError::NotPaused),
            _ => Err(RolloutError::Finished),
        }
    }

    /// Gives the canary everything now.
    ///
    /// # Errors
    /// [`RolloutError::Finished`] if it has ended.
    pub fn promote(&mut self, reason: &str, now: Now) -> Result<RolloutEvent, RolloutError> {
        self.end(RolloutState::Promoted, reason, now)
    }

    /// Gives the base everything now.
    ///
    /// # Errors
    /// [`RolloutError::Finished`] if it has ended.
    pub fn abort(&mut self, reason: &str, now: Now) -> Result<RolloutEvent, RolloutError> {
        self.end(RolloutState::Aborted, reason, now)
    }

    /// Gives the base everything, for a reason of health that is not in the statistics: the canary's circuit was
    /// stopped, say.
    ///
    /// # Errors
    /// [`RolloutError::Finished`] if it has ended.
    pub fn roll_back(&mut self, reason: &str, now: Now) -> Result<RolloutEvent, RolloutError> {
        self.end(RolloutState::RolledBack, reason, now)
    }

    /// The status for operators.
    #[must_use]
    pub fn status(&self) -> RolloutStatus {
        let waiting = match &self.round {
            _ if self.state.is_final() => String::new(),
            Some(round) => round.waiting.clone(),
            None => WAITING_FOR_TICK.to_owned(),
        };
        let base = self.round.as_ref().map(|round| round.base).filter(|base| base.requests >= REQUESTS_MIN);
        RolloutStatus {
            id: self.id.clone(),
            state: self.state,
            percent: self.percent(),
            steps: self.plan.steps.clone(),
            since_ms: self.since_ms,
            reason: self.reason.clone(),
            waiting,
            canary: self.round.as_ref().map(|round| round.canary).unwrap_or_default(),
            base: base.or(self.reference),
        }
    }

    fn end(&mut self, state: RolloutState, reason: &str, now: Now) -> Result<RolloutEvent, RolloutError> {
        if self.state.is_final() {
            return Err(RolloutError::Finished);
        }
        Ok(self.change(state, reason.to_owned(), now))
    }

    fn advance(&mut self, now: Now) -> RolloutEvent {
        let next = self.state.step().map_or(0, |step| step + 1);
        let state =
            if next < self.plan.steps.len() { RolloutState::Running { step: next } } else { RolloutState::Promoted };
        let canary = self.round.as_ref().map(|round| round.canary).unwrap_or_default();
        let reason = format!("the step held: {} of {} requests of the canary failed", canary.failures, canary.requests);
        self.change(state, reason, now)
    }

    fn change(&mut self, to: RolloutState, reason: String, now: Now) -> RolloutEvent {
        let reason: String = reason.chars().take(REASON_MAX_CHARS).collect();
        let event = RolloutEvent { at_ms: now.unix_ms(), from: Some(self.state), to, reason: reason.clone() };
        (self.state, self.since_ms, self.reason) = (to, now.unix_ms(), reason);
        // The figures that a rollout ended with stay to be seen.
        if !to.is_final() {
            self.remember_base();
            self.round = None;
        }
        event
    }

    fn begin_round(&mut self, canary: &ReleaseStats, base: &ReleaseStats, now: Now) {
        self.remember_base();
        let base_at_start = base.snapshot();
        if self.reference.is_none() {
            self.reference = Some(base_at_start.figures()).filter(|base| base.requests >= REQUESTS_MIN);
        }
        self.rounds = self.rounds.saturating_add(1);
        self.round = Some(Round {
            canary_at_start: canary.snapshot(),
            base_at_start,
            held_ms: 0,
            ticked_ms: now.unix_ms(),
            canary: VersionMetrics::default(),
            base: VersionMetrics::default(),
            waiting: WAITING_FOR_TICK.to_owned(),
        });
    }

    fn remember_base(&mut self) {
        if let Some(base) = self.round.as_ref().map(|round| round.base).filter(|base| base.requests >= REQUESTS_MIN) {
            self.reference = Some(base);
        }
    }
}

const WAITING_FOR_TICK: &str = "for the next look";

fn round_waits(round: &mut Option<Round>, waiting: String) {
    if let Some(round) = round {
        round.waiting = waiting;
    }
}
