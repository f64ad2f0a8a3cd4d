//! API tokens: who may act for a tenant.

use super::audit::NOTHING;
use super::{Actor, HostScope, TenantScope, get, now_ms, optional_json, text, to_json};
use crate::error::{Code, Error, Result};
use crate::name::{ComponentName, RoleName, TenantId};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A built-in role. Each role includes the permissions of the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Call components that require an API key. No access to the admin API.
    Caller,
    /// Read everything except secrets.
    Viewer,
    /// Upload versions and deploy to `dev` and `staging`.
    Developer,
    /// Deploy to `production`, roll back, cancel executions and set secrets.
    Operator,
    /// Manage tokens, keys, users, roles and the tenant itself.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Caller, Self::Viewer, Self::Developer, Self::Operator, Self::Admin];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| Error::new(Code::BadName, "a role must be caller, viewer, developer, operator or admin"))
    }
}

/// The role of a token: one of the platform's, or one that its tenant defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TokenRole {
    /// Of the platform's.
    BuiltIn(Role),
    /// Of the tenant's.
    Custom(RoleName),
}

impl FromStr for TokenRole {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(Self::BuiltIn).or_else(|_| text.parse().map(Self::Custom))
    }
}

impl TryFrom<String> for TokenRole {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<TokenRole> for String {
    fn from(role: TokenRole) -> Self {
        role.to_string()
    }
}

impl std::fmt::Display for TokenRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn(role) => f.write_str(role.as_str()),
            Self::Custom(name) => write!(f, "{name}"),
        }
    }
}

/// A token without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Token {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`: the part of the token that is not secret.
    pub id: String,
    /// The tenant.
    pub tenant: TenantId,
    /// The name for people that tells what the token is for, such as `ci-deploy`.
    pub name: String,
    /// The role: a built-in one (`caller`, `viewer`, `developer`, `operator`, `admin`) or the name of a custom role of
    /// the tenant.
    #[schema(value_type = String)]
    pub role: TokenRole,
    /// The names of the components that the token is limited to; null for all components of the tenant.
    pub components: Option<Vec<ComponentName>>,
    /// The id of the user for whom the token acts; null for none. Components see it as `ctx.userId`.
    pub user_id: Option<String>,
    /// The id of the organization for which the token acts; null for none. Components see it as `ctx.organizationId`.
    pub organization_id: Option<String>,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that created the token: the token's id, a user of the identity provider, or `host` for the host
    /// itself.
    pub created_by: String,
    /// The time of expiry, in milliseconds since 1970-01-01 UTC.
    pub expires_at: i64,
    /// The time of revocation, in milliseconds since 1970-01-01 UTC; null if the token was not revoked.
    pub revoked_at: Option<i64>,
}

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
    pub(crate) async fn token(&mut self, id: &str) -> Result<Option<(Token, String)>> {
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
    pub(crate) async fn insert_token(&mut self, token: &Token, hash: &str, actor: &Actor) -> Result<()> {
        let insert = "INSERT INTO tokens (tenant, id, name, hash, role, components, user_id, organization_id, created_at, created_by, \
                      expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
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
    pub(crate) async fn replace_token_hash(&mut self, id: &str, before: &str, hash: &str) -> Result<()> {
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
