//! The functions of `elias:db/db`.

use super::bindings::elias::db::db::{Host, HostQuery, HostTransaction, Started};
use super::output::{self, Caps, Output, Part};
use super::query::Query;
use super::statement::Statement;
use super::transaction::{Action, Begin, Transaction};
use super::{Batch, Db, DbContext, Error, HELD, Isolation, Opened, Value};
use elias_host::capability::{HostCall, InstanceState, wasmtime};
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, subscribe};

/// A statement that was started.
pub(super) enum Begun {
    Done(Part),
    Running(Query),
}

impl DbContext {
    fn caps(&self) -> Caps {
        Caps { rows: self.opened.limits.rows, bytes: self.opened.limits.result_bytes }
    }

    /// The two ends of a query that began with `call`, within the budget.
    pub(super) fn start(&self, call: HostCall) -> Result<(Output, Query), Error> {
        let limits = &self.opened.limits;
        let budget = Arc::clone(&self.budget).try_acquire_owned().map_err(|_| Error::too_many(limits.queries))?;
        let budget = Some(Arc::new(budget));
        let (output, parts) = output::channel(self.caps(), budget.clone());
        Ok((output, Query::new(parts, budget).timed(call)))
    }

    pub(super) fn check(&self, sql: &str, parameters: Vec<Value>) -> Result<Statement, Error> {
        let (mut statement, size) = self.opened.check(sql, parameters)?;
        if size >= HELD {
            let parts = u32::try_from(size / HELD).unwrap_or(u32::MAX);
            let held = Arc::clone(&self.held).try_acquire_many_owned(parts).map_err(|_| Error::too_much())?;
            statement.held = Some(Arc::new(held));
        }
        Ok(statement)
    }

    pub(super) fn query(&self, sql: &str, parameters: Vec<Value>) -> Begun {
        let statement = match self.check(sql, parameters) {
            Ok(statement) => statement,
            Err(error) => return Begun::Done(Err(error)),
        };
        let call = self.calls.begin();
        if let Some(part) = self.opened.backend.run_now(&statement, self.caps()) {
            return Begun::Done(part);
        }
        match self.start(call) {
            Ok((output, query)) => Begun::Running(query.driving(self.opened.backend.run(statement, output))),
            Err(error) => Begun::Done(Err(error)),
        }
    }

    pub(super) fn begin(&self, isolation: Isolation, read_only: bool) -> Transaction {
        let (transaction, commands) = Transaction::new();
        tokio::spawn(self.opened.backend.transaction(Begin { isolation, read_only }, commands));
        transaction
    }
}

impl Opened {
    /// Checks a statement against the grant and the rules for statements; with the bytes of its parameters.
    pub(super) fn check(&self, sql: &str, parameters: Vec<Value>) -> Result<(Statement, u64), Error> {
        let limits = &self.limits;
        if sql.len() as u64 > limits.statement_bytes {
            let limit = limits.statement_bytes;
            return Err(Error::too_large(format!(
                "the statement has more than {limit} bytes (the grant's key statement-bytes)"
            )));
        }
        if parameters.len() > limits.parameters as usize {
            let limit = limits.parameters;
            return Err(Error::too_large(format!(
                "the statement has more than {limit} parameters (the grant's key parameters)"
            )));
        }
        let size = parameters.iter().map(Value::size).sum::<u64>();
        if size > limits.parameter_bytes {
            let limit = limits.parameter_bytes;
            return Err(Error::too_large(format!(
                "the parameters have more than {limit} bytes (the grant's key parameter-bytes)"
            )));
        }
        Ok((Statement::guest(sql, parameters, self.backend.dialect())?, size))
    }
}

/// Does something in a transaction.
fn act(
    state: &mut InstanceState,
    transaction: &Resource<Transaction>,
    action: impl FnOnce(&DbContext) -> Result<Action, Error>,
) -> wasmtime::Result<Resource<Query>> {
    let context = state.context::<Db>();
    let started = action(context).and_then(|action| Ok((action, context.start(context.calls.begin())?)));
    let query = match started {
        Ok((action, (output, query))) => {
            state.table().get_mut(transaction)?.send(action, output);
            query
        }
        Err(error) => Query::failed(error),
    };
    Ok(state.table().push(query)?)
}

impl Host for InstanceState {
    fn execute(&mut self, sql: String, parameters: Vec<Value>) -> wasmtime::Result<Started> {
        Ok(match self.context::<Db>().query(&sql, parameters) {
            Begun::Done(part) => Started::Done(part),
            Begun::Running(query) => Started::Running(self.table().push(query)?),
        })
    }
}

impl HostQuery for InstanceState {
    fn subscribe(&mut self, query: Resource<Query>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table(), query)
    }

    fn next(&mut self, query: Resource<Query>) -> wasmtime::Result<Option<Result<Batch, Error>>> {
        self.table().get_mut(&query)?.next()
    }

    fn drop(&mut self, query: Resource<Query>) -> wasmtime::Result<()> {
        self.table().delete(query)?;
        Ok(())
    }
}

impl HostTransaction for InstanceState {
    fn new(&mut self, isolation: Isolation, read_only: bool) -> wasmtime::Result<Resource<Transaction>> {
        let transaction = self.context::<Db>().begin(isolation, read_only);
        Ok(self.table().push(transaction)?)
    }

    fn query(
        &mut self,
        transaction: Resource<Transaction>,
        sql: String,
        parameters: Vec<Value>,
    ) -> wasmtime::Result<Resource<Query>> {
        act(self, &transaction, |context| Ok(Action::Run(context.check(&sql, parameters)?)))
    }

    fn savepoint(&mut self, transaction: Resource<Transaction>, name: u32) -> wasmtime::Result<Resource<Query>> {
        act(self, &transaction, |_| Ok(Action::Savepoint(name)))
    }

    fn release(&mut self, transaction: Resource<Transaction>, name: u32) -> wasmtime::Result<Resource<Query>> {
        act(self, &transaction, |_| Ok(Action::Release(name)))
    }

    fn rollback_to(&mut self, transaction: Resource<Transaction>, name: u32) -> wasmtime::Result<Resource<Query>> {
        act(self, &transaction, |_| Ok(Action::RollbackTo(name)))
    }

    fn commit(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<Resource<Query>> {
        act(self, &transaction, |_| Ok(Action::Commit))
    }

    fn rollback(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<Resource<Query>> {
        act(self, &transaction, |_| Ok(Action::Rollback))
    }

    fn drop(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        self.table().delete(transaction)?;
        Ok(())
    }
}
