//! Enqueuing: unique keys, dependencies, turns in an order.

use super::usage::{JobCountChange, stored_bytes};
use super::{Database, JOB_COLUMNS, JobRef, inserts, refs, span, statement};
use crate::error::{Error, Result};
use crate::{HostScope, Query, TenantScope, get, signed, storable, text, to_json};
use elias_api::{Code, JobState, QueueId, Quotas};
use elias_names::{Digest, TenantId};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How often dependencies are looked for that are between two tables.
const LOOKS: usize = 3;

/// A job to be enqueued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Its id, a new ULID.
    pub id: String,
    /// Where it runs, and under which name.
    pub queue: QueueId,
    /// The input, a JSON text.
    pub input: String,
    /// The priority, for people to read; `head_start_ms` is what it is worth.
    pub priority: i32,
    /// By how many milliseconds the job is ahead of others of its queue that are ready since the same time; negative
    /// if it is behind them. Bounded, it cannot keep others from running for ever.
    pub head_start_ms: i64,
    /// When it may run first.
    pub start: JobStart,
    /// With this key there is one job, whoever enqueues how many.
    pub key: Option<JobKey>,
    /// Its turn among jobs that run one after the other.
    pub order: Option<JobOrder>,
    /// Of the jobs of a queue with the same concurrency key only so many are claimed at a time as the queue allows.
    pub concurrency_key: Option<String>,
    /// The ids of jobs of the tenant that must be done before. They are in the store, or earlier in the batch. If one
    /// of them ends otherwise, so does this one.
    pub after: Vec<String>,
    /// The `traceparent` of what enqueues it.
    pub cause: Option<String>,
    /// How many events led to it.
    pub hops: u32,
    /// The actor who replays the event that it delivers, if somebody does.
    pub replayed_by: Option<String>,
    /// The version that has to run it, if not any may.
    pub version: Option<u32>,
}

/// When a job may run first, by the database's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobStart {
    /// At once.
    #[default]
    Now,
    /// At this time, in milliseconds since 1970.
    At(i64),
    /// In so many milliseconds.
    In(u64),
}

/// A unique key within a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobKey {
    /// The key.
    pub key: String,
    /// For how many milliseconds it stays the job's, and longer if the job is unfinished then.
    pub for_ms: u64,
}

/// The turn of a job: of the jobs of a queue with the same ordering key, the first unfinished one alone is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobOrder {
    /// The ordering key.
    pub key: String,
    /// Among those that wait, lower positions go first.
    pub position: u64,
}

/// The result of enqueueing a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnqueueOutcome {
    /// It is in the queue.
    New,
    /// Another job has its key.
    Existing {
        /// That job's id.
        id: String,
        /// Whether that job was enqueued with the same input.
        same_input: bool,
    },
}

