//! `elias/db`: the db capability.

use super::bytes::buffer_source;
use super::convert::{SAFE_MAX, UsvString, error_with_code, integer_from_js, integer_to_js, usv};
use super::require;
use super::streams::promise_of;
use crate::bindings::elias::db::db::{
    self, Batch, Error, ErrorCode, Isolation, Query, Started, Transaction, Value as DbValue,
};
use crate::phase::Import;
use crate::{event_loop, json};
use javy::quickjs::function::{Constructor, This};
use javy::quickjs::object::Property;
use javy::quickjs::{Array, Atom, Ctx, Exception, Function, IntoJs, Object, Result, Type, TypedArray, Value};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

struct Handles {
    queries: RefCell<BTreeMap<u32, Rc<Query>>>,
    transactions: RefCell<BTreeMap<u32, Transaction>>,
    next: Cell<u32>,
}

// SAFETY: wasm32-wasip1 without threads has one thread.
unsafe impl Sync for Handles {}

static HANDLES: Handles =
    Handles { queries: RefCell::new(BTreeMap::new()), transactions: RefCell::new(BTreeMap::new()), next: Cell::new(1) };

/// Ends all statements.
pub(crate) fn release() {
    drop(HANDLES.queries.take());
}

/// Ends all transactions that are still open: the host rolls them back.
pub(crate) fn end_transactions() {
    drop(HANDLES.transactions.take());
}

pub(crate) fn add(native: &Object<'_>) -> Result<()> {
    let ctx = native.ctx().clone();
    native.set("dbExecute", Function::new(ctx.clone(), execute)?)?;
    native.set("dbBegin", Function::new(ctx.clone(), begin)?)?;
    native.set("dbControl", Function::new(ctx.clone(), control)?)?;
    native.set("dbNext", Function::new(ctx.clone(), next)?)?;
    native.set("dbCancel", Function::new(ctx.clone(), cancel)?)?;
    native.set(
        "dbEnd",
        Function::new(ctx, |id: u32| {
            let transaction = HANDLES.transactions.borrow_mut().remove(&id);
            event_loop::defer(move || drop(transaction));
        })?,
    )
}

fn new_id() -> u32 {
    let id = HANDLES.next.get();
    HANDLES.next.set(id + 1);
    id
}

fn keep(query: Query) -> u32 {
    let id = new_id();
    HANDLES.queries.borrow_mut().insert(id, Rc::new(query));
    id
}

/// The number of an open transaction in the instance, by which other capabilities take part in it.
pub(super) fn transaction_number(ctx: &Ctx<'_>, id: u32) -> Result<u32> {
    let transactions = HANDLES.transactions.borrow();
    transactions.get(&id).map(Transaction::number).ok_or_else(|| over(ctx))
}

fn over(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    error_with_code(ctx, "transaction-over", None, "the transaction is over")
}

/// Starts a statement, in the transaction of that id or in none (0). Gives the statement's id, or its rows if the
/// database answered at once.
fn execute<'js>(
    ctx: Ctx<'js>,
    transaction: u32,
    UsvString(sql): UsvString,
    parameters: Array<'js>,
    as_arrays: bool,
) -> Result<Value<'js>> {
    require(&ctx, Import::Db, "the database")?;
    let values = parameters.iter().map(|value| parameter(&ctx, value?)).collect::<Result<Vec<_>>>()?;
    if transaction == 0 {
        return match db::execute(&sql, &values) {
            Started::Done(Ok(batch)) => Ok(rows(&ctx, batch, as_arrays)?.into_value()),
            Started::Done(Err(error)) => Err(throw(&ctx, error)),
            Started::Running(query) => keep(query).into_js(&ctx),
        };
    }
    let transactions = HANDLES.transactions.borrow();
    let transaction = transactions.get(&transaction).ok_or_else(|| over(&ctx))?;
    keep(transaction.query(&sql, &values)).into_js(&ctx)
}

fn parameter<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<DbValue> {
    if let Some(text) = value.as_string() {
        return usv(text).map(DbValue::Text);
    }
    if let Some(number) = value.as_number() {
        // As Number.isSafeInteger tells.
        let integer = number.fract() == 0.0 && number.abs() <= SAFE_MAX as f64;
        return Ok(if integer { DbValue::Integer(number as i64) } else { DbValue::Float(number) });
    }
    if let Some(boolean) = value.as_bool() {
        return Ok(DbValue::Boolean(boolean));
    }
    match value.type_of() {
        Type::Null | Type::Undefined => Ok(DbValue::Null),
        Type::BigInt => integer_from_js(ctx, value).map(DbValue::Integer),
        Type::Symbol | Type::Function | Type::Constructor => {
            let name = value.type_name();
            Err(Exception::throw_type(ctx, &format!("a {name} cannot be a parameter of a statement")))
        }
        _ => object_parameter(ctx, value),
    }
}

/// Bytes, a Date, or what JSON makes of anything else.
fn object_parameter<'js>(ctx: &Ctx<'js>, value: Value<'js>) -> Result<DbValue> {
    if let Some(bytes) = buffer_source(&value) {
        return Ok(DbValue::Bytes(bytes));
    }
    let date: Object<'_> = ctx.globals().get("Date")?;
    if let Some(object) = value.as_object().filter(|object| object.is_instance_of(&date)) {
        let time: f64 = object.get::<_, Function<'_>>("getTime")?.call((This(object.clone()),))?;
        if time.is_nan() {
            let message = "a Date without a time (getTime() is NaN) cannot be a parameter; pass null instead";
            return Err(Exception::throw_range(ctx, message));
        }
        // A Date counts milliseconds.
        return Ok(DbValue::Timestamp((time * 1e3) as i64));
    }
    match ctx.json_stringify(value)? {
        Some(json) => usv(&json).map(DbValue::Json),
        None => Err(Exception::throw_type(ctx, "an object without a JSON form cannot be a parameter of a statement")),
    }
}

