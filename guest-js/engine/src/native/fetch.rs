//! `fetch`: `wasi:http/outgoing-handler`, one request and its response at a time.

use super::bytes::bytes_in;
use super::connection_headers::left_out_of_request;
use super::convert::{bytes_of, header_entries, isomorphic};
use super::require;
use super::streams::{self, Chunk, Outgoing, PromiseCapability, StreamClosed, promise_of};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    Scheme, http_error_code,
};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::event_loop::{self, Progress, WaitId};
use crate::phase::Import;
use javy::quickjs::{Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// One request and its response. Fields drop in order: streams before the bodies they came from, and all before what
/// they are part of. What waits for one of them is forgotten first.
#[derive(Default)]
struct Exchange {
    /// To write the request's body, for the response's headers, to read its body: one of each at a time.
    waits: [Option<WaitId>; 3],
    out_stream: Option<OutputStream>,
    out_body: Option<OutgoingBody>,
    in_stream: Option<InputStream>,
    in_body: Option<IncomingBody>,
    future: Option<FutureIncomingResponse>,
}

const WRITING: usize = 0;
const RESPONSE: usize = 1;
const READING: usize = 2;

struct Exchanges {
    all: RefCell<BTreeMap<u32, Exchange>>,
    next: Cell<u32>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Exchanges {}

static EXCHANGES: Exchanges = Exchanges { all: RefCell::new(BTreeMap::new()), next: Cell::new(1) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("fetchStart", Function::new(ctx.clone(), start)?)?;
    native.set("fetchWrite", Function::new(ctx.clone(), write)?)?;
    native.set("fetchFinish", Function::new(ctx.clone(), finish_request)?)?;
    native.set("fetchResponse", Function::new(ctx.clone(), response)?)?;
    native.set("fetchRead", Function::new(ctx.clone(), read)?)?;
    native.set("fetchEnd", Function::new(ctx, abandon)?)
}

/// The exchange of that id, as long as it is not over.
fn with<R>(id: u32, f: impl FnOnce(&mut Exchange) -> R) -> Option<R> {
    EXCHANGES.all.borrow_mut().get_mut(&id).map(f)
}

/// Cancels all exchanges when a handler is over, since nothing waits for them any more.
pub(crate) fn release() {
    drop(EXCHANGES.all.take());
}

/// Gives up an exchange, and what is under way in it.
fn abandon(id: u32) {
    let exchange = EXCHANGES.all.borrow_mut().remove(&id);
    if let Some(exchange) = exchange {
        exchange.waits.into_iter().flatten().for_each(event_loop::forget);
        event_loop::defer(move || drop(exchange));
    }
}

/// Sends the request's headers, and with them the body if that is at hand; `streamed` says that it follows in writes.
/// Returns the exchange's id.
fn start<'js>(
    ctx: Ctx<'js>,
    method: String,
    url: Vec<String>,
    headers: Vec<String>,
    body: Value<'js>,
    streamed: bool,
) -> Result<u32> {
    require(&ctx, Import::Http, "fetch")?;
    let fail = |why: String| Exception::throw_type(&ctx, &why);
    let mut entries = header_entries(headers);
    entries.retain(|(name, _)| !left_out_of_request(name));
    let fields =
        Fields::from_list(&entries).map_err(|error| fail(format!("the request's headers are refused: {error}")))?;
    let request = OutgoingRequest::new(fields);
    let [scheme, authority, path] = url.as_slice() else { return Err(fail("a URL has three parts".into())) };
    let scheme = if scheme == "https:" { Scheme::Https } else { Scheme::Http };
    let set = request
        .set_method(&method_of(&method))
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    set.map_err(|()| fail(format!("{method} {authority}{path} is not a valid request: check the method and the URL")))?;
    let bytes = bytes_of(&body)?;
    let mut exchange = Exchange::default();
    if streamed || bytes.is_some() {
        let opened = request.body().and_then(|body| body.write().map(|stream| (stream, body)));
        let (stream, body) = opened.map_err(|()| fail("the request's body cannot be written".into()))?;
        (exchange.out_stream, exchange.out_body) = (Some(stream), Some(body));
    }
    let future = outgoing_handler::handle(request, None).map_err(|error| refuse(&ctx, &error))?;
    exchange.future = Some(future);
    let id = EXCHANGES.next.get();
    EXCHANGES.next.set(id + 1);
    EXCHANGES.all.borrow_mut().insert(id, exchange);
    if let Some(bytes) = bytes {
        send_whole(id, Outgoing::new(bytes));
    }
    Ok(id)
}

fn method_of(method: &str) -> Method {
    match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// Writes a body that is at hand, as fast as the host takes it. Where it is not taken, the response says why.
fn send_whole(id: u32, mut rest: Outgoing) {
    let mut write_more = move || write_available(id, &mut rest);
    match write_more() {
        Ok(true) => finish_request(id),
        Ok(false) => on_writable(id, move |_| match write_more() {
            Ok(false) => Ok(Progress::Again),
            Ok(true) => {
                finish_request(id);
                Ok(Progress::Done)
            }
            Err(StreamClosed) => Ok(Progress::Done),
        }),
        Err(StreamClosed) => {}
    }
}

/// Writes as much of the request's body as the host takes now; true if that was all of it.
fn write_available(id: u32, rest: &mut Outgoing) -> std::result::Result<bool, StreamClosed> {
    let written = with(id, |exchange| exchange.out_stream.as_ref().map(|stream| rest.advance(stream)));
    written.flatten().unwrap_or(Err(StreamClosed))
}

fn on_writable(id: u32, ready: impl FnMut(&Ctx<'_>) -> Result<Progress> + 'static) {
    let pollable = with(id, |exchange| exchange.out_stream.as_ref().map(OutputStream::subscribe)).flatten();
    if let Some(pollable) = pollable {
        let wait = event_loop::wait(pollable, ready);
        with(id, |exchange| exchange.waits[WRITING] = Some(wait));
    }
}

/// Writes one chunk; the promise settles when the host took all of it. False: the other side no longer reads.
fn write<'js>(ctx: Ctx<'js>, id: u32, chunk: TypedArray<'js, u8>) -> Result<Value<'js>> {
    let mut rest = Outgoing::new(bytes_in(&chunk).to_vec());
    let mut write_more = move || write_available(id, &mut rest);
    match write_more() {
        Ok(true) => true.into_js(&ctx),
        Err(StreamClosed) => false.into_js(&ctx),
        Ok(false) => {
            let (promise, settle) = PromiseCapability::new(&ctx)?;
            on_writable(id, move |ctx| match write_more() {
                Ok(false) => Ok(Progress::Again),
                outcome => settle.clone().resolve(ctx, outcome.is_ok()).map(|()| Progress::Done),
            });
            Ok(promise.into_value())
        }
    }
}

/// Ends the request's body: all of it was written.
fn finish_request(id: u32) {
    let writer = with(id, |exchange| (exchange.out_stream.take(), exchange.out_body.take()));
    if let Some((stream, Some(body))) = writer {
        event_loop::defer(move || {
            drop(stream);
            let _ = OutgoingBody::finish(body, None); // the response says what was wrong with it
        });
    }
}

/// The response's status, and its headers' names and values in turn.
fn response<'js>(ctx: Ctx<'js>, id: u32) -> Result<Value<'js>> {
    let poll = move || {
        let outcome = with(id, |exchange| exchange.future.as_ref()?.get()).flatten()?;
        // The host gives it once, and that is now.
        Some(outcome.unwrap_or(Err(ErrorCode::InternalError(None))))
    };
    let pollable = with(id, |exchange| exchange.future.as_ref().map(FutureIncomingResponse::subscribe)).flatten();
    let Some(pollable) = pollable else { return Err(Exception::throw_type(&ctx, "the request is over")) };
    let (promise, wait) = promise_of(
        &ctx,
        poll,
        || pollable,
        move |ctx, outcome| match outcome {
            Ok(response) => status_and_headers(ctx, id, &response),
            Err(error) => Err(refuse(ctx, &error)),
        },
    )?;
    if let Some(wait) = wait {
        with(id, |exchange| exchange.waits[RESPONSE] = Some(wait));
    }
    Ok(promise)
}

fn status_and_headers<'js>(ctx: &Ctx<'js>, id: u32, response: &IncomingResponse) -> Result<Value<'js>> {
    let mut texts = vec![response.status().to_string()];
    for (name, value) in response.headers().entries() {
        texts.extend([name, isomorphic(value)]);
    }
    if let Ok(body) = response.consume()
        && let Ok(stream) = body.stream()
    {
        with(id, move |exchange| (exchange.in_stream, exchange.in_body) = (Some(stream), Some(body)));
    }
    texts.into_js(ctx)
}

