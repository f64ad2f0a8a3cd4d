//! The artifacts that each tenant has.

use super::{HostScope, TenantScope, get, now_ms, number};
use crate::error::Result;
use elias_names::Digest;
use std::collections::HashSet;

impl TenantScope {
    /// The tenant has stored an artifact.
    pub async fn insert_artifact(&mut self, digest: &Digest, bytes: u64) -> Result<()> {
        let insert = "INSERT INTO artifacts (tenant, digest, bytes, created_at) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (tenant, digest) DO UPDATE SET created_at = excluded.created_at";
        let query = self.query(insert).bind(digest.as_str().to_owned());
        let query = query.bind(i64::try_from(bytes).unwrap_or(i64::MAX)).bind(now_ms());
        self.run(query).await?;
        Ok(())
    }

    /// Whether the tenant itself has stored an artifact.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn has_artifact(&mut self, digest: &Digest) -> Result<bool> {
        let query = self.query("SELECT 1 AS found FROM artifacts WHERE tenant = $1 AND digest = $2");
        Ok(self.row(query.bind(digest.as_str().to_owned())).await?.is_some())
    }

    /// How many bytes the tenant's artifacts take.
    pub async fn stored_bytes(&mut self) -> Result<u64> {
        // The cast is for PostgreSQL, whose sum of a BIGINT is a NUMERIC.
        let query =
            self.query("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM artifacts WHERE tenant = $1");
        self.row(query).await?.map_or(Ok(0), |row| number(&row, "bytes"))
    }
}

impl HostScope {
    /// Forgets who stored what was stored before `before_ms` and is not among `referenced`.
    pub async fn forget_artifacts(&mut self, referenced: &HashSet<String>, before_ms: i64) -> Result<()> {
        let select = "SELECT tenant, digest FROM artifacts WHERE created_at < $1";
        let rows = sqlx::query(select).bind(before_ms).fetch_all(&mut *self.tx).await?;
        for row in &rows {
            let (tenant, digest): (String, String) = (get(row, "tenant")?, get(row, "digest")?);
            if !referenced.contains(&digest) {
                let delete = sqlx::query("DELETE FROM artifacts WHERE tenant = $1 AND digest = $2");
                delete.bind(tenant).bind(digest).execute(&mut *self.tx).await?;
            }
        }
        Ok(())
    }
}
