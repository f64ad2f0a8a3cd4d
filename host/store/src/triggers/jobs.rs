//! Looking at jobs, cancelling and retrying them, and deleting the records of those that have ended.

use super::enqueue::OrderingKey;
use super::finish::{EndedJob, turn_of};
use super::queue::is_known;
use super::usage::{INPUT_BYTES, JobCountChange, RECORD_BYTES};
use super::{Database, JOB_COLUMNS, JobRef, refs, statement};
use crate::error::{Error, Result};
use crate::{AllowedServices, Dialect, HostScope, TenantScope, before_id, get, number, signed, text, to_json};
use elias_api::{Code, JobCounts, JobFilter, JobRecord, JobState, QueueId};
use elias_names::{Environment, TenantId};
use serde_json::json;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;

/// How often a job is looked for that is between two tables.
const LOOKS: usize = 3;
/// For how long the key of an unfinished job stays, once its time is over.
const KEY_EXTENSION_MS: i64 = 3_600_000;

/// The result of cancelling a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelledJob {
    /// It is cancelled.
    Cancelled,
    /// A host runs it, and learns with its next heartbeat that it is to be cancelled.
    Leased,
    /// It had ended before.
    Finished,
}

/// A table of jobs: its columns for a [`JobRecord`] beside those that all have.
pub(super) struct JobTable {
    name: &'static str,
    columns: &'static str,
    states: &'static [JobState],
}

impl JobTable {
    /// Whether it may have jobs that the filter lets through.
    pub(super) fn may_have(&self, filter: &JobFilter) -> bool {
        filter.state.is_none_or(|state| self.states.contains(&state))
    }
}

pub(super) const TABLES: [JobTable; 3] = [
    JobTable {
        name: "jobs",
        columns: "state, NULL AS waits_for, CAST(NULL AS BIGINT) AS due, cancelled, NULL AS result, \
                  CAST(NULL AS BIGINT) AS finished_at",
        states: &[JobState::Ready, JobState::Leased],
    },
    JobTable {
        name: "waiting_jobs",
        columns: "'waiting' AS state, waits_for, due, CAST(0 AS BIGINT) AS cancelled, NULL AS result, \
                  CAST(NULL AS BIGINT) AS finished_at",
        states: &[JobState::Waiting],
    },
    JobTable {
        name: "finished_jobs",
        columns: "state, NULL AS waits_for, CAST(NULL AS BIGINT) AS due, CAST(0 AS BIGINT) AS cancelled, result, \
                  finished_at",
        states: &[JobState::Done, JobState::Dead, JobState::Cancelled],
    },
];

pub(super) fn job(row: &AnyRow) -> Result<JobRecord> {
    Ok(JobRecord {
        id: get(row, "id")?,
        queue: text(row, "queue")?,
        state: text(row, "state")?,
        key: get(row, "key")?,
        ordering_key: get(row, "ordering_key")?,
        concurrency_key: get(row, "concurrency_key")?,
        input: get(row, "input")?,
        priority: number(row, "priority")?,
        attempt: number(row, "attempt")?,
        version: get::<Option<i64>>(row, "version")?.and_then(|version| u32::try_from(version).ok()),
        cause: get(row, "cause")?,
        replayed_by: get(row, "replayed_by")?,
        hops: number(row, "hops")?,
        enqueued_at: get(row, "enqueued_at")?,
        waits_for: get(row, "waits_for")?,
        due: get(row, "due")?,
        cancelling: get::<i64>(row, "cancelled")? != 0,
        result: get(row, "result")?,
        error: get(row, "error")?,
        finished_at: get(row, "finished_at")?,
    })
}

/// The value that stands for the triggers of deliveries in [`IS_LISTED`].
const DELIVERIES: &str = "delivery";

/// The condition that a job of the tenant `$1` before the id `$2` is one of `$3` to `$6`: component, environment,
/// trigger (or [`DELIVERIES`]) and name, each empty for all. A later release may have other triggers, whose jobs this
/// one cannot read: they are left out here, so that a page is full without them.
pub(super) const IS_LISTED: &str = "tenant = $1 AND id < $2 AND ($3 = '' OR component = $3) AND ($4 = '' OR \
    environment = $4) AND ($5 = '' OR trigger = $5 OR ($5 = 'delivery' AND trigger IN ('event', 'webhook'))) \
                         AND ($6 = '' OR name = $6) AND trigger IN ('schedule', 'job', 'event', 'webhook')";

