//! Issues: groups of failures.
//!
//! What changes issues of a tenant locks the tenant's row in `issue_counts` first: counts are read, changed and
//! written, by several hosts and users at a time.

use super::{AllowedServices, HostScope, Query, TenantScope, damaged, get, number, signed, storable, text, to_json};
use crate::error::Result;
use elias_names::{ComponentName, Environment, ServiceId, TenantId};
use elias_telemetry::issue::{Issue, Occurrence, Place, Status};
use serde_json::json;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;

/// An issue with its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssueRow {
    /// The component.
    pub component: ComponentName,
    /// The environment.
    pub environment: Environment,
    /// The issue.
    pub issue: Issue,
}

/// Which issues a list has; empty texts for all.
#[derive(Debug, Clone, Default)]
pub struct IssueQuery {
    /// The states, as [`Status::as_str`] names them; all without one.
    pub states: Vec<String>,
    /// The component.
    pub component: Option<ComponentName>,
    /// The environment.
    pub environment: Option<Environment>,
    /// A part of the title, the file or the function, in whatever case.
    pub text: String,
    /// Only those that occurred since then, in milliseconds since 1970.
    pub since_ms: i64,
    /// Only those after this one in the list: the time of its last occurrence, and its id.
    pub after: Option<(i64, String)>,
}

/// Failures of a tenant that are in no issue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IssueCounts {
    /// Those of more issues than a tenant has.
    pub folded: u64,
    /// Those that were not recorded: more than are recorded in a second.
    pub unrecorded: u64,
}

/// Adds to the counts of a tenant, whose row is locked then.
const LOCK: &str = "INSERT INTO issue_counts (tenant, folded, unrecorded) VALUES ($1, $2, $3) ON CONFLICT (tenant) DO \
    UPDATE SET folded = issue_counts.folded + excluded.folded, \
    unrecorded = issue_counts.unrecorded + excluded.unrecorded";

/// The columns after `tenant`, in the order of [`bind`].
const COLUMNS: [&str; 25] = [
    "id",
    "component",
    "environment",
    "code",
    "title",
    "function",
    "file",
    "line",
    "place_column",
    "state",
    "state_version",
    "until_count",
    "until_at",
    "assigned_to",
    "occurrences",
    "first_at",
    "first_version",
    "first_execution",
    "last_at",
    "last_version",
    "last_execution",
    "newest_version",
    "hours",
    "samples",
    "revision",
];

/// The statement that writes an issue, in the place of the one that is there.
fn put(tenant: &TenantId, row: &IssueRow) -> Result<Query> {
    let places: Vec<_> = (2..COLUMNS.len() + 2).map(|place| format!("${place}")).collect();
    let updates: Vec<_> = COLUMNS.iter().skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
    let upsert = format!(
        "INSERT INTO issues (tenant, {}) VALUES ($1, {}) ON CONFLICT (tenant, id) DO UPDATE SET {}",
        COLUMNS.join(", "),
        places.join(", "),
        updates.join(", ")
    );
    let IssueRow { component, environment, issue } = row;
    let query = sqlx::query(AssertSqlSafe(upsert)).bind(tenant.as_str().to_owned()).bind(issue.id.clone());
    let query = query.bind(component.as_str().to_owned()).bind(environment.as_str());
    let query = query.bind(issue.code.clone()).bind(storable(&issue.title));
    let place = issue.place.as_ref();
    let query = query.bind(place.and_then(|place| place.function.as_deref()).map(storable));
    let query = query.bind(place.map(|place| storable(&place.file)));
    let query = query.bind(place.map_or(0, |place| i64::from(place.line)));
    let query = query.bind(place.map_or(0, |place| i64::from(place.column)));
    let (version, until_count, until_ms) = match issue.status {
        Status::New => (None, None, None),
        Status::Regressed { version } | Status::Resolved { version } => (Some(i64::from(version)), None, None),
        Status::Ignored { until_count, until_ms } => (None, until_count.map(signed), until_ms),
    };
    let query = query.bind(issue.status.as_str()).bind(version).bind(until_count).bind(until_ms);
    let query = query.bind(issue.assigned_to.clone()).bind(signed(issue.count));
    let (first, last) = (&issue.first, &issue.last);
    let query = query.bind(first.at_ms).bind(i64::from(first.version)).bind(first.execution.clone());
    let query = query.bind(last.at_ms).bind(i64::from(last.version)).bind(last.execution.clone());
    let query = query.bind(i64::from(issue.newest_version)).bind(to_json(&issue.hours)?);
    Ok(query.bind(issue.samples.join(" ")).bind(signed(issue.revision)))
}

