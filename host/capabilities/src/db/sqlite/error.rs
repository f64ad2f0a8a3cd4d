//! SQLite's errors, with the nearest SQLSTATE.

use super::super::bindings::{Error, ErrorCode};
use super::reads::TOLD_TO_END;
use rusqlite::ffi;

/// Beginnings and parts of messages, and the states of what they tell.
const MESSAGES: &[(&str, &str)] = &[
    ("no such table", "42P01"),
    ("no such view", "42P01"),
    ("no such column", "42703"),
    ("has no column named", "42703"),
    ("no such function", "42883"),
    ("wrong number of arguments to function", "42883"),
    ("no such index", "42704"),
    ("no such savepoint", "3B001"),
    ("already exists", "42P07"),
    ("there is already", "42P07"),
    ("duplicate column name", "42701"),
    ("ambiguous column name", "42702"),
    ("misuse of aggregate", "42803"),
    ("syntax error", "42601"),
    ("incomplete input", "42601"),
    ("unrecognized token", "42601"),
    ("values were supplied", "42601"),
    ("values for", "42601"),
    ("too many SQL variables", "54000"),
    ("variable number must be", "54000"),
    ("integer overflow", "22003"),
    ("malformed JSON", "22032"),
];

/// The error as a component sees it.
pub(super) fn error(error: &rusqlite::Error) -> Error {
    let (code, message) = match error {
        rusqlite::Error::SqliteFailure(code, message) => (code.extended_code, message.clone()),
        rusqlite::Error::SqlInputError { error, msg, .. } => (error.extended_code, Some(msg.clone())),
        rusqlite::Error::NulError(_) => return Error::database("22021", "the statement has a NUL character"),
        rusqlite::Error::Utf8Error(_) => return Error::unsupported("a text is not UTF-8"),
        rusqlite::Error::MultipleStatement => return Error::denied("one statement at a time"),
        _ => return Error::database("HY000", "SQLite could not do that"),
    };
    if code == TOLD_TO_END {
        return Error::timeout();
    }
    let text = message.unwrap_or_else(|| ffi::code_to_str(code).to_owned());
    let state = match code & 0xff {
        ffi::SQLITE_AUTH => return Error::denied(format!("the statement does what components may not do: {text}")),
        ffi::SQLITE_ERROR if text.starts_with("not authorized") => {
            return Error::denied(format!("the statement does what components may not do: {text}"));
        }
        // Ours, of what FTS5 is to search for.
        ffi::SQLITE_TOOBIG if text.starts_with("a search") => return Error::too_large(text),
        ffi::SQLITE_TOOBIG => return Error::too_large("a value or the statement is too large"),
        ffi::SQLITE_INTERRUPT => return Error::timeout(),
        // Messages of these have the file's name.
        ffi::SQLITE_CANTOPEN | ffi::SQLITE_NOTADB | ffi::SQLITE_CORRUPT => {
            return Error::new(ErrorCode::Unavailable, "the database cannot be opened");
        }
        ffi::SQLITE_CONSTRAINT => constraint(code),
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => "55P03",
        ffi::SQLITE_FULL => "53100",
        ffi::SQLITE_READONLY => "25006",
        ffi::SQLITE_MISMATCH => "22000",
        ffi::SQLITE_RANGE => "07001",
        ffi::SQLITE_NOMEM => "53200",
        ffi::SQLITE_IOERR => "58030",
        _ => MESSAGES.iter().find(|(part, _)| text.contains(part)).map_or("HY000", |(_, state)| *state),
    };
    Error::database(state, text)
}

fn constraint(code: i32) -> &'static str {
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => "23505",
        ffi::SQLITE_CONSTRAINT_NOTNULL => "23502",
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => "23503",
        ffi::SQLITE_CONSTRAINT_CHECK => "23514",
        ffi::SQLITE_CONSTRAINT_DATATYPE => "22000",
        _ => "23000",
    }
}