/// The statement that lists jobs of a table, the newest first; `conditions` are those of `$7` and `$8`, and the end.
pub(super) fn list_jobs(table: &JobTable, filter: &JobFilter, conditions: &str) -> String {
    let JobTable { name, columns, .. } = table;
    let state =
        filter.state.filter(|_| *name != "waiting_jobs").map(|state| format!("AND state = '{}'", state.as_str()));
    let state = state.unwrap_or_default();
    format!("SELECT {JOB_COLUMNS}, {columns} FROM {name} WHERE {IS_LISTED} {state} {conditions}")
}

impl TenantScope {
    /// The tenant's jobs, the newest first, without those of triggers that only a later release knows.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn jobs(&mut self, filter: &JobFilter, allowed: &AllowedServices, limit: u32) -> Result<Vec<JobRecord>> {
        let mut jobs = Vec::new();
        let conditions = format!("{} ORDER BY id DESC LIMIT $7", allowed.condition(self.dialect, 8));
        for table in TABLES.iter().filter(|table| table.may_have(filter)) {
            let query = self.query_listed(list_jobs(table, filter, &conditions), filter).bind(i64::from(limit));
            for row in &self.rows(allowed.bind(query)?).await? {
                jobs.push(job(row)?);
            }
        }
        jobs.sort_by(|one, other| other.id.cmp(&one.id));
        jobs.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(jobs)
    }

    /// A job.
    ///
    /// # Errors
    /// `not-found`, also for one whose record is not kept any more, or whose trigger only a later release knows.
    pub async fn job(&mut self, id: &str) -> Result<JobRecord> {
        for _ in 0..LOOKS {
            for JobTable { name, columns, .. } in &TABLES {
                let select = format!("SELECT {JOB_COLUMNS}, {columns} FROM {name} WHERE tenant = $1 AND id = $2");
                let query = self.query_text(select).bind(id.to_owned());
                if let Some(row) = self.row(query).await? {
                    return if is_known(&row) { job(&row) } else { Err(not_found(id)) };
                }
            }
        }
        Err(not_found(id))
    }

    /// How many jobs the tenant has, by state. It takes time by their number.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn job_counts(&mut self) -> Result<JobCounts> {
        let select = "SELECT (SELECT count(*) FROM waiting_jobs WHERE tenant = $1) AS waiting, \
                      (SELECT count(*) FROM jobs WHERE tenant = $1 AND state = 'ready') AS ready, \
                      (SELECT count(*) FROM jobs WHERE tenant = $1 AND state = 'leased') AS leased, \
                      (SELECT count(*) FROM finished_jobs WHERE tenant = $1 AND state = 'dead') AS dead";
        let query = self.query(select);
        let row = self.row(query).await?.ok_or_else(|| Error::new(Code::Internal, "the store counted no jobs"))?;
        Ok(JobCounts {
            waiting: number(&row, "waiting")?,
            ready: number(&row, "ready")?,
            leased: number(&row, "leased")?,
            dead: number(&row, "dead")?,
        })
    }

    /// Cancels a job. Its record is kept for `keep_ms` milliseconds. Jobs that were to run after it die.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn cancel_job(&mut self, id: &str, reason: &str, keep_ms: u64) -> Result<CancelledJob> {
        let job = JobRef::of(&self.tenant, id);
        self.database().cancel(&job, reason, keep_ms).await
    }

    /// Makes a dead job ready again, with all its attempts and what its journal has.
    ///
    /// # Errors
    /// `not-found`; `wrong-state` if it is not dead.
    pub async fn retry_job(&mut self, id: &str) -> Result<()> {
        let (tenant, lock) = (self.tenant.clone(), self.dialect.locked());
        let select = format!(
            "SELECT tenant, id, queue, ordering_key, {INPUT_BYTES}, {RECORD_BYTES} FROM finished_jobs \
             WHERE tenant = $1 AND id = $2 AND state = 'dead' {lock}"
        );
        let query = self.query_text(select).bind(id.to_owned());
        let dead = self.rows(query).await?;
        if dead.is_empty() {
            let state = self.job(id).await?.state;
            return Err(Error::new(Code::WrongState, format!("job {id} is {}, and not dead", state.as_str())));
        }
        self.database().restart(&tenant, &dead).await
    }

    /// Makes at most `most` dead jobs ready again, the newest first; says how many. The filter's state does not matter.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn retry_jobs(&mut self, filter: &JobFilter, allowed: &AllowedServices, most: u32) -> Result<u64> {
        let (tenant, lock) = (self.tenant.clone(), self.dialect.locked_if_free());
        let select = format!(
            "SELECT tenant, id, queue, ordering_key, {INPUT_BYTES}, {RECORD_BYTES} FROM finished_jobs \
             WHERE {IS_LISTED} AND state = 'dead' {} ORDER BY id DESC LIMIT $7 {lock}",
            allowed.condition(self.dialect, 8)
        );
        let query = self.query_listed(select, filter).bind(i64::from(most));
        let dead = self.rows(allowed.bind(query)?).await?;
        self.database().restart(&tenant, &dead).await?;
        Ok(dead.len() as u64)
    }

    /// A statement with the condition [`IS_LISTED`].
    pub(super) fn query_listed(&self, sql: String, filter: &JobFilter) -> crate::Query {
        let query = self.query_text(sql).bind(before_id(filter.before.as_deref()));
        let query = query.bind(filter.component.as_ref().map_or_else(String::new, ToString::to_string));
        let query = query.bind(filter.environment.map_or("", Environment::as_str));
        let all = if filter.deliveries { DELIVERIES } else { "" };
        let query = query.bind(filter.trigger.map_or(all, elias_api::JobTrigger::as_str));
        query.bind(filter.name.clone().unwrap_or_default())
    }
}