/// The state that a job begins in.
enum InitialState {
    Ready,
    Waiting { waits_for: &'static str, due: Option<i64>, missing: i64, fails_with: Option<String> },
}

impl TenantScope {
    /// Enqueues jobs, if the quotas `jobs` and `trigger-bytes` allow them; without `quotas` there are none. Says of
    /// each what became of it. Transactions at the same time may exceed a quota together, each by its own jobs.
    ///
    /// # Errors
    /// `quota-exceeded`; `not-found` if a job is to run after one that is not known; `bad-input` if one is to run after
    /// others and in an order. The transaction must be dropped then.
    pub async fn enqueue_jobs(&mut self, jobs: &[NewJob], quotas: Option<&Quotas>) -> Result<Vec<EnqueueOutcome>> {
        let tenant = self.tenant.clone();
        self.database().enqueue(&tenant, jobs, quotas).await
    }
}

impl HostScope {
    /// Enqueues jobs of a tenant, as [`TenantScope::enqueue_jobs`] does; several tenants' in one transaction.
    ///
    /// # Errors
    /// As there.
    pub async fn enqueue_jobs(
        &mut self,
        tenant: &TenantId,
        jobs: &[NewJob],
        quotas: Option<&Quotas>,
    ) -> Result<Vec<EnqueueOutcome>> {
        self.database().enqueue(tenant, jobs, quotas).await
    }
}

impl Database<'_> {
    pub(super) async fn enqueue(
        &mut self,
        tenant: &TenantId,
        jobs: &[NewJob],
        quotas: Option<&Quotas>,
    ) -> Result<Vec<EnqueueOutcome>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.now().await?;
        let enqueued = self.take_keys(tenant, jobs, now).await?;
        let new: Vec<_> = jobs
            .iter()
            .zip(&enqueued)
            .filter(|(_, enqueued)| **enqueued == EnqueueOutcome::New)
            .map(|(job, _)| job)
            .collect();
        let bytes: u64 = new.iter().map(|job| stored_bytes(&job.input)).sum();
        if let Some(quotas) = quotas {
            self.check_jobs(tenant, new.len() as u64, bytes, quotas).await?;
        }
        let places = self.places(tenant, &new, &existing(jobs, &enqueued), now).await?;
        let (mut ready, mut waiting) = (Vec::new(), Vec::new());
        for (job, place) in new.iter().zip(&places) {
            match place {
                InitialState::Ready => ready.push(*job),
                InitialState::Waiting { .. } => waiting.push((*job, place)),
            }
        }
        let columns = format!("{JOB_COLUMNS}, rank, ready_at, state");
        let bind = |query: Query, job: &&NewJob| {
            let query = bind_job(query, tenant, job, now);
            query.bind(now.saturating_sub(job.head_start_ms)).bind(now).bind(JobState::Ready.as_str())
        };
        self.run_each(inserts("jobs", &columns, "", &ready, bind)).await?;
        let columns = format!("{JOB_COLUMNS}, waits_for, due, run_at, missing, fails_with");
        let bind = |query: Query, (job, place): &(&NewJob, &InitialState)| {
            let InitialState::Waiting { waits_for, due, missing, fails_with } = place else { return query };
            let query = bind_job(query, tenant, job, now).bind(*waits_for).bind(*due);
            query.bind(job.start.at(now)).bind(*missing).bind(fails_with.clone())
        };
        self.run_each(inserts("waiting_jobs", &columns, "", &waiting, bind)).await?;
        let (tenant, jobs, bytes) = (tenant.as_str().to_owned(), signed(new.len() as u64), signed(bytes));
        self.count(&[JobCountChange { tenant, jobs, bytes }]).await?;
        Ok(enqueued)
    }

    /// Takes the unique keys of these jobs, or finds who has them.
    async fn take_keys(&mut self, tenant: &TenantId, jobs: &[NewJob], now: i64) -> Result<Vec<EnqueueOutcome>> {
        let mut wanted: BTreeMap<(String, String), (&NewJob, i64)> = BTreeMap::new(); // all lock them in this order
        for job in jobs {
            if let Some(key) = &job.key {
                let until = now.saturating_add(span(key.for_ms));
                wanted.entry((job.queue.to_string(), storable(&key.key))).or_insert((job, until));
            }
        }
        if wanted.is_empty() {
            return Ok(vec![EnqueueOutcome::New; jobs.len()]);
        }
        let end = format!(
            "ON CONFLICT (tenant, queue, key) DO UPDATE SET job = excluded.job, \
             input_digest = excluded.input_digest, until = excluded.until WHERE job_keys.until <= {} \
             AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.tenant = job_keys.tenant AND j.id = job_keys.job) \
             AND NOT EXISTS (SELECT 1 FROM waiting_jobs w WHERE w.tenant = job_keys.tenant AND w.id = job_keys.job)",
            self.dialect.now()
        );
        let rows: Vec<_> = wanted.iter().collect();
        let bind = |query: Query, ((queue, key), (job, until)): &(&(String, String), &(&NewJob, i64))| {
            let query = query.bind(tenant.as_str().to_owned()).bind(queue.clone()).bind(key.clone());
            query.bind(job.id.clone()).bind(input_digest(job)).bind(*until)
        };
        let columns = "tenant, queue, key, job, input_digest, until";
        self.run_each(inserts("job_keys", columns, &end, &rows, bind)).await?;
        let select = format!(
            "SELECT queue, key, job, input_digest FROM job_keys WHERE tenant = $1 \
             AND (queue, key) IN (SELECT item.value->>'queue', item.value->>'key' FROM {})",
            self.dialect.each(2)
        );
        let names: Vec<_> = wanted.keys().map(|(queue, key)| json!({ "queue": queue, "key": key })).collect();
        let query = statement(select).bind(tenant.as_str().to_owned()).bind(to_json(&names)?);
        let mut holders = HashMap::new();
        for row in &self.rows(query).await? {
            let name = (get::<String>(row, "queue")?, get::<String>(row, "key")?);
            holders.insert(name, (get::<String>(row, "job")?, get::<String>(row, "input_digest")?));
        }
        let of = |job: &NewJob| {
            let Some(key) = &job.key else { return EnqueueOutcome::New };
            match holders.get(&(job.queue.to_string(), storable(&key.key))) {
                Some((id, digest)) if *id != job.id => {
                    EnqueueOutcome::Existing { id: id.clone(), same_input: *digest == input_digest(job) }
                }
                _ => EnqueueOutcome::New,
            }
        };
        Ok(jobs.iter().map(of).collect())
    }

    /// Where each job begins. `existing` are the jobs that others of the batch turned out to be.
    async fn places(
        &mut self,
        tenant: &TenantId,
        jobs: &[&NewJob],
        existing: &HashMap<String, String>,
        now: i64,
    ) -> Result<Vec<InitialState>> {
        let states = self.dependency_states(tenant, jobs, existing).await?;
        let first = self.take_turns(tenant, jobs).await?;
        let (mut earlier, mut edges) = (HashSet::new(), Vec::new());
        let mut places = Vec::with_capacity(jobs.len());
        for job in jobs {
            if !job.after.is_empty() && job.order.is_some() {
                let message = "a job runs either after other jobs or in an order, not both";
                return Err(Error::new(Code::BadInput, message));
            }
            let (mut missing, mut failed) = (BTreeSet::new(), None);
            for id in &job.after {
                let id = existing.get(id).unwrap_or(id);
                match states.get(id) {
                    _ if earlier.contains(id) => {
                        missing.insert(id.clone());
                    }
                    Some(JobState::Done) => {}
                    Some(state @ (JobState::Dead | JobState::Cancelled)) => failed = Some(ended_otherwise(id, *state)),
                    Some(JobState::Waiting | JobState::Ready | JobState::Leased) => {
                        missing.insert(id.clone());
                    }
                    None => {
                        return Err(Error::not_found(format_args!("job `{id}`, which another job is to run after,")));
                    }
                }
            }
            earlier.insert(job.id.clone());
            let start = job.start.at(now).filter(|at| *at > now);
            places.push(if failed.is_some() {
                InitialState::Waiting { waits_for: "time", due: Some(now), missing: 0, fails_with: failed }
            } else if !missing.is_empty() {
                let count = i64::try_from(missing.len()).unwrap_or(i64::MAX);
                edges.extend(missing.into_iter().map(|dependency| (dependency, job.id.clone())));
                InitialState::Waiting { waits_for: "jobs", due: None, missing: count, fails_with: None }
            } else if turn(job).is_some_and(|turn| first.get(&turn) != Some(&job.id)) {
                InitialState::Waiting { waits_for: "order", due: None, missing: 0, fails_with: None }
            } else if start.is_some() {
                InitialState::Waiting { waits_for: "time", due: start, missing: 0, fails_with: None }
            } else {
                InitialState::Ready
            });
        }
        let bind = |query: Query, (dependency, job): &(String, String)| {
            query.bind(tenant.as_str().to_owned()).bind(dependency.clone()).bind(job.clone())
        };
        self.run_each(inserts("job_dependencies", "tenant, dependency, job", "", &edges, bind)).await?;
        Ok(places)
    }

    /// The states of the jobs that others are to run after, which stay unfinished until this transaction ends, where
    /// they are: so nobody finishes them without seeing who waits. Those that are not known are left out.
    async fn dependency_states(
        &mut self,
        tenant: &TenantId,
        jobs: &[&NewJob],
        existing: &HashMap<String, String>,
    ) -> Result<HashMap<String, JobState>> {
        let after = jobs.iter().flat_map(|job| &job.after);
        let mut unknown: BTreeSet<_> = after.map(|id| existing.get(id).unwrap_or(id).clone()).collect();
        let mut states = HashMap::new();
        let held = self.dialect.held();
        // A job may go from table to table between two of these statements.
        for _ in 0..LOOKS {
            for (table, state, lock) in
                [("jobs", "'ready'", held), ("waiting_jobs", "'waiting'", held), ("finished_jobs", "state", "")]
            {
                if unknown.is_empty() {
                    return Ok(states);
                }
                let wanted: Vec<_> = unknown.iter().map(|id| JobRef::of(tenant, id)).collect();
                let is_wanted = self.is_one_of(1);
                // Locked in the order in which those lock them who end them.
                let select =
                    format!("SELECT id, {state} AS state FROM {table} WHERE {is_wanted} ORDER BY tenant, id {lock}");
                let query = statement(select);
                for row in &self.rows(query.bind(refs(&wanted)?)).await? {
                    let id: String = get(row, "id")?;
                    unknown.remove(&id);
                    states.insert(id, text(row, "state")?);
                }
            }
        }
        Ok(states)
    }

    /// The first unfinished job of each turn that these jobs are in; one of theirs, where there was none.
    async fn take_turns(&mut self, tenant: &TenantId, jobs: &[&NewJob]) -> Result<HashMap<OrderingKey, String>> {
        let mut turns: BTreeMap<OrderingKey, (u64, &str)> = BTreeMap::new(); // all lock them in this order
        for job in jobs {
            let (Some(turn), Some(order)) = (turn(job), &job.order) else { continue };
            let first = turns.entry(turn).or_insert((order.position, job.id.as_str()));
            if order.position < first.0 {
                *first = (order.position, job.id.as_str());
            }
        }
        let turns: Vec<_> = turns.into_iter().map(|(turn, (_, job))| (turn, job.to_owned())).collect();
        self.join_turns(tenant, &turns).await
    }

    /// Makes a job the first of its turn, where there is none; says which is. Turns are sorted, and there is one job
    /// for each. They stay locked until the transaction's end: whoever finishes a first job sees who waits.
    pub(super) async fn join_turns(
        &mut self,
        tenant: &TenantId,
        turns: &[(OrderingKey, String)],
    ) -> Result<HashMap<OrderingKey, String>> {
        let mut first = HashMap::new();
        if turns.is_empty() {
            return Ok(first);
        }
        let end = "ON CONFLICT (tenant, queue, ordering_key) DO UPDATE SET job = ordering_keys.job";
        let bind = |query: Query, ((queue, key), job): &(OrderingKey, String)| {
            let query = query.bind(tenant.as_str().to_owned()).bind(queue.clone());
            query.bind(key.clone()).bind(job.clone())
        };
        let columns = "tenant, queue, ordering_key, job";
        self.run_each(inserts("ordering_keys", columns, end, turns, bind)).await?;
        let select = format!(
            "SELECT queue, ordering_key, job FROM ordering_keys WHERE tenant = $1 \
             AND (queue, ordering_key) IN (SELECT item.value->>'queue', item.value->>'key' FROM {})",
            self.dialect.each(2)
        );
        let names: Vec<_> = turns.iter().map(|((queue, key), _)| json!({ "queue": queue, "key": key })).collect();
        let query = statement(select).bind(tenant.as_str().to_owned()).bind(to_json(&names)?);
        for row in &self.rows(query).await? {
            first.insert((get(row, "queue")?, get(row, "ordering_key")?), get(row, "job")?);
        }
        Ok(first)
    }
}

