//! The keys whose signatures a tenant accepts.

use super::audit::NOTHING;
use super::{TenantScope, get, now_ms};
use crate::error::{Error, Result};
use elias_api::{Actor, Code, SigningKeyEntry};

/// Keys of a tenant, those that were revoked too.
pub(super) const KEYS_MAX: u32 = 1_000;

impl TenantScope {
    /// The tenant's keys, those that were revoked too.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn signing_keys(&mut self) -> Result<Vec<SigningKeyEntry>> {
        let query = self.query("SELECT * FROM signing_keys WHERE tenant = $1 ORDER BY name");
        let key = |row: &sqlx::any::AnyRow| {
            Ok(SigningKeyEntry {
                name: get(row, "name")?,
                verifier: get(row, "verifier")?,
                created_at: get(row, "created_at")?,
                revoked_at: get(row, "revoked_at")?,
            })
        };
        self.rows(query).await?.iter().map(key).collect()
    }

    /// Accepts the signatures of a key from now on.
    ///
    /// # Errors
    /// `already-there`: a name is never given to another key.
    pub async fn add_signing_key(&mut self, name: &str, verifier: &str, actor: &Actor) -> Result<()> {
        let insert = "INSERT INTO signing_keys (tenant, name, verifier, created_at, created_by) VALUES ($1, $2, $3, \
            $4, $5) ON CONFLICT DO NOTHING";
        let query = self.query(insert).bind(name.to_owned()).bind(verifier.to_owned()).bind(now_ms());
        let query = query.bind(actor.name.clone());
        if self.run(query).await? == 0 {
            let message = "there is a key of this name already; give the new one another name";
            return Err(Error::new(Code::AlreadyThere, message));
        }
        self.at_most(KEYS_MAX, "keys", "SELECT count(*) AS rows_there FROM signing_keys WHERE tenant = $1").await?;
        self.audit(actor, "key.add", name, NOTHING, Some(&verifier)).await
    }

    /// Refuses the signatures of a key from now on.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revoke_signing_key(&mut self, name: &str, actor: &Actor) -> Result<()> {
        let update = "UPDATE signing_keys SET revoked_at = $3 WHERE tenant = $1 AND name = $2 AND revoked_at IS NULL";
        let query = self.query(update).bind(name.to_owned()).bind(now_ms());
        if self.run(query).await? == 0 {
            return Err(Error::not_valid(format_args!("signing key `{name}`"), "elias keys list"));
        }
        self.audit(actor, "key.revoke", name, NOTHING, NOTHING).await
    }
}
