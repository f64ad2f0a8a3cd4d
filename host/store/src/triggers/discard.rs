//! Discarding dead jobs: their records, journals and unique keys are deleted.

use super::jobs::IS_LISTED;
use super::usage::RECORD_BYTES;
use super::{Database, JobRef, statement};
use crate::error::{Error, Result};
use crate::{AllowedServices, Dialect, TenantScope, get, to_json};
use elias_api::{Code, JobFilter};
use serde_json::json;
use sqlx::any::AnyRow;

impl TenantScope {
    /// Discards a dead job: it cannot be retried any more, and its unique key is free.
    ///
    /// # Errors
    /// `not-found`; `wrong-state` if it is not dead.
    pub async fn discard_job(&mut self, id: &str) -> Result<()> {
        let select = format!(
            "SELECT tenant, id, queue, key, {RECORD_BYTES} FROM finished_jobs \
             WHERE tenant = $1 AND id = $2 AND state = 'dead' {}",
            self.dialect.locked()
        );
        let query = self.query_text(select).bind(id.to_owned());
        let dead = self.rows(query).await?;
        if dead.is_empty() {
            let state = self.job(id).await?.state;
            return Err(Error::new(Code::WrongState, format!("job {id} is {}, and not dead", state.as_str())));
        }
        self.database().discard(&dead).await
    }

    /// Discards at most `most` dead jobs, the newest first; says how many. The filter's state does not matter.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn discard_jobs(&mut self, filter: &JobFilter, allowed: &AllowedServices, most: u32) -> Result<u64> {
        let select = format!(
            "SELECT tenant, id, queue, key, {RECORD_BYTES} FROM finished_jobs WHERE {IS_LISTED} AND state = 'dead' {} \
             ORDER BY id DESC LIMIT $7 {}",
            allowed.condition(self.dialect, 8),
            self.dialect.locked_if_free()
        );
        let query = self.query_listed(select, filter).bind(i64::from(most));
        let dead = self.rows(allowed.bind(query)?).await?;
        self.database().discard(&dead).await?;
        Ok(dead.len() as u64)
    }
}

impl Database<'_> {
    /// Deletes dead jobs of a tenant. Their rows are locked.
    async fn discard(&mut self, dead: &[AnyRow]) -> Result<()> {
        let jobs = dead.iter().map(JobRef::read).collect::<Result<Vec<_>>>()?;
        let mut keys = Vec::new();
        for (job, row) in jobs.iter().zip(dead) {
            if let Some(key) = get::<Option<String>>(row, "key")? {
                let queue: String = get(row, "queue")?;
                keys.push(json!({ "tenant": job.tenant, "queue": queue, "key": key, "job": job.id }));
            }
        }
        if !keys.is_empty() {
            let is_one = format!(
                "(tenant, queue, key, job) IN (SELECT item.value->>'tenant', item.value->>'queue', \
                 item.value->>'key', item.value->>'job' FROM {})",
                self.dialect.each(1)
            );
            let keys = to_json(&keys)?;
            if self.dialect == Dialect::Postgres {
                // In the order in which those who enqueue lock them.
                let lock = format!(
                    "SELECT key FROM job_keys WHERE {is_one} ORDER BY queue COLLATE \"C\", key COLLATE \"C\" FOR UPDATE"
                );
                self.rows(statement(lock).bind(keys.clone())).await?;
            }
            self.run(statement(format!("DELETE FROM job_keys WHERE {is_one}")).bind(keys)).await?;
        }
        self.delete_records(dead).await
    }
}
