//! A tenant's organizations and users.

use crate::access::{Permission, Principal};
use crate::error::{Code, Error, Result};
use crate::name::TenantId;
use crate::platform::Platform;
use crate::session::Session;
use crate::store::{
    EMAIL_BYTES_MAX, Organization, Role, TEXT_BYTES_MAX, TenantScope, TokenRole, User, is_email, is_text, now_ms,
};
use serde::{Deserialize, Serialize};

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
    fn check(&self) -> Result<()> {
        check_text("name", &self.name)
    }
}

impl UserSettings {
    fn check(&self) -> Result<()> {
        check_text("name", &self.name)?;
        if self.email.as_ref().is_some_and(|email| !is_email(email)) {
            let message = format!("email: NAME@HOST, at most {EMAIL_BYTES_MAX} bytes");
            return Err(Error::new(Code::BadInput, message));
        }
        Ok(())
    }

    /// Checks that the organization and the role are there, and that who asks may give that role, in the place of `before`.
    async fn check_in(&self, scope: &mut TenantScope, by: &Principal, before: Option<&User>) -> Result<()> {
        if let Some(organization) = &self.organization {
            scope.organization(organization).await?;
        }
        if before.is_some_and(|before| before.role == self.role) {
            return Ok(());
        }
        let no_bound = TokenRole::BuiltIn(Role::Admin);
        let role = self.role.as_ref().unwrap_or(&no_bound);
        match role {
            TokenRole::BuiltIn(ceiling) => by.may_give(role, *ceiling),
            TokenRole::Custom(name) => {
                let found = scope.role(name).await?;
                let found =
                    found.ok_or_else(|| Error::not_listed(format_args!("role `{name}`"), "elias roles list"))?;
                by.may_give(role, found.ceiling)
            }
        }
    }
}

fn check_text(what: &str, text: &str) -> Result<()> {
    if !is_text(text) {
        let message = format!("{what}: 1 to {TEXT_BYTES_MAX} bytes without control characters");
        return Err(Error::new(Code::BadInput, message));
    }
    Ok(())
}

/// When something was disabled, if it is to be.
fn disabled_at(disabled: bool, before: Option<i64>) -> Option<i64> {
    disabled.then(|| before.unwrap_or_else(now_ms))
}

/// Refuses a change of what is not at `revision` any more.
fn check_revision(what: &str, id: &str, wanted: Option<u64>, is: u64) -> Result<()> {
    if wanted.is_some_and(|wanted| wanted != is) {
        return Err(Error::new(Code::Stale, format!("the {what} {id} was changed meanwhile: read it again")));
    }
    Ok(())
}

impl Platform {
    /// Makes an organization; without an id it gets one.
    ///
    /// # Errors
    /// `bad-input`, `already-there`, `quota-exceeded`.
    pub async fn create_organization(
        &self,
        session: &Session,
        tenant: &TenantId,
        id: Option<String>,
        settings: &OrganizationSettings,
    ) -> Result<Organization> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        settings.check()?;
        let id = id.unwrap_or_else(|| ulid::Ulid::new().to_string());
        check_text("id", &id)?;
        scope.this_tenant().await?;
        let made = Organization {
            id,
            name: settings.name.clone(),
            disabled_at: disabled_at(settings.disabled, None),
            revision: 1,
            created_at: now_ms(),
            created_by: session.principal.name.clone(),
            deleted_at: None,
        };
        scope.insert_organization(&made, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(made)
    }

    /// Changes an organization, if it is still at `revision`. Users of one that is disabled are refused: here at once, on other hosts within 15 seconds.
    ///
    /// # Errors
    /// `bad-input`, `not-found`, `stale`.
    pub async fn set_organization(
        &self,
        session: &Session,
        tenant: &TenantId,
        id: &str,
        settings: &OrganizationSettings,
        revision: Option<u64>,
    ) -> Result<Organization> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        settings.check()?;
        let before = scope.organization(id).await?;
        check_revision("organization", id, revision, before.revision)?;
        let next = Organization {
            name: settings.name.clone(),
            disabled_at: disabled_at(settings.disabled, before.disabled_at),
            revision: before.revision + 1,
            ..before.clone()
        };
        scope.update_organization(&before, &next, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(next)
    }

    /// Deletes an organization that has no users.
    ///
    /// # Errors
    /// `not-found`, `in-use`.
    pub async fn delete_organization(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        scope.delete_organization(id, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(())
    }

    /// Makes a user; without an id the user gets one. A user of the identity provider has the subject as the id.
    ///
    /// # Errors
    /// `bad-input`, `already-there`, `quota-exceeded`; `not-found` for the organization or the role; `forbidden` for a role beyond one's own.
    pub async fn create_user(
        &self,
        session: &Session,
        tenant: &TenantId,
        id: Option<String>,
        settings: &UserSettings,
    ) -> Result<User> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        settings.check()?;
        let id = id.unwrap_or_else(|| ulid::Ulid::new().to_string());
        check_text("id", &id)?;
        scope.this_tenant().await?;
        settings.check_in(&mut scope, &session.principal, None).await?;
        let made = User {
            id,
            name: settings.name.clone(),
            email: settings.email.clone(),
            organization: settings.organization.clone(),
            role: settings.role.clone(),
            disabled_at: disabled_at(settings.disabled, None),
            revision: 1,
            created_at: now_ms(),
            created_by: session.principal.name.clone(),
            deleted_at: None,
        };
        scope.insert_user(&made, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(made)
    }

    /// Changes a user, if the record is still at `revision`. Tokens of one who is disabled are refused: here at once, on other hosts within 15
    /// seconds.
    ///
    /// # Errors
    /// `bad-input`, `stale`; `not-found` also for the organization or the role; `forbidden` for a role beyond one's own.
    pub async fn set_user(
        &self,
        session: &Session,
        tenant: &TenantId,
        id: &str,
        settings: &UserSettings,
        revision: Option<u64>,
    ) -> Result<User> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        settings.check()?;
        let before = scope.user(id).await?;
        check_revision("user", id, revision, before.revision)?;
        settings.check_in(&mut scope, &session.principal, Some(&before)).await?;
        let next = User {
            name: settings.name.clone(),
            email: settings.email.clone(),
            organization: settings.organization.clone(),
            role: settings.role.clone(),
            disabled_at: disabled_at(settings.disabled, before.disabled_at),
            revision: before.revision + 1,
            ..before.clone()
        };
        scope.update_user(&before, &next, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(next)
    }

    /// Deletes a user. The user's tokens are refused: here at once, on other hosts within 15 seconds.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_user(&self, session: &Session, tenant: &TenantId, id: &str) -> Result<()> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        scope.delete_user(id, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(())
    }
}
