//! The limits of queues that all hosts keep together: the token bucket of a rate, and the turn to count the jobs of a
//! key.

use super::{Database, inserts, statement};
use crate::error::{Error, Result};
use crate::{HostScope, Query, get, signed, to_json};
use elias_api::{Code, QueueId};
use elias_names::TenantId;
use serde_json::json;
use std::collections::{BTreeSet, HashMap};

/// The limit of a queue as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLimit {
    /// The tenant of the queue.
    pub tenant: TenantId,
    /// Which queue.
    pub queue: QueueId,
    /// When its token bucket is full, in nanoseconds since 1970; 0 for one that was never used.
    pub full_at: u64,
}

impl HostScope {
    /// The limits of these queues, in their order, and the time of the database's clock in milliseconds since 1970.
    /// Until the transaction's end no other one gets them.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn lock_queue_limits(&mut self, queues: &[(TenantId, QueueId)]) -> Result<(Vec<QueueLimit>, i64)> {
        self.database().lock_queue_limits(queues).await
    }

    /// Stores limits that are locked.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn put_queue_limits(&mut self, limits: &[QueueLimit]) -> Result<()> {
        self.database().put_queue_limits(limits).await
    }

    /// Deletes the limits whose buckets were full at `before_ms`, in milliseconds since 1970, and that nobody has
    /// locked: they are as if they had never been used. Says how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_queue_limits(&mut self, before_ms: i64) -> Result<u64> {
        // Limits that somebody has locked are in use. Whoever waited for one, with others deleted already, might be
        // waited for.
        let delete = format!(
            "WITH unused AS MATERIALIZED (SELECT tenant, queue FROM queue_limits WHERE full_at <= $1 {}) \
             DELETE FROM queue_limits WHERE (tenant, queue) IN (SELECT unused.tenant, unused.queue FROM unused)",
            self.dialect.locked_if_free()
        );
        let query = statement(delete).bind(before_ms.saturating_mul(NS_PER_MS));
        self.database().run(query).await
    }
}

const NS_PER_MS: i64 = 1_000_000;

/// Locks a row that is there, and makes one that is not.
const LOCK_LIMITS: &str = "ON CONFLICT (tenant, queue) DO UPDATE SET full_at = queue_limits.full_at";

impl Database<'_> {
    async fn lock_queue_limits(&mut self, queues: &[(TenantId, QueueId)]) -> Result<(Vec<QueueLimit>, i64)> {
        // All lock them in this order.
        let names: BTreeSet<_> =
            queues.iter().map(|(tenant, queue)| (tenant.as_str().to_owned(), queue.to_string())).collect();
        let names: Vec<_> = names.into_iter().collect();
        let bind = |query: Query, (tenant, queue): &(String, String)| {
            query.bind(tenant.clone()).bind(queue.clone()).bind(0_i64)
        };
        self.run_each(inserts("queue_limits", "tenant, queue, full_at", LOCK_LIMITS, &names, bind)).await?;
        let select = format!(
            "SELECT tenant, queue, full_at FROM queue_limits WHERE (tenant, queue) IN \
             (SELECT item.value->>'tenant', item.value->>'queue' FROM {})",
            self.dialect.each(1)
        );
        let items: Vec<_> = names.iter().map(|(tenant, queue)| json!({ "tenant": tenant, "queue": queue })).collect();
        let mut found = HashMap::new();
        for row in &self.rows(statement(select).bind(to_json(&items)?)).await? {
            let full_at = u64::try_from(get::<i64>(row, "full_at")?).unwrap_or_default();
            found.insert((get::<String>(row, "tenant")?, get::<String>(row, "queue")?), full_at);
        }
        let limit = |(tenant, queue): &(TenantId, QueueId)| {
            let full_at = found.get(&(tenant.as_str().to_owned(), queue.to_string())).copied();
            let full_at = full_at.ok_or_else(|| Error::new(Code::Internal, "the store lost the limit of a queue"))?;
            Ok(QueueLimit { tenant: tenant.clone(), queue: queue.clone(), full_at })
        };
        let limits = queues.iter().map(limit).collect::<Result<Vec<_>>>()?;
        // Whoever had the rows before has left them by now: the clock is read after that.
        Ok((limits, self.now().await?))
    }

    async fn put_queue_limits(&mut self, limits: &[QueueLimit]) -> Result<()> {
        if limits.is_empty() {
            return Ok(());
        }
        let update = format!(
            "UPDATE queue_limits SET full_at = CAST(item.value->>'full_at' AS BIGINT) FROM {} \
             WHERE queue_limits.tenant = item.value->>'tenant' AND queue_limits.queue = item.value->>'queue'",
            self.dialect.each(1)
        );
        let item = |limit: &QueueLimit| {
            let full_at = signed(limit.full_at);
            json!({ "tenant": limit.tenant.as_str(), "queue": limit.queue.to_string(), "full_at": full_at })
        };
        let items: Vec<_> = limits.iter().map(item).collect();
        self.run(statement(update).bind(to_json(&items)?)).await.map(drop)
    }
}
