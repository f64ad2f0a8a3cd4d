//! The session of an authenticated request to the platform.

use crate::access::{AccessTarget, Permission, Principal};
use elias_api::{Actor, Result};
use elias_names::{ComponentName, Environment, TenantId};
use elias_store::{AllowedServices, TenantScope};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The principal and the client address of a request.
#[derive(Debug, Clone)]
pub struct Session {
    /// The principal.
    pub principal: Arc<Principal>,
    /// The client address, for the audit trail.
    pub address: String,
    /// The token, with which long streams authenticate again; none for the host itself.
    pub(crate) credential: Option<Credential>,
}

/// A token, hidden in debug output.
#[derive(Clone)]
pub(crate) struct Credential(pub(crate) Arc<Zeroizing<String>>);

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(..)")
    }
}

impl Session {
    /// The host's own: what it does by a rule that somebody has set.
    pub(crate) fn of_host() -> Self {
        let Actor { name, address } = Actor::host();
        Self { principal: Arc::new(Principal { name, ..Principal::operator() }), address, credential: None }
    }

    /// Checks that this may be done; see [`Principal::require`].
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require<'a>(
        &self,
        permission: Permission,
        tenant: &TenantId,
        about: impl Into<AccessTarget<'a>>,
    ) -> Result<()> {
        self.principal.require(permission, tenant, about.into(), &self.address)
    }

    /// The services of a tenant on which the session has a permission, for a list; of one component if the list is
    /// about that one.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn allowed_services(
        &self,
        scope: &mut TenantScope,
        permission: Permission,
        tenant: &TenantId,
        component: Option<&ComponentName>,
    ) -> Result<AllowedServices> {
        let Some(candidates) = self.candidates(scope, component).await? else { return Ok(AllowedServices::All) };
        let mut services = Vec::new();
        for component in candidates {
            for environment in Environment::ALL {
                if self.require(permission, tenant, AccessTarget::Service(&component, environment)).is_ok() {
                    services.push((component.clone(), environment));
                }
            }
        }
        Ok(AllowedServices::Only(services))
    }

    /// The components of a tenant on which the session has a permission; `None` for all.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub(crate) async fn allowed_components(
        &self,
        scope: &mut TenantScope,
        permission: Permission,
        tenant: &TenantId,
    ) -> Result<Option<Vec<ComponentName>>> {
        let Some(mut components) = self.candidates(scope, None).await? else { return Ok(None) };
        components.retain(|component| self.require(permission, tenant, Some(component)).is_ok());
        Ok(Some(components))
    }

    /// The components that a token or the policies of a role may allow or forbid; `None` for a session whose
    /// permissions are the same for all. Policies are programs, so they are asked about each component, and the
    /// statement gets the answers.
    async fn candidates(
        &self,
        scope: &mut TenantScope,
        component: Option<&ComponentName>,
    ) -> Result<Option<Vec<ComponentName>>> {
        let Principal { components, custom, .. } = &*self.principal;
        Ok(match (component, components) {
            (_, None) if custom.is_empty() => None,
            (Some(component), _) => Some(vec![component.clone()]),
            (None, Some(components)) => Some(components.clone()),
            (None, None) => Some(scope.component_names().await?),
        })
    }

    /// Checks of a permission what holds whatever a request is about; see [`Principal::require_role`]. What has an id
    /// is looked up after this, and is then either allowed or as if it were not there.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_role(&self, permission: Permission, tenant: &TenantId) -> Result<()> {
        self.principal.require_role(permission, tenant)
    }

    /// The actor, for the audit trail.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { name: self.principal.name.clone(), address: self.address.clone() }
    }
}
