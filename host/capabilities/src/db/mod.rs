//! `elias:db`: SQL.
//!
//! A component's database is a file of SQLite beside the host, unless its grant names a PostgreSQL, where it is given a
//! schema and a role of its own. Both do the same behind one trait: [`Db`] checks what is sent, and starts it; the backend
//! runs it in a task of its own; batches of rows come back one at a time, as they are taken. Handles that are dropped, by
//! the component or because its instance ended, cancel what they stand for.

mod backend;
mod console;
mod error;
mod grant;
mod host;
mod link;
mod migrate;
mod output;
mod postgres;
mod query;
mod sqlite;
mod statement;
mod token;
mod transaction;
mod value;

#[cfg(test)]
mod tests;

pub use bindings::elias::db::db::{Error, ErrorCode};
pub use console::{ConsoleQuery, ConsoleResult, SQLITE_TABLES};
pub use grant::{BackendKind, DbGrant, Environment, Url};
pub use query::Query;
pub use transaction::Transaction;

use backend::Backend;
use bindings::elias::db::db::{Batch, Isolation, Value};
use elias_host::capability::{
    Amount, CallMeter, Capability, ComponentInfo, ConfigureError, HostLinker, InstanceInfo, wasmtime,
};
use migrate::Migrations;
use serde_json::Value as Json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Made from wit/db.
#[allow(missing_docs, unreachable_pub, clippy::pedantic)]
mod bindings {
    elias_host::capability::wasmtime::component::bindgen!({
        path: ["../../wit/deps/io.wit", "../../wit/db"],
        inline: "package elias:db-host; world host { import elias:db/db@0.1.0; }",
        imports: { default: trappable },
        require_store_data_send: true,
        with: {
            "wasi:io/poll": wasmtime_wasi_io::bindings::wasi::io::poll,
            "elias:db/db.query": super::query::Query,
            "elias:db/db.transaction": super::transaction::Transaction,
        },
        wasmtime_crate: elias_host::capability::wasmtime,
    });
}

/// The db capability.
#[derive(Debug)]
pub struct Db {
    folder: PathBuf,
    servers: postgres::Servers,
}

/// Connections to one PostgreSQL, of all components together, unless the host says otherwise.
const POSTGRES_CONNECTIONS: u32 = 80;

/// A component's database, and what it may use of it.
pub struct Opened {
    limits: DbGrant,
    backend: Arc<dyn Backend>,
    /// One permit for each statement of people that may run at a time.
    console: Semaphore,
}

/// What one instance has of its component's database.
pub struct DbContext {
    opened: Arc<Opened>,
    budget: Arc<Semaphore>,
    /// What the parameters of statements under way may take, in parts of [`HELD`] bytes.
    held: Arc<Semaphore>,
    calls: CallMeter,
}

/// Bytes of a part of what parameters may take.
const HELD: u64 = 1 << 10;

/// How many statements' parameters, at their longest, an instance may have under way.
const HELD_STATEMENTS: u64 = 16;

impl DbContext {
    fn new(opened: Arc<Opened>, calls: CallMeter) -> Self {
        let parts = opened.limits.parameter_bytes * HELD_STATEMENTS / HELD;
        let parts = usize::try_from(parts).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let budget = Arc::new(Semaphore::new(opened.limits.queries as usize));
        Self { opened, budget, held: Arc::new(Semaphore::new(parts)), calls }
    }
}

impl Db {
    /// Databases that need no server are files in `db` in this folder, each named after its component.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self { folder: data_dir.join("db"), servers: postgres::Servers::new(POSTGRES_CONNECTIONS) }
    }

    /// At most this many connections to each PostgreSQL, of all components together: 80 unless set. A component has of
    /// them what its grant says at most; the last quarter is for components that have none, and idle connections are
    /// closed for those who need one. Hosts that share a server each have as many.
    #[must_use]
    pub fn postgres_connections(self, most: u32) -> Self {
        Self { servers: postgres::Servers::new(most), ..self }
    }
}

impl Db {
    /// The file of the database of a component that needs no server, for whoever made the capability with this folder.
    #[must_use]
    pub fn file_of(data_dir: PathBuf, component: &str) -> PathBuf {
        data_dir.join("db").join(sqlite::file_name(component))
    }
}

impl Capability for Db {
    type Grant = Opened;
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

    async fn configure(&self, component: &ComponentInfo, granted: Option<&Json>) -> Result<Opened, ConfigureError> {
        let limits: DbGrant = elias_host::grants::parse(granted)?;
        limits.check()?;
        let migrations = Migrations::read(&component.folder, limits.migrations.as_deref())?;
        let backend: Arc<dyn Backend> = match limits.backend {
            BackendKind::Sqlite => Arc::new(sqlite::open(&self.folder, &component.name, &limits, migrations).await?),
            BackendKind::Postgres => {
                Arc::new(postgres::open(&component.name, &limits, migrations, &self.servers).await?)
            }
        };
        Ok(Opened { limits, backend, console: Semaphore::new(console::STATEMENTS) })
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<Opened>) -> DbContext {
        DbContext::new(Arc::clone(grant), instance.call_meter(self.name()))
    }
}
