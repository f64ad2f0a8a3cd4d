//! PostgreSQL's errors, as components and as those who load components see them. Messages about connecting have
//! addresses and names in them, and are not passed on.

use super::super::bindings::{Error, ErrorCode};
use elias_host::capability::ConfigureError;
use tokio_postgres::error::SqlState;

/// The error as a component sees it.
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

/// The error as the program that loads a component sees it.
pub(super) fn refused(failed: &tokio_postgres::Error) -> ConfigureError {
    let Error { sqlstate, .. } = error(failed);
    let why = match failed.as_db_error().and(sqlstate) {
        Some(state) if state == "28000" => {
            "PostgreSQL lets a role in nowhere (28000): pg_hba.conf must admit the url's, and the logins \
             that begin with elias_"
                .into()
        }
        Some(state) => format!("PostgreSQL refused ({state})"),
        None => "PostgreSQL cannot be reached".into(),
    };
    ConfigureError::Unavailable(why)
}

/// The same of a statement that the owner may have lacked the privilege for; `what` says so.
pub(super) fn missing(failed: &tokio_postgres::Error, what: &str) -> ConfigureError {
    if failed.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return ConfigureError::Unavailable(format!("the role of PostgreSQL's url {what}"));
    }
    refused(failed)
}
