//! Tokens, roles, signing keys and the audit trail.

use crate::error::{Code, Error, Result};
use elias_names::{ComponentName, RoleName, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
        match text.parse() {
            Ok(role) => Ok(Self::BuiltIn(role)),
            Err(_) => Ok(Self::Custom(text.parse()?)),
        }
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

/// The token to create.
#[derive(Debug, Clone, Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// A name for people that tells what the token is for, such as `ci-deploy`.
    pub name: String,
    /// The role: a built-in one (`caller`, `viewer`, `developer`, `operator`, `admin`) or the name of a custom role of
    /// the tenant.
    #[schema(value_type = String)]
    pub role: TokenRole,
    /// The names of the components that the token is limited to; null or absent for all components of the tenant.
    #[serde(default)]
    pub components: Option<Vec<ComponentName>>,
    /// The id of an existing user for whom the token acts. The token is refused while the user is disabled or deleted,
    /// and the user's role bounds its permissions.
    #[serde(default)]
    pub user_id: Option<String>,
    /// The id of an existing organization for which the token acts. Leave it out with `user_id`: then the organization
    /// in the user's record applies.
    #[serde(default)]
    pub organization_id: Option<String>,
    /// The validity in days: 1 to 3650.
    pub days: u32,
}

/// A new token with its secret.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TokenWithSecret {
    /// The token without its secret.
    pub token: Token,
    /// The token to send as `Authorization: Bearer`, in the form `elias_ID_SECRET`. It is only shown in this response;
    /// only a hash of it is stored.
    pub secret: String,
}

/// A session of a browser in the web console.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ConsoleSession {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. Ids sort by time.
    pub id: String,
    /// The tenant of the principal.
    pub tenant: TenantId,
    /// The principal: the token's id, a user of the identity provider, or `operator` for the host's own token.
    pub principal: String,
    /// The IP address from which the principal signed in.
    pub address: String,
    /// The browser by its `User-Agent`, at most 200 characters.
    pub user_agent: String,
    /// The time of the sign-in, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The time of the last request, to a minute, in milliseconds since 1970-01-01 UTC.
    pub used_at: i64,
    /// The time at which the session ends at the latest, in milliseconds since 1970-01-01 UTC. It ends sooner if it is
    /// not used, and with the token or the user that it was opened for.
    pub expires_at: i64,
}

/// The client of the identity provider that the command line is, for users who sign in with a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SignInClient {
    /// The issuer, below which the provider's metadata are (`/.well-known/openid-configuration`).
    pub issuer: String,
    /// The id of the client, a public one.
    pub client_id: String,
    /// The scopes to ask for, separated by spaces.
    pub scopes: String,
    /// The audience of the tokens that the admin API accepts.
    pub audience: String,
    /// Whether the admin API accepts the client's ID tokens. If not, it accepts the access tokens, which must be JSON
    /// Web Tokens for the audience.
    pub uses_id_token: bool,
}

/// A custom role of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RoleDefinition {
    /// The name, by which tokens and users refer to the role.
    pub name: RoleName,
    /// The built-in role that bounds the permissions of the role, whatever its policies permit.
    pub ceiling: Role,
    /// The policies in the Cedar language, which permit actions within `ceiling`.
    pub policy: String,
    /// The revision. It increases with each change and is the `ETag`.
    pub revision: u64,
    /// The time of the last change, in milliseconds since 1970-01-01 UTC.
    pub changed_at: i64,
    /// The identity that made the last change: the token's id, a user of the identity provider, or `host` for the host
    /// itself.
    pub changed_by: String,
}

/// The settings of a custom role.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleSettings {
    /// The built-in role that bounds the permissions of the custom role, whatever its policies permit. Absent: the
    /// present one, or `operator` for a new role.
    #[serde(default)]
    pub ceiling: Option<Role>,
    /// The policies in the Cedar language: at most 16 KiB.
    pub policy: String,
}

/// A public key whose signatures on versions a tenant accepts.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SigningKeyEntry {
    /// The name in the verifier key.
    pub name: String,
    /// The verifier key in the text form of signed notes: `name+hash+key`.
    pub verifier: String,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The time since when its signatures are refused, in milliseconds since 1970-01-01 UTC; null if they are accepted.
    pub revoked_at: Option<i64>,
}

/// The identity that made a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Actor {
    /// The name: the token's id, a user of the identity provider, or `host` for the host itself.
    pub name: String,
    /// The IP address of the client; `local` for the host itself.
    pub address: String,
}

impl Actor {
    /// The host itself.
    #[must_use]
    pub fn host() -> Self {
        Self { name: "host".to_owned(), address: "local".to_owned() }
    }
}

/// An entry of the audit trail.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// The id, a ULID such as `01JZ8Q4M3V5T6N7P8R9S0A1B2C`. Ids sort by time.
    pub id: String,
    /// The time, in milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The identity that made the change.
    pub actor: Actor,
    /// The action, such as `deployment.create`.
    pub action: String,
    /// The subject of the action, such as `shop/production`.
    pub subject: String,
    /// The state before the change, without secrets; null if there was none.
    pub before: Option<Value>,
    /// The state after the change, without secrets; null if there is none.
    pub after: Option<Value>,
}

/// The form of an audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditFormat {
    /// A page of a list, newest entry first.
    Json,
    /// All entries as JSON Lines, oldest first: an object on each line.
    Lines,
}

/// A filter for the audit trail.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct AuditFilter {
    /// Only entries since this time, in milliseconds since 1970-01-01 UTC; absent for all.
    pub since: Option<i64>,
    /// `lines` for all entries as JSON Lines, as `Accept: application/x-ndjson`; `json`, the default, for a page.
    pub format: Option<AuditFormat>,
}
