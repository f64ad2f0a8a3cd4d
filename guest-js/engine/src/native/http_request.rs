//! The incoming request behind `Request`: a message, and `wasi:http`'s request for a body that is not in it.

use super::convert::{UsvString, isomorphic};
use super::fetch_handler::is_request;
use super::header_fields::is_name;
use super::message;
use super::raw::{self, Context, NativeFunction, RawValue, ValueTable};
use super::streams::{self, Chunk, PromiseCapability};
use super::url::serialized::is_serialized;
use crate::bindings::wasi::http::types::{IncomingBody, IncomingRequest};
use crate::bindings::wasi::io::streams::InputStream;
use crate::event_loop::{self, Progress, WaitId};
use javy::quickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value, qjs};
use std::cell::RefCell;
use std::ffi::c_int;
use std::ptr::null_mut;
use url::Url;

/// The name of the body, for errors.
const WHAT: &str = "the request's body";

/// The body, once something reads it. Fields drop in order: a stream must go before the body it came from.
struct Body {
    stream: InputStream,
    _body: IncomingBody,
}

#[derive(Default)]
struct Incoming {
    message: Option<message::Request>,
    /// The same request for its body, unless the message has it.
    request: Option<IncomingRequest>,
    body: Option<Body>,
    body_taken: bool,
    /// The bytes that were read to learn whether there is a body.
    first: Option<Chunk>,
    /// The read that is under way: it goes before the body.
    wait: Option<WaitId>,
}

