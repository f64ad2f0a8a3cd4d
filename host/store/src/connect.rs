//! How the store is reached: the pool, and what has to hold before the first transaction.
//!
//! Two things are ruled out here. A connection never goes back to the pool inside a transaction: SQLite ends a
//! transaction by itself when the disk is full, the driver's own ROLLBACK then fails, and its count of transactions
//! stays above zero; such a connection would refuse every `BEGIN IMMEDIATE` and read an old snapshot for ever. And a
//! store is never taken for another: see [`super::identity`].

use super::file::StoreFile;
use super::identity::DataDirectory;
use super::writer::Writer;
use super::{Dialect, Store, tls};
use crate::error::{Error, Result};
use elias_api::Code;
use parking_lot::Mutex;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection, Executor, Row};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Connections to PostgreSQL, and readers of SQLite.
const CONNECTIONS: u32 = 8;
/// For how long a connection may have been idle before it is asked, when it is taken again, whether it is still there:
/// the question costs as much as a small statement. Tests do not wait for that.
const IDLE_UNCHECKED: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(1) };
/// How long to wait for a connection before the store counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Acknowledged writes survive the loss of power: hence FULL and not NORMAL.
const PRAGMAS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;";

/// A server compiles statements that it expects to cost much, which takes longer than any of ours. It expects that of
/// all that are planned without the choices that [`Store::queue_write`] takes away.
const SETTINGS: &str = "SET jit = off";

/// The state that all handles of a store share beside its pool.
pub(super) struct Shared {
    /// The file, if it is SQLite.
    pub(super) file: Option<Arc<StoreFile>>,
    /// Whose turn it is to write to it.
    pub(super) writer: Option<Writer>,
    pub(super) data: DataDirectory,
    /// The URL as the driver takes it; it may have a password in it.
    pub(super) url: String,
    /// The store's identity, once it is known: every connection to a server is asked for it.
    pub(super) identity: Arc<OnceLock<String>>,
    /// Why a connection could not be used: the pool says that it timed out, and not why.
    refused: Arc<Mutex<Option<String>>>,
}

impl Store {
    /// The SQLite file `platform.sqlite` in `folder`, or the PostgreSQL at `url`. It is connected to, found to be the
    /// store that the folder belongs to, and its schema brought up to date, when it is first asked.
    ///
    /// # Errors
    /// `bad-input` for another URL, or one that asks for less TLS than it seems to.
    pub fn open(folder: &Path, url: Option<&str>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let (dialect, url, file) = match url {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                tls::check(url)?;
                (Dialect::Postgres, url.to_owned(), None)
            }
            Some(_) => {
                let message =
                    "the store's URL must begin with postgres://; without one it is a file in the data directory";
                return Err(Error::new(Code::BadInput, message));
            }
            None => {
                let file = StoreFile::new(folder);
                // The driver never makes the file: whether it may be made is decided in `identity`.
                (Dialect::Sqlite, format!("sqlite://{}?mode=rw", file.path().display()), Some(Arc::new(file)))
            }
        };
        let data = DataDirectory::new(folder);
        let writer = file.is_some().then(Writer::default);
        let shared = Shared { file, writer, data, url, identity: Arc::default(), refused: Arc::default() };
        let pool = pool(dialect, &shared)?;
        Ok(Self { pool, dialect, ready: Arc::default(), shared: Arc::new(shared) })
    }

    /// Waits until the store was found to be the right one, with its schema up to date, and sees that it still is where
    /// it was.
    pub(super) async fn ready(&self) -> Result<&AnyPool> {
        self.ready.get_or_try_init(|| self.prepare()).await?;
        self.check_place()?;
        Ok(&self.pool)
    }

    /// Whether SQLite's file is the one that was opened.
    ///
    /// # Errors
    /// `store-unavailable` if it was removed, or another one is in its place.
    pub(super) fn check_place(&self) -> Result<()> {
        self.shared.file.as_ref().map_or(Ok(()), |file| file.check())
    }

    /// A connection beside the pool, whose errors are told as they are.
    pub(super) async fn connect(&self) -> Result<AnyConnection> {
        let mut connection = AnyConnection::connect(&self.shared.url).await?;
        if self.dialect == Dialect::Sqlite {
            connection.execute(PRAGMAS).await?;
        }
        Ok(connection)
    }

    /// An error of the pool, with the reason why it has no connection.
    pub(super) fn explain(&self, error: sqlx::Error) -> Error {
        let refused = self.shared.refused.lock().take();
        match (error, refused) {
            (sqlx::Error::PoolTimedOut, Some(why)) => Error::new(Code::StoreUnavailable, format!("the store: {why}")),
            (error, _) => error.into(),
        }
    }
}

fn pool(dialect: Dialect, shared: &Shared) -> Result<AnyPool> {
    let (identity, refused) = (Arc::clone(&shared.identity), Arc::clone(&shared.refused));
    let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    let options = options.test_before_acquire(false);
    let options = options
        .after_connect(move |connection, _| {
            let (identity, refused) = (Arc::clone(&identity), Arc::clone(&refused));
            Box::pin(async move {
                let set_up = set_up(dialect, connection, identity.get().map(String::as_str)).await;
                if let Err(error) = &set_up {
                    *refused.lock() = Some(error.to_string());
                }
                set_up
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // The rollback of a transaction that was dropped is queued: it has been done once this is answered.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > IDLE_UNCHECKED && connection.ping().await.is_err() {
                    return Ok(false);
                }
                Ok(!connection.is_in_transaction())
            })
        });
    options.connect_lazy(&shared.url).map_err(|error| Error::new(Code::BadInput, format!("the store's URL: {error}")))
}

/// Makes a new connection ready. A server may have been exchanged for another since the last one: `identity` is what it
/// must have.
async fn set_up(dialect: Dialect, connection: &mut AnyConnection, identity: Option<&str>) -> sqlx::Result<()> {
    let settings = if dialect == Dialect::Sqlite { PRAGMAS } else { SETTINGS };
    connection.execute(settings).await?;
    if let (Dialect::Postgres, Some(identity)) = (dialect, identity) {
        let row = sqlx::query("SELECT id FROM store_identity").fetch_one(connection).await?;
        let found: String = row.try_get("id")?;
        if found != identity {
            let message = format!("it is the store {found}, and this host serves from the store {identity}");
            return Err(sqlx::Error::Configuration(message.into()));
        }
    }
    Ok(())
}
