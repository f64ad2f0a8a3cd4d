//! Which store this is, and whether it is the one that the data directory belongs to.
//!
//! A store has a random identity, and a data directory remembers it in the file `store-id`. A file that is not where it
//! was, a volume that is not mounted, and a URL that names another database are so told from a new platform: a host
//! that took an empty store for its own would forget all that it serves.

use super::file::StoreFile;
use super::schema::MIGRATIONS;
use super::{Dialect, HostScope, Store, get, now_ms};
use crate::error::{Error, Result};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use elias_api::Code;
use elias_atomic_write::{Access, Fsync};
use elias_names::TenantId;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Row, SqlSafeStr};
use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The file of a data directory that has the identity of its store.
pub const IDENTITY_FILE: &str = "store-id";
/// The traces of a platform in a data directory, beside its store.
const SERVICES: &str = "services";
const FLAGS: &str = "flags";
const ARTIFACTS: &str = "artifacts";
/// The flag by which an operator says that the former store is not wanted any more.
const FLAG: &str = "--abandon-former-store";

/// A data directory, as far as its store is concerned.
pub(super) struct DataDirectory {
    path: PathBuf,
    /// Whether the store that is found is taken, whichever it is.
    abandons: AtomicBool,
}

/// The state in which a store was found.
#[derive(Debug, PartialEq, Eq)]
enum StoreState {
    /// Nothing was ever made there.
    Empty,
    /// One that an earlier release made.
    Unnamed,
    /// One with this identity.
    Named(String),
}

impl DataDirectory {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), abandons: AtomicBool::new(false) }
    }

    /// The identity of its store, if it ever had one.
    fn remembered(&self) -> Result<Option<String>> {
        match std::fs::read_to_string(self.path.join(IDENTITY_FILE)) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn remember(&self, id: &str) -> Result<()> {
        let dir = Dir::open_ambient_dir(&self.path, ambient_authority())?;
        // Without it the next start would take another store for the one of this directory.
        let text = format!("{id}\n");
        Ok(elias_atomic_write::write(&dir, IDENTITY_FILE, text.as_bytes(), Access::OwnerOnly, Fsync::FileAndFolder)?)
    }

    /// Files of the folders of a platform: two levels below each, as services and artifacts are kept.
    fn files(&self, folder: &str) -> Result<Vec<(String, String)>> {
        let entries = |path: &Path| match std::fs::read_dir(path) {
            Ok(entries) => entries.collect::<std::io::Result<Vec<_>>>(),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        };
        let mut files = Vec::new();
        for parent in entries(&self.path.join(folder))? {
            let name = parent.file_name().to_string_lossy().into_owned();
            if !parent.file_type()?.is_dir() || name == "partial" {
                continue;
            }
            let inner = entries(&parent.path())?;
            files.extend(inner.iter().map(|file| (name.clone(), file.file_name().to_string_lossy().into_owned())));
        }
        Ok(files)
    }

    /// The tenants and components of the services that it has files of.
    fn services(&self) -> Result<Vec<(String, String)>> {
        let named = |(tenant, file): (String, String)| {
            let component = file.strip_suffix(".json")?.rsplit_once('.')?.0.to_owned();
            Some((tenant, component))
        };
        Ok(self.files(SERVICES)?.into_iter().filter_map(named).collect())
    }

    /// The evidence that the directory had a store, for the message of a refusal.
    fn former(&self, remembered: Option<&str>) -> Result<Option<String>> {
        if let Some(id) = remembered {
            return Ok(Some(format!("it belongs to the store {id}")));
        }
        for folder in [SERVICES, ARTIFACTS] {
            let files = self.files(folder)?.len();
            if files > 0 {
                return Ok(Some(format!("it has {files} files in {folder}/")));
            }
        }
        Ok(None)
    }

    /// Puts what was served by the former store into a folder of its own, from which nothing is deleted.
    fn set_aside(&self, remembered: Option<&str>) -> Result<()> {
        let folder = self.path.join(format!("former.{}.{}", remembered.unwrap_or("unknown"), ulid::Ulid::new()));
        let all = [SERVICES, FLAGS, ARTIFACTS];
        let there: Vec<_> = all.into_iter().filter(|name| self.path.join(name).exists()).collect();
        if there.is_empty() {
            return Ok(());
        }
        std::fs::create_dir(&folder)?;
        for name in there {
            std::fs::rename(self.path.join(name), folder.join(name))?;
        }
        tracing::warn!(
            folder = %folder.display(),
            "the states of the former store's services were moved to this folder and are not served"
        );
        Ok(())
    }
}

