//! The component whose workers run: traits for the code that runs their turns.

use crate::store::{HeapCommit, StoreError};
use elias_capabilities::Cause;
use elias_host::{App, CallOptions, Error, ErrorCode, HeapChange, Turn, TurnResult, Worker, WorkerHeap};
use elias_workers::WorkerKey;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::fmt;
use std::sync::Arc;

/// Gives the component that runs a worker.
type ComponentOf = dyn Fn(&WorkerKey) -> Option<Arc<dyn WorkerComponent>> + Send + Sync;

/// The component whose workers run: always the same, or whichever is loaded at the time.
#[derive(Clone)]
pub struct ComponentSource(Arc<ComponentOf>);

impl ComponentSource {
    /// A source that `current` gives the component of; none while none is loaded. Whoever exchanges the component tells
    /// [`RunningWorkers::reload`](crate::RunningWorkers::reload).
    #[must_use]
    pub fn new(current: impl Fn() -> Option<App> + Send + Sync + 'static) -> Self {
        Self::of(move || current().map(|app| Arc::new(app) as Arc<dyn WorkerComponent>))
    }

    /// The same, where a worker whose heap belongs to a former version is moved by one of those that `former` gives,
    /// the last of which is tried first.
    #[must_use]
    pub fn with_former(
        current: impl Fn() -> Option<App> + Send + Sync + 'static,
        former: impl Fn() -> Vec<App> + Send + Sync + 'static,
    ) -> Self {
        let current =
            move || current().map(|app| Arc::new(VersionedApp { app, former: former() }) as Arc<dyn WorkerComponent>);
        Self::of(current)
    }

    /// A source of components of another kind than [`App`].
    #[must_use]
    pub fn of(current: impl Fn() -> Option<Arc<dyn WorkerComponent>> + Send + Sync + 'static) -> Self {
        Self::by_worker(move |_| current())
    }

    /// A source that gives the component by worker: during a rollout some run in another version than the others.
    /// Whoever changes which ones tells [`RunningWorkers::reload`](crate::RunningWorkers::reload).
    #[must_use]
    pub fn by_worker(current: impl Fn(&WorkerKey) -> Option<Arc<dyn WorkerComponent>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    /// The component that runs a worker now.
    pub(crate) fn current(&self, key: &WorkerKey) -> Option<Arc<dyn WorkerComponent>> {
        (self.0)(key)
    }
}

impl From<App> for ComponentSource {
    fn from(app: App) -> Self {
        Self::new(move || Some(app.clone()))
    }
}

impl fmt::Debug for ComponentSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComponentSource")
    }
}

/// A component that has workers.
pub trait WorkerComponent: Send + Sync {
    /// Whether it has a class of this name.
    fn has_class(&self, class: &str) -> bool;

    /// Its version, as `onUpgrade(from)` of a later one is told it; empty where it has none.
    fn version(&self) -> String {
        String::new()
    }

    /// A new worker, or one that goes on with this heap.
    ///
    /// # Errors
    /// [`TurnFailure::OtherVersion`], if the heap belongs to another version; [`TurnFailure::NotRun`], if there is no
    /// room for it now; [`TurnFailure::Unusable`], if the heap is damaged.
    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure>;

    /// The former version that this heap belongs to, by which a worker is moved to this one
    /// ([`OtherVersion::Upgrade`](crate::OtherVersion::Upgrade)); none if there is none any more.
    fn predecessor<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Option<Arc<dyn WorkerComponent>>> {
        ready(None).boxed()
    }

    /// The id of the deployment by which it runs. A worker that is moved to it remembers what it was before, in case
    /// that deployment is rolled back; none where deployments are not.
    fn deployment(&self) -> Option<String> {
        None
    }

    /// What became of the deployment that moved a worker to the version that it runs in.
    ///
    /// # Errors
    /// [`TurnFailure::NotRun`], if that cannot be known now.
    fn phase<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<DeploymentPhase, TurnFailure>> {
        ready(Ok(DeploymentPhase::Superseded)).boxed()
    }

