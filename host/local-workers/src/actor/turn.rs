//! Tries one turn of a worker: in memory, within the permits, and again if it was interrupted.

use super::Actor;
use super::batch::Departure;
use crate::component::{AwakeWorker, TurnContext, TurnFailure, WorkerComponent};
use crate::handle::WorkerCondition;
use crate::manager::Manager;
use crate::settings::{OtherVersion, WorkerLifecycle};
use crate::store::StoreError;
use elias_capabilities::Cause;
use elias_capabilities::trigger::ActiveWork;
use elias_host::{ErrorCode, Turn, TurnKind, TurnResult};
use elias_workers::AttemptDecision;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use tokio::sync::OwnedSemaphorePermit;

/// How long a turn waits that could not begin, such as where the host has no instance left, and how long after several
/// attempts: each reads the heap again. In milliseconds.
const NOT_RUN_DELAY_MS: u64 = 200;
const NOT_RUN_DELAY_MAX_MS: u64 = 6_400;

/// For how long a worker that is to be tried again keeps its place in memory, in milliseconds: its backoff may be
/// hours.
const KEEPS_PLACE_MS: u64 = 1_000;

/// For how long it is tried whether a turn can begin, in milliseconds.
const NOT_RUN_MAX_MS: u64 = 30_000;

/// Turns that a worker has while others wait for a permit, before it gives its own to one of them: else one whose queue
/// is never empty would keep it for ever. Each exchange costs that a heap is read.
const TURNS_WHILE_OTHERS_WAIT: u32 = 32;

/// A worker's instance, with the permit for it.
pub(super) struct Instance {
    pub(super) worker: Box<dyn AwakeWorker>,
    /// Of which generation of the component it is.
    generation: u64,
    /// Whether it is of a former version, which serves a worker that is not moved yet.
    is_former: bool,
    /// How many turns it was tried for.
    turns: u32,
    _permit: OwnedSemaphorePermit,
}

/// Why there was no turn.
pub(super) enum NoTurn {
    /// It failed, and the worker is as it was.
    Failed(TurnFailure),
    /// The worker is not what it was when the turn was to begin: it began anew, or is to be read again. The turn has
    /// not begun.
    Changed,
}

impl From<TurnFailure> for NoTurn {
    fn from(failure: TurnFailure) -> Self {
        Self::Failed(failure)
    }
}

