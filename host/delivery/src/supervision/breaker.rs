//! The circuit breaker.

use super::config::SupervisionConfig;
use super::health::{Health, HealthState};
use super::sync::{Arc, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, PoisonError};
use super::window::Window;
use crate::clock::Now;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::Duration;
use utoipa::ToSchema;

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Requests are admitted.
    Closed,
    /// Requests are refused until the backoff is over.
    Open,
    /// A few trial requests are admitted.
    HalfOpen,
    /// Requests are refused until the service is started or deployed again.
    Stopped,
}

/// Takes a component out while it fails, tries it now and then, and gives up on it when that happens too often.
///
/// Closed and healthy, a request costs an atomic load on entering and three relaxed operations on leaving. Failures and
/// changes of state take a lock.
///
/// The wait in the open state is a random time between nothing and `backoff-ms` doubled with each opening,
/// `backoff-max-ms` at most ("full jitter"), so that components that failed together are not tried together. The
/// doubling begins anew once the circuit has been closed for `backoff-max-ms`.
#[derive(Debug)]
pub struct Breaker {
    config: SupervisionConfig,
    /// The state in the two lowest bits; above them the epoch, which grows with each change of state.
    gate: AtomicU64,
    /// Failures in a row.
    consecutive: AtomicU32,
    window: Window,
    /// When the open state began and when it ends. Written before the gate opens.
    opened_ms: AtomicU64,
    open_until_ms: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    since_ms: u64,
    reason: String,
    degraded_since_ms: Option<u64>,
    /// Openings in a row, as the exponent of the wait.
    attempt: u32,
    /// When the circuit opened, in the restart window: at most `restarts` and one.
    openings_ms: VecDeque<u64>,
    /// Trials under way in this half-open state.
    trials: Arc<AtomicU32>,
    /// Trials that succeeded in it.
    succeeded: u32,
    random: u64,
}

/// The permit of a request that the breaker admitted. It is given to [`Breaker::record`] with the result; dropped, the
/// request counts as never admitted.
#[derive(Debug)]
#[must_use = "give it to Breaker::record with the result"]
pub struct CircuitPermit {
    epoch: u64,
    /// Held for what its drop does.
    _trial: Option<Trial>,
}

/// A permit for a trial request in the half-open state; released when dropped.
#[derive(Debug)]
struct Trial(Arc<AtomicU32>);

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the component is out of service ({state:?}); retry after {retry_after:?}")]
pub struct CircuitRefusal {
    /// When to try again; never less than a second, which is what `Retry-After` can say.
    pub retry_after: Duration,
    /// Why.
    pub state: BreakerState,
}

const STATE_BITS: u32 = 2;

fn pack(epoch: u64, state: BreakerState) -> u64 {
    (epoch << STATE_BITS) | state as u64
}

fn unpack(gate: u64) -> (u64, BreakerState) {
    let state = match gate & 3 {
        0 => BreakerState::Closed,
        1 => BreakerState::Open,
        2 => BreakerState::HalfOpen,
        _ => BreakerState::Stopped,
    };
    (gate >> STATE_BITS, state)
}

impl Breaker {
    /// A closed circuit. `seed` is any 64 random bits; the waits come from it. The configuration is a checked one.
    #[must_use]
    pub fn new(config: &SupervisionConfig, seed: u64, now: Now) -> Self {
        let inner = Inner {
            since_ms: now.unix_ms(),
            reason: String::new(),
            degraded_since_ms: None,
            attempt: 0,
            openings_ms: VecDeque::new(),
            trials: Arc::default(),
            succeeded: 0,
            random: seed,
        };
        Self {
            config: config.clone(),
            gate: AtomicU64::new(pack(0, BreakerState::Closed)),
            consecutive: AtomicU32::new(0),
            window: Window::new(config.window_ms),
            opened_ms: AtomicU64::new(0),
            open_until_ms: AtomicU64::new(0),
            inner: Mutex::new(inner),
        }
    }

