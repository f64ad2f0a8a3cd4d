//! A request to the platform by someone who is known.

use crate::access::{About, Permission, Principal};
use crate::error::Result;
use crate::name::TenantId;
use crate::store::Actor;
use std::sync::Arc;

/// Who asks, and from where.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who.
    pub principal: Arc<Principal>,
    /// From where, for the audit trail.
    pub address: String,
}

impl Session {
    /// The host's own: what it does by a rule that somebody has set.
    pub(crate) fn of_host() -> Self {
        let Actor { name, address } = Actor::host();
        Self { principal: Arc::new(Principal { name, ..Principal::operator() }), address }
    }

    /// Checks that this may be done; see [`Principal::require`].
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require<'a>(&self, permission: Permission, tenant: &TenantId, about: impl Into<About<'a>>) -> Result<()> {
        self.principal.require(permission, tenant, about.into(), &self.address)
    }

    /// Who it is, for the audit trail.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { name: self.principal.name.clone(), address: self.address.clone() }
    }
}
