//! Moves a worker to another version of its component: the former version exports its state, and a new heap imports it.

use super::Actor;
use super::batch::Departure;
use super::commit::{refused, take_over};
use crate::component::{AwakeWorker, DeploymentPhase, TurnContext, TurnFailure, WorkerComponent};
use crate::message::new_id;
use crate::store::{BeforeUpgrade, WorkerRecord};
use elias_capabilities::Cause;
use elias_host::{TurnKind, TurnResult, TurnState};
use std::sync::Arc;

impl Actor {
    /// Moves the worker. What this gives is in the batch, which is to be committed next.
    ///
    /// # Errors
    /// Why it cannot be moved; nothing of it has changed then.
    pub(super) async fn upgrade(
        &mut self,
        component: &Arc<dyn WorkerComponent>,
        former: &Arc<dyn WorkerComponent>,
        heap: &[u8],
    ) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let active = self.manager.tasks.begin();
        let mut exporting = former.wake(Some(heap))?;
        let exported = self.run_turn_in(&mut *exporting, TurnKind::Export).await?;
        drop(exporting);
        let no_state = || TurnFailure::Ended("the former version gave no state".to_owned());
        let state = exported.answer.ok_or_else(no_state)?;
        let mut worker = component.wake(None)?;
        let upgrade = TurnKind::Upgrade { version: former.version(), state };
        let result = self.run_turn_in(&mut *worker, upgrade).await?;
        if result.state == TurnState::Waiting {
            let message = "onUpgrade must not wait for other workers or timers".to_owned();
            return Err(TurnFailure::Thrown { name: "Error".to_owned(), message });
        }
        if let Some(message) = self.refusal_of(&Cause::default(), &result) {
            return Err(refused(message));
        }
        // Another time there is room: that is no fault of the version.
        self.reserve_for(&result, 0).map_err(|full| TurnFailure::NotRun(full.to_string()))?;
        let before_upgrade = match component.deployment() {
            Some(deployment) => {
                let is_kept = component.phase(&deployment).await? == DeploymentPhase::Rollout;
                Some(self.before_upgrade(deployment, former.version(), is_kept))
            }
            None => None,
        };
        tracing::info!(worker = %self.handle.key, former = former.version(), "the worker was moved to another version");
        // Checks that failed in the former version do not count for this one.
        self.manager.health.forget(&self.handle.key);
        self.record.before_upgrade = before_upgrade;
        // The new heap knows neither: answers to the calls are nobody's.
        self.record.timers.clear_timers();
        self.record.calls.clear();
        let effects = take_over(&self.manager, &mut self.record, self.turn_now, Cause::default(), result);
        self.add_turn(active);
        self.hold_back(Departure::Effects(Box::new(effects)));
        Ok(worker)
    }

    /// What the worker is before it is moved by a deployment. All its turns are committed, and no handler waits.
    fn before_upgrade(&self, deployment: String, version: String, is_kept: bool) -> BeforeUpgrade {
        let WorkerRecord { turns, timers, calls, sockets, before_upgrade, .. } = &self.record;
        let earlier = before_upgrade.clone().map(|earlier| Box::new(BeforeUpgrade { earlier: None, ..earlier }));
        let (timers, calls, sockets) = (timers.clone(), calls.clone(), sockets.clone());
        BeforeUpgrade { deployment, version, turn: *turns, is_kept, timers, calls, sockets, earlier }
    }

    async fn run_turn_in(&mut self, worker: &mut dyn AwakeWorker, kind: TurnKind) -> Result<TurnResult, TurnFailure> {
        let turn = self.turn(&new_id(), kind);
        worker.turn(&turn, TurnContext { attempt: 1, ..TurnContext::default() }).await
    }
}
