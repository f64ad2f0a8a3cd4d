//! The outgoing response: `wasi:http/types.outgoing-response` behind `Response`.
//!
//! One state machine, [`State`]: headers, body, end. A body that is whole has its own length, whatever the headers say.
//! The headers of a streamed body are sent at once; one that states its length sends them with its first bytes, and
//! keeps the last of them back until it has ended, so that a client never takes a body of another length for a complete
//! one. What breaks off is dropped without being finished, which tells the host.

use super::bytes::bytes_in;
use super::connection_headers::left_out_of_response;
use super::convert::{HeaderEntry, bytes_of, header_entries};
use super::streams::{Outgoing, PromiseCapability, StreamClosed};
use super::{http_request, message};
use crate::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use crate::bindings::wasi::io::streams::OutputStream;
use crate::error::ExceptionText;
use crate::event_loop::{self, Progress};
use javy::quickjs::{Ctx, Exception, Function, Object, Result, TypedArray, Value};
use std::cell::{Cell, RefCell};

const CONTENT_LENGTH: &str = "content-length";

/// The state of the response.
pub(crate) enum State {
    /// Nothing was sent.
    Waiting(Option<ResponseOutparam>),
    /// The headers are made. They are sent with the first bytes of a body that states its length.
    Held { out: ResponseOutparam, response: OutgoingResponse, stated: DeclaredLength },
    /// The headers were sent.
    Body(BodyWriter),
    /// The last byte was handed to the host.
    Finished,
    /// It was broken off after the headers had been sent.
    Broken,
}

/// The rest of a length that the headers state.
#[derive(Default)]
pub(crate) struct DeclaredLength {
    total: u64,
    left: u64,
    /// The last bytes of the length, until it is known that no more come.
    last: Vec<u8>,
}

/// Fields drop in order: the stream must go before the body it came from.
pub(crate) struct BodyWriter {
    stream: OutputStream,
    body: OutgoingBody,
    stated: Option<DeclaredLength>,
}

