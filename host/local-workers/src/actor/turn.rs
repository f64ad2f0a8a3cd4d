//! How one turn of a worker is tried: in memory, within the permits, and again if it was ended.

use super::Actor;
use crate::component::{AwakeWorker, TurnFailure};
use crate::manager::{Manager, WorkerCondition};
use crate::settings::OtherVersion;
use elias_capabilities::trigger::ActiveWork;
use elias_host::{Turn, TurnKind, TurnResult};
use elias_workers::AttemptDecision;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use tokio::sync::OwnedSemaphorePermit;

/// How long a turn waits that could not begin, such as where the host has no instance left; in milliseconds.
const NOT_RUN_DELAY_MS: u64 = 200;

/// Turns that a worker has while others wait for a permit, before it gives its own to one of them: else one whose queue
/// is never empty would keep it for ever. Each exchange costs that a heap is read.
const TURNS_WHILE_OTHERS_WAIT: u32 = 32;

/// A worker's instance, with the permit for it.
pub(crate) struct Instance {
    pub(crate) worker: Box<dyn AwakeWorker>,
    /// Of which generation of the component it is.
    generation: u64,
    /// How many turns it was tried for.
    turns: u32,
    _permit: OwnedSemaphorePermit,
}

impl Actor {
    /// Runs a turn, as often as the supervision says. A turn that is ended leaves the worker as it was. The result is
    /// pending until it is committed, which is to be done while the second value lives.
    ///
    /// # Errors
    /// Why it failed for good. [`TurnFailure::NotRun`] is none of them: it is tried until it runs.
    pub(crate) async fn attempt(&mut self, id: &str, kind: &TurnKind) -> Result<(TurnResult, ActiveWork), TurnFailure> {
        let mut attempt = 0;
        loop {
            if self.manager.is_stopping() {
                // Whoever stops the workers drops the task.
                return std::future::pending().await;
            }
            self.handle.show(WorkerCondition::Running, &self.record);
            let failure = match self.run_once(id, kind).await {
                Ok(result) => return Ok(result),
                Err(failure) => failure,
            };
            let now = self.manager.now();
            match failure {
                TurnFailure::NotRun(why) => {
                    tracing::debug!(worker = %self.handle.key, "a turn cannot begin yet: {why}");
                    // Another worker may need what this one has of the host.
                    self.instance = None;
                    self.manager.clock.sleep_until(now + NOT_RUN_DELAY_MS).await;
                }
                TurnFailure::Ended(why) => {
                    attempt += 1;
                    let decision = self.supervisor.decide(attempt, now);
                    tracing::error!(worker = %self.handle.key, attempt, ?decision, "a turn was ended: {why}");
                    match decision {
                        AttemptDecision::RetryAt(at) => self.manager.clock.sleep_until(at).await,
                        AttemptDecision::DeadLetter => return Err(TurnFailure::Ended(why)),
                    }
                }
                other => return Err(other),
            }
        }
    }

    async fn run_once(&mut self, id: &str, kind: &TurnKind) -> Result<(TurnResult, ActiveWork), TurnFailure> {
        self.wake().await?;
        if self.heap.is_none() && !matches!(kind, TurnKind::Start) {
            return Err(TurnFailure::BeganAnew);
        }
        let Some(instance) = &mut self.instance else { return Err(TurnFailure::NotRun("it is asleep".to_owned())) };
        let turn = Turn {
            class: self.handle.key.class.clone(),
            name: self.handle.key.name.clone(),
            id: id.to_owned(),
            now: self.manager.now().max(self.record.now),
            kind: kind.clone(),
        };
        self.turn_now = turn.now;
        instance.turns = instance.turns.saturating_add(1);
        let active = self.manager.tasks.begin();
        Ok((instance.worker.turn(&turn).await?, active))
    }

    /// Has the worker in memory, in the component as it is now.
    async fn wake(&mut self) -> Result<(), TurnFailure> {
        let generation = self.manager.generation();
        let others_wait = self.manager.starved.load(SeqCst) > 0;
        let may_stay = |turns: u32| !(others_wait && turns >= TURNS_WHILE_OTHERS_WAIT);
        let stays = |instance: &Instance| instance.generation == generation && may_stay(instance.turns);
        if self.instance.as_ref().is_some_and(stays) {
            return Ok(());
        }
        self.instance = None;
        let permit = permit(&self.manager).await?;
        let component = self.manager.component();
        let component = component.ok_or_else(|| TurnFailure::NotRun("no component is loaded".to_owned()))?;
        let worker = match component.wake(self.heap.as_deref()) {
            Err(TurnFailure::OtherVersion(why))
                if self.manager.settings.other_version == OtherVersion::BeginAnew && self.heap.is_some() =>
            {
                tracing::warn!(worker = %self.handle.key, "the worker begins anew, without what it held: {why}");
                self.begin_anew();
                component.wake(None)?
            }
            woken => woken?,
        };
        self.instance = Some(Instance { worker, generation, turns: 0, _permit: permit });
        Ok(())
    }
}

/// A permit to be in memory. Where there is none, a worker that has nothing to do gives its own back.
async fn permit(manager: &Manager) -> Result<OwnedSemaphorePermit, TurnFailure> {
    let slots = Arc::clone(&manager.slots);
    if let Ok(permit) = Arc::clone(&slots).try_acquire_owned() {
        return Ok(permit);
    }
    let _starved = Starved::new(&manager.starved);
    manager.pressure.notify_one();
    slots.acquire_owned().await.map_err(|error| TurnFailure::NotRun(error.to_string()))
}

/// Counts a worker that waits for a permit.
struct Starved<'a>(&'a AtomicUsize);

impl<'a> Starved<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for Starved<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}