impl HostScope {
    /// The ids of at most `most` unfinished jobs of a queue.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn unfinished_of(&mut self, tenant: &TenantId, queue: &QueueId, most: u32) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for select in UNFINISHED_OF {
            let query = sqlx::query(select).bind(tenant.as_str().to_owned()).bind(queue.to_string());
            for row in &self.database().rows(query.bind(i64::from(most))).await? {
                ids.push(get(row, "id")?);
            }
        }
        ids.truncate(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(ids)
    }

    /// Cancels a tenant's job, as [`TenantScope::cancel_job`] does.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn cancel_job(
        &mut self,
        tenant: &TenantId,
        id: &str,
        reason: &str,
        keep_ms: u64,
    ) -> Result<CancelledJob> {
        self.database().cancel(&JobRef::of(tenant, id), reason, keep_ms).await
    }

    /// Deletes at most `most` records of jobs that have ended and are not to be kept any more, with their journals;
    /// says how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_jobs(&mut self, most: u32) -> Result<u64> {
        let select = outdated_jobs(self.dialect);
        let mut database = self.database();
        let rows = database.rows(statement(select).bind(i64::from(most))).await?;
        database.delete_records(&rows).await?;
        Ok(rows.len() as u64)
    }

    /// Deletes records of a tenant's jobs that are done or cancelled, the oldest first, until `bytes` bytes are free or
    /// `most` are deleted, with their journals; says how many. Dead jobs stay.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn trim_jobs(&mut self, tenant: &TenantId, bytes: u64, most: u32) -> Result<u64> {
        let select = ended_jobs(self.dialect);
        let mut database = self.database();
        let mut rows = database.rows(statement(select).bind(tenant.as_str().to_owned()).bind(i64::from(most))).await?;
        let (mut freed, mut count) = (0, 0);
        while freed < bytes && count < rows.len() {
            freed += number::<u64>(&rows[count], "record_bytes")?;
            count += 1;
        }
        rows.truncate(count);
        database.delete_records(&rows).await?;
        Ok(count as u64)
    }

    /// Deletes at most `most` unique keys whose time is over; says how many. Those of unfinished jobs stay.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_job_keys(&mut self, most: u32) -> Result<u64> {
        self.database().prune_keys(most).await
    }
}

