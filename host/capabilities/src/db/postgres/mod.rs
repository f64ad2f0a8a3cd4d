//! PostgreSQL: a schema and a role per component, and a pool of connections.
//!
//! Connections are opened as the URL's role and take on the component's. They do so again after whatever might have left
//! something behind, and at the beginning of a transaction.

mod connect;
mod decode;
mod encode;
mod error;
mod run;
mod setup;
mod transaction;

use super::backend::Backend;
use super::grant::DbGrant;
use super::migrate::{Migrations, safe_name};
use super::output::Output;
use super::statement::{Dialect, Statement};
use super::transaction::{Begin, Commands, IDLE};
use super::{Error, ErrorCode};
use connect::Connector;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use elias_host::capability::ConfigureError;
use futures::future::{BoxFuture, FutureExt};
use run::Lateness;
use setup::Place;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 128;

/// What undoes what a statement may have left in a session.
const CLEAN: &str = "CLOSE ALL; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES";

/// A component's schema.
pub(crate) struct Postgres(Arc<Inner>);

struct Inner {
    pool: Pool,
    connector: Connector,
    place: Place,
    timeout: Duration,
    lateness: Lateness,
    result_bytes: u64,
}

/// Makes, where it is not there, a component's schema and role; migrates it; and opens a pool.
pub(crate) async fn open(
    component: &str,
    limits: &DbGrant,
    migrations: Migrations,
) -> Result<Postgres, ConfigureError> {
    let url = limits.resolve_url()?;
    // What the parser says could quote the URL.
    let mut config: Config =
        url.parse().map_err(|_| ConfigureError::Invalid("url: it is not one of PostgreSQL".into()))?;
    if config.get_hosts().is_empty() {
        return Err(ConfigureError::Invalid("url: it names no host".into()));
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(ConfigureError::Invalid(
            "url: sslmode=require cannot be had; use a connection that is safe without".into(),
        ));
    }
    config.ssl_mode(SslMode::Disable);
    config.application_name("elias");
    let place = Place::new(limits.schema.clone().unwrap_or_else(|| safe_name(component, 57)))?;
    let timeout = limits.statement_timeout();
    let connector = Connector {
        config: config.clone(),
        timeout: limits.connect_timeout(),
        message_bytes: limits.result_bytes,
        exceeded: Arc::default(),
        session: session(&place, timeout),
    };
    setup::run(&connector, &place, &migrations).await?;
    let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let pool = Pool::builder(Manager::from_connect(config, connector.clone(), manager))
        .max_size(limits.connections as usize)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(timeout))
        .create_timeout(Some(limits.connect_timeout()))
        .recycle_timeout(Some(limits.connect_timeout()))
        .build()
        .map_err(|_| ConfigureError::Unavailable("the pool of connections could not be made".into()))?;
    Ok(Postgres(Arc::new(Inner {
        pool,
        connector,
        place,
        timeout,
        lateness: Lateness::new(timeout),
        result_bytes: limits.result_bytes,
    })))
}

/// What a connection is set to, whatever the server's defaults and the URL say: the rules about statements count on it.
fn session(place: &Place, timeout: Duration) -> String {
    format!(
        "SET standard_conforming_strings TO on; SET TimeZone TO 'UTC'; SET DateStyle TO 'ISO'; SET statement_timeout TO {}; \
         SET idle_in_transaction_session_timeout TO {}; SET lock_timeout TO 0; {}",
        timeout.as_millis(),
        IDLE.as_millis(),
        place.enter()
    )
}

impl Inner {
    async fn connection(&self) -> Result<Object, Error> {
        self.pool.get().await.map_err(|failed| match failed {
            PoolError::Timeout(TimeoutType::Wait) => Error::no_connection(),
            PoolError::Backend(failed) => Error { code: ErrorCode::Unavailable, ..error::error(&failed) },
            _ => error::unavailable(),
        })
    }

    /// Gives a connection back, clean, or closes it.
    async fn give_back(&self, connection: Object, broken: bool, leaves: bool) {
        if broken {
            drop(Object::take(connection));
            return;
        }
        if connection.statement_cache.size() > STATEMENTS {
            connection.statement_cache.clear();
        }
        if leaves {
            let session = format!("{CLEAN}; {}", self.connector.session);
            let cleaned = tokio::time::timeout(self.timeout, connection.batch_execute(&session)).await;
            if !matches!(cleaned, Ok(Ok(()))) {
                drop(Object::take(connection));
            }
        }
    }
}

impl Backend for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn run(&self, statement: Statement, output: Output) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        async move { inner.run(&statement, &output).await }.boxed()
    }

    fn transaction(&self, begin: Begin, commands: Commands) -> BoxFuture<'static, ()> {
        let inner = Arc::clone(&self.0);
        async move { inner.transaction(begin, commands).await }.boxed()
    }
}
