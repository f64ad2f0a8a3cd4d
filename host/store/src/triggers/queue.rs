//! Claiming ready jobs, for as long as heartbeats extend it.

use super::{Database, JobRef, span, statement};
use crate::error::Result;
use crate::{Dialect, HostScope, Query, get, number, text, to_json};
use elias_api::QueueId;
use elias_names::TenantId;
use serde::Serialize;
use serde_json::json;
use sqlx::any::AnyRow;
use std::collections::{BTreeMap, HashMap};

/// Jobs of a queue with a limit by key that a claim looks at, and keys that it looks at if those were all at their
/// limit.
const KEYED_LOOK: u32 = 500;
const KEYS_LOOK: u32 = 1_000;

/// How many jobs of a queue are to be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimShare {
    /// The tenant of the queue.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: QueueId,
    /// At most so many.
    pub most: u32,
    /// The lowest rank that is looked at: that of the [`ReadyQueue`], or [`i64::MIN`] for all. While any transaction is
    /// open, PostgreSQL keeps the index entries of all jobs that were claimed since it began. They are below that rank,
    /// and whoever begins before them reads them all.
    pub from_rank: i64,
    /// At most so many with the same concurrency key may be leased at a time, also by other hosts; none for no limit.
    /// Whoever claims with such a limit has [locked](HostScope::lock_queue_limits) the queue's.
    pub key_concurrency: Option<u32>,
}

/// A queue with ready jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyQueue {
    /// Its tenant.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: QueueId,
    /// The rank of the job that is claimed first: the time since when it is ready, less its head start.
    pub rank: i64,
    /// Since when that job is ready, in milliseconds since 1970.
    pub ready_at: i64,
}

impl ReadyQueue {
    /// At most `most` jobs of the queue, without a limit by concurrency key.
    #[must_use]
    pub fn share(self, most: u32) -> ClaimShare {
        ClaimShare { tenant: self.tenant, queue: self.queue, most, from_rank: self.rank, key_concurrency: None }
    }
}

/// The result of a look at the queues with ready jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyLook {
    /// The queues, by tenant and queue.
    pub queues: Vec<ReadyQueue>,
    /// The time of the database's clock, in milliseconds since 1970.
    pub now_ms: i64,
}

/// A queue of which hosts run jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedQueue {
    /// Its tenant.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: QueueId,
    /// How many.
    pub leased: u64,
    /// When the first of their leases ends, in milliseconds since 1970.
    pub lease_until: i64,
}

/// One claim of a job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobLease {
    /// The job's tenant.
    pub tenant: TenantId,
    /// The job's id.
    pub id: String,
    /// Grows with each claim of the job.
    pub epoch: u64,
}

/// A job that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// By which it is ended.
    pub lease: JobLease,
    /// Where it runs, and under which name.
    pub queue: QueueId,
    /// Its unique key.
    pub key: Option<String>,
    /// The key of its turn.
    pub ordering_key: Option<String>,
    /// The input, a JSON text.
    pub input: String,
    /// The priority.
    pub priority: i32,
    /// Which attempt this is, from 1. An attempt whose host died counts.
    pub attempt: u32,
    /// The `traceparent` of what enqueued it.
    pub cause: Option<String>,
    /// How many events led to it.
    pub hops: u32,
    /// The actor who replayed the event that it delivers, if somebody did.
    pub replayed_by: Option<String>,
    /// The version that has to run it, if not any may.
    pub version: Option<u32>,
    /// When it was enqueued, in milliseconds since 1970.
    pub enqueued_at: i64,
    /// Since when it was ready, in milliseconds since 1970.
    pub ready_at: i64,
    /// When the lease ends, in milliseconds since 1970.
    pub lease_until: i64,
    /// Whether it is to be cancelled: it was leased to a host that died since.
    pub cancelled: bool,
}

/// The result of a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LostLeases {
    /// Claims that are not the owner's any more: what their attempts do is refused.
    pub lost: Vec<JobLease>,
    /// Claims of jobs that are to be cancelled.
    pub cancelled: Vec<JobLease>,
}

