//! Transactions, each with a connection to itself.

use super::super::bindings::{Error, Isolation};
use super::super::output::Output;
use super::super::statement::{Kind, Statement};
use super::super::transaction::{Action, BeginOptions, Commands, refuse, savepoint};
use super::connections::{Connection, Connections};
use super::decode;
use super::encode::parameters;
use super::error::error;
use super::run::{StopReason, affected, is_stale, names};
use deadpool_postgres::Transaction;
use std::pin::pin;
use std::sync::atomic::Ordering;
use tokio_postgres::{CancelToken, IsolationLevel};

/// Rows that are asked for at a time: when a query is dropped, what was asked for and not read is thrown away.
const ROWS: i32 = 500;

/// The state of a transaction.
#[derive(Default)]
struct TransactionState {
    /// A statement has failed: the server takes nothing more until a savepoint or the end.
    failed: bool,
    /// The connection was cancelled, or does not respond.
    broken: bool,
    /// Something may be left in the session.
    leaves: bool,
}

impl Connections {
    pub(super) async fn transaction(&self, begin: BeginOptions, mut commands: Commands) {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(failed) => {
                while let Some(command) = commands.recv().await {
                    command.output.fail(failed.clone());
                }
                return;
            }
        };
        let mut course = TransactionState::default();
        self.drive(&mut connection, begin, &mut commands, &mut course).await;
        // First the connection: whoever hears of the end may count on it.
        self.give_back(connection, course.broken, course.leaves).await;
        refuse(commands, &Error::transaction_over());
    }

    async fn drive(
        &self,
        connection: &mut Connection,
        begin: BeginOptions,
        commands: &mut Commands,
        course: &mut TransactionState,
    ) {
        let cancel = connection.cancel_token();
        let level = match begin.isolation {
            Isolation::ReadCommitted => IsolationLevel::ReadCommitted,
            Isolation::RepeatableRead => IsolationLevel::RepeatableRead,
            Isolation::Serializable => IsolationLevel::Serializable,
        };
        let reported = connection.reported();
        let started = connection.build_transaction().isolation_level(level).read_only(begin.read_only).start();
        let transaction = match tokio::time::timeout(self.timeout, started).await {
            Ok(Ok(transaction)) => transaction,
            Ok(Err(failed)) => return self.refuse_all(commands, &error(&failed), course).await,
            Err(_) => return self.refuse_all(commands, &Error::timeout(), course).await,
        };
        while let Some(command) = commands.recv().await {
            let output = command.output;
            let control = match command.action {
                Action::Run(statement) => {
                    if reported.is_unchanged() {
                        self.step(&transaction, &statement, &output, &cancel, course).await;
                    } else {
                        // A statement has changed the session, so that the next would not be read as it was checked.
                        (course.failed, course.broken) = (true, true);
                        output.fail(Error::denied("the transaction's session was changed"));
                    }
                    continue;
                }
                Action::Commit => {
                    // COMMIT of a transaction that has failed rolls back, and the server calls it a success.
                    let failed = course.failed.then(Error::transaction_failed);
                    let ended = self.end(transaction, failed.is_none(), course).await;
                    return match failed.or(ended.err()) {
                        None => {
                            command.used.committed();
                            output.finish();
                        }
                        Some(failed) => output.fail(failed),
                    };
                }
                Action::Rollback => {
                    return match self.end(transaction, false, course).await {
                        Ok(()) => output.finish(),
                        Err(failed) => output.fail(failed),
                    };
                }
                Action::Savepoint(name) => format!("SAVEPOINT {}", savepoint(name)),
                Action::Release(name) => format!("RELEASE {}", savepoint(name)),
                Action::RollbackTo(name) => format!("ROLLBACK TO {}", savepoint(name)),
            };
            match tokio::time::timeout(self.timeout * 2, transaction.batch_execute(&control)).await {
                Ok(Ok(())) => {
                    course.failed &= !control.starts_with("ROLLBACK");
                    output.finish();
                }
                Ok(Err(failed)) => {
                    course.failed = true;
                    output.fail(error(&failed));
                }
                Err(_) => {
                    (course.failed, course.broken) = (true, true);
                    output.fail(Error::timeout());
                }
            }
        }
        let _ = self.end(transaction, false, course).await;
    }

    async fn end(
        &self,
        transaction: Transaction<'_>,
        commit: bool,
        course: &mut TransactionState,
    ) -> Result<(), Error> {
        let ending = async { if commit { transaction.commit().await } else { transaction.rollback().await } };
        match tokio::time::timeout(self.timeout * 2, ending).await {
            Ok(Ok(())) => Ok(()),
            // What cancelled a statement that nobody waits for may arrive only now. The connection is closed, and with
            // it the transaction is rolled back.
            Ok(Err(_)) if course.broken && !commit => Ok(()),
            Ok(Err(failed)) => Err(error(&failed)),
            Err(_) => {
                course.broken = true;
                Err(Error::timeout())
            }
        }
    }

    async fn refuse_all(&self, commands: &mut Commands, failed: &Error, course: &mut TransactionState) {
        course.broken = true;
        while let Some(command) = commands.recv().await {
            command.output.fail(failed.clone());
        }
    }

    /// Runs a statement, and notes what became of the transaction.
    async fn step(
        &self,
        transaction: &Transaction<'_>,
        statement: &Statement,
        output: &Output,
        cancel: &CancelToken,
        course: &mut TransactionState,
    ) {
        course.leaves |= statement.leaves;
        let Err(stop) = self.statement(transaction, statement, output).await else { return };
        if let Some(failed) = stop.error() {
            if is_stale(&failed) {
                transaction.statement_cache.clear();
            }
            output.fail(failed);
        }
        match stop {
            // Rows that were asked for and not read do not matter to the transaction.
            StopReason::Cut(_) | StopReason::Left => {}
            StopReason::Failed(_) => course.failed = true,
            StopReason::Dropped | StopReason::Late => {
                (course.failed, course.broken) = (true, true);
                self.connector.cancel(cancel).await;
            }
        }
    }

    async fn statement(
        &self,
        transaction: &Transaction<'_>,
        statement: &Statement,
        output: &Output,
    ) -> Result<(), StopReason> {
        let exceeded = self.connector.exceeded.load(Ordering::Relaxed);
        let Some(mut slot) = output.slot().await else { return Err(StopReason::Left) };
        let prepared = self.wait(output, transaction.prepare_cached(&statement.sql), exceeded).await?;
        decode::check(prepared.columns()).map_err(StopReason::Cut)?;
        let parameters = parameters(&statement.parameters, prepared.params()).map_err(StopReason::Cut)?;
        let mut batches = output.caps().batches(names(&prepared));
        if statement.kind != Kind::Read {
            let mut rows = pin!(self.wait(output, transaction.query_raw(&prepared, parameters), exceeded).await?);
            slot = self.rows(rows.as_mut(), &mut batches, output, slot, exceeded).await?;
            slot.send(batches.last(affected(statement, rows.rows_affected())));
            return Ok(());
        }
        // From a portal, which can be left without ending the transaction.
        let portal = self.wait(output, transaction.bind_raw(&prepared, parameters), exceeded).await?;
        loop {
            let mut rows = pin!(self.wait(output, transaction.query_portal_raw(&portal, ROWS), exceeded).await?);
            slot = self.rows(rows.as_mut(), &mut batches, output, slot, exceeded).await?;
            // The server counts at the end, and not where it stopped because enough were read.
            if rows.rows_affected().is_some() {
                slot.send(batches.last(0));
                return Ok(());
            }
        }
    }
}
