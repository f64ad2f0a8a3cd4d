//! PostgreSQL: a schema and a login per component, and connections of that login.
//!
//! What keeps components apart is the server: a connection is its component's own from the beginning, and there is no other
//! role that a statement could take on. What is checked of statements' texts is the second line. A connection whose session
//! is not what it was set to be is closed.

mod array;
mod connect;
mod decode;
mod encode;
mod error;
mod json;
mod login;
mod pool;
mod run;
mod setup;
mod tls;
mod transaction;
mod watch;

use super::backend::Backend;
use super::bindings::{Error, ErrorCode};
use super::dialect::Dialect;
use super::grant::DbGrant;
use super::migrate::{Migrations, TIMEOUT, safe_name};
use super::output::Output;
use super::statement::Statement;
use super::transaction::{Begin, Commands, IDLE};
use connect::{Connector, Session};
use elias_host::capability::ConfigureError;
use futures::future::{BoxFuture, FutureExt};
use login::{Login, Owner};
use pool::{Grant, Share};
use run::Lateness;
use setup::{OwnedSchema, check_schema, refused};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::Tls;
use tokio_postgres::config::{ChannelBinding, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};

pub(super) use pool::Servers;

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 128;

/// What undoes what a statement may have left in a session.
const CLEAN: &str = "CLOSE ALL; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES";

/// How long the settings of a session that is in use go unchecked, at most.
const CHECKED: Duration = Duration::from_secs(1);

/// Whose session it is, and every setting of it that is not the server's own.
const SETTINGS: &str = "SELECT pg_catalog.concat_ws(' ', current_user, session_user, \
    (SELECT pg_catalog.string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_catalog.pg_settings \
    WHERE source = 'session'))";

/// A component's schema.
pub(crate) struct Postgres(Arc<Inner>);

struct Inner {
    share: Share,
    connector: Connector,
    /// Who can give the login its password again, and the login.
    owner: Option<(Owner, Login)>,
    /// What a session begins with.
    session: String,
    timeout: Duration,
    lateness: Lateness,
    result_bytes: u64,
}

/// A connection while somebody uses it. Dropped, it goes back as it is.
struct Connection(Grant);

const HELD: &str = "a connection that is used has its session";

impl Deref for Connection {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.0.session.as_ref().expect(HELD)
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Session {
        self.0.session.as_mut().expect(HELD)
    }
}

impl Connection {
    fn close(mut self) {
        self.0.session = None;
    }
}

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
    let late = || ConfigureError::Unavailable("PostgreSQL did not answer in time".into());
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
    let inner = Inner {
        share,
        connector: connector(own),
        session: owned_schema.session(limits.statement_timeout(), IDLE),
        owner,
        timeout: limits.statement_timeout(),
        lateness: Lateness::new(limits.statement_timeout()),
        result_bytes: limits.result_bytes,
    };
    let session = inner.log_in().await?;
    if inner.owner.is_none() {
        tokio::time::timeout(TIMEOUT, login::check(&session, &owned_schema)).await.map_err(|_| late())??;
    }
    setup::migrate(&inner.connector, &session, &owned_schema, &migrations).await?;
    drop((session, grant));
    Ok(Postgres(Arc::new(inner)))
}

/// What a URL says.
fn config(url: &str) -> Result<(Config, Tls), ConfigureError> {
    let invalid = |why: &str| ConfigureError::Invalid(format!("url: {why}"));
    let (url, tls) = Tls::take(url)?;
    // What the parser says could quote the URL.
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

impl Inner {
    /// A new connection of the component's login.
    async fn log_in(&self) -> Result<Session, ConfigureError> {
        match (self.connector.connect().await, &self.owner) {
            (Err(failed), Some((owner, login))) if failed.code() == Some(&SqlState::INVALID_PASSWORD) => {
                owner.reset_password(login).await?;
                self.connector.connect().await.map_err(|failed| refused(&failed))
            }
            (connected, _) => connected.map_err(|failed| refused(&failed)),
        }
    }

    /// A new connection, set up.
    async fn connect(&self) -> Result<Session, Error> {
        let connected = async {
            let mut session = self.log_in().await.map_err(|_| error::unavailable())?;
            session.batch_execute(&self.session).await.map_err(|failed| error::error(&failed))?;
            session.settings = settings(&session).await.map_err(|failed| error::error(&failed))?;
            if session.is_unchanged() { Ok(session) } else { Err(error::unavailable()) }
        };
        let connected = tokio::time::timeout(2 * self.connector.timeout, connected).await;
        connected
            .unwrap_or_else(|_| Err(error::unavailable()))
            .map_err(|failed| Error { code: ErrorCode::Unavailable, ..failed })
    }

    async fn connection(&self) -> Result<Connection, Error> {
        let granted = tokio::time::timeout(self.timeout, self.share.acquire()).await;
        let mut grant = granted.map_err(|_| Error::no_connection())?;
        if !grant.session.as_ref().is_some_and(Session::is_unchanged) {
            grant.session = None;
            grant.session = Some(self.connect().await?);
        }
        Ok(Connection(grant))
    }

    /// Gives a connection back as it was, or closes it. `leaves`: what was done may have left something behind.
    async fn give_back(&self, mut connection: Connection, broken: bool, leaves: bool) {
        if broken || !connection.is_unchanged() {
            return connection.close();
        }
        if connection.statement_cache.size() > STATEMENTS {
            connection.statement_cache.clear();
        }
        if !leaves && connection.checked.elapsed() < CHECKED {
            return;
        }
        let tidied = async {
            if leaves {
                connection.batch_execute(&format!("{CLEAN}; {}", self.session)).await?;
            }
            settings(&connection).await
        };
        match tokio::time::timeout(self.timeout, tidied).await {
            Ok(Ok(settings)) if settings == connection.settings => connection.checked = Instant::now(),
            _ => {
                tracing::warn!(
                    "a connection to PostgreSQL was closed because a statement had changed its session state"
                );
                connection.close();
            }
        }
    }
}

async fn settings(session: &Session) -> Result<String, tokio_postgres::Error> {
    let prepared = session.prepare_cached(SETTINGS).await?;
    let client: &Client = session;
    Ok(client.query_one(&prepared, &[]).await?.get(0))
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
