//! Users and organizations of a tenant.

use crate::access::TokenRole;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// Bytes of an id or a name of a user or an organization.
pub const TEXT_BYTES_MAX: usize = 200;

/// Bytes of a mail address (RFC 5321).
pub const EMAIL_BYTES_MAX: usize = 254;

/// Whether a text can be an id or a name.
pub fn is_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control)
}

/// Whether a text can be a mail address: `NAME@HOST`. Whether anyone reads there only a mail can tell.
pub fn is_email(text: &str) -> bool {
    let (name, host) = text.rsplit_once('@').unwrap_or_default();
    let plain = !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    !name.is_empty() && !host.is_empty() && text.len() <= EMAIL_BYTES_MAX && plain
}

/// A user of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct User {
    /// The id. Components see it as `ctx.userId`. For a user of the identity provider it is the subject (`sub`).
    pub id: String,
    /// The display name.
    pub name: String,
    /// The email address; null if it is unknown.
    pub email: Option<String>,
    /// The id of the user's organization; null for none. Components see it as `ctx.organizationId`.
    pub organization: Option<String>,
    /// The maximum role of the user, built-in or custom, which bounds the roles of the user's tokens; null for no
    /// bound.
    #[schema(value_type = Option<String>)]
    pub role: Option<TokenRole>,
    /// The time since when requests of the user are refused, in milliseconds since 1970-01-01 UTC; null if they are
    /// not.
    pub disabled_at: Option<i64>,
    /// The revision. It increases with each change and is the `ETag`.
    pub revision: u64,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that created the user: the token's id, a user of the identity provider, or `host` for the host
    /// itself.
    pub created_by: String,
    /// The time of deletion, in milliseconds since 1970-01-01 UTC; null if the user exists. The id of a deleted user
    /// cannot be used again.
    pub deleted_at: Option<i64>,
}

impl User {
    /// Whether the user may do anything.
    pub fn is_in_force(&self) -> bool {
        self.disabled_at.is_none() && self.deleted_at.is_none()
    }
}

/// An organization of a tenant's users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Organization {
    /// The id. Components see it as `ctx.organizationId`.
    pub id: String,
    /// The display name.
    pub name: String,
    /// The time since when requests of its users are refused, in milliseconds since 1970-01-01 UTC; null if they are
    /// not.
    pub disabled_at: Option<i64>,
    /// The revision. It increases with each change and is the `ETag`.
    pub revision: u64,
    /// The time of creation, in milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The identity that created the organization: the token's id, a user of the identity provider, or `host` for the
    /// host itself.
    pub created_by: String,
    /// The time of deletion, in milliseconds since 1970-01-01 UTC; null if it exists. The id of a deleted organization
    /// cannot be used again.
    pub deleted_at: Option<i64>,
}

impl Organization {
    /// Whether its users may do anything.
    pub fn is_in_force(&self) -> bool {
        self.disabled_at.is_none() && self.deleted_at.is_none()
    }
}

/// The settings of an organization.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrganizationSettings {
    /// The display name: 1 to 200 bytes.
    pub name: String,
    /// Whether requests of its users are refused; false by default.
    pub disabled: bool,
}

/// The settings of a user.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserSettings {
    /// The display name: 1 to 200 bytes.
    pub name: String,
    /// The email address; null or absent if it is unknown.
    pub email: Option<String>,
    /// The id of the user's organization; null or absent for none.
    pub organization: Option<String>,
    /// The maximum role of the user, built-in or custom, which bounds the roles of the user's tokens; null or absent
    /// for no bound.
    #[schema(value_type = Option<String>)]
    pub role: Option<TokenRole>,
    /// Whether requests of the user are refused; false by default.
    pub disabled: bool,
}

impl OrganizationSettings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// `bad-input`, with the key.
    pub fn check(&self) -> Result<()> {
        check_text("name", &self.name)
    }
}

impl UserSettings {
    /// Checks what types cannot.
    ///
    /// # Errors
    /// `bad-input`, with the key.
    pub fn check(&self) -> Result<()> {
        check_text("name", &self.name)?;
        if self.email.as_ref().is_some_and(|email| !is_email(email)) {
            let message = format!("email: NAME@HOST, at most {EMAIL_BYTES_MAX} bytes");
            return Err(Error::new(Code::BadInput, message));
        }
        Ok(())
    }
}

/// Refuses an id or a name that is not one: [`is_text`].
///
/// # Errors
/// `bad-input`, with the key.
pub fn check_text(what: &str, text: &str) -> Result<()> {
    if !is_text(text) {
        let message = format!("{what}: must have 1 to {TEXT_BYTES_MAX} bytes without control characters");
        return Err(Error::new(Code::BadInput, message));
    }
    Ok(())
}
