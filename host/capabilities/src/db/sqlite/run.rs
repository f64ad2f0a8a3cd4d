//! Statements and transactions on a connection's thread.

use super::super::bindings::{Error, Value};
use super::super::output::{Batches, Caps, Output};
use super::super::statement::{Kind, Statement};
use super::super::transaction::{Action, BeginOptions, Commands, refuse, savepoint};
use super::super::value;
use super::connection::Session;
use super::error::error;
use rusqlite::ffi;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Session {
    /// Runs a statement and sends its rows. The time in which the reader takes none does not count.
    pub(super) fn run(&self, statement: &Statement, output: &Output) -> Result<(), Error> {
        let Some(mut slot) = futures::executor::block_on(output.slot()) else { return Ok(()) };
        self.control.outbox.store(statement.names_outbox, Ordering::Relaxed);
        let mut left = self.settings.statement_timeout;
        let mut prepared = self.working(&mut left, output, || {
            let prepared = self.control.as_guest(|| self.connection.prepare_cached(&statement.sql));
            let mut prepared = prepared.map_err(|failed| self.explain(&failed))?;
            self.bound_values(&prepared).map_err(|failed| error(&failed))?;
            bind(&mut prepared, &statement.parameters)?;
            Ok(prepared)
        })?;
        let mut started: Option<(Batches, Vec<bool>)> = None;
        let mut rows = prepared.raw_query();
        loop {
            let full = self.working(&mut left, output, || {
                // Virtual tables and PRAGMA functions compile more while they run.
                while let Some(row) = self.control.as_guest(|| rows.next()).map_err(|failed| self.explain(&failed))? {
                    // Only now: if another connection has changed the schema, the first step compiles the statement
                    // anew.
                    let (batches, booleans) = started.get_or_insert_with(|| columns(row.as_ref(), output.caps()));
                    batches.make_room(size(row, booleans.len())?)?;
                    if batches.add(values(row, booleans)?)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            })?;
            let Some((batches, _)) = started.as_mut().filter(|_| full) else { break };
            slot.send(batches.take());
            let Some(next) = futures::executor::block_on(output.slot()) else { return Ok(()) };
            slot = next;
        }
        drop(rows);
        let batches = started.map_or_else(|| columns(&prepared, output.caps()).0, |(batches, _)| batches);
        let affected = if statement.kind == Kind::Write { self.connection.changes() } else { 0 };
        slot.send(batches.last(affected));
        Ok(())
    }

    /// Does a part of a statement's work, in the time that is left of it.
    fn working<T>(
        &self,
        left: &mut Duration,
        output: &Output,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.connection.busy_timeout(*left).map_err(|failed| error(&failed))?;
        let since = Instant::now();
        let done = self.control.run(since + *left, Some(output.watch()), work);
        *left = left.saturating_sub(since.elapsed());
        done
    }

    /// The error as a component sees it; for memory that was refused, the reason.
    fn explain(&self, failed: &rusqlite::Error) -> Error {
        let refused = self.settings.account.was_refused();
        let memory = failed
            .sqlite_error()
            .is_some_and(|failed| [ffi::SQLITE_NOMEM, ffi::SQLITE_IOERR_NOMEM].contains(&failed.extended_code));
        if memory && self.control.is_stopped() {
            return Error::timeout();
        }
        if memory && refused {
            return Error::too_large(
                "the statement needs more memory than is left to it (the grant's key memory-bytes)",
            );
        }
        error(failed)
    }

    /// Removes what a job left on the connection. False if that failed and the connection must be closed.
    pub(super) fn tidy(&self) -> bool {
        let timeout = self.settings.statement_timeout;
        if self.settings.account.is_strained() {
            self.connection.flush_prepared_statement_cache();
            let _ = self.connection.release_memory();
        }
        (self.connection.is_autocommit() || self.own("ROLLBACK", timeout).is_ok())
            && self.own("PRAGMA query_only = 0", timeout).is_ok()
    }

    fn control(&self, sql: &str) -> Result<(), Error> {
        self.own(sql, self.settings.statement_timeout).map_err(|failed| error(&failed))
    }
}

/// A transaction, from its beginning to its end.
pub(super) fn transaction(session: Result<&mut Session, Error>, begin: BeginOptions, mut commands: Commands) {
    // One that may write takes the lock at once: two that took it later could not both go on.
    let start = if begin.read_only { "PRAGMA query_only = 1; BEGIN" } else { "BEGIN IMMEDIATE" };
    let session = match session.and_then(|session| session.control(start).map(|()| session)) {
        Ok(session) => session,
        Err(failed) => return refuse(commands, &failed),
    };
    while let Some(command) = commands.blocking_recv() {
        let output = command.output;
        if session.connection.is_autocommit() {
            // SQLite itself has rolled back: a statement was interrupted, or the disk is full.
            if matches!(command.action, Action::Rollback) {
                output.finish();
                break;
            }
            output.fail(Error::transaction_failed());
            if matches!(command.action, Action::Commit) {
                break;
            }
            continue;
        }
        let (control, ends) = match command.action {
            Action::Run(statement) => {
                if let Err(failed) = session.run(&statement, &output) {
                    output.fail(failed);
                }
                continue;
            }
            Action::Savepoint(name) => (format!("SAVEPOINT {}", savepoint(name)), false),
            Action::Release(name) => (format!("RELEASE {}", savepoint(name)), false),
            Action::RollbackTo(name) => (format!("ROLLBACK TO {}", savepoint(name)), false),
            Action::Commit => ("COMMIT".to_owned(), true),
            Action::Rollback => ("ROLLBACK".to_owned(), true),
        };
        match session.control(&control) {
            Ok(()) => {
                command.used.committed();
                output.finish();
            }
            Err(failed) => output.fail(failed),
        }
        if ends {
            break;
        }
    }
    refuse(commands, &Error::transaction_over());
}

/// The size of a row for the limits, before any of it is copied.
pub(super) fn size(row: &rusqlite::Row<'_>, columns: usize) -> Result<u64, Error> {
    let content = |at| match row.get_ref(at) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => Ok(8 + bytes.len() as u64),
        Ok(_) => Ok(8),
        Err(failed) => Err(error(&failed)),
    };
    (0..columns).map(content).sum()
}