fn read(row: &sqlx::any::AnyRow) -> Result<IssueRow> {
    let version = || number(row, "state_version");
    let until_count = get::<Option<i64>>(row, "until_count")?.and_then(|count| u64::try_from(count).ok());
    let status = match get::<String>(row, "state")?.as_str() {
        "new" => Status::New,
        "regressed" => Status::Regressed { version: version()? },
        "resolved" => Status::Resolved { version: version()? },
        "ignored" => Status::Ignored { until_count, until_ms: get(row, "until_at")? },
        _ => return Err(damaged("state")),
    };
    let place = match get::<Option<String>>(row, "file")? {
        Some(file) => {
            let function = get(row, "function")?;
            Some(Place { function, file, line: number(row, "line")?, column: number(row, "place_column")? })
        }
        None => None,
    };
    let seen = |at: &str, version: &str, execution: &str| -> Result<Occurrence> {
        Ok(Occurrence { at_ms: get(row, at)?, version: number(row, version)?, execution: get(row, execution)? })
    };
    let hours: BTreeMap<i64, u64> = super::json(row, "hours")?;
    let samples: String = get(row, "samples")?;
    let issue = Issue {
        id: get(row, "id")?,
        code: get(row, "code")?,
        title: get(row, "title")?,
        place,
        status,
        assigned_to: get(row, "assigned_to")?,
        count: number(row, "occurrences")?,
        first: seen("first_at", "first_version", "first_execution")?,
        last: seen("last_at", "last_version", "last_execution")?,
        newest_version: number(row, "newest_version")?,
        hours,
        samples: samples.split_whitespace().map(str::to_owned).collect(),
        revision: number(row, "revision")?,
    };
    Ok(IssueRow { component: text(row, "component")?, environment: text(row, "environment")?, issue })
}

impl HostScope {
    /// Counts failures of a tenant that are in no issue, and has its issues wait for the end of this transaction.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn lock_issues(&mut self, tenant: &TenantId, counts: IssueCounts) -> Result<()> {
        let query = sqlx::query(LOCK).bind(tenant.as_str().to_owned());
        let query = query.bind(signed(counts.folded)).bind(signed(counts.unrecorded));
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// The issues of a tenant with these ids that are there, and how many it has in all.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn issues(&mut self, tenant: &TenantId, ids: &[&str]) -> Result<(Vec<IssueRow>, u64)> {
        let select = format!(
            "SELECT * FROM issues WHERE tenant = $1 AND id IN (SELECT item.value->>'id' FROM {})",
            self.dialect.each(2)
        );
        let ids: Vec<_> = ids.iter().map(|id| json!({ "id": id })).collect();
        let query = sqlx::query(AssertSqlSafe(select)).bind(tenant.as_str().to_owned()).bind(to_json(&ids)?);
        let rows = query.fetch_all(&mut *self.tx).await?;
        let count = "SELECT count(*) AS rows_there FROM issues WHERE tenant = $1";
        let count = sqlx::query(count).bind(tenant.as_str().to_owned()).fetch_one(&mut *self.tx).await?;
        Ok((rows.iter().map(read).collect::<Result<_>>()?, number(&count, "rows_there")?))
    }

    /// Writes an issue of a tenant.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_issue(&mut self, tenant: &TenantId, row: &IssueRow) -> Result<()> {
        put(tenant, row)?.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Deletes at most `most` issues of a tenant that did not occur since a time, in milliseconds since 1970, to make
    /// room for others, those first that did not for longest; says how many. What somebody looks after stays: issues
    /// that are assigned or ignored.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn make_room_for_issues(&mut self, tenant: &TenantId, before_ms: i64, most: u64) -> Result<u64> {
        let delete = "DELETE FROM issues WHERE tenant = $1 AND id IN (SELECT id FROM issues WHERE tenant = $1 \
                      AND last_at < $2 AND assigned_to IS NULL AND state <> 'ignored' ORDER BY last_at LIMIT $3)";
        let query = sqlx::query(delete).bind(tenant.as_str().to_owned()).bind(before_ms).bind(signed(most));
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }

    /// Deletes issues that did not occur since a time, in milliseconds since 1970; says how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_issues(&mut self, before_ms: i64) -> Result<u64> {
        let query = sqlx::query("DELETE FROM issues WHERE last_at < $1").bind(before_ms);
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }
}

