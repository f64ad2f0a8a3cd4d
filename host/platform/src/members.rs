//! A tenant's organizations and users.

use crate::access::{Permission, Principal};
use crate::platform::{Platform, check_revision};
use crate::session::Session;
use elias_api::{Error, Organization, OrganizationSettings, Result, Role, TokenRole, User, UserSettings, check_text};
use elias_names::TenantId;
use elias_store::{TenantScope, now_ms};

/// Checks that the organization and the role are there, and that who asks may give that role, in the place of `before`.
async fn check_references(
    settings: &UserSettings,
    scope: &mut TenantScope,
    by: &Principal,
    before: Option<&User>,
) -> Result<()> {
    if let Some(organization) = &settings.organization {
        scope.organization(organization).await?;
    }
    if before.is_some_and(|before| before.role == settings.role) {
        return Ok(());
    }
    let no_bound = TokenRole::BuiltIn(Role::Admin);
    let role = settings.role.as_ref().unwrap_or(&no_bound);
    match role {
        TokenRole::BuiltIn(ceiling) => by.may_give(role, *ceiling),
        TokenRole::Custom(name) => {
            let found = scope.role(name).await?;
            let found = found.ok_or_else(|| Error::not_listed(format_args!("role `{name}`"), "elias roles list"))?;
            by.may_give(role, found.ceiling)
        }
    }
}

/// When something was disabled, if it is to be.
fn disabled_at(disabled: bool, before: Option<i64>) -> Option<i64> {
    disabled.then(|| before.unwrap_or_else(now_ms))
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

    /// Changes an organization, if it is still at `revision`. Users of one that is disabled are refused: here at once,
    /// on other hosts within 15 seconds.
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
    /// `bad-input`, `already-there`, `quota-exceeded`; `not-found` for the organization or the role; `forbidden` for a
    /// role beyond one's own.
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
        check_references(settings, &mut scope, &session.principal, None).await?;
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

    /// Changes a user, if the record is still at `revision`. Tokens of one who is disabled are refused: here at once,
    /// on other hosts within 15 seconds.
    ///
    /// # Errors
    /// `bad-input`, `stale`; `not-found` also for the organization or the role; `forbidden` for a role beyond one's
    /// own.
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
        check_references(settings, &mut scope, &session.principal, Some(&before)).await?;
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