/// The next chunk of the response's body, or null after the last.
fn read<'js>(ctx: Ctx<'js>, id: u32) -> Result<Value<'js>> {
    let (promise, settle) = PromiseCapability::new(&ctx)?;
    let poll = move || {
        with(id, |exchange| exchange.in_stream.as_ref().map_or(Some(Chunk::End), streams::try_read))
            .unwrap_or(Some(Chunk::End))
    };
    let abandon_after_last = move |chunk: &Chunk| {
        if !matches!(chunk, Chunk::Bytes(_)) {
            abandon(id);
        }
    };
    if let Some(chunk) = poll() {
        abandon_after_last(&chunk);
        settle_chunk(&ctx, settle, chunk)?;
        return Ok(promise.into_value());
    }
    let pollable = with(id, |exchange| exchange.in_stream.as_ref().map(InputStream::subscribe)).flatten();
    if let Some(pollable) = pollable {
        let wait = event_loop::wait(pollable, move |ctx| match poll() {
            None => Ok(Progress::Again),
            Some(chunk) => {
                abandon_after_last(&chunk);
                settle_chunk(ctx, settle.clone(), chunk)?;
                Ok(Progress::Done)
            }
        });
        with(id, |exchange| exchange.waits[READING] = Some(wait));
    }
    Ok(promise.into_value())
}

