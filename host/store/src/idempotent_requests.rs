//! Requests to components with an idempotency key: which of them runs, and the response that is sent again.

use super::{HostScope, Query, TenantScope, get, json, number, to_json};
use crate::error::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use elias_names::ServiceId;
use sqlx::AssertSqlSafe;
use std::time::Duration;

/// Requests of a tenant that are kept, and bytes of all their stored responses.
pub(super) const REQUESTS_MAX: i64 = 100_000;
pub(super) const RESPONSE_BYTES_MAX: i64 = 64 << 20;

/// A request with an idempotency key.
#[derive(Debug, Clone)]
pub struct IdempotentRequest {
    /// The service that it is for, of the scope's tenant.
    pub service: ServiceId,
    /// Stands for the caller: each has keys of its own.
    pub caller: String,
    /// The key.
    pub key: String,
    /// Stands for method, target and body.
    pub fingerprint: String,
    /// Names this attempt, as no other.
    pub claim: String,
}

/// The response to a request with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReply {
    /// The HTTP status.
    pub status: u16,
    /// Names and values of the headers, a character for each byte.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The state of an idempotency key, for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyState {
    /// Nobody has it.
    Free,
    /// The first request with it has not ended.
    InProgress,
    /// It belongs to another request.
    Mismatch,
    /// The first request has ended, and its response was too large to be stored.
    ReplyNotStored,
    /// The first request has ended with this response.
    Replied(StoredReply),
}

impl TenantScope {
    /// The state of a request's key.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn idempotency_key_state(&mut self, request: &IdempotentRequest) -> Result<KeyState> {
        let select = format!(
            "SELECT * FROM idempotent_requests WHERE tenant = $1 AND component = $2 AND environment = $3 \
             AND caller = $4 AND key = $5 AND until > {}",
            self.dialect.now()
        );
        let query = self.of_key(select, request);
        let Some(row) = self.row(query).await? else { return Ok(KeyState::Free) };
        if get::<String>(&row, "fingerprint")? != request.fingerprint {
            return Ok(KeyState::Mismatch);
        }
        if get::<Option<i64>>(&row, "status")?.is_none() {
            return Ok(KeyState::InProgress);
        }
        let Some(body) = get::<Option<String>>(&row, "body")? else { return Ok(KeyState::ReplyNotStored) };
        let body = BASE64.decode(body).map_err(|_| super::damaged("body"))?;
        Ok(KeyState::Replied(StoredReply { status: number(&row, "status")?, headers: json(&row, "headers")?, body }))
    }

    /// Takes a request's key for as long as `lease`, if it is free; `false` if somebody has it. Of several transactions
    /// at once one gets it.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn claim_idempotency_key(&mut self, request: &IdempotentRequest, lease: Duration) -> Result<bool> {
        let now = self.dialect.now();
        let upsert = format!(
            "INSERT INTO idempotent_requests \
             (tenant, component, environment, caller, key, fingerprint, claim, until, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, {now} + $8, {now}) \
             ON CONFLICT (tenant, component, environment, caller, key) DO UPDATE SET \
             fingerprint = excluded.fingerprint, claim = excluded.claim, until = excluded.until, \
             created_at = excluded.created_at, status = NULL, headers = NULL, body = NULL, bytes = 0 \
             WHERE idempotent_requests.until <= {now}"
        );
        let query = self.of_key(upsert, request).bind(request.fingerprint.clone()).bind(request.claim.clone());
        Ok(self.run(query.bind(milliseconds(lease))).await? > 0)
    }

    /// Stores the status of a request that has ended, and its response unless that is too large, for as long as `kept`.
    /// `false` if the lease had ended and another attempt has the key.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn store_reply(
        &mut self,
        request: &IdempotentRequest,
        status: u16,
        reply: Option<&StoredReply>,
        kept: Duration,
    ) -> Result<bool> {
        let update = format!(
            "UPDATE idempotent_requests SET status = $7, headers = $8, body = $9, bytes = $10, until = {} + $11 \
             WHERE tenant = $1 AND component = $2 AND environment = $3 AND caller = $4 AND key = $5 AND claim = $6",
            self.dialect.now()
        );
        let headers = reply.map(|reply| to_json(&reply.headers)).transpose()?;
        let body = reply.map(|reply| BASE64.encode(&reply.body));
        let bytes = headers.as_ref().map_or(0, String::len) + body.as_ref().map_or(0, String::len);
        let query = self.of_key(update, request).bind(request.claim.clone()).bind(i64::from(status));
        let query = query.bind(headers).bind(body).bind(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(self.run(query.bind(milliseconds(kept))).await? > 0)
    }

    /// Gives a request's key back: the request can be sent again. Nothing happens if another attempt has the key.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn release_idempotency_key(&mut self, request: &IdempotentRequest) -> Result<()> {
        let delete = "DELETE FROM idempotent_requests WHERE tenant = $1 AND component = $2 AND environment = $3 \
                      AND caller = $4 AND key = $5 AND claim = $6";
        let query = self.of_key(delete.to_owned(), request).bind(request.claim.clone());
        self.run(query).await?;
        Ok(())
    }

    /// Deletes a tenant's oldest requests that have ended, if it has more than 100,000, or more than 64 MiB of
    /// responses: nine tenths of either stay, since to look for the oldest takes longer than to count. Gives the number
    /// of those that are deleted.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn evict_idempotent_requests(&mut self) -> Result<u64> {
        let select = "SELECT requests_there FROM (SELECT COUNT(*) AS requests_there, SUM(bytes) AS bytes_there \
                      FROM idempotent_requests WHERE tenant = $1) AS used \
                      WHERE requests_there > $2 OR bytes_there > $3";
        let query = self.query(select).bind(REQUESTS_MAX).bind(RESPONSE_BYTES_MAX);
        if self.row(query).await?.is_none() {
            return Ok(0);
        }
        let delete = "DELETE FROM idempotent_requests WHERE tenant = $1 AND status IS NOT NULL AND claim IN ( \
                      SELECT claim FROM (SELECT claim, ROW_NUMBER() OVER newest AS place, \
                      SUM(bytes) OVER newest AS total FROM idempotent_requests WHERE tenant = $1 \
                      WINDOW newest AS (ORDER BY created_at DESC, claim)) AS kept WHERE place > $2 OR total > $3)";
        let query = self.query(delete).bind(REQUESTS_MAX / 10 * 9).bind(RESPONSE_BYTES_MAX / 10 * 9);
        self.run(query).await
    }

    /// A statement of which `$1` to `$5` are the tenant, the component, the environment, the caller and the key.
    fn of_key(&self, sql: String, request: &IdempotentRequest) -> Query {
        self.query_of_text(sql, &request.service).bind(request.caller.clone()).bind(request.key.clone())
    }
}

impl HostScope {
    /// Deletes at most `most` requests whose time is up; says how many.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_idempotent_requests(&mut self, most: u32) -> Result<u64> {
        // One that is just being claimed or stored is left alone: nobody waits for the other.
        let delete = format!(
            "WITH ended AS MATERIALIZED (SELECT tenant, component, environment, caller, key FROM idempotent_requests \
             WHERE until <= {} ORDER BY until LIMIT $1 {}) DELETE FROM idempotent_requests \
             WHERE (tenant, component, environment, caller, key) IN \
             (SELECT ended.tenant, ended.component, ended.environment, ended.caller, ended.key FROM ended)",
            self.dialect.now(),
            self.dialect.locked_if_free()
        );
        let query = sqlx::query(AssertSqlSafe(delete)).bind(i64::from(most));
        Ok(query.execute(&mut *self.tx).await?.rows_affected())
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 2)
}
