//! The journals of jobs: what each step did, so that it is not done again.

use super::finish::owned_jobs;
use super::queue::claims;
use super::{Database, JobLease, JobRef, inserts, refs, statement};
use crate::error::Result;
use crate::{Dialect, HostScope, Query, TenantScope, get, number, signed, storable, text};
use elias_names::TenantId;
use sqlx::any::AnyRow;
use std::collections::{HashMap, HashSet};

/// A step that is over, in the journal of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number in the journal, from 0.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// The hash of its input.
    pub input_hash: String,
    /// Its outcome, as a JSON text of the caller's.
    pub outcome: String,
}

/// A step to be added to the journal of a job that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    /// The claim.
    pub lease: JobLease,
    /// The step.
    pub step: Step,
}

/// A row of a journal, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedStep {
    /// Its number in the journal, from 0.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// Its outcome; of one that is longer than 4,096 characters the first 20.
    pub outcome: String,
    /// When it was written, in milliseconds since 1970.
    pub at: i64,
}

/// Characters of an outcome that a list shows whole, and of a longer one: they say what it is.
const LISTED_OUTCOME_CHARS: u32 = 4_096;
const LISTED_BEGINNING_CHARS: u32 = 20;

/// The columns of a row as it is listed.
fn listed_columns() -> String {
    format!(
        "steps.position AS position, steps.name AS name, steps.at AS at, \
         CASE WHEN length(steps.outcome) <= {LISTED_OUTCOME_CHARS} THEN steps.outcome \
         ELSE substr(steps.outcome, 1, {LISTED_BEGINNING_CHARS}) END AS outcome"
    )
}

/// The statement that lists at most `$4` rows of the journal of the job `$2` of the tenant `$1`, from the position `$3`
/// on.
pub(super) fn list_steps() -> String {
    let columns = listed_columns();
    format!("SELECT {columns} FROM steps WHERE tenant = $1 AND job = $2 AND position >= $3 ORDER BY position LIMIT $4")
}

/// The statement that lists the rows of the last step of each of the jobs `$2` of the tenant `$1`; a step has `$3` rows
/// at most.
pub(super) fn last_steps(dialect: Dialect) -> String {
    let (columns, each) = (listed_columns(), dialect.each(2));
    format!(
        "SELECT steps.job AS job, {columns} FROM {each} JOIN steps ON steps.tenant = $1 \
         AND steps.job = item.value->>'id' AND steps.position >= (SELECT MAX(last.position) FROM steps last \
         WHERE last.tenant = $1 AND last.job = item.value->>'id') / $3 * $3 ORDER BY steps.job, steps.position"
    )
}

pub(super) const JOURNAL: &str = "SELECT * FROM steps WHERE tenant = $1 AND job = $2 ORDER BY position";

fn step(row: &AnyRow) -> Result<Step> {
    Ok(Step {
        position: number(row, "position")?,
        name: get(row, "name")?,
        input_hash: get(row, "input_hash")?,
        outcome: get(row, "outcome")?,
    })
}

fn listed(row: &AnyRow) -> Result<ListedStep> {
    Ok(ListedStep {
        position: number(row, "position")?,
        name: get(row, "name")?,
        outcome: get(row, "outcome")?,
        at: get(row, "at")?,
    })
}

/// A tenant, with the job up to which its journals are more than are kept; none if they are not.
fn surplus(row: &AnyRow) -> Result<Option<(TenantId, String)>> {
    let Some(job) = get::<Option<String>>(row, "job")? else { return Ok(None) };
    Ok(Some((text(row, "tenant")?, job)))
}

impl TenantScope {
    /// The journal of a job, in the order of its steps.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn journal(&mut self, job: &str) -> Result<Vec<Step>> {
        let query = self.query(JOURNAL).bind(job.to_owned());
        self.rows(query).await?.iter().map(step).collect()
    }

    /// At most `limit` rows of the journal of a job, from a position on, in their order.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn list_steps(&mut self, job: &str, from: u32, limit: u32) -> Result<Vec<ListedStep>> {
        let query = self.query_text(list_steps()).bind(job.to_owned()).bind(i64::from(from)).bind(i64::from(limit));
        self.rows(query).await?.iter().map(listed).collect()
    }

    /// The rows of the last step of each of these jobs that has steps, in the order of their positions; a step has at
    /// most `rows_of_step`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn last_steps(&mut self, jobs: &[String], rows_of_step: u32) -> Result<HashMap<String, Vec<ListedStep>>> {
        let jobs: Vec<_> = jobs.iter().map(|job| JobRef::of(&self.tenant, job)).collect();
        let query = self.query_text(last_steps(self.dialect)).bind(refs(&jobs)?).bind(i64::from(rows_of_step));
        let mut steps: HashMap<String, Vec<ListedStep>> = HashMap::new();
        for row in &self.rows(query).await? {
            steps.entry(get(row, "job")?).or_default().push(listed(row)?);
        }
        Ok(steps)
    }
}

