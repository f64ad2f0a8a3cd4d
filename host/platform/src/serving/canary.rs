//! What the health of a canary is told: failures of its requests and turns, and that it cannot be loaded.

use super::Serving;
use super::release::Release;
use super::service::{Service, State};
use elias_api::{Code, Error};
use elias_delivery::clock::Now;
use elias_delivery::rollout::RolloutEvent;
use elias_host::ErrorCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A transition of a rollout that a request or a turn brought about.
pub(crate) struct RolloutTransition {
    pub(crate) service: Arc<Service>,
    pub(crate) deployment: String,
    pub(crate) event: RolloutEvent,
}

/// Whether it is by a release's fault that it cannot be loaded. A host or a store that had no time for it says nothing
/// about the release.
pub(super) fn is_at_fault(error: &Error) -> bool {
    !matches!(error.code(), Code::Component(ErrorCode::Overloaded) | Code::StoreUnavailable)
}

/// Asks the rollout of a service what a failure means that was recorded in the canary's statistics.
pub(super) fn judge_failure(state: &State, now: Now) -> Option<RolloutEvent> {
    let canary = state.canary.as_ref()?;
    let (stats, base) = (&canary.release.stats, &state.release.stats);
    canary.with_rollout(|rollout| rollout.on_result(true, stats, base, now))
}

/// Has a transition of the rollout of a canary, `release`, stored, if there is one.
pub(super) fn tell(
    transitions: &mpsc::UnboundedSender<RolloutTransition>,
    service: &Arc<Service>,
    release: &Release,
    event: Option<RolloutEvent>,
) {
    if let Some(event) = event {
        let (service, deployment) = (Arc::clone(service), release.target.deployment.clone());
        // The receiver ends with the platform.
        let _ = transitions.send(RolloutTransition { service, deployment, event });
    }
}

impl Serving {
    /// Ends the rollout of a canary that cannot be loaded: it serves nobody.
    pub(super) fn roll_back_unloadable(&self, service: &Arc<Service>, state: &State, error: &Error) {
        let Some(canary) = &state.canary else { return };
        let reason = format!("it cannot be loaded: {}: {error}", error.code());
        let event = canary.with_rollout(|rollout| rollout.roll_back(&reason, self.clock.now()).ok());
        tell(&self.transitions, service, &canary.release, event);
    }

    /// Counts that a canary could not be loaded for its service workers, as for a request, if that is its own fault;
    /// says whether it is.
    pub(crate) fn count_unloadable_canary(&self, service: &Arc<Service>, state: &State, error: &Error) -> bool {
        let at_fault = is_at_fault(error);
        if let Some(canary) = state.canary.as_ref().filter(|_| at_fault) {
            canary.release.stats.record(true, Duration::ZERO, 0);
            self.roll_back_unloadable(service, state, error);
        }
        at_fault
    }

    /// Counts that a service worker could not be moved to a release, as a request of it that failed, if it is a canary.
    pub(crate) fn count_failed_upgrade(&self, service: &Arc<Service>, release: &Arc<Release>) {
        let state = Arc::clone(&service.state());
        let Some(canary) = state.canary.as_ref().filter(|canary| Arc::ptr_eq(&canary.release, release)) else {
            return;
        };
        canary.release.stats.record(true, Duration::ZERO, 0);
        let event = judge_failure(&state, self.clock.now());
        tell(&self.transitions, service, release, event);
    }
}
