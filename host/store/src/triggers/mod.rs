//! Triggers: schedules, the queue of jobs, events, the steps of jobs, leases.
//!
//! Times are those of the database's clock, which all hosts share. What many rows are about is one statement with a
//! JSON array, so that a batch of any size is the same prepared statement.

mod batches;
mod cursors;
mod discard;
mod enqueue;
mod events;
mod finish;
mod jobs;
mod leases;
mod limits;
mod outbox;
#[cfg(test)]
pub(crate) mod plans;
mod queue;
mod schedules;
mod segments;
mod steps;
mod subscriptions;
mod usage;
mod waiting;
mod workflows;

pub use enqueue::{EnqueueOutcome, JobKey, JobOrder, JobStart, NewJob};
pub use events::{NewEvent, PublishedEvent};
pub use finish::{FinishedJobs, JobEnd, JobOutcome};
pub use jobs::CancelledJob;
pub use leases::Lease;
pub use limits::QueueLimit;
pub use outbox::DueOutbox;
pub use queue::{ClaimShare, ClaimedJob, JobLease, LeasedQueue, LostLeases, ReadyLook, ReadyQueue};
pub use schedules::{DueSchedule, NewSchedule, NewTick, NextDue, ScheduleCounts, ScheduleId, TickAction, UpcomingDue};
pub use steps::{ListedStep, NewStep, Step};
pub use subscriptions::{NewSubscription, PendingSubscription, SubscriptionId};
pub use usage::TriggerUse;
pub use waiting::{EventWait, MovedJobs};

use crate::error::{Error, Result};
use crate::{Dialect, HostScope, Query, TenantScope, get, placeholders, signed, to_json};
use elias_api::Code;
use elias_names::TenantId;
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};

/// Rows of one INSERT, at most: PostgreSQL takes 65,535 parameters, SQLite 32,766.
const ROWS_PER_INSERT: usize = 1_024;

/// The columns that a job takes along from table to table.
const JOB_COLUMNS: &str = "tenant, id, queue, component, environment, trigger, name, key, ordering_key, \
                           ordering_position, input, priority, head_start, attempt, epoch, error, cause, hops, \
                           version, enqueued_at, concurrency_key, replayed_by";

/// The connection of a transaction, and which database it is.
struct Database<'t> {
    connection: &'t mut AnyConnection,
    dialect: Dialect,
}

/// A job of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
struct JobRef {
    tenant: String,
    id: String,
}

impl TenantScope {
    fn database(&mut self) -> Database<'_> {
        Database { connection: &mut self.tx, dialect: self.dialect }
    }
}

impl HostScope {
    fn database(&mut self) -> Database<'_> {
        Database { connection: &mut self.tx, dialect: self.dialect }
    }

    /// The time of the database's clock, in milliseconds since 1970.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn now(&mut self) -> Result<i64> {
        self.database().now().await
    }
}

impl Dialect {
    /// An expression: the database's clock, in milliseconds since 1970. It goes on during a transaction, and is one
    /// value in a statement: the subquery lets PostgreSQL compare it with an index.
    pub(crate) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            Self::Postgres => "(SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT))",
        }
    }

    /// A table expression: the elements of the JSON array that is parameter `place`, each as `item.value`.
    pub(crate) fn each(self, place: u8) -> String {
        match self {
            Self::Sqlite => format!("json_each(${place}) AS item"),
            Self::Postgres => format!("jsonb_array_elements(CAST(${place} AS jsonb)) AS item(value)"),
        }
    }

    /// The end of a SELECT of which the rows are about to be changed. SQLite has one writer, and nothing to lock.
    pub(crate) fn locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE",
        }
    }

    /// The same, without the rows that another transaction has locked.
    pub(crate) fn locked_if_free(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// The end of a SELECT of which the rows must stay as they are until the transaction's end.
    fn held(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "FOR SHARE",
        }
    }
}

impl Database<'_> {
    async fn rows(&mut self, query: Query) -> Result<Vec<AnyRow>> {
        Ok(query.fetch_all(&mut *self.connection).await?)
    }

    async fn row(&mut self, query: Query) -> Result<Option<AnyRow>> {
        Ok(query.fetch_optional(&mut *self.connection).await?)
    }

    async fn run(&mut self, query: Query) -> Result<u64> {
        Ok(query.execute(&mut *self.connection).await?.rows_affected())
    }

    async fn now(&mut self) -> Result<i64> {
        let row = self.row(statement(format!("SELECT {} AS now_ms", self.dialect.now()))).await?;
        get(&row.ok_or_else(|| Error::new(Code::Internal, "the store returned no time"))?, "now_ms")
    }

    /// The condition that `(tenant, id)` is one of the [`JobRef`]s in the JSON array that is parameter `place`.
    fn is_one_of(&self, place: u8) -> String {
        let each = self.dialect.each(place);
        format!("(tenant, id) IN (SELECT item.value->>'tenant', item.value->>'id' FROM {each})")
    }

    /// Runs statements one after the other; says how many rows they changed.
    async fn run_each(&mut self, queries: Vec<Query>) -> Result<u64> {
        let mut changed = 0;
        for query in queries {
            changed += self.run(query).await?;
        }
        Ok(changed)
    }
}

/// Rows in parts of at most `most`, a power of two, each of a power of two: few statements to prepare, however many
/// rows there are.
pub(crate) fn by_powers_of_two<T>(rows: &[T], most: usize) -> Vec<&[T]> {
    let (mut rest, mut parts) = (rows, Vec::new());
    while !rest.is_empty() {
        let (part, after) = rest.split_at(most.min(1 << rest.len().ilog2()));
        parts.push(part);
        rest = after;
    }
    parts
}

/// The statements that insert rows of `columns`; `bind` binds the values of one, `end` is the end of each statement.
fn inserts<T>(table: &str, columns: &str, end: &str, rows: &[T], bind: impl Fn(Query, &T) -> Query) -> Vec<Query> {
    let width = columns.split(',').count();
    let insert = |batch: &[T]| {
        let values = placeholders(batch.len(), width);
        let insert = statement(format!("INSERT INTO {table} ({columns}) VALUES {values} {end}"));
        batch.iter().fold(insert, &bind)
    };
    by_powers_of_two(rows, ROWS_PER_INSERT).into_iter().map(insert).collect()
}

pub(crate) fn statement(sql: String) -> Query {
    sqlx::query(AssertSqlSafe(sql))
}

/// The JSON array of these jobs.
fn refs(jobs: &[JobRef]) -> Result<String> {
    to_json(&jobs)
}

impl JobRef {
    fn of(tenant: &TenantId, id: &str) -> Self {
        Self { tenant: tenant.as_str().to_owned(), id: id.to_owned() }
    }

    fn read(row: &AnyRow) -> Result<Self> {
        Ok(Self { tenant: get(row, "tenant")?, id: get(row, "id")? })
    }
}

/// Milliseconds that are added to the time: at most 1,000 years, so that the sum is a time.
pub(crate) fn span(ms: u64) -> i64 {
    signed(ms).min(1_000 * 366 * 86_400_000)
}
