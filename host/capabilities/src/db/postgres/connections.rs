//! The connections of a component's login: how they are opened, checked and given back.

use super::super::bindings::{Error, ErrorCode};
use super::connect::{Connector, Session};
use super::error::{self, refused};
use super::lateness::Lateness;
use super::login::{Login, Owner};
use super::pool::{Grant, Share};
use elias_host::capability::ConfigureError;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 128;

/// The statement that undoes the traces of others in a session.
const CLEAN: &str = "CLOSE ALL; RESET ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES";

/// How long the settings of a session that is in use go unchecked, at most.
const CHECKED: Duration = Duration::from_secs(1);

/// The owner of a session, and every setting of it that is not the server's own.
const SETTINGS: &str = "SELECT pg_catalog.concat_ws(' ', current_user, session_user, \
    (SELECT pg_catalog.string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_catalog.pg_settings \
    WHERE source = 'session'))";

/// The connections of one component's login, and their common state.
pub(super) struct Connections {
    pub(super) share: Share,
    pub(super) connector: Connector,
    /// The account that can give the login its password again, and the login.
    pub(super) owner: Option<(Owner, Login)>,
    /// The statements with which a session begins.
    pub(super) session: String,
    pub(super) timeout: Duration,
    pub(super) lateness: Lateness,
    pub(super) result_bytes: u64,
}

/// A connection while somebody uses it. Dropped, it goes back as it is.
pub(super) struct Connection(Grant);

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

impl Connections {
    /// A new connection of the component's login.
    pub(super) async fn log_in(&self) -> Result<Session, ConfigureError> {
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

    /// A free connection, or a new one within the share.
    ///
    /// # Errors
    /// If there is none in time, or the server cannot be reached.
    pub(super) async fn connection(&self) -> Result<Connection, Error> {
        let granted = tokio::time::timeout(self.timeout, self.share.acquire()).await;
        let mut grant = granted.map_err(|_| Error::no_connection())?;
        if !grant.session.as_ref().is_some_and(Session::is_unchanged) {
            grant.session = None;
            grant.session = Some(self.connect().await?);
        }
        Ok(Connection(grant))
    }

    /// Returns a connection to the pool, or closes it. `leaves`: the work may have left state behind.
    pub(super) async fn give_back(&self, mut connection: Connection, broken: bool, leaves: bool) {
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
