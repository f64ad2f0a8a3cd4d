//! Ending the attempts of jobs that were claimed, many in one transaction, and claiming the next in the same.

use super::enqueue::OrderingKey;
use super::queue::{claims, is_claim};
use super::usage::INPUT_BYTES;
use super::{ClaimShare, ClaimedJob, Database, JOB_COLUMNS, JobLease, JobRef, refs, span, statement};
use crate::error::Result;
use crate::{Dialect, HostScope, get, signed, storable, to_json};
use elias_api::JobState;
use serde::Serialize;
use serde_json::json;
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// Why a job ended that was to be cancelled and did not end by itself.
const CANCELLED: &str = "cancelled while it ran";

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// The job succeeded.
    Done {
        /// Its result, a JSON text.
        result: Option<String>,
    },
    /// The job failed for good.
    Dead {
        /// Why, with the stack.
        error: String,
    },
    /// The job was cancelled.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// The job is to be run again.
    Retry {
        /// In so many milliseconds.
        in_ms: u64,
        /// Why the attempt failed.
        error: String,
    },
    /// The job's handler waits. It goes on in the same attempt.
    Suspended {
        /// When to go on, in milliseconds since 1970: the end of a sleep, or the timeout of a wait.
        until: Option<i64>,
        /// The event that it waits for, as a JSON text of the caller's.
        wait: Option<String>,
        /// The version that runs the rest.
        version: Option<u32>,
    },
    /// The attempt did not begin: the job is ready again at once, and nothing is counted.
    Released,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// The claim.
    pub lease: JobLease,
    /// Its outcome.
    pub outcome: JobOutcome,
    /// For how many milliseconds the job's record is kept if this ends the job; 0 for not at all.
    pub keep_ms: u64,
}

/// The result of ending attempts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FinishedJobs {
    /// The claims that were not the owner's any more: of these nothing is stored.
    pub late: Vec<JobLease>,
    /// Whether it has made jobs ready: some that were given back, or that waited for those that have ended.
    pub makes_ready: bool,
}

/// A job that has ended.
pub(super) struct EndedJob {
    pub(super) job: JobRef,
    pub(super) turn: Option<OrderingKey>,
    /// Bytes of its input.
    pub(super) bytes: i64,
    pub(super) state: JobState,
    /// Whether its record is kept, so that it can be run again.
    pub(super) kept: bool,
    /// Bytes of its result or its error.
    pub(super) outcome_bytes: i64,
}

impl EndedJob {
    /// By how many bytes the use of its tenant changes: its record keeps the input.
    pub(super) fn bytes_change(&self) -> i64 {
        if self.kept { self.outcome_bytes } else { -self.bytes }
    }
}

impl JobOutcome {
    /// Whether it ends the job, whatever else the store has of it.
    fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Dead { .. } | Self::Cancelled { .. })
    }
}

/// An end, as statements get it: of the job, or of its attempt.
#[derive(Serialize)]
struct End<'j> {
    tenant: &'j str,
    id: &'j str,
    epoch: u64,
    state: &'static str,
    result: Option<String>,
    error: Option<String>,
    keep_ms: i64,
    in_ms: i64,
    until: Option<i64>,
    wait: Option<&'j str>,
    version: Option<u32>,
    attempts: i64,
}

impl End<'_> {
    fn outcome_bytes(&self) -> i64 {
        let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        signed((bytes(&self.result) + bytes(&self.error)) as u64)
    }
}

impl HostScope {
    /// Ends attempts of `owner`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn finish_jobs(&mut self, owner: &str, ends: &[JobEnd]) -> Result<FinishedJobs> {
        self.database().finish(owner, ends).await
    }

    /// [`finish_jobs`](Self::finish_jobs), then [`claim_jobs`](Self::claim_jobs).
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn finish_and_claim(
        &mut self,
        owner: &str,
        ends: &[JobEnd],
        lease_ms: u64,
        shares: &[ClaimShare],
    ) -> Result<(FinishedJobs, Vec<ClaimedJob>)> {
        let finished = self.database().finish(owner, ends).await?;
        Ok((finished, self.database().claim(owner, lease_ms, shares).await?))
    }
}

