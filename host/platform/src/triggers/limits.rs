//! Rates, concurrency and limits by concurrency key, which all hosts of a store share. The transaction that claims
//! locks the rows of the queues with such limits, counts the jobs that run, and takes the tokens of all its jobs at
//! once.

use super::plan::{QueueKey, SharedLimits};
use elias_api::Result;
use elias_delivery::clock::Now;
use elias_store::{ClaimShare, ClaimedJob, HostScope, QueueLimit};
use elias_triggers::queue::TokenBucket;
use std::collections::HashMap;
use std::time::Duration;

/// The token buckets of the queues that are claimed from.
pub(super) struct Buckets {
    buckets: Vec<(QueueLimit, TokenBucket)>,
    now: Now,
}

impl Buckets {
    /// Locks the limits of the queues that hosts share, and lowers the shares to the rates and the concurrency that are
    /// left. Ends of jobs must already be in the transaction. Also returns the queues without a token, which are not
    /// claimed from, and how long to skip each.
    pub(super) async fn lock(
        scope: &mut HostScope,
        shares: &mut Vec<ClaimShare>,
        shared: &SharedLimits,
    ) -> Result<(Self, Vec<(QueueKey, Duration)>)> {
        let SharedLimits { rates, concurrency } = shared;
        let key = |share: &ClaimShare| (share.tenant.clone(), share.queue.clone());
        let is_limited = |share: &&ClaimShare| {
            let key = key(share);
            share.key_concurrency.is_some() || rates.contains_key(&key) || concurrency.contains_key(&key)
        };
        let limited: Vec<QueueKey> = shares.iter().filter(is_limited).map(key).collect();
        if limited.is_empty() {
            return Ok((Self { buckets: Vec::new(), now: Now::from_unix_ms(0) }, Vec::new()));
        }
        let (limits, now_ms) = scope.lock_queue_limits(&limited).await?;
        if !concurrency.is_empty() {
            // What the plan counted may be old: another host has claimed since. From here on none does. Jobs whose
            // leases have ended are about to be ready again.
            let leased = scope.leased_queues(now_ms).await?;
            let leased: HashMap<QueueKey, u64> =
                leased.into_iter().map(|queue| ((queue.tenant, queue.queue), queue.leased)).collect();
            for share in &mut *shares {
                let key = key(share);
                if let Some(most) = concurrency.get(&key) {
                    let running = leased.get(&key).copied().unwrap_or_default();
                    share.most = share.most.min(most.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX)));
                }
            }
        }
        let now = Now::from_unix_ms(u64::try_from(now_ms).unwrap_or_default());
        let (mut buckets, mut waits) = (Vec::new(), Vec::new());
        for (queue, limit) in limited.into_iter().zip(limits) {
            let Some(rate) = rates.get(&queue) else { continue };
            let bucket = TokenBucket::new(*rate, limit.full_at, now);
            let available = bucket.available(now);
            for share in shares.iter_mut().filter(|share| key(share) == queue) {
                share.most = share.most.min(available);
            }
            if available == 0 {
                waits.push((queue, bucket.wait(now)));
            } else {
                buckets.push((limit, bucket));
            }
        }
        shares.retain(|share| share.most > 0);
        Ok((Self { buckets, now }, waits))
    }

    /// Takes a token for each job that was claimed.
    pub(super) async fn take(self, scope: &mut HostScope, claimed: &[ClaimedJob]) -> Result<()> {
        let mut used = Vec::new();
        for (mut limit, mut bucket) in self.buckets {
            let is_its = |job: &&ClaimedJob| job.lease.tenant == limit.tenant && job.queue == limit.queue;
            let jobs = u32::try_from(claimed.iter().filter(is_its).count()).unwrap_or(u32::MAX);
            if jobs > 0 {
                bucket.take(jobs, self.now);
                limit.full_at = bucket.full_at_ns();
                used.push(limit);
            }
        }
        Ok(scope.put_queue_limits(&used).await?)
    }
}
