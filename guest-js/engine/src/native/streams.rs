//! Promises for values of the host that are not ready: chunks of its byte streams, and results of its operations.

use crate::bindings::wasi::io::error::Error as IoError;
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::event_loop::{self, Progress, WaitId};
use javy::quickjs::{Ctx, Exception, Function, IntoJs, Persistent, Promise, Result, TypedArray, Value};
use std::rc::Rc;

/// Bytes asked of the host in one read.
const CHUNK_BYTES: u64 = 64 * 1024;

/// The result of one read.
pub(crate) enum Chunk {
    Bytes(Vec<u8>),
    End,
    Broken(IoError),
}

/// Reads the bytes that are ready; `None` if there are none yet.
pub(crate) fn try_read(stream: &InputStream) -> Option<Chunk> {
    match stream.read(CHUNK_BYTES) {
        Ok(bytes) if bytes.is_empty() => None,
        Ok(bytes) => Some(Chunk::Bytes(bytes)),
        Err(StreamError::Closed) => Some(Chunk::End),
        Err(StreamError::LastOperationFailed(error)) => Some(Chunk::Broken(error)),
    }
}

/// The other side no longer reads the body.
pub(crate) struct StreamClosed;

/// Bytes on their way to the host.
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Outgoing {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, written: 0 }
    }

    /// Writes as much as the host takes now; whether that was all.
    pub(crate) fn advance(&mut self, stream: &OutputStream) -> std::result::Result<bool, StreamClosed> {
        while self.written < self.bytes.len() {
            let permitted = stream.check_write().map_err(|_| StreamClosed)?;
            if permitted == 0 {
                return Ok(false);
            }
            let rest = &self.bytes[self.written..];
            let now = rest.len().min(usize::try_from(permitted).unwrap_or(usize::MAX));
            stream.write(&rest[..now]).map_err(|_| StreamClosed)?;
            self.written += now;
        }
        Ok(true)
    }
}

/// A promise, from the side that settles it.
#[derive(Clone)]
pub(crate) struct PromiseCapability {
    resolve: Persistent<Function<'static>>,
    reject: Persistent<Function<'static>>,
}

impl PromiseCapability {
    /// A new promise.
    pub(crate) fn new<'js>(ctx: &Ctx<'js>) -> Result<(Promise<'js>, Self)> {
        let (promise, resolve, reject) = Promise::new(ctx)?;
        Ok((promise, Self { resolve: Persistent::save(ctx, resolve), reject: Persistent::save(ctx, reject) }))
    }

    pub(crate) fn resolve<'js>(self, ctx: &Ctx<'js>, value: impl IntoJs<'js>) -> Result<()> {
        self.resolve.restore(ctx)?.call((value,))
    }

    pub(crate) fn reject<'js>(self, ctx: &Ctx<'js>, error: impl IntoJs<'js>) -> Result<()> {
        self.reject.restore(ctx)?.call((error,))
    }

    /// Settles the promise with the value of `outcome`, or with the pending exception.
    pub(crate) fn settle<'js>(self, ctx: &Ctx<'js>, outcome: Result<Value<'js>>) -> Result<()> {
        match outcome {
            Ok(value) => self.resolve(ctx, value),
            Err(error) if error.is_exception() => self.reject(ctx, ctx.catch()),
            Err(error) => Err(error),
        }
    }

    /// Settles with a chunk: its bytes, null at the end, an error where the stream broke.
    pub(crate) fn chunk(self, ctx: &Ctx<'_>, chunk: Chunk, what: &str) -> Result<()> {
        match chunk {
            Chunk::Bytes(bytes) => self.resolve(ctx, TypedArray::<u8>::new(ctx.clone(), bytes)?),
            Chunk::End => self.resolve(ctx, Value::new_null(ctx.clone())),
            Chunk::Broken(error) => {
                let message = format!("{what} could not be read: {}", error.to_debug_string());
                self.reject(ctx, Exception::from_message(ctx.clone(), &message)?)
            }
        }
    }
}

/// A promise for the first value that `poll` returns. It is polled now, and whenever `pollable` is ready.
pub(crate) fn promise_of<'js, T: 'static>(
    ctx: &Ctx<'js>,
    mut poll: impl FnMut() -> Option<T> + 'static,
    pollable: impl FnOnce() -> Pollable,
    mut convert: impl for<'a> FnMut(&Ctx<'a>, T) -> Result<Value<'a>> + 'static,
) -> Result<(Value<'js>, Option<WaitId>)> {
    let (promise, settle) = PromiseCapability::new(ctx)?;
    if let Some(value) = poll() {
        let outcome = convert(ctx, value);
        settle.settle(ctx, outcome)?;
        return Ok((promise.into_value(), None));
    }
    let wait = event_loop::wait(pollable(), move |ctx| match poll() {
        None => Ok(Progress::Again),
        Some(value) => {
            let outcome = convert(ctx, value);
            settle.clone().settle(ctx, outcome)?;
            Ok(Progress::Done)
        }
    });
    Ok((promise.into_value(), Some(wait)))
}

/// A promise for the value that `take` takes from an operation of the host, which is dropped afterwards.
pub(crate) fn promise_of_operation<'js, O: 'static, T: 'static>(
    ctx: &Ctx<'js>,
    operation: O,
    take: impl Fn(&O) -> Option<T> + 'static,
    subscribe: impl FnOnce(&O) -> Pollable,
    convert: impl for<'a> Fn(&Ctx<'a>, T) -> Result<Value<'a>> + 'static,
) -> Result<Value<'js>> {
    let operation = Rc::new(operation);
    let asked = Rc::clone(&operation);
    let (promise, _) = promise_of(ctx, move || take(&asked), || subscribe(&operation), {
        let operation = Rc::clone(&operation);
        move |ctx, outcome| {
            // The pollable that woke this hangs on the operation: what holds that is kept until the pollable is gone.
            let operation = Rc::clone(&operation);
            event_loop::defer(move || drop(operation));
            convert(ctx, outcome)
        }
    })?;
    Ok(promise)
}
