//! The native half of the web APIs: one file an API, all in the object that `import native from "elias:native"` gives.
//! This file also has the lifecycle of handlers: web modules register the functions that start them, `waitUntil` adds
//! background promises, and `release` frees what an execution holds of the host.
//!
//! To add one: write its file with an `add(&Object)`, name it here, and write its JavaScript half in `guest-js/web`.

pub(crate) mod async_context;
pub(crate) mod builtins;
mod bytes;
mod cache;
mod call;
mod capability;
mod compression;
mod config;
mod connection_headers;
mod console;
mod convert;
mod crypto;
mod db;
mod encodings;
mod events;
mod fetch;
pub(crate) mod fetch_handler;
mod flags;
mod header_fields;
mod http_request;
mod http_response;
mod inspect;
mod jobs;
mod message;
mod mime;
mod multipart;
mod object_state;
mod pair_iterator;
pub(crate) mod random;
mod raw;
mod request_context;
mod streams;
mod text;
pub(crate) mod timers;
mod triggers;
mod url;
pub(crate) mod worker;
mod worker_calls;
mod workflow;

pub(crate) use call::{set_input, take_output};
pub(crate) use capability::describe as describe_capabilities;
pub(crate) use http_request::{set_message, set_request};
pub(crate) use http_response::{
    State as ResponseState, finished as response_finished, set_response_out, take_failure as take_response_failure,
    take_message as take_response_message, take_state as take_response_state,
};
pub(crate) use triggers::{Decision, is_suspended, take_decision};

use crate::phase::{self, Import, Requirement};
use crate::{application, build_report, event_loop, schemas, uncaught};
use javy::quickjs::module::{Declarations, Exports, ModuleDef};
use javy::quickjs::{Ctx, Exception, Function, Object, Persistent, Promise, Result};
use std::cell::RefCell;

/// The module that web modules import their natives from.
pub(crate) const MODULE: &str = "elias:native";

/// [`MODULE`]'s definition.
pub(crate) struct Native;

impl ModuleDef for Native {
    fn declare(declarations: &Declarations<'_>) -> Result<()> {
        declarations.declare("default")?;
        Ok(())
    }

    fn evaluate<'js>(ctx: &Ctx<'js>, exports: &Exports<'js>) -> Result<()> {
        let native = Object::new(ctx.clone())?;
        for add in [
            console::add,
            object_state::add,
            timers::add,
            uncaught::add,
            text::add,
            encodings::add,
            builtins::add,
            pair_iterator::add,
            random::add,
            url::add,
            mime::add,
            multipart::add,
            header_fields::add,
            http_request::add,
            http_response::add,
            call::add,
            capability::add,
            request_context::add,
            compression::add,
            config::add,
            crypto::add,
            fetch::add,
            fetch_handler::add,
            cache::add,
            db::add,
            jobs::add,
            events::add,
            flags::add,
            workflow::add,
            triggers::add,
            worker::add,
            worker_calls::add,
            async_context::add,
            add_lifecycle,
        ] {
            add(&native)?;
        }
        exports.export("default", native)?;
        Ok(())
    }
}

/// Replaces built-ins of QuickJS and javy: the random source, so that no snapshot holds its state, and `console`, which
/// would write to a standard output that does not exist.
pub(crate) fn replace_builtins(ctx: &Ctx<'_>) -> Result<()> {
    random::replace_math_random(ctx)
}

/// The natives that start a handler.
#[derive(Clone, Copy)]
pub(crate) enum Trigger {
    Fetch,
    Call,
    Scheduled,
    Job,
    Event,
    Events,
}

impl Trigger {
    /// The trigger of the handler with this name.
    fn from_handler(name: &str) -> Option<Self> {
        Some(match name {
            "fetch" => Self::Fetch,
            "call" => Self::Call,
            "scheduled" => Self::Scheduled,
            "job" => Self::Job,
            "event" => Self::Event,
            "events" => Self::Events,
            _ => return None,
        })
    }
}

