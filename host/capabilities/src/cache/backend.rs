//! The trait of backends, which store the values of one component.

use super::contract::{Command, CommandOutput, Error, ErrorCode, Value};
use futures::future::BoxFuture;
use std::convert::Infallible;

/// The result of a backend, which is never a lease.
pub(super) type BackendOutput = CommandOutput<Infallible>;

/// A place that keeps one component's values.
pub(super) trait Backend: Send + Sync + 'static {
    /// Whether every command is done when it is first polled.
    fn immediate(&self) -> bool;

    /// Runs a command that is within the caps. Of `lease` a backend does the reading, as of `get`.
    fn run(&self, command: Command) -> BoxFuture<'static, Result<BackendOutput, Error>>;
}

/// Reads one value, on the way to a lease.
pub(super) async fn read(backend: &dyn Backend, key: &str) -> Result<Option<Value>, Error> {
    match backend.run(Command::Lease(key.to_owned())).await? {
        CommandOutput::Value(value) => Ok(value),
        _ => Err(Error::new(
            ErrorCode::Unavailable,
            "the cache backend returned a result of another kind than the operation's",
        )),
    }
}
