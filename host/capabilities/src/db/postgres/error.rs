//! PostgreSQL's errors. What is said about connecting has addresses and names in it, and is not passed on.

use super::super::bindings::{Error, ErrorCode};

/// What a component sees of an error.
pub(super) fn error(failed: &tokio_postgres::Error) -> Error {
    let Some(database) = failed.as_db_error() else {
        return unavailable();
    };
    let state = database.code().code();
    if state == "57014" {
        return Error::timeout();
    }
    // Connections that fail, servers that stop or have no room.
    if state.starts_with("08") || state.starts_with("57P") || state.starts_with("53") || state.starts_with("28") {
        return Error {
            code: ErrorCode::Unavailable,
            sqlstate: Some(state.to_owned()),
            message: unavailable().message,
        };
    }
    let mut message = database.message().to_owned();
    if let Some(detail) = database.detail() {
        message = format!("{message}: {detail}");
    }
    Error::database(state, message)
}

pub(super) fn unavailable() -> Error {
    Error::unavailable("the database cannot be reached")
}
