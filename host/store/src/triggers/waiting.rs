//! Jobs that wait: for a time, for other jobs, for their turn in an order, for an event.

use super::enqueue::{OrderingKey, ended_otherwise};
use super::finish::{EndedJob, turn_of};
use super::usage::{INPUT_BYTES, JobCountChange};
use super::{Database, JOB_COLUMNS, JobRef, Step, refs, statement};
use crate::error::Result;
use crate::{Dialect, HostScope, get, text, to_json};
use elias_api::{JobState, QueueId};
use elias_names::TenantId;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// The result for jobs whose time had come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MovedJobs {
    /// Those that are ready now.
    pub ready: u64,
    /// Those that are dead now: a job that they were to run after did not succeed.
    pub dead: u64,
}

/// A job that waits for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWait {
    /// The job's id.
    pub id: String,
    /// Its queue.
    pub queue: QueueId,
    /// The wait, as the caller wrote it.
    pub wait: String,
}

impl HostScope {
    /// Moves at most `most` jobs whose time has come to those that are ready. Records of those that are dead instead
    /// are kept for `keep_ms` milliseconds.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn move_due_jobs(&mut self, most: u32, keep_ms: u64) -> Result<MovedJobs> {
        self.database().move_due(most, keep_ms).await
    }

    /// A tenant's jobs that wait for events, after the one with the id `after`, by id.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn event_waits(&mut self, tenant: &TenantId, after: &str, limit: u32) -> Result<Vec<EventWait>> {
        let query = sqlx::query(EVENT_WAITS).bind(tenant.as_str().to_owned()).bind(after.to_owned());
        let rows = self.database().rows(query.bind(i64::from(limit))).await?;
        let wait =
            |row: &AnyRow| Ok(EventWait { id: get(row, "id")?, queue: text(row, "queue")?, wait: get(row, "wait")? });
        rows.iter().map(wait).collect()
    }

    /// Lets a job go on that waits for an event, with what happened as the outcome of a step in its journal. `false` if
    /// it does not wait for one any more.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn wake_job(&mut self, tenant: &TenantId, id: &str, happened: &Step) -> Result<bool> {
        self.database().wake(tenant, id, happened).await
    }
}

/// Without the jobs of triggers that only a later release knows, whose hosts wake them.
pub(super) const EVENT_WAITS: &str = "SELECT id, queue, wait FROM waiting_jobs \
    WHERE tenant = $1 AND id > $2 AND waits_for = 'event' AND trigger IN ('schedule', 'job', 'event', 'webhook') \
    ORDER BY id LIMIT $3";

/// The statement that selects at most `$1` jobs whose time has come.
pub(super) fn due_jobs(dialect: Dialect) -> String {
    format!(
        "SELECT tenant, id, queue, ordering_key, fails_with, {INPUT_BYTES} FROM waiting_jobs \
         WHERE due <= {} ORDER BY due LIMIT $1 {}",
        dialect.now(),
        dialect.locked_if_free()
    )
}

/// The statement that gives the turns of the jobs `$1` to those that wait for them next.
pub(super) fn next_turns(dialect: Dialect) -> String {
    format!(
        "UPDATE ordering_keys SET job = (SELECT w.id FROM waiting_jobs w WHERE w.tenant = ordering_keys.tenant \
         AND w.queue = ordering_keys.queue AND w.ordering_key = ordering_keys.ordering_key AND w.waits_for = 'order' \
         ORDER BY w.ordering_position, w.id LIMIT 1) WHERE {} RETURNING tenant, queue, ordering_key, job",
        has_turn(dialect)
    )
}

fn has_turn(dialect: Dialect) -> String {
    format!(
        "(tenant, queue, ordering_key, job) IN (SELECT item.value->>'tenant', item.value->>'queue', \
         item.value->>'key', item.value->>'job' FROM {})",
        dialect.each(1)
    )
}

