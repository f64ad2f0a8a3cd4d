//! The platform's store: SQLite in the data directory, or PostgreSQL that several hosts share. One schema, one text of every statement.
//!
//! What belongs to a tenant is reached through a [`TenantScope`] alone: a transaction that has the tenant's name, and gives it to every
//! statement as `$1`. What is the host's own is in [`HostScope`].

mod artifacts;
mod audit;
mod changes;
mod components;
mod deployments;
mod executions;
mod host;
mod idempotency;
mod keys;
mod log;
mod organizations;
mod roles;
mod secrets;
mod services;
mod stages;
mod tenants;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod users;
mod versions;

pub(crate) use audit::NOTHING;
pub use audit::{Actor, AuditEntry};
pub use components::Component;
pub use deployments::{Deployment, DeploymentState};
pub use executions::{ExecutionFilter, ExecutionRecord, RecordedCalls};
pub(crate) use host::Wanted;
pub use host::{ReleaseTarget, ServiceTarget};
pub use idempotency::Remembered;
pub use keys::SigningKeyEntry;
pub use organizations::Organization;
pub use roles::RoleDefinition;
pub(crate) use roles::next_role;
pub use services::Service;
pub use tenants::{QuotaAction, Quotas, Tenant, TenantSettings};
pub use tokens::{Role, Token, TokenRole};
pub use users::User;
pub(crate) use users::{EMAIL_BYTES_MAX, TEXT_BYTES_MAX, is_email, is_text};
pub(crate) use versions::NewVersion;
pub use versions::{SmokeCall, Version, VersionSettings};

use crate::error::{Code, Error, Result};
use crate::name::{ServiceId, TenantId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Any, AnyPool, AssertSqlSafe, Executor, Row, SqlSafeStr, Transaction};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// Connections to PostgreSQL, and readers of SQLite.
const CONNECTIONS: u32 = 8;
/// How long to wait for a connection before the store counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Rows of one page, at most.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// The schema, in the order in which it grew: name and text. What was released is never changed; what comes is added at the end.
const MIGRATIONS: &[(&str, &str)] = &[
    ("platform", include_str!("schema/1_platform.sql")),
    ("stages", include_str!("schema/2_stages.sql")),
    ("host_calls", include_str!("schema/3_host_calls.sql")),
    ("access", include_str!("schema/4_access.sql")),
    ("changes", include_str!("schema/5_changes.sql")),
];

/// The tables with a tenant's rows, which row-level security guards on PostgreSQL.
const TENANT_TABLES: &[&str] = &[
    "artifacts",
    "tenants",
    "tokens",
    "signing_keys",
    "components",
    "versions",
    "deployments",
    "services",
    "stage_figures",
    "secrets",
    "audit",
    "executions",
    "idempotency",
    "roles",
    "organizations",
    "users",
];

/// The store; a cheap handle.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    /// Set once the schema is up to date: a host may start while its store is away.
    ready: Arc<OnceCell<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// A transaction about one tenant. Dropped without [`commit`](Self::commit), it never was.
pub struct TenantScope {
    tx: Transaction<'static, Any>,
    tenant: TenantId,
}

/// A transaction about the host itself, or across tenants: for finding out whose a request is, and for what serves.
pub struct HostScope {
    tx: Transaction<'static, Any>,
}

