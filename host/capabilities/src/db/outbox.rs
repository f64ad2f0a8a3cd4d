//! The table of a component's database that has its outbox: see [`crate::outbox`].
//!
//! It is one of the [tables of the host's own](super::own_table).

use super::bindings::{Batch, Error, ErrorCode, Value};
use super::database::Database;
use super::dialect::Dialect;
use super::output::{self, Caps};
use super::own_table::{self, Definition, OwnTable, TableState};
use super::statement::{OUTBOX, Statement};
use super::transaction::Transaction;
use crate::outbox::{OutboxRelay, REMEMBERED_FOR, RelayUnavailable};
#[cfg(any(feature = "events", feature = "jobs"))]
use crate::outbox::{OutboxRow, WriteError};
use elias_host::capability::InstanceState;
use futures::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// The table.
static TABLE: Definition = Definition {
    name: OUTBOX,
    columns: "(id TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, body TEXT NOT NULL)",
    listed: "id 25,kind 25,body 25",
};

const INSERT: &str = "INSERT INTO elias_outbox (id, kind, body) VALUES ($1, $2, $3)";

const FIRST: &str = "SELECT id FROM elias_outbox LIMIT 1";

/// Rows that are read at a time, and the bytes that they have together; a larger one is read alone.
const ROWS: u64 = 50;
const BYTES: u64 = 4 << 20;

/// Characters of a body that is read: those of the longest payload, each written as two, and the rest.
const BODY_CHARS_MAX: u64 = (2 << 20) + (256 << 10);

/// The most bytes of one row.
const ROW_BYTES_MAX: u64 = 4 * BODY_CHARS_MAX + (64 << 10);

/// The outbox of a component's database.
pub(crate) struct Outbox {
    component: String,
    /// The relay that hands its rows over; none on a host on which nobody does.
    relay: Option<Arc<dyn OutboxRelay>>,
    table: OwnTable,
    /// When the relay last remembered it.
    remembered: Mutex<Option<Instant>>,
}

/// A row that is to be handed over.
#[cfg(all(feature = "events", feature = "jobs"))]
pub(crate) struct StoredRow {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// None if it is too large.
    pub(crate) body: Option<String>,
}

impl Outbox {
    pub(super) fn new(component: String, relay: Option<Arc<dyn OutboxRelay>>) -> Self {
        Self { component, relay, table: OwnTable::new(&TABLE), remembered: Mutex::new(None) }
    }

    /// The component's name.
    #[cfg(all(feature = "events", feature = "jobs"))]
    pub(crate) fn component(&self) -> &str {
        &self.component
    }

    /// Has the relay remember that there may be rows, unless it did so lately.
    async fn remember(&self) -> Result<(), Error> {
        let is_known = self.remembered.lock().is_some_and(|at| at.elapsed() < REMEMBERED_FOR);
        if is_known {
            return Ok(());
        }
        let Some(relay) = &self.relay else { return Err(no_relay()) };
        let now = Instant::now();
        let remembered = relay.remember(&self.component).await;
        remembered
            .map_err(|RelayUnavailable| Error::unavailable("the platform's store cannot be reached; try again"))?;
        *self.remembered.lock() = Some(now);
        Ok(())
    }

    /// A transaction that wrote rows was committed.
    pub(super) fn committed(&self) {
        if let Some(relay) = &self.relay {
            relay.committed(&self.component);
        }
    }
}

fn no_relay() -> Error {
    Error::unavailable("this host hands over no jobs and events of transactions")
}

impl Database {
    /// Tells the relay of rows that are there when a SQLite file is opened: no other host can hand them over. Rows in
    /// PostgreSQL are left to whichever host the relay has look into it.
    pub(super) fn tell_of_rows(&self) {
        let dialect = self.backend.dialect();
        if dialect != Dialect::Sqlite {
            return;
        }
        let Ok(select) = Statement::own(FIRST, Vec::new(), dialect) else { return };
        let now = |statement: &Statement| self.backend.run_now(statement, Caps { rows: 1, bytes: 1 << 10 });
        let is_ours = |checked: Batch| matches!(TABLE.state(&checked.rows), Ok(TableState::Ours));
        let has_rows = match now(&TABLE.check(dialect)).map(|checked| checked.is_ok_and(is_ours)) {
            Some(true) => now(&select).map(|first| first.is_ok_and(|first| !first.rows.is_empty())),
            other => other,
        };
        // What is not known at once is looked at by whoever hands over.
        if has_rows.unwrap_or(true) {
            self.outbox.committed();
        }
    }
}

/// Writes a row through the transaction of this instance with that number. The statement is sent at once, so that what
/// the component does in the transaction afterwards comes behind it.
#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) fn write_outbox(
    state: &mut InstanceState,
    transaction: u32,
    row: OutboxRow,
) -> BoxFuture<'static, Result<(), WriteError>> {
    let written = own_table::in_transaction(state, transaction, |database, transaction, budget| {
        database.write_outbox(transaction, row, budget)
    });
    async move {
        match written {
            Ok(written) => written.await.map_err(|error| write_error(&error)),
            Err(error) => Err(write_error(&error)),
        }
    }
    .boxed()
}

#[cfg(any(feature = "events", feature = "jobs"))]
fn write_error(error: &Error) -> WriteError {
    let message = format!("the transaction: {}", error.message);
    match error.code {
        ErrorCode::TooLarge => WriteError::TooLarge(message),
        ErrorCode::Timeout | ErrorCode::Unavailable => WriteError::Unavailable(message),
        ErrorCode::Database | ErrorCode::Denied | ErrorCode::UnsupportedType | ErrorCode::TransactionOver => {
            WriteError::Invalid(message)
        }
    }
}