impl Database<'_> {
    /// The consequences of the end of jobs: those that run after them, those whose turn is next, the count. Says
    /// whether others may be ready now.
    pub(super) async fn jobs_ended(&mut self, ended: &[EndedJob]) -> Result<bool> {
        if ended.is_empty() {
            return Ok(false);
        }
        // A record that is kept keeps its steps, which stay where they are: to move them would write each once more. A
        // dead job may be run again and needs all of them.
        let jobs_of = |is_one: fn(&&EndedJob) -> bool| -> Vec<JobRef> {
            ended.iter().filter(is_one).map(|ended| ended.job.clone()).collect()
        };
        self.delete_steps(&jobs_of(|ended| !ended.kept)).await?;
        self.cut_steps(&jobs_of(|ended| ended.kept && ended.state != JobState::Dead)).await?;
        let has_resolved = self.resolve_dependencies(ended).await?;
        let turns = ended.iter().filter_map(|ended| Some((ended.job.clone(), ended.turn.clone()?)));
        let has_passed = self.pass_turns(turns.collect()).await?;
        let mut counts: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for ended in ended {
            let (jobs, bytes) = counts.entry(ended.job.tenant.as_str()).or_default();
            *jobs -= 1;
            *bytes += ended.bytes_change();
        }
        let change =
            |(tenant, (jobs, bytes)): (&str, (i64, i64))| JobCountChange { tenant: tenant.to_owned(), jobs, bytes };
        self.count(&counts.into_iter().map(change).collect::<Vec<_>>()).await?;
        Ok(has_resolved || has_passed)
    }

    async fn move_due(&mut self, most: u32, keep_ms: u64) -> Result<MovedJobs> {
        let rows = self.rows(statement(due_jobs(self.dialect)).bind(i64::from(most))).await?;
        let (mut ready, mut dead) = (Vec::new(), Vec::new());
        for row in &rows {
            let job = JobRef::read(row)?;
            match get::<Option<String>>(row, "fails_with")? {
                None => ready.push(job),
                Some(reason) => {
                    let (turn, bytes, state) = (turn_of(row)?, get(row, "input_bytes")?, JobState::Dead);
                    let ended = EndedJob { job, turn, bytes, state, kept: keep_ms > 0, outcome_bytes: 0 };
                    dead.push((ended, reason));
                }
            }
        }
        let moved = MovedJobs { ready: ready.len() as u64, dead: dead.len() as u64 };
        self.make_ready(&ready).await?;
        self.end_unclaimed("waiting_jobs", dead, keep_ms).await?;
        Ok(moved)
    }

    async fn wake(&mut self, tenant: &TenantId, id: &str, happened: &Step) -> Result<bool> {
        let (now, lock) = (self.dialect.now(), self.dialect.locked());
        let select =
            format!("SELECT id FROM waiting_jobs WHERE tenant = $1 AND id = $2 AND waits_for = 'event' {lock}");
        let query = statement(select).bind(tenant.as_str().to_owned()).bind(id.to_owned());
        if self.row(query).await?.is_none() {
            return Ok(false);
        }
        self.insert_steps(&[(JobRef::of(tenant, id), happened)]).await?;
        let update = format!("UPDATE waiting_jobs SET due = {now} WHERE tenant = $1 AND id = $2");
        self.run(statement(update).bind(tenant.as_str().to_owned()).bind(id.to_owned())).await?;
        self.make_ready(&[JobRef::of(tenant, id)]).await?;
        Ok(true)
    }

    /// Moves waiting jobs to those that are ready. Their rows are locked.
    async fn make_ready(&mut self, jobs: &[JobRef]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let insert = format!(
            "INSERT INTO jobs ({JOB_COLUMNS}, rank, ready_at, state) \
             SELECT {JOB_COLUMNS}, due - head_start, due, 'ready' FROM waiting_jobs WHERE {}",
            self.is_one_of(1)
        );
        self.run(statement(insert).bind(refs(jobs)?)).await?;
        self.delete_jobs("waiting_jobs", jobs).await
    }

    /// Lets jobs go on, now or at the time that they were to run at, that have waited for others or for their turn.
    /// Says which of them have.
    async fn release(&mut self, jobs: &[JobRef]) -> Result<HashSet<JobRef>> {
        if jobs.is_empty() {
            return Ok(HashSet::new());
        }
        let (now, list) = (self.dialect.now(), refs(jobs)?);
        let update = format!(
            "UPDATE waiting_jobs SET waits_for = 'time', due = CASE WHEN run_at > {now} THEN run_at ELSE {now} END \
             WHERE {} \
             AND waits_for IN ('jobs', 'order') AND missing <= 0 RETURNING tenant, id, due - {now} AS due_in",
            self.is_one_of(1)
        );
        let (mut released, mut due) = (HashSet::new(), Vec::new());
        for row in &self.rows(statement(update).bind(list)).await? {
            let job = JobRef::read(row)?;
            if get::<i64>(row, "due_in")? <= 0 {
                due.push(job.clone());
            }
            released.insert(job);
        }
        self.make_ready(&due).await?;
        Ok(released)
    }

    /// Tells the jobs that were to run after these. Says whether one of them may be ready now.
    async fn resolve_dependencies(&mut self, ended: &[EndedJob]) -> Result<bool> {
        let list = refs(&ended.iter().map(|ended| ended.job.clone()).collect::<Vec<_>>())?;
        let is_ended = "(tenant, dependency) IN (SELECT item.value->>'tenant', item.value->>'id' FROM";
        let each = self.dialect.each(1);
        let select = format!("SELECT tenant, dependency, job FROM job_dependencies WHERE {is_ended} {each})");
        let rows = self.rows(statement(select).bind(list.clone())).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let states: HashMap<_, _> = ended.iter().map(|ended| (&ended.job, ended.state)).collect();
        let (mut done, mut failed): (BTreeMap<JobRef, i64>, BTreeMap<JobRef, String>) = Default::default();
        for row in &rows {
            let tenant: String = get(row, "tenant")?;
            let job = JobRef { tenant: tenant.clone(), id: get(row, "job")? };
            let dependency = JobRef { tenant, id: get(row, "dependency")? };
            match states.get(&dependency) {
                Some(JobState::Done) | None => *done.entry(job).or_default() += 1,
                Some(state) => {
                    failed.insert(job, ended_otherwise(&dependency.id, *state));
                }
            }
        }
        if self.dialect == Dialect::Postgres {
            let all: Vec<_> = done.keys().chain(failed.keys()).cloned().collect();
            let is_one = self.is_one_of(1);
            let lock = format!("SELECT id FROM waiting_jobs WHERE {is_one} ORDER BY tenant, id FOR UPDATE");
            self.rows(statement(lock).bind(refs(&all)?)).await?;
        }
        let of_item = format!(
            "FROM {each} WHERE waiting_jobs.tenant = item.value->>'tenant' AND waiting_jobs.id = item.value->>'id'"
        );
        let item = |job: &JobRef, value: Value| json!({ "tenant": job.tenant, "id": job.id, "value": value });
        if !done.is_empty() {
            let update = "UPDATE waiting_jobs SET missing = missing - CAST(item.value->>'value' AS BIGINT)";
            let items: Vec<_> = done.iter().map(|(job, count)| item(job, json!(count))).collect();
            self.run(statement(format!("{update} {of_item}")).bind(to_json(&items)?)).await?;
        }
        if !failed.is_empty() {
            let now = self.dialect.now();
            let update =
                format!("UPDATE waiting_jobs SET waits_for = 'time', due = {now}, fails_with = item.value->>'value'");
            let items: Vec<_> = failed.iter().map(|(job, reason)| item(job, json!(reason))).collect();
            self.run(statement(format!("{update} {of_item}")).bind(to_json(&items)?)).await?;
        }
        let delete = format!("DELETE FROM job_dependencies WHERE {is_ended} {each})");
        self.run(statement(delete).bind(list)).await?;
        let released = self.release(&done.into_keys().collect::<Vec<_>>()).await?;
        Ok(!released.is_empty())
    }

    /// Forgets for which other jobs these have waited.
    pub(super) async fn forget_dependencies(&mut self, jobs: &[JobRef]) -> Result<()> {
        let each = self.dialect.each(1);
        let delete = format!(
            "DELETE FROM job_dependencies WHERE (tenant, job) IN \
             (SELECT item.value->>'tenant', item.value->>'id' FROM {each})"
        );
        self.run(statement(delete).bind(refs(jobs)?)).await.map(drop)
    }

    /// Gives the turns of jobs that have ended to the next ones. Says whether one of them may be ready now.
    async fn pass_turns(&mut self, mut turns: Vec<(JobRef, OrderingKey)>) -> Result<bool> {
        let mut has_passed = false;
        // In the order in which those who enqueue lock them: that of bytes, whatever the database's collation is.
        let select = format!(
            "SELECT job FROM ordering_keys WHERE {} ORDER BY tenant COLLATE \"C\", queue COLLATE \"C\", \
             ordering_key COLLATE \"C\" FOR UPDATE",
            has_turn(self.dialect)
        );
        let delete = format!(
            "DELETE FROM ordering_keys WHERE job IS NULL AND (tenant, queue, ordering_key) IN \
             (SELECT item.value->>'tenant', item.value->>'queue', item.value->>'key' FROM {})",
            self.dialect.each(1)
        );
        while !turns.is_empty() {
            let items = turns
                .iter()
                .map(|(job, (queue, key))| json!({ "tenant": job.tenant, "queue": queue, "key": key, "job": job.id }));
            let list = to_json(&items.collect::<Vec<_>>())?;
            if self.dialect == Dialect::Postgres {
                // Whoever is about to wait for such a turn has it locked: the next statement sees it waiting.
                self.rows(statement(select.clone()).bind(list.clone())).await?;
            }
            let rows = self.rows(statement(next_turns(self.dialect)).bind(list.clone())).await?;
            let mut next = Vec::new();
            for row in &rows {
                if let (Some(id), Some(turn)) = (get::<Option<String>>(row, "job")?, turn_of(row)?) {
                    next.push((JobRef { tenant: get(row, "tenant")?, id }, turn));
                }
            }
            if next.len() < rows.len() {
                self.run(statement(delete.clone()).bind(list)).await?;
            }
            // One that is being cancelled at the same time is gone by now: its turn goes on to the next.
            let released = self.release(&next.iter().map(|(job, _)| job.clone()).collect::<Vec<_>>()).await?;
            has_passed |= !released.is_empty();
            turns = next.into_iter().filter(|(job, _)| !released.contains(job)).collect();
        }
        Ok(has_passed)
    }
}