/// A claim, as statements get it.
#[derive(Serialize)]
struct Claim<'j> {
    tenant: &'j str,
    id: &'j str,
    epoch: u64,
}

impl HostScope {
    /// The queues with ready jobs, by tenant and queue. It takes time by their number, not by that of their jobs; but
    /// see [`look_at`](Self::look_at).
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn ready_queues(&mut self) -> Result<Vec<ReadyQueue>> {
        Ok(self.look_at_all().await?.queues)
    }

    /// The same, with the time.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn look_at_all(&mut self) -> Result<ReadyLook> {
        let query = statement(ready_queues(self.dialect));
        self.database().look(query).await
    }

    /// Those of `known` queues with ready jobs of at least the rank that is given with each. Unlike a look at
    /// [all](Self::look_at_all) it takes no longer while a transaction is open, however many jobs were claimed since it
    /// began, if these had lower ranks.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn look_at(&mut self, known: &BTreeMap<(TenantId, QueueId), i64>) -> Result<ReadyLook> {
        let item = |((tenant, queue), rank): (&(TenantId, QueueId), &i64)| {
            let (tenant, queue) = (tenant.as_str(), queue.to_string());
            json!({ "tenant": tenant, "queue": queue, "rank": rank })
        };
        let items = to_json(&known.iter().map(item).collect::<Vec<_>>())?;
        let query = statement(known_queues(self.dialect)).bind(items);
        self.database().look(query).await
    }

    /// How many jobs of each queue all hosts together run, of those whose leases end at `from` or later, in
    /// milliseconds since 1970.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn leased_queues(&mut self, from: i64) -> Result<Vec<LeasedQueue>> {
        let row = |row: &AnyRow| {
            Ok(LeasedQueue {
                tenant: text(row, "tenant")?,
                queue: text(row, "queue")?,
                leased: number(row, "leased")?,
                lease_until: get(row, "lease_until")?,
            })
        };
        readable(&self.database().rows(sqlx::query(LEASED_QUEUES).bind(from)).await?, row)
    }

    /// Claims ready jobs for `lease_ms` milliseconds, of each queue the first by rank. `owner` names one run of a
    /// process. Two owners never get the same job.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn claim_jobs(&mut self, owner: &str, lease_ms: u64, shares: &[ClaimShare]) -> Result<Vec<ClaimedJob>> {
        self.database().claim(owner, lease_ms, shares).await
    }

    /// Extends claims of `owner` to `lease_ms` milliseconds from now.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn extend_jobs(&mut self, owner: &str, leases: &[JobLease], lease_ms: u64) -> Result<LostLeases> {
        self.database().extend(owner, leases, lease_ms).await
    }

    /// Makes at most `most` jobs ready again whose leases have ended; says how many. Their attempts count.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn expire_jobs(&mut self, most: u32) -> Result<u64> {
        let expire = expire_jobs(self.dialect);
        self.database().run(statement(expire).bind(i64::from(most))).await
    }
}

/// The rows of queues that this release knows.
fn readable<T>(rows: &[AnyRow], read: impl Fn(&AnyRow) -> Result<T>) -> Result<Vec<T>> {
    rows.iter().filter(|row| is_known(row)).map(read).collect()
}

/// Whether this release knows the queue of a row. A later one may have other triggers, whose jobs its own hosts run.
pub(super) fn is_known(row: &AnyRow) -> bool {
    get::<String>(row, "queue").is_ok_and(|queue| queue.parse::<QueueId>().is_ok())
}

