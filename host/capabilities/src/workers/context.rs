//! The context of one instance: its budget, and its calls of workers.

use super::backend::{WorkerBackend, WorkerCall};
use super::contract::{CallReply, CallRequest, Error, ErrorCode};
use super::grant::WorkersGrant;
use crate::trigger::{Origin, Pending};
use elias_host::capability::CallMeter;
use std::sync::Arc;

/// Characters of a class, a name or a method, as JavaScript counts them.
const NAME_CHARACTERS_MAX: usize = 256;

/// The state of one instance for its calls of workers.
pub struct WorkersContext {
    backend: Arc<dyn WorkerBackend>,
    grant: Arc<WorkersGrant>,
    origin: Arc<Origin>,
    /// The calls that the execution has made.
    made: u64,
    calls: CallMeter,
}

impl WorkersContext {
    pub(super) fn new(
        backend: Arc<dyn WorkerBackend>,
        grant: Arc<WorkersGrant>,
        origin: Arc<Origin>,
        calls: CallMeter,
    ) -> Self {
        Self { backend, grant, origin, made: 0, calls }
    }

    /// Calls a worker.
    pub(super) fn call(&mut self, request: CallRequest) -> Pending<CallReply> {
        let call = WorkerCall::from(request);
        if let Err(error) = check(&self.grant, &call).and_then(|()| self.take_one()) {
            return Pending::done(Err(error));
        }
        let mut measured = self.calls.begin().named("call");
        measured.text("elias.worker.class", &call.class);
        measured.text("rpc.method", call.method.as_deref().unwrap_or("onMessage"));
        Pending::start(measured, self.backend.call(Arc::clone(&self.origin), call))
    }

    /// Takes one of the calls that the execution may make.
    fn take_one(&mut self) -> Result<(), Error> {
        if self.made >= self.grant.calls {
            let message = format!("one execution may make {} calls of workers (calls)", self.grant.calls);
            return Err(Error::new(ErrorCode::QuotaExceeded, message));
        }
        self.made += 1;
        Ok(())
    }
}

/// Checks the bounds of a call.
pub(super) fn check(grant: &WorkersGrant, call: &WorkerCall) -> Result<(), Error> {
    let texts = [("class", Some(&call.class)), ("name", Some(&call.name)), ("method", call.method.as_ref())];
    for (what, text) in texts {
        let Some(text) = text else { continue };
        let characters = text.encode_utf16().count();
        if !(1..=NAME_CHARACTERS_MAX).contains(&characters) {
            let message = format!("the {what} must have from 1 to {NAME_CHARACTERS_MAX} characters, not {characters}");
            return Err(Error::new(ErrorCode::Invalid, message));
        }
    }
    let bytes = call.value.len() as u64;
    if bytes > grant.payload_bytes {
        let most = grant.payload_bytes;
        let message = format!("the message or the arguments have {bytes} bytes; payload-bytes is {most}");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    Ok(())
}
