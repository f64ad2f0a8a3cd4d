//! The hosts that serve from a store, for finding out whether they can share what they serve.

use super::{HostScope, get};
use crate::error::Result;
use sqlx::any::AnyRow;

/// A host that was seen lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    /// Names one run of a host.
    pub id: String,
    /// The URL of its bucket, or empty for its own disk.
    pub artifacts: String,
    /// An id of the key with which it encrypts; empty if it does not say it.
    pub key_id: String,
}

impl HostScope {
    /// Says that a host serves from this store, and forgets those that were not seen since `before_ms`.
    pub async fn host_seen(&mut self, host: &HostEntry, now_ms: i64, before_ms: i64) -> Result<()> {
        let delete = sqlx::query("DELETE FROM hosts WHERE seen_at < $1").bind(before_ms);
        delete.execute(&mut *self.tx).await?;
        let upsert = "INSERT INTO hosts (id, artifacts, key_id, seen_at) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (id) DO UPDATE SET artifacts = excluded.artifacts, key_id = excluded.key_id, \
                      seen_at = excluded.seen_at";
        let query = sqlx::query(upsert).bind(host.id.clone()).bind(host.artifacts.clone());
        let query = query.bind(host.key_id.clone()).bind(now_ms);
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// The hosts that were seen since `since_ms`.
    pub async fn hosts(&mut self, since_ms: i64) -> Result<Vec<HostEntry>> {
        let select = "SELECT id, artifacts, key_id FROM hosts WHERE seen_at >= $1 ORDER BY id";
        let rows = sqlx::query(select).bind(since_ms).fetch_all(&mut *self.tx).await?;
        let host = |row: &AnyRow| {
            Ok(HostEntry { id: get(row, "id")?, artifacts: get(row, "artifacts")?, key_id: get(row, "key_id")? })
        };
        rows.iter().map(host).collect()
    }

    /// Takes a host out, at the end of its process.
    pub async fn host_gone(&mut self, id: &str) -> Result<()> {
        sqlx::query("DELETE FROM hosts WHERE id = $1").bind(id.to_owned()).execute(&mut *self.tx).await?;
        Ok(())
    }
}