struct Slot {
    state: RefCell<State>,
    /// Why the body broke off, if a script's exception did it.
    failure: RefCell<Option<ExceptionText>>,
    /// Whether the host takes a whole response as a message.
    by_message: Cell<bool>,
    message: RefCell<Option<Vec<u8>>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Slot {}

static RESPONSE: Slot = Slot {
    state: RefCell::new(State::Waiting(None)),
    failure: RefCell::new(None),
    by_message: Cell::new(false),
    message: RefCell::new(None),
};

/// Bytes of the body of a response that is a message, and of its header fields.
const MESSAGE_BODY_BYTES_MAX: usize = 64 << 10;
const MESSAGE_FIELDS_BYTES_MAX: usize = 8 << 10;

/// Keeps the place to answer to, unless the response can be a message.
pub(crate) fn set_response_out(out: ResponseOutparam, by_message: bool) {
    RESPONSE.state.replace(State::Waiting(Some(out)));
    RESPONSE.by_message.set(by_message);
}

/// Takes the response, if it is a message.
pub(crate) fn take_message() -> Option<Vec<u8>> {
    RESPONSE.message.take()
}

/// Takes the state of the response when the execution ends.
pub(crate) fn take_state() -> State {
    RESPONSE.state.replace(State::Finished)
}

/// Takes the exception that broke the body off.
pub(crate) fn take_failure() -> Option<ExceptionText> {
    RESPONSE.failure.take()
}

/// Whether the handler owes nothing more of the response.
pub(crate) fn finished() -> bool {
    matches!(&*RESPONSE.state.borrow(), State::Finished | State::Broken)
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("responseWhole", Function::new(ctx.clone(), send_whole)?)?;
    native.set("responseStream", Function::new(ctx.clone(), begin_stream)?)?;
    native.set("responseWrite", Function::new(ctx.clone(), write)?)?;
    native.set("responseEnd", Function::new(ctx.clone(), end)?)?;
    native.set("responseFail", Function::new(ctx, fail)?)
}

/// The treatment of a `content-length` among the headers.
enum Length {
    /// The body is whole: this is its length.
    Own(usize),
    /// There is no body, and what GET or the original response would have is what the handler says (RFC 9110, section
    /// 8.6).
    AsStated,
    /// There is no body.
    None,
    /// The body is a stream.
    Streamed,
}

/// The headers that are sent, and what they state as the length of the body.
fn checked(ctx: &Ctx<'_>, headers: Vec<HeaderEntry>, length: &Length) -> Result<(Vec<HeaderEntry>, Option<u64>)> {
    let mut entries = Vec::with_capacity(headers.len() + 1);
    let mut stated = None;
    for (name, value) in headers {
        if left_out_of_response(&name) {
            continue;
        }
        if name.eq_ignore_ascii_case(CONTENT_LENGTH) {
            if matches!(length, Length::Own(_) | Length::None) {
                continue;
            }
            let value = String::from_utf8_lossy(&value);
            let Some(bytes) = content_length(&value).filter(|&bytes| stated.is_none_or(|stated| stated == bytes))
            else {
                let message = format!("the response's content-length is not the length of one body: {value:?}");
                return Err(Exception::throw_type(ctx, &message));
            };
            if stated.replace(bytes).is_none() {
                entries.push((name, bytes.to_string().into_bytes()));
            }
            continue;
        }
        entries.push((name, value));
    }
    if let Length::Own(bytes) = length {
        entries.push((CONTENT_LENGTH.to_owned(), bytes.to_string().into_bytes()));
    }
    Ok((entries, stated))
}

/// Makes the response, and gives what its headers state as the length of a streamed body.
fn make(
    ctx: &Ctx<'_>,
    status: u16,
    headers: Vec<HeaderEntry>,
    length: &Length,
) -> Result<(ResponseOutparam, OutgoingResponse, Option<u64>)> {
    let (entries, stated) = checked(ctx, headers, length)?;
    let made = Fields::from_list(&entries).map_err(|error| format!("the response's headers are refused: {error}"));
    let made = made.and_then(|fields| {
        let response = OutgoingResponse::new(fields);
        // It is made with 200.
        match if status == 200 { Ok(()) } else { response.set_status_code(status) } {
            Ok(()) => Ok(response),
            Err(()) => Err(format!("the response's status {status} is refused")),
        }
    });
    let response = made.map_err(|why| Exception::throw_type(ctx, &why))?;
    let state = RESPONSE.state.replace(State::Finished);
    match state {
        State::Waiting(Some(out)) => Ok((out, response, stated)),
        other => {
            RESPONSE.state.replace(other);
            Err(Exception::throw_type(ctx, "a response was sent already"))
        }
    }
}

/// The number of bytes that a content-length states, also where it was sent several times and joined (RFC 9112, section
/// 6.3).
fn content_length(value: &str) -> Option<u64> {
    let mut all = value.split(',').map(|part| {
        let digits = part.trim_matches([' ', '\t']);
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten()
    });
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// Sends headers, and a body that is known whole: a string, a `Uint8Array`, or null.
fn send_whole<'js>(ctx: Ctx<'js>, status: u16, headers: Vec<String>, body: Value<'js>) -> Result<()> {
    let bytes = bytes_of(&body)?.unwrap_or_default();
    send_bytes(&ctx, status, header_entries(headers), bytes)
}

/// Sends headers, and a body that is known whole.
pub(super) fn send_bytes(ctx: &Ctx<'_>, status: u16, headers: Vec<HeaderEntry>, bytes: Vec<u8>) -> Result<()> {
    let length = match bytes.len() {
        0 if http_request::is_head() || status == 304 => Length::AsStated,
        0 => Length::None,
        own => Length::Own(own),
    };
    if can_be_message(ctx, &headers, bytes.len()) {
        let (entries, _) = checked(ctx, headers, &length)?;
        if let State::Waiting(out) = RESPONSE.state.replace(State::Finished) {
            drop(out);
        }
        let body: &[u8] = if http_request::is_head() { &[] } else { &bytes };
        RESPONSE.message.replace(Some(message::response(status, &entries, body)));
        return Ok(());
    }
    if bytes.is_empty() {
        let (out, response, _) = make(ctx, status, headers, &length)?;
        // A response whose body was never opened is one without a body.
        ResponseOutparam::set(out, Ok(response));
        return Ok(());
    }
    let (out, response, _) = make(ctx, status, headers, &length)?;
    if http_request::is_head() {
        ResponseOutparam::set(out, Ok(response));
        return Ok(());
    }
    open_body(ctx, out, response, None)?;
    let mut rest = Outgoing::new(bytes);
    match advance(&mut rest) {
        Ok(true) => finish(),
        Ok(false) => on_writable(move |_| {
            match advance(&mut rest) {
                Ok(false) => return Ok(Progress::Again),
                Ok(true) => finish(),
                Err(StreamClosed) => break_off(),
            }
            Ok(Progress::Done)
        }),
        // The client is gone; the host ends the instance.
        Err(StreamClosed) => break_off(),
    }
    Ok(())
}

/// Whether a whole response can be a message, with which the execution ends: nothing is left to do, or the client would
/// have to wait for that.
fn can_be_message(ctx: &Ctx<'_>, headers: &[HeaderEntry], body_bytes: usize) -> bool {
    RESPONSE.by_message.get()
        && matches!(&*RESPONSE.state.borrow(), State::Waiting(Some(_)))
        && body_bytes <= MESSAGE_BODY_BYTES_MAX
        && headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= MESSAGE_FIELDS_BYTES_MAX
        && !super::has_background()
        && event_loop::is_idle(ctx)
}

/// Sends the headers of a body that follows in writes; false if there must not be one.
fn begin_stream(ctx: Ctx<'_>, status: u16, headers: Vec<String>) -> Result<bool> {
    if http_request::is_head() {
        let (out, response, _) = make(&ctx, status, header_entries(headers), &Length::AsStated)?;
        ResponseOutparam::set(out, Ok(response));
        return Ok(false);
    }
    let (out, response, stated) = make(&ctx, status, header_entries(headers), &Length::Streamed)?;
    match stated {
        None => open_body(&ctx, out, response, None)?,
        Some(total) => {
            let stated = DeclaredLength { total, left: total, last: Vec::new() };
            RESPONSE.state.replace(State::Held { out, response, stated });
        }
    }
    Ok(true)
}

/// Sends the headers and opens the body for writing.
fn open_body(
    ctx: &Ctx<'_>,
    out: ResponseOutparam,
    response: OutgoingResponse,
    stated: Option<DeclaredLength>,
) -> Result<()> {
    let opened = response.body().and_then(|body| body.write().map(|stream| BodyWriter { stream, body, stated }));
    ResponseOutparam::set(out, Ok(response));
    match opened {
        Ok(writer) => {
            RESPONSE.state.replace(State::Body(writer));
            Ok(())
        }
        Err(()) => Err(Exception::throw_type(ctx, "the response's body was opened before")),
    }
}

/// Sends the headers that are held, if they are.
fn release(ctx: &Ctx<'_>) -> Result<()> {
    match RESPONSE.state.replace(State::Finished) {
        State::Held { out, response, stated } => open_body(ctx, out, response, Some(stated)),
        other => {
            RESPONSE.state.replace(other);
            Ok(())
        }
    }
}

/// Drops the body without finishing it, in the next turn: a wait may still hold a pollable of its stream.
fn break_off() {
    let former = RESPONSE.state.replace(State::Broken);
    event_loop::defer(move || drop(former));
}

/// Finishes the body, likewise.
fn finish() {
    if let State::Body(BodyWriter { stream, body, .. }) = RESPONSE.state.replace(State::Finished) {
        event_loop::defer(move || {
            drop(stream);
            // The length was kept, so that there is nothing that the host could object to.
            let _ = OutgoingBody::finish(body, None);
        });
    }
}

/// Runs `f` on the stated length of the body that is being written.
fn with_stated<R>(f: impl FnOnce(&mut DeclaredLength) -> R) -> Option<R> {
    match &mut *RESPONSE.state.borrow_mut() {
        State::Held { stated, .. } | State::Body(BodyWriter { stated: Some(stated), .. }) => Some(f(stated)),
        _ => None,
    }
}

/// Writes one chunk; the promise settles when the host took all of it.
fn write<'js>(ctx: Ctx<'js>, chunk: TypedArray<'js, u8>) -> Result<Value<'js>> {
    let bytes = bytes_in(&chunk).to_vec();
    if bytes.is_empty() {
        return Ok(Value::new_undefined(ctx));
    }
    // Bytes to send now; none where they are kept back.
    let now = with_stated(|stated| -> std::result::Result<bool, u64> {
        let left = stated.left.checked_sub(bytes.len() as u64).ok_or(stated.total)?;
        stated.left = left;
        if left == 0 {
            stated.last.clone_from(&bytes);
            return Ok(false);
        }
        Ok(true)
    });
    match now {
        Some(Err(total)) => {
            let message = format!("the response's body has more bytes than its content-length says, which is {total}");
            Err(Exception::throw_type(&ctx, &message))
        }
        Some(Ok(false)) => Ok(Value::new_undefined(ctx)),
        Some(Ok(true)) | None => {
            release(&ctx)?;
            send(ctx, bytes, false)
        }
    }
}

/// Ends a streamed body; the promise settles when the host took all of it.
fn end(ctx: Ctx<'_>) -> Result<Value<'_>> {
    let last = with_stated(|stated| match stated.left {
        0 => Ok(std::mem::take(&mut stated.last)),
        left => Err((stated.total - left, stated.total)),
    });
    match last {
        Some(Err((sent, total))) => {
            let message = format!("the response's body ended after {sent} bytes; its content-length says {total}");
            Err(Exception::throw_type(&ctx, &message))
        }
        last => {
            release(&ctx)?;
            send(ctx, last.and_then(std::result::Result::ok).unwrap_or_default(), true)
        }
    }
}

/// Hands bytes to the host, and finishes the body after the last of them.
fn send(ctx: Ctx<'_>, bytes: Vec<u8>, is_last: bool) -> Result<Value<'_>> {
    let mut rest = Outgoing::new(bytes);
    match advance(&mut rest) {
        Ok(true) => {
            if is_last {
                finish();
            }
            Ok(Value::new_undefined(ctx))
        }
        Err(StreamClosed) => Err(stream_closed(&ctx)),
        Ok(false) => {
            let (promise, settle) = PromiseCapability::new(&ctx)?;
            on_writable(move |ctx| {
                let outcome = match advance(&mut rest) {
                    Ok(false) => return Ok(Progress::Again),
                    Ok(true) => {
                        if is_last {
                            finish();
                        }
                        Ok(())
                    }
                    Err(StreamClosed) => Err(stream_closed(ctx)),
                };
                settle.clone().settle(ctx, outcome.map(|()| Value::new_undefined(ctx.clone())))?;
                Ok(Progress::Done)
            });
            Ok(promise.into_value())
        }
    }
}

/// Breaks the body off: a script that makes it threw `error`. While the headers are held there is still time for an
/// error response.
fn fail(error: Value<'_>) {
    match RESPONSE.state.replace(State::Broken) {
        State::Held { out, response, .. } => {
            drop(response);
            RESPONSE.state.replace(State::Waiting(Some(out)));
        }
        body @ State::Body(_) => event_loop::defer(move || drop(body)),
        // The client is gone, or it is all sent: nobody is left to be told.
        other => {
            RESPONSE.state.replace(other);
            return;
        }
    }
    RESPONSE.failure.replace(Some(ExceptionText::of(&error)));
}

fn advance(rest: &mut Outgoing) -> std::result::Result<bool, StreamClosed> {
    match &*RESPONSE.state.borrow() {
        State::Body(writer) => rest.advance(&writer.stream),
        _ => Err(StreamClosed),
    }
}

/// Breaks off the body, and returns the error for the script that writes it.
fn stream_closed(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    break_off();
    Exception::throw_message(ctx, "the client no longer reads the response")
}

fn on_writable(ready: impl FnMut(&Ctx<'_>) -> Result<Progress> + 'static) {
    if let State::Body(writer) = &*RESPONSE.state.borrow() {
        event_loop::wait(writer.stream.subscribe(), ready);
    }
}