impl TenantScope {
    /// The tenant's issues, the one that occurred last first.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn issues(
        &mut self,
        wanted: &IssueQuery,
        allowed: &AllowedServices,
        limit: u32,
    ) -> Result<Vec<IssueRow>> {
        let select = format!(
            "SELECT * FROM issues WHERE tenant = $1 AND ($2 = '' OR component = $2) AND ($3 = '' OR environment = $3) \
             AND ($4 = '' OR $4 LIKE '% ' || state || ' %') AND last_at >= $5 \
             AND ($6 = '' OR lower(title || ' ' || coalesce(file, '') || ' ' || coalesce(function, '')) \
             LIKE $6 ESCAPE '\\') AND (last_at < $7 OR (last_at = $7 AND id < $8)) {} \
             ORDER BY last_at DESC, id DESC LIMIT $9",
            allowed.condition(self.dialect, 10)
        );
        let query =
            self.query_text(select).bind(wanted.component.as_ref().map_or("", ComponentName::as_str).to_owned());
        let query = query.bind(wanted.environment.map_or("", Environment::as_str));
        let states = if wanted.states.is_empty() { String::new() } else { format!(" {} ", wanted.states.join(" ")) };
        let query = query.bind(states).bind(wanted.since_ms).bind(pattern(&wanted.text));
        let (last_at, id) = wanted.after.clone().unwrap_or((i64::MAX, String::new()));
        let query = query.bind(last_at).bind(storable(&id)).bind(i64::from(limit));
        self.rows(allowed.bind(query)?).await?.iter().map(read).collect()
    }

    /// An issue of the tenant.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn issue(&mut self, id: &str) -> Result<Option<IssueRow>> {
        let query = self.query("SELECT * FROM issues WHERE tenant = $1 AND id = $2").bind(storable(id));
        self.row(query).await?.as_ref().map(read).transpose()
    }

    /// An issue of the tenant that is about to be changed: no occurrence is counted before the end of this transaction.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn issue_to_change(&mut self, id: &str) -> Result<Option<IssueRow>> {
        let query = self.query(LOCK).bind(0_i64).bind(0_i64);
        self.run(query).await?;
        self.issue(id).await
    }

    /// Writes an issue, which was read by [`issue_to_change`](Self::issue_to_change).
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_issue(&mut self, row: &IssueRow) -> Result<()> {
        let query = put(&self.tenant, row)?;
        self.run(query).await?;
        Ok(())
    }

    /// How many failures are in no issue.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn issue_counts(&mut self) -> Result<IssueCounts> {
        let query = self.query("SELECT folded, unrecorded FROM issue_counts WHERE tenant = $1");
        let Some(row) = self.row(query).await? else { return Ok(IssueCounts::default()) };
        Ok(IssueCounts { folded: number(&row, "folded")?, unrecorded: number(&row, "unrecorded")? })
    }
}

impl IssueRow {
    /// The service, of a tenant.
    #[must_use]
    pub fn service(&self, tenant: &TenantId) -> ServiceId {
        ServiceId { tenant: tenant.clone(), component: self.component.clone(), environment: self.environment }
    }
}

/// The pattern of LIKE for a part of a text; empty for an empty one.
fn pattern(part: &str) -> String {
    if part.is_empty() {
        return String::new();
    }
    let part = storable(part).to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{part}%")
}