    /// The worker goes back to this heap, of the version that [`Self::version`] of its former component named. Told
    /// before the commit.
    fn restores(&self, _: &WorkerKey, _: &str, _: &[u8]) {}

    /// A worker could not be moved to this component.
    fn upgrade_failed(&self, _: &WorkerKey) {}
}

/// What became of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentPhase {
    /// Its rollout is under way: it may be rolled back at any time.
    Rollout,
    /// It serves.
    Serving,
    /// It was rolled back: workers that it moved go back to what they were before.
    RolledBack,
    /// Another one has taken its place, or it is not known any more: workers go on as they are.
    Superseded,
}

/// A worker that is in memory.
///
/// Turns that went well and were not committed are part of it, and are lost with it.
pub trait AwakeWorker: Send {
    /// Runs a turn; one that fails has changed nothing. Where what this gives is dropped before it is done, the worker
    /// is dropped, too.
    ///
    /// # Errors
    /// Why it failed.
    fn turn<'a>(&'a mut self, turn: &'a Turn, context: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>>;

    /// Undoes the last turn, which went well and is not committed.
    fn undo(&mut self);

    /// Makes what turns wrote since the last commit part of the heap. Gives what writes that down, which takes a while
    /// and may be called on another thread. Never [`HeapCommit::BackTo`]; and [`HeapCommit::Whole`] in the first commit
    /// of a worker that was woken without a heap.
    fn commit(&mut self) -> WriteDown;

    /// The same without the last turn, which stays as if it had been run after this commit. For where the heap of
    /// before that turn is to be kept.
    fn commit_earlier(&mut self) -> WriteDown;
}

/// Bytes of pages that are written down where futures run. This takes less than half a millisecond; to have another
/// thread do it, and to be told, takes longer than to write down what a turn usually changes.
const WRITTEN_HERE_BYTES: u64 = 128 << 10;

/// What writes a commit down, once.
pub struct WriteDown {
    bytes: u64,
    write: Box<dyn FnOnce() -> Result<HeapCommit, TurnFailure> + Send>,
}

impl WriteDown {
    /// What `write` writes down, of pages with so many bytes.
    pub fn new(bytes: u64, write: impl FnOnce() -> Result<HeapCommit, TurnFailure> + Send + 'static) -> Self {
        Self { bytes, write: Box::new(write) }
    }

    /// Writes the commit down: here, or by another thread if that takes a while.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], if it cannot be written down.
    pub async fn run(self) -> Result<HeapCommit, StoreError> {
        let written = if self.bytes <= WRITTEN_HERE_BYTES {
            (self.write)()
        } else {
            let written = tokio::task::spawn_blocking(self.write).await;
            written.map_err(|error| StoreError::Io(std::io::Error::other(error)))?
        };
        written.map_err(|failure| StoreError::Damaged(format!("the heap cannot be written: {failure:?}")))
    }
}

impl fmt::Debug for WriteDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteDown({} bytes)", self.bytes)
    }
}

/// What writes down a commit of these pages, of this heap. `committed_bytes` are those of the memory as of the last
/// commit, none before the first, which is whole; as is one whose change would be larger than the heap.
pub fn write_down(committed_bytes: &mut Option<u64>, change: HeapChange, heap: WorkerHeap) -> WriteDown {
    let before = committed_bytes.replace(heap.memory_bytes());
    let is_whole = before.is_none() || change.bytes() >= heap.bytes();
    WriteDown::new(if is_whole { heap.bytes() } else { change.bytes() }, move || {
        let is_unchanged = change.pages().len() == 0 && before == Some(heap.memory_bytes());
        Ok(if is_unchanged {
            HeapCommit::Unchanged
        } else if is_whole {
            HeapCommit::Whole(heap.to_bytes()?)
        } else {
            HeapCommit::Change(change.to_bytes()?)
        })
    })
}

