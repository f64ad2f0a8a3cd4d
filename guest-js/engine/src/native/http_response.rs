//! The outgoing response: `wasi:http/types.outgoing-response` behind `Response`.

use super::streams::{self, Gone, Outgoing, Settle};
use crate::bindings::wasi::http::types::{Fields, OutgoingBody, OutgoingResponse, ResponseOutparam};
use crate::bindings::wasi::io::streams::OutputStream;
use crate::event_loop::{self, Progress};
use javy::quickjs::{Ctx, Exception, Function, Object, Result, TypedArray, Value};
use std::cell::RefCell;

/// Headers that belong to one connection and not to the message (RFC 9110, section 7.6.1). The host decides on them, so
/// what a handler or its framework sets is left out.
const CONNECTION_HEADERS: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/// How far the response has come.
pub(crate) enum State {
    /// Nothing was sent.
    Waiting(Option<ResponseOutparam>),
    /// The head is made, and goes out with the body.
    Started { out: ResponseOutparam, response: OutgoingResponse },
    /// The head went out.
    Body(BodyWriter),
    /// The last byte was handed to the host.
    Finished,
    /// It was broken off after the head had gone out.
    Aborted,
}

/// Fields drop in order: the stream must go before the body it came from.
pub(crate) struct BodyWriter {
    stream: OutputStream,
    body: OutgoingBody,
}

struct Slot(RefCell<State>);

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Slot {}

static RESPONSE: Slot = Slot(RefCell::new(State::Waiting(None)));

/// Keeps the place to answer to.
pub(crate) fn set_response_out(out: ResponseOutparam) {
    RESPONSE.0.replace(State::Waiting(Some(out)));
}

/// Takes what there is of the response, for its last rites.
pub(crate) fn state() -> State {
    RESPONSE.0.replace(State::Finished)
}

/// Whether the handler owes nothing more of the response.
pub(crate) fn finished() -> bool {
    matches!(&*RESPONSE.0.borrow(), State::Finished | State::Aborted)
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("responseStart", Function::new(ctx.clone(), start)?)?;
    native.set("responseBody", Function::new(ctx.clone(), whole_body)?)?;
    native.set("responseWrite", Function::new(ctx.clone(), write)?)?;
    native.set(
        "responseEnd",
        Function::new(ctx.clone(), |ctx: Ctx<'_>| {
            open_body(&ctx)?;
            finish(&ctx)
        })?,
    )?;
    native.set("responseAbort", Function::new(ctx, |_message: String| drop(RESPONSE.0.replace(State::Aborted)))?)
}

fn start(ctx: Ctx<'_>, status: u16, headers: Vec<String>) -> Result<()> {
    let state = RESPONSE.0.replace(State::Finished);
    let State::Waiting(Some(out)) = state else {
        RESPONSE.0.replace(state);
        return Err(Exception::throw_type(&ctx, "a response was sent already"));
    };
    let mut entries = Vec::with_capacity(headers.len() / 2 + 1);
    let mut headers = headers.into_iter();
    while let (Some(name), Some(value)) = (headers.next(), headers.next()) {
        if CONNECTION_HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header)) {
            continue;
        }
        entries.push((name, byte_string(value)));
    }
    let made = Fields::from_list(&entries).map_err(|error| format!("the response's headers are refused: {error}"));
    let made = made.and_then(|fields| {
        let response = OutgoingResponse::new(fields);
        match response.set_status_code(status) {
            Ok(()) => Ok(response),
            Err(()) => Err(format!("the response's status {status} is refused")),
        }
    });
    match made {
        Ok(response) => {
            RESPONSE.0.replace(State::Started { out, response });
            Ok(())
        }
        Err(why) => {
            RESPONSE.0.replace(State::Waiting(Some(out)));
            Err(Exception::throw_type(&ctx, &why))
        }
    }
}

/// A header's value: a byte string, a character a byte; what is no byte goes out as UTF-8.
pub(crate) fn byte_string(value: String) -> Vec<u8> {
    match value.chars().map(u8::try_from).collect::<std::result::Result<Vec<u8>, _>>() {
        Ok(bytes) => bytes,
        Err(_) => value.into_bytes(),
    }
}