impl Actor {
    /// Runs a turn, as often as the supervision says. A turn that is ended leaves the worker as it was. The result is
    /// pending until it is committed, for which the second value goes into the batch.
    ///
    /// # Errors
    /// Why it failed for good. A turn that cannot begin is tried for half a minute. A further attempt that does not
    /// make the calls of a former one is undone. The worker has changed if another host was given it before an attempt.
    pub(super) async fn attempt(
        &mut self,
        id: &str,
        kind: &TurnKind,
        cause: &Cause,
    ) -> Result<(TurnResult, ActiveWork), NoTurn> {
        let interrupted = self.interrupted.take().filter(|(turn, _)| turn == id);
        let mut attempt = interrupted.map_or(1, |(_, attempt)| attempt);
        let (mut delay, began) = (NOT_RUN_DELAY_MS, self.manager.now());
        self.idle_since = None;
        let journal = self.journal(id, kind);
        loop {
            if self.manager.is_stopping() {
                // Why it failed is in the log.
                drop(self.flush().await);
                // Whoever stops the workers drops the task.
                return std::future::pending().await;
            }
            self.handle.show(WorkerCondition::Running, &self.record);
            let (calls, steps) = journal.attempt();
            let context = TurnContext {
                cause: cause.clone(),
                attempt,
                calls: Some(calls.clone()),
                steps: Some(steps),
                fuel: self.manager.live().turn_fuel,
            };
            let failure = match self.run_once(id, kind, context).await {
                Ok(result) => return self.check_calls(journal.missed(&calls)).await.map(|()| result),
                Err(NoTurn::Changed) => return Err(NoTurn::Changed),
                Err(NoTurn::Failed(failure)) => failure,
            };
            let now = self.manager.now();
            let (again_at, leaves_memory) = match failure {
                TurnFailure::NotRun(why) => {
                    if now.saturating_sub(began) >= NOT_RUN_MAX_MS {
                        return Err(TurnFailure::NotRun(why).into());
                    }
                    tracing::debug!(worker = %self.handle.key, "a turn cannot begin yet: {why}");
                    // Another worker may need what this one has of the host.
                    let again_at = now.saturating_add(delay);
                    delay = delay.saturating_mul(2).min(NOT_RUN_DELAY_MAX_MS);
                    (again_at, true)
                }
                TurnFailure::Ended(why) => {
                    self.supervisor.set_policy(self.manager.live().supervision);
                    let decision = self.supervisor.decide(attempt, now);
                    tracing::error!(worker = %self.handle.key, attempt, ?decision, "a turn was ended: {why}");
                    attempt += 1;
                    match decision {
                        AttemptDecision::RetryAt(at) => (at, at.saturating_sub(now) >= KEEPS_PLACE_MS),
                        AttemptDecision::DeadLetter => {
                            self.report_too_many(kind, &why);
                            return Err(TurnFailure::Ended(why).into());
                        }
                    }
                }
                other => return Err(other.into()),
            };
            // The turns before need not wait for this one.
            self.flush().await.map_err(|_| NoTurn::Changed)?;
            if leaves_memory {
                self.instance = None;
            }
            // What the worker has to do of itself, its next owner does.
            let is_own = matches!(kind, TurnKind::Reply { .. } | TurnKind::Timer { .. } | TurnKind::Alarm { .. });
            if self.back_off(again_at, is_own).await {
                self.interrupted = Some((id.to_owned(), attempt));
                return Err(NoTurn::Changed);
            }
        }
    }

    /// Undoes a turn that has run, if it has not made a call that a former attempt has made: what the worker holds then
    /// does not fit what was done outside.
    async fn check_calls(&mut self, missed: Option<String>) -> Result<(), NoTurn> {
        let Some(missed) = missed else { return Ok(()) };
        self.flush_earlier().await.map_err(|_| NoTurn::Changed)?;
        self.instance = None;
        let why = format!(
            "{}: an attempt of the turn that was ended has called {missed}, and this one went another way and has not; \
             outward calls of a turn must not depend on the time, on random numbers or on requests that are not kept",
            ErrorCode::NondeterministicTurn.as_str()
        );
        tracing::error!(worker = %self.handle.key, "a turn is undone: {why}");
        Err(TurnFailure::Nondeterministic(why).into())
    }

    /// Waits until a turn is to be tried again. Another host that needs the worker gets it at once; a message is not
    /// tried again here before its time, and the worker is not asked for. Whether it was given up.
    async fn back_off(&mut self, until: u64, is_own: bool) -> bool {
        loop {
            if self.handle.gives_up.swap(false, SeqCst) && !self.is_given_up {
                self.give_up().await;
            }
            if self.is_given_up && is_own {
                return true;
            }
            tokio::select! {
                () = self.manager.clock.sleep_until(until) => return self.is_given_up,
                () = self.handle.changed.notified() => {}
            }
        }
    }

    /// If the worker is stopped, since too many of its turns were ended, has its supervision tree know.
    fn report_too_many(&self, kind: &TurnKind, why: &str) {
        let Some(until) = self.supervisor.stopped_until(self.manager.now()) else { return };
        self.handle.stopped_until.store(until, SeqCst);
        // One that is stopped already ends, and may be restarted by its tree.
        if !matches!(kind, TurnKind::Stop { .. }) {
            self.manager.report_failure(&self.handle.key, &format!("too many of its turns were ended, at last: {why}"));
        }
    }

