//! Operations: commands that are under way.

use super::backend::Backend;
use super::caps::Caps;
use super::contract::{Command, CommandOutput, Error, ErrorCode};
use super::lease::{Lease, Leases};
use elias_host::capability::wasmtime::{Result as Trapping, bail};
use elias_host::capability::{CallMeter, HostCall, InstanceState};
use futures::channel::oneshot;
use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use wasmtime_wasi_io::async_trait;
use wasmtime_wasi_io::poll::Pollable;

/// The final result of a command.
pub(super) type Outcome = Result<CommandOutput<Lease>, Error>;

/// The parts with which one instance starts commands.
#[derive(Clone)]
pub(super) struct CommandRunner {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) leases: Arc<Leases>,
    pub(super) caps: Caps,
    /// Operations that may be under way.
    pub(super) operations: u32,
    /// Operations that are.
    pub(super) pending: Arc<AtomicU32>,
    /// Those of them that may have many values in memory.
    pub(super) many: Arc<Semaphore>,
    pub(super) calls: CallMeter,
}

/// Returns the runner by which an instance starts commands.
pub(super) type RunnerGetter = fn(&mut InstanceState) -> &mut CommandRunner;

/// Commands for many values of one instance that run at a time, where these do not lie in memory anyway. More of them
/// wait.
pub(super) const MANY: usize = 4;

/// The result of a command, and the resources that it holds until that is taken.
type Completion = (Outcome, Option<OwnedSemaphorePermit>);

/// A command that was started.
pub(super) enum StartOutcome {
    /// It is done already.
    Done(Outcome),
    /// It is under way.
    Pending(Operation),
}

/// A command that is under way, as a task of its own; it is aborted when this is dropped.
pub(super) struct Operation {
    state: State,
    task: AbortHandle,
    pending: Arc<AtomicU32>,
    /// Ended when the outcome is there for the guest.
    call: Option<HostCall>,
}

enum State {
    Running(oneshot::Receiver<Completion>),
    Ready(Completion),
    Taken,
}

impl CommandRunner {
    /// Runs a command that takes no lease, for a caller that waits.
    pub(super) async fn run(&self, command: Command) -> Outcome {
        let _call = self.calls.begin().named(command.operation());
        run(&*self.backend, self.caps.check(command)?).await
    }

    /// Starts a command. One that the backend can do at once never becomes an operation.
    pub(super) fn start(&self, command: Command) -> StartOutcome {
        let call = self.calls.begin().named(command.operation());
        let command = match self.caps.check(command) {
            Ok(command) => command,
            Err(error) => return StartOutcome::Done(Err(error)),
        };
        // Operations of one instance are started by one thread: nothing is added between this look and the count.
        let full = self.pending.load(Ordering::Relaxed) >= self.operations;
        if full && !self.backend.immediate() {
            return StartOutcome::Done(Err(self.too_many()));
        }
        if let Command::Set(entry) = &command {
            self.leases.offer(&entry.key, &entry.value);
        }
        let backend = Arc::clone(&self.backend);
        if backend.immediate() && !matches!(command, Command::Lease(_)) {
            let outcome = run(&*backend, command).now_or_never();
            return StartOutcome::Done(outcome.unwrap_or_else(|| Err(broken_off())));
        }
        let mut running: BoxFuture<'static, Completion> = match command {
            Command::Lease(key) => {
                let leases = Arc::clone(&self.leases);
                async move { (leases.read_or_acquire(backend, key).await, None) }.boxed()
            }
            Command::GetMany(_) => {
                let many = Arc::clone(&self.many);
                async move {
                    let held = many.acquire_owned().await.ok();
                    (run(&*backend, command).await, held)
                }
                .boxed()
            }
            command => async move { (run(&*backend, command).await, None) }.boxed(),
        };
        // Woken by nobody if it is not done: the task polls it again.
        if let Some((outcome, _)) = running.as_mut().now_or_never() {
            return StartOutcome::Done(outcome);
        }
        if full {
            return StartOutcome::Done(Err(self.too_many()));
        }
        let (sender, receiver) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Nobody listens any more when the operation was dropped meanwhile.
            drop(sender.send(running.await));
        });
        self.pending.fetch_add(1, Ordering::Relaxed);
        let pending = Arc::clone(&self.pending);
        let (state, task) = (State::Running(receiver), task.abort_handle());
        StartOutcome::Pending(Operation { state, task, pending, call: Some(call) })
    }

    fn too_many(&self) -> Error {
        let message = format!("{} operations are under way, as many as operations allows", self.operations);
        Error::new(ErrorCode::TooManyOperations, message)
    }
}

impl Operation {
    /// Takes the outcome, which can be taken once; `None` while the operation runs.
    pub(super) fn take(&mut self) -> Trapping<Option<Outcome>> {
        let (outcome, _held) = match std::mem::replace(&mut self.state, State::Taken) {
            State::Taken => bail!("the result of an operation must be taken only once"),
            State::Ready(outcome) => outcome,
            State::Running(mut receiver) => match receiver.try_recv() {
                Ok(Some(outcome)) => outcome,
                Ok(None) => {
                    self.state = State::Running(receiver);
                    return Ok(None);
                }
                Err(oneshot::Canceled) => (Err(broken_off()), None),
            },
        };
        self.pending.fetch_sub(1, Ordering::Relaxed);
        self.call = None;
        Ok(Some(outcome))
    }
}

#[async_trait]
impl Pollable for Operation {
    async fn ready(&mut self) {
        if let State::Running(receiver) = &mut self.state {
            let outcome = receiver.await.unwrap_or_else(|oneshot::Canceled| (Err(broken_off()), None));
            self.state = State::Ready(outcome);
            self.call = None;
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.task.abort();
        if !matches!(self.state, State::Taken) {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Runs a command that takes no lease.
async fn run(backend: &dyn Backend, command: Command) -> Outcome {
    backend.run(command).await?.map_lease(|none| match none {})
}

fn broken_off() -> Error {
    Error::new(ErrorCode::Unavailable, "the operation was broken off")
}