/// The statements that select the ids of at most `$3` unfinished jobs of the tenant `$1` and the queue `$2`. What is
/// leased is little, and has no index by queue, which would be written to with each claim; the expression keeps SQLite
/// from reading the tenant's whole queue instead.
pub(super) const UNFINISHED_OF: [&str; 3] = [
    "SELECT id FROM jobs WHERE tenant || '' = $1 AND queue = $2 AND state = 'leased' AND lease_until > 0 LIMIT $3",
    "SELECT id FROM jobs WHERE tenant = $1 AND queue = $2 AND state = 'ready' LIMIT $3",
    "SELECT id FROM waiting_jobs WHERE tenant = $1 AND queue = $2 LIMIT $3",
];

/// The statement that selects at most `$1` records that are not to be kept any more.
pub(super) fn outdated_jobs(dialect: Dialect) -> String {
    format!(
        "SELECT tenant, id, {RECORD_BYTES} FROM finished_jobs WHERE keep_until <= {} ORDER BY keep_until LIMIT $1 {}",
        dialect.now(),
        dialect.locked_if_free()
    )
}

/// The statement that selects at most `$2` records of the tenant `$1` that nobody will run again, the oldest first.
pub(super) fn ended_jobs(dialect: Dialect) -> String {
    let lock = dialect.locked_if_free();
    format!(
        "SELECT tenant, id, {RECORD_BYTES} FROM finished_jobs WHERE tenant = $1 AND state <> 'dead' ORDER BY id \
         LIMIT $2 {lock}"
    )
}