    async fn run_once(
        &mut self,
        id: &str,
        kind: &TurnKind,
        context: TurnContext,
    ) -> Result<(TurnResult, ActiveWork), NoTurn> {
        self.wake().await?;
        if !self.is_started() && !matches!(kind, TurnKind::Start) {
            return Err(NoTurn::Changed);
        }
        let turn = self.turn(id, kind.clone());
        let Some(instance) = &mut self.instance else {
            return Err(TurnFailure::NotRun("it is asleep".to_owned()).into());
        };
        instance.turns = instance.turns.saturating_add(1);
        let (active, fuel) = (self.manager.tasks.begin(), context.fuel);
        let result = instance.worker.turn(&turn, context).await;
        Ok((result.map_err(|failure| name_fuel(failure, fuel))?, active))
    }

    /// A turn that begins now.
    pub(super) fn turn(&mut self, id: &str, kind: TurnKind) -> Turn {
        let now = self.manager.now().max(self.record.now);
        self.turn_now = now;
        Turn { class: self.handle.key.class.clone(), name: self.handle.key.name.clone(), id: id.to_owned(), now, kind }
    }

    /// Has the worker in memory, in the component as it is now.
    pub(super) async fn wake(&mut self) -> Result<(), NoTurn> {
        let generation = self.manager.generation();
        let others_wait = self.manager.starved.load(SeqCst) > 0;
        if let Some(instance) = &self.instance {
            let may_stay = !(others_wait && instance.turns >= TURNS_WHILE_OTHERS_WAIT);
            let may_move = instance.is_former && !self.record.is_waiting() && self.not_upgraded != Some(generation);
            if instance.generation == generation && may_stay && !may_move {
                return Ok(());
            }
        }
        self.flush().await.map_err(|_| NoTurn::Changed)?;
        self.instance = None;
        let permit = permit(&self.manager).await?;
        let component = self.manager.component(&self.handle.key);
        let component = component.ok_or_else(|| TurnFailure::NotRun("no component is loaded".to_owned()))?;
        self.follow_deployment(&*component).await?;
        let (worker, is_former) = if self.is_started() {
            let heap = self.read_heap().await?;
            let woken = match &self.record.code {
                None => component.wake(Some(&heap)),
                Some(code) => Err(TurnFailure::OtherVersion(format!("its heap has the code of {}", code.version))),
            };
            match woken {
                Err(TurnFailure::OtherVersion(why)) => self.wake_other(component, heap, why, generation).await?,
                woken => (woken?, false),
            }
        } else {
            (component.wake(None)?, false)
        };
        self.instance = Some(Instance { worker, generation, is_former, turns: 0, _permit: permit });
        if self.batch.has_turns() {
            // It was moved to this version: that is kept before anything else.
            self.flush().await.map_err(|error| match error {
                StoreError::NotOwner => NoTurn::Changed,
                error => TurnFailure::Unusable(format!("the move to another version cannot be kept: {error}")).into(),
            })?;
        }
        Ok(())
    }

    /// The heap as of the last commit.
    async fn read_heap(&mut self) -> Result<Vec<u8>, NoTurn> {
        let heap = self.kept_heap(self.record.turns).await?;
        heap.map_err(|error| TurnFailure::Unusable(format!("the heap cannot be read: {error}")).into())
    }

    /// The heap as of a committed turn, or why there is none.
    ///
    /// # Errors
    /// If it cannot be read now.
    pub(super) async fn kept_heap(&mut self, turn: u64) -> Result<Result<Vec<u8>, StoreError>, NoTurn> {
        let store = Arc::clone(&self.manager.store);
        match store.heap(&self.handle.key, turn).await {
            Err(StoreError::NotOwner) => {
                self.epoch = None;
                Err(NoTurn::Changed)
            }
            Err(error @ (StoreError::Io(_) | StoreError::Unavailable(_))) => {
                tracing::error!(worker = %self.handle.key, "the heap cannot be read: {error}");
                Err(TurnFailure::NotRun("its heap cannot be read now".to_owned()).into())
            }
            read => Ok(read),
        }
    }

