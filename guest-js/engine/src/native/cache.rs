//! `elias/cache`: the cache capability.

use super::convert::{UsvString, bytes_of, error_with_code, integer_from_js, integer_to_js, usv};
use super::require;
use super::streams::promise_of_operation;
use crate::bindings::elias::cache::cache::{
    self, Answer, Command, Entry, Error, ErrorCode, Expiry, Increment, Lease, Operation, Started, Swap,
};
use crate::json;
use crate::phase::Import;
use javy::quickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

struct Leases {
    held: RefCell<BTreeMap<u32, Lease>>,
    next: Cell<u32>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Leases {}

static LEASES: Leases = Leases { held: RefCell::new(BTreeMap::new()), next: Cell::new(1) };

/// Gives back all leases.
pub(crate) fn release() {
    drop(LEASES.held.take());
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("cacheGet", Function::new(ctx.clone(), get)?)?;
    native.set("cacheStart", Function::new(ctx.clone(), start)?)?;
    native.set("cacheRelease", Function::new(ctx, |id: u32| drop(LEASES.held.borrow_mut().remove(&id)))?)
}

/// The value of a key, or a promise of it: the command that must be quick.
fn get<'js>(ctx: Ctx<'js>, UsvString(key): UsvString) -> Result<Value<'js>> {
    require(&ctx, Import::Cache, "the cache")?;
    match cache::start(&Command::Get(key)) {
        Started::Done(outcome) => convert(&ctx, outcome),
        Started::Pending(operation) => wait(&ctx, operation, convert),
    }
}

/// The kind of a value, by the byte before it. Values of other programs, and numbers that are counted, have none.
mod tag {
    pub(super) const TEXT: u8 = 1;
    pub(super) const BYTES: u8 = 2;
    pub(super) const JSON: u8 = 3;
}

/// The longest text of digits that is surely a number which JavaScript holds exactly.
const DIGITS_MAX: usize = 15;

/// Starts a command; `argument` and `ttl_ms` are what it takes beside its key. Gives the answer, or a promise of it.
/// The answer to `lease` is an object with the `value`, or the `lease` to make one.
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
    let text = |value: &Value<'js>| value.as_string().map_or_else(|| Ok(String::new()), usv);
    let entry = || -> Result<Entry> {
        let value = bytes_of(&argument)?.unwrap_or_default();
        Ok(Entry { key: text(&key)?, value, ttl_ms })
    };
    let command = match name.as_str() {
        "get-many" => {
            let keys = key
                .as_array()
                .map(|keys| keys.iter::<UsvString>().map(|key| key.map(|key| key.0)).collect::<Result<Vec<_>>>());
            Command::GetMany(keys.transpose()?.unwrap_or_default())
        }
        "set" => Command::Set(entry()?),
        "set-if-absent" => Command::SetIfAbsent(entry()?),
        "compare-and-swap" => Command::CompareAndSwap(Swap { entry: entry()?, expected: bytes_of(&expected)? }),
        "delete" => Command::Delete(text(&key)?),
        "increment" => Command::Increment(Increment { key: text(&key)?, by: integer_from_js(&ctx, argument)?, ttl_ms }),
        "expire" => Command::Expire(Expiry { key: text(&key)?, ttl_ms }),
        "lease" => Command::Lease(text(&key)?),
        _ => return Err(Exception::throw_type(&ctx, "unknown command")),
    };
    let convert = if matches!(command, Command::Lease(_)) { convert_leasing } else { convert };
    match cache::start(&command) {
        Started::Done(outcome) => convert(&ctx, outcome),
        Started::Pending(operation) => wait(&ctx, operation, convert),
    }
}

type Outcome = std::result::Result<Answer, Error>;

fn wait<'js>(
    ctx: &Ctx<'js>,
    operation: Operation,
    convert: impl for<'a> Fn(&Ctx<'a>, Outcome) -> Result<Value<'a>> + 'static,
) -> Result<Value<'js>> {
    promise_of_operation(ctx, operation, Operation::take, Operation::subscribe, convert)
}

/// A value that is found must not be taken for a lease.
fn convert_leasing<'js>(ctx: &Ctx<'js>, outcome: Outcome) -> Result<Value<'js>> {
    let found = matches!(outcome, Ok(Answer::Value(_)));
    let answer = convert(ctx, outcome)?;
    if !found {
        return Ok(answer);
    }
    let object = Object::new(ctx.clone())?;
    object.set("value", answer)?;
    Ok(object.into_value())
}

fn convert<'js>(ctx: &Ctx<'js>, outcome: Outcome) -> Result<Value<'js>> {
    match outcome {
        Ok(Answer::Value(value)) => decode(ctx, value),
        Ok(Answer::Values(values)) => {
            let array = Array::new(ctx.clone())?;
            for (index, value) in values.into_iter().enumerate() {
                array.set(index, decode(ctx, value)?)?;
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
            Err(error_with_code(ctx, code, None, &message))
        }
    }
}

/// A value as it was when it was set.
fn decode<'js>(ctx: &Ctx<'js>, value: Option<Vec<u8>>) -> Result<Value<'js>> {
    let Some(mut bytes) = value else { return Ok(Value::new_undefined(ctx.clone())) };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_js(ctx);
    match bytes.split_first() {
        Some((&tag::TEXT, rest)) => text(rest),
        Some((&tag::JSON, rest)) => json::parse_json(ctx, rest),
        Some((&tag::BYTES, _)) => {
            bytes.remove(0);
            Ok(TypedArray::<u8>::new(ctx.clone(), bytes)?.into_value())
        }
        _ => {
            let digits = bytes.strip_prefix(b"-").unwrap_or(&bytes);
            let number = (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
            match std::str::from_utf8(&bytes).ok().filter(|_| number).and_then(|digits| digits.parse::<i64>().ok()) {
                // No f64 is parsed: the tables for that would be in every image.
                Some(number) => integer_to_js(ctx, number),
                None => text(&bytes),
            }
        }
    }
}