/// What goes with a turn beside what the worker sees of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TurnContext {
    /// What caused it: that of the message's sender. A turn that goes on with a handler has that of the handler, and
    /// a timer or an alarm that begins one has none.
    pub cause: Cause,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

/// Why a turn did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnFailure {
    /// The handler threw.
    Thrown {
        /// The error's class.
        name: String,
        /// The error's message.
        message: String,
    },
    /// The turn was ended: a trap, no more fuel, memory or time.
    Ended(String),
    /// It did not begin; it may later.
    NotRun(String),
    /// The heap is of another version of the component, or the component has no workers any more.
    OtherVersion(String),
    /// The heap is damaged, or cannot be written.
    Unusable(String),
}

impl fmt::Display for TurnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Thrown { name, message } => write!(f, "{name}: {message}"),
            Self::Ended(why) | Self::NotRun(why) | Self::OtherVersion(why) | Self::Unusable(why) => f.write_str(why),
        }
    }
}

impl From<Error> for TurnFailure {
    fn from(error: Error) -> Self {
        if let Some(exception) = error.exception() {
            return Self::Thrown { name: exception.name.clone(), message: exception.message.clone() };
        }
        let message = format!("{}: {error}", error.code());
        match error.code() {
            ErrorCode::NeverSettles => Self::Thrown { name: "Error".to_owned(), message },
            ErrorCode::Overloaded => Self::NotRun(message),
            ErrorCode::HeapMismatch | ErrorCode::MissingExport => Self::OtherVersion(message),
            ErrorCode::HeapDamaged | ErrorCode::Internal => Self::Unusable(message),
            _ => Self::Ended(message),
        }
    }
}

impl WorkerComponent for App {
    fn has_class(&self, class: &str) -> bool {
        self.manifest().is_some_and(|manifest| manifest.workers.iter().any(|known| known == class))
    }

    fn version(&self) -> String {
        Self::version(self).to_owned()
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let worker = match heap {
            None => self.start_worker()?,
            Some(bytes) => self.restore_worker(&WorkerHeap::from_bytes(bytes, self.limits().memory_bytes)?)?,
        };
        let committed_bytes = heap.map(|_| worker.heap().memory_bytes());
        Ok(Box::new(AppWorker { worker, committed_bytes }))
    }
}

/// An [`App`], and the former versions from which workers are moved to it.
struct VersionedApp {
    app: App,
    former: Vec<App>,
}

impl WorkerComponent for VersionedApp {
    fn has_class(&self, class: &str) -> bool {
        self.app.has_class(class)
    }

    fn version(&self) -> String {
        WorkerComponent::version(&self.app)
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        self.app.wake(heap)
    }

    fn predecessor<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Option<Arc<dyn WorkerComponent>>> {
        let of_heap = |app: &&App| !matches!(app.wake(Some(heap)), Err(TurnFailure::OtherVersion(_)));
        let found = self.former.iter().rev().find(of_heap);
        ready(found.map(|app| Arc::new(app.clone()) as Arc<dyn WorkerComponent>)).boxed()
    }
}

/// A worker of an [`App`].
struct AppWorker {
    worker: Worker,
    /// Bytes of its memory as of the last commit; none before the first.
    committed_bytes: Option<u64>,
}

impl AwakeWorker for AppWorker {
    fn turn<'a>(&'a mut self, turn: &'a Turn, context: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        async move {
            let mut options = CallOptions::default();
            options.extensions.insert(context.cause);
            Ok(self.worker.turn(turn, options).await?.result)
        }
        .boxed()
    }

    fn undo(&mut self) {
        self.worker.undo();
    }

    fn commit(&mut self) -> WriteDown {
        let change = self.worker.commit();
        write_down(&mut self.committed_bytes, change, self.worker.heap())
    }

    fn commit_earlier(&mut self) -> WriteDown {
        let change = self.worker.commit_earlier();
        write_down(&mut self.committed_bytes, change, self.worker.heap())
    }
}