/// Begins a transaction.
fn begin(ctx: Ctx<'_>, isolation: String, read_only: bool) -> Result<u32> {
    require(&ctx, Import::Db, "the database")?;
    let isolation = match isolation.as_str() {
        "read-committed" => Isolation::ReadCommitted,
        "repeatable-read" => Isolation::RepeatableRead,
        "serializable" => Isolation::Serializable,
        other => return Err(Exception::throw_type(&ctx, &format!("unknown isolation level {other}"))),
    };
    let id = new_id();
    HANDLES.transactions.borrow_mut().insert(id, Transaction::new(isolation, read_only));
    Ok(id)
}

/// Commits, rolls back, or deals with the savepoint of that number.
fn control(ctx: Ctx<'_>, id: u32, what: String, savepoint: u32) -> Result<u32> {
    let transactions = HANDLES.transactions.borrow();
    let transaction = transactions.get(&id).ok_or_else(|| over(&ctx))?;
    Ok(keep(match what.as_str() {
        "commit" => transaction.commit(),
        "rollback" => transaction.rollback(),
        "savepoint" => transaction.savepoint(savepoint),
        "release" => transaction.release(savepoint),
        "rollback-to" => transaction.rollback_to(savepoint),
        _ => return Err(Exception::throw_type(&ctx, "unknown control")),
    }))
}

/// A promise of the next batch: an object with the `rows`, and whether they are the `last`.
fn next<'js>(ctx: Ctx<'js>, id: u32, as_arrays: bool) -> Result<Value<'js>> {
    let query = HANDLES.queries.borrow().get(&id).cloned();
    let query = query.ok_or_else(|| Exception::throw_type(&ctx, "the statement is over"))?;
    let asked = Rc::clone(&query);
    let (promise, _) = promise_of(
        &ctx,
        move || asked.next(),
        || query.subscribe(),
        move |ctx, outcome| {
            if !matches!(&outcome, Ok(batch) if !batch.last) {
                cancel(id);
            }
            let batch = outcome.map_err(|error| throw(ctx, error))?;
            let object = Object::new(ctx.clone())?;
            object.set("last", batch.last)?;
            object.set("rows", rows(ctx, batch, as_arrays)?)?;
            Ok(object.into_value())
        },
    )?;
    Ok(promise)
}

fn throw(ctx: &Ctx<'_>, error: Error) -> javy::quickjs::Error {
    let Error { code, sqlstate, message } = error;
    let code = match code {
        ErrorCode::Database => "database",
        ErrorCode::Timeout => "timeout",
        ErrorCode::TooLarge => "too-large",
        ErrorCode::Denied => "denied",
        ErrorCode::UnsupportedType => "unsupported-type",
        ErrorCode::TransactionOver => "transaction-over",
        ErrorCode::Unavailable => "unavailable",
    };
    error_with_code(ctx, code, sqlstate, &message)
}

/// Ends a statement, over or not.
fn cancel(id: u32) {
    let query = HANDLES.queries.borrow_mut().remove(&id);
    // What waits for it hangs on it and goes first.
    event_loop::defer(move || drop(query));
}

/// A name that is a setter of every object.
const PROTOTYPE: &str = "__proto__";

/// An array of a batch's rows. `columns` and `affected` are properties of it that no loop meets.
fn rows<'js>(ctx: &Ctx<'js>, batch: Batch, as_arrays: bool) -> Result<Array<'js>> {
    let names =
        batch.columns.iter().map(|name| Ok((name, Atom::from_str(ctx.clone(), name)?))).collect::<Result<Vec<_>>>()?;
    let rows = Array::new(ctx.clone())?;
    for (index, row) in batch.rows.into_iter().enumerate() {
        if as_arrays {
            let values = Array::new(ctx.clone())?;
            for (index, value) in row.into_iter().enumerate() {
                values.set(index, to_js(ctx, value)?)?;
            }
            rows.set(index, values)?;
        } else {
            let object = Object::new(ctx.clone())?;
            for ((name, atom), value) in names.iter().zip(row) {
                let value = to_js(ctx, value)?;
                if name.as_str() == PROTOTYPE {
                    // To set it would be to change the object's prototype.
                    object.prop(name.as_str(), Property::from(value).writable().enumerable().configurable())?;
                } else {
                    object.set(atom.clone(), value)?;
                }
            }
            rows.set(index, object)?;
        }
    }
    rows.as_object().prop("columns", Property::from(batch.columns).configurable())?;
    rows.as_object().prop("affected", Property::from(batch.affected as f64).configurable())?;
    Ok(rows)
}

fn to_js<'js>(ctx: &Ctx<'js>, value: DbValue) -> Result<Value<'js>> {
    match value {
        DbValue::Null => Ok(Value::new_null(ctx.clone())),
        DbValue::Boolean(boolean) => boolean.into_js(ctx),
        DbValue::Integer(integer) => integer_to_js(ctx, integer),
        DbValue::Float(float) => float.into_js(ctx),
        DbValue::Text(text) | DbValue::Uuid(text) | DbValue::Numeric(text) => text.into_js(ctx),
        DbValue::Bytes(bytes) => Ok(TypedArray::<u8>::new(ctx.clone(), bytes)?.into_value()),
        DbValue::Json(text) => json::parse_json(ctx, text.as_bytes()),
        DbValue::Timestamp(microseconds) => {
            let date: Constructor<'_> = ctx.globals().get("Date")?;
            date.construct((microseconds as f64 / 1e3,))
        }
    }
}
