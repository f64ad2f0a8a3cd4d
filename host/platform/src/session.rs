//! A request to the platform by someone who is known.

use crate::access::{About, Permission, Principal};
use crate::error::Result;
use crate::name::TenantId;
use crate::store::{Actor, Role, TokenRole};
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
        let principal = Principal {
            name: Actor::host().name,
            tenant: TenantId::system(),
            given: TokenRole::BuiltIn(Role::Admin),
            role: Role::Admin,
            custom: Vec::new(),
            components: None,
            user_id: None,
            organization_id: None,
            expires_at: i64::MAX,
        };
        Self { principal: Arc::new(principal), address: Actor::host().address }
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
