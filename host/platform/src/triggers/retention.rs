//! Events that are not kept any more: they are hidden by the retention of their tenant, and deleted by the longest
//! retention of all tenants, since a segment of the log has the events of all.

use elias_api::{EVENT_RETENTION_DEFAULT, Result};
use elias_names::TenantId;
use elias_store::{Store, now_ms};
use std::collections::HashMap;

const DAY_MS: u64 = 86_400_000;
/// Into how many segments the longest retention is divided: at most seven of eight tables are in use.
const SEGMENTS: u64 = 6;

/// For how many milliseconds the log keeps events, by the retentions of its tenants in days.
pub(crate) fn events_kept_ms(retentions: &HashMap<TenantId, u32>) -> u64 {
    u64::from(retentions.values().copied().max().unwrap_or(EVENT_RETENTION_DEFAULT)) * DAY_MS
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
    fn the_log_keeps_events_as_long_as_the_tenant_that_keeps_them_longest() {
        let tenant = |name: &str| name.parse::<TenantId>().expect("a name");
        assert_eq!(events_kept_ms(&HashMap::new()), 7 * DAY_MS);
        assert_eq!(events_kept_ms(&HashMap::from([(tenant("a"), 1), (tenant("b"), 2)])), 2 * DAY_MS);
        assert_eq!(events_kept_ms(&HashMap::from([(tenant("a"), 30), (tenant("b"), 2)])), 30 * DAY_MS);
    }
}
