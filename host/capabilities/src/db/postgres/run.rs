//! Statements outside of transactions, and the parts that statements within transactions share with them.

use super::super::bindings::{Error, ErrorCode};
use super::super::output::{Batches, Output, Slot};
use super::super::statement::{Kind, Statement};
use super::connect::Session;
use super::connections::Connections;
use super::decode;
use super::encode::parameters;
use super::error::error;
use futures::TryStreamExt;
use std::pin::pin;
use std::sync::atomic::Ordering;
use tokio_postgres::error::SqlState;
use tokio_postgres::{RowStream, Statement as Prepared};

/// Why a statement was not read to its end.
pub(super) enum StopReason {
    /// The server said so.
    Failed(Error),
    /// The host said so; the server may not know.
    Cut(Error),
    /// Its query was dropped after the first rows.
    Left,
    /// Its query was dropped while the server was working towards the first row.
    Dropped,
    /// The server did not respond in time.
    Late,
}

impl StopReason {
    pub(super) fn error(&self) -> Option<Error> {
        match self {
            Self::Failed(error) | Self::Cut(error) => Some(error.clone()),
            Self::Late => Some(Error::timeout()),
            Self::Left | Self::Dropped => None,
        }
    }
}

impl Connections {
    pub(super) async fn run(&self, statement: &Statement, output: &Output) {
        let connection = tokio::select! {
            () = output.closed() => return,
            connection = self.connection() => connection,
        };
        let connection = match connection {
            Ok(connection) => connection,
            Err(failed) => return output.fail(failed),
        };
        let cancel = connection.cancel_token();
        let mut result = self.attempt(&connection, statement, output).await;
        if matches!(&result, Err(StopReason::Failed(failed)) if is_stale(failed)) {
            // Another connection has changed a table since the statement was prepared; nothing has run yet.
            connection.statement_cache.clear();
            result = self.attempt(&connection, statement, output).await;
        }
        let mut broken = false;
        if let Err(stop) = result {
            if let Some(failed) = stop.error() {
                output.fail(failed);
            }
            // A cancellation may come after the statement's end: the connection must not be anyone else's by then.
            broken = !matches!(stop, StopReason::Failed(_));
            if broken {
                self.connector.cancel(&cancel).await;
            }
        }
        self.give_back(connection, broken, statement.leaves).await;
    }

    async fn attempt(&self, connection: &Session, statement: &Statement, output: &Output) -> Result<(), StopReason> {
        let exceeded = self.connector.exceeded.load(Ordering::Relaxed);
        let Some(slot) = output.slot().await else { return Err(StopReason::Left) };
        let started = async {
            let prepared = connection.prepare_cached(&statement.sql).await?;
            let ready =
                decode::check(prepared.columns()).and_then(|()| parameters(&statement.parameters, prepared.params()));
            match ready {
                Ok(parameters) => Ok(Ok((connection.query_raw(&prepared, parameters).await?, prepared))),
                Err(failed) => Ok(Err(failed)),
            }
        };
        let (rows, prepared) = self.wait(output, started, exceeded).await?.map_err(StopReason::Failed)?;
        let mut batches = output.caps().batches(names(&prepared));
        let mut rows = pin!(rows);
        let slot = self.rows(rows.as_mut(), &mut batches, output, slot, exceeded).await?;
        slot.send(batches.last(affected(statement, rows.rows_affected())));
        Ok(())
    }

    /// Reads rows to the end, and returns the slot for the last batch.
    pub(super) async fn rows<'a>(
        &self,
        mut rows: std::pin::Pin<&mut RowStream>,
        batches: &mut Batches,
        output: &'a Output,
        mut slot: Slot<'a>,
        exceeded: u64,
    ) -> Result<Slot<'a>, StopReason> {
        loop {
            let row = match self.wait(output, rows.try_next(), exceeded).await {
                // Whoever breaks out of a loop over rows has not given up on the transaction around it.
                Err(StopReason::Dropped) if batches.begun() => return Err(StopReason::Left),
                row => row?,
            };
            let Some(row) = row else { return Ok(slot) };
            let values = decode::row(&row, batches.room()).map_err(StopReason::Cut)?;
            if batches.add(values).map_err(StopReason::Cut)? {
                slot.send(batches.take());
                slot = output.slot().await.ok_or(StopReason::Left)?;
            }
        }
    }

    /// Waits for the server, for as long as someone waits for the query.
    pub(super) async fn wait<T>(
        &self,
        output: &Output,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
        exceeded: u64,
    ) -> Result<T, StopReason> {
        tokio::select! {
            biased;
            done = work => done.map_err(|failed| StopReason::Failed(self.explain(&failed, exceeded))),
            () = output.closed() => Err(StopReason::Dropped),
            () = self.lateness.starting_now() => Err(StopReason::Late),
        }
    }

    /// A connection that ended because a row was too long does not mean that the server is gone.
    fn explain(&self, failed: &tokio_postgres::Error, exceeded: u64) -> Error {
        let told = error(failed);
        if told.code == ErrorCode::Unavailable && self.connector.exceeded.load(Ordering::Relaxed) != exceeded {
            let limit = self.result_bytes;
            return Error::too_large(format!("the result has more than {limit} bytes (the grant's key result-bytes)"));
        }
        told
    }
}

/// Whether a prepared statement's result has changed its shape.
pub(super) fn is_stale(failed: &Error) -> bool {
    failed.sqlstate.as_deref() == Some(SqlState::FEATURE_NOT_SUPPORTED.code()) && failed.message.contains("cached plan")
}

pub(super) fn names(prepared: &Prepared) -> Vec<String> {
    prepared.columns().iter().map(|column| column.name().to_owned()).collect()
}

/// The server counts the rows of a SELECT too.
pub(super) fn affected(statement: &Statement, rows: Option<u64>) -> u64 {
    if statement.kind == Kind::Write { rows.unwrap_or(0) } else { 0 }
}
