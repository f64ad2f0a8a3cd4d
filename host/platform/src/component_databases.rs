//! The trait that runs users' statements on the databases of components. The program that opens the platform implements
//! it, since the platform knows no database itself.

use elias_api::{DatabaseQuery, DatabaseResult, Result};
use elias_capabilities::events::EventLog;
use elias_capabilities::jobs::JobQueue;
use elias_capabilities::outbox::DrainOutcome;
use elias_host::App;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// The bounds of a statement's result.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseBounds {
    /// Rows; the rest is left out.
    pub rows: u64,
    /// Bytes; a larger result is an error.
    pub bytes: u64,
    /// How long the statement may run and wait for a connection.
    pub deadline: Duration,
}

/// Runs statements on the databases of loaded components. The command line provides it: the platform knows no database.
pub trait ComponentDatabases: Send + Sync {
    /// Runs a statement with the rights and limits of the component's own statements.
    ///
    /// # Errors
    /// `not-found` if the component uses no database; `read-only`, `sql`, `statement-timeout`, `result-too-large`,
    /// `too-large`, `database-unavailable`.
    fn query<'a>(
        &'a self,
        app: &'a App,
        query: &'a DatabaseQuery,
        bounds: DatabaseBounds,
    ) -> BoxFuture<'a, Result<DatabaseResult>>;

    /// Hands over the jobs and events in the outbox of the component's database.
    ///
    /// # Errors
    /// `database-unavailable`; `sql` if its table is not the one that the host made.
    fn drain_outbox<'a>(
        &'a self,
        app: &'a App,
        queue: &'a Arc<dyn JobQueue>,
        log: &'a Arc<dyn EventLog>,
    ) -> BoxFuture<'a, Result<DrainOutcome>>;
}
