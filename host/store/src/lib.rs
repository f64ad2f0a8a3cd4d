//! The platform's store: SQLite in the data directory, or PostgreSQL that several hosts share. One schema, one text of
//! every statement.
//!
//! The data of a tenant are reached through a [`TenantScope`] alone: a transaction that has the tenant's name, and
//! gives it to every statement as `$1`. What is the host's own is in [`HostScope`].

mod alerts;
mod allowed;
mod artifacts;
mod audit;
mod changes;
mod components;
mod connect;
mod data_keys;
mod deployments;
mod drafts;
mod error;
mod executions;
mod experiments;
mod file;
mod flags;
mod guard;
mod hints;
mod host;
mod hosts;
mod idempotency;
mod idempotent_requests;
mod identity;
mod issues;
mod keys;
mod log;
mod moving;
mod names;
mod organizations;
mod roles;
mod schema;
mod secrets;
mod security;
mod series;
mod services;
mod sessions;
mod spans;
mod tenants;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod transfer;
mod triggers;
mod usage;
mod users;
mod versions;
mod workers;
mod writer;

pub use alerts::{AlertRow, DueNotification, GroupRow, NewNotification, StoredPoint, StoredReceiver};
pub use allowed::AllowedServices;
pub use audit::{AuditNote, NOTHING};
pub use error::{Error, Result};
pub use file::{BESIDE, STORE_FILE};
pub use hints::Hints;
pub use host::{ReleaseTarget, ServiceTarget, TargetFilter};
pub use hosts::HostEntry;
pub use idempotency::StoredResponse;
pub use idempotent_requests::{IdempotentRequest, KeyState, StoredReply};
pub use identity::IDENTITY_FILE;
pub use issues::{IssueCounts, IssueQuery, IssueRow};
pub use moving::{MovedStore, move_store};
pub use roles::next_role;
pub use security::{SecurityEventQuery, SecurityEventRow};
pub use series::{SeriesFilter, SeriesRow, week_of};
pub use sessions::StoredSession;
pub use tenants::StoredUse;
pub use triggers::{
    CancelledJob, ClaimShare, ClaimedJob, DueOutbox, DueSchedule, EnqueueOutcome, EventWait, FinishedJobs, JobEnd,
    JobKey, JobLease, JobOrder, JobOutcome, JobStart, Lease, LeasedQueue, ListedStep, LostLeases, MovedJobs, NewEvent,
    NewJob, NewSchedule, NewStep, NewSubscription, NewTick, NextDue, PendingSubscription, PublishedEvent, QueueLimit,
    ReadyLook, ReadyQueue, ScheduleCounts, ScheduleId, Step, SubscriptionId, TickAction, TriggerUse, UpcomingDue,
};
pub use usage::{UsageHour, UsageNotice, UsageRow};
pub use versions::NewVersion;
pub use workers::{
    AcquiredWorker, CommitOutcome, CompactableWorker, HeapCommitRow, PartKind, TurnPages, TurnPart,
    WORKER_PAGES_INLINE_MAX, WorkerAcquisition, WorkerCommitRow, WorkerFilter, WorkerRef, WorkerRetention,
    WorkerSummaryRow, WorkerSweep, WorkerTurnRow, WorkerUse, worker_lease_name,
};

use connect::Shared;
use elias_api::Code;
use elias_names::{ServiceId, TenantId};
use file::StoreFile;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection, Row, Transaction};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;
use writer::WriteTurn;

/// Rows of one page, at most.
pub const PAGE_ROWS_MAX: u32 = 1_000;

/// Behind all ids, in every collation: in those of languages punctuation is before digits.
const AFTER_IDS: &str = "ZZZZZZZZZZZZZZZZZZZZZZZZZZ";

/// Begins a transaction on PostgreSQL whose statements are planned as for large tables: some are empty at one time and
/// have a million rows soon after, and a prepared plan stays.
const BEGIN_BY_INDEX: &str =
    "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// The store; a cheap handle.
