//! A request to the platform by someone who is known.

use crate::access::{Permission, Principal};
use crate::error::Result;
use crate::name::{ComponentName, TenantId};
use crate::store::{Actor, Role};
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
            role: Role::Admin,
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
    pub fn require(&self, permission: Permission, tenant: &TenantId, component: Option<&ComponentName>) -> Result<()> {
        self.principal.require(permission, tenant, component)
    }

    /// Who it is, for the audit trail.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { name: self.principal.name.clone(), address: self.address.clone() }
    }
}