struct Lifecycle {
    /// The functions of web modules that call the application's handlers, by [`Trigger`].
    handlers: [RefCell<Option<Persistent<Function<'static>>>>; 6],
    background: RefCell<Vec<Persistent<Promise<'static>>>>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Lifecycle {}

static LIFECYCLE: Lifecycle =
    Lifecycle { handlers: [const { RefCell::new(None) }; 6], background: RefCell::new(Vec::new()) };

/// The function that a web module registered for `trigger`.
pub(crate) fn handler<'js>(ctx: &Ctx<'js>, trigger: Trigger) -> Result<Function<'js>> {
    match LIFECYCLE.handlers[trigger as usize].borrow().clone() {
        Some(function) => function.restore(ctx),
        None => Err(Exception::throw_internal(ctx, "no web module handles this trigger")),
    }
}

/// Whether a web module calls the handler with this name.
pub(crate) fn is_handled(name: &str) -> bool {
    Trigger::from_handler(name).is_some_and(|trigger| LIFECYCLE.handlers[trigger as usize].borrow().is_some())
}

/// The promises given to `waitUntil` since the last call of this.
pub(crate) fn take_background() -> Vec<Persistent<Promise<'static>>> {
    LIFECYCLE.background.take()
}

/// Whether anything was given to `waitUntil` that nobody has waited for yet.
fn has_background() -> bool {
    !LIFECYCLE.background.borrow().is_empty()
}

/// Releases what a finished execution holds of the host, so that its instance can be used again. An open transaction
/// stays, and so ends with the instance.
pub(crate) fn release() {
    // What waits goes before what it waits for.
    event_loop::release();
    fetch::release();
    cache::release();
    db::release();
    http_request::release();
}

/// Releases all that a turn of a worker holds of the host, since the worker's instance goes on. Open transactions are
/// rolled back. State of the moment, such as clocks, is forgotten. The memory is kept, and is written only where it
/// changed.
pub(crate) fn release_turn() {
    release();
    db::end_transactions();
    event_loop::end_turn();
    timers::stop();
    random::forget_seed();
}

fn add_lifecycle(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("register", Function::new(ctx.clone(), register)?)?;
    native.set("setApplication", Function::new(ctx.clone(), application::add_implementation)?)?;
    native.set("dependOn", Function::new(ctx.clone(), build_report::depend_on)?)?;
    native.set("describeSchema", Function::new(ctx.clone(), schemas::describe)?)?;
    native.set("componentName", Function::new(ctx.clone(), application::name)?)?;
    native.set("waitUntil", Function::new(ctx, wait_until)?)
}

fn register<'js>(ctx: Ctx<'js>, name: String, handler: Function<'js>) -> Result<()> {
    let Some(trigger) = Trigger::from_handler(&name) else {
        return Err(Exception::throw_type(&ctx, "unknown trigger"));
    };
    LIFECYCLE.handlers[trigger as usize].replace(Some(Persistent::save(&ctx, handler)));
    Ok(())
}

fn wait_until<'js>(ctx: Ctx<'js>, promise: Promise<'js>) {
    uncaught::expect(&ctx, &promise);
    LIFECYCLE.background.borrow_mut().push(Persistent::save(&ctx, promise));
}

/// Refuses, as a JavaScript exception, what needs an import that is not there.
pub(crate) fn require(ctx: &Ctx<'_>, import: Import, what: &str) -> Result<()> {
    if phase::building() {
        let message =
            format!("{what} is not available at the top level, which runs during the build; use it in a handler");
        return Err(Exception::throw_message(ctx, &message));
    }
    if !phase::wired(import) {
        let Requirement { name, mention, grant } = import.requirement();
        let grant = grant.map(|grant| format!(", and grant it with `{grant}` in elias.toml")).unwrap_or_default();
        let message = format!(
            "{what} needs the import {name}, which this component does not have, because nothing in its source \
             names what uses it; \
             write `{mention}` anywhere in the source and build again{grant}"
        );
        return Err(Exception::throw_message(ctx, &message));
    }
    Ok(())
}