impl Store {
    /// The SQLite file `platform.sqlite` in `folder`, or the PostgreSQL at `url`. It is connected to, and its schema brought up to date, when it
    /// is first asked.
    ///
    /// # Errors
    /// `bad-input` for another URL, or one that asks for less TLS than it seems to.
    pub fn open(folder: &Path, url: Option<&str>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let (dialect, url) = match url {
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                tls::check(url)?;
                (Dialect::Postgres, url.to_owned())
            }
            Some(_) => {
                let message =
                    "the store's URL must begin with postgres://; without one it is a file in the data directory";
                return Err(Error::new(Code::BadInput, message));
            }
            None => (Dialect::Sqlite, format!("sqlite://{}?mode=rwc", folder.join("platform.sqlite").display())),
        };
        let options = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        let options = options.after_connect(move |connection, _| {
            Box::pin(async move {
                if dialect == Dialect::Sqlite {
                    // What was acknowledged survives the loss of power: hence FULL and not NORMAL.
                    let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;";
                    connection.execute(pragmas).await?;
                }
                Ok(())
            })
        });
        let pool = options
            .connect_lazy(&url)
            .map_err(|error| Error::new(Code::BadInput, format!("the store's URL: {error}")))?;
        Ok(Self { pool, dialect, ready: Arc::default() })
    }

    /// Waits until the schema is up to date.
    async fn ready(&self) -> Result<&AnyPool> {
        self.ready.get_or_try_init(|| self.migrate()).await?;
        Ok(&self.pool)
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
        let mut scope = HostScope { tx: self.begin_write(&self.pool).await? };
        scope.ensure_tenant(&TenantId::system()).await?;
        scope.commit().await
    }

    /// Row-level security: a tenant's transactions take the role `elias_tenant`, which sees the rows of the tenant in `elias.tenant` only.
    async fn guard(&self) -> Result<()> {
        let mut statements = vec![
            "SELECT pg_advisory_xact_lock(7357235)::text".to_owned(), // hosts that start at once take turns
            // Roles belong to the whole server: another database's host may have made it, or be about to.
            "DO $$ BEGIN CREATE ROLE elias_tenant NOLOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$".to_owned(),
            "DO $$ BEGIN IF NOT pg_has_role(current_user, 'elias_tenant', 'MEMBER') THEN \
             EXECUTE format('GRANT elias_tenant TO %I', current_user); END IF; END $$"
                .to_owned(),
            "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO elias_tenant', current_schema()); END $$".to_owned(),
            "GRANT SELECT, INSERT, UPDATE, DELETE ON log_records, log_hashes, counters TO elias_tenant".to_owned(),
        ];
        for table in TENANT_TABLES {
            statements.push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO elias_tenant"));
            statements.push(format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"));
            statements.push(format!("DROP POLICY IF EXISTS of_tenant ON {table}"));
            statements.push(format!(
                "CREATE POLICY of_tenant ON {table} TO elias_tenant USING (tenant = current_setting('elias.tenant'))"
            ));
        }
        let mut tx = self.pool.begin().await?;
        for statement in statements {
            tx.execute(AssertSqlSafe(statement).into_sql_str()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether other hosts may be at work in it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(self.ready().await?).await?;
        Ok(())
    }

    /// A transaction that reads what is a tenant's.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn read(&self, tenant: &TenantId) -> Result<TenantScope> {
        let tx = self.ready().await?.begin().await?;
        self.scope(tx, tenant).await
    }

    /// A transaction that changes what is a tenant's.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn write(&self, tenant: &TenantId) -> Result<TenantScope> {
        let tx = self.begin_write(self.ready().await?).await?;
        self.scope(tx, tenant).await
    }

    async fn scope(&self, mut tx: Transaction<'static, Any>, tenant: &TenantId) -> Result<TenantScope> {
        if self.dialect == Dialect::Postgres {
            let bind = "SELECT set_config('role', 'elias_tenant', true), set_config('elias.tenant', $1, true)";
            sqlx::query(bind).bind(tenant.as_str()).execute(&mut *tx).await?;
        }
        Ok(TenantScope { tx, tenant: tenant.clone() })
    }

    /// A transaction of the host that reads.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn host_read(&self) -> Result<HostScope> {
        Ok(HostScope { tx: self.ready().await?.begin().await? })
    }

    /// A transaction of the host that writes.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn host_write(&self) -> Result<HostScope> {
        Ok(HostScope { tx: self.begin_write(self.ready().await?).await? })
    }

    async fn begin_write(&self, pool: &AnyPool) -> Result<Transaction<'static, Any>> {
        // SQLite has one writer: who reads first and then wants to write would fail, not wait.
        let begin = if self.dialect == Dialect::Sqlite { "BEGIN IMMEDIATE" } else { "BEGIN" };
        Ok(pool.begin_with(begin).await?)
    }

    /// Copies a SQLite store into a new file, as of one moment.
    ///
    /// # Errors
    /// `wrong-state` for PostgreSQL, which has tools of its own; `storage-failed`.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        if self.dialect == Dialect::Postgres {
            let message = "a store on PostgreSQL is backed up with pg_dump; see docs/operations.md";
            return Err(Error::new(Code::WrongState, message));
        }
        let mut connection = self.ready().await?.acquire().await?;
        sqlx::query("VACUUM INTO $1").bind(file.display().to_string()).execute(&mut *connection).await?;
        Ok(())
    }
}

