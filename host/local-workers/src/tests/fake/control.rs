//! What tests tell the component, and what they ask of it.

use super::Fake;
use crate::component::DeploymentPhase;
use elias_capabilities::Cause;
use std::sync::atomic::Ordering::SeqCst;

impl Fake {
    /// Runs the workers whose names begin with `canary` in this version; 0: like all others.
    pub(in crate::tests) fn set_canary(&self, version: u32) {
        self.canary.store(version, SeqCst);
    }

    /// Says what became of the deployment of a version; that it cannot be known by none.
    pub(in crate::tests) fn set_phase(&self, version: u32, phase: impl Into<Option<DeploymentPhase>>) {
        let (version, mut phases) = (version.to_string(), self.phases.lock());
        match phase.into() {
            Some(phase) => phases.insert(version, phase),
            None => phases.remove(&version),
        };
    }

    /// The names of workers that could not be moved.
    pub(in crate::tests) fn failed_upgrades(&self) -> Vec<String> {
        self.failed_upgrades.lock().clone()
    }

    pub(in crate::tests) fn set_former(&self, has_former: bool, refuses_upgrade: bool) {
        self.has_former.store(has_former, SeqCst);
        self.refuses_upgrade.store(refuses_upgrade, SeqCst);
    }

    pub(in crate::tests) fn set_code(&self, has_code: bool, refuses_swap: bool) {
        self.has_code.store(has_code, SeqCst);
        self.refuses_swap.store(refuses_swap, SeqCst);
    }

    /// Counts a swap, in which others have their turns.
    pub(super) async fn count_swap(&self) {
        self.swaps.fetch_add(1, SeqCst);
        let swapping = self.swapping.fetch_add(1, SeqCst) + 1;
        self.most_swapping.fetch_max(swapping, SeqCst);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.swapping.fetch_sub(1, SeqCst);
    }

    pub(in crate::tests) fn causes(&self) -> Vec<Cause> {
        self.causes.lock().clone()
    }

    /// The keys of the outward calls of each attempt.
    pub(in crate::tests) fn keys(&self) -> Vec<Vec<String>> {
        self.keys.lock().clone()
    }

    /// The codes with which workers were told that sockets are closed.
    pub(in crate::tests) fn closed(&self) -> Vec<u16> {
        self.closed.lock().clone()
    }

    /// Turns that were run so far.
    pub(in crate::tests) fn turns(&self) -> usize {
        self.turns.load(SeqCst)
    }

    /// How turns for the health of workers end from now on: `false`, `false in 2` (that version), `throw`,
    /// `throw once`, `hang`, `wait`; well otherwise.
    pub(in crate::tests) fn set_health(&self, health: &'static str) {
        *self.health.lock() = health;
    }

    /// Turns for the health of workers so far.
    pub(in crate::tests) fn health_turns(&self) -> usize {
        self.health_turns.load(SeqCst)
    }

    /// Names of workers in the order in which they were to start.
    pub(in crate::tests) fn started(&self) -> Vec<String> {
        self.started.lock().clone()
    }

    /// Whether workers refuse to start.
    pub(in crate::tests) fn set_refuses_start(&self, refuses: bool) {
        self.refuses_start.store(refuses, SeqCst);
    }

    /// Whether no component is loaded.
    pub(in crate::tests) fn set_unloaded(&self, unloaded: bool) {
        self.unloaded.store(unloaded, SeqCst);
    }

    pub(in crate::tests) fn set_version(&self, version: u32) {
        self.version.store(version, SeqCst);
    }

    /// Workers that are in memory, and how many there were at most.
    pub(in crate::tests) fn awake(&self) -> usize {
        self.awake.load(SeqCst)
    }

    pub(in crate::tests) fn most_awake(&self) -> usize {
        self.most_awake.load(SeqCst)
    }

    /// Whether a turn is in `hold`, which `let_go` ends.
    pub(in crate::tests) fn is_holding(&self) -> bool {
        self.holding.load(SeqCst)
    }

    pub(in crate::tests) fn let_go(&self) {
        self.gone.notify_one();
    }

    pub(in crate::tests) fn stopped(&self) -> Vec<String> {
        self.stopped.lock().clone()
    }
}