fn settle_chunk(ctx: &Ctx<'_>, settle: PromiseCapability, chunk: Chunk) -> Result<()> {
    match chunk {
        Chunk::Broken(error) => {
            let code = http_error_code(&error).unwrap_or_else(|| {
                // Hosts made with wasmtime-wasi-http 48 tell a body's error in words only.
                let words = error.to_debug_string();
                if words.contains("request body size") {
                    ErrorCode::HttpRequestBodySize(None)
                } else if words.contains("response body size") {
                    ErrorCode::HttpResponseBodySize(None)
                } else if words.contains("timeout") {
                    ErrorCode::ConnectionReadTimeout
                } else {
                    ErrorCode::ConnectionTerminated
                }
            });
            settle.settle(ctx, Err(refuse(ctx, &code)))
        }
        chunk => settle.chunk(ctx, chunk, "the response's body"),
    }
}

/// An error of `wasi:http` as an exception: its message begins with the stable name, which the JavaScript half takes
/// off.
fn refuse(ctx: &Ctx<'_>, error: &ErrorCode) -> javy::quickjs::Error {
    let name = match error {
        ErrorCode::HttpRequestDenied => "denied",
        ErrorCode::DestinationIpProhibited => "private-address",
        ErrorCode::HttpRequestUriInvalid => "bad-url",
        ErrorCode::DnsError(_) | ErrorCode::DnsTimeout => "dns-error",
        ErrorCode::ConnectionRefused => "connection-refused",
        ErrorCode::ConnectionTimeout => "connect-timeout",
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => "connection-lost",
        ErrorCode::ConnectionLimitReached => "too-many-requests",
        ErrorCode::TlsCertificateError | ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => "tls-error",
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => "timeout",
        ErrorCode::HttpRequestBodySize(_) => "request-too-large",
        ErrorCode::HttpResponseBodySize(_) | ErrorCode::HttpResponseHeaderSectionSize(_) => "response-too-large",
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationNotFound => "unreachable",
        _ => "network-error",
    };
    Exception::throw_type(ctx, name)
}
