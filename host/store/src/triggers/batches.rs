//! How many deliveries of a subscription are ready, for batches that wait until they are full.

use super::{ReadyQueue, statement};
use crate::error::Result;
use crate::{Dialect, HostScope, number, text, to_json};
use elias_api::QueueId;
use elias_names::TenantId;
use serde_json::json;
use std::collections::HashMap;

/// Ready jobs of a queue that are counted: a batch has no more.
const COUNTED_MAX: u32 = 100;

/// The statement that counts the ready jobs of each of the queues `$1`, from a rank on.
pub(super) fn ready_counts(dialect: Dialect) -> String {
    format!(
        "SELECT item.value->>'tenant' AS tenant, item.value->>'queue' AS queue, (SELECT count(*) FROM \
         (SELECT 1 FROM jobs j WHERE j.tenant = item.value->>'tenant' AND j.queue = item.value->>'queue' \
         AND j.state = 'ready' AND j.rank >= CAST(item.value->>'rank' AS BIGINT) LIMIT {COUNTED_MAX}) AS first) \
         AS ready FROM {}",
        dialect.each(1)
    )
}

impl HostScope {
    /// How many jobs of each of these queues are ready, from its first one on, of each at most 100.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn ready_counts(&mut self, queues: &[&ReadyQueue]) -> Result<HashMap<(TenantId, QueueId), u32>> {
        let item = |ReadyQueue { tenant, queue, rank, .. }: &&ReadyQueue| {
            let (tenant, queue) = (tenant.as_str(), queue.to_string());
            json!({ "tenant": tenant, "queue": queue, "rank": rank })
        };
        let items: Vec<_> = queues.iter().map(item).collect();
        let mut database = self.database();
        let query = statement(ready_counts(database.dialect)).bind(to_json(&items)?);
        let rows = database.rows(query).await?;
        rows.iter().map(|row| Ok(((text(row, "tenant")?, text(row, "queue")?), number(row, "ready")?))).collect()
    }
}
