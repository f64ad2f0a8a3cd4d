//! `elias:db`: SQL.
//!
//! A component's database is a file of SQLite beside the host, unless its grant names a PostgreSQL, where it is given a
//! schema and a role of its own. Both do the same behind one trait: [`Db`] checks what is sent, and starts it; the backend
//! runs it in a task of its own; batches of rows come back one at a time, as they are taken. Handles that are dropped, by
//! the component or because its instance ended, cancel what they stand for.

mod backend;
mod error;
mod grant;
mod host;
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

pub use grant::{BackendKind, DbGrant, Environment, Url};
pub use query::Query;
pub use transaction::Transaction;

use backend::Backend;
use bindings::elias::db::db::{Batch, Error, ErrorCode, Isolation, Value};
use elias_host::capability::{
    CallMeter, Capability, ComponentInfo, ConfigureError, InstanceInfo, InstanceState, Linker, wasmtime,
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
}

/// A component's database, and what it may use of it.
pub struct Opened {
    limits: DbGrant,
    backend: Arc<dyn Backend>,
}

/// What one instance has of its component's database.
pub struct DbContext {
    opened: Arc<Opened>,
    budget: Arc<Semaphore>,
    calls: CallMeter,
}

impl Db {
    /// Databases that need no server are files in `db` in this folder, each named after its component.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        Self { folder: data_dir.join("db") }
    }
}

impl Capability for Db {
    type Grant = Opened;
    type Context = DbContext;

    fn name(&self) -> &'static str {
        "db"
    }

    fn interfaces(&self) -> &'static [&'static str] {
        &["elias:db/db"]
    }

    fn init(&self, linker: &mut Linker<InstanceState>) -> wasmtime::Result<()> {
        bindings::elias::db::db::add_to_linker::<InstanceState, host::View>(linker, |state| state)
    }

    async fn configure(&self, component: &ComponentInfo, granted: Option<&Json>) -> Result<Opened, ConfigureError> {
        let limits: DbGrant = elias_host::grants::parse(granted)?;
        limits.check()?;
        let migrations = Migrations::read(&component.folder, limits.migrations.as_deref())?;
        let backend: Arc<dyn Backend> = match limits.backend {
            BackendKind::Sqlite => Arc::new(sqlite::open(&self.folder, &component.name, &limits, migrations).await?),
            BackendKind::Postgres => Arc::new(postgres::open(&component.name, &limits, migrations).await?),
        };
        Ok(Opened { limits, backend })
    }

    fn prepare(&self, instance: &InstanceInfo, grant: &Arc<Opened>) -> DbContext {
        let budget = Arc::new(Semaphore::new(grant.limits.queries as usize));
        DbContext { opened: Arc::clone(grant), budget, calls: instance.call_meter(self.name()) }
    }
}
