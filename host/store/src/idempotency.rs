//! Responses that are replayed to a repeated request.

use super::{HostScope, TenantScope, get, now_ms, number};
use crate::error::{Error, Result};
use elias_api::Code;

/// A response that was sent.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Responses of a tenant that are stored, and bytes of all of them; beyond that the oldest are deleted.
pub(super) const ANSWERS_MAX: i64 = 1_000;
pub(super) const ANSWER_BYTES_MAX: i64 = 64 << 20;

impl TenantScope {
    /// The response to the request with this idempotency key. `request` stands for method, path and body.
    ///
    /// # Errors
    /// `idempotency-mismatch` if the key came with another request.
    pub async fn remembered(&mut self, key: &str, request: &str) -> Result<Option<StoredResponse>> {
        let query = self.query("SELECT * FROM idempotency WHERE tenant = $1 AND key = $2").bind(key.to_owned());
        let Some(row) = self.row(query).await? else { return Ok(None) };
        if get::<String>(&row, "request")? != request {
            let message = "this idempotency key came with another request before; a new request needs a new key";
            return Err(Error::new(Code::IdempotencyMismatch, message));
        }
        Ok(Some(StoredResponse { status: number(&row, "status")?, body: get(&row, "body")? }))
    }

    /// Stores a response for a repetition of the request. A tenant's oldest are deleted beyond 1,000 of them, or 64
    /// MiB.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn remember(&mut self, key: &str, request: &str, response: &StoredResponse) -> Result<()> {
        let insert = "INSERT INTO idempotency (tenant, key, request, status, body, created_at, bytes) VALUES ($1, $2, \
            $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let query = self.query(insert).bind(key.to_owned()).bind(request.to_owned());
        let query = query.bind(i64::from(response.status)).bind(response.body.clone()).bind(now_ms());
        self.run(query.bind(i64::try_from(response.body.len()).unwrap_or(i64::MAX))).await?;
        let delete = "DELETE FROM idempotency WHERE tenant = $1 AND key IN (SELECT key FROM ( \
                      SELECT key, ROW_NUMBER() OVER newest AS place, SUM(bytes) OVER newest AS total FROM idempotency \
                      WHERE tenant = $1 \
                      WINDOW newest AS (ORDER BY created_at DESC, key)) AS kept WHERE place > $2 OR total > $3)";
        let query = self.query(delete).bind(ANSWERS_MAX).bind(ANSWER_BYTES_MAX);
        self.run(query).await?;
        Ok(())
    }
}

impl HostScope {
    /// Deletes responses from before `before_ms`.
    pub async fn prune_idempotency(&mut self, before_ms: i64) -> Result<()> {
        sqlx::query("DELETE FROM idempotency WHERE created_at < $1").bind(before_ms).execute(&mut *self.tx).await?;
        Ok(())
    }
}
