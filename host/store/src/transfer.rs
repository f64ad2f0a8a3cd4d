//! From SQLite to PostgreSQL: everything of a store, in one transaction, counted on both sides.

use super::{Store, get, number};
use crate::error::{Error, Result};
use elias_api::Code;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::collections::BTreeSet;

/// The tables, so that what refers to another comes after it. That of hosts is left: they say themselves that they are
/// there.
pub(super) const TABLES: &[&str] = &[
    "store_identity",
    "tenants",
    "organizations",
    "users",
    "roles",
    "tokens",
    "sessions",
    "signing_keys",
    "artifacts",
    "components",
    "versions",
    "deployments",
    "services",
    "stage_figures",
    "secrets",
    "data_keys",
    "audit",
    "executions",
    "spans",
    "drafts",
    "idempotency",
    "idempotent_requests",
    "log_records",
    "log_hashes",
    "counters",
    "schedules",
    "ticks",
    "jobs",
    "waiting_jobs",
    "finished_jobs",
    "job_keys",
    "job_dependencies",
    "ordering_keys",
    "job_counts",
    "queue_limits",
    "steps",
    "event_positions",
    "event_cursors",
    "event_segments",
    "event_segment_starts",
    "events_0",
    "events_1",
    "events_2",
    "events_3",
    "events_4",
    "events_5",
    "events_6",
    "events_7",
    "subscriptions",
    "outboxes",
    "outbox_receipts",
    "workers",
    "worker_turns",
    "worker_counts",
    "series_points",
    "usage_hours",
    "usage_notices",
    "active_components",
    "alert_rules",
    "silences",
    "receivers",
    "alerts",
    "alert_groups",
    "notifications",
    "alert_points",
    "alert_evaluations",
    "issues",
    "issue_counts",
    "security_events",
    "flags",
    "flag_revisions",
    "leases",
];
/// The tables that have rows in every new store.
const GIVEN: [&str; 4] = ["store_identity", "tenants", "counters", "event_segments"];
/// Not moved: the hosts that serve, and the schema's own.
const LEFT: [&str; 2] = ["hosts", "_sqlx_migrations"];
/// Rows that are read at a time: an execution's log lines take up to 64 KiB, and so do the pages of a worker.
const ROWS: i64 = 200;

/// A column: its name, and the values that it has.
type Column = (String, ColumnType);

enum ColumnType {
    Number,
    Bytes,
    Text,
}

impl Store {
    /// Copies all of this SQLite store into one that is empty. Says how many rows each table has, which is the same in
    /// both.
    ///
    /// # Errors
    /// `wrong-state` if there is something in the other one; `store-unavailable`. Nothing has changed then.
    pub async fn copy_into(&self, target: &Self) -> Result<Vec<(&'static str, u64)>> {
        self.ready().await?;
        target.ready().await?;
        let mut from = self.connect().await?;
        let mut to = target.connect().await?;
        let known: BTreeSet<&str> = TABLES.iter().chain(&LEFT).copied().collect();
        let rows =
            sqlx::query("SELECT name AS name FROM sqlite_master WHERE type = 'table'").fetch_all(&mut from).await?;
        for row in &rows {
            let name: String = get(row, "name")?;
            if !known.contains(name.as_str()) && !name.starts_with("sqlite_") {
                return Err(Error::new(Code::Internal, format!("the table {name} is not known: it would be lost")));
            }
        }
        let mut tx = to.begin().await?;
        for table in TABLES.iter().filter(|table| !GIVEN.contains(table)) {
            if count(&mut tx, table).await? > 0 {
                let message = format!(
                    "there is something in the database that the store is to be moved to (in {table}): name an empty \
                    one"
                );
                return Err(Error::new(Code::WrongState, message));
            }
        }
        for table in GIVEN {
            sqlx::query(AssertSqlSafe(format!("DELETE FROM {table}"))).execute(&mut *tx).await?;
        }
        let mut copied = Vec::with_capacity(TABLES.len());
        for table in TABLES.iter().copied() {
            copy(&mut from, &mut tx, table).await?;
            let (there, here) = (count(&mut from, table).await?, count(&mut tx, table).await?);
            if there != here {
                let message = format!("{table} has {there} rows, and {here} of them were copied");
                return Err(Error::new(Code::Internal, message));
            }
            copied.push((table, here));
        }
        tx.commit().await?;
        to.close().await?;
        from.close().await?;
        Ok(copied)
    }
}

async fn count(connection: &mut AnyConnection, table: &str) -> Result<u64> {
    let select = AssertSqlSafe(format!("SELECT count(*) AS rows_there FROM {table}"));
    number(&sqlx::query(select).fetch_one(connection).await?, "rows_there")
}

async fn columns(connection: &mut AnyConnection, table: &str) -> Result<Vec<Column>> {
    let select =
        AssertSqlSafe(format!("SELECT name AS name, type AS kind FROM pragma_table_info('{table}') ORDER BY cid"));
    let rows = sqlx::query(select).fetch_all(connection).await?;
    let column = |row: &AnyRow| {
        let column_type = match get::<String>(row, "kind")?.as_str() {
            "BIGINT" => ColumnType::Number,
            "BYTEA" => ColumnType::Bytes,
            _ => ColumnType::Text,
        };
        Ok((get(row, "name")?, column_type))
    };
    rows.iter().map(column).collect()
}

async fn copy(from: &mut AnyConnection, to: &mut AnyConnection, table: &str) -> Result<()> {
    let columns = columns(from, table).await?;
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let names = names.join(", ");
    let select =
        format!("SELECT rowid AS row_number_there, {names} FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT $2");
    let mut after = i64::MIN;
    loop {
        let rows = sqlx::query(AssertSqlSafe(select.clone())).bind(after).bind(ROWS).fetch_all(&mut *from).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = get(last, "row_number_there")?;
        let width = columns.len();
        let places = (0..rows.len()).map(|row| {
            let places: Vec<_> = (1..=width).map(|column| format!("${}", row * width + column)).collect();
            format!("({})", places.join(", "))
        });
        let places = places.collect::<Vec<_>>().join(", ");
        let mut insert = sqlx::query(AssertSqlSafe(format!("INSERT INTO {table} ({names}) VALUES {places}")));
        for row in &rows {
            for (name, column_type) in &columns {
                insert = match column_type {
                    ColumnType::Number => insert.bind(get::<Option<i64>>(row, name)?),
                    ColumnType::Bytes => insert.bind(get::<Option<Vec<u8>>>(row, name)?),
                    ColumnType::Text => insert.bind(get::<Option<String>>(row, name)?),
                };
            }
        }
        insert.execute(&mut *to).await?;
    }
}