impl TenantScope {
    /// Whose it is.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Makes what was changed last.
    ///
    /// # Errors
    /// `store-unavailable`; nothing has changed then.
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }

    /// A statement of which `$1` is the tenant.
    fn query(&self, sql: &'static str) -> Query {
        sqlx::query(sql).bind(self.tenant.as_str().to_owned())
    }

    /// A statement of which `$1`, `$2` and `$3` are the tenant, the component and the environment of one of the tenant's services.
    fn query_of(&self, sql: &'static str, service: &ServiceId) -> Query {
        self.query(sql).bind(service.component.as_str().to_owned()).bind(service.environment.as_str())
    }

    async fn rows(&mut self, query: Query) -> Result<Vec<AnyRow>> {
        Ok(query.fetch_all(&mut *self.tx).await?)
    }

    async fn row(&mut self, query: Query) -> Result<Option<AnyRow>> {
        Ok(query.fetch_optional(&mut *self.tx).await?)
    }

    /// Refuses what was inserted if the tenant has more than `most` of it now; `count` counts them.
    async fn at_most(&mut self, most: u32, what: &str, count: &'static str) -> Result<()> {
        let query = self.query(count);
        let there: u64 = self.row(query).await?.map_or(Ok(0), |row| number(&row, "rows_there"))?;
        if there <= u64::from(most) {
            return Ok(());
        }
        Err(Error::new(Code::QuotaExceeded, format!("a tenant has at most {most} {what}; delete some first")))
    }

    async fn run(&mut self, query: Query) -> Result<u64> {
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }
}

impl HostScope {
    /// Makes what was changed last.
    ///
    /// # Errors
    /// `store-unavailable`; nothing has changed then.
    pub(crate) async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
    }
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A column's value.
fn get<'r, T>(row: &'r AnyRow, column: &str) -> Result<T>
where
    T: sqlx::Decode<'r, Any> + sqlx::Type<Any>,
{
    Ok(row.try_get(column)?)
}

/// A column that holds a number that is not negative.
fn number<T: TryFrom<i64>>(row: &AnyRow, column: &str) -> Result<T> {
    T::try_from(get::<i64>(row, column)?).map_err(|_| damaged(column))
}

/// A column whose text is read as a name or the like.
fn text<T: std::str::FromStr>(row: &AnyRow, column: &str) -> Result<T> {
    get::<String>(row, column)?.parse().map_err(|_| damaged(column))
}

/// A column that holds JSON.
fn json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<T> {
    serde_json::from_str(&get::<String>(row, column)?).map_err(|_| damaged(column))
}

/// A column that may hold JSON.
fn optional_json<T: DeserializeOwned>(row: &AnyRow, column: &str) -> Result<Option<T>> {
    let text = get::<Option<String>>(row, column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|_| damaged(column))).transpose()
}

fn damaged(column: &str) -> Error {
    Error::new(Code::Internal, format!("the store's column {column} holds what this version cannot read"))
}

fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::new(Code::Internal, format!("cannot be written as JSON: {error}")))
}
