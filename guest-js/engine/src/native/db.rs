//! `elias/db`: the db capability.

use super::cache::coded;
use super::numbers::{integer_from_js, integer_to_js};
use super::require;
use super::streams::{self, promise_of};
use crate::bindings::elias::db::db::{self, Batch, Error, ErrorCode, Isolation, Query, Transaction, Value as DbValue};
use crate::event_loop;
use crate::phase::Import;
use javy::quickjs::function::Constructor;
use javy::quickjs::{Array, Ctx, Exception, Function, IntoJs, Object, Result, TypedArray, Value};
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
            event_loop::later(move || drop(transaction));
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

fn over(ctx: &Ctx<'_>) -> javy::quickjs::Error {
    coded(ctx, "transaction-over", None, "the transaction is over")
}

/// Starts a statement, in the transaction of that id or in none (0). `parameters` are pairs of a kind and a value; see
/// [`parameter`].
fn execute<'js>(ctx: Ctx<'js>, transaction: u32, sql: String, parameters: Array<'js>) -> Result<u32> {
    require(&ctx, Import::Db, "the database")?;
    let mut values = Vec::with_capacity(parameters.len() / 2);
    for index in (0..parameters.len()).step_by(2) {
        values.push(parameter(&ctx, parameters.get(index)?, parameters.get(index + 1)?)?);
    }
    if transaction == 0 {
        return Ok(keep(db::execute(&sql, &values)));
    }
    let transactions = HANDLES.transactions.borrow();
    let transaction = transactions.get(&transaction).ok_or_else(|| over(&ctx))?;
    Ok(keep(transaction.query(&sql, &values)))
}

fn parameter<'js>(ctx: &Ctx<'js>, kind: u32, value: Value<'js>) -> Result<DbValue> {
    let text = |value: &Value<'js>| value.as_string().map_or_else(|| Ok(String::new()), |text| text.to_string());
    Ok(match kind {
        0 => DbValue::Null,
        1 => DbValue::Boolean(value.as_bool().unwrap_or_default()),
        2 => DbValue::Integer(integer_from_js(ctx, value)?),
        3 => DbValue::Float(value.as_number().unwrap_or_default()),
        4 => DbValue::Text(text(&value)?),
        5 => DbValue::Bytes(streams::bytes_of(&value)?.unwrap_or_default()),
        6 => DbValue::Json(text(&value)?),
        // A Date counts milliseconds.
        7 => DbValue::Timestamp((value.as_number().unwrap_or_default() * 1e3) as i64),
        _ => return Err(Exception::throw_type(ctx, "there is no such kind of parameter")),
    })
}

/// Begins a transaction.
fn begin(ctx: Ctx<'_>, isolation: String, read_only: bool) -> Result<u32> {
    require(&ctx, Import::Db, "the database")?;
    let isolation = match isolation.as_str() {
        "read-committed" => Isolation::ReadCommitted,
        "repeatable-read" => Isolation::RepeatableRead,
        "serializable" => Isolation::Serializable,
        other => return Err(Exception::throw_type(&ctx, &format!("there is no isolation level {other}"))),
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
        _ => return Err(Exception::throw_type(&ctx, "there is no such control")),
    }))
}

/// A promise of the next batch: an object with `columns`, `rows`, `last` and `affected`.
fn next<'js>(ctx: Ctx<'js>, id: u32) -> Result<Value<'js>> {
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
            match outcome {
                Ok(batch) => convert(ctx, batch),
                Err(Error { code, sqlstate, message }) => {
                    let code = match code {
                        ErrorCode::Database => "database",
                        ErrorCode::Timeout => "timeout",
                        ErrorCode::TooLarge => "too-large",
                        ErrorCode::Denied => "denied",
                        ErrorCode::UnsupportedType => "unsupported-type",
                        ErrorCode::TransactionOver => "transaction-over",
                        ErrorCode::Unavailable => "unavailable",
                    };
                    Err(coded(ctx, code, sqlstate, &message))
                }
            }
        },
    )?;
    Ok(promise)
}

/// Ends a statement, over or not.
fn cancel(id: u32) {
    let query = HANDLES.queries.borrow_mut().remove(&id);
    // What waits for it hangs on it and goes first.
    event_loop::later(move || drop(query));
}

fn convert<'js>(ctx: &Ctx<'js>, batch: Batch) -> Result<Value<'js>> {
    let rows = Array::new(ctx.clone())?;
    for (index, row) in batch.rows.into_iter().enumerate() {
        let values = Array::new(ctx.clone())?;
        for (index, value) in row.into_iter().enumerate() {
            values.set(index, to_js(ctx, value)?)?;
        }
        rows.set(index, values)?;
    }
    let object = Object::new(ctx.clone())?;
    object.set("columns", batch.columns)?;
    object.set("rows", rows)?;
    object.set("last", batch.last)?;
    object.set("affected", batch.affected as f64)?;
    Ok(object.into_value())
}

fn to_js<'js>(ctx: &Ctx<'js>, value: DbValue) -> Result<Value<'js>> {
    match value {
        DbValue::Null => Ok(Value::new_null(ctx.clone())),
        DbValue::Boolean(boolean) => boolean.into_js(ctx),
        DbValue::Integer(integer) => integer_to_js(ctx, integer),
        DbValue::Float(float) => float.into_js(ctx),
        DbValue::Text(text) | DbValue::Uuid(text) | DbValue::Numeric(text) => text.into_js(ctx),
        DbValue::Bytes(bytes) => Ok(TypedArray::<u8>::new(ctx.clone(), bytes)?.into_value()),
        DbValue::Json(json) => ctx.json_parse(json),
        DbValue::Timestamp(microseconds) => {
            let date: Constructor<'_> = ctx.globals().get("Date")?;
            date.construct((microseconds as f64 / 1e3,))
        }
    }
}