impl Database<'_> {
    async fn finish(&mut self, owner: &str, ends: &[JobEnd]) -> Result<FinishedJobs> {
        if ends.is_empty() {
            return Ok(FinishedJobs::default());
        }
        // Where all end their jobs, one statement does it. Else the jobs are locked first, all of them in the order in
        // which all do who lock several.
        let is_final = self.dialect == Dialect::Postgres && ends.iter().all(|end| end.outcome.is_final());
        let rows = if is_final {
            let ends: Vec<_> = ends.iter().map(|end| end.row(false).1).collect();
            self.rows(statement(end_jobs()).bind(to_json(&ends)?).bind(owner.to_owned())).await?
        } else {
            let select = owned_jobs(self.dialect, self.dialect.locked());
            let claims = claims(ends.iter().map(|end| &end.lease))?;
            self.rows(statement(select).bind(claims).bind(owner.to_owned())).await?
        };
        let mut owned = HashMap::new();
        for row in &rows {
            let (bytes, cancelled) = (get::<i64>(row, "input_bytes")?, get::<i64>(row, "cancelled")? != 0);
            owned.insert(JobRef::read(row)?, (turn_of(row)?, bytes, cancelled));
        }
        let (mut late, mut ended, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let (mut finished, mut waiting, mut released) = (Vec::new(), Vec::new(), Vec::new());
        for end in ends {
            let job = JobRef::of(&end.lease.tenant, &end.lease.id);
            let Some((turn, bytes, cancelled)) = owned.remove(&job) else {
                late.push(end.lease.clone());
                continue;
            };
            let (state, row) = end.row(cancelled);
            match state {
                Some(state) => {
                    gone.push(job.clone());
                    let (kept, outcome_bytes) = (end.keep_ms > 0, row.outcome_bytes());
                    ended.push(EndedJob { job, turn, bytes, state, kept, outcome_bytes });
                    if end.keep_ms > 0 {
                        finished.push(row);
                    }
                }
                None if end.outcome == JobOutcome::Released => released.push(job),
                None => {
                    gone.push(job);
                    waiting.push(row);
                }
            }
        }
        if is_final {
            let makes_ready = self.jobs_ended(&ended).await?;
            return Ok(FinishedJobs { late, makes_ready });
        }
        if !finished.is_empty() {
            self.run(statement(finish_jobs(self.dialect, "jobs")).bind(to_json(&finished)?)).await?;
        }
        if !waiting.is_empty() {
            self.run(statement(suspend_jobs(self.dialect)).bind(to_json(&waiting)?)).await?;
        }
        if !released.is_empty() {
            let update = format!(
                "UPDATE jobs SET state = 'ready', lease_owner = NULL, lease_until = NULL, attempt = attempt - 1 \
                 WHERE {}",
                self.is_one_of(1)
            );
            self.run(statement(update).bind(refs(&released)?)).await?;
        }
        self.delete_jobs("jobs", &gone).await?;
        let makes_ready = self.jobs_ended(&ended).await? || !released.is_empty();
        Ok(FinishedJobs { late, makes_ready })
    }

    /// Ends jobs of a table that nobody has claimed, with the reason of each. Their rows are locked.
    pub(super) async fn end_unclaimed(
        &mut self,
        table: &str,
        mut jobs: Vec<(EndedJob, String)>,
        keep_ms: u64,
    ) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        for (ended, reason) in &mut jobs {
            *reason = storable(reason);
            ended.outcome_bytes = signed(reason.len() as u64);
        }
        let row = |(ended, reason): &(EndedJob, String)| {
            let JobRef { tenant, id } = &ended.job;
            json!({
                "tenant": tenant,
                "id": id,
                "state": ended.state.as_str(),
                "error": reason,
                "keep_ms": span(keep_ms),
            })
        };
        let rows: Vec<_> = jobs.iter().filter(|(ended, _)| ended.kept).map(row).collect();
        if !rows.is_empty() {
            self.run(statement(finish_jobs(self.dialect, table)).bind(to_json(&rows)?)).await?;
        }
        let ended: Vec<_> = jobs.into_iter().map(|(ended, _)| ended).collect();
        let gone: Vec<_> = ended.iter().map(|ended| ended.job.clone()).collect();
        self.delete_jobs(table, &gone).await?;
        self.forget_dependencies(&gone).await?;
        self.jobs_ended(&ended).await.map(drop)
    }

    /// Deletes rows of one of the three tables of jobs.
    pub(super) async fn delete_jobs(&mut self, table: &str, jobs: &[JobRef]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let delete = format!("DELETE FROM {table} WHERE {}", self.is_one_of(1));
        self.run(statement(delete).bind(refs(jobs)?)).await.map(drop)
    }
}

impl JobEnd {
    /// The state that the job ends in, if it ends, and the row of the end. A job that is to be cancelled ends, unless
    /// it has ended by itself.
    fn row(&self, cancelled: bool) -> (Option<JobState>, End<'_>) {
        let mut row = End {
            tenant: self.lease.tenant.as_str(),
            id: &self.lease.id,
            epoch: self.lease.epoch,
            state: "",
            result: None,
            error: None,
            keep_ms: span(self.keep_ms),
            in_ms: 0,
            until: None,
            wait: None,
            version: None,
            attempts: 0,
        };
        let state = match &self.outcome {
            JobOutcome::Done { result } => {
                row.result = result.as_deref().map(storable);
                Some(JobState::Done)
            }
            JobOutcome::Dead { error } => {
                row.error = Some(storable(error));
                Some(JobState::Dead)
            }
            JobOutcome::Cancelled { reason } => {
                row.error = Some(storable(reason));
                Some(JobState::Cancelled)
            }
            _ if cancelled => {
                row.error = Some(CANCELLED.to_owned());
                Some(JobState::Cancelled)
            }
            JobOutcome::Retry { in_ms, error } => {
                (row.in_ms, row.error) = (span(*in_ms), Some(storable(error)));
                row.state = "time";
                None
            }
            JobOutcome::Suspended { until, wait, version } => {
                (row.until, row.wait, row.version) = (*until, wait.as_deref(), *version);
                row.state = if wait.is_some() { "event" } else { "time" };
                row.attempts = -1; // the claim that goes on counts it again
                None
            }
            JobOutcome::Released => None,
        };
        if let Some(state) = state {
            row.state = state.as_str();
        }
        (state, row)
    }
}

