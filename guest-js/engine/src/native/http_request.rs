//! The incoming request: `wasi:http/types.incoming-request` behind `Request`.

use super::streams::{self, Chunk, Settle};
use crate::bindings::wasi::http::types::{IncomingBody, IncomingRequest, Method, Scheme};
use crate::bindings::wasi::io::streams::InputStream;
use crate::event_loop::{self, Progress};
use javy::quickjs::{Ctx, Exception, Function, Object, Result, Value};
use std::cell::RefCell;

/// What is read here, for errors.
const WHAT: &str = "the request's body";

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
    native.set(
        "requestBodyCancel",
        Function::new(ctx, || {
            let body = INCOMING.0.borrow_mut().body.take();
            event_loop::later(move || drop(body));
        })?,
    )
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
    let (promise, settle) = Settle::new(&ctx)?;
    if let Some(chunk) = try_read() {
        settle.chunk(&ctx, chunk, WHAT)?;
        return Ok(promise.into_value());
    }
    if let Some(body) = &INCOMING.0.borrow().body {
        event_loop::wait(body.stream.subscribe(), move |ctx| match try_read() {
            None => Ok(Progress::Again),
            Some(chunk) => {
                settle.clone().chunk(ctx, chunk, WHAT)?;
                Ok(Progress::Done)
            }
        });
    }
    Ok(promise.into_value())
}

/// Reads what is there; `None` if nothing is there yet.
fn try_read() -> Option<Chunk> {
    let incoming = &mut *INCOMING.0.borrow_mut();
    let Some(body) = &incoming.body else { return Some(Chunk::End) };
    let chunk = streams::try_read(&body.stream)?;
    if !matches!(chunk, Chunk::Bytes(_)) {
        let body = incoming.body.take();
        event_loop::later(move || drop(body));
    }
    Some(chunk)
}
