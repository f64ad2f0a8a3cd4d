//! Errors as components see them. None of them carries a connection string, an address or a path.

use super::bindings::{Error, ErrorCode};

impl Error {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, sqlstate: None, message: message.into() }
    }

    pub(crate) fn database(sqlstate: &str, message: impl Into<String>) -> Self {
        Self { code: ErrorCode::Database, sqlstate: Some(sqlstate.to_owned()), message: message.into() }
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self { sqlstate: Some("42501".to_owned()), ..Self::new(ErrorCode::Denied, message) }
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self { sqlstate: Some("54000".to_owned()), ..Self::new(ErrorCode::TooLarge, message) }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self { sqlstate: Some("0A000".to_owned()), ..Self::new(ErrorCode::UnsupportedType, message) }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self { sqlstate: Some("08006".to_owned()), ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// The statement took too long.
    pub(crate) fn timeout() -> Self {
        Self { sqlstate: Some("57014".to_owned()), ..Self::new(ErrorCode::Timeout, "the statement timed out") }
    }

    /// No connection was free in time.
    pub(crate) fn no_connection() -> Self {
        let message = "no connection was free within the statement's timeout";
        Self { sqlstate: Some("53300".to_owned()), ..Self::new(ErrorCode::Timeout, message) }
    }

    pub(crate) fn transaction_over() -> Self {
        let message = "the transaction is over";
        Self { sqlstate: Some("25P01".to_owned()), ..Self::new(ErrorCode::TransactionOver, message) }
    }

    /// The result of a commit after an earlier failure has already undone the transaction.
    pub(crate) fn transaction_failed() -> Self {
        Self::database("25P02", "the transaction failed earlier and was rolled back")
    }

    /// More bytes of parameters under way than an instance may have.
    pub(crate) fn too_much() -> Self {
        let message =
            "the parameters of the statements that are under way are too large together: wait for some of them";
        Self { sqlstate: Some("53400".to_owned()), ..Self::new(ErrorCode::Unavailable, message) }
    }

    /// More queries under way than an instance may have.
    pub(crate) fn too_many(limit: u32) -> Self {
        let message = format!("more than {limit} queries are under way (the grant's key queries)");
        Self { sqlstate: Some("53400".to_owned()), ..Self::new(ErrorCode::Unavailable, message) }
    }
}
