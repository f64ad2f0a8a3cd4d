//! Tables that the host makes in a component's database: the [outbox](super::outbox) and the [steps](super::steps).
//!
//! A table is made when it is first used, in the transaction that uses it. The host's statements are checked as the
//! component's own are, and run with its rights, through its transaction.
//!
//! Before the host relies on a table, it looks whether that is the one which it made: a view, a virtual table, or one
//! with triggers or rules could give rows that no DELETE takes away. So could row-level security, unless it does not
//! apply to the table's owner, or a policy lets all rows through: some servers turn it on for each new table.

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

/// The SQLSTATE of an object that has the name of a table of the host's but is something else.
pub(super) const NOT_OURS: &str = "42809";

/// What [`Definition::check`] says of the table.
const MISSING: i64 = 0;
const OURS: i64 = 1;

/// The condition that row-level security on the table `c` hides nothing: a policy for all commands and roles lets all
/// rows through, and none restricts that.
const OPEN_TO_ALL: &str = "EXISTS (SELECT 1 FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid \
    AND p.polpermissive AND p.polcmd = '*' AND 0 = ANY (p.polroles) \
    AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true' \
    AND (p.polwithcheck IS NULL OR pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) = 'true')) \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive)";

/// The bounds of the results of statements that give no rows, or one number.
const SMALL: Caps = Caps { rows: 1, bytes: 1 << 10 };

/// Whether the statement failed because its table does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    error.sqlstate.as_deref() == Some(NO_TABLE)
}

/// The definition of a table that the host makes.
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// Its columns and keys, as CREATE TABLE has them; the same on both backends.
    pub(super) columns: &'static str,
    /// The name and the OID of the type of each column, as PostgreSQL lists them: `id 25,...`.
    pub(super) listed: &'static str,
}

/// The state of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableState {
    Missing,
    Ours,
}

impl Definition {
    /// The statement that makes the table, unless something has its name.
    fn create(&self, dialect: Dialect) -> Result<Statement, Error> {
        let Self { name, columns, .. } = self;
        Statement::own(&format!("CREATE TABLE IF NOT EXISTS {name} {columns}"), Vec::new(), dialect)
    }

    /// The statement that looks what has the table's name: gives the number that [`Self::state`] reads.
    pub(super) fn check(&self, dialect: Dialect) -> Statement {
        let Self { name, columns, listed } = self;
        fixed(match dialect {
            // The text of a table that was made by another statement, renamed or altered, or of a virtual one, is not
            // the same. Indexes do no harm. A statement with `count` would not be run at once.
            Dialect::Sqlite => format!(
                "SELECT CASE WHEN sum(1) IS NULL THEN {MISSING} \
                 WHEN sum(1) = 1 AND max(type = 'table' AND sql = 'CREATE TABLE {name} {columns}') = 1 THEN {OURS} \
                 ELSE 2 END AS state \
                 FROM sqlite_master WHERE type <> 'index' AND tbl_name = '{name}' COLLATE NOCASE"
            ),
            Dialect::Postgres => format!(
                "SELECT CAST(CASE WHEN c.oid IS NULL THEN {MISSING} \
                 WHEN c.relkind = 'r' AND c.relpersistence = 'p' AND NOT c.relispartition \
                 AND (NOT pg_catalog.row_security_active(c.oid) OR ({OPEN_TO_ALL})) \
                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid) \
                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid) \
                 AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)) \
                 AND (SELECT pg_catalog.string_agg(a.attname::text || ' ' || a.atttypid::text, ',' ORDER BY a.attnum) \
                 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) \
                 = '{listed}' THEN {OURS} ELSE 2 END AS bigint) AS state \
                 FROM (SELECT pg_catalog.to_regclass('{name}') AS oid) AS named \
                 LEFT JOIN pg_catalog.pg_class c ON c.oid = named.oid"
            ),
        })
    }

    /// The state of the table, by the row of [`Self::check`].
    ///
    /// # Errors
    /// [`NOT_OURS`] if something else has its name.
    pub(super) fn state(&self, rows: &[Vec<Value>]) -> Result<TableState, Error> {
        match rows.first().and_then(|row| row.first()) {
            Some(Value::Integer(MISSING)) => Ok(TableState::Missing),
            Some(Value::Integer(OURS)) => Ok(TableState::Ours),
            _ => {
                let what = "is not the table that the host made: it has other columns, a trigger or a rule, is a view, \
                    or has row-level security that may hide rows from its owner. Drop or rename it with \
                    `elias db --write`; the host makes it again. Where row-level security is forced on each table, \
                    it needs a policy FOR ALL TO PUBLIC USING (true), and none that is restrictive";
                Err(Error::database(NOT_OURS, format!("{} {what}", self.name)))
            }
        }
    }
}

/// A table of the host's own.
pub(super) struct OwnTable {
    definition: &'static Definition,
    /// Whether it was seen outside of a transaction that may yet be rolled back.
    is_seen: AtomicBool,
}

/// The statements that make a table in a transaction. The last looks whether it is the host's.
pub(super) struct Creation {
    definition: &'static Definition,
    statements: Vec<Statement>,
}

impl OwnTable {
    pub(super) fn new(definition: &'static Definition) -> Self {
        Self { definition, is_seen: AtomicBool::new(false) }
    }

    /// Records whether the table was seen.
    pub(super) fn set_seen(&self, is_seen: bool) {
        self.is_seen.store(is_seen, Ordering::Relaxed);
    }

    /// The statements that make it in a transaction: none once it has been seen.
    pub(super) fn creation(&self, dialect: Dialect) -> Result<Option<Creation>, Error> {
        if self.is_seen.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut statements = Vec::new();
        if dialect == Dialect::Postgres {
            statements.push(fixed(LOCK.to_owned()));
        }
        statements.push(self.definition.create(dialect)?);
        statements.push(self.definition.check(dialect));
        Ok(Some(Creation { definition: self.definition, statements }))
    }
}

/// A statement that only the host sends: components may not, or need not.
fn fixed(sql: String) -> Statement {
    let parameters = Vec::new();
    Statement { sql, parameters, kind: Kind::Read, writes: false, leaves: false, held: None, names_outbox: false }
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

/// Sends statements through a transaction at once, so that what the component does in it afterwards comes behind them:
/// those that make a table, if it is to be made, and others. The result ends with the first that fails, or with the
/// rows of the last.
pub(super) fn send(
    transaction: &mut Transaction,
    creation: Option<Creation>,
    statements: Vec<Statement>,
    caps: Caps,
    budget: &Arc<OwnedSemaphorePermit>,
) -> BoxFuture<'static, Result<Vec<Vec<Value>>, Error>> {
    let mut begin = |statement, caps| {
        let (output, parts) = output::channel(caps, Some(Arc::clone(budget)));
        transaction.send(Action::Run(statement), output);
        parts
    };
    let made = creation.map(|Creation { definition, statements }| {
        let replies: Vec<Parts> = statements.into_iter().map(|statement| begin(statement, SMALL)).collect();
        (definition, replies)
    });
    let replies: Vec<Parts> = statements.into_iter().map(|statement| begin(statement, caps)).collect();
    async move {
        if let Some((definition, replies)) = made {
            definition.state(&last_rows(replies).await?)?;
        }
        last_rows(replies).await
    }
    .boxed()
}

/// Reads the rows of statements to their ends, and gives those of the last.
async fn last_rows(replies: Vec<Parts>) -> Result<Vec<Vec<Value>>, Error> {
    let mut last = Vec::new();
    for parts in replies {
        last = rows(parts).await?;
    }
    Ok(last)
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
