//! Interrupts statements that read many pages in one step of SQLite's virtual machine.
//!
//! To drop a table, to delete all rows of one and to count them are single steps, which walk over every page: 0.6 s for
//! 200 MB. Neither the progress handler nor the flag for interruption is looked at meanwhile, and nothing large is
//! allocated. But every page that is not in the cache (of 2 MB) is read from a file. So the files of a connection have
//! SQLite's own functions with that one replaced: it fails once where what is under way is to end, and SQLite rolls
//! back, as after any interruption. A VFS of ours would do the same and have to know all of the other functions.
//!
//! The error is of the class SQLITE_IOERR, and not SQLITE_INTERRUPT: SQLite may need the page to roll back. After an
//! error of that class it forgets all pages of its cache. After any other it goes on with pages that it has not undone
//! yet, as if they were committed, and damages the file.

use super::memory;
use rusqlite::{Connection, Error, Result, ffi};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::OnceLock;

/// The functions of SQLite's own VFS for files of a kind, and the same with `xRead` of ours.
struct Methods {
    /// Where the functions are. Files that have others are left alone.
    address: usize,
    own: ffi::sqlite3_io_methods,
    watched: ffi::sqlite3_io_methods,
}

/// The kinds of files: SQLite locks the database and not its log, and has functions for each.
const DATABASE: usize = 0;
const LOG: usize = 1;

static METHODS: [OnceLock<Methods>; 2] = [const { OnceLock::new() }; 2];

/// The error of the read that fails. SQLite itself has no use for this one any more.
pub(super) const TOLD_TO_END: c_int = ffi::SQLITE_IOERR_BLOCKED;

/// Makes the reads of a connection fail once its statement is to end.
pub(super) fn watch(connection: &Connection) -> Result<()> {
    // The first read opens the log. One that cannot be opened now is not watched: what has to fail fails later.
    let _ = connection.query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()));
    watch_file::<DATABASE>(connection, ffi::SQLITE_FCNTL_FILE_POINTER)?;
    watch_file::<LOG>(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER)
}

fn watch_file<const KIND: usize>(connection: &Connection, which: c_int) -> Result<()> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open and this thread's, and SQLite writes the address of a file to `file`.
    let found = unsafe {
        let place = (&raw mut file).cast::<c_void>();
        ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), which, place)
    };
    if found != ffi::SQLITE_OK {
        return Err(Error::SqliteFailure(ffi::Error::new(found), None));
    }
    // SAFETY: the file is the connection's and stays as long; its functions are a constant of the VFS', or null if it
    // is not open. Ours are never dropped.
    unsafe {
        if file.is_null() || (*file).pMethods.is_null() {
            return Ok(());
        }
        let (address, own) = ((*file).pMethods.addr(), *(*file).pMethods);
        let methods = METHODS[KIND].get_or_init(|| Methods {
            address,
            own,
            watched: ffi::sqlite3_io_methods { xRead: Some(read::<KIND>), ..own },
        });
        if methods.address == address {
            (*file).pMethods = &raw const methods.watched;
        }
    }
    Ok(())
}

/// SQLite's function that reads from a file, unless what is under way is to end.
unsafe extern "C" fn read<const KIND: usize>(
    file: *mut ffi::sqlite3_file,
    to: *mut c_void,
    bytes: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    if memory::is_to_end() {
        return TOLD_TO_END;
    }
    let Some(own) = METHODS[KIND].get().and_then(|methods| methods.own.xRead) else { return ffi::SQLITE_MISUSE };
    // SAFETY: it is SQLite's own function, with what SQLite gave for it.
    unsafe { own(file, to, bytes, offset) }
}

#[cfg(test)]
mod tests {
    use super::super::super::bindings::ErrorCode;
    use super::super::error::error;
    use super::super::memory::{Account, on_account, on_account_until};
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    #[test]
    fn what_walks_over_all_pages_ends_when_it_is_told_to() {
        let folder = tempfile::tempdir().unwrap();
        let (account, stopped) = (Account::new(64 << 20), AtomicBool::new(false));
        on_account(&account, &stopped, || {
            let connection = Connection::open(folder.path().join("test.sqlite")).unwrap();
            connection.pragma_update(None, "journal_mode", "WAL").unwrap();
            watch(&connection).unwrap();
            let filled = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) \
                          INSERT INTO t SELECT i, randomblob(2000) FROM n";
            connection.execute_batch("CREATE TABLE t (a, b); CREATE INDEX by_b ON t (b)").unwrap();
            connection.execute_batch(filled).unwrap();
            let count = || connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
            for sql in ["DROP TABLE t", "DELETE FROM t", "DROP INDEX by_b", "REINDEX by_b", "SELECT count(b) FROM t"] {
                // All that was read is forgotten.
                connection.execute_batch("PRAGMA shrink_memory").unwrap();
                stopped.store(true, Ordering::Relaxed);
                // Each piece of work is interrupted once: what SQLite reads to roll back, it reads.
                let ended = on_account(&account, &stopped, || connection.execute_batch(sql)).unwrap_err();
                assert_eq!(ended.sqlite_error().map(|error| error.extended_code), Some(TOLD_TO_END), "{sql}");
                assert_eq!(error(&ended).code, ErrorCode::Timeout, "{sql}");
                stopped.store(false, Ordering::Relaxed);
                assert_eq!(count().unwrap(), 3_000, "{sql}");
                // Where nobody sets the flag, reads look at the clock.
                connection.execute_batch("PRAGMA shrink_memory").unwrap();
                let over = Some(Instant::now());
                let ended = on_account_until(&account, &stopped, over, || connection.execute_batch(sql)).unwrap_err();
                assert_eq!(error(&ended).code, ErrorCode::Timeout, "{sql}");
                assert!(stopped.swap(false, Ordering::Relaxed), "{sql}");
                assert_eq!(count().unwrap(), 3_000, "{sql}");
            }
            assert_eq!(
                connection.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0)).unwrap(),
                "ok"
            );
            connection.execute_batch("DROP TABLE t").unwrap();
        });
    }

    #[test]
    fn a_rollback_that_is_told_to_end_leaves_nothing_of_its_transaction() {
        let folder = tempfile::tempdir().unwrap();
        let (account, stopped) = (Account::new(64 << 20), AtomicBool::new(false));
        let connection = on_account(&account, &stopped, || {
            let connection = Connection::open(folder.path().join("test.sqlite")).unwrap();
            connection.pragma_update(None, "journal_mode", "WAL").unwrap();
            watch(&connection).unwrap();
            connection.execute_batch("CREATE TABLE t (a, b); INSERT INTO t VALUES (0, 0)").unwrap();
            let filled = "BEGIN IMMEDIATE; INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL \
                          SELECT i + 1 FROM n LIMIT 300) SELECT i, randomblob(2000) FROM n";
            connection.execute_batch(filled).unwrap();
            connection
        });
        // As when the progress handler ends a statement: the first read after that is one of the rollback.
        stopped.store(true, Ordering::Relaxed);
        let _ = on_account(&account, &stopped, || connection.execute_batch("ROLLBACK"));
        stopped.store(false, Ordering::Relaxed);
        on_account(&account, &stopped, || {
            assert!(connection.is_autocommit());
            let count = || connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0));
            assert_eq!(count().unwrap(), 1);
            connection.execute_batch("INSERT INTO t VALUES (1, 1)").unwrap();
            assert_eq!(count().unwrap(), 2);
            let check = connection.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0));
            assert_eq!(check.unwrap(), "ok");
            drop(connection);
        });
    }
}
