//! The functions of `elias:db/db`, each with its price.

use super::bindings::{Batch, Error, Host, HostQuery, HostTransaction, Isolation, Started, Value};
use super::query::Query;
use super::transaction::Transaction;
use elias_host::capability::InstanceState;
use elias_host::capability::pricing::{HostLinker, Interface, List, Payload, Price, UnboundedSize, Waiting, size};
use elias_host::capability::wasmtime::{self, StoreContextMut, component::Resource};

/// Units of fuel of a statement that is begun, and of a byte of its text, which is scanned and parsed.
const STATEMENT: u64 = 100_000;
const TEXT_BYTE: u64 = 20;

/// Units of fuel of a transaction, which takes a connection and a task.
const TRANSACTION: u64 = 100_000;

/// Units of fuel of a look for the next batch.
const NEXT: u64 = 5_000;

/// Parameters that are taken from a component at once; neither backend has more.
const PARAMETERS_MAX: usize = 65_535;

type Parameters = List<Value, PARAMETERS_MAX>;
type Store<'a> = StoreContextMut<'a, InstanceState>;

impl Payload for Value {
    fn units(&self) -> u64 {
        match self {
            Self::Text(text) | Self::Json(text) | Self::Uuid(text) | Self::Numeric(text) => text.units(),
            Self::Bytes(bytes) => bytes.units(),
            Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Float(_) | Self::Timestamp(_) => 0,
        }
    }
}

impl Payload for Error {
    fn units(&self) -> u64 {
        self.sqlstate.units() + self.message.units()
    }
}

impl Payload for Batch {
    fn units(&self) -> u64 {
        self.columns.units().saturating_add(self.rows.units())
    }
}

impl Payload for Started {
    fn units(&self) -> u64 {
        match self {
            Self::Done(result) => result.units(),
            Self::Running(_) => 0,
        }
    }
}

impl Payload for Isolation {}

pub(super) fn init(linker: &mut HostLinker) -> wasmtime::Result<()> {
    let mut db = linker.interface("elias:db/db@0.1.0")?;
    db.resource::<Query>("query", HostQuery::drop)?;
    db.func("[method]query.subscribe", Price::call(), |mut store: Store<'_>, (query,): (Resource<Query>,)| {
        Ok((HostQuery::subscribe(store.data_mut(), query)?,))
    })?;
    db.func("[method]query.next", Price::of(NEXT), |mut store: Store<'_>, (query,): (Resource<Query>,)| {
        Ok((HostQuery::next(store.data_mut(), query)?,))
    })?;
    transaction(&mut db)?;
    db.func_async("execute", statement(|(sql, _): &(String, Parameters)| sql), |mut store, (sql, parameters)| {
        Box::new(async move { Ok((store.data_mut().execute(sql, parameters.0)?,)) })
    })
}

fn transaction(db: &mut Interface<'_>) -> wasmtime::Result<()> {
    db.resource::<Transaction>("transaction", HostTransaction::drop)?;
    db.func(
        "[constructor]transaction",
        Price::of(TRANSACTION),
        |mut store: Store<'_>, (isolation, read_only): (Isolation, bool)| {
            Ok((HostTransaction::new(store.data_mut(), isolation, read_only)?,))
        },
    )?;
    type Run = (Resource<Transaction>, String, Parameters);
    fn run(mut store: Store<'_>, (transaction, sql, parameters): Run) -> Waiting<'_, (Resource<Query>,)> {
        Box::new(async move { Ok((HostTransaction::query(store.data_mut(), transaction, sql, parameters.0)?,)) })
    }
    db.func_async("[method]transaction.query", statement(|(_, sql, _): &Run| sql), run)?;

    type SavepointFunction = fn(&mut InstanceState, Resource<Transaction>, u32) -> wasmtime::Result<Resource<Query>>;
    let named: [(&str, SavepointFunction); 3] = [
        ("[method]transaction.savepoint", HostTransaction::savepoint),
        ("[method]transaction.release", HostTransaction::release),
        ("[method]transaction.rollback-to", HostTransaction::rollback_to),
    ];
    for (name, act) in named {
        db.func(name, Price::of(STATEMENT), move |mut store: Store<'_>, (transaction, savepoint)| {
            Ok((act(store.data_mut(), transaction, savepoint)?,))
        })?;
    }
    type End = fn(&mut InstanceState, Resource<Transaction>) -> wasmtime::Result<Resource<Query>>;
    let ends: [(&str, End); 2] = [
        ("[method]transaction.commit", HostTransaction::commit),
        ("[method]transaction.rollback", HostTransaction::rollback),
    ];
    for (name, act) in ends {
        db.func(name, Price::of(STATEMENT), move |mut store: Store<'_>, (transaction,)| {
            Ok((act(store.data_mut(), transaction)?,))
        })?;
    }
    db.func(
        "[method]transaction.number",
        Price::call(),
        |mut store: Store<'_>, (transaction,): (Resource<Transaction>,)| {
            Ok((HostTransaction::number(store.data_mut(), transaction)?,))
        },
    )
}

/// The price of a statement, by its text.
fn statement<P: 'static>(sql: fn(&P) -> &String) -> Price<P> {
    let text: UnboundedSize<P> = size("bytes of SQL", move |arguments| sql(arguments).len() as u64);
    Price::of(STATEMENT).per(TEXT_BYTE, text.in_the_arguments())
}
