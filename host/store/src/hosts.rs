//! The hosts that serve from a store, for finding out whether they can share what they serve.

use super::{HostScope, get};
use crate::error::Result;

/// A host that was seen lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// Names one run of a host.
    pub id: String,
    /// The URL of its bucket, or empty for its own disk.
    pub artifacts: String,
}

impl HostScope {
    /// Says that a host serves from this store, and forgets those that were not seen since `before_ms`.
    pub async fn host_seen(&mut self, host: &HostEntry, now_ms: i64, before_ms: i64) -> Result<()> {
        let delete = sqlx::query("DELETE FROM hosts WHERE seen_at < $1").bind(before_ms);
        delete.execute(&mut *self.tx).await?;
        let upsert = "INSERT INTO hosts (id, artifacts, seen_at) VALUES ($1, $2, $3) \
                      ON CONFLICT (id) DO UPDATE SET artifacts = excluded.artifacts, seen_at = excluded.seen_at";
        let query = sqlx::query(upsert).bind(host.id.clone()).bind(host.artifacts.clone()).bind(now_ms);
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// The hosts that were seen since `since_ms`.
    pub async fn hosts(&mut self, since_ms: i64) -> Result<Vec<HostEntry>> {
        let select = sqlx::query("SELECT id, artifacts FROM hosts WHERE seen_at >= $1 ORDER BY id").bind(since_ms);
        let rows = select.fetch_all(&mut *self.tx).await?;
        rows.iter().map(|row| Ok(HostEntry { id: get(row, "id")?, artifacts: get(row, "artifacts")? })).collect()
    }

    /// Takes a host out, at the end of its process.
    pub async fn host_gone(&mut self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM hosts WHERE id = $1").bind(id.to_owned()).execute(&mut *self.tx).await?;
        Ok(())
    }
}
