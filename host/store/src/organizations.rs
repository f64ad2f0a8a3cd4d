//! Organizations: whom users belong to.

use super::audit::NOTHING;
use super::{TenantScope, get, now_ms, number, signed};
use crate::error::{Error, Result};
use elias_api::{Actor, Code, Organization};

fn organization(row: &sqlx::any::AnyRow) -> Result<Organization> {
    Ok(Organization {
        id: get(row, "id")?,
        name: get(row, "name")?,
        disabled_at: get(row, "disabled_at")?,
        revision: number(row, "revision")?,
        created_at: get(row, "created_at")?,
        created_by: get(row, "created_by")?,
        deleted_at: get(row, "deleted_at")?,
    })
}

/// Organizations of a tenant.
pub(super) const ORGANIZATIONS_MAX: u32 = 1_000;

impl TenantScope {
    /// The tenant's organizations after the id `after`, by id.
    ///
    /// # Errors
    /// `store-unavailable`.
    pub async fn organizations(&mut self, after: &str, limit: u32) -> Result<Vec<Organization>> {
        let select =
            "SELECT * FROM organizations WHERE tenant = $1 AND id > $2 AND deleted_at IS NULL ORDER BY id LIMIT $3";
        let query = self.query(select).bind(after.to_owned()).bind(i64::from(limit));
        self.rows(query).await?.iter().map(organization).collect()
    }

    /// An organization, also if it was deleted.
    pub async fn any_organization(&mut self, id: &str) -> Result<Option<Organization>> {
        let query = self.query("SELECT * FROM organizations WHERE tenant = $1 AND id = $2").bind(id.to_owned());
        self.row(query).await?.as_ref().map(organization).transpose()
    }

    /// An organization.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn organization(&mut self, id: &str) -> Result<Organization> {
        let found = self.any_organization(id).await?.filter(|found| found.deleted_at.is_none());
        found.ok_or_else(|| Error::not_listed(format_args!("organization `{id}`"), "elias organizations list"))
    }

    /// Makes an organization.
    ///
    /// # Errors
    /// `already-there`, also for one that was deleted; `quota-exceeded`.
    pub async fn insert_organization(&mut self, new: &Organization, actor: &Actor) -> Result<()> {
        let insert = "INSERT INTO organizations (tenant, id, name, disabled_at, revision, created_at, created_by) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
        let query = self.query(insert).bind(new.id.clone()).bind(new.name.clone()).bind(new.disabled_at);
        let query = query.bind(signed(new.revision)).bind(new.created_at).bind(new.created_by.clone());
        if self.run(query).await? == 0 {
            let message = format!("the id {} is taken; organizations that were deleted keep theirs", new.id);
            return Err(Error::new(Code::AlreadyThere, message));
        }
        let count = "SELECT count(*) AS rows_there FROM organizations WHERE tenant = $1 AND deleted_at IS NULL";
        self.at_most(ORGANIZATIONS_MAX, "organizations", count).await?;
        self.audit(actor, "organization.create", new.id.clone(), NOTHING, Some(new)).await
    }

    /// Puts `next` in the place of `before`, which was read in this transaction.
    ///
    /// # Errors
    /// `stale`.
    pub async fn update_organization(
        &mut self,
        before: &Organization,
        next: &Organization,
        actor: &Actor,
    ) -> Result<()> {
        let update = "UPDATE organizations SET name = $3, disabled_at = $4, revision = $5 \
                      WHERE tenant = $1 AND id = $2 AND revision = $6 AND deleted_at IS NULL";
        let query = self.query(update).bind(next.id.clone()).bind(next.name.clone()).bind(next.disabled_at);
        if self.run(query.bind(signed(next.revision)).bind(signed(before.revision))).await? == 0 {
            return Err(Error::stale("organization", &next.id));
        }
        self.audit(actor, "organization.update", next.id.clone(), Some(before), Some(next)).await
    }

    /// Deletes an organization that has no users.
    ///
    /// # Errors
    /// `not-found`, `in-use`.
    pub async fn delete_organization(&mut self, id: &str, actor: &Actor) -> Result<()> {
        let before = self.organization(id).await?;
        let users =
            "SELECT count(*) AS rows_there FROM users WHERE tenant = $1 AND organization = $2 AND deleted_at IS NULL";
        let query = self.query(users).bind(id.to_owned());
        let users: u64 = self.row(query).await?.map_or(Ok(0), |row| number(&row, "rows_there"))?;
        if users > 0 {
            let message =
                format!("the organization {id} has {users} users; delete them first, or give them another one");
            return Err(Error::new(Code::InUse, message));
        }
        let delete = "UPDATE organizations SET deleted_at = $3 WHERE tenant = $1 AND id = $2";
        let query = self.query(delete).bind(id.to_owned()).bind(now_ms());
        self.run(query).await?;
        self.audit(actor, "organization.delete", id, Some(&before), NOTHING).await
    }
}