#[derive(Clone)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    /// Set once the store was found to be the right one and its schema is up to date: a host may start while its store
    /// is away.
    ready: Arc<OnceCell<()>>,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// A transaction about one tenant. Dropped without [`commit`](Self::commit), it never was.
pub struct TenantScope {
    tx: Transaction<'static, Any>,
    dialect: Dialect,
    tenant: TenantId,
    file: Option<Arc<StoreFile>>,
    /// Given back after the transaction's end.
    _turn: Option<WriteTurn>,
}

/// A transaction about the host itself, or across tenants: for finding out whose a request is, and for what serves.
pub struct HostScope {
    tx: Transaction<'static, Any>,
    dialect: Dialect,
    file: Option<Arc<StoreFile>>,
    /// Given back after the transaction's end.
    _turn: Option<WriteTurn>,
}

impl Store {
    /// Whether other hosts may be at work in it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.dialect == Dialect::Postgres
    }

    /// Checks that the database responds.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn ping(&self) -> Result<()> {
        let result = sqlx::query("SELECT 1").execute(self.ready().await?).await;
        result.map(drop).map_err(|error| self.explain(error))
    }

    /// A transaction that reads what is a tenant's.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn read(&self, tenant: &TenantId) -> Result<TenantScope> {
        let tx = self.begin_read().await?;
        self.scope(tx, None, tenant).await
    }

    /// A transaction that changes what is a tenant's.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn write(&self, tenant: &TenantId) -> Result<TenantScope> {
        let (tx, turn) = self.begin_write(self.ready().await?).await?;
        self.scope(tx, turn, tenant).await
    }

    async fn scope(
        &self,
        mut tx: Transaction<'static, Any>,
        turn: Option<WriteTurn>,
        tenant: &TenantId,
    ) -> Result<TenantScope> {
        if self.dialect == Dialect::Postgres {
            let bind = "SELECT set_config('role', 'elias_tenant', true), set_config('elias.tenant', $1, true)";
            sqlx::query(bind).bind(tenant.as_str()).execute(&mut *tx).await?;
        }
        let file = self.shared.file.clone();
        Ok(TenantScope { tx, dialect: self.dialect, tenant: tenant.clone(), file, _turn: turn })
    }

    /// A transaction of the host that reads.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn host_read(&self) -> Result<HostScope> {
        Ok(self.host_scope(self.begin_read().await?, None))
    }

    /// A transaction of the host that writes.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn host_write(&self) -> Result<HostScope> {
        let (tx, turn) = self.begin_write(self.ready().await?).await?;
        Ok(self.host_scope(tx, turn))
    }

    fn host_scope(&self, tx: Transaction<'static, Any>, turn: Option<WriteTurn>) -> HostScope {
        HostScope { tx, dialect: self.dialect, file: self.shared.file.clone(), _turn: turn }
    }

    /// A transaction of the host that works on the queue of jobs, or on the workers of several tenants. On PostgreSQL
    /// its statements are planned as for large tables.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn queue_write(&self) -> Result<HostScope> {
        if self.dialect == Dialect::Sqlite {
            return self.host_write().await;
        }
        let begun = self.ready().await?.begin_with(BEGIN_BY_INDEX).await;
        Ok(self.host_scope(begun.map_err(|error| self.explain(error))?, None))
    }

    /// A transaction that changes workers of a tenant. On PostgreSQL its statements are planned as for large tables.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn worker_write(&self, tenant: &TenantId) -> Result<TenantScope> {
        if self.dialect == Dialect::Sqlite {
            return self.write(tenant).await;
        }
        let begun = self.ready().await?.begin_with(BEGIN_BY_INDEX).await;
        self.scope(begun.map_err(|error| self.explain(error))?, None, tenant).await
    }

    async fn begin_write(&self, pool: &AnyPool) -> Result<(Transaction<'static, Any>, Option<WriteTurn>)> {
        let turn = match &self.shared.writer {
            Some(writer) => Some(writer.turn().await?),
            None => None,
        };
        // SQLite has one writer: who reads first and then wants to write would fail, not wait.
        let begin = if turn.is_some() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let tx = pool.begin_with(begin).await.map_err(|error| self.explain(error))?;
        Ok((tx, turn))
    }

    async fn begin_read(&self) -> Result<Transaction<'static, Any>> {
        self.ready().await?.begin().await.map_err(|error| self.explain(error))
    }

    /// Copies a SQLite store into a file that is new or empty, as of one moment.
    ///
    /// # Errors
    /// `wrong-state` for PostgreSQL, which has tools of its own; `storage-failed`.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        if self.dialect == Dialect::Postgres {
            let message = "a store on PostgreSQL is backed up with pg_dump; see docs/reference/operations.md";
            return Err(Error::new(Code::WrongState, message));
        }
        let mut connection = self.ready().await?.acquire().await.map_err(|error| self.explain(error))?;
        sqlx::query("VACUUM INTO $1").bind(file.display().to_string()).execute(&mut *connection).await?;
        Ok(())
    }

    /// The artifacts to which the versions in such a copy refer.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn artifacts_of_copy(file: &Path) -> Result<HashSet<String>> {
        let mut connection = AnyConnection::connect(&format!("sqlite://{}?mode=ro", file.display())).await?;
        let referenced = versions::referenced_artifacts(&mut connection).await;
        connection.close().await?;
        referenced
    }
}

