//! The context of one instance: its budget, and how it starts statements.

use super::bindings::{Error, Isolation, Value};
use super::database::Database;
use super::dialect::Dialect;
use super::output::{self, Caps, Output, Part};
use super::query::Query;
use super::statement::Statement;
use super::transaction::{BeginOptions, Transaction};
use elias_host::capability::{CallMeter, HostCall};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The database of one instance.
pub struct DbContext {
    pub(super) database: Arc<Database>,
    budget: Arc<Semaphore>,
    /// The budget of the parameters of statements under way, in parts of [`HELD`] bytes.
    held: Arc<Semaphore>,
    pub(super) calls: CallMeter,
}

/// Bytes of a part of what parameters may take.
const HELD: u64 = 1 << 10;

/// How many statements' parameters, at their longest, an instance may have under way.
const HELD_STATEMENTS: u64 = 16;

/// A statement that was started.
pub(super) enum StartOutcome {
    Done(Part),
    Running(Query),
}

impl DbContext {
    pub(super) fn new(database: Arc<Database>, calls: CallMeter) -> Self {
        let parts = database.limits.parameter_bytes * HELD_STATEMENTS / HELD;
        let parts = usize::try_from(parts).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let budget = Arc::new(Semaphore::new(database.limits.queries as usize));
        Self { database, budget, held: Arc::new(Semaphore::new(parts)), calls }
    }

    fn caps(&self) -> Caps {
        Caps { rows: self.database.limits.rows, bytes: self.database.limits.result_bytes }
    }

    /// The two ends of a query that began with `call`, within the budget.
    pub(super) fn start(&self, call: HostCall) -> Result<(Output, Query), Error> {
        let budget = Some(self.reserve()?);
        let (output, parts) = output::channel(self.caps(), budget.clone());
        Ok((output, Query::new(parts, budget).timed(call)))
    }

    /// A call that runs a statement, which begins now. The values of its parameters are not told.
    pub(super) fn begin_call(&self, operation: &'static str, sql: &str) -> HostCall {
        let mut call = self.calls.begin().named(operation);
        if call.keeps_details() {
            let system = match self.database.backend.dialect() {
                Dialect::Sqlite => "sqlite",
                Dialect::Postgres => "postgresql",
            };
            call.label("db.system.name", system);
            if !sql.is_empty() {
                call.text("db.query.text", sql);
            }
        }
        call
    }

    /// A place within the budget of queries.
    pub(super) fn reserve(&self) -> Result<Arc<OwnedSemaphorePermit>, Error> {
        let budget = Arc::clone(&self.budget).try_acquire_owned();
        budget.map(Arc::new).map_err(|_| Error::too_many(self.database.limits.queries))
    }

    pub(super) fn check(&self, sql: &str, parameters: Vec<Value>) -> Result<Statement, Error> {
        let (mut statement, size) = self.database.check(sql, parameters)?;
        if size >= HELD {
            let parts = u32::try_from(size / HELD).unwrap_or(u32::MAX);
            let held = Arc::clone(&self.held).try_acquire_many_owned(parts).map_err(|_| Error::too_much())?;
            statement.held = Some(Arc::new(held));
        }
        Ok(statement)
    }

    pub(super) fn query(&self, sql: &str, parameters: Vec<Value>) -> StartOutcome {
        let statement = match self.check(sql, parameters) {
            Ok(statement) => statement,
            Err(error) => return StartOutcome::Done(Err(error)),
        };
        let mut call = self.begin_call("query", sql);
        if let Some(part) = self.database.backend.run_now(&statement, self.caps()) {
            if part.is_err() {
                call.fail();
            }
            return StartOutcome::Done(part);
        }
        match self.start(call) {
            Ok((output, query)) => StartOutcome::Running(query.driving(self.database.backend.run(statement, output))),
            Err(error) => StartOutcome::Done(Err(error)),
        }
    }

    pub(super) fn begin(&self, isolation: Isolation, read_only: bool) -> Transaction {
        let (transaction, commands) = Transaction::new();
        tokio::spawn(self.database.backend.transaction(BeginOptions { isolation, read_only }, commands));
        transaction
    }
}
