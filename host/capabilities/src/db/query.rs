//! A statement that is under way, as a resource.

use super::output::{Part, Parts};
use super::{Error, output};
use elias_host::capability::wasmtime;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::error::TryRecvError;
use wasmtime_wasi_io::poll::Pollable;

/// `elias:db/db.query`. Dropping it cancels the statement.
pub struct Query {
    parts: Parts,
    /// What `ready` has seen and `next` not yet taken.
    seen: Option<(Part, Option<OwnedSemaphorePermit>)>,
    state: State,
    budget: Option<Arc<OwnedSemaphorePermit>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Over,
}

impl Query {
    pub(crate) fn new(parts: Parts, budget: Option<Arc<OwnedSemaphorePermit>>) -> Self {
        Self { parts, seen: None, state: State::Running, budget }
    }

    /// One that fails at once.
    pub(crate) fn failed(error: Error) -> Self {
        let (output, parts) = output::channel(output::Caps { rows: 0, bytes: 0 }, None);
        output.fail(error);
        Self::new(parts, None)
    }

    /// `query.next`.
    ///
    /// # Errors
    /// A trap, after the last part.
    pub(crate) fn next(&mut self) -> wasmtime::Result<Option<Part>> {
        if self.state == State::Over {
            return Err(wasmtime::Error::msg("query.next was called after the query's end"));
        }
        let part = match self.seen.take() {
            Some((part, _)) => part,
            None => match self.parts.try_next() {
                Ok((part, _)) => part,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => Err(abandoned()),
            },
        };
        if part.as_ref().map_or(true, |batch| batch.last) {
            self.state = State::Over;
            self.budget = None;
        }
        Ok(Some(part))
    }
}

/// The statement went without a word: its thread or task has failed, or the host is shutting down.
fn abandoned() -> Error {
    Error::unavailable("the statement was abandoned")
}

#[wasmtime_wasi_io::async_trait]
impl Pollable for Query {
    async fn ready(&mut self) {
        if self.seen.is_none() && self.state == State::Running {
            self.seen = Some(self.parts.next().await.unwrap_or_else(|| (Err(abandoned()), None)));
        }
    }
}
