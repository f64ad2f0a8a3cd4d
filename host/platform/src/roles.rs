//! The roles that a tenant defines.

use crate::access::{Permission, read_policies};
use crate::platform::Platform;
use crate::session::Session;
use elias_api::{Code, Error, Result, Role, RoleDefinition, RoleSettings, TokenRole};
use elias_names::{RoleName, TenantId};
use elias_store::next_role;

impl Platform {
    /// A role of the tenant.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn role(&self, session: &Session, tenant: &TenantId, name: &RoleName) -> Result<RoleDefinition> {
        let mut scope = self.read(session, Permission::Access, tenant, None).await?;
        scope.role(name).await?.ok_or_else(|| Error::not_listed(format_args!("role `{name}`"), "elias roles list"))
    }

    /// Defines a role, or changes it, if it is still at `revision`. Who has it may do the new things here at once, on
    /// other hosts within 15 seconds.
    ///
    /// # Errors
    /// `bad-input` with line and column for policies that do not fit the schema, `too-large`; `bad-name` for a name of
    /// the platform's own roles; `forbidden` for a ceiling beyond one's own role, and for who has a custom role;
    /// `stale`, `quota-exceeded`; `wrong-state` for the tenant `system`.
    pub async fn set_role(
        &self,
        session: &Session,
        tenant: &TenantId,
        name: &RoleName,
        settings: &RoleSettings,
        revision: Option<u64>,
    ) -> Result<RoleDefinition> {
        session.require(Permission::Access, tenant, None)?;
        if tenant.is_system() {
            return Err(Error::new(
                Code::WrongState,
                "the tenant of the platform operators can only use the platform's own roles",
            ));
        }
        if name.as_str().parse::<Role>().is_ok() {
            let message = format!("{name} is one of the platform's roles; choose another name");
            return Err(Error::new(Code::BadName, message));
        }
        if !session.principal.custom.is_empty() {
            let message = "a token with a custom role cannot define roles; use one with a role of the platform";
            return Err(Error::new(Code::Forbidden, message));
        }
        read_policies(&settings.policy)?;
        let mut scope = self.store().write(tenant).await?;
        scope.this_tenant().await?;
        let before = scope.role(name).await?;
        if revision.is_some() && revision != before.as_ref().map(|before| before.revision) {
            return Err(Error::new(Code::Stale, format!("the role {name} was changed meanwhile: read it again")));
        }
        let ceiling = settings.ceiling.or(before.as_ref().map(|before| before.ceiling)).unwrap_or(Role::Operator);
        session.principal.may_give(&TokenRole::Custom(name.clone()), ceiling)?;
        let actor = session.actor();
        let next = next_role(name.clone(), ceiling, settings.policy.clone(), before.as_ref(), &actor);
        scope.set_role(&next, before.as_ref(), &actor).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(next)
    }

    /// Deletes a role. Tokens that have it may do nothing from then on: here at once, on other hosts within 15 seconds.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_role(&self, session: &Session, tenant: &TenantId, name: &RoleName) -> Result<()> {
        let mut scope = self.write(session, Permission::Access, tenant, None).await?;
        scope.delete_role(name, &session.actor()).await?;
        scope.commit().await?;
        self.access().forget();
        Ok(())
    }
}
