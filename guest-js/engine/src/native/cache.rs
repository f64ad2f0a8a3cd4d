//! `elias/cache`: the cache capability.

use super::numbers::{integer_from_js, integer_to_js};
use super::require;
use super::streams::{self, promise_of};
use crate::bindings::elias::cache::cache::{
    self, Answer, Command, Entry, Error, ErrorCode, Expiry, Increment, Lease, Operation, Started, Swap,
};
use crate::event_loop;
use crate::phase::Import;
use javy::quickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

struct Leases {
    held: RefCell<BTreeMap<u32, Lease>>,
    next: Cell<u32>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Leases {}

static LEASES: Leases = Leases { held: RefCell::new(BTreeMap::new()), next: Cell::new(1) };

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("cacheStart", Function::new(ctx.clone(), start)?)?;
    native.set("cacheRelease", Function::new(ctx, |id: u32| drop(LEASES.held.borrow_mut().remove(&id)))?)
}

/// Starts a command; `argument` and `ttl_ms` are what it takes beside its key. Gives the answer, or a promise of it.
fn start<'js>(
    ctx: Ctx<'js>,
    name: String,
    key: Value<'js>,
    argument: Value<'js>,
    ttl_ms: Option<f64>,
    expected: Value<'js>,
) -> Result<Value<'js>> {
    require(&ctx, Import::Cache, "the cache")?;
    let ttl_ms = ttl_ms.map(|ttl| ttl.max(0.0) as u64);
    let text = |value: &Value<'js>| value.as_string().map_or_else(|| Ok(String::new()), |text| text.to_string());
    let entry = || -> Result<Entry> {
        let value = streams::bytes_of(&argument)?.unwrap_or_default();
        Ok(Entry { key: text(&key)?, value, ttl_ms })
    };
    let command = match name.as_str() {
        "get" => Command::Get(text(&key)?),
        "get-many" => {
            let keys = key.as_array().map(|keys| keys.iter::<String>().collect::<Result<Vec<_>>>());
            Command::GetMany(keys.transpose()?.unwrap_or_default())
        }
        "set" => Command::Set(entry()?),
        "set-if-absent" => Command::SetIfAbsent(entry()?),
        "compare-and-swap" => {
            Command::CompareAndSwap(Swap { entry: entry()?, expected: streams::bytes_of(&expected)? })
        }
        "delete" => Command::Delete(text(&key)?),
        "increment" => Command::Increment(Increment { key: text(&key)?, by: integer_from_js(&ctx, argument)?, ttl_ms }),
        "expire" => Command::Expire(Expiry { key: text(&key)?, ttl_ms }),
        "lease" => Command::Lease(text(&key)?),
        _ => return Err(Exception::throw_type(&ctx, "there is no such command")),
    };
    match cache::start(&command) {
        Started::Done(outcome) => convert(&ctx, outcome),
        Started::Pending(operation) => wait(&ctx, operation),
    }
}

fn wait<'js>(ctx: &Ctx<'js>, operation: Operation) -> Result<Value<'js>> {
    let operation = Rc::new(operation);
    let asked = Rc::clone(&operation);
    let (promise, _) = promise_of(ctx, move || asked.take(), || operation.subscribe(), {
        let operation = Rc::clone(&operation);
        move |ctx, outcome| {
            // The pollable that woke this hangs on the operation: what holds that is kept until the pollable is gone.
            let operation = Rc::clone(&operation);
            event_loop::later(move || drop(operation));
            convert(ctx, outcome)
        }
    })?;
    Ok(promise)
}

fn convert<'js>(ctx: &Ctx<'js>, outcome: std::result::Result<Answer, Error>) -> Result<Value<'js>> {
    let bytes = |value: Option<Vec<u8>>| match value {
        Some(bytes) => Ok(TypedArray::<u8>::new(ctx.clone(), bytes)?.into_value()),
        None => Ok(Value::new_undefined(ctx.clone())),
    };
    match outcome {
        Ok(Answer::Value(value)) => bytes(value),
        Ok(Answer::Values(values)) => {
            let array = Array::new(ctx.clone())?;
            for (index, value) in values.into_iter().enumerate() {
                array.set(index, bytes(value)?)?;
            }
            Ok(array.into_value())
        }
        Ok(Answer::Changed(changed)) => changed.into_js(ctx),
        Ok(Answer::Number(number)) => integer_to_js(ctx, number),
        Ok(Answer::Leased(lease)) => {
            let id = LEASES.next.get();
            LEASES.next.set(id + 1);
            LEASES.held.borrow_mut().insert(id, lease);
            let object = Object::new(ctx.clone())?;
            object.set("lease", id)?;
            Ok(object.into_value())
        }
        Err(Error { code, message }) => {
            let code = match code {
                ErrorCode::InvalidKey => "invalid-key",
                ErrorCode::TooLarge => "too-large",
                ErrorCode::NotANumber => "not-a-number",
                ErrorCode::TooManyOperations => "too-many-operations",
                ErrorCode::Unavailable => "unavailable",
            };
            Err(coded(ctx, code, None, &message))
        }
    }
}

/// Throws an error with a stable `code`, and a `sqlstate` where there is one.
pub(crate) fn coded(ctx: &Ctx<'_>, code: &str, sqlstate: Option<String>, message: &str) -> javy::quickjs::Error {
    let made = Exception::from_message(ctx.clone(), message).and_then(|error| {
        error.as_object().set("code", code)?;
        if let Some(sqlstate) = sqlstate {
            error.as_object().set("sqlstate", sqlstate)?;
        }
        Ok(error)
    });
    match made {
        Ok(error) => ctx.throw(error.into_value()),
        Err(error) => error,
    }
}
