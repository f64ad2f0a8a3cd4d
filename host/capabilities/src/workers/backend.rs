//! The trait of backends, which run workers.

use super::contract::{Error, ErrorCode};
use crate::trigger::Origin;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use std::fmt;
use std::sync::Arc;

/// A call, within the bounds of the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCall {
    /// The worker's class; from 1 to 256 characters.
    pub class: String,
    /// The worker's name, likewise.
    pub name: String,
    /// The method, likewise; none: a message.
    pub method: Option<String>,
    /// The list of arguments, or the message, in the structured clone encoding: at most 1 MiB.
    pub value: String,
    /// The id that the component gave the message: of 36 bytes, and to be used if it is a UUID.
    pub id: Option<String>,
}

/// Workers of components.
pub trait WorkerBackend: Send + Sync + 'static {
    /// Has a worker of the component handle a call, and gives the answer once the turn is committed. The worker handles
    /// it also if this future is dropped once it was polled.
    fn call(&self, origin: Arc<Origin>, call: WorkerCall) -> BoxFuture<'static, Result<String, Error>>;
}

/// The workers that one execution calls, in place of those of the capability: in the extensions of its call
/// ([`CallOptions::extensions`](elias_host::CallOptions::extensions)) or of its request. They are dropped with the
/// execution.
#[derive(Clone)]
pub struct ExecutionWorkers(Arc<dyn WorkerBackend>);

impl ExecutionWorkers {
    /// Calls of the workers that this backend runs.
    #[must_use]
    pub fn new(backend: Arc<dyn WorkerBackend>) -> Self {
        Self(backend)
    }

    /// What runs them.
    #[must_use]
    pub fn backend(&self) -> Arc<dyn WorkerBackend> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for ExecutionWorkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExecutionWorkers")
    }
}

/// No workers.
pub(super) struct NoWorkers;

impl WorkerBackend for NoWorkers {
    fn call(&self, _: Arc<Origin>, _: WorkerCall) -> BoxFuture<'static, Result<String, Error>> {
        let message = "no service workers run here: they run in `elias dev`, in `elias serve`, on platforms and in \
                       programs that embed them";
        ready(Err(Error::new(ErrorCode::Unavailable, message))).boxed()
    }
}
