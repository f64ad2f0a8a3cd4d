//! The session of an authenticated request to the platform.

use crate::access::{About, Permission, Principal};
use elias_api::{Actor, Result};
use elias_names::TenantId;
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
    pub fn require<'a>(&self, permission: Permission, tenant: &TenantId, about: impl Into<About<'a>>) -> Result<()> {
        self.principal.require(permission, tenant, about.into(), &self.address)
    }

    /// Who it is, for the audit trail.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor { name: self.principal.name.clone(), address: self.address.clone() }
    }
}
