//! The migrations of a component, applied to its SQLite file.

use super::super::bindings::Error;
use super::super::migrate::{Migration, Migrations, TIMEOUT};
use super::super::statement::{BOOKKEEPING, check_virtual_tables, check_window_functions};
use super::connection::{Session, Settings};
use super::error::error;
use elias_host::capability::ConfigureError;
use rusqlite::OptionalExtension;
use std::sync::Arc;
use std::time::Instant;

/// Bytes of a migration's text that SQLite takes.
const STATEMENT_BYTES: u64 = 8 << 20;

/// Runs what has not been run. The file's lock makes hosts that share it take turns.
pub(super) fn run(settings: &Arc<Settings>, migrations: &Migrations) -> Result<(), ConfigureError> {
    let session = Session::open(settings, STATEMENT_BYTES).map_err(|failed| unavailable(&failed))?;
    if migrations.0.is_empty() {
        return Ok(());
    }
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {BOOKKEEPING} (name TEXT PRIMARY KEY, sha256 TEXT NOT NULL, \
         applied_at TEXT NOT NULL) STRICT"
    );
    session.own(&table, TIMEOUT).map_err(|failed| unavailable(&failed))?;
    for migration in &migrations.0 {
        session.own("BEGIN IMMEDIATE", TIMEOUT).map_err(|failed| unavailable(&failed))?;
        if let Err(failed) = one(&session, migration) {
            let _ = session.own("ROLLBACK", TIMEOUT);
            return Err(failed);
        }
        session.own("COMMIT", TIMEOUT).map_err(|failed| migration.failed(&error(&failed)))?;
    }
    Ok(())
}

fn one(session: &Session, migration: &Migration) -> Result<(), ConfigureError> {
    let connection = &session.connection;
    let recorded: Option<String> = connection
        .query_row(&format!("SELECT sha256 FROM {BOOKKEEPING} WHERE name = ?1"), [&migration.name], |row| row.get(0))
        .optional()
        .map_err(|failed| unavailable(&failed))?;
    if !migration.is_due(recorded.as_deref())? {
        return Ok(());
    }
    // The component's author wrote the migration: the same rules hold.
    check_virtual_tables(&migration.sql)
        .and_then(|()| check_window_functions(&migration.sql))
        .map_err(|refused| migration.failed(&refused))?;
    let until = Instant::now() + TIMEOUT;
    session
        .control
        .run(until, None, || session.control.as_guest(|| connection.execute_batch(&migration.sql)))
        .map_err(|failed| migration.failed(&error(&failed)))?;
    if connection.is_autocommit() {
        return Err(migration.failed(&Error::transaction_failed()));
    }
    connection
        .execute(
            &format!("INSERT INTO {BOOKKEEPING} VALUES (?1, ?2, strftime('%Y-%m-%dT%H:%M:%fZ'))"),
            [&migration.name, &migration.digest],
        )
        .map_err(|failed| migration.failed(&error(&failed)))?;
    Ok(())
}

fn unavailable(failed: &rusqlite::Error) -> ConfigureError {
    ConfigureError::Unavailable(format!("the database cannot be opened: {}", error(failed).message))
}
