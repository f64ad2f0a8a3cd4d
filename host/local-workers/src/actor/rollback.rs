//! Puts a worker back to what it was before a deployment moved it to another version, where that was rolled back.

use super::Actor;
use super::batch::{Departure, Effects};
use super::commit::store_reply;
use super::turn::NoTurn;
use crate::component::{DeploymentPhase, TurnFailure, WorkerComponent};
use crate::message::Answer;
use crate::sockets::{SocketClose, close_code};
use crate::store::BeforeUpgrade;
use elias_workers::Supervisor;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;

/// Why a socket is closed that was opened in the version which was rolled back.
const SOCKET_CLOSED: &str = "the version that opened the socket was rolled back";

/// After how long it is asked again what became of a deployment, in milliseconds.
const FOLLOW_AGAIN_MS: u64 = 1_000;

impl Actor {
    /// Does what follows at once from an exchange of the component; whether the worker was put back. How often turns
    /// failed in the components of before is forgotten: another version gets another chance, and so does the one that a
    /// rollback brings back. A handler that waits in a version which was rolled back is not waited for: as long as it
    /// cannot be known what became of that version, it is asked for again.
    pub(super) async fn follow_generation(&mut self) -> bool {
        let (generation, now) = (self.manager.generation(), self.manager.now());
        let former = self.followed.replace(generation);
        if former != Some(generation) {
            if former.is_some() {
                self.supervisor = Supervisor::new(self.manager.live().supervision);
                self.handle.stopped_until.store(0, SeqCst);
            }
            self.follows_at = Some(now);
        }
        if self.follows_at.is_none_or(|at| at > now) {
            return false;
        }
        self.follows_at = None;
        if !self.record.is_waiting() || self.record.before_upgrade.is_none() {
            return false;
        }
        let Some(component) = self.manager.component(&self.handle.key) else { return false };
        // Why the turns of before cannot be kept is in the log.
        let followed = match self.flush().await {
            Ok(()) => self.follow_deployment(&*component).await,
            Err(_) => Err(NoTurn::Changed),
        };
        if followed.is_err() {
            self.follows_at = Some(now.saturating_add(FOLLOW_AGAIN_MS));
        }
        matches!(followed, Err(NoTurn::Changed))
    }

    /// When it is to be asked again what became of the version in which a handler waits, if it is.
    pub(super) fn follows_at(&self) -> Option<u64> {
        self.follows_at.filter(|_| self.record.is_waiting())
    }

    /// Does what follows for the worker from what became of the deployment that moved it.
    ///
    /// # Errors
    /// [`NoTurn::Changed`], if it was put back: what was to enter may not be there any more. And if it cannot be known
    /// now what became of the deployment.
    pub(super) async fn follow_deployment(&mut self, component: &dyn WorkerComponent) -> Result<(), NoTurn> {
        let Some(before) = &mut self.record.before_upgrade else { return Ok(()) };
        let phase = component.phase(&before.deployment).await?;
        let is_kept = match phase {
            DeploymentPhase::Rollout => true,
            // It can be rolled back by hand, to what the history has.
            DeploymentPhase::Serving => false,
            DeploymentPhase::Superseded => {
                self.record.before_upgrade = None;
                self.is_stale = true;
                return Ok(());
            }
            DeploymentPhase::RolledBack => return self.restore(component).await,
        };
        self.is_stale |= before.is_kept != is_kept;
        before.is_kept = is_kept;
        Ok(())
    }

    /// Puts the worker back. If the heap of before is not kept any more, the worker is moved like any other instead.
    async fn restore(&mut self, component: &dyn WorkerComponent) -> Result<(), NoTurn> {
        // The turns before this are committed: their answers have left.
        let Some(before) = self.record.before_upgrade.take() else { return Ok(()) };
        self.is_stale = true;
        let heap = match self.kept_heap(before.turn).await {
            Ok(Ok(heap)) => heap,
            Ok(Err(error)) => {
                tracing::error!(
                    worker = %self.handle.key, turn = before.turn,
                    "the worker cannot go back to before the version that was rolled back, and takes its state along: \
                     {error}"
                );
                self.record.before_upgrade = before.earlier.map(|earlier| *earlier);
                return Ok(());
            }
            Err(no_turn) => {
                self.record.before_upgrade = Some(before);
                return Err(no_turn);
            }
        };
        self.instance = None;
        component.restores(&self.handle.key, &before.version, &heap);
        self.manager.health.forget(&self.handle.key);
        let BeforeUpgrade { deployment, version, turn, timers, calls, sockets, code, earlier, .. } = before;
        // The deployment before it may be rolled back, too, or is later.
        self.record.before_upgrade = earlier.map(|earlier| *earlier);
        self.record.code = code;
        tracing::warn!(
            worker = %self.handle.key, deployment, version, turn, lost = self.record.turns.saturating_sub(turn),
            "the worker goes back to what it was before the version that was rolled back: the turns since are lost"
        );
        let opened: BTreeSet<String> = self.record.sockets.difference(&sockets).cloned().collect();
        let closed = SocketClose::new(close_code::SERVICE_RESTART, SOCKET_CLOSED);
        self.manager.sockets.close(&self.handle.key, &opened, &closed);
        let asked_again = calls.keys().copied().collect();
        (self.record.timers, self.record.calls, self.record.sockets) = (timers, calls, sockets);
        self.close_lost_sockets();
        self.batch.back_to = Some(turn);
        self.change_record(true);
        if let Some(handler) = self.record.waiting.take() {
            let failure = TurnFailure::Ended("the version that ran its handler was rolled back".to_owned());
            let answer: Answer = Err(self.error_of(failure));
            if handler.caller.is_some() {
                store_reply(&mut self.record, &handler.id, &answer);
            }
            self.hold_back(Departure::WaitsEnd);
            self.answer_handler(handler, answer);
        }
        // Those that the worker had made before have had no answer: a callee that has handled one has stored the reply.
        self.hold_back(Departure::Effects(Box::new(Effects { calls: asked_again, ..Effects::default() })));
        // Why it failed is in the log: then the worker is read again.
        drop(self.flush().await);
        Err(NoTurn::Changed)
    }
}
