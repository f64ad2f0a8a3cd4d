//! The errors of the store.

use elias_api::{Code, MAKE_ROOM, is_full};
use std::fmt;

/// A refusal of the platform's, in a type of the store's own so that the database's errors convert into it.
#[derive(Debug, Clone)]
pub struct Error(elias_api::Error);

/// The result of the store's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(elias_api::Error::new(code, message))
    }

    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self(elias_api::Error::not_found(what))
    }

    pub(crate) fn not_listed(what: impl fmt::Display, command: &str) -> Self {
        Self(elias_api::Error::not_listed(what, command))
    }

    pub(crate) fn not_valid(what: impl fmt::Display, command: &str) -> Self {
        Self(elias_api::Error::not_valid(what, command))
    }

    /// The refusal of a change of what somebody else has changed since it was read.
    pub(crate) fn stale(what: &str, name: impl fmt::Display) -> Self {
        Self::new(Code::Stale, format!("the {what} {name} was changed meanwhile: read it again"))
    }

    /// The reason of the refusal.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

impl From<elias_api::Error> for Error {
    fn from(error: elias_api::Error) -> Self {
        Self(error)
    }
}

impl From<Error> for elias_api::Error {
    fn from(error: Error) -> Self {
        error.0
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self(error.into())
    }
}

/// How databases say that their disk is full: SQLite by SQLITE_FULL, and SQLITE_IOERR_SHMSIZE for its index of the log;
/// PostgreSQL by disk_full.
const FULL: [&str; 3] = ["13", "4874", "53100"];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let code = match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Code::AlreadyThere,
            sqlx::Error::Database(database) if database.code().is_some_and(|code| FULL.contains(&&*code)) => {
                return Self::new(Code::NoSpaceLeft, format!("the store: {error}; {MAKE_ROOM}"));
            }
            sqlx::Error::Io(error) if is_full(error) => Code::NoSpaceLeft,
            // A table or column that is not there is a defect of ours; all else is the store's affair: gone, full,
            // locked.
            sqlx::Error::ColumnNotFound(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Code::Internal
            }
            _ => Code::StoreUnavailable,
        };
        Self::new(code, format!("the store: {error}"))
    }
}
