//! A statement that is under way, as a resource.

use super::bindings::Error;
use super::output::{self, Part, Parts};
use elias_host::capability::{HostCall, wasmtime};
use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::error::TryRecvError;
use wasmtime_wasi_io::poll::Pollable;

/// `elias:db/db.query`. Dropping it cancels the statement.
pub struct Query {
    parts: Parts,
    /// The items that `ready` has seen and `next` not yet taken.
    seen: Option<(Part, Option<OwnedSemaphorePermit>)>,
    state: State,
    budget: Option<Arc<OwnedSemaphorePermit>>,
    /// The future of the statement. It is driven by whoever waits for the query: a task of its own would be another
    /// thread's to wake.
    running: Option<BoxFuture<'static, ()>>,
    /// Ended when the last part is there.
    call: Option<HostCall>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Over,
}

impl Query {
    pub(crate) fn new(parts: Parts, budget: Option<Arc<OwnedSemaphorePermit>>) -> Self {
        Self { parts, seen: None, state: State::Running, budget, running: None, call: None }
    }

    /// The same, which is measured as this call.
    pub(crate) fn timed(mut self, call: HostCall) -> Self {
        self.call = Some(call);
        self
    }

    /// The query that `running` gives the parts of. It begins now.
    pub(crate) fn driving(mut self, running: BoxFuture<'static, ()>) -> Self {
        self.running = Some(running);
        self.drive();
        self
    }

    /// Does what can be done without waiting.
    fn drive(&mut self) {
        if self.running.as_mut().is_some_and(|running| running.now_or_never().is_some()) {
            self.running = None;
        }
    }

    fn take(&mut self) -> Option<Part> {
        match self.seen.take().map_or_else(|| self.parts.try_next(), Ok) {
            Ok((part, _)) => Some(part),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(abandoned())),
        }
    }

    /// One that fails at once.
    pub(crate) fn failed(error: Error) -> Self {
        let (output, parts) = output::channel(output::Caps { rows: 0, bytes: 0 }, None);
        output.fail(error);
        Self::new(parts, None)
    }

    #[cfg(test)]
    pub(crate) fn done(part: Part) -> Self {
        let mut query = Self::failed(abandoned());
        query.seen = Some((part, None));
        query
    }

    fn end_call(&mut self, failed: bool) {
        if let Some(mut call) = self.call.take()
            && failed
        {
            call.fail();
        }
    }

    /// `query.next`.
    ///
    /// # Errors
    /// A trap, after the last part.
    pub(crate) fn next(&mut self) -> wasmtime::Result<Option<Part>> {
        if self.state == State::Over {
            return Err(wasmtime::Error::msg("query.next was called after the query's end"));
        }
        let mut part = self.take();
        if part.is_none() {
            self.drive();
            part = self.take();
        }
        let Some(part) = part else { return Ok(None) };
        if is_last(&part) {
            self.state = State::Over;
            self.budget = None;
            self.end_call(part.is_err());
        }
        Ok(Some(part))
    }
}

fn is_last(part: &Part) -> bool {
    part.as_ref().map_or(true, |batch| batch.last)
}

/// The statement went without a word: its thread or task has failed, or the host is shutting down.
fn abandoned() -> Error {
    Error::unavailable("the statement was abandoned")
}

#[wasmtime_wasi_io::async_trait]
impl Pollable for Query {
    async fn ready(&mut self) {
        while self.seen.is_none() && self.state == State::Running {
            let Some(running) = &mut self.running else {
                self.seen = Some(self.parts.next().await.unwrap_or_else(|| (Err(abandoned()), None)));
                break;
            };
            tokio::select! {
                biased;
                part = self.parts.next() => self.seen = Some(part.unwrap_or_else(|| (Err(abandoned()), None))),
                () = running => self.running = None,
            }
        }
        if let Some((part, _)) = self.seen.as_ref().filter(|(part, _)| is_last(part)) {
            let failed = part.is_err();
            self.end_call(failed);
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // It sees that nobody wants the rest, and puts its connection in order.
        if let (Some(running), Ok(runtime)) = (self.running.take(), Handle::try_current()) {
            runtime.spawn(running);
        }
    }
}