/// The statement that finds the queues with ready jobs, and the first job of each: one row without a queue if there are
/// none.
pub(crate) fn ready_queues(dialect: Dialect) -> String {
    // The next queue with its first job. On SQLite a recursive query has no LIMIT for each of its rows: it is the next
    // tenant, and of each the next queue, each by one look into the index.
    let heads = match dialect {
        Dialect::Postgres => {
            "heads (tenant, queue, rank, ready_at) AS ( \
             (SELECT tenant, queue, rank, ready_at FROM jobs WHERE state = 'ready' AND tenant > '' \
             ORDER BY tenant, queue, rank, id LIMIT 1) \
             UNION ALL SELECT following.* FROM heads, LATERAL (SELECT j.tenant, j.queue, j.rank, j.ready_at \
             FROM jobs j WHERE j.state = 'ready' AND (j.tenant, j.queue) > (heads.tenant, heads.queue) \
             ORDER BY j.tenant, j.queue, j.rank, j.id LIMIT 1) AS following)"
        }
        Dialect::Sqlite => {
            "owners (tenant) AS ( \
             SELECT (SELECT tenant FROM jobs WHERE state = 'ready' AND tenant > '' ORDER BY tenant, queue LIMIT 1) \
             UNION ALL SELECT (SELECT j.tenant FROM jobs j WHERE j.state = 'ready' AND j.tenant > owners.tenant \
             ORDER BY j.tenant, j.queue LIMIT 1) FROM owners WHERE owners.tenant IS NOT NULL), \
             queues (tenant, queue) AS ( \
             SELECT owners.tenant, (SELECT j.queue FROM jobs j WHERE j.state = 'ready' AND j.tenant = owners.tenant \
             ORDER BY j.queue LIMIT 1) FROM owners WHERE owners.tenant IS NOT NULL \
             UNION ALL SELECT queues.tenant, (SELECT j.queue FROM jobs j WHERE j.state = 'ready' \
             AND j.tenant = queues.tenant AND j.queue > queues.queue ORDER BY j.queue LIMIT 1) \
             FROM queues WHERE queues.queue IS NOT NULL), \
             ids (tenant, queue, id) AS ( \
             SELECT tenant, queue, (SELECT j.id FROM jobs j WHERE j.state = 'ready' AND j.tenant = queues.tenant \
             AND j.queue = queues.queue ORDER BY j.rank, j.id LIMIT 1) FROM queues WHERE queue IS NOT NULL), \
             heads (tenant, queue, rank, ready_at) AS ( \
             SELECT ids.tenant, ids.queue, first.rank, first.ready_at FROM ids \
             JOIN jobs first ON first.tenant = ids.tenant AND first.id = ids.id)"
        }
    };
    format!(
        "WITH RECURSIVE {heads} SELECT heads.tenant AS tenant, heads.queue AS queue, heads.rank AS rank, \
         heads.ready_at AS ready_at, last.now_ms AS now_ms FROM (SELECT {} AS now_ms) AS last \
         LEFT JOIN heads ON heads.queue IS NOT NULL ORDER BY heads.tenant, heads.queue",
        dialect.now()
    )
}

/// The statement that finds the first job of each of the queues `$1` from a rank on: one row without a rank for a queue
/// that has none.
pub(crate) fn known_queues(dialect: Dialect) -> String {
    format!(
        "SELECT last.tenant AS tenant, last.queue AS queue, j.rank AS rank, j.ready_at AS ready_at, {} AS now_ms \
         FROM (SELECT item.value->>'tenant' AS tenant, item.value->>'queue' AS queue, (SELECT j.id FROM jobs j \
         WHERE j.tenant = item.value->>'tenant' AND j.queue = item.value->>'queue' AND j.state = 'ready' \
         AND j.rank >= CAST(item.value->>'rank' AS BIGINT) ORDER BY j.rank, j.id LIMIT 1) AS id FROM {}) AS last \
         LEFT JOIN jobs j ON j.tenant = last.tenant AND j.id = last.id ORDER BY last.tenant, last.queue",
        dialect.now(),
        dialect.each(1)
    )
}

/// There are few leased jobs: those that hosts run now.
pub(super) const LEASED_QUEUES: &str = "SELECT tenant, queue, count(*) AS leased, min(lease_until) AS lease_until \
    FROM jobs WHERE state = 'leased' AND lease_until >= $1 GROUP BY tenant, queue";