/// A queue and an ordering key of it.
pub(super) type OrderingKey = (String, String);

fn turn(job: &NewJob) -> Option<OrderingKey> {
    job.order.as_ref().map(|order| (job.queue.to_string(), storable(&order.key)))
}

/// The ids of jobs that have the keys of others, by the ids of those others.
fn existing(jobs: &[NewJob], enqueued: &[EnqueueOutcome]) -> HashMap<String, String> {
    let pairs = jobs.iter().zip(enqueued).filter_map(|(job, enqueued)| match enqueued {
        EnqueueOutcome::New => None,
        EnqueueOutcome::Existing { id, .. } => Some((job.id.clone(), id.clone())),
    });
    pairs.collect()
}

/// Why a job is dead that was to run after one that did not succeed.
pub(super) fn ended_otherwise(dependency: &str, state: JobState) -> String {
    format!("it was to run after job {dependency}, which is {}", state.as_str())
}

fn input_digest(job: &NewJob) -> String {
    Digest::of(job.input.as_bytes()).into()
}

/// Binds the values of [`JOB_COLUMNS`].
fn bind_job(query: Query, tenant: &TenantId, job: &NewJob, now: i64) -> Query {
    let queue = &job.queue;
    let query = query.bind(tenant.as_str().to_owned()).bind(job.id.clone()).bind(queue.to_string());
    let query = query.bind(queue.component.as_str().to_owned()).bind(queue.environment.as_str());
    let query = query.bind(queue.trigger.as_str()).bind(queue.name.clone());
    let query = query.bind(job.key.as_ref().map(|key| storable(&key.key)));
    let query = query.bind(job.order.as_ref().map(|order| storable(&order.key)));
    let query = query.bind(job.order.as_ref().map(|order| signed(order.position)));
    let query = query.bind(storable(&job.input)).bind(i64::from(job.priority)).bind(job.head_start_ms);
    let query = query.bind(0_i64).bind(0_i64).bind(None::<String>);
    let query = query.bind(job.cause.clone()).bind(i64::from(job.hops));
    let query = query.bind(job.version.map(i64::from)).bind(now);
    query.bind(job.concurrency_key.as_deref().map(storable)).bind(job.replayed_by.as_deref().map(storable))
}

impl JobStart {
    /// The time, if it was given.
    fn at(self, now: i64) -> Option<i64> {
        match self {
            Self::Now => None,
            Self::At(at) => Some(at),
            Self::In(ms) => Some(now.saturating_add(span(ms))),
        }
    }
}
