//! Statements for SQLite: what the scanner takes for one statement is one for SQLite too, neither begins nor ends a
//! transaction, and writes only if the scanner says so.
#![no_main]

mod scanner;

use libfuzzer_sys::fuzz_target;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ffi};
use scanner::{Dialect, Input, Statement};
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_int};
use std::ptr;

const SCHEMA: &str =
    "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c); CREATE INDEX i ON t (b); CREATE VIEW v AS SELECT * FROM t;";

const WORDS: &[&str] = &[
    "SELECT",
    "1",
    "*",
    "FROM",
    "t",
    "v",
    "a",
    "b",
    "WHERE",
    "=",
    ";",
    "INSERT INTO t VALUES (1, 2, 3)",
    "UPDATE t SET b = 1",
    "DELETE FROM t",
    "REPLACE INTO t VALUES (1, 2, 3)",
    "CREATE TABLE u (a)",
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN",
    "END",
    "DROP TABLE t",
    "ALTER TABLE t ADD d",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT s",
    "RELEASE s",
    "ATTACH 'x' AS y",
    "DETACH y",
    "VACUUM",
    "PRAGMA table_info(t)",
    "PRAGMA user_version = 1",
    "ANALYZE",
    "REINDEX",
    "EXPLAIN",
    "QUERY PLAN",
    "WITH",
    "w AS (SELECT 1)",
    "UNION",
    "(",
    ")",
    ",",
    "'",
    "''",
    "\"",
    "`",
    "[",
    "]",
    "/*",
    "*/",
    "--",
    "\n",
    "\r",
    "$1",
    "?1",
    ":a",
    "@a",
    "#1",
    "x'00'",
    "0x10",
    "1e5",
    ".",
    "..",
    "RETURNING a",
    "ON CONFLICT DO NOTHING",
    "VALUES (1)",
    "TEMP",
    "trigger",
    "-",
    ">",
    "->>",
    "||",
    "\u{feff}",
    "\0",
    "\x0c",
    "é",
];

thread_local! {
    static SEEN: Cell<bool> = const { Cell::new(false) };
    static DATABASE: RefCell<Connection> = RefCell::new(database());
}

fn database() -> Connection {
    let connection = Connection::open_in_memory().expect("a database");
    connection.execute_batch(SCHEMA).expect("a schema");
    let watch = |context: AuthContext<'_>| {
        if matches!(context.action, AuthAction::Transaction { .. } | AuthAction::Savepoint { .. }) {
            SEEN.set(true);
        }
        Authorization::Allow
    };
    connection.authorizer(Some(watch));
    connection
}

/// Compiles the first statement of a text: whether there is one and whether it only reads, and what is left of the
/// text.
fn prepare(handle: *mut ffi::sqlite3, sql: &CString, at: usize) -> Option<(Option<bool>, usize)> {
    let (mut statement, mut tail) = (ptr::null_mut(), ptr::null());
    let start = sql.as_ptr().wrapping_add(at);
    // SAFETY: the handle is open, the text ends with a zero byte, and what is compiled is given back.
    unsafe {
        let code: c_int = ffi::sqlite3_prepare_v2(handle, start, -1, &raw mut statement, &raw mut tail);
        let left = usize::try_from(tail.offset_from(sql.as_ptr())).unwrap_or(usize::MAX);
        // An explained statement is not run.
        let reads = || ffi::sqlite3_stmt_readonly(statement) != 0 || ffi::sqlite3_stmt_isexplain(statement) != 0;
        let reads = (!statement.is_null()).then(reads);
        ffi::sqlite3_finalize(statement);
        (code == ffi::SQLITE_OK).then_some((reads, left))
    }
}

fuzz_target!(|input: Input<'_>| {
    let sql = input.sql(WORDS);
    let Ok(statement) = Statement::guest(&sql, Vec::new(), Dialect::Sqlite) else { return };
    assert_eq!(statement.sql, *sql, "SQLite gets what was scanned");
    let Ok(text) = CString::new(&*sql) else { return };
    DATABASE.with_borrow(|connection| {
        // SAFETY: the connection outlives its use here.
        let handle = unsafe { connection.handle() };
        SEEN.set(false);
        let Some((first, left)) = prepare(handle, &text, 0) else { return };
        assert!(!SEEN.get(), "{sql:?} is about a transaction");
        if let Some(reads) = first {
            assert!(reads || statement.writes || sql.to_lowercase().contains("pragma"), "{sql:?} writes");
        }
        // The rest is not a second statement.
        let second = prepare(handle, &text, left.min(text.as_bytes().len()));
        assert!(first.is_none() || !matches!(second, Some((Some(_), _))), "{sql:?} has a second statement");
    });
});