/// The statement that claims at most `$3` jobs of the tenant `$1` and the queue `$2` for the owner `$4` and `$5`
/// milliseconds, from the rank `$6` on.
pub(super) fn claim_jobs(dialect: Dialect) -> String {
    let lock = dialect.locked_if_free();
    // PostgreSQL may evaluate a subquery with LIMIT more than once, but not this. It has locked the rows, and so finds
    // them again by their places.
    let (column, found) = match dialect {
        Dialect::Postgres => ("ctid", "ctid = ANY (ARRAY(SELECT first.ctid FROM first))"),
        Dialect::Sqlite => ("id", BY_ID),
    };
    format!(
        "WITH first AS MATERIALIZED (SELECT {column} FROM jobs WHERE tenant = $1 AND queue = $2 AND state = 'ready' \
         AND rank >= $6 ORDER BY rank, id LIMIT $3 {lock}) {}",
        lease(dialect, found)
    )
}

/// The condition that a job is one of those of the tenant `$1` whose ids are in `first`. The expression keeps the index
/// of what is ready out of that. Another host may have claimed one meanwhile.
const BY_ID: &str = "tenant = $1 AND id IN (SELECT first.id FROM first) AND state || '' = 'ready'";

/// The end of a statement that claims the jobs for which the condition `found` holds.
fn lease(dialect: Dialect, found: &str) -> String {
    format!(
        "UPDATE jobs SET state = 'leased', lease_owner = $4, epoch = epoch + 1, attempt = attempt + 1, \
         lease_until = {} + $5 WHERE {found} \
         RETURNING tenant, id, epoch, queue, key, ordering_key, input, priority, attempt, cause, hops, replayed_by, \
         version, enqueued_at, ready_at, lease_until, cancelled, rank",
        dialect.now()
    )
}

/// How many jobs with each concurrency key of the tenant `$1` and the queue `$2` are leased, without those whose leases
/// have ended. What is leased is little; the expression keeps SQLite from reading the tenant's whole queue instead.
fn leased_keys(dialect: Dialect) -> String {
    format!(
        "leased AS MATERIALIZED (SELECT concurrency_key AS key, count(*) AS jobs FROM jobs \
         WHERE tenant || '' = $1 AND queue = $2 AND state = 'leased' AND lease_until >= {} \
         AND concurrency_key IS NOT NULL GROUP BY concurrency_key)",
        dialect.now()
    )
}

/// The statement that claims as [`claim_jobs`] does, but at most `$7` jobs with the same concurrency key, those that
/// are leased included. It looks at the first [`KEYED_LOOK`] jobs of the queue.
pub(super) fn claim_keyed(dialect: Dialect) -> String {
    format!(
        "WITH {}, ready AS MATERIALIZED (SELECT id, rank, concurrency_key FROM jobs \
         WHERE tenant = $1 AND queue = $2 AND state = 'ready' AND rank >= $6 ORDER BY rank, id LIMIT {KEYED_LOOK}), \
         placed AS MATERIALIZED (SELECT ready.id, ready.rank, ready.concurrency_key, COALESCE(leased.jobs, 0) \
         + row_number() OVER (PARTITION BY ready.concurrency_key ORDER BY ready.rank, ready.id) AS place \
         FROM ready LEFT JOIN leased ON leased.key = ready.concurrency_key), \
         first AS MATERIALIZED (SELECT placed.id FROM placed WHERE placed.concurrency_key IS NULL \
         OR placed.place <= $7 ORDER BY placed.rank, placed.id LIMIT $3) {}",
        leased_keys(dialect),
        lease(dialect, BY_ID)
    )
}