    /// Where the circuit is. An open one whose wait is over stays open until a request comes.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        unpack(self.gate.load(Ordering::Acquire)).1
    }

    /// Lets a request in or not.
    ///
    /// # Errors
    /// [`CircuitRefusal`], for which the client gets 503.
    pub fn try_admit(&self, now: Now) -> Result<CircuitPermit, CircuitRefusal> {
        let (epoch, state) = unpack(self.gate.load(Ordering::Acquire));
        if state == BreakerState::Closed {
            return Ok(CircuitPermit { epoch, _trial: None });
        }
        // Most refusals take no lock either.
        if state == BreakerState::Open
            && let Some(wait_ms) = self.wait_ms(now)
        {
            return Err(refused(wait_ms, state));
        }
        self.admit_with_lock(now)
    }

    /// Takes the result of a request that was let in. A failure is a fault of the component: a failed execution or a
    /// status of 500 or more. Of a request that was let in before the last change of state nothing is learned.
    pub fn record(&self, permit: CircuitPermit, success: bool, now: Now) {
        let (epoch, state) = unpack(self.gate.load(Ordering::Acquire));
        if epoch != permit.epoch {
            return;
        }
        match state {
            BreakerState::Closed if success => {
                self.window.add(false, now);
                if self.consecutive.load(Ordering::Relaxed) != 0 {
                    self.consecutive.store(0, Ordering::Relaxed);
                }
            }
            BreakerState::Closed => self.record_failure(epoch, now),
            BreakerState::HalfOpen => self.record_trial(epoch, success, now),
            BreakerState::Open | BreakerState::Stopped => {}
        }
    }

    /// Closes the circuit, whatever it was, and forgets past openings: by hand, or after a deployment.
    pub fn resume(&self, reason: &str, now: Now) {
        let mut inner = self.lock();
        inner.openings_ms.clear();
        inner.attempt = 0;
        self.change(&mut inner, BreakerState::Closed, reason.to_owned(), now);
    }

    /// Stops the component until [`Breaker::resume`].
    pub fn stop(&self, reason: &str, now: Now) {
        self.change(&mut self.lock(), BreakerState::Stopped, reason.to_owned(), now);
    }

    /// The component's condition.
    #[must_use]
    pub fn health(&self, now: Now) -> HealthState {
        let mut inner = self.lock();
        let degraded = self.degradation(now);
        if degraded.is_none() {
            inner.degraded_since_ms = None;
        }
        let (state, reason, since_ms) = match (self.state(), degraded) {
            (BreakerState::Closed, Some(reason)) => {
                (Health::Degraded, reason, *inner.degraded_since_ms.get_or_insert(now.unix_ms()))
            }
            (BreakerState::Closed, None) => (Health::Healthy, inner.reason.clone(), inner.since_ms),
            (BreakerState::Open, _) => (Health::Open, inner.reason.clone(), inner.since_ms),
            (BreakerState::HalfOpen, _) => (Health::HalfOpen, inner.reason.clone(), inner.since_ms),
            (BreakerState::Stopped, _) => (Health::Stopped, inner.reason.clone(), inner.since_ms),
        };
        HealthState { state, reason, since_ms }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rest of the wait in the open state; `None` when it is over, or when the clock says that it has not
    /// begun.
    fn wait_ms(&self, now: Now) -> Option<u64> {
        let begun = now.unix_ms() >= self.opened_ms.load(Ordering::Relaxed);
        let left = self.open_until_ms.load(Ordering::Relaxed).saturating_sub(now.unix_ms());
        (begun && left > 0).then_some(left)
    }

    fn admit_with_lock(&self, now: Now) -> Result<CircuitPermit, CircuitRefusal> {
        let mut inner = self.lock();
        let (mut epoch, mut state) = unpack(self.gate.load(Ordering::Acquire));
        if state == BreakerState::Open {
            self.follow_clock_set_back(now);
            if let Some(wait_ms) = self.wait_ms(now) {
                return Err(refused(wait_ms, state));
            }
            let reason = format!("the wait is over, and requests are let through to try it; before: {}", inner.reason);
            self.change(&mut inner, BreakerState::HalfOpen, reason, now);
            (epoch, state) = unpack(self.gate.load(Ordering::Acquire));
        }
        match state {
            BreakerState::Closed => Ok(CircuitPermit { epoch, _trial: None }),
            BreakerState::HalfOpen
                if inner.trials.load(Ordering::Relaxed) + inner.succeeded < self.config.half_open_requests =>
            {
                inner.trials.fetch_add(1, Ordering::Relaxed);
                Ok(CircuitPermit { epoch, _trial: Some(Trial(Arc::clone(&inner.trials))) })
            }
            BreakerState::HalfOpen => Err(refused(self.config.backoff_ms, state)),
            BreakerState::Open | BreakerState::Stopped => Err(refused(self.config.backoff_max_ms, state)),
        }
    }

    /// A clock that was set back by an hour must not make the wait an hour longer: it begins again at the new time.
    fn follow_clock_set_back(&self, now: Now) {
        let opened_ms = self.opened_ms.load(Ordering::Relaxed);
        if now.unix_ms() < opened_ms {
            let wait_ms = self.open_until_ms.load(Ordering::Relaxed).saturating_sub(opened_ms);
            self.opened_ms.store(now.unix_ms(), Ordering::Relaxed);
            self.open_until_ms.store(now.unix_ms().saturating_add(wait_ms), Ordering::Relaxed);
        }
    }

    fn record_failure(&self, epoch: u64, now: Now) {
        let mut inner = self.lock();
        if unpack(self.gate.load(Ordering::Acquire)).0 != epoch {
            return;
        }
        // Counted with the lock held, under which states change: else it could count for a state that it is not of.
        self.window.add(true, now);
        let consecutive = self.consecutive.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let counts = self.window.counts(now);
        if consecutive >= self.config.consecutive_failures {
            self.open(&mut inner, format!("{consecutive} requests in a row failed"), now);
        } else if counts.requests >= u64::from(self.config.error_rate_requests)
            && counts.failing() >= self.config.error_rate
        {
            let reason =
                format!("{} of {} requests in {} ms failed", counts.failures, counts.requests, self.config.window_ms);
            self.open(&mut inner, reason, now);
        } else if self.degradation(now).is_some() {
            inner.degraded_since_ms.get_or_insert(now.unix_ms());
        }
    }

    fn record_trial(&self, epoch: u64, success: bool, now: Now) {
        let mut inner = self.lock();
        if unpack(self.gate.load(Ordering::Acquire)).0 != epoch {
            return;
        }
        if !success {
            self.open(&mut inner, "a request that was let through to try it failed".to_owned(), now);
            return;
        }
        inner.succeeded += 1;
        if inner.succeeded >= self.config.half_open_requests {
            let reason = format!("{} requests in a row that tried it succeeded", inner.succeeded);
            self.change(&mut inner, BreakerState::Closed, reason, now);
        }
    }

    fn open(&self, inner: &mut Inner, reason: String, now: Now) {
        let now_ms = now.unix_ms();
        inner.openings_ms.retain(|at| now_ms.abs_diff(*at) <= self.config.restart_window_ms);
        inner.openings_ms.push_back(now_ms);
        if inner.openings_ms.len() > self.config.restarts as usize {
            let reason = format!(
                "{reason}; opened {} times within {} ms, where {} are put up with: resume it or deploy a version that \
                works",
                inner.openings_ms.len(),
                self.config.restart_window_ms,
                self.config.restarts
            );
            self.change(inner, BreakerState::Stopped, reason, now);
            return;
        }
        if self.state() == BreakerState::Closed && now_ms.saturating_sub(inner.since_ms) >= self.config.backoff_max_ms {
            inner.attempt = 0;
        }
        let longest_ms =
            self.config.backoff_ms.saturating_mul(1 << inner.attempt.min(32)).min(self.config.backoff_max_ms);
        let wait_ms = split_mix(&mut inner.random) % (longest_ms + 1);
        inner.attempt = inner.attempt.saturating_add(1);
        self.opened_ms.store(now_ms, Ordering::Relaxed);
        self.open_until_ms.store(now_ms.saturating_add(wait_ms), Ordering::Relaxed);
        self.change(inner, BreakerState::Open, reason, now);
    }

    /// Enters a state with everything counted anew.
    fn change(&self, inner: &mut Inner, state: BreakerState, reason: String, now: Now) {
        inner.since_ms = now.unix_ms();
        inner.reason = reason;
        inner.degraded_since_ms = None;
        inner.trials = Arc::default();
        inner.succeeded = 0;
        self.consecutive.store(0, Ordering::Relaxed);
        self.window.clear();
        let (epoch, _) = unpack(self.gate.load(Ordering::Acquire));
        self.gate.store(pack(epoch + 1, state), Ordering::Release);
    }

    /// Why a closed circuit is half way to opening, if it is.
    fn degradation(&self, now: Now) -> Option<String> {
        let consecutive = self.consecutive.load(Ordering::Relaxed);
        if consecutive >= self.config.consecutive_failures.div_ceil(2) {
            return Some(format!("{consecutive} requests in a row failed"));
        }
        let counts = self.window.counts(now);
        let enough = counts.requests >= u64::from(self.config.error_rate_requests);
        (enough && counts.failing() >= self.config.error_rate / 2.0).then(|| {
            format!("{} of {} requests in {} ms failed", counts.failures, counts.requests, self.config.window_ms)
        })
    }
}

fn refused(wait_ms: u64, state: BreakerState) -> CircuitRefusal {
    CircuitRefusal { retry_after: Duration::from_millis(wait_ms.max(1_000)), state }
}

/// The next number of `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014): enough to spread waits.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