impl Database<'_> {
    /// Deletes records of jobs that have ended, with their journals. Their rows are locked.
    pub(super) async fn delete_records(&mut self, records: &[AnyRow]) -> Result<()> {
        let jobs = records.iter().map(JobRef::read).collect::<Result<Vec<_>>>()?;
        self.delete_jobs("finished_jobs", &jobs).await?;
        self.delete_steps(&jobs).await?;
        let mut freed: BTreeMap<&str, i64> = BTreeMap::new();
        for (job, row) in jobs.iter().zip(records) {
            *freed.entry(job.tenant.as_str()).or_default() += get::<i64>(row, "record_bytes")?;
        }
        let change =
            |(tenant, bytes): (&str, i64)| JobCountChange { tenant: tenant.to_owned(), jobs: 0, bytes: -bytes };
        self.count(&freed.into_iter().map(change).collect::<Vec<_>>()).await
    }

    async fn cancel(&mut self, job: &JobRef, reason: &str, keep_ms: u64) -> Result<CancelledJob> {
        let lock = self.dialect.locked();
        for _ in 0..LOOKS {
            for (table, state) in [("waiting_jobs", "'waiting'"), ("jobs", "state"), ("finished_jobs", "state")] {
                let select = format!(
                    "SELECT tenant, id, queue, ordering_key, {state} AS state, {INPUT_BYTES} FROM {table} \
                     WHERE tenant = $1 AND id = $2 {lock}"
                );
                let query = statement(select).bind(job.tenant.clone()).bind(job.id.clone());
                let Some(row) = self.row(query).await? else { continue };
                match text::<JobState>(&row, "state")? {
                    JobState::Done | JobState::Dead | JobState::Cancelled => return Ok(CancelledJob::Finished),
                    JobState::Leased => {
                        let update = "UPDATE jobs SET cancelled = 1 WHERE tenant = $1 AND id = $2";
                        self.run(sqlx::query(update).bind(job.tenant.clone()).bind(job.id.clone())).await?;
                        return Ok(CancelledJob::Leased);
                    }
                    JobState::Waiting | JobState::Ready => {
                        let (turn, bytes, state) = (turn_of(&row)?, get(&row, "input_bytes")?, JobState::Cancelled);
                        let (job, kept, outcome_bytes) = (job.clone(), keep_ms > 0, 0);
                        let ended = EndedJob { job, turn, bytes, state, kept, outcome_bytes };
                        self.end_unclaimed(table, vec![(ended, reason.to_owned())], keep_ms).await?;
                        return Ok(CancelledJob::Cancelled);
                    }
                }
            }
        }
        Err(not_found(&job.id))
    }

    /// Puts dead jobs of a tenant back into the queue. Their rows are locked.
    async fn restart(&mut self, tenant: &TenantId, dead: &[AnyRow]) -> Result<()> {
        if dead.is_empty() {
            return Ok(());
        }
        let (mut jobs, mut turns, mut bytes) = (Vec::new(), BTreeMap::<OrderingKey, String>::new(), 0_i64);
        for row in dead {
            // What is no record any more.
            bytes += get::<i64>(row, "input_bytes")? - get::<i64>(row, "record_bytes")?;
            let (job, turn) = (JobRef::read(row)?, turn_of(row)?);
            if let Some(turn) = turn.clone() {
                let first = turns.entry(turn).or_insert_with(|| job.id.clone());
                if job.id < *first {
                    first.clone_from(&job.id);
                }
            }
            jobs.push((job, turn));
        }
        let first = self.join_turns(tenant, &turns.into_iter().collect::<Vec<_>>()).await?;
        let is_first = |(job, turn): &(JobRef, Option<OrderingKey>)| {
            turn.as_ref().is_none_or(|turn| first.get(turn) == Some(&job.id))
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = jobs.into_iter().partition(is_first);
        let (now, is_one) = (self.dialect.now(), self.is_one_of(1));
        let columns = JOB_COLUMNS.replace("attempt", "0");
        for (jobs, insert) in [
            (
                ready,
                format!(
                    "INSERT INTO jobs ({JOB_COLUMNS}, rank, ready_at, state) \
                     SELECT {columns}, {now} - head_start, {now}, 'ready' FROM finished_jobs WHERE {is_one}"
                ),
            ),
            (
                waiting,
                format!(
                    "INSERT INTO waiting_jobs ({JOB_COLUMNS}, waits_for) \
                     SELECT {columns}, 'order' FROM finished_jobs WHERE {is_one}"
                ),
            ),
        ] {
            let jobs: Vec<_> = jobs.into_iter().map(|(job, _)| job).collect();
            if !jobs.is_empty() {
                self.run(statement(insert).bind(refs(&jobs)?)).await?;
                self.delete_jobs("finished_jobs", &jobs).await?;
            }
        }
        let (tenant, jobs) = (tenant.as_str().to_owned(), signed(dead.len() as u64));
        self.count(&[JobCountChange { tenant, jobs, bytes }]).await
    }

    async fn prune_keys(&mut self, most: u32) -> Result<u64> {
        let (now, lock) = (self.dialect.now(), self.dialect.locked_if_free());
        let select =
            format!("SELECT tenant, queue, key FROM job_keys WHERE until <= {now} ORDER BY until LIMIT $1 {lock}");
        let mut keys = Vec::new();
        for row in &self.rows(statement(select).bind(i64::from(most))).await? {
            let (tenant, queue): (String, String) = (get(row, "tenant")?, get(row, "queue")?);
            keys.push(json!({ "tenant": tenant, "queue": queue, "key": get::<String>(row, "key")? }));
        }
        if keys.is_empty() {
            return Ok(0);
        }
        let is_one = format!(
            "(tenant, queue, key) IN (SELECT item.value->>'tenant', item.value->>'queue', item.value->>'key' FROM {})",
            self.dialect.each(1)
        );
        let delete = format!(
            "DELETE FROM job_keys WHERE {is_one} \
             AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.tenant = job_keys.tenant AND j.id = job_keys.job) \
             AND NOT EXISTS (SELECT 1 FROM waiting_jobs w WHERE w.tenant = job_keys.tenant AND w.id = job_keys.job)"
        );
        let deleted = self.run(statement(delete).bind(to_json(&keys)?)).await?;
        let update = format!("UPDATE job_keys SET until = {now} + $2 WHERE {is_one}");
        self.run(statement(update).bind(to_json(&keys)?).bind(KEY_EXTENSION_MS)).await?;
        Ok(deleted)
    }
}

fn not_found(id: &str) -> Error {
    Error::not_found(format_args!("job `{id}`"))
}
