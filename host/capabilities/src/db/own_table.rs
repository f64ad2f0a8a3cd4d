//! Tables that the host makes in a component's database: the [outbox](super::outbox) and the [steps](super::steps).
//!
//! A table is made when it is first used, in the transaction that uses it. The host's statements are checked as the
//! component's own are, and run with its rights, through its transaction. It may do with the tables what it does with
//! its others.

use super::Db;
use super::bindings::{Error, Value};
use super::database::Database;
use super::dialect::Dialect;
use super::output::{self, Caps, Parts};
use super::statement::{Kind, Statement};
use super::transaction::{Action, Transaction};
use elias_host::capability::InstanceState;
use elias_host::capability::wasmtime::component::Resource;
use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// Waits until no other transaction is about to make a table of this schema: on PostgreSQL two at once would fail. The
/// lock goes with the transaction, and is taken only until the table has been seen.
const LOCK: &str = "SELECT count(*) FROM pg_catalog.pg_advisory_xact_lock(\
    1701603681, pg_catalog.hashtext(current_schema()::text))";

/// The SQLSTATE of a table that does not exist.
const NO_TABLE: &str = "42P01";

/// Whether the statement failed because its table does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    error.sqlstate.as_deref() == Some(NO_TABLE)
}

/// A table of the host's own.
pub(super) struct OwnTable {
    /// The statement that makes it, unless it is there. The same on both backends.
    create: &'static str,
    /// Whether it was seen outside of a transaction that may yet be rolled back.
    is_seen: AtomicBool,
}

impl OwnTable {
    pub(super) fn new(create: &'static str) -> Self {
        Self { create, is_seen: AtomicBool::new(false) }
    }

    /// It was seen, or found missing.
    pub(super) fn set_seen(&self, is_seen: bool) {
        self.is_seen.store(is_seen, Ordering::Relaxed);
    }

    /// The statements that make it in a transaction: none once it has been seen.
    pub(super) fn creation(&self, dialect: Dialect) -> Result<Vec<Statement>, Error> {
        let mut statements = Vec::new();
        if !self.is_seen.load(Ordering::Relaxed) {
            if dialect == Dialect::Postgres {
                statements.push(lock());
            }
            statements.push(Statement::guest(self.create, Vec::new(), dialect)?);
        }
        Ok(statements)
    }
}

/// The statement is the host's own: components may not send it.
fn lock() -> Statement {
    let (sql, parameters) = (LOCK.to_owned(), Vec::new());
    Statement { sql, parameters, kind: Kind::Read, writes: false, leaves: false, held: None }
}

/// Does something in the transaction of this instance with that number, within the budget of queries.
pub(super) fn in_transaction<T>(
    state: &mut InstanceState,
    number: u32,
    act: impl FnOnce(&Database, &mut Transaction, &Arc<OwnedSemaphorePermit>) -> Result<T, Error>,
) -> Result<T, Error> {
    let transaction = Resource::<Transaction>::new_borrow(number);
    // First the transaction: an instance that has one has a database.
    state.table().get(&transaction).map_err(|_| Error::transaction_over())?;
    let context = state.context::<Db>();
    let (budget, database) = (context.reserve()?, Arc::clone(&context.database));
    let transaction = state.table().get_mut(&transaction).map_err(|_| Error::transaction_over())?;
    act(&database, transaction, &budget)
}

/// Sends statements through a transaction at once, so that what the component does in it afterwards comes behind them.
/// The result ends with the first that fails, or with the rows of the last.
pub(super) fn send(
    transaction: &mut Transaction,
    statements: Vec<Statement>,
    caps: Caps,
    budget: &Arc<OwnedSemaphorePermit>,
) -> BoxFuture<'static, Result<Vec<Vec<Value>>, Error>> {
    let begin = |statement| {
        let (output, parts) = output::channel(caps, Some(Arc::clone(budget)));
        transaction.send(Action::Run(statement), output);
        parts
    };
    let replies: Vec<Parts> = statements.into_iter().map(begin).collect();
    async move {
        let mut last = Vec::new();
        for parts in replies {
            last = rows(parts).await?;
        }
        Ok(last)
    }
    .boxed()
}

/// Reads the rows of a statement to their end.
pub(super) async fn rows(mut parts: Parts) -> Result<Vec<Vec<Value>>, Error> {
    let mut rows = Vec::new();
    loop {
        let (part, slot) = parts.next().await.ok_or_else(abandoned)?;
        let batch = part?;
        drop(slot);
        rows.extend(batch.rows);
        if batch.last {
            return Ok(rows);
        }
    }
}

fn abandoned() -> Error {
    Error::unavailable("the statement was abandoned")
}
