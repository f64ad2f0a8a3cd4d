//! The incoming request: `wasi:http/types.incoming-request` behind `Request`.

use crate::bindings::wasi::http::types::{IncomingBody, IncomingRequest, Method, Scheme};
use crate::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::event_loop::{self, Progress};
use javy::quickjs::{Ctx, Exception, Function, Object, Persistent, Promise, Result, TypedArray, Value};
use std::cell::RefCell;

/// Bytes asked of the host in one read of the body.
const CHUNK_BYTES: u64 = 64 * 1024;

/// The body, once something reads it. Fields drop in order: a stream must go before the body it came from.
struct Body {
    stream: InputStream,
    _body: IncomingBody,
}

#[derive(Default)]
struct Incoming {
    request: Option<IncomingRequest>,
    body: Option<Body>,
    body_taken: bool,
}

struct Slot(RefCell<Incoming>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Slot {}

static INCOMING: Slot = Slot(RefCell::new(Incoming { request: None, body: None, body_taken: false }));

/// Keeps the request for the handler.
pub(crate) fn set_request(request: IncomingRequest) {
    INCOMING.0.replace(Incoming { request: Some(request), ..Incoming::default() });
}

fn with_request<R>(ctx: &Ctx<'_>, f: impl FnOnce(&IncomingRequest) -> R) -> Result<R> {
    match &INCOMING.0.borrow().request {
        Some(request) => Ok(f(request)),
        None => Err(Exception::throw_type(ctx, "there is no incoming request here")),
    }
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("requestMethod", Function::new(ctx.clone(), |ctx: Ctx<'_>| with_request(&ctx, method))?)?;
    native.set("requestUrl", Function::new(ctx.clone(), |ctx: Ctx<'_>| with_request(&ctx, url))?)?;
    native.set("requestHeaders", Function::new(ctx.clone(), |ctx: Ctx<'_>| with_request(&ctx, headers))?)?;
    native.set("requestBodyRead", Function::new(ctx.clone(), read)?)?;
    native.set("requestBodyCancel", Function::new(ctx, || drop(INCOMING.0.borrow_mut().body.take()))?)
}

fn method(request: &IncomingRequest) -> String {
    match request.method() {
        Method::Get => "GET".into(),
        Method::Head => "HEAD".into(),
        Method::Post => "POST".into(),
        Method::Put => "PUT".into(),
        Method::Delete => "DELETE".into(),
        Method::Connect => "CONNECT".into(),
        Method::Options => "OPTIONS".into(),
        Method::Trace => "TRACE".into(),
        Method::Patch => "PATCH".into(),
        Method::Other(other) => other,
    }
}

fn url(request: &IncomingRequest) -> String {
    let scheme = match request.scheme() {
        Some(Scheme::Https) => "https",
        Some(Scheme::Other(_) | Scheme::Http) | None => "http",
    };
    let authority = request.authority().unwrap_or_else(|| "localhost".into());
    let path = request.path_with_query().unwrap_or_else(|| "/".into());
    format!("{scheme}://{authority}{path}")
}

/// Names and values in turn. Bytes of a value are its characters, as the Fetch Standard's isomorphic decode has it.
fn headers(request: &IncomingRequest) -> Vec<String> {
    let entries = request.headers().entries();
    entries.into_iter().flat_map(|(name, value)| [name, value.into_iter().map(char::from).collect()]).collect()
}

/// The next chunk of the body, or null after the last.
fn read<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    let (promise, resolve, reject) = Promise::new(&ctx)?;
    {
        let incoming = &mut *INCOMING.0.borrow_mut();
        if let (Some(request), false) = (&incoming.request, incoming.body_taken) {
            incoming.body_taken = true;
            if let Ok(body) = request.consume()
                && let Ok(stream) = body.stream()
            {
                incoming.body = Some(Body { stream, _body: body });
            }
        }
    }
    if let Some(outcome) = try_read() {
        settle(&ctx, outcome, &resolve, &reject)?;
        return Ok(promise.into_value());
    }
    let pollable = match &INCOMING.0.borrow().body {
        Some(body) => body.stream.subscribe(),
        None => return Ok(promise.into_value()),
    };
    let (resolve, reject) = (Persistent::save(&ctx, resolve), Persistent::save(&ctx, reject));
    event_loop::wait(pollable, move |ctx| match try_read() {
        None => Ok(Progress::Again),
        Some(outcome) => {
            settle(ctx, outcome, &resolve.clone().restore(ctx)?, &reject.clone().restore(ctx)?)?;
            Ok(Progress::Done)
        }
    });
    Ok(promise.into_value())
}

/// What one read of the body gave.
enum Chunk {
    Bytes(Vec<u8>),
    End,
    Broken(String),
}

/// Reads what is there; `None` if nothing is there yet.
fn try_read() -> Option<Chunk> {
    let incoming = &mut *INCOMING.0.borrow_mut();
    let Some(body) = &incoming.body else { return Some(Chunk::End) };
    let chunk = match body.stream.read(CHUNK_BYTES) {
        Ok(bytes) if bytes.is_empty() => return None,
        Ok(bytes) => return Some(Chunk::Bytes(bytes)),
        Err(StreamError::Closed) => Chunk::End,
        Err(StreamError::LastOperationFailed(error)) => Chunk::Broken(error.to_debug_string()),
    };
    incoming.body = None;
    Some(chunk)
}

fn settle<'js>(ctx: &Ctx<'js>, chunk: Chunk, resolve: &Function<'js>, reject: &Function<'js>) -> Result<()> {
    match chunk {
        Chunk::Bytes(bytes) => resolve.call((TypedArray::<u8>::new(ctx.clone(), bytes)?,)),
        Chunk::End => resolve.call((Value::new_null(ctx.clone()),)),
        Chunk::Broken(why) => {
            let error = Exception::from_message(ctx.clone(), &format!("the request's body could not be read: {why}"))?;
            reject.call((error,))
        }
    }
}