    /// Has a worker in memory whose heap belongs to another version of the component. Whether that runs its turns.
    async fn wake_other(
        &mut self,
        component: Arc<dyn WorkerComponent>,
        heap: Vec<u8>,
        why: String,
        generation: u64,
    ) -> Result<(Box<dyn AwakeWorker>, bool), NoTurn> {
        let policy = self.manager.settings.other_version;
        if let Some(code) = &self.record.code
            && let Ok(swapped) = component.swapped(&heap).await
            && swapped.code.name() == code.name
        {
            return Ok((swapped.component.wake(Some(&heap))?, false));
        }
        let why = if policy.upgrades() {
            let predecessor = component.predecessor(&heap).await;
            match predecessor {
                None => format!("{why}; the former version is not there any more"),
                Some(former) if self.record.is_waiting() || self.not_upgraded == Some(generation) => {
                    return Ok((former.wake(Some(&heap))?, true));
                }
                Some(former) => match self.move_to(&component, &former, &heap).await {
                    Ok(worker) => {
                        self.handle.show_upgrade_error(None);
                        let (from, to) = (former.version(), component.version());
                        self.hold_back(Departure::Lifecycle(WorkerLifecycle::Upgraded { from, to }));
                        return Ok((worker, false));
                    }
                    // It may go well later.
                    Err(TurnFailure::NotRun(why)) => return Err(TurnFailure::NotRun(why).into()),
                    Err(failure) if policy == OtherVersion::Upgrade => {
                        component.upgrade_failed(&self.handle.key);
                        let reason = failure.to_string();
                        tracing::error!(worker = %self.handle.key, "a former version goes on serving it: {reason}");
                        self.handle.show_upgrade_error(Some(reason));
                        self.not_upgraded = Some(generation);
                        return Ok((former.wake(Some(&heap))?, true));
                    }
                    Err(failure) => failure.to_string(),
                },
            }
        } else {
            why
        };
        if !policy.begins_anew() {
            return Err(TurnFailure::OtherVersion(why).into());
        }
        tracing::warn!(worker = %self.handle.key, "the worker begins anew, without what it held: {why}");
        self.remove().await.map_err(|error| TurnFailure::Unusable(format!("it cannot begin anew: {error}")))?;
        Ok((component.wake(None)?, false))
    }

    /// Moves the worker to another version: with its heap, if that version's code fits, and else by its state.
    async fn move_to(
        &mut self,
        component: &Arc<dyn WorkerComponent>,
        former: &Arc<dyn WorkerComponent>,
        heap: &[u8],
    ) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let manager = Arc::clone(&self.manager);
        let _permit = manager.moves.acquire().await.map_err(|error| TurnFailure::NotRun(error.to_string()))?;
        let version = self.record.code.as_ref().map_or_else(|| former.version(), |code| code.version.clone());
        let swapped = match component.swapped(heap).await {
            Err(why) => Err((why, false)),
            Ok(swapped) => match self.swap(component, &swapped, &version, heap).await {
                Err(TurnFailure::NotRun(why)) => return Err(TurnFailure::NotRun(why)),
                swapped => swapped.map_err(|failure| (failure.to_string(), true)),
            },
        };
        let (why, was_tried) = match swapped {
            Ok(worker) => return Ok(worker),
            Err(reason) => reason,
        };
        tracing::info!(worker = %self.handle.key, "the worker cannot keep its heap, and is moved by its state: {why}");
        let moved = self.upgrade(component, former, &version, heap).await;
        moved.map_err(|failure| match failure {
            TurnFailure::Thrown { name, message } if was_tried => {
                TurnFailure::Thrown { name, message: format!("{message} (its heap cannot be kept: {why})") }
            }
            failure => failure,
        })
    }
}

/// A failure; where the fuel was used up that turns have by a setting of workers, it says so.
fn name_fuel(failure: TurnFailure, fuel: Option<u64>) -> TurnFailure {
    match (failure, fuel) {
        (TurnFailure::Ended(why), Some(most)) if why.starts_with(ErrorCode::OutOfFuel.as_str()) => {
            TurnFailure::Ended(format!("{why}; a turn has {most} at most (fuel of [workers.limits])"))
        }
        (failure, _) => failure,
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