/// Sends the head and opens the body for writing; nothing if it is open.
fn open_body(ctx: &Ctx<'_>) -> Result<()> {
    let state = RESPONSE.0.replace(State::Finished);
    let State::Started { out, response } = state else {
        let open = matches!(state, State::Body(_));
        RESPONSE.0.replace(state);
        return if open { Ok(()) } else { Err(Exception::throw_type(ctx, "the response has no body to write to")) };
    };
    let opened = response.body().and_then(|body| body.write().map(|stream| BodyWriter { stream, body }));
    ResponseOutparam::set(out, Ok(response));
    match opened {
        Ok(writer) => {
            RESPONSE.0.replace(State::Body(writer));
            Ok(())
        }
        Err(()) => Err(Exception::throw_type(ctx, "the response's body was opened before")),
    }
}

fn finish(ctx: &Ctx<'_>) -> Result<()> {
    if let State::Body(BodyWriter { stream, body }) = RESPONSE.0.replace(State::Finished) {
        drop(stream);
        if let Err(error) = OutgoingBody::finish(body, None) {
            return Err(Exception::throw_type(ctx, &format!("the response's body is incomplete: {error}")));
        }
    }
    Ok(())
}

/// Sends a body that is known whole.
fn whole_body<'js>(ctx: Ctx<'js>, body: Value<'js>) -> Result<()> {
    let bytes = streams::bytes_of(&body)?.unwrap_or_default();
    if bytes.is_empty() {
        // A response whose body was never opened is one without a body.
        if let State::Started { out, response } = RESPONSE.0.replace(State::Finished) {
            ResponseOutparam::set(out, Ok(response));
        }
        return Ok(());
    }
    open_body(&ctx)?;
    let mut rest = Outgoing::new(bytes);
    match advance(&mut rest) {
        Ok(true) => finish(&ctx),
        Ok(false) => {
            on_writable(move |ctx| match advance(&mut rest) {
                Ok(false) => Ok(Progress::Again),
                Ok(true) => finish(ctx).map(|()| Progress::Done),
                Err(Gone) => {
                    RESPONSE.0.replace(State::Aborted);
                    Ok(Progress::Done)
                }
            });
            Ok(())
        }
        // The client is gone; the host ends the instance.
        Err(Gone) => {
            RESPONSE.0.replace(State::Aborted);
            Ok(())
        }
    }
}

/// Writes one chunk; the promise settles when the host took all of it.
fn write<'js>(ctx: Ctx<'js>, chunk: TypedArray<'js, u8>) -> Result<Value<'js>> {
    open_body(&ctx)?;
    let mut rest = Outgoing::new(chunk.as_bytes().unwrap_or_default().to_vec());
    match advance(&mut rest) {
        Ok(true) => Ok(Value::new_undefined(ctx)),
        Err(Gone) => Err(gone(&ctx)),
        Ok(false) => {
            let (promise, settle) = Settle::new(&ctx)?;
            on_writable(move |ctx| match advance(&mut rest) {
                Ok(false) => Ok(Progress::Again),
                Ok(true) => settle.clone().resolve(ctx, Value::new_undefined(ctx.clone())).map(|()| Progress::Done),
                Err(Gone) => {
                    let _ = gone(ctx);
                    settle.clone().reject(ctx, ctx.catch()).map(|()| Progress::Done)
                }
            });
            Ok(promise.into_value())
        }
    }
}

fn advance(rest: &mut Outgoing) -> std::result::Result<bool, Gone> {
    match &*RESPONSE.0.borrow() {
        State::Body(writer) => rest.advance(&writer.stream),
        _ => Err(Gone),
    }
}

fn gone(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    Exception::throw_message(ctx, "the client no longer reads the response")
}

fn on_writable(ready: impl FnMut(&Ctx<'_>) -> Result<Progress> + 'static) {
    if let State::Body(writer) = &*RESPONSE.0.borrow() {
        event_loop::wait(writer.stream.subscribe(), ready);
    }
}