struct Slot(RefCell<Incoming>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Slot {}

static INCOMING: Slot = Slot(RefCell::new(Incoming {
    message: None,
    request: None,
    body: None,
    body_taken: false,
    first: None,
    wait: None,
}));

/// Keeps a request of `wasi:http` for the handler.
pub(crate) fn set_request(request: IncomingRequest) {
    let message = message::Request::of(&request);
    INCOMING.0.replace(Incoming { message, request: Some(request), ..Incoming::default() });
}

/// Keeps a message for the handler, and the request whose body is not in it.
pub(crate) fn set_message(message: Vec<u8>, request: Option<IncomingRequest>) {
    let message = message::Request::read(message);
    INCOMING.0.replace(Incoming { message, request, ..Incoming::default() });
}

/// Gives the request back.
pub(crate) fn release() {
    let Incoming { request, body, .. } = INCOMING.0.take();
    // The body goes before the request that it is of.
    drop(body);
    drop(request);
}

fn with_request<R>(ctx: &Ctx<'_>, f: impl FnOnce(&message::Request) -> R) -> Result<R> {
    match &INCOMING.0.borrow().message {
        Some(request) => Ok(f(request)),
        None => Err(Exception::throw_type(ctx, "the incoming request is not available here")),
    }
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set(
        "requestMethod",
        Function::new(ctx.clone(), |ctx: Ctx<'_>| with_request(&ctx, |request| request.method().to_owned()))?,
    )?;
    native.set("requestUrl", Function::new(ctx.clone(), |ctx: Ctx<'_>| with_request(&ctx, url))?)?;
    native.set("nativeRequestGetter", Function::new(ctx.clone(), replace_getter)?)?;
    native.set("requestHeaders", Function::new(ctx.clone(), request_headers)?)?;
    native.set("requestHeader", Function::new(ctx.clone(), request_header)?)?;
    native.set("requestBodyNow", Function::new(ctx.clone(), read_now)?)?;
    native.set("requestHasBody", Function::new(ctx.clone(), has_body)?)?;
    native.set("requestBodyRead", Function::new(ctx.clone(), read)?)?;
    native.set(
        "requestBodyCancel",
        Function::new(ctx, || {
            let incoming = &mut *INCOMING.0.borrow_mut();
            incoming.first = None;
            if let Some(wait) = incoming.wait.take() {
                event_loop::forget(wait);
            }
            let body = incoming.body.take();
            event_loop::defer(move || drop(body));
        })?,
    )
}

/// The attributes of `Request` that natives replace.
const ATTRIBUTES: [&str; 2] = ["url", "method"];
const URL: usize = 0;
static SCRIPTS: ValueTable<{ ATTRIBUTES.len() }> = ValueTable::new();

/// Their values for the incoming request, once a script read them.
static TEXTS: ValueTable<{ ATTRIBUTES.len() }> = ValueTable::new();

/// Makes the native that replaces a getter of `Request`.
fn replace_getter<'js>(ctx: Ctx<'js>, script: Function<'js>, attribute: String) -> Result<Value<'js>> {
    let Some(number) = ATTRIBUTES.iter().position(|name| *name == attribute) else {
        return Err(Exception::throw_internal(&ctx, &format!("native {attribute} of a request does not exist")));
    };
    SCRIPTS.set(number, &script);
    raw::function(&script, NativeFunction::Getter(get_text), number)
}

/// An attribute of the incoming request; calls the script for any other request.
unsafe extern "C" fn get_text(ctx: Context, this: RawValue, number: c_int) -> RawValue {
    // SAFETY: QuickJS passes live values.
    unsafe {
        if is_request(this) {
            let known = TEXTS.get(number as usize);
            if !qjs::JS_IsUndefined(known) {
                return qjs::JS_DupValue(ctx, known);
            }
            if let Some(request) = &INCOMING.0.borrow().message {
                let value = match number as usize {
                    URL => raw::new_text(ctx, &url(request)),
                    _ => raw::new_text(ctx, request.method()),
                };
                if !qjs::JS_IsException(value) {
                    TEXTS.store_owned(number as usize, qjs::JS_DupValue(ctx, value));
                }
                return value;
            }
        }
        qjs::JS_Call(ctx, SCRIPTS.get(number as usize), this, 0, null_mut())
    }
}

/// Whether this string is the one that `url` of the incoming request returned.
pub(super) fn is_own_url(text: RawValue) -> bool {
    TEXTS.get(URL) == text
}

/// Whether the response must not have a body because the method is HEAD.
pub(super) fn is_head() -> bool {
    INCOMING.0.borrow().message.as_ref().is_some_and(|request| request.method() == "HEAD")
}

/// The host of a request without one, as HTTP/1.0 has it.
const NO_HOST: &str = "localhost";

/// The host of a URL whose authority is not valid: a name that nobody has (RFC 2606).
const INVALID_HOST: &str = "host.invalid";

/// The URL as the URL Standard serialises it, so that scripts and routers see the same path.
fn url(request: &message::Request) -> String {
    let scheme = if request.scheme() == "https" { "https" } else { "http" };
    let authority = request.authority().unwrap_or(NO_HOST);
    // `OPTIONS *`, or a query alone.
    let slash = if request.path().starts_with('/') { "" } else { "/" };
    let path = [slash, request.path()].concat();
    if is_serialized(authority, &path) {
        return [scheme, "://", authority, &path].concat();
    }
    let parse = |authority: &str| Url::parse(&format!("{scheme}://{authority}{path}")).ok();
    // What is before an `@` would make another host of it.
    let url = Some(authority).filter(|authority| !authority.contains(['@', '/', '\\', '?', '#']));
    match url.and_then(parse).or_else(|| parse(INVALID_HOST)) {
        Some(url) => url.into(),
        None => format!("{scheme}://{INVALID_HOST}/"),
    }
}

/// Names and values in turn. Bytes of a value are its characters, as the Fetch Standard's isomorphic decode has it.
/// `host` is there whichever version of HTTP the request came in; `wasi:http` has it beside the headers.
fn headers(request: &message::Request) -> Vec<String> {
    let mut list = Vec::with_capacity(2 * request.count() + 2);
    if let Some(host) = request.authority().filter(|_| request.values("host").next().is_none()) {
        list.extend(["host".to_owned(), host.to_owned()]);
    }
    for (name, value) in request.fields() {
        list.extend([isomorphic(name.to_vec()), isomorphic(value.to_vec())]);
    }
    list
}

/// The same as an array without a prototype: a script may have defined a setter for an index on `Array.prototype`.
fn request_headers(ctx: Ctx<'_>) -> Result<Array<'_>> {
    let list = Array::new(ctx.clone())?;
    list.set_prototype(None)?;
    for (at, text) in with_request(&ctx, headers)?.into_iter().enumerate() {
        list.set(at, text)?;
    }
    Ok(list)
}

/// The value of one header, several of them joined as Fetch's "get" does; null if it is not there, undefined if this is
/// no name.
fn request_header<'js>(ctx: Ctx<'js>, UsvString(name): UsvString) -> Result<Value<'js>> {
    if !is_name(name.as_bytes()) {
        return Ok(Value::new_undefined(ctx));
    }
    let value = with_request(&ctx, |request| {
        let mut values = request.values(&name);
        let Some(first) = values.next() else {
            return request.authority().filter(|_| name.eq_ignore_ascii_case("host")).map(str::to_owned);
        };
        let mut value = first.to_vec();
        for other in values {
            value.extend_from_slice(b", ");
            value.extend_from_slice(other);
        }
        Some(isomorphic(value))
    })?;
    value.map_or_else(|| Ok(Value::new_null(ctx.clone())), |value| value.into_js(&ctx))
}

/// Opens the body, once.
fn open(incoming: &mut Incoming) {
    if std::mem::replace(&mut incoming.body_taken, true) {
        return;
    }
    match (&incoming.request, &incoming.message) {
        (Some(request), _) => {
            if let Ok(body) = request.consume()
                && let Ok(stream) = body.stream()
            {
                incoming.body = Some(Body { stream, _body: body });
            }
        }
        (None, Some(message)) if !message.body().is_empty() => {
            incoming.first = Some(Chunk::Bytes(message.body().to_vec()));
        }
        (None, _) => {}
    }
}

/// Whether the request has a body (RFC 9112, section 6.3): its length is stated, or it did not end with the headers.
/// `wasi:http` keeps `transfer-encoding` to itself, so without a length the first read tells.
fn has_body() -> bool {
    let incoming = &mut *INCOMING.0.borrow_mut();
    let Some(message) = &incoming.message else { return false };
    if message.values("content-length").next().is_some() || !message.body().is_empty() {
        return true;
    }
    if incoming.first.is_none() && !incoming.body_taken {
        open(incoming);
        incoming.first = incoming.body.as_ref().and_then(|body| streams::try_read(&body.stream));
    }
    incoming.body.is_some() && !matches!(incoming.first, Some(Chunk::End))
}

/// The next chunk of the body, or null after the last.
fn read<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    open(&mut INCOMING.0.borrow_mut());
    let (promise, settle) = PromiseCapability::new(&ctx)?;
    if let Some(chunk) = try_read() {
        settle.chunk(&ctx, chunk, WHAT)?;
        return Ok(promise.into_value());
    }
    let incoming = &mut *INCOMING.0.borrow_mut();
    if let Some(body) = &incoming.body {
        incoming.wait = Some(event_loop::wait(body.stream.subscribe(), move |ctx| match try_read() {
            None => Ok(Progress::Again),
            Some(chunk) => {
                settle.clone().chunk(ctx, chunk, WHAT)?;
                Ok(Progress::Done)
            }
        }));
    }
    Ok(promise.into_value())
}

/// The whole rest of the body, if all of it is there; undefined if not, or if it broke off, which the next read tells.
fn read_now<'js>(ctx: Ctx<'js>) -> Result<Value<'js>> {
    let incoming = &mut *INCOMING.0.borrow_mut();
    open(incoming);
    let mut bytes = Vec::new();
    if incoming.body.is_none()
        && let Some(Chunk::Bytes(whole)) = incoming.first.take()
    {
        bytes = whole;
    }
    while let Some(body) = &incoming.body {
        match incoming.first.take().or_else(|| streams::try_read(&body.stream)) {
            Some(Chunk::Bytes(more)) if bytes.is_empty() => bytes = more,
            Some(Chunk::Bytes(more)) => bytes.extend_from_slice(&more),
            Some(Chunk::End) => {
                let body = incoming.body.take();
                event_loop::defer(move || drop(body));
            }
            Some(broken @ Chunk::Broken(_)) => {
                incoming.first = Some(broken);
                return Ok(Value::new_undefined(ctx));
            }
            None => {
                incoming.first =
                    Some(Chunk::Bytes(bytes)).filter(|chunk| !matches!(chunk, Chunk::Bytes(bytes) if bytes.is_empty()));
                return Ok(Value::new_undefined(ctx));
            }
        }
    }
    Ok(TypedArray::<u8>::new(ctx, bytes)?.into_value())
}

/// Reads what is there; `None` if nothing is there yet.
fn try_read() -> Option<Chunk> {
    let incoming = &mut *INCOMING.0.borrow_mut();
    let chunk = match (incoming.first.take(), &incoming.body) {
        (Some(first), _) => first,
        (None, Some(body)) => streams::try_read(&body.stream)?,
        (None, None) => return Some(Chunk::End),
    };
    if !matches!(chunk, Chunk::Bytes(_)) {
        let body = incoming.body.take();
        event_loop::defer(move || drop(body));
    }
    Some(chunk)
}