impl Store {
    /// Takes the store that is found, whichever it is, and sets aside what the data directory had of a former one.
    ///
    /// # Errors
    /// `store-unavailable`, `storage-failed`.
    pub async fn abandon_former(&self) -> Result<()> {
        self.shared.data.abandons.store(true, Ordering::Relaxed);
        self.ready().await.map(drop)
    }

    /// The store's identity.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn identity(&self) -> Result<&str> {
        self.ready().await?;
        self.shared
            .identity
            .get()
            .map(String::as_str)
            .ok_or_else(|| Error::new(Code::Internal, "a store without a name"))
    }

    /// Finds out which store this is, and brings its schema up to date if it is the right one.
    pub(super) async fn prepare(&self) -> Result<()> {
        let data = &self.shared.data;
        let remembered = data.remembered()?;
        let abandons = data.abandons.load(Ordering::Relaxed);
        let mut connection = match &self.shared.file {
            Some(file) if !file.exists()? => {
                self.may_begin(remembered.as_deref(), abandons)?;
                file.create()?;
                tracing::warn!(file = %file.path().display(), "a new store is created: nothing is deployed yet");
                self.connect().await?
            }
            _ => self.connect().await?,
        };
        self.shared.file.iter().for_each(|file| file.restrict());
        match (self.found(&mut connection).await?, &remembered) {
            _ if abandons => data.set_aside(remembered.as_deref())?,
            (StoreState::Empty, _) => self.may_begin(remembered.as_deref(), false)?,
            (StoreState::Named(id), Some(wanted)) if id == *wanted => {}
            (StoreState::Named(id), Some(wanted)) => return Err(self.mismatch(&format!("{id}, and not {wanted}"))),
            (StoreState::Named(_) | StoreState::Unnamed, _) => self.require_known(&mut connection).await?,
        }
        self.migrate().await?;
        let wanted = remembered.clone().filter(|_| !abandons).unwrap_or_else(|| ulid::Ulid::new().to_string());
        let id = self.name(wanted).await?;
        if remembered.as_ref() != Some(&id) {
            data.remember(&id)?;
        }
        let _ = self.shared.identity.set(id);
        if let Some(file) = &self.shared.file {
            file.watch(connection);
        }
        Ok(())
    }

    /// Refuses to begin with an empty store where there was another.
    fn may_begin(&self, remembered: Option<&str>, abandons: bool) -> Result<()> {
        let Some(former) = self.shared.data.former(remembered)?.filter(|_| !abandons) else { return Ok(()) };
        let (found, mend) = match &self.shared.file {
            Some(file) => (
                format!("{} is not there, or is empty", file.path().display()),
                "put the file back (elias restore, or the volume that it is on), or name the PostgreSQL that it is in \
                with --store",
            ),
            None => ("the database at --store is empty".to_owned(), "name the database that it is in with --store"),
        };
        let folder = self.shared.data.path.display();
        let message = format!(
            "the data directory {folder} is not new ({former}), but {found}. Nothing was changed: {mend}. To give up \
            what it served and begin anew, start once with {FLAG}"
        );
        Err(Error::new(Code::StoreMissing, message))
    }

    fn mismatch(&self, what: &str) -> Error {
        let (folder, dialect) = (self.shared.data.path.display(), self.dialect);
        let place = if dialect == Dialect::Sqlite { "platform.sqlite" } else { "the database at --store" };
        let message = format!(
            "the data directory {folder} belongs to another store: {place} is {what}. Nothing was changed: put back \
            the store that it belongs to, or start with the data directory of this one. To take this store and give up \
            what the directory served, start once with {FLAG}"
        );
        Error::new(Code::StoreMismatch, message)
    }

    async fn found(&self, connection: &mut AnyConnection) -> Result<StoreState> {
        let tables = match self.dialect {
            Dialect::Sqlite => {
                "SELECT name AS name FROM sqlite_master WHERE type = 'table' AND name IN ('tenants', 'store_identity')"
            }
            Dialect::Postgres => {
                "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = current_schema() \
                 AND tablename IN ('tenants', 'store_identity')"
            }
        };
        let rows = sqlx::query(tables).fetch_all(&mut *connection).await?;
        let has = |table: &str| rows.iter().any(|row| row.try_get::<String, _>("name").is_ok_and(|name| name == table));
        if has("store_identity")
            && let Some(row) = sqlx::query("SELECT id FROM store_identity").fetch_optional(connection).await?
        {
            return Ok(StoreState::Named(get(&row, "id")?));
        }
        Ok(if has("tenants") { StoreState::Unnamed } else { StoreState::Empty })
    }

    /// Refuses a store that has no component of which this host serves a version: before stores had identities, that is
    /// how one is recognised.
    async fn require_known(&self, connection: &mut AnyConnection) -> Result<()> {
        let services = self.shared.data.services()?;
        for (tenant, component) in &services {
            let select = "SELECT 1 AS found FROM components WHERE tenant = $1 AND component = $2";
            let query = sqlx::query(select).bind(tenant.clone()).bind(component.clone());
            if query.fetch_optional(&mut *connection).await?.is_some() {
                return Ok(());
            }
        }
        match services.first() {
            None => Ok(()),
            Some((tenant, component)) => {
                let count = services.len();
                Err(self
                    .mismatch(&format!("one that knows none of its {count} services, such as {tenant}/{component}")))
            }
        }
    }

    async fn migrate(&self) -> Result<()> {
        let migration = |(name, text): &(&'static str, &'static str), number| {
            Migration::new(number, Cow::Borrowed(*name), MigrationType::Simple, text.into_sql_str(), false)
        };
        let migrator = Migrator::with_migrations(
            MIGRATIONS.iter().zip(1..).map(|(text, number)| migration(text, number)).collect(),
        );
        let failed = |error| Error::new(Code::StoreUnavailable, format!("the store's schema cannot be made: {error}"));
        migrator.run(&self.pool).await.map_err(failed)?;
        if self.dialect == Dialect::Postgres {
            self.guard().await?;
        }
        let (tx, turn) = self.begin_write(&self.pool).await?;
        let mut scope = HostScope { tx, dialect: self.dialect, file: None, _turn: turn };
        scope.ensure_tenant(&TenantId::system()).await?;
        scope.commit().await
    }

    /// Gives the store an identity, unless it has one; says which.
    async fn name(&self, id: String) -> Result<String> {
        let (tx, turn) = self.begin_write(&self.pool).await?;
        let mut scope = HostScope { tx, dialect: self.dialect, file: None, _turn: turn };
        let insert = "INSERT INTO store_identity (only_row, id, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING";
        sqlx::query(insert).bind(id).bind(now_ms()).execute(&mut *scope.tx).await?;
        let row = sqlx::query("SELECT id FROM store_identity").fetch_one(&mut *scope.tx).await?;
        let id = get(&row, "id")?;
        scope.commit().await?;
        Ok(id)
    }

    /// The verifier key of the log that the hosts on this store sign, if one has said it.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn log_key(&self) -> Result<Option<String>> {
        let mut scope = self.host_read().await?;
        let row = sqlx::query("SELECT log_key FROM store_identity").fetch_one(&mut *scope.tx).await?;
        get(&row, "log_key")
    }

    /// Says with which key this host signs the log; gives the one that was said before, if it is another.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn set_log_key(&self, key: &str) -> Result<Option<String>> {
        let before = self.log_key().await?;
        if before.as_deref() == Some(key) {
            return Ok(None);
        }
        let mut scope = self.host_write().await?;
        let update = sqlx::query("UPDATE store_identity SET log_key = $1").bind(key.to_owned());
        update.execute(&mut *scope.tx).await?;
        scope.commit().await?;
        Ok(before)
    }

    /// Whether a transaction that writes can be committed.
    ///
    /// # Errors
    /// `store-unavailable`, `no-space-left`.
    pub async fn check_write(&self) -> Result<()> {
        let mut scope = self.host_write().await?;
        sqlx::query("UPDATE store_identity SET checked_at = $1").bind(now_ms()).execute(&mut *scope.tx).await?;
        scope.commit().await
    }

    /// Ends all connections; for a store that is about to be moved.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn close(&self) -> Result<()> {
        self.pool.close().await;
        match &self.shared.file {
            Some(file) => StoreFile::close(file).await,
            None => Ok(()),
        }
    }
}
