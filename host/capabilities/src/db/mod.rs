//! `elias:db`: SQL.
//!
//! A component's database is a file of SQLite beside the host, unless its grant names a PostgreSQL, where it is given a
//! schema and a role of its own. Both do the same behind one trait: [`Db`] checks what is sent, and starts it; the
//! backend runs it in a task of its own; batches of rows come back one at a time, as they are taken. Handles that are
//! dropped, by the component or because its instance ended, cancel what they stand for.

mod backend;
mod bindings;
mod console;
mod context;
mod database;
mod dialect;
mod error;
mod grant;
mod host;
mod link;
mod migrate;
mod outbox;
mod output;
mod own_table;
mod postgres;
mod query;
mod sqlite;
mod statement;
#[cfg(feature = "workflow")]
mod steps;
mod token;
mod transaction;
mod value;

#[cfg(test)]
mod tests;

pub use bindings::{Error, ErrorCode};
pub use console::{ConsoleQuery, ConsoleResult, SQLITE_TABLES};
pub use context::DbContext;
pub use database::Database;
pub use grant::{BackendKind, DbGrant, Environment, Url};
pub use query::Query;
pub use transaction::Transaction;

#[cfg(any(feature = "events", feature = "jobs"))]
pub(crate) use outbox::write_outbox;
#[cfg(all(feature = "events", feature = "jobs"))]
pub(crate) use outbox::{StoredRow, is_plain};
#[cfg(feature = "workflow")]
pub(crate) use steps::{StepRow, read_step, write_step};

use crate::outbox::OutboxRelay;
use backend::Backend;
use elias_host::capability::{Amount, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime};
use migrate::Migrations;
use outbox::Outbox;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::sync::Arc;

/// The db capability.
pub struct Db {
    folder: PathBuf,
    servers: Arc<postgres::Servers>,
    relay: Option<Arc<dyn OutboxRelay>>,
}

/// Connections to one PostgreSQL, of all components together, unless the host says otherwise.
const POSTGRES_CONNECTIONS: u32 = 80;

impl Db {
    /// Databases that need no server are files in `db` in this folder, each named after its component.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        let servers = Arc::new(postgres::Servers::new(POSTGRES_CONNECTIONS));
        Self { folder: data_dir.join("db"), servers, relay: None }
    }

    /// Lets components enqueue jobs and publish events within their transactions, which this hands over after the
    /// commit. Without it they are refused.
    #[must_use]
    pub fn outbox(self, relay: Arc<dyn OutboxRelay>) -> Self {
        Self { relay: Some(relay), ..self }
    }

    /// At most this many connections to each PostgreSQL, of all components together: 80 unless set. Of these, a
    /// component has at most as many as its grant says. The last quarter is for components that have none, and idle
    /// connections are closed for components that need one. Hosts that share a server each have as many.
    #[must_use]
    pub fn postgres_connections(self, most: u32) -> Self {
        Self { servers: Arc::new(postgres::Servers::new(most)), ..self }
    }

    /// Reads how many connections to PostgreSQL are in use, in percent of the maximum, of the server with the most;
    /// `None` while there is no server.
    #[must_use]
    pub fn connections_percent(&self) -> Arc<dyn Fn() -> Option<f64> + Send + Sync> {
        let servers = Arc::clone(&self.servers);
        Arc::new(move || servers.used_percent())
    }

    /// The file of a component's SQLite database, if the capability was made with this folder.
    #[must_use]
    pub fn file_of(data_dir: PathBuf, component: &str) -> PathBuf {
        data_dir.join("db").join(sqlite::file_name(component))
    }
}

impl Capability for Db {
    type Grant = Database;
    type Context = DbContext;

    fn name(&self) -> &'static str {
        "db"
    }

    fn amounts(&self) -> &'static [Amount] {
        grant::AMOUNTS
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:db/db"]
    }

    fn init(&self, linker: &mut HostLinker) -> wasmtime::Result<()> {
        link::init(linker)
    }

    async fn configure(&self, component: &ComponentInfo, granted: Option<&Json>) -> Result<Database, ConfigureError> {
        let limits: DbGrant = elias_host::grants::parse(granted)?;
        limits.check()?;
        let migrations = Migrations::read(&component.folder, limits.migrations.as_deref())?;
        let backend: Arc<dyn Backend> = match limits.backend {
            BackendKind::Sqlite => Arc::new(sqlite::open(&self.folder, &component.name, &limits, migrations).await?),
            BackendKind::Postgres => {
                Arc::new(postgres::open(&component.name, &limits, migrations, &self.servers).await?)
            }
        };
        let outbox = Outbox::new(component.name.clone(), self.relay.clone());
        let database = Database::new(limits, backend, outbox);
        database.tell_of_rows();
        Ok(database)
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<Database>) -> DbContext {
        DbContext::new(Arc::clone(grant), instance.call_meter(self.name()))
    }
}
