//! Sessions of browsers in the web console.

use super::audit::NOTHING;
use super::{HostScope, TenantScope, get, text};
use crate::error::{Error, Result};
use elias_api::{Actor, ConsoleSession};

/// Sessions of a tenant.
const SESSIONS_MAX: u32 = 10_000;

/// A session as it is looked up by its cookie.
#[derive(Debug, Clone)]
pub struct StoredSession {
    /// The session.
    pub session: ConsoleSession,
    /// The hash of the secret in its cookie.
    pub hash: String,
    /// Whose session it is, as JSON that the platform writes and reads.
    pub source: String,
}

fn session(row: &sqlx::any::AnyRow) -> Result<ConsoleSession> {
    Ok(ConsoleSession {
        id: get(row, "id")?,
        tenant: text(row, "tenant")?,
        principal: get(row, "principal")?,
        address: get(row, "address")?,
        user_agent: get(row, "user_agent")?,
        created_at: get(row, "created_at")?,
        used_at: get(row, "used_at")?,
        expires_at: get(row, "expires_at")?,
    })
}

impl HostScope {
    /// The session with this id, unless its tenant is gone. It may have expired.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn session(&mut self, id: &str) -> Result<Option<StoredSession>> {
        let select = "SELECT sessions.* FROM sessions JOIN tenants ON tenants.tenant = sessions.tenant \
                      WHERE id = $1 AND tenants.deleted_at IS NULL";
        let row = sqlx::query(select).bind(id.to_owned()).fetch_optional(&mut *self.tx).await?;
        let stored = |row: &sqlx::any::AnyRow| {
            Ok(StoredSession { session: session(row)?, hash: get(row, "hash")?, source: get(row, "source")? })
        };
        row.as_ref().map(stored).transpose()
    }

    /// Says that a session was used at `now`, in milliseconds since 1970.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn touch_session(&mut self, id: &str, now: i64) -> Result<()> {
        let update = sqlx::query("UPDATE sessions SET used_at = $2 WHERE id = $1 AND used_at < $2");
        update.bind(id.to_owned()).bind(now).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Deletes the sessions that had expired at `now`, or were not used since `unused_since`.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn prune_sessions(&mut self, now: i64, unused_since: i64) -> Result<u64> {
        let delete = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR used_at <= $2");
        Ok(delete.bind(now).bind(unused_since).execute(&mut *self.tx).await?.rows_affected())
    }
}

impl TenantScope {
    /// Stores a session. Of the sessions of one principal `most` stay, this one and the newest others; the rest end.
    /// Says how many these are.
    ///
    /// # Errors
    /// `quota-exceeded`, `store-unavailable`.
    pub async fn insert_session(&mut self, new: &StoredSession, most: u32, actor: &Actor) -> Result<u64> {
        let StoredSession { session, hash, source } = new;
        let insert = "INSERT INTO sessions (tenant, id, principal, hash, source, address, user_agent, created_at, \
                      used_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let query = self.query(insert).bind(session.id.clone()).bind(session.principal.clone()).bind(hash.clone());
        let query = query.bind(source.clone()).bind(session.address.clone()).bind(session.user_agent.clone());
        let query = query.bind(session.created_at).bind(session.used_at).bind(session.expires_at);
        self.run(query).await?;
        // Ids are in the order of time, but for hosts whose clocks differ: the new one is not always the last.
        let surplus = "DELETE FROM sessions WHERE tenant = $1 AND principal = $2 AND id <> $4 AND id NOT IN \
                       (SELECT id FROM sessions WHERE tenant = $1 AND principal = $2 AND id <> $4 \
                       ORDER BY id DESC LIMIT $3)";
        let others = i64::from(most.saturating_sub(1));
        let query = self.query(surplus).bind(session.principal.clone()).bind(others).bind(session.id.clone());
        let ended = self.run(query).await?;
        let count = "SELECT count(*) AS rows_there FROM sessions WHERE tenant = $1";
        self.at_most(SESSIONS_MAX, "sessions of browsers", count).await?;
        self.audit(actor, "session.create", session.id.clone(), NOTHING, Some(session)).await?;
        Ok(ended)
    }

    /// The tenant's sessions after the id `after`, by id; those of one principal, if that is given. Sessions that
    /// ended and were not deleted yet are among them.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn sessions(&mut self, principal: Option<&str>, after: &str, limit: u32) -> Result<Vec<ConsoleSession>> {
        let select = "SELECT * FROM sessions WHERE tenant = $1 AND id > $2 AND ($4 = '' OR principal = $4) \
                      ORDER BY id LIMIT $3";
        let query = self.query(select).bind(after.to_owned()).bind(i64::from(limit));
        let query = query.bind(principal.unwrap_or_default().to_owned());
        self.rows(query).await?.iter().map(session).collect()
    }

    /// Ends a session; only one of this principal's, if that is given.
    ///
    /// # Errors
    /// `not-found`, also for another principal's.
    pub async fn end_session(&mut self, id: &str, principal: Option<&str>, actor: &Actor) -> Result<()> {
        let delete = "DELETE FROM sessions WHERE tenant = $1 AND id = $2 AND ($3 = '' OR principal = $3)";
        let query = self.query(delete).bind(id.to_owned()).bind(principal.unwrap_or_default().to_owned());
        if self.run(query).await? == 0 {
            return Err(Error::not_listed(format_args!("session `{id}`"), "elias sessions list"));
        }
        self.audit(actor, "session.end", id.to_owned(), NOTHING, NOTHING).await
    }
}
