//! The trait of backends, which run workers.

use super::contract::{Error, ErrorCode};
use crate::trigger::Origin;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
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

/// No workers.
pub(super) struct NoWorkers;

impl WorkerBackend for NoWorkers {
    fn call(&self, _: Arc<Origin>, _: WorkerCall) -> BoxFuture<'static, Result<String, Error>> {
        let message = "no service workers run here: they run in `elias dev`, in `elias serve`, on platforms and in \
                       programs that embed them";
        ready(Err(Error::new(ErrorCode::Unavailable, message))).boxed()
    }
}
