//! The roles of tenants, as tokens name them.

use super::CustomRole;
use elias_api::{Code, Error, Result, Role, TokenRole};
use elias_names::{RoleName, TenantId};
use elias_store::Store;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of policies that are kept parsed.
const PARSED_BYTES: u64 = 4 << 20;

/// The effective permissions of a principal.
#[derive(Debug)]
pub(super) struct EffectivePermissions {
    /// The role that it was assigned.
    pub(super) given: TokenRole,
    /// The role of the platform's that it does not exceed.
    pub(super) role: Role,
    /// The roles of the tenant's that each have to permit what is done.
    pub(super) custom: Vec<Arc<CustomRole>>,
}

/// The roles that tenants defined, parsed once for each of their revisions.
pub(super) struct Roles {
    store: Store,
    parsed: Cache<(TenantId, RoleName), Arc<CustomRole>>,
}

impl Roles {
    /// The roles in the store. While that is away, those that were read within `known_for` stay as they were.
    pub(super) fn new(store: Store, known_for: Duration) -> Self {
        let weigh = |_: &(TenantId, RoleName), role: &Arc<CustomRole>| {
            u32::try_from(role.definition.policy.len()).unwrap_or(u32::MAX).saturating_add(256)
        };
        let parsed = Cache::builder().max_capacity(PARSED_BYTES).weigher(weigh).time_to_live(known_for).build();
        Self { store, parsed }
    }

    /// The permissions of a principal with an assigned role, within the permission boundary of its user.
    ///
    /// # Errors
    /// As [`role`](Self::role).
    pub(super) async fn effective_permissions(
        &self,
        tenant: &TenantId,
        given: &TokenRole,
        boundary: Option<&TokenRole>,
    ) -> Result<EffectivePermissions> {
        let (mut role, first) = self.role(tenant, given).await?;
        let mut custom: Vec<_> = first.into_iter().collect();
        if let Some(boundary) = boundary.filter(|boundary| *boundary != given) {
            let (most, second) = self.role(tenant, boundary).await?;
            role = role.min(most);
            custom.extend(second);
        }
        Ok(EffectivePermissions { given: given.clone(), role, custom })
    }

    /// The permissions of a role now: at most what the role of the platform does, and of that what the tenant's own
    /// permits.
    ///
    /// # Errors
    /// `forbidden` for a role of the tenant that is not there any more or that cannot be read; `store-unavailable` if
    /// it was not asked for lately.
    async fn role(&self, tenant: &TenantId, role: &TokenRole) -> Result<(Role, Option<Arc<CustomRole>>)> {
        let name = match role {
            TokenRole::BuiltIn(role) => return Ok((*role, None)),
            TokenRole::Custom(name) => name,
        };
        let key = (tenant.clone(), name.clone());
        let definition = match self.store.read(tenant).await {
            Ok(mut scope) => scope.role(name).await,
            Err(error) => Err(error),
        };
        let role = match definition {
            Ok(Some(definition)) => match self.parsed.get(&key) {
                Some(known) if known.definition == definition => known,
                _ => {
                    let unreadable = |error: Error| {
                        tracing::warn!(
                            %tenant, role = %name, %error,
                            "a custom role cannot be read; it grants no permissions"
                        );
                        Error::new(Code::Forbidden, format!("the role {name} cannot be read; set it anew: {error}"))
                    };
                    let read = Arc::new(CustomRole::new(definition).map_err(unreadable)?);
                    self.parsed.insert(key, Arc::clone(&read));
                    read
                }
            },
            Ok(None) => {
                self.parsed.invalidate(&key);
                return Err(Error::new(
                    Code::Forbidden,
                    format!("the role `{name}` of the token was deleted; use a token with another role"),
                ));
            }
            Err(error) if error.code() == Code::StoreUnavailable => self.parsed.get(&key).ok_or(error)?,
            Err(error) => return Err(error.into()),
        };
        Ok((role.definition.ceiling, Some(role)))
    }
}