#[cfg(any(feature = "events", feature = "jobs"))]
impl Database {
    /// Sends the statements that write a row in a transaction, and tells the relay when that is committed. What it
    /// gives is done when the row is written and the outbox is remembered.
    pub(super) fn write_outbox(
        &self,
        transaction: &mut Transaction,
        row: OutboxRow,
        budget: &Arc<OwnedSemaphorePermit>,
    ) -> Result<BoxFuture<'static, Result<(), Error>>, Error> {
        if self.outbox.relay.is_none() {
            return Err(no_relay());
        }
        let dialect = self.backend.dialect();
        let creation = self.outbox.table.creation(dialect)?;
        let kind = Value::Text(row.kind.as_str().to_owned());
        let values = vec![Value::Text(row.id), kind, Value::Text(row.body)];
        let insert = vec![Statement::own(INSERT, values, dialect)?];
        let rows = own_table::send(transaction, creation, insert, Caps { rows: 1, bytes: 1 << 10 }, budget);
        transaction.uses_outbox(&self.outbox);
        let outbox = Arc::clone(&self.outbox);
        let written = async move {
            if let Err(error) = rows.await {
                // Somebody has dropped the table: the next transaction makes it again.
                if own_table::is_missing(&error) {
                    outbox.table.set_seen(false);
                }
                return Err(error);
            }
            outbox.remember().await
        };
        Ok(written.boxed())
    }
}

#[cfg(all(feature = "events", feature = "jobs"))]
impl Database {
    /// The outbox.
    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The first rows of the outbox, by their ids; none before the table is created.
    ///
    /// # Errors
    /// If the database cannot be read; with the SQLSTATE 42809 if the table is not the one that the host made, of which
    /// nothing is then read.
    pub(crate) async fn read_outbox(&self) -> Result<Vec<StoredRow>, Error> {
        let check = TABLE.check(self.backend.dialect());
        let state = TABLE.state(&self.run_own(check, Caps { rows: 1, bytes: 1 << 10 }).await?);
        self.outbox.table.set_seen(matches!(state, Ok(TableState::Ours)));
        if state? == TableState::Missing {
            return Ok(Vec::new());
        }
        let rows = match self.select(ROWS, BYTES).await {
            Err(error) if error.code == ErrorCode::TooLarge => self.select(1, ROW_BYTES_MAX).await,
            rows => rows,
        };
        if rows.is_err() {
            self.outbox.table.set_seen(false);
        }
        rows?.into_iter().map(stored_row).collect()
    }

    async fn select(&self, rows: u64, bytes: u64) -> Result<Vec<Vec<Value>>, Error> {
        let sql = format!(
            "SELECT id, kind, CASE WHEN length(body) <= {BODY_CHARS_MAX} THEN body END AS body \
             FROM elias_outbox ORDER BY id LIMIT {rows}"
        );
        let statement = Statement::own(&sql, Vec::new(), self.backend.dialect())?;
        self.run_own(statement, Caps { rows, bytes }).await
    }

    /// Deletes rows of the outbox.
    ///
    /// # Errors
    /// If the database cannot be written to.
    pub(crate) async fn delete_from_outbox(&self, ids: &[String]) -> Result<(), Error> {
        let dialect = self.backend.dialect();
        // Ids that have been given here fit into a statement as they are; a component may allow itself few parameters.
        let (ours, others): (Vec<&String>, Vec<&String>) = ids.iter().partition(|id| is_plain(id));
        let mut statements = Vec::new();
        if !ours.is_empty() {
            let ours: Vec<String> = ours.into_iter().map(|id| format!("'{id}'")).collect();
            let sql = format!("DELETE FROM elias_outbox WHERE id IN ({})", ours.join(", "));
            statements.push(Statement::own(&sql, Vec::new(), dialect)?);
        }
        for id in others {
            let values = vec![Value::Text(id.clone())];
            statements.push(Statement::own("DELETE FROM elias_outbox WHERE id = $1", values, dialect)?);
        }
        for statement in statements {
            self.run_own(statement, Caps { rows: 1, bytes: 1 << 10 }).await?;
        }
        Ok(())
    }

    /// Runs a statement beside the component's executions, and reads it to its end.
    async fn run_own(&self, statement: Statement, caps: Caps) -> Result<Vec<Vec<Value>>, Error> {
        let (output, parts) = output::channel(caps, None);
        // In a task of its own: it puts its connection in order also if nobody waits any more.
        tokio::spawn(self.backend.run(statement, output));
        own_table::rows(parts).await
    }
}

/// Whether an id has letters and digits only, and not too many, as those that are given here.
#[cfg(all(feature = "events", feature = "jobs"))]
pub(crate) fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(all(feature = "events", feature = "jobs"))]
fn stored_row(row: Vec<Value>) -> Result<StoredRow, Error> {
    let mut values = row.into_iter();
    match (values.next(), values.next(), values.next()) {
        (Some(Value::Text(id)), Some(Value::Text(kind)), Some(Value::Text(body))) => {
            Ok(StoredRow { id, kind, body: Some(body) })
        }
        (Some(Value::Text(id)), Some(Value::Text(kind)), _) => Ok(StoredRow { id, kind, body: None }),
        _ => Err(Error::unsupported("the table elias_outbox has other columns than the host gave it")),
    }
}
