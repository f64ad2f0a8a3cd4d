//! Principals and their permissions.

use super::custom_role::{AuthorizationRequest, CustomRole};
use super::members::ResolvedPrincipal;
use super::roles::EffectivePermissions;
use super::target::AccessTarget;
use elias_api::{Code, Error, Result, Role, Token, TokenRole};
use elias_names::{ComponentName, Environment, TenantId};
use std::sync::Arc;

/// The authenticated principal of a request.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The token's id, or the user's at the identity provider: the audit trail's actor.
    pub name: String,
    /// The principal's tenant. Principals of the tenant `system` may act on every tenant.
    pub tenant: TenantId,
    /// The role that it was given.
    pub given: TokenRole,
    /// Its permission boundary.
    pub role: Role,
    /// Roles of its tenant's, each of which has to permit what it does: the one that it was given, and the one that
    /// bounds its user.
    pub custom: Vec<Arc<CustomRole>>,
    /// The components that it may act on; all of them if there is no list.
    pub components: Option<Vec<ComponentName>>,
    /// The user that it stands for.
    pub user_id: Option<String>,
    /// That user's organization.
    pub organization_id: Option<String>,
    /// Milliseconds since 1970 from which it is not valid.
    pub expires_at: i64,
}

/// Defines [`Permission`] from the one table of permissions and the least role that has each.
macro_rules! permissions {
    ($($(#[$doc:meta])* $permission:ident: $role:ident,)*) => {
        /// The permissions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Permission {
            $($(#[$doc])* $permission,)*
        }

        impl Permission {
            /// The least role that has it.
            #[must_use]
            pub fn role(self) -> Role {
                match self { $(Self::$permission => Role::$role,)* }
            }

            /// Its name in kebab case: an action of the policies of custom roles, if it is not the host's.
            #[must_use]
            pub fn kebab(self) -> String {
                kebab(match self { $(Self::$permission => stringify!($permission),)* })
            }

            #[cfg(test)]
            pub(super) const ALL: &'static [Self] = &[$(Self::$permission,)*];
        }
    };
}

permissions! {
    /// See components, versions, deployments, status, executions and logs.
    Read: Viewer,
    /// Upload artifacts and versions.
    Upload: Developer,
    /// Deploy to dev and staging, steer rollouts there.
    Deploy: Developer,
    /// Deploy to production, roll back, steer rollouts there, stop and resume.
    DeployProduction: Operator,
    /// Set and delete feature flags in dev and staging.
    SetFlags: Developer,
    /// Set and delete feature flags in production.
    SetFlagsProduction: Operator,
    /// Enqueue, cancel and retry jobs, publish and replay events, run, pause and resume schedules and subscriptions.
    RunTriggers: Operator,
    /// Send messages to service workers, and call their methods.
    CallWorkers: Operator,
    /// Start, stop, restart and fork service workers.
    OperateWorkers: Operator,
    /// Set and delete alert rules, silences and receivers.
    ManageAlerts: Operator,
    /// End an execution.
    Cancel: Operator,
    /// Resolve, ignore and assign issues.
    ManageIssues: Developer,
    /// Set and delete secrets; nobody can read them.
    Secrets: Operator,
    /// Delete versions.
    Delete: Operator,
    /// Read the audit trail, the usage and the adoption.
    Audit: Operator,
    /// Read the databases of components, and the state of their service workers.
    ReadData: Operator,
    /// Write on the databases of components.
    WriteData: Admin,
    /// Make and revoke tokens, add and revoke signing keys, say which packages the tenant takes.
    Access: Admin,
    /// Make, change and delete tenants; only for the tenant `system`.
    Tenants: Admin,
    /// Back up and check the host; only for the tenant `system`.
    Backup: Admin,
}

impl Permission {
    /// The permission for deploying to an environment.
    #[must_use]
    pub fn deploy(environment: Environment) -> Self {
        match environment {
            Environment::Production => Self::DeployProduction,
            Environment::Dev | Environment::Staging => Self::Deploy,
        }
    }

    /// The permission for setting feature flags in an environment.
    #[must_use]
    pub fn set_flags(environment: Environment) -> Self {
        match environment {
            Environment::Production => Self::SetFlagsProduction,
            Environment::Dev | Environment::Staging => Self::SetFlags,
        }
    }

    pub(super) fn is_of_the_host(self) -> bool {
        matches!(self, Self::Tenants | Self::Backup)
    }

    /// Whether the permission is always about a component in an environment.
    pub(super) fn is_of_a_service(self) -> bool {
        use Permission::{CallWorkers, Deploy, DeployProduction, OperateWorkers, ReadData, Secrets, WriteData};
        matches!(self, Deploy | DeployProduction | Secrets | ReadData | WriteData | CallWorkers | OperateWorkers)
    }
}

fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

impl Principal {
    pub(super) fn of(
        token: &Token,
        EffectivePermissions { given, role, custom }: EffectivePermissions,
        resolved: ResolvedPrincipal,
    ) -> Self {
        Self {
            name: token.id.clone(),
            tenant: token.tenant.clone(),
            given,
            role,
            custom,
            components: token.components.clone(),
            user_id: resolved.user_id,
            organization_id: resolved.organization_id,
            expires_at: token.expires_at,
        }
    }

    /// Checks that the principal may grant this role: nobody grants permissions that they do not have.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn may_give(&self, role: &TokenRole, ceiling: Role) -> Result<()> {
        // The permissions of two custom roles cannot be compared.
        if self.custom.iter().any(|custom| TokenRole::Custom(custom.name().clone()) != *role) {
            let message = format!("a token with the role {} can give that role and no other", self.given);
            return Err(Error::new(Code::Forbidden, message));
        }
        if ceiling > self.role {
            let message = format!("a token of the role {} cannot give one of more", self.role.as_str());
            return Err(Error::new(Code::Forbidden, message));
        }
        Ok(())
    }

    /// Checks that this may be done to the tenant, or to a component of it if it is about one, by a request from
    /// `address`. The result is the same whether the tenant exists or not.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(
        &self,
        permission: Permission,
        tenant: &TenantId,
        about: AccessTarget<'_>,
        address: &str,
    ) -> Result<()> {
        self.require_role(permission, tenant)?;
        let forbidden = |why: String| Err(Error::new(Code::Forbidden, why));
        match (&self.components, about.parts().0) {
            (Some(components), Some(component)) if !components.contains(component) => {
                return forbidden(format!("the token is not for the component {component}"));
            }
            // A token for some components has nothing to do with the tenant as a whole, but may look at the lists, and
            // uploads bytes for those.
            (Some(_), None) if !matches!(permission, Permission::Read | Permission::Upload) => {
                return forbidden("the token is for single components".to_owned());
            }
            _ => {}
        }
        let address = address.parse().ok();
        let authorization = AuthorizationRequest { principal: self, permission, tenant, about, address };
        self.custom.iter().try_for_each(|role| role.require(&authorization))
    }

    /// Checks only the part of that which does not depend on the object of a request: that the tenant is the
    /// principal's, and that its role has the permission.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_role(&self, permission: Permission, tenant: &TenantId) -> Result<()> {
        let forbidden = |why: String| Err(Error::new(Code::Forbidden, why));
        // Roles of a tenant are for that tenant, also if they are of those who run the host.
        let reaches_all = self.tenant.is_system() && self.custom.is_empty();
        if !reaches_all && (permission.is_of_the_host() || self.tenant != *tenant) {
            return forbidden(format!("a token of the tenant {} may not do this to {tenant}", self.tenant));
        }
        if self.role < permission.role() {
            let (has, needs) = (self.role.as_str(), permission.role().as_str());
            return forbidden(format!("this takes a token with the role {needs}; this one has the role {has}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(tenant: &str, role: Role, components: Option<&[&str]>) -> Principal {
        let components = components.map(|names| names.iter().map(|name| name.parse().expect("a name")).collect());
        let tenant = tenant.parse().expect("a name");
        Principal {
            name: "p".into(),
            tenant,
            given: TokenRole::BuiltIn(role),
            role,
            custom: Vec::new(),
            components,
            user_id: None,
            organization_id: None,
            expires_at: i64::MAX,
        }
    }

    #[test]
    fn each_role_may_do_what_the_one_before_it_may_and_more() {
        let acme: TenantId = "acme".parse().expect("a name");
        for role in Role::ALL {
            let allowed = |permission: Permission| {
                principal("acme", role, None).require(permission, &acme, AccessTarget::Tenant, "local").is_ok()
            };
            assert_eq!(allowed(Permission::Read), role >= Role::Viewer);
            assert_eq!(allowed(Permission::Deploy), role >= Role::Developer);
            assert_eq!(allowed(Permission::DeployProduction), role >= Role::Operator);
            assert_eq!(allowed(Permission::ReadData), role >= Role::Operator);
            assert_eq!(allowed(Permission::WriteData), role >= Role::Admin);
            assert_eq!(allowed(Permission::Access), role >= Role::Admin);
            assert!(!allowed(Permission::Tenants) && !allowed(Permission::Backup), "these are the host's");
        }
    }

    #[test]
    fn nobody_reaches_another_tenant_but_those_who_run_the_host() {
        let (acme, other): (TenantId, TenantId) = ("acme".parse().expect("a name"), "other".parse().expect("a name"));
        let admin = principal("acme", Role::Admin, None);
        assert_eq!(
            admin.require(Permission::Read, &other, AccessTarget::Tenant, "local").expect_err("another's").code(),
            Code::Forbidden
        );
        assert!(
            principal("system", Role::Viewer, None)
                .require(Permission::Read, &acme, AccessTarget::Tenant, "local")
                .is_ok()
        );
        assert!(
            principal("system", Role::Viewer, None)
                .require(Permission::Tenants, &acme, AccessTarget::Tenant, "local")
                .is_err()
        );
        assert!(
            principal("system", Role::Admin, None)
                .require(Permission::Tenants, &acme, AccessTarget::Tenant, "local")
                .is_ok()
        );
    }

    #[test]
    fn a_token_for_one_component_acts_on_that_alone() {
        let acme: TenantId = "acme".parse().expect("a name");
        let (shop, blog): (ComponentName, ComponentName) =
            ("shop".parse().expect("a name"), "blog".parse().expect("a name"));
        let token = principal("acme", Role::Admin, Some(&["shop"]));
        assert!(token.require(Permission::DeployProduction, &acme, AccessTarget::Component(&shop), "local").is_ok());
        assert!(token.require(Permission::Read, &acme, AccessTarget::Component(&blog), "local").is_err());
        assert!(token.require(Permission::Access, &acme, AccessTarget::Tenant, "local").is_err());
    }
}
