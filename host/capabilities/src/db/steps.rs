//! The table of a component's database with the outcomes of steps that are transactions, for `elias:workflow`.
//!
//! It is one of the [tables of the host's own](super::own_table).
//! Its rows are written in the same transactions as the effects of the steps. A row is needed from the commit until the
//! journal has the step, and is kept for 30 days: every few steps delete some that are older.

use super::bindings::{Error, Value};
use super::database::Database;
use super::dialect::Dialect;
use super::output::Caps;
use super::own_table::{Definition, OwnTable, in_transaction, is_missing, send};
use super::statement::Statement;
use super::transaction::Transaction;
use elias_host::capability::InstanceState;
use futures::future::{BoxFuture, FutureExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::sync::OwnedSemaphorePermit;

/// The table. Its second key is for the deletion of old rows.
static TABLE: Definition = Definition {
    name: "elias_steps",
    columns: "(job TEXT NOT NULL, position BIGINT NOT NULL, name TEXT NOT NULL, input_hash TEXT NOT NULL, \
        outcome TEXT NOT NULL, done_at BIGINT NOT NULL, \
        PRIMARY KEY (job, position), UNIQUE (done_at, job, position))",
    listed: "job 25,position 20,name 25,input_hash 25,outcome 25,done_at 20",
};

const SELECT: &str = "SELECT name, input_hash, outcome FROM elias_steps WHERE job = $1 AND position = $2";

const INSERT: &str = "INSERT INTO elias_steps (job, position, name, input_hash, outcome, done_at) \
    VALUES ($1, $2, $3, $4, $5, $6)";

/// For how long a row is kept, in milliseconds.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// Every so many rows that a host writes, it deletes at most so many old ones: more than come.
const ROWS_PER_DELETION: u32 = 16;
const DELETED: u32 = 64;

/// Bytes of a row that is read: of the longest outcome that a grant allows, and the rest.
const ROW_BYTES_MAX: u64 = (1 << 20) + (4 << 10);

/// The table of one database.
pub(crate) struct StepTable {
    table: OwnTable,
    /// The rows that this host has written.
    written: AtomicU32,
}

/// A step that is to be written.
pub(crate) struct StepRow {
    /// The id of the journal.
    pub(crate) journal: String,
    /// The position in the journal.
    pub(crate) position: u32,
    pub(crate) name: String,
    pub(crate) input_hash: String,
    /// A JSON text.
    pub(crate) outcome: String,
    /// When it was done, in milliseconds since 1970.
    pub(crate) done_at: i64,
}

/// A step that was done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoredStep {
    pub(crate) name: String,
    pub(crate) input_hash: String,
    pub(crate) outcome: String,
}

/// The result of reading a step.
type ReadStep = BoxFuture<'static, Result<Option<StoredStep>, Error>>;

impl StepTable {
    pub(super) fn new() -> Self {
        Self { table: OwnTable::new(&TABLE), written: AtomicU32::new(0) }
    }

    /// A transaction that used the table was committed.
    pub(super) fn committed(&self) {
        self.table.set_seen(true);
    }

    /// Whether the next row is one with which old ones are deleted.
    fn deletes(&self) -> bool {
        self.written.fetch_add(1, Ordering::Relaxed).is_multiple_of(ROWS_PER_DELETION)
    }
}

/// Reads a step in the instance's transaction with this number; `None` if the step was not done. Creates the table if
/// it does not exist.
pub(crate) fn read_step(state: &mut InstanceState, transaction: u32, journal: &str, position: u32) -> ReadStep {
    let read = in_transaction(state, transaction, |database, transaction, budget| {
        database.read_step(transaction, journal, position, budget)
    });
    async move { read?.await }.boxed()
}

/// Writes a step through the transaction of this instance with that number, in which it was read before.
pub(crate) fn write_step(
    state: &mut InstanceState,
    transaction: u32,
    row: StepRow,
) -> BoxFuture<'static, Result<(), Error>> {
    let written = in_transaction(state, transaction, |database, transaction, budget| {
        database.write_step(transaction, row, budget)
    });
    async move { written?.await }.boxed()
}

impl Database {
    pub(super) fn read_step(
        &self,
        transaction: &mut Transaction,
        journal: &str,
        position: u32,
        budget: &Arc<OwnedSemaphorePermit>,
    ) -> Result<ReadStep, Error> {
        let dialect = self.backend.dialect();
        let creation = self.steps.table.creation(dialect)?;
        let values = vec![Value::Text(journal.to_owned()), Value::Integer(position.into())];
        let select = vec![Statement::own(SELECT, values, dialect)?];
        let rows = send(transaction, creation, select, Caps { rows: 1, bytes: ROW_BYTES_MAX }, budget);
        transaction.uses_steps(&self.steps);
        let steps = Arc::clone(&self.steps);
        let read = async move {
            match rows.await {
                Ok(rows) => rows.into_iter().next().map(stored_step).transpose(),
                Err(error) => {
                    // Somebody has dropped the table: the next transaction makes it again.
                    if is_missing(&error) {
                        steps.table.set_seen(false);
                    }
                    Err(error)
                }
            }
        };
        Ok(read.boxed())
    }

    pub(super) fn write_step(
        &self,
        transaction: &mut Transaction,
        row: StepRow,
        budget: &Arc<OwnedSemaphorePermit>,
    ) -> Result<BoxFuture<'static, Result<(), Error>>, Error> {
        let dialect = self.backend.dialect();
        let StepRow { journal, position, name, input_hash, outcome, done_at } = row;
        let mut statements = Vec::new();
        if self.steps.deletes() {
            let before = vec![Value::Integer(done_at.saturating_sub(KEPT_MS))];
            statements.push(Statement::own(&deletion(dialect), before, dialect)?);
        }
        let texts = [name, input_hash, outcome].map(Value::Text);
        let values = [Value::Text(journal), Value::Integer(position.into())].into_iter().chain(texts);
        let values = values.chain([Value::Integer(done_at)]).collect();
        statements.push(Statement::own(INSERT, values, dialect)?);
        let written = send(transaction, None, statements, Caps { rows: 1, bytes: 1 << 10 }, budget);
        Ok(async move { written.await.map(drop) }.boxed())
    }
}

/// The statement that deletes some of the rows that are older than `$1`.
fn deletion(dialect: Dialect) -> String {
    // Transactions that delete at the same time do not wait for each other. SQLite runs one at a time.
    let skip = if dialect == Dialect::Postgres { " FOR UPDATE SKIP LOCKED" } else { "" };
    format!(
        "DELETE FROM elias_steps WHERE (job, position) IN \
         (SELECT job, position FROM elias_steps WHERE done_at < $1 ORDER BY done_at LIMIT {DELETED}{skip})"
    )
}

fn stored_step(row: Vec<Value>) -> Result<StoredStep, Error> {
    match <[Value; 3]>::try_from(row) {
        Ok([Value::Text(name), Value::Text(input_hash), Value::Text(outcome)]) => {
            Ok(StoredStep { name, input_hash, outcome })
        }
        _ => Err(Error::unsupported("the table elias_steps has other columns than the host gave it")),
    }
}