impl HostScope {
    /// The journal of a tenant's job, in the order of its steps.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn journal(&mut self, tenant: &TenantId, job: &str) -> Result<Vec<Step>> {
        let query = sqlx::query(JOURNAL).bind(tenant.as_str().to_owned()).bind(job.to_owned());
        self.database().rows(query).await?.iter().map(step).collect()
    }

    /// The tenants with more than `keep` rows of steps, or more than `bytes` bytes in their names and outcomes, each
    /// with the job of the newest row beyond these. It takes time by the number of rows that are kept, so it is not for
    /// a transaction that others wait for.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn surplus_steps(&mut self, keep: u32, bytes: u64) -> Result<Vec<(TenantId, String)>> {
        let query = sqlx::query(SURPLUS_STEPS).bind(i64::from(keep)).bind(signed(bytes));
        let rows = self.database().rows(query).await?;
        rows.iter().filter_map(|row| surplus(row).transpose()).collect()
    }

    /// Deletes the oldest journals of a tenant up to that of the job `last`, of at most `most` jobs that have succeeded
    /// or were cancelled; says how many rows.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_steps(&mut self, tenant: &TenantId, last: &str, most: u32) -> Result<u64> {
        let query = sqlx::query(PRUNE_STEPS).bind(tenant.as_str().to_owned()).bind(last.to_owned());
        self.database().run(query.bind(i64::from(most))).await
    }

    /// Adds steps to the journals of jobs that `owner` has claimed. One that is there stays as it is. Gives back the
    /// claims that are not the owner's any more: of these nothing is stored.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn append_steps(&mut self, owner: &str, steps: &[NewStep]) -> Result<Vec<JobLease>> {
        self.database().append_steps(owner, steps).await
    }
}

impl Database<'_> {
    async fn append_steps(&mut self, owner: &str, steps: &[NewStep]) -> Result<Vec<JobLease>> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let select = owned_jobs(self.dialect, self.dialect.held());
        let query = statement(select).bind(claims(steps.iter().map(|new| &new.lease))?).bind(owner.to_owned());
        let owned = self.rows(query).await?.iter().map(JobRef::read).collect::<Result<HashSet<_>>>()?;
        let (mut stored, mut late) = (Vec::new(), Vec::new());
        for new in steps {
            let job = JobRef::of(&new.lease.tenant, &new.lease.id);
            if owned.contains(&job) {
                stored.push((job, &new.step));
            } else {
                late.push(new.lease.clone());
            }
        }
        self.insert_steps(&stored).await?;
        Ok(late)
    }

    pub(super) async fn insert_steps(&mut self, steps: &[(JobRef, &Step)]) -> Result<()> {
        let now = self.now().await?;
        let bind = |query: Query, (job, step): &(JobRef, &Step)| {
            let query = query.bind(job.tenant.clone()).bind(job.id.clone()).bind(i64::from(step.position));
            let query = query.bind(storable(&step.name)).bind(storable(&step.input_hash));
            query.bind(storable(&step.outcome)).bind(now)
        };
        let columns = "tenant, job, position, name, input_hash, outcome, at";
        self.run_each(inserts("steps", columns, "ON CONFLICT DO NOTHING", steps, bind)).await.map(drop)
    }

    /// Cuts what large steps of jobs that have ended came to, to what lists show of it: nobody resumes these jobs.
    pub(super) async fn cut_steps(&mut self, jobs: &[JobRef]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.run(statement(cut_steps(self.dialect)).bind(refs(jobs)?)).await.map(drop)
    }

    pub(super) async fn delete_steps(&mut self, jobs: &[JobRef]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.run(statement(delete_steps(self.dialect)).bind(refs(jobs)?)).await.map(drop)
    }
}

/// The statement that selects of each tenant the job of the newest row of steps beyond `$1` rows or `$2` bytes, if
/// there is one. The lengths of texts are known without reading these.
pub(super) const SURPLUS_STEPS: &str = "SELECT t.tenant AS tenant, (SELECT last.job FROM (SELECT first.job AS job, \
    first.position AS position, row_number() OVER newest AS place, SUM(first.bytes) OVER newest AS bytes \
    FROM (SELECT s.job AS job, s.position AS position, octet_length(s.name) + octet_length(s.outcome) AS bytes \
    FROM steps s WHERE s.tenant = t.tenant ORDER BY s.job DESC, s.position DESC LIMIT $1 + 1) AS first \
    WINDOW newest AS (ORDER BY first.job DESC, first.position DESC ROWS UNBOUNDED PRECEDING)) AS last \
    WHERE last.place > $1 OR last.bytes > $2 ORDER BY last.job DESC, last.position DESC LIMIT 1) AS job FROM tenants t";

/// The statement that deletes the journals of the oldest jobs of the tenant `$1` up to the job `$2` that have succeeded
/// or were cancelled, of at most `$3`.
pub(super) const PRUNE_STEPS: &str = "DELETE FROM steps WHERE tenant = $1 AND job IN (SELECT DISTINCT s.job \
    FROM steps s WHERE s.tenant = $1 AND s.job <= $2 AND EXISTS (SELECT 1 FROM finished_jobs f WHERE f.tenant = $1 \
    AND f.id = s.job AND f.state <> 'dead') ORDER BY s.job LIMIT $3)";

/// The statement that cuts the large outcomes in the journals of the jobs `$1`.
pub(super) fn cut_steps(dialect: Dialect) -> String {
    format!(
        "UPDATE steps SET outcome = substr(outcome, 1, {LISTED_BEGINNING_CHARS}) WHERE (tenant, job) IN \
         (SELECT item.value->>'tenant', item.value->>'id' FROM {}) AND length(outcome) > {LISTED_OUTCOME_CHARS}",
        dialect.each(1)
    )
}

/// The statement that deletes the journals of the jobs `$1`.
pub(super) fn delete_steps(dialect: Dialect) -> String {
    format!(
        "DELETE FROM steps WHERE (tenant, job) IN (SELECT item.value->>'tenant', item.value->>'id' FROM {})",
        dialect.each(1)
    )
}
