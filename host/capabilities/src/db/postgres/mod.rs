//! PostgreSQL: a schema and a login per component, and connections of that login.
//!
//! The server keeps components apart: a connection is its component's own from the beginning, and there is no
//! other role that a statement could take on. What is checked of statements' texts is the second line. A connection
//! whose session is not what it was set to be is closed.

mod array_parameter;
mod connect;
mod connections;
mod decode;
mod domain;
mod encode;
mod error;
mod json;
mod lateness;
mod login;
mod migrations;
mod pool;
mod run;
mod schema;
mod tls;
mod transaction;
mod watch;

use super::backend::Backend;
use super::dialect::Dialect;
use super::grant::DbGrant;
use super::migrate::{Migrations, TIMEOUT, safe_name};
use super::output::Output;
use super::statement::Statement;
use super::transaction::{BeginOptions, Commands, IDLE};
use connect::Connector;
use connections::Connections;
use elias_host::capability::ConfigureError;
use futures::future::{BoxFuture, FutureExt};
use lateness::Lateness;
use login::Owner;
use schema::{OwnedSchema, check_schema};
use std::sync::Arc;
use tls::Tls;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};

pub(super) use pool::Servers;

/// A component's schema.
pub(crate) struct Postgres(Arc<Connections>);

/// Makes, where it is not there, a component's login and schema; migrates it.
pub(crate) async fn open(
    component: &str,
    limits: &DbGrant,
    migrations: Migrations,
    servers: &Servers,
) -> Result<Postgres, ConfigureError> {
    let schema = limits.schema.clone().unwrap_or_else(|| safe_name(component, 57));
    check_schema(&schema)?;
    let (url, owned) = limits.resolve_url()?;
    let (config, tls) = config(&url)?;
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default().to_owned();
    let connector = |config: Config| Connector {
        config,
        tls: tls.clone(),
        timeout: limits.connect_timeout(),
        message_bytes: limits.result_bytes,
        exceeded: Arc::default(),
    };
    let address = format!("{:?} {:?}", config.get_hosts(), config.get_ports());
    let share = servers.server(&address).share(limits.connections);
    let slow = || ConfigureError::Unavailable("no connection to PostgreSQL was free".into());
    let grant = tokio::time::timeout(TIMEOUT, share.acquire()).await.map_err(|_| slow())?;
    let late = || ConfigureError::Unavailable("PostgreSQL did not respond in time".into());
    let (owned_schema, own, owner) = if owned {
        let owner = Owner(connector(config.clone()));
        let prepared = tokio::time::timeout(TIMEOUT, owner.prepare(&schema, &database)).await;
        let login = prepared.map_err(|_| late())??;
        let mut own = config;
        own.user(&login.role).password(&login.password).dbname(&database).options(String::new());
        (OwnedSchema { schema, role: login.role.clone() }, own, Some((owner, login)))
    } else {
        let role = config.get_user().unwrap_or_default().to_owned();
        (OwnedSchema { schema, role }, config, None)
    };
    let connections = Connections {
        share,
        connector: connector(own),
        session: owned_schema.session(limits.statement_timeout(), IDLE),
        owner,
        timeout: limits.statement_timeout(),
        lateness: Lateness::new(limits.statement_timeout()),
        result_bytes: limits.result_bytes,
    };
    let session = connections.log_in().await?;
    if connections.owner.is_none() {
        tokio::time::timeout(TIMEOUT, login::check(&session, &owned_schema)).await.map_err(|_| late())??;
    }
    migrations::migrate(&connections.connector, &session, &owned_schema, &migrations).await?;
    drop((session, grant));
    Ok(Postgres(Arc::new(connections)))
}

/// The parts of a URL.
fn config(url: &str) -> Result<(Config, Tls), ConfigureError> {
    let invalid = |why: &str| ConfigureError::Invalid(format!("url: {why}"));
    let (url, tls) = Tls::take(url)?;
    // The parser's message could quote the URL.
    let mut config: Config =
        url.parse().map_err(|_| invalid("it must be a URL of PostgreSQL: postgres://USER@HOST/DATABASE"))?;
    if config.get_hosts().is_empty() {
        return Err(invalid("it must name a host"));
    }
    if config.get_user().is_none() {
        return Err(invalid("it must name a user"));
    }
    if config.get_channel_binding() == ChannelBinding::Require {
        return Err(invalid("channel_binding=require is not supported: use sslmode=verify-full"));
    }
    config.ssl_mode(SslMode::Disable).application_name("elias");
    Ok((config, tls))
}

impl Backend for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn run(&self, statement: Statement, output: Output) -> BoxFuture<'static, ()> {
        let connections = Arc::clone(&self.0);
        async move { connections.run(&statement, &output).await }.boxed()
    }

    fn transaction(&self, begin: BeginOptions, commands: Commands) -> BoxFuture<'static, ()> {
        let connections = Arc::clone(&self.0);
        async move { connections.transaction(begin, commands).await }.boxed()
    }
}
