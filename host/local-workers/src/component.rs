//! What runs the turns: the workers of a component.

use elias_host::{App, CallOptions, Error, ErrorCode, Turn, TurnResult, Worker, WorkerHeap};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::fmt;
use std::sync::Arc;

/// The component whose workers run: always the same, or whichever is loaded at the time.
#[derive(Clone)]
pub struct ComponentSource(Arc<dyn Fn() -> Option<Arc<dyn WorkerComponent>> + Send + Sync>);

impl ComponentSource {
    /// A source that `current` gives the component of; none while none is loaded. Whoever exchanges the component tells
    /// [`RunningWorkers::reload`](crate::RunningWorkers::reload).
    #[must_use]
    pub fn new(current: impl Fn() -> Option<App> + Send + Sync + 'static) -> Self {
        Self(Arc::new(move || current().map(|app| Arc::new(app) as Arc<dyn WorkerComponent>)))
    }

    #[cfg(test)]
    pub(crate) fn of(current: impl Fn() -> Option<Arc<dyn WorkerComponent>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(current))
    }

    pub(crate) fn current(&self) -> Option<Arc<dyn WorkerComponent>> {
        (self.0)()
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
pub(crate) trait WorkerComponent: Send + Sync {
    /// Whether it has a class of this name.
    fn has_class(&self, class: &str) -> bool;

    /// A new worker, or one that goes on with this heap.
    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure>;
}

/// A worker that is in memory.
pub(crate) trait AwakeWorker: Send {
    /// Runs a turn; one that fails has changed nothing.
    fn turn<'a>(&'a mut self, turn: &'a Turn) -> BoxFuture<'a, Result<TurnResult, TurnFailure>>;

    /// Makes what the last turn wrote part of the heap; gives what writes the heap down, which takes a while.
    fn commit(&mut self) -> Box<dyn FnOnce() -> Result<Vec<u8>, TurnFailure> + Send>;
}

/// Why a turn did not go well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TurnFailure {
    /// The handler threw.
    Thrown {
        /// The error's class.
        name: String,
        message: String,
    },
    /// The turn was ended: a trap, no more fuel, memory or time.
    Ended(String),
    /// It did not begin; it may later.
    NotRun(String),
    /// The heap is of another version of the component, or the component has no workers any more.
    OtherVersion(String),
    /// The worker began anew while the turn was to begin: it is to be started first.
    BeganAnew,
    /// The heap is damaged, or cannot be written.
    Unusable(String),
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

    fn wake(&self, heap: Option<&[u8]>) -> Result<Box<dyn AwakeWorker>, TurnFailure> {
        let worker = match heap {
            None => self.start_worker()?,
            Some(bytes) => self.restore_worker(&WorkerHeap::from_bytes(bytes, self.limits().memory_bytes)?)?,
        };
        Ok(Box::new(worker))
    }
}

impl AwakeWorker for Worker {
    fn turn<'a>(&'a mut self, turn: &'a Turn) -> BoxFuture<'a, Result<TurnResult, TurnFailure>> {
        async move { Ok(Self::turn(self, turn, CallOptions::default()).await?.result) }.boxed()
    }

    fn commit(&mut self) -> Box<dyn FnOnce() -> Result<Vec<u8>, TurnFailure> + Send> {
        drop(Self::commit(self));
        let heap = self.heap();
        Box::new(move || Ok(heap.to_bytes()?))
    }
}