/// A row's values.
pub(super) fn values(row: &rusqlite::Row<'_>, booleans: &[bool]) -> Result<Vec<Value>, Error> {
    let value = |at, boolean| row.get_ref(at).map_err(|failed| error(&failed)).and_then(|value| column(value, boolean));
    booleans.iter().enumerate().map(|(at, boolean)| value(at, *boolean)).collect()
}

/// A statement's columns, and which of them were declared to be booleans.
pub(super) fn columns(statement: &rusqlite::Statement<'_>, caps: Caps) -> (Batches, Vec<bool>) {
    let names = statement.column_names().into_iter().map(str::to_owned).collect();
    let booleans = statement.columns().iter().map(|column| column.decl_type().is_some_and(is_boolean)).collect();
    (caps.batches(names), booleans)
}

fn is_boolean(declared: &str) -> bool {
    declared.eq_ignore_ascii_case("boolean") || declared.eq_ignore_ascii_case("bool")
}

/// Binds parameters by their numbers: SQLite numbers `$2` by where it stands.
pub(super) fn bind(statement: &mut rusqlite::CachedStatement<'_>, parameters: &[Value]) -> Result<(), Error> {
    let mut most = 0;
    for index in 1..=statement.parameter_count() {
        let number = match statement.parameter_name(index) {
            None => index,
            Some(name) => match name.strip_prefix(['?', '$']).and_then(|number| number.parse::<usize>().ok()) {
                Some(number) if number > 0 => number,
                _ => {
                    return Err(Error::database(
                        "07001",
                        format!("the parameter {name} is not ?1, ?2, ... or $1, $2, ..."),
                    ));
                }
            },
        };
        most = most.max(number);
        if let Some(value) = parameters.get(number - 1) {
            let bound = parameter(value, number)?;
            statement.raw_bind_parameter(index, bound).map_err(|failed| error(&failed))?;
        }
    }
    if most != parameters.len() {
        let given = parameters.len();
        return Err(Error::database("07001", format!("the statement has {most} parameters, and {given} were given")));
    }
    Ok(())
}

fn parameter(value: &Value, number: usize) -> Result<ToSqlOutput<'_>, Error> {
    let text = |text: &str| ToSqlOutput::Owned(rusqlite::types::Value::Text(text.to_owned()));
    Ok(match value {
        Value::Null => ToSqlOutput::Owned(rusqlite::types::Value::Null),
        Value::Boolean(boolean) => ToSqlOutput::from(*boolean),
        Value::Integer(integer) => ToSqlOutput::from(*integer),
        Value::Float(float) => ToSqlOutput::from(*float),
        Value::Text(string) | Value::Json(string) => ToSqlOutput::Borrowed(ValueRef::Text(string.as_bytes())),
        Value::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        Value::Timestamp(microseconds) => match value::iso(*microseconds) {
            Some(iso) => text(&iso),
            None => {
                return Err(Error::unsupported(format!(
                    "parameter {number}: the timestamp is not in the years 0 to 9999"
                )));
            }
        },
        Value::Uuid(uuid) if value::is_uuid(uuid) => text(uuid),
        Value::Numeric(numeric) if value::is_numeric(numeric) => text(numeric),
        Value::Uuid(_) | Value::Numeric(_) => {
            return Err(Error::unsupported(format!("parameter {number} is not a {}", value.type_name())));
        }
    })
}

fn column(value: ValueRef<'_>, boolean: bool) -> Result<Value, Error> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer @ (0 | 1)) if boolean => Value::Boolean(integer == 1),
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(float) => Value::Float(float),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => return Err(Error::unsupported("a column has a text that is not UTF-8")),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}
