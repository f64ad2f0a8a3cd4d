//! The component whose workers run: traits for the code that runs their turns.

use crate::store::{HeapCommit, StoreError};
use elias_capabilities::Cause;
use elias_capabilities::turn::TurnCalls;
use elias_capabilities::workflow::JournalHandle;
use elias_host::{App, CallOptions, Error, ErrorCode, HeapChange, Turn, TurnOutcome, TurnResult, Worker, WorkerCode};
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
        Self::versioned(current, former, false)
    }

    /// The same, where `kept` gives former versions for as long as there are heaps of them, also in processes to come:
    /// a worker keeps its heap then, which gets the code of the present version, if that has the same shape. The heap
    /// stays the difference to the image of its [version](elias_host::WorkerHeap::component), and cannot be read
    /// without that.
    #[must_use]
    pub fn with_kept_versions(
        current: impl Fn() -> Option<App> + Send + Sync + 'static,
        kept: impl Fn() -> Vec<App> + Send + Sync + 'static,
    ) -> Self {
        Self::versioned(current, kept, true)
    }

    fn versioned(
        current: impl Fn() -> Option<App> + Send + Sync + 'static,
        former: impl Fn() -> Vec<App> + Send + Sync + 'static,
        swaps: bool,
    ) -> Self {
        let versioned = move |app| Arc::new(VersionedApp { app, former: former(), swaps }) as Arc<dyn WorkerComponent>;
        Self::of(move || current().map(&versioned))
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

    /// The component that runs workers in this version whose heaps, such as this one, are of another version with the
    /// same shape ([hot swap](crate::WorkerRecord::code)), and the code that they have then.
    ///
    /// # Errors
    /// Why there is none: what the versions differ in.
    fn swapped<'a>(&'a self, _: &'a [u8]) -> BoxFuture<'a, Result<SwappedComponent, String>> {
        ready(Err("the component has no code for workers of other versions".to_owned())).boxed()
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

/// A version as it runs workers whose heaps are of another one.
pub struct SwappedComponent {
    /// It is in every respect the new version, but takes heaps of the other one.
    pub component: Arc<dyn WorkerComponent>,
    /// The code that the heaps have.
    pub code: WorkerCode,
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

/// A worker of an [`App`] that is in memory, with what of its heap is committed.
///
/// Other [`AwakeWorker`]s that run a component are one of these, and what their turns have around them.
#[derive(Debug)]
pub struct AppWorker {
    worker: Worker,
    /// Bytes of its memory as of the last commit; none before the first.
    committed_bytes: Option<u64>,
}

impl AppWorker {
    /// A new worker, or one that goes on with this heap.
    ///
    /// # Errors
    /// As of [`WorkerComponent::wake`].
    pub fn wake(app: &App, heap: Option<&[u8]>) -> Result<Self, TurnFailure> {
        let worker = match heap {
            None => app.start_worker()?,
            Some(bytes) => app.restore_worker(&app.read_heap(bytes)?)?,
        };
        let committed_bytes = heap.map(|_| worker.heap().memory_bytes());
        Ok(Self { worker, committed_bytes })
    }

    /// Runs a turn as an execution with these options, and within what its context says.
    ///
    /// # Errors
    /// As of [`Worker::turn`].
    pub async fn execute(
        &mut self,
        turn: &Turn,
        context: TurnContext,
        mut options: CallOptions,
    ) -> Result<TurnOutcome, Error> {
        context.extend(&mut options);
        self.worker.turn(turn, options).await
    }

    /// What writes down a commit of these pages. The first one is whole, as is one whose change would be larger than
    /// the heap.
    fn write_down(&mut self, change: HeapChange) -> WriteDown {
        let heap = self.worker.heap();
        let before = self.committed_bytes.replace(heap.memory_bytes());
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
}

/// What goes with a turn beside what the worker sees of it.
#[derive(Debug, Clone, Default)]
pub struct TurnContext {
    /// What caused it: that of the message's sender. A turn that goes on with a handler has that of the handler, and
    /// a timer or an alarm that begins one has none.
    pub cause: Cause,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Its outward calls; none of a turn that is not kept, such as a check of health.
    pub calls: Option<TurnCalls>,
    /// The journal of its steps; none likewise.
    pub steps: Option<JournalHandle>,
    /// Units of fuel that it may use, where that is lower than the limit `fuel` of the component.
    pub fuel: Option<u64>,
}

impl TurnContext {
    /// Has the turn's execution be bounded, and puts what capabilities ask for into its extensions.
    fn extend(self, options: &mut CallOptions) {
        options.fuel = self.fuel;
        options.extensions.insert(self.cause);
        if let Some(calls) = self.calls {
            options.extensions.insert(calls);
        }
        if let Some(steps) = self.steps {
            options.extensions.insert(steps);
        }
    }
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
    /// A further attempt went another way than one that was ended: it has not made a call that the other has made.
    Nondeterministic(String),
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
            Self::Ended(why)
            | Self::Nondeterministic(why)
            | Self::NotRun(why)
            | Self::OtherVersion(why)
            | Self::Unusable(why) => f.write_str(why),
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
        Ok(Box::new(AppWorker::wake(self, heap)?))
    }
}

/// An [`App`], and the former versions from which workers are moved to it.
struct VersionedApp {
    app: App,
    former: Vec<App>,
    /// Whether former versions are there for as long as heaps of them.
    swaps: bool,
}

impl VersionedApp {
    /// The version that a heap belongs to; the last of several.
    fn version_of(&self, heap: &[u8]) -> Option<&App> {
        let refusal = |app: &App| app.check_heap(heap).err().map(TurnFailure::from);
        let of_heap = |app: &&App| !matches!(refusal(app), Some(TurnFailure::OtherVersion(_)));
        std::iter::once(&self.app).chain(self.former.iter().rev()).find(of_heap)
    }
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
        let found = self.version_of(heap).map(|app| Arc::new(app.clone()) as Arc<dyn WorkerComponent>);
        ready(found).boxed()
    }

    fn swapped<'a>(&'a self, heap: &'a [u8]) -> BoxFuture<'a, Result<SwappedComponent, String>> {
        let swapped = || -> Result<SwappedComponent, String> {
            if !self.swaps {
                return Err("former versions are not kept here".to_owned());
            }
            let image = self.version_of(heap).ok_or("the version of its heap is not there any more")?;
            let code = image.swap_into(&self.app).map_err(|error| error.to_string())?;
            let component = Arc::new(SwappedApp { image: image.clone(), app: self.app.clone() });
            Ok(SwappedComponent { component, code })
        };
        ready(swapped()).boxed()
    }
}

/// An [`App`], for workers whose heaps are of the version `image`.
struct SwappedApp {
    image: App,
    app: App,
}

impl WorkerComponent for SwappedApp {
    fn has_class(&self, class: &str) -> bool {
        self.app.has_class(class)
    }

    fn version(&self) -> String {
        WorkerComponent::version(&self.app)
    }

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        match heap {
            None => self.app.wake(None),
            Some(_) => self.image.wake(heap),
        }
    }
}

impl AwakeWorker for AppWorker {
    fn turn<'a>(&'a mut self, turn: &'a Turn, context: TurnContext) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        async move { Ok(self.execute(turn, context, CallOptions::default()).await?.result) }.boxed()
    }

    fn undo(&mut self) {
        self.worker.undo();
    }

    fn commit(&mut self) -> WriteDown {
        let change = self.worker.commit();
        self.write_down(change)
    }

    fn commit_earlier(&mut self) -> WriteDown {
        let change = self.worker.commit_earlier();
        self.write_down(change)
    }
}