impl TenantScope {
    /// The tenant of the scope.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Makes what was changed last.
    ///
    /// # Errors
    /// `store-unavailable`; nothing has changed then.
    pub async fn commit(self) -> Result<()> {
        commit(self.tx, self.file.as_deref()).await
    }

    /// A statement of which `$1` is the tenant.
    fn query(&self, sql: &'static str) -> Query {
        sqlx::query(sql).bind(self.tenant.as_str().to_owned())
    }

    /// A statement of which `$1`, `$2` and `$3` are the tenant, the component and the environment of one of the
    /// tenant's services.
    fn query_of(&self, sql: &'static str, service: &ServiceId) -> Query {
        self.query(sql).bind(service.component.as_str().to_owned()).bind(service.environment.as_str())
    }

    /// [`query`](Self::query) with a text of which parts depend on the database.
    fn query_text(&self, sql: String) -> Query {
        sqlx::query(AssertSqlSafe(sql)).bind(self.tenant.as_str().to_owned())
    }

    /// [`query_of`](Self::query_of) likewise.
    fn query_of_text(&self, sql: String, service: &ServiceId) -> Query {
        self.query_text(sql).bind(service.component.as_str().to_owned()).bind(service.environment.as_str())
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
    pub async fn commit(self) -> Result<()> {
        commit(self.tx, self.file.as_deref()).await
    }
}

/// Commits, and acknowledges it only if what was written is where the next start finds it.
async fn commit(tx: Transaction<'static, Any>, file: Option<&StoreFile>) -> Result<()> {
    tx.commit().await?;
    file.map_or(Ok(()), StoreFile::check)
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

/// The placeholders of the values of so many rows, from `$1` on. sqlx's `QueryBuilder` writes `?`, which PostgreSQL
/// does not know.
fn placeholders(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let values: Vec<_> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
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

/// A number as a column has it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A column whose text is read as a name or the like.
fn text<T: std::str::FromStr>(row: &AnyRow, column: &str) -> Result<T> {
    get::<String>(row, column)?.parse().map_err(|_| damaged(column))
}

/// A text as PostgreSQL can hold it: a guest may put the character 0 into its messages.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The id before which a page of a list begins that has the newest first. It is a client's, who may send any text.
fn before_id(before: Option<&str>) -> String {
    storable(before.unwrap_or(AFTER_IDS))
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