/// The turn that a job is in.
pub(super) fn turn_of(row: &AnyRow) -> Result<Option<OrderingKey>> {
    let key: Option<String> = get(row, "ordering_key")?;
    key.map(|key| Ok((get(row, "queue")?, key))).transpose()
}

/// The statement that selects those of the claims `$1` that are the owner's (`$2`), and locks them in the order in
/// which all do who lock several.
pub(super) fn owned_jobs(dialect: Dialect, lock: &str) -> String {
    format!(
        "SELECT tenant, id, queue, ordering_key, cancelled, {INPUT_BYTES} FROM jobs \
         WHERE {} AND lease_owner = $2 ORDER BY tenant, id {lock}",
        is_claim(dialect)
    )
}

/// The statement that ends those of the claims `$1` that are the owner's (`$2`), on PostgreSQL: what [`owned_jobs`],
/// [`finish_jobs`] and a deletion do, in a single visit of each row. The rows are deleted, and so locked, in the order
/// in which all do who lock several: that of the outer side of a nested loop.
pub(super) fn end_jobs() -> String {
    let (dialect, columns) = (Dialect::Postgres, columns_of(CAUSE_OF_END, "0", "j.version"));
    let now = dialect.now();
    format!(
        "WITH claim AS MATERIALIZED (SELECT item.value AS value, item.value->>'tenant' AS tenant, \
         item.value->>'id' AS id, CAST(item.value->>'epoch' AS BIGINT) AS epoch FROM {} ORDER BY 2, 3), \
         ended AS (DELETE FROM jobs j USING claim WHERE j.tenant = claim.tenant AND j.id = claim.id \
         AND j.epoch = claim.epoch AND j.lease_owner = $2 RETURNING j.*, claim.value AS value), \
         kept AS (INSERT INTO finished_jobs ({JOB_COLUMNS}, state, result, finished_at, keep_until) \
         SELECT {columns}, item.value->>'state', item.value->>'result', {now}, \
         {now} + CAST(item.value->>'keep_ms' AS BIGINT) FROM ended j \
         CROSS JOIN LATERAL (SELECT j.value) AS item (value) \
         WHERE CAST(item.value->>'keep_ms' AS BIGINT) > 0) \
         SELECT tenant, id, queue, ordering_key, cancelled, {INPUT_BYTES} FROM ended",
        dialect.each(1)
    )
}

/// The error of a job that ends: without one of its own that of its last attempt, unless it succeeds.
const CAUSE_OF_END: &str = "COALESCE(item.value->>'error', CASE WHEN item.value->>'state' <> 'done' THEN j.error END)";

/// The statement that copies jobs of a table that ended to where the finished ones are.
pub(super) fn finish_jobs(dialect: Dialect, table: &str) -> String {
    let (now, columns) = (dialect.now(), columns_of(CAUSE_OF_END, "0", "j.version"));
    format!(
        "INSERT INTO finished_jobs ({JOB_COLUMNS}, state, result, finished_at, keep_until) \
         SELECT {columns}, item.value->>'state', item.value->>'result', {now}, \
         {now} + CAST(item.value->>'keep_ms' AS BIGINT) FROM {} \
         JOIN {table} j ON j.tenant = item.value->>'tenant' AND j.id = item.value->>'id'",
        dialect.each(1)
    )
}

/// The statement that copies jobs that are to go on later to where the waiting ones are.
pub(super) fn suspend_jobs(dialect: Dialect) -> String {
    let version = "COALESCE(CAST(item.value->>'version' AS BIGINT), j.version)";
    let error = "COALESCE(item.value->>'error', j.error)";
    let columns = columns_of(error, "CAST(item.value->>'attempts' AS BIGINT)", version);
    // A wait for an event without a timeout has no time at which it is due.
    let due = format!(
        "CASE WHEN item.value->>'state' = 'event' OR item.value->>'until' IS NOT NULL \
         THEN CAST(item.value->>'until' AS BIGINT) ELSE {} + CAST(item.value->>'in_ms' AS BIGINT) END",
        dialect.now()
    );
    format!(
        "INSERT INTO waiting_jobs ({JOB_COLUMNS}, waits_for, due, wait) \
         SELECT {columns}, item.value->>'state', {due}, item.value->>'wait' FROM {} \
         JOIN jobs j ON j.tenant = item.value->>'tenant' AND j.id = item.value->>'id'",
        dialect.each(1)
    )
}

/// [`JOB_COLUMNS`] of the table `j`, but for some that change on the way.
fn columns_of(error: &str, attempts: &str, version: &str) -> String {
    let column = |name: &str| match name {
        "error" => error.to_owned(),
        "attempt" => format!("j.attempt + {attempts}"),
        "version" => version.to_owned(),
        _ => format!("j.{name}"),
    };
    JOB_COLUMNS.split(", ").map(column).collect::<Vec<_>>().join(", ")
}
