//! Moves a worker to another version of its component: its heap gets the code of that version; or, where that does not
//! fit, the former version exports its state, and a new heap imports it.

use super::Actor;
use super::batch::Departure;
use super::commit::{refused, take_over};
use crate::component::{AwakeWorker, DeploymentPhase, SwappedComponent, TurnContext, TurnFailure, WorkerComponent};
use crate::message::new_id;
use crate::store::{BeforeUpgrade, SwappedCode, WorkerRecord};
use elias_capabilities::Cause;
use elias_capabilities::trigger::ActiveWork;
use elias_host::{TurnKind, TurnResult, TurnState};
use std::sync::Arc;

impl Actor {
    /// Puts the code of a version under the worker's heap, which is of another one; nothing is to be done if it has it
    /// already. What this gives is in the batch, which is to be committed next.
    ///
    /// # Errors
    /// Why it does not fit; nothing of the worker has changed then.
    pub(super) async fn swap(
        &mut self,
        component: &Arc<dyn WorkerComponent>,
        swapped: &SwappedComponent,
        former_version: &str,
        heap: &[u8],
    ) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let active = self.manager.tasks.begin();
        let SwappedComponent { component: runs, code } = swapped;
        let mut worker = runs.wake(Some(heap))?;
        let source = code.source()?;
        let result = self.run_turn_in(&mut *worker, TurnKind::Swap { code: code.name().to_owned(), source }).await?;
        // What declares a class anew may send and emit.
        self.check_move("the swap of its code", &result)?;
        self.reserve_for(&result, 0).map_err(|full| TurnFailure::NotRun(full.to_string()))?;
        let before = self.before_move(component, former_version).await?;
        let version = component.version();
        tracing::info!(
            worker = %self.handle.key, former = former_version, version,
            "the code of another version was put under the worker"
        );
        self.record.code = Some(SwappedCode { name: code.name().to_owned(), version });
        self.finish_move(before, result, active);
        Ok(worker)
    }

    /// Moves the worker by its state. What this gives is in the batch, which is to be committed next.
    ///
    /// # Errors
    /// Why it cannot be moved; nothing of it has changed then.
    pub(super) async fn upgrade(
        &mut self,
        component: &Arc<dyn WorkerComponent>,
        former: &Arc<dyn WorkerComponent>,
        former_version: &str,
        heap: &[u8],
    ) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let active = self.manager.tasks.begin();
        let mut exporting = former.wake(Some(heap))?;
        let exported = self.run_turn_in(&mut *exporting, TurnKind::Export).await?;
        drop(exporting);
        let no_state = || TurnFailure::Ended("the former version gave no state".to_owned());
        let state = exported.answer.ok_or_else(no_state)?;
        let mut worker = component.wake(None)?;
        let upgrade = TurnKind::Upgrade { version: former_version.to_owned(), state };
        let result = self.run_turn_in(&mut *worker, upgrade).await?;
        self.check_move("onUpgrade", &result)?;
        // Another time there is room: that is no fault of the version.
        self.reserve_for(&result, 0).map_err(|full| TurnFailure::NotRun(full.to_string()))?;
        let before = self.before_move(component, former_version).await?;
        tracing::info!(worker = %self.handle.key, former = former_version, "the worker was moved to another version");
        // The new heap knows neither: answers to the calls are nobody's.
        self.record.timers.clear_timers();
        self.record.calls.clear();
        self.record.code = None;
        self.finish_move(before, result, active);
        Ok(worker)
    }

    /// Refuses a turn that has moved the worker, by what `what` did.
    fn check_move(&self, what: &str, result: &TurnResult) -> Result<(), TurnFailure> {
        if result.state == TurnState::Waiting {
            let message = format!("{what} must not wait for other workers or timers");
            return Err(TurnFailure::Thrown { name: "Error".to_owned(), message });
        }
        self.refusal_of(&Cause::default(), result).map_or(Ok(()), |message| Err(refused(message)))
    }

    /// Adds the turn that has moved the worker.
    fn finish_move(&mut self, before: Option<BeforeUpgrade>, result: TurnResult, active: ActiveWork) {
        // Checks that failed in the former version do not count for this one.
        self.manager.health.forget(&self.handle.key);
        self.record.before_upgrade = before;
        let effects = take_over(&self.manager, &mut self.record, self.turn_now, Cause::default(), result);
        self.add_turn(active);
        self.hold_back(Departure::Effects(Box::new(effects)));
    }

    /// What the worker is before it is moved to this component, if deployments of it can be rolled back.
    async fn before_move(
        &mut self,
        component: &Arc<dyn WorkerComponent>,
        former_version: &str,
    ) -> Result<Option<BeforeUpgrade>, TurnFailure> {
        let Some(deployment) = component.deployment() else { return Ok(None) };
        let is_kept = component.phase(&deployment).await? == DeploymentPhase::Rollout;
        Ok(Some(self.before_upgrade(deployment, former_version.to_owned(), is_kept)))
    }

    /// What the worker is before it is moved by a deployment. All its turns are committed, and no handler waits.
    fn before_upgrade(&self, deployment: String, version: String, is_kept: bool) -> BeforeUpgrade {
        let WorkerRecord { turns, timers, calls, sockets, before_upgrade, code, .. } = &self.record;
        let earlier = before_upgrade.clone().map(|earlier| Box::new(BeforeUpgrade { earlier: None, ..earlier }));
        let (timers, calls, sockets) = (timers.clone(), calls.clone(), sockets.clone());
        let code = code.clone();
        BeforeUpgrade { deployment, version, turn: *turns, is_kept, timers, calls, sockets, code, earlier }
    }

    async fn run_turn_in(&mut self, worker: &mut dyn AwakeWorker, kind: TurnKind) -> Result<TurnResult, TurnFailure> {
        let turn = self.turn(&new_id(), kind);
        worker.turn(&turn, TurnContext { attempt: 1, ..TurnContext::default() }).await
    }
}
