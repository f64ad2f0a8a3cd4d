//! What a role allows.

use crate::error::{Code, Error, Result};
use crate::name::{ComponentName, Environment, TenantId};
use crate::store::{Role, Token};

/// Who asks, once that is known.
#[derive(Debug, Clone)]
pub struct Principal {
    /// The token's id, or the user's at the identity provider: the audit trail's actor.
    pub name: String,
    /// Whose it is. Those of the tenant `system` may act on every tenant.
    pub tenant: TenantId,
    /// What it may do.
    pub role: Role,
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
        /// What can be allowed.
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
    /// End an execution.
    Cancel: Operator,
    /// Set and delete secrets; nobody can read them.
    Secrets: Operator,
    /// Delete versions.
    Delete: Operator,
    /// Read the audit trail.
    Audit: Operator,
    /// Make and revoke tokens, add and revoke signing keys, say which packages the tenant takes.
    Access: Admin,
    /// Make, change and delete tenants; only for the tenant `system`.
    Tenants: Admin,
    /// Back up the host; only for the tenant `system`.
    Backup: Admin,
}

impl Permission {
    /// What deploying to an environment takes.
    #[must_use]
    pub fn deploy(environment: Environment) -> Self {
        match environment {
            Environment::Production => Self::DeployProduction,
            Environment::Dev | Environment::Staging => Self::Deploy,
        }
    }

    fn is_of_the_host(self) -> bool {
        matches!(self, Self::Tenants | Self::Backup)
    }
}

impl Principal {
    pub(super) fn of(token: &Token) -> Self {
        Self {
            name: token.id.clone(),
            tenant: token.tenant.clone(),
            role: token.role,
            components: token.components.clone(),
            user_id: token.user_id.clone(),
            organization_id: token.organization_id.clone(),
            expires_at: token.expires_at,
        }
    }

    /// Checks that this may be done to the tenant, and to the component if it is about one. The answer is the same whether the tenant exists
    /// or not.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, permission: Permission, tenant: &TenantId, component: Option<&ComponentName>) -> Result<()> {
        let forbidden = |why: String| Err(Error::new(Code::Forbidden, why));
        if !self.tenant.is_system() && (permission.is_of_the_host() || self.tenant != *tenant) {
            return forbidden(format!("a token of the tenant {} may not do this to {tenant}", self.tenant));
        }
        if self.role < permission.role() {
            let (has, needs) = (self.role.as_str(), permission.role().as_str());
            return forbidden(format!("this takes a token of the role {needs}; this one is a {has}'s"));
        }
        match (&self.components, component) {
            (Some(components), Some(component)) if !components.contains(component) => {
                forbidden(format!("the token is not for the component {component}"))
            }
            // A token for some components has nothing to do with the tenant as a whole, but may look at the lists.
            (Some(_), None) if permission != Permission::Read => {
                forbidden("the token is for single components".to_owned())
            }
            _ => Ok(()),
        }
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
            role,
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
            let allowed =
                |permission: Permission| principal("acme", role, None).require(permission, &acme, None).is_ok();
            assert_eq!(allowed(Permission::Read), role >= Role::Viewer);
            assert_eq!(allowed(Permission::Deploy), role >= Role::Developer);
            assert_eq!(allowed(Permission::DeployProduction), role >= Role::Operator);
            assert_eq!(allowed(Permission::Access), role >= Role::Admin);
            assert!(!allowed(Permission::Tenants) && !allowed(Permission::Backup), "these are the host's");
        }
    }

    #[test]
    fn nobody_reaches_another_tenant_but_those_who_run_the_host() {
        let (acme, other): (TenantId, TenantId) = ("acme".parse().expect("a name"), "other".parse().expect("a name"));
        let admin = principal("acme", Role::Admin, None);
        assert_eq!(admin.require(Permission::Read, &other, None).expect_err("another's").code(), Code::Forbidden);
        assert!(principal("system", Role::Viewer, None).require(Permission::Read, &acme, None).is_ok());
        assert!(principal("system", Role::Viewer, None).require(Permission::Tenants, &acme, None).is_err());
        assert!(principal("system", Role::Admin, None).require(Permission::Tenants, &acme, None).is_ok());
    }

    #[test]
    fn a_token_for_one_component_acts_on_that_alone() {
        let acme: TenantId = "acme".parse().expect("a name");
        let (shop, blog): (ComponentName, ComponentName) =
            ("shop".parse().expect("a name"), "blog".parse().expect("a name"));
        let token = principal("acme", Role::Admin, Some(&["shop"]));
        assert!(token.require(Permission::DeployProduction, &acme, Some(&shop)).is_ok());
        assert!(token.require(Permission::Read, &acme, Some(&blog)).is_err());
        assert!(token.require(Permission::Access, &acme, None).is_err());
    }
}
