//! The functions of `elias:db/db`, as implementations of bindgen's traits.

use super::Db;
use super::bindings::{Batch, Error, Host, HostQuery, HostTransaction, Isolation, Started, Value};
use super::context::{DbContext, StartOutcome};
use super::query::Query;
use super::transaction::{Action, Transaction};
use elias_host::capability::{InstanceState, wasmtime};
use wasmtime::component::Resource;
use wasmtime_wasi_io::poll::{DynPollable, subscribe};

/// Does something in a transaction.
fn act(
    state: &mut InstanceState,
    transaction: &Resource<Transaction>,
    action: impl FnOnce(&DbContext) -> Result<Action, Error>,
) -> wasmtime::Result<Resource<Query>> {
    let context = state.context::<Db>();
    let started = action(context).and_then(|action| {
        let (operation, sql) = action.described();
        let ends = context.start(context.begin_call(operation, sql))?;
        Ok((action, ends))
    });
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
            StartOutcome::Done(part) => Started::Done(part),
            StartOutcome::Running(query) => Started::Running(self.table().push(query)?),
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

    fn number(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<u32> {
        Ok(transaction.rep())
    }

    fn drop(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        self.table().delete(transaction)?;
        Ok(())
    }
}
