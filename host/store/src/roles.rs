//! The statements about roles that tenants define.

use super::audit::NOTHING;
use super::{TenantScope, get, now_ms, number, signed, text};
use crate::error::{Error, Result};
use elias_api::{Actor, Role, RoleDefinition};
use elias_names::RoleName;

fn role(row: &sqlx::any::AnyRow) -> Result<RoleDefinition> {
    Ok(RoleDefinition {
        name: text(row, "name")?,
        ceiling: text(row, "ceiling")?,
        policy: get(row, "policy")?,
        revision: number(row, "revision")?,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
    })
}

/// Roles that a tenant may define.
pub(super) const ROLES_MAX: u32 = 100;

impl TenantScope {
    /// The tenant's roles after the name `after`, by name.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn roles(&mut self, after: &str, limit: u32) -> Result<Vec<RoleDefinition>> {
        let select = "SELECT * FROM roles WHERE tenant = $1 AND name > $2 ORDER BY name LIMIT $3";
        let query = self.query(select).bind(after.to_owned()).bind(i64::from(limit));
        self.rows(query).await?.iter().map(role).collect()
    }

    /// A role of the tenant.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn role(&mut self, name: &RoleName) -> Result<Option<RoleDefinition>> {
        let select = "SELECT * FROM roles WHERE tenant = $1 AND name = $2";
        let query = self.query(select).bind(name.as_str().to_owned());
        self.row(query).await?.as_ref().map(role).transpose()
    }

    /// Makes a role, or puts it in the place of the one with its name, if that is still at `before`.
    ///
    /// # Errors
    /// `stale`; `quota-exceeded` for too many.
    pub async fn set_role(
        &mut self,
        next: &RoleDefinition,
        before: Option<&RoleDefinition>,
        actor: &Actor,
    ) -> Result<()> {
        let upsert = "INSERT INTO roles (tenant, name, ceiling, policy, revision, changed_at, changed_by) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, name) DO UPDATE SET \
                      ceiling = $3, policy = $4, revision = $5, changed_at = $6, changed_by = $7 WHERE roles.revision \
                      = $8";
        let query = self.query(upsert).bind(next.name.as_str().to_owned()).bind(next.ceiling.as_str());
        let query = query.bind(next.policy.clone()).bind(signed(next.revision)).bind(next.changed_at);
        let query = query.bind(next.changed_by.clone()).bind(before.map_or(0, |before| signed(before.revision)));
        if self.run(query).await? == 0 {
            return Err(Error::stale("role", &next.name));
        }
        self.at_most(ROLES_MAX, "roles", "SELECT count(*) AS rows_there FROM roles WHERE tenant = $1").await?;
        self.audit(actor, "role.set", next.name.as_str(), before, Some(next)).await
    }

    /// Deletes a role. Tokens that have it may do nothing from then on.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_role(&mut self, name: &RoleName, actor: &Actor) -> Result<()> {
        let before = self
            .role(name)
            .await?
            .ok_or_else(|| Error::not_listed(format_args!("role `{name}`"), "elias roles list"))?;
        let query = self.query("DELETE FROM roles WHERE tenant = $1 AND name = $2").bind(name.as_str().to_owned());
        self.run(query).await?;
        self.audit(actor, "role.delete", name.as_str(), Some(&before), NOTHING).await
    }
}

/// The new definition of a role, at this moment.
pub fn next_role(
    name: RoleName,
    ceiling: Role,
    policy: String,
    before: Option<&RoleDefinition>,
    actor: &Actor,
) -> RoleDefinition {
    let revision = before.map_or(1, |before| before.revision + 1);
    RoleDefinition { name, ceiling, policy, revision, changed_at: now_ms(), changed_by: actor.name.clone() }
}