/// The statement that claims the first jobs of the first concurrency keys with fewer than `$7` leased ones, wherever in
/// the queue they are: of at most [`KEYS_LOOK`] keys, each found by one look into the index.
pub(super) fn claim_by_key(dialect: Dialect) -> String {
    format!(
        "WITH RECURSIVE {}, keys (key, place) AS ( \
         SELECT (SELECT j.concurrency_key FROM jobs j WHERE j.tenant = $1 AND j.queue = $2 AND j.state = 'ready' \
         AND j.concurrency_key > '' ORDER BY j.concurrency_key LIMIT 1), 1 \
         UNION ALL SELECT (SELECT j.concurrency_key FROM jobs j WHERE j.tenant = $1 AND j.queue = $2 \
         AND j.state = 'ready' AND j.concurrency_key > keys.key ORDER BY j.concurrency_key LIMIT 1), keys.place + 1 \
         FROM keys WHERE keys.key IS NOT NULL AND keys.place < {KEYS_LOOK}), \
         first AS MATERIALIZED (SELECT (SELECT j.id FROM jobs j WHERE j.tenant = $1 AND j.queue = $2 \
         AND j.state = 'ready' AND j.concurrency_key = keys.key AND j.rank >= $6 ORDER BY j.rank, j.id LIMIT 1) AS id \
         FROM keys WHERE keys.key IS NOT NULL \
         AND COALESCE((SELECT leased.jobs FROM leased WHERE leased.key = keys.key), 0) < $7 \
         ORDER BY keys.key LIMIT $3) {}",
        leased_keys(dialect),
        lease(dialect, BY_ID)
    )
}

/// The statement that makes at most `$1` jobs ready whose leases have ended.
pub(super) fn expire_jobs(dialect: Dialect) -> String {
    let (now, lock) = (dialect.now(), dialect.locked_if_free());
    format!(
        "WITH ended AS MATERIALIZED (SELECT tenant, id FROM jobs WHERE state = 'leased' AND lease_until <= {now} \
         ORDER BY lease_until LIMIT $1 {lock}) UPDATE jobs SET state = 'ready', lease_owner = NULL, \
         lease_until = NULL, error = 'the host that ran it did not renew its lease' \
         WHERE (tenant, id) IN (SELECT ended.tenant, ended.id FROM ended)"
    )
}

fn claimed(row: &AnyRow) -> Result<(i64, ClaimedJob)> {
    let lease = JobLease { tenant: text(row, "tenant")?, id: get(row, "id")?, epoch: number(row, "epoch")? };
    let job = ClaimedJob {
        lease,
        queue: text(row, "queue")?,
        key: get(row, "key")?,
        ordering_key: get(row, "ordering_key")?,
        input: get(row, "input")?,
        priority: number(row, "priority")?,
        attempt: number(row, "attempt")?,
        cause: get(row, "cause")?,
        hops: number(row, "hops")?,
        replayed_by: get(row, "replayed_by")?,
        version: get::<Option<i64>>(row, "version")?.and_then(|version| u32::try_from(version).ok()),
        enqueued_at: get(row, "enqueued_at")?,
        ready_at: get(row, "ready_at")?,
        lease_until: get(row, "lease_until")?,
        cancelled: get::<i64>(row, "cancelled")? != 0,
    };
    Ok((get(row, "rank")?, job))
}

