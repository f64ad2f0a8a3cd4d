//! The access of users to the databases of components: of a platform, and of a development server.

use elias_api::{Code, DatabaseQuery, DatabaseResult, Error};
use elias_capabilities::Db;
use elias_capabilities::db::{self, ConsoleQuery, ErrorCode};
use elias_capabilities::drain::drain_outbox;
use elias_capabilities::events::EventLog;
use elias_capabilities::jobs::JobQueue;
use elias_capabilities::outbox::DrainOutcome;
use elias_host::App;
use elias_platform::{ComponentDatabases, DatabaseBounds};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

/// The SQLSTATE of a statement that writes in a read-only transaction.
const READ_ONLY: &str = "25006";
/// The SQLSTATE of an outbox that is not the table which the host made.
const WRONG_OBJECT: &str = "42809";

/// Runs statements by the capability `db` of the loaded component: on its connections, which are its own login's in
/// PostgreSQL, within its grant, and by the rules for its own statements.
pub(crate) struct Databases;

impl ComponentDatabases for Databases {
    fn query<'a>(
        &'a self,
        app: &'a App,
        query: &'a DatabaseQuery,
        bounds: DatabaseBounds,
    ) -> BoxFuture<'a, Result<DatabaseResult, Error>> {
        async move {
            let opened = app.grant::<Db>();
            let opened = opened
                .ok_or_else(|| Error::new(Code::NotFound, "the component has no database: it must import elias/db"))?;
            let DatabaseBounds { rows, bytes, deadline } = bounds;
            let (sql, parameters, write) = (query.sql.as_deref(), &query.parameters, query.write);
            let result = opened.console(&ConsoleQuery { sql, parameters, write, rows, bytes, deadline }).await;
            let result = result.map_err(|error| refused(&error, query))?;
            Ok(DatabaseResult {
                columns: result.columns,
                rows: result.rows,
                more: result.more,
                affected: result.affected,
            })
        }
        .boxed()
    }

    fn drain_outbox<'a>(
        &'a self,
        app: &'a App,
        queue: &'a Arc<dyn JobQueue>,
        log: &'a Arc<dyn EventLog>,
    ) -> BoxFuture<'a, Result<DrainOutcome, Error>> {
        async move { drain_outbox(app, queue, log).await.map_err(not_drained) }.boxed()
    }
}

/// Why an outbox was not drained. What only the author can put in order has the code of faults in SQL.
fn not_drained(error: db::Error) -> Error {
    let is_theirs = error.sqlstate.as_deref() == Some(WRONG_OBJECT);
    let code = if is_theirs { Code::Sql } else { Code::DatabaseUnavailable };
    Error::new(code, error.message)
}

fn refused(error: &db::Error, query: &DatabaseQuery) -> Error {
    let message = match &error.sqlstate {
        Some(state) => format!("{} (SQLSTATE {state})", error.message),
        None => error.message.clone(),
    };
    if error.sqlstate.as_deref() == Some(READ_ONLY) && !query.write {
        let message = format!("{message}; `elias db --write`, or `write` in the request, lets it write");
        return Error::new(Code::ReadOnly, message);
    }
    let code = match error.code {
        ErrorCode::Timeout => Code::StatementTimeout,
        ErrorCode::TooLarge => Code::ResultTooLarge,
        ErrorCode::Unavailable => Code::DatabaseUnavailable,
        ErrorCode::Database | ErrorCode::Denied | ErrorCode::UnsupportedType | ErrorCode::TransactionOver => Code::Sql,
    };
    Error::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_the_code_of_its_cause() {
        let query = |write| DatabaseQuery { sql: None, parameters: Vec::new(), limit: None, write };
        let code = |code, sqlstate: Option<&str>, write| {
            let error = db::Error { code, sqlstate: sqlstate.map(str::to_owned), message: "x".into() };
            refused(&error, &query(write)).code()
        };
        assert_eq!(code(ErrorCode::Database, Some(READ_ONLY), false), Code::ReadOnly);
        assert_eq!(code(ErrorCode::Database, Some(READ_ONLY), true), Code::Sql);
        assert_eq!(code(ErrorCode::Denied, Some("42501"), false), Code::Sql);
        assert_eq!(code(ErrorCode::Timeout, None, false), Code::StatementTimeout);
        assert_eq!(code(ErrorCode::TooLarge, None, false), Code::ResultTooLarge);
        assert_eq!(code(ErrorCode::Unavailable, None, false), Code::DatabaseUnavailable);
    }

    #[test]
    fn an_outbox_that_is_another_table_is_no_outage() {
        let code = |code, sqlstate: &str| {
            not_drained(db::Error { code, sqlstate: Some(sqlstate.to_owned()), message: "x".into() }).code()
        };
        assert_eq!(code(ErrorCode::Database, WRONG_OBJECT), Code::Sql);
        assert_eq!(code(ErrorCode::Unavailable, "08006"), Code::DatabaseUnavailable);
    }
}
