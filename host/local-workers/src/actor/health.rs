//! Whether the worker is well: a turn of `onHealth`, which is undone.

use super::Actor;
use super::turn::NoTurn;
use crate::component::{TurnContext, TurnFailure};
use crate::handle::WorkerCondition;
use crate::message::new_id;
use elias_host::{TurnKind, TurnResult, TurnState};
use elias_workers::config::HealthConfig;

/// `false` in the structured clone encoding.
const FALSE: &str = "[1,false]";

impl Actor {
    /// When the worker is to be checked next; none if it is not to be checked as it is now.
    ///
    /// One that is not in memory is as its last commit left it: a check would cost what leaving memory has saved, and
    /// hosts that share a store would take the worker from each other.
    pub(super) fn health_due(&self) -> Option<u64> {
        let is_checked = self.manager.live().health.is_some()
            && !self.manager.is_stopping()
            && self.instance.is_some()
            && self.is_started()
            && !self.record.is_waiting()
            && self.refusal().is_none()
            && self.supervisor.stopped_until(self.manager.now()).is_none();
        is_checked.then_some(self.health_due)
    }

    /// Asks the worker whether it is well, if it is time to. Whether it was.
    pub(super) async fn check_health(&mut self) -> bool {
        let Some(config) = self.manager.live().health else { return false };
        let now = self.manager.now();
        if self.health_due().is_none_or(|due| due > now) {
            return false;
        }
        // What the turns before did does not end with this one.
        if self.flush().await.is_err() {
            return true;
        }
        self.health_due = now.saturating_add(config.interval.as_millis());
        let failed = match self.ask_health(&config).await {
            Ok(()) => None,
            Err(TurnFailure::NotRun(why)) => {
                tracing::debug!(worker = %self.handle.key, "its health cannot be asked for now: {why}");
                return true;
            }
            Err(failure) => Some(failure.to_string()),
        };
        let key = &self.handle.key;
        let failures = self.manager.health.keep(key, now, self.health_due, failed.clone());
        if let Some(why) = failed {
            tracing::warn!(worker = %key, failures, "the worker is not well: {why}");
            // Further failures are the same one, until a check goes well or the worker begins anew.
            if failures == config.threshold {
                self.manager.report_failure(key, &format!("it was not well {failures} times: {why}"));
            }
        }
        true
    }

    /// Runs the turn, and undoes it.
    async fn ask_health(&mut self, config: &HealthConfig) -> Result<(), TurnFailure> {
        self.handle.show(WorkerCondition::Running, &self.record);
        // In the component as it is now: a version that was rolled back says nothing of what the worker goes back to.
        match self.wake().await {
            Ok(()) if self.is_started() => {}
            Ok(()) | Err(NoTurn::Changed) => return Err(TurnFailure::NotRun("it is not what it was".to_owned())),
            Err(NoTurn::Failed(failure)) => return Err(TurnFailure::NotRun(failure.to_string())),
        }
        let turn = self.turn(&new_id(), TurnKind::Health);
        let timeout = config.timeout();
        let until = self.manager.now().saturating_add(timeout.as_millis());
        let Some(instance) = &mut self.instance else {
            return Err(TurnFailure::NotRun("it is asleep".to_owned()));
        };
        let context = TurnContext { attempt: 1, fuel: self.manager.live().turn_fuel, ..TurnContext::default() };
        let ended = tokio::select! {
            ended = instance.worker.turn(&turn, context) => Some(ended),
            () = self.manager.clock.sleep_until(until) => None,
        };
        let Some(ended) = ended else {
            // The turn was cut off: the worker is as of its last commit.
            self.instance = None;
            drop(self.wake().await);
            return Err(TurnFailure::Ended(format!("onHealth did not end within {timeout}")));
        };
        let result = ended?;
        instance.worker.undo();
        verdict(&result)
    }
}

/// What the result of the turn says.
fn verdict(result: &TurnResult) -> Result<(), TurnFailure> {
    let unwell = |why: &str| Err(TurnFailure::Ended(why.to_owned()));
    match (result.state, result.answer.as_deref()) {
        (TurnState::Waiting, _) => unwell("onHealth must not wait for other workers or timers"),
        (TurnState::Done, Some(FALSE)) => unwell("onHealth returned false"),
        (TurnState::Done, _) => Ok(()),
    }
}