impl Database<'_> {
    async fn look(&mut self, query: Query) -> Result<ReadyLook> {
        let rows = self.rows(query).await?;
        let now_ms = rows.first().map_or(Ok(0), |row| get(row, "now_ms"))?;
        let mut queues = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| is_known(row)) {
            let Some(rank) = get::<Option<i64>>(row, "rank")? else { continue };
            let (tenant, queue) = (text(row, "tenant")?, text(row, "queue")?);
            queues.push(ReadyQueue { tenant, queue, rank, ready_at: get(row, "ready_at")? });
        }
        Ok(ReadyLook { queues, now_ms })
    }

    pub(super) async fn claim(&mut self, owner: &str, lease_ms: u64, shares: &[ClaimShare]) -> Result<Vec<ClaimedJob>> {
        let mut jobs = Vec::new();
        for share in shares.iter().filter(|share| share.most > 0) {
            let rows = match share.key_concurrency {
                None => self.rows(bind_claim(claim_jobs(self.dialect), owner, lease_ms, share)).await?,
                Some(most) => self.claim_keyed(owner, lease_ms, share, most).await?,
            };
            let mut first = rows.iter().map(claimed).collect::<Result<Vec<_>>>()?;
            first.sort_by(|one, other| (one.0, &one.1.lease.id).cmp(&(other.0, &other.1.lease.id)));
            jobs.extend(first.into_iter().map(|(_, job)| job));
        }
        Ok(jobs)
    }

    /// Claims of a queue with a limit by concurrency key.
    async fn claim_keyed(&mut self, owner: &str, lease_ms: u64, share: &ClaimShare, most: u32) -> Result<Vec<AnyRow>> {
        for sql in [claim_keyed(self.dialect), claim_by_key(self.dialect)] {
            let rows = self.rows(bind_claim(sql, owner, lease_ms, share).bind(i64::from(most))).await?;
            // Else the jobs that are first are all of keys at their limit: they must not keep others waiting.
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }

    async fn extend(&mut self, owner: &str, leases: &[JobLease], lease_ms: u64) -> Result<LostLeases> {
        let update = extend_jobs(self.dialect);
        let query = statement(update).bind(claims(leases.iter())?).bind(owner.to_owned()).bind(span(lease_ms));
        let mut cancelled = HashMap::new();
        for row in &self.rows(query).await? {
            cancelled.insert(JobRef::read(row)?, get::<i64>(row, "cancelled")? != 0);
        }
        let mut found = LostLeases::default();
        for lease in leases {
            match cancelled.get(&JobRef::of(&lease.tenant, &lease.id)) {
                None => found.lost.push(lease.clone()),
                Some(true) => found.cancelled.push(lease.clone()),
                Some(false) => {}
            }
        }
        Ok(found)
    }
}

/// Binds the parameters that all statements have which claim jobs.
fn bind_claim(sql: String, owner: &str, lease_ms: u64, share: &ClaimShare) -> Query {
    let query = statement(sql).bind(share.tenant.as_str().to_owned()).bind(share.queue.to_string());
    query.bind(i64::from(share.most)).bind(owner.to_owned()).bind(span(lease_ms)).bind(share.from_rank)
}

/// The JSON array of these claims.
pub(super) fn claims<'j>(leases: impl Iterator<Item = &'j JobLease>) -> Result<String> {
    let claim = |lease: &'j JobLease| Claim { tenant: lease.tenant.as_str(), id: &lease.id, epoch: lease.epoch };
    to_json(&leases.map(claim).collect::<Vec<_>>())
}

/// The statement that extends those of the claims `$1` that are the owner's (`$2`) by `$3` milliseconds.
pub(super) fn extend_jobs(dialect: Dialect) -> String {
    let (now, is_claim) = (dialect.now(), is_claim(dialect));
    match dialect {
        Dialect::Sqlite => format!(
            "UPDATE jobs SET lease_until = {now} + $3 WHERE {is_claim} AND lease_owner = $2 \
             RETURNING tenant, id, cancelled"
        ),
        // The same jobs may be ended, or get steps, at the same time: all lock them in one order.
        Dialect::Postgres => format!(
            "WITH mine AS MATERIALIZED (SELECT tenant, id FROM jobs WHERE {is_claim} AND lease_owner = $2 \
             ORDER BY tenant, id FOR UPDATE) UPDATE jobs SET lease_until = {now} + $3 \
             WHERE (tenant, id) IN (SELECT mine.tenant, mine.id FROM mine) RETURNING tenant, id, cancelled"
        ),
    }
}

/// The condition that a job is one of the claims `$1`. Only leased jobs have an owner, so that nothing has to say that
/// they are leased: PostgreSQL would read all that are.
pub(super) fn is_claim(dialect: Dialect) -> String {
    format!(
        "(tenant, id, epoch) IN (SELECT item.value->>'tenant', item.value->>'id', \
         CAST(item.value->>'epoch' AS BIGINT) FROM {})",
        dialect.each(1)
    )
}
