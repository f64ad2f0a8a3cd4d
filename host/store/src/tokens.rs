//! API tokens: who may act for a tenant.

use super::audit::NOTHING;
use super::{HostScope, TenantScope, get, now_ms, optional_json, text, to_json};
use crate::error::{Error, Result};
use elias_api::{Actor, Token};

fn token(row: &sqlx::any::AnyRow) -> Result<Token> {
    Ok(Token {
        id: get(row, "id")?,
        tenant: text(row, "tenant")?,
        name: get(row, "name")?,
        role: text(row, "role")?,
        components: optional_json(row, "components")?,
        user_id: get(row, "user_id")?,
        organization_id: get(row, "organization_id")?,
        created_at: get(row, "created_at")?,
        created_by: get(row, "created_by")?,
        expires_at: get(row, "expires_at")?,
        revoked_at: get(row, "revoked_at")?,
    })
}

/// Tokens of a tenant that were not revoked.
pub(super) const TOKENS_MAX: u32 = 10_000;

impl HostScope {
    /// The token with this id and the hash of its secret, unless its tenant is gone.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn token(&mut self, id: &str) -> Result<Option<(Token, String)>> {
        let select = "SELECT tokens.* FROM tokens JOIN tenants ON tenants.tenant = tokens.tenant \
                      WHERE id = $1 AND tenants.deleted_at IS NULL";
        let row = sqlx::query(select).bind(id.to_owned()).fetch_optional(&mut *self.tx).await?;
        row.map(|row| Ok((token(&row)?, get(&row, "hash")?))).transpose()
    }
}

impl TenantScope {
    /// Stores a token with the hash of its secret.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn insert_token(&mut self, token: &Token, hash: &str, actor: &Actor) -> Result<()> {
        let insert = "INSERT INTO tokens (tenant, id, name, hash, role, components, user_id, organization_id, \
            created_at, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let query = self.query(insert).bind(token.id.clone()).bind(token.name.clone()).bind(hash.to_owned());
        let query = query.bind(token.role.to_string()).bind(token.components.as_ref().map(to_json).transpose()?);
        let query = query.bind(token.user_id.clone()).bind(token.organization_id.clone()).bind(token.created_at);
        self.run(query.bind(token.created_by.clone()).bind(token.expires_at)).await?;
        let valid = "SELECT count(*) AS rows_there FROM tokens WHERE tenant = $1 AND revoked_at IS NULL";
        self.at_most(TOKENS_MAX, "tokens that were not revoked", valid).await?;
        self.audit(actor, "token.create", token.id.clone(), NOTHING, Some(token)).await
    }

    /// Stores another hash of a token's secret, in the place of the one that was read.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn replace_token_hash(&mut self, id: &str, before: &str, hash: &str) -> Result<()> {
        let update = "UPDATE tokens SET hash = $4 WHERE tenant = $1 AND id = $2 AND hash = $3";
        let query = self.query(update).bind(id.to_owned()).bind(before.to_owned()).bind(hash.to_owned());
        self.run(query).await.map(drop)
    }

    /// The tenant's tokens after `after`, by id.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn tokens(&mut self, after: &str, limit: u32) -> Result<Vec<Token>> {
        let select = "SELECT * FROM tokens WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3";
        let query = self.query(select).bind(after.to_owned()).bind(i64::from(limit));
        self.rows(query).await?.iter().map(token).collect()
    }

    /// Ends a token.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revoke_token(&mut self, id: &str, actor: &Actor) -> Result<()> {
        let update = "UPDATE tokens SET revoked_at = $3 WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL";
        let query = self.query(update).bind(id.to_owned()).bind(now_ms());
        if self.run(query).await? == 0 {
            return Err(Error::not_valid(format_args!("token `{id}`"), "elias tokens list"));
        }
        self.audit(actor, "token.revoke", id.to_owned(), NOTHING, NOTHING).await
    }
}
