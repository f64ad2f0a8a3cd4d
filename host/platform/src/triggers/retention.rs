//! Deletes expired records. The retention of a tenant hides its events; the longest retention of all tenants deletes
//! them, since a segment of the log has the events of all. Records of ended jobs are deleted before the quota of bytes
//! refuses jobs and events.

use elias_api::{EVENT_RETENTION_DEFAULT, Result};
use elias_names::TenantId;
use elias_store::{Store, now_ms};
use std::collections::HashMap;

const DAY_MS: u64 = 86_400_000;
/// Into how many segments the longest retention is divided: at most seven of eight tables are in use.
const SEGMENTS: u64 = 6;
/// Records that are deleted in one transaction, and how many of these follow each other.
const RECORDS_MAX: u32 = 2_000;
const ROUNDS_MAX: u32 = 20;

/// How long the log keeps events, in milliseconds, by the retentions of its tenants in days.
pub(crate) fn events_kept_ms(retentions: &HashMap<TenantId, u32>) -> u64 {
    u64::from(retentions.values().copied().max().unwrap_or(EVENT_RETENTION_DEFAULT)) * DAY_MS
}

/// By how many bytes a tenant uses more than three quarters of its quota: what records have to give way to. The rest is
/// for what comes until they are looked at again. A quota of 0 is none.
fn excess(used: u64, quota: u64) -> u64 {
    if quota == 0 { 0 } else { used.saturating_sub(quota - quota / 4) }
}

/// Deletes records of jobs that are done or cancelled, the oldest first, of tenants that use most of their quota of
/// bytes. Dead jobs are kept for as long as was said: somebody has to look at them.
pub(super) async fn trim_records(store: &Store) -> Result<()> {
    let mut scope = store.host_read().await?;
    let used = scope.trigger_use_by_tenant().await?;
    let quotas = scope.trigger_bytes_quotas().await?;
    drop(scope);
    let is_over =
        |(tenant, quota): &(TenantId, u64)| used.get(tenant).is_some_and(|used| excess(used.bytes, *quota) > 0);
    for (tenant, quota) in quotas.into_iter().filter(is_over) {
        for _ in 0..ROUNDS_MAX {
            let mut scope = store.queue_write().await?;
            // As it is now: other hosts delete records, too.
            let over = excess(scope.trigger_use(&tenant).await?.bytes, quota);
            if over == 0 {
                break;
            }
            let deleted = scope.trim_jobs(&tenant, over, RECORDS_MAX).await?;
            scope.commit().await?;
            if deleted < u64::from(RECORDS_MAX) {
                break;
            }
        }
    }
    Ok(())
}

/// Corrects what is counted of the jobs of tenants, once a day and on one of the hosts. Hosts of an earlier release,
/// which run beside those of this one during an upgrade, count less: what they have left out would stay wrong for ever.
pub(super) async fn recount_jobs(store: &Store, owner: &str) -> Result<()> {
    let mut scope = store.host_write().await?;
    let lease = scope.acquire_lease("job-counts", owner, DAY_MS).await?;
    scope.commit().await?;
    if lease.is_none() {
        return Ok(());
    }
    let quotas = store.host_read().await?.trigger_bytes_quotas().await?;
    for tenant in quotas.into_keys() {
        // Nobody has to wait for a look at all jobs, which finds that nothing is wrong.
        if store.host_read().await?.are_jobs_counted(&tenant).await? {
            continue;
        }
        let mut scope = store.queue_write().await?;
        if scope.recount_jobs(&tenant).await? {
            scope.commit().await?;
            tracing::warn!(%tenant, "the jobs of the tenant and their bytes were miscounted, and are counted anew");
        }
    }
    Ok(())
}

/// Hides events that are not kept any more, empties the segments of the log in which all are, and begins the next
/// segment when it is time. Every host does; the store lets one of them.
pub(super) async fn prune_events(store: &Store) -> Result<()> {
    let retentions = store.host_read().await?.event_retentions().await?;
    let (now, kept_ms) = (now_ms(), events_kept_ms(&retentions));
    for (tenant, days) in &retentions {
        let before_ms = now.saturating_sub_unsigned(u64::from(*days) * DAY_MS);
        loop {
            let mut scope = store.host_write().await?;
            if !scope.hide_events(tenant, before_ms).await? {
                break;
            }
            scope.commit().await?;
        }
    }
    loop {
        let mut scope = store.host_write().await?;
        match scope.empty_event_segment(kept_ms).await {
            Ok(true) => scope.commit().await?,
            Ok(false) => break,
            Err(error) => {
                // Something reads the segment for long, such as a backup. There is a table more than it takes, so that
                // the next segment can begin nevertheless.
                tracing::warn!(%error, "events that are not kept any more could not be deleted; retrying");
                break;
            }
        }
    }
    let mut scope = store.host_write().await?;
    if scope.begin_event_segment(kept_ms / SEGMENTS).await? {
        scope.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_give_way_from_three_quarters_of_the_quota_on() {
        assert_eq!((excess(75, 100), excess(76, 100), excess(200, 100)), (0, 1, 125));
        assert_eq!((excess(1, 1), excess(u64::MAX, u64::MAX), excess(1_000, 0)), (0, u64::MAX / 4, 0));
    }

    #[test]
    fn the_log_keeps_events_as_long_as_the_tenant_that_keeps_them_longest() {
        let tenant = |name: &str| name.parse::<TenantId>().expect("a name");
        assert_eq!(events_kept_ms(&HashMap::new()), 7 * DAY_MS);
        assert_eq!(events_kept_ms(&HashMap::from([(tenant("a"), 1), (tenant("b"), 2)])), 2 * DAY_MS);
        assert_eq!(events_kept_ms(&HashMap::from([(tenant("a"), 30), (tenant("b"), 2)])), 30 * DAY_MS);
    }
}
